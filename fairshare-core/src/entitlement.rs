//! What policy comes to for one user, and what is enforced on a user's slice.

use std::time::Duration;

use fairshare_protocol::{Allocation, MemorySize};

use crate::variables::Variables;

/// What policy gives one user. In every resource `min` is at most `default`, and `default` at most
/// `max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// The smallest allocation that the user may ask for.
    pub min: Allocation,
    /// The allocation at login.
    pub default: Allocation,
    /// The largest allocation that a grant may reach.
    pub max: Allocation,
    /// Swap that the user may fill, whatever the allocation.
    pub swap: MemorySize,
    /// What is set on the slice beside the allocation.
    pub shaping: Shaping,
    /// How long a grant lasts.
    pub lease: LeaseTerms,
    /// When a grant that is not used is taken back; `None`: never.
    pub idle: Option<IdleTerms>,
    /// The place in the queue: a higher one comes first.
    pub priority: i32,
    /// The variables that tell programs of a login how many CPUs they have.
    pub environment: Variables,
    /// The groups whose budgets the user's allocation counts against, by name.
    pub budgets: Vec<String>,
}

/// How a user's slice is treated beside its hard limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shaping {
    /// The share of the CPUs when the machine is busy.
    pub cpu_weight: CpuWeight,
    /// Where the kernel begins to reclaim and to slow the user down, in percent of the memory
    /// limit, 1 to 99. `None`: at the limit.
    pub mem_high: Option<u8>,
    /// Memory that the kernel leaves with the user when others press: `memory.low`.
    /// `None`: nothing.
    pub mem_guarantee: Option<MemorySize>,
    /// The share of a busy disk, 1 to 10000 (the kernel's default is 100). `None`: not set.
    pub io_weight: Option<u16>,
    /// Ceilings for single block devices, each device once.
    pub io_bandwidth: Vec<DeviceBandwidth>,
}

/// The share of the CPUs when the machine is busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuWeight {
    /// In proportion to the CPUs of the allocation: 100, the kernel's default, for each.
    #[default]
    FollowsAllocation,
    /// Always this, 1 to 10000.
    Fixed(u16),
}

/// Ceilings for one block device, in bytes per second. `None`: no ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceBandwidth {
    /// The device's node, such as `/dev/vda`.
    pub device: String,
    /// For reading.
    pub read: Option<u64>,
    /// For writing.
    pub write: Option<u64>,
}

/// How long a grant lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Where the user does not say. `None`: until the last logout.
    pub default: Option<Duration>,
    /// The longest that a user may ask for, counted from the request. `None`: as long as they like.
    pub longest: Option<Duration>,
}

/// When a grant that is not used is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleTerms {
    /// How long it must have been unused.
    pub after: Duration,
    /// How long before that the user is told.
    pub notice: Duration,
}

/// Everything that is enforced on a user's slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The user's allocation.
    pub allocation: Allocation,
    /// The swap limit. Without one a memory limit is soft: what goes over it is swapped out.
    pub swap: MemorySize,
    /// What is set beside it.
    pub shaping: Shaping,
}

impl Entitlement {
    /// An entitlement that says nothing beyond these two: the minimum is the default, and a grant
    /// lasts until the last logout.
    pub fn between(default: Allocation, max: Allocation) -> Self {
        Self {
            min: default,
            default,
            max,
            swap: MemorySize::ZERO,
            shaping: Shaping::default(),
            lease: LeaseTerms::default(),
            idle: None,
            priority: 0,
            environment: Variables::NONE,
            budgets: Vec::new(),
        }
    }

    /// The allocation with each resource brought between the minimum and the maximum.
    #[must_use]
    pub fn clamp(&self, wanted: Allocation) -> Allocation {
        Allocation {
            cpu: wanted.cpu.clamp(self.min.cpu, self.max.cpu),
            mem: wanted.mem.clamp(self.min.mem, self.max.mem),
            tasks: wanted.tasks.clamp(self.min.tasks, self.max.tasks),
        }
    }

    /// What is enforced on the slice of a user who has this allocation.
    pub fn limits(&self, allocation: Allocation) -> Limits {
        Limits {
            allocation,
            swap: self.swap,
            shaping: self.shaping.clone(),
        }
    }
}
