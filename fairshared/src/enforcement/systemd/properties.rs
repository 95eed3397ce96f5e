//! The unit properties that carry limits, as systemd names and counts them on D-Bus.
//!
//! See `org.freedesktop.systemd1(5)`. There the quota is `CPUQuotaPerSecUSec`; `CPUQuota` exists in
//! unit files only.

use fairshare_core::Limits;
use zbus::Variant;

/// What systemd takes for "no limit".
const INFINITY: u64 = u64::MAX;

/// A list of properties with their values.
#[derive(Debug)]
pub(super) struct Properties {
    list: Vec<Property>,
}

/// A property's name and value as D-Bus wants them.
pub(super) type Property = (&'static str, Variant<'static>);

impl Properties {
    /// The settings that are ever made, in the names that systemd gives the files of its drop-ins.
    pub(super) const SETTINGS: [&str; 5] = [
        "CPUQuota",
        "MemoryHigh",
        "MemoryMax",
        "MemorySwapMax",
        "TasksMax",
    ];

    /// All limits. With `lift_high`, `memory.high` is none.
    pub(super) fn all(limits: &Limits, lift_high: bool) -> Self {
        let mut properties = Self::but_memory(limits);
        properties.push("MemoryMax", limits.allocation.mem.bytes());
        if lift_high {
            properties.push("MemoryHigh", INFINITY);
        }
        properties
    }

    /// All limits but memory, which is only held at `high` bytes for now.
    pub(super) fn lowering(limits: &Limits, high: u64) -> Self {
        let mut properties = Self::but_memory(limits);
        properties.push("MemoryHigh", high);
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

    fn but_memory(limits: &Limits) -> Self {
        let mut properties = Self {
            list: Vec::with_capacity(6),
        };
        properties.push(
            "CPUQuotaPerSecUSec",
            limits.allocation.cpu.quota_per_second(),
        );
        properties.push("MemorySwapMax", limits.swap.bytes());
        properties.push("TasksMax", limits.allocation.tasks.count());
        properties
    }

    fn push(&mut self, name: &'static str, value: u64) {
        self.list.push((name, Variant::from(value)));
    }
}
