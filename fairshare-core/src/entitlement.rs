//! What policy comes to for one user, and what is enforced on a user's slice.

use fairshare_protocol::{Allocation, MemorySize};

/// What policy gives one user. `max` is nowhere below `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// The allocation at login.
    pub default: Allocation,
    /// The largest allocation that a grant may reach.
    pub max: Allocation,
    /// Swap that the user may fill, whatever the allocation.
    pub swap: MemorySize,
}

/// Everything that is enforced on a user's slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The user's allocation.
    pub allocation: Allocation,
    /// The swap limit. Without one a memory limit is soft: what goes over it is swapped out.
    pub swap: MemorySize,
}

impl Entitlement {
    /// The allocation with each resource brought between the default and the maximum.
    #[must_use]
    pub fn clamp(&self, wanted: Allocation) -> Allocation {
        Allocation {
            cpu: wanted.cpu.clamp(self.default.cpu, self.max.cpu),
            mem: wanted.mem.clamp(self.default.mem, self.max.mem),
            tasks: wanted.tasks.clamp(self.default.tasks, self.max.tasks),
        }
    }
}
