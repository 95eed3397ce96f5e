//! Resources as numbers that can be added up.

use std::fmt;

use fairshare_protocol::{Allocation, Cpus, MemorySize};

use super::Capacity;

/// A resource that is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// CPUs, counted in thousandths.
    Cpu,
    /// Memory, counted in bytes.
    Memory,
    /// Processes and threads.
    Tasks,
}

/// One number for each resource. Wide enough that no sum of allocations overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) cpu: u128,
    pub(super) mem: u128,
    pub(super) tasks: u128,
}

impl Resource {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Tasks];

    /// The figure in an allocation: thousandths, bytes or a count.
    pub fn of(self, allocation: &Allocation) -> u64 {
        match self {
            Self::Cpu => allocation.cpu.thousandths(),
            Self::Memory => allocation.mem.bytes(),
            Self::Tasks => allocation.tasks.count(),
        }
    }

    /// A figure as a person writes it; memory rounded down to a size that can be typed.
    pub fn figure(self, count: u64) -> String {
        match self {
            Self::Cpu => Cpus::from_thousandths(count / 10 * 10)
                .map_or_else(|| "nothing".to_owned(), |cpus| cpus.to_string()),
            Self::Memory => MemorySize::saturating_from_bytes(count).rounded(),
            Self::Tasks => count.to_string(),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Tasks => "tasks",
        })
    }
}

impl Amount {
    /// A whole allocation.
    pub(super) fn whole(allocation: &Allocation) -> Self {
        Self {
            cpu: allocation.cpu.thousandths().into(),
            mem: allocation.mem.bytes().into(),
            tasks: allocation.tasks.count().into(),
        }
    }

    /// What an allocation takes of the capacity: what lies above the default. Less than the
    /// default gives nothing back, because the default is never counted.
    pub(super) fn above(allocation: &Allocation, default: &Allocation) -> Self {
        Self::whole(allocation).less(Self::whole(default))
    }

    pub(super) fn get(self, resource: Resource) -> u128 {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.mem,
            Resource::Tasks => self.tasks,
        }
    }

    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            mem: self.mem + other.mem,
            tasks: self.tasks + other.tasks,
        }
    }

    /// The difference, nothing where it would be below.
    #[must_use]
    pub(super) fn less(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(other.cpu),
            mem: self.mem.saturating_sub(other.mem),
            tasks: self.tasks.saturating_sub(other.tasks),
        }
    }

    /// The figures that a capacity has.
    pub(super) fn capacity(self) -> Capacity {
        Capacity {
            cpu_thousandths: narrow(self.cpu),
            mem_bytes: narrow(self.mem),
        }
    }
}

/// The number in the width in which figures are told.
pub(super) fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
