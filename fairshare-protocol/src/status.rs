//! What the daemon tells of one user: the answer to `status`.

use serde::{Deserialize, Serialize};

use crate::{Allocation, Cpus, Enforce, Hundredths, MemorySize, Pressure, Tasks, Wish};

/// The fields of `status_info`. The first two are always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusInfo {
    /// CPUs that the user has.
    pub allocated_cpu: Cpus,
    /// Memory that the user has.
    pub allocated_mem: MemorySize,
    /// Tasks that the user has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_tasks: Option<Tasks>,
    /// Swap that the user may fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_swap: Option<MemorySize>,
    /// Whether the user holds a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<bool>,
    /// Seconds until the grant's lease ends; left out where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_left_s: Option<u64>,
    /// The place of the user's request in the queue, from 1; left out where none waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<u64>,
    /// Open sessions of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// The smallest allocation that policy lets the user ask for, where that is not the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Allocation>,
    /// What policy gives the user at login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Allocation>,
    /// What policy lets the user hold at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Allocation>,
    /// The budgets that the user's allocation counts against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget: Vec<BudgetInfo>,
    /// The user's slice and what is in use of it; left out where the kernel does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<SliceInfo>,
    /// What the kernel enforces otherwise than the allocation says, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// `watch` where the daemon decides and sets nothing; left out where it enforces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<Enforce>,
    /// The daemon's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A slice and its use. What the kernel does not say is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceInfo {
    /// The unit's name, such as `user-1000.slice`.
    pub unit: String,
    /// Memory in use that cannot be taken back without swap: what programs hold, page cache left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_used: Option<MemorySize>,
    /// Page cache, which the kernel takes back when memory is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_cache: Option<MemorySize>,
    /// Tasks that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks_used: Option<u64>,
    /// Swap in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_used: Option<MemorySize>,
    /// When the figures were read, in microseconds since the machine was booted: of two readings a
    /// client makes a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// CPU time that everything in the slice has used since it began, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// CPUs in use on average over about the last minute; left out where it is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_minute: Option<Hundredths>,
    /// How long tasks in the slice were held back by its limit on CPU, each CPU on its own, in
    /// microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_us: Option<u64>,
    /// How long tasks in the slice wait.
    #[serde(default, skip_serializing_if = "Pressure::is_unknown")]
    pub pressure: Pressure,
}

/// What the members of a group may hold together, and what they do hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetInfo {
    /// The group, as policy names it.
    pub group: String,
    /// What they may hold together; what policy does not limit is left out.
    pub limit: Wish,
    /// What they hold together; a resource of which they hold nothing is left out.
    pub held: Wish,
}

impl StatusInfo {
    /// The two figures that every daemon tells, and nothing else.
    pub fn new(cpu: Cpus, mem: MemorySize) -> Self {
        Self {
            allocated_cpu: cpu,
            allocated_mem: mem,
            allocated_tasks: None,
            allocated_swap: None,
            grant: None,
            lease_left_s: None,
            queue_position: None,
            sessions: None,
            min: None,
            default: None,
            max: None,
            budget: Vec::new(),
            slice: None,
            differences: Vec::new(),
            enforce: None,
            version: None,
        }
    }

    /// The allocation, where the daemon told all of it.
    pub fn allocation(&self) -> Option<Allocation> {
        let tasks = self.allocated_tasks?;
        Some(Allocation {
            cpu: self.allocated_cpu,
            mem: self.allocated_mem,
            tasks,
        })
    }
}
