//! The unit properties that carry limits, as systemd names and counts them on D-Bus.
//!
//! See `org.freedesktop.systemd1(5)`. There the quota is `CPUQuotaPerSecUSec`; `CPUQuota` exists in
//! unit files only.

use fairshare_core::Limits;
use zbus::Variant;

use crate::cgroup::{Disk, Enforced, Limit, Wanted};

/// What systemd takes for "no limit", and for "not set" where it counts weights.
const INFINITY: u64 = u64::MAX;

/// A list of properties with their values.
#[derive(Debug)]
pub(super) struct Properties {
    list: Vec<Property>,
}

/// A property's name and value as D-Bus wants them.
pub(super) type Property = (&'static str, Variant<'static>);

/// A setting that is made only where policy asks for it. Where it does not, what an administrator
/// has set is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Optional {
    MemoryHigh,
    MemoryLow,
    IoWeight,
    ReadBandwidth,
    WriteBandwidth,
}

impl Optional {
    pub(super) const ALL: [Self; 5] = [
        Self::MemoryHigh,
        Self::MemoryLow,
        Self::IoWeight,
        Self::ReadBandwidth,
        Self::WriteBandwidth,
    ];

    /// The property, which is also what systemd names the file of its drop-in by.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MemoryHigh => "MemoryHigh",
            Self::MemoryLow => "MemoryLow",
            Self::IoWeight => "IOWeight",
            Self::ReadBandwidth => "IOReadBandwidthMax",
            Self::WriteBandwidth => "IOWriteBandwidthMax",
        }
    }

    /// Whether the kernel enforces something of this kind that policy does not ask for.
    pub(super) fn is_left(self, enforced: &Enforced, wanted: &Wanted) -> bool {
        match self {
            Self::MemoryHigh => {
                wanted.mem_high.is_none() && matches!(enforced.mem_high, Limit::At(_))
            }
            Self::MemoryLow => {
                let low = enforced.mem_low;
                wanted.mem_low.is_none() && !matches!(low, Limit::Missing | Limit::At(0))
            }
            Self::IoWeight => wanted.io_weight.is_none() && enforced.weighs_io(),
            Self::ReadBandwidth => {
                !wanted.reading && enforced.ceilings().any(|(_, has)| has.read.is_some())
            }
            Self::WriteBandwidth => {
                !wanted.writing && enforced.ceilings().any(|(_, has)| has.write.is_some())
            }
        }
    }

    /// What it is where nobody sets it.
    fn unset(self) -> Variant<'static> {
        match self {
            Self::MemoryHigh | Self::IoWeight => Variant::from(INFINITY),
            Self::MemoryLow => Variant::from(0_u64),
            Self::ReadBandwidth | Self::WriteBandwidth => ceilings(Vec::new()),
        }
    }
}

impl Properties {
    /// The settings that are ever made, in the names that systemd gives the files of its drop-ins.
    pub(super) const SETTINGS: [&str; 10] = [
        "CPUQuota",
        "CPUWeight",
        "IOReadBandwidthMax",
        "IOWeight",
        "IOWriteBandwidthMax",
        "MemoryHigh",
        "MemoryLow",
        "MemoryMax",
        "MemorySwapMax",
        "TasksMax",
    ];

    /// All limits, with these settings taken back.
    pub(super) fn all(limits: &Limits, wanted: &Wanted, taken_back: &[Optional]) -> Self {
        let mut properties = Self::but_memory(limits, wanted);
        properties.push("MemoryMax", limits.allocation.mem.bytes());
        if let Some(high) = wanted.mem_high {
            properties.push("MemoryHigh", high);
        }
        for setting in taken_back {
            properties.list.push((setting.name(), setting.unset()));
        }
        properties
    }

    /// All limits but memory, which is only held at `high` bytes for now.
    pub(super) fn lowering(limits: &Limits, wanted: &Wanted, high: u64) -> Self {
        let mut properties = Self::but_memory(limits, wanted);
        properties.push("MemoryHigh", high);
        properties
    }

    /// No limit at all, with these settings taken back. What logind's drop-in says of tasks does
    /// not come back: it would be a limit, too.
    pub(super) fn none(taken_back: &[Optional]) -> Self {
        let mut properties = Self { list: Vec::new() };
        for name in [
            "CPUQuotaPerSecUSec",
            "CPUWeight",
            "MemoryMax",
            "MemorySwapMax",
            "TasksMax",
        ] {
            properties.push(name, INFINITY);
        }
        for setting in taken_back {
            properties.list.push((setting.name(), setting.unset()));
        }
        properties
    }

    /// Lets systemd drop the slice when nothing is in it. logind's own slices say so by themselves.
    pub(super) fn collect_when_unneeded(&mut self) {
        self.list.push(("StopWhenUnneeded", Variant::from(true)));
    }

    /// The list as D-Bus wants it.
    pub(super) fn as_slice(&self) -> &[Property] {
        &self.list
    }

    fn but_memory(limits: &Limits, wanted: &Wanted) -> Self {
        let mut properties = Self {
            list: Vec::with_capacity(8),
        };
        properties.push("CPUQuotaPerSecUSec", wanted.cpu);
        properties.push("CPUWeight", wanted.cpu_weight);
        properties.push("MemorySwapMax", limits.swap.bytes());
        properties.push("TasksMax", wanted.tasks);
        if let Some(low) = wanted.mem_low {
            properties.push("MemoryLow", low);
        }
        if let Some(weight) = wanted.io_weight {
            properties.push("IOWeight", weight);
        }
        if wanted.reading {
            properties.replace(Optional::ReadBandwidth, wanted, |disk| disk.read);
        }
        if wanted.writing {
            properties.replace(Optional::WriteBandwidth, wanted, |disk| disk.write);
        }
        properties
    }

    /// systemd adds a list of ceilings to what it has, and drops what it has for an empty list.
    fn replace(&mut self, setting: Optional, wanted: &Wanted, ceiling: fn(&Disk) -> Option<u64>) {
        self.list.push((setting.name(), setting.unset()));
        let with_ceiling = |disk: &Disk| Some((disk.node.clone(), ceiling(disk)?));
        let list: Vec<_> = wanted.disks.iter().filter_map(with_ceiling).collect();
        if !list.is_empty() {
            self.list.push((setting.name(), ceilings(list)));
        }
    }

    fn push(&mut self, name: &'static str, value: u64) {
        self.list.push((name, Variant::from(value)));
    }
}

fn ceilings(list: Vec<(String, u64)>) -> Variant<'static> {
    Variant::from(list)
}

#[cfg(test)]
mod tests;
