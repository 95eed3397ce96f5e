//! What the kernel enforces on a slice, beside what it should.

use std::collections::BTreeMap;

use fairshare_core::Limits;
use fairshare_protocol::{Cpus, MemorySize};

use super::device::DeviceNumber;
use super::wanted::{Disk, Wanted};

/// The weight that a cgroup has where nobody says otherwise.
const KERNELS_WEIGHT: u64 = 100;
/// In place of a figure where a file is missing.
const NO_FILE: &str = "nothing: the kernel has no such file";

/// One limit as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The file is not there or not understood: the controller is off.
    Missing,
    /// No limit.
    Max,
    /// The limit: bytes, a count, a weight, or microseconds of CPU time per second.
    At(u64),
}

/// Ceilings for one device, in bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ceilings {
    pub(crate) read: Option<u64>,
    pub(crate) write: Option<u64>,
}

/// What the kernel enforces on a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Enforced {
    pub(crate) cpu: Limit,
    pub(crate) cpu_weight: Limit,
    pub(crate) mem: Limit,
    pub(crate) mem_high: Limit,
    pub(crate) mem_low: Limit,
    /// The slice above that is protected least, where that is less than this one asks for.
    pub(crate) mem_low_above: Option<(String, u64)>,
    pub(crate) swap: Limit,
    pub(crate) tasks: Limit,
    pub(crate) io_weight: Limit,
    /// Something in this kernel goes by `io.weight`, for some disk.
    pub(crate) io_weight_heeded: bool,
    /// `None`: the file is not there.
    pub(crate) io_max: Option<BTreeMap<DeviceNumber, Ceilings>>,
    /// The kernel has the controller, whether it is on for this slice or not.
    pub(crate) io_controller: bool,
}

/// Something that is enforced otherwise than was asked.
#[derive(Debug)]
struct Difference {
    sentence: String,
    /// Asking systemd may mend it.
    mendable: bool,
}

impl Enforced {
    /// Whether these limits are enforced, as far as asking for them can bring it about. What this
    /// kernel cannot do is a difference for ever, and no reason to ask systemd again and again.
    pub(crate) fn holds(&self, wanted: &Wanted) -> bool {
        !self.compare(wanted).iter().any(|one| one.mendable)
    }

    /// What is enforced otherwise than these limits say, a sentence each.
    pub(crate) fn differences(&self, limits: &Limits) -> Vec<String> {
        self.differences_from(&Wanted::of(limits))
    }

    /// As [`Enforced::differences`], with the figures worked out.
    pub(crate) fn differences_from(&self, wanted: &Wanted) -> Vec<String> {
        let found = self.compare(wanted).into_iter();
        found.map(|one| one.sentence).collect()
    }

    /// Those of the differences that asking could have prevented: what is worth telling each time.
    pub(crate) fn shortfalls(&self, wanted: &Wanted) -> Vec<String> {
        let found = self.compare(wanted).into_iter();
        let mendable = found.filter(|one| one.mendable);
        mendable.map(|one| one.sentence).collect()
    }

    /// Whether none of the limits is there that are always set.
    pub(crate) fn is_free(&self) -> bool {
        let limits = [self.cpu, self.mem, self.swap, self.tasks];
        !limits.iter().any(|limit| matches!(limit, Limit::At(_)))
    }

    /// Whether the slice has a weight for its disks that is not the kernel's own.
    pub(crate) fn weighs_io(&self) -> bool {
        matches!(self.io_weight, Limit::At(weight) if weight != KERNELS_WEIGHT)
    }

    /// The devices that have a ceiling.
    pub(crate) fn ceilings(&self) -> impl Iterator<Item = (DeviceNumber, Ceilings)> {
        let devices = self.io_max.iter().flatten();
        devices.map(|(number, ceilings)| (*number, *ceilings))
    }

    fn compare(&self, wanted: &Wanted) -> Vec<Difference> {
        let mut found = Vec::new();
        let mut compare = |file, has: Limit, wanted: u64, show: fn(u64) -> String| {
            if has != Limit::At(wanted) {
                found.push(differs(file, &show(wanted), &show_limit(has, show)));
            }
        };
        compare("cpu.max", self.cpu, wanted.cpu, show_quota);
        compare("cpu.weight", self.cpu_weight, wanted.cpu_weight, show_count);
        compare("memory.max", self.mem, wanted.mem, show_bytes);
        compare("memory.swap.max", self.swap, wanted.swap, show_bytes);
        compare("pids.max", self.tasks, wanted.tasks, show_count);
        if let Some(high) = wanted.mem_high {
            compare("memory.high", self.mem_high, high, show_bytes);
        }
        if let Some(low) = wanted.mem_low {
            compare("memory.low", self.mem_low, low, show_bytes);
        }
        self.compare_memory(wanted, &mut found);
        self.compare_weight(wanted, &mut found);
        self.compare_ceilings(wanted, &mut found);
        found
    }

    /// What is not a matter of one figure.
    fn compare_memory(&self, wanted: &Wanted, found: &mut Vec<Difference>) {
        if let Limit::At(high) = self.mem_high
            && wanted.mem_high.is_none()
            && high < wanted.mem
        {
            let high = show_bytes(high);
            found.push(hopeless(format!("memory.high: memory is held at {high}")));
        }
        if let Some(low) = wanted.mem_low
            && self.mem_low == Limit::At(low)
            && let Some((above, protected)) = &self.mem_low_above
        {
            let (low, protected) = (show_bytes(low), show_bytes(*protected));
            found.push(hopeless(format!(
                "memory.low: {low} asked for, {protected} enforced: {above} is protected no further"
            )));
        }
    }

    fn compare_weight(&self, wanted: &Wanted, found: &mut Vec<Difference>) {
        let Some(weight) = wanted.io_weight else {
            return;
        };
        if self.io_weight != Limit::At(weight) {
            let has = show_limit(self.io_weight, show_count);
            let mut difference = differs("io.weight", &weight.to_string(), &has);
            difference.mendable = match self.io_weight {
                // Where the controller is on and its other files are there, asking brings no more.
                Limit::Missing => self.io_controller && self.io_max.is_none(),
                _ => true,
            };
            found.push(difference);
        } else if !self.io_weight_heeded {
            found.push(hopeless(format!(
                "io.weight: {weight} asked for, nothing enforced: no disk has iocost or BFQ on"
            )));
        }
    }

    fn compare_ceilings(&self, wanted: &Wanted, found: &mut Vec<Difference>) {
        found.extend(wanted.without_disk.iter().cloned().map(hopeless));
        for disk in &wanted.disks {
            let has = self
                .io_max
                .as_ref()
                .map(|devices| devices.get(&disk.number).copied().unwrap_or_default());
            let Disk {
                node, read, write, ..
            } = disk;
            let mut compare = |what, asked: Option<u64>, has: Option<Option<u64>>| {
                let Some(asked) = asked.filter(|_| has != Some(asked)) else {
                    return;
                };
                let has = has.map_or(NO_FILE.to_owned(), show_rate);
                let asked = show_rate(Some(asked));
                let mut difference = differs(&format!("io.max: {node}: {what}"), &asked, &has);
                difference.mendable = self.io_controller;
                found.push(difference);
            };
            compare("reading", *read, has.map(|has| has.read));
            compare("writing", *write, has.map(|has| has.write));
        }
        // Where policy has ceilings of a kind, its list is the whole list.
        let asked = |number, kind: fn(&Disk) -> Option<u64>| {
            let disks = &mut wanted.disks.iter();
            disks.any(|disk| disk.number == number && kind(disk).is_some())
        };
        for (number, ceilings) in self.ceilings() {
            let mut compare = |what, has: Option<u64>, ours: bool| {
                if has.is_some() && ours {
                    let file = format!("io.max: {number}: {what}");
                    found.push(differs(&file, "no limit", &show_rate(has)));
                }
            };
            let reading = wanted.reading && !asked(number, |disk| disk.read);
            let writing = wanted.writing && !asked(number, |disk| disk.write);
            compare("reading", ceilings.read, reading);
            compare("writing", ceilings.write, writing);
        }
    }
}

impl Enforced {
    /// What the kernel has where there is no slice.
    pub(crate) fn nothing() -> Self {
        Self {
            cpu: Limit::Missing,
            cpu_weight: Limit::Missing,
            mem: Limit::Missing,
            mem_high: Limit::Missing,
            mem_low: Limit::Missing,
            mem_low_above: None,
            swap: Limit::Missing,
            tasks: Limit::Missing,
            io_weight: Limit::Missing,
            io_weight_heeded: false,
            io_max: None,
            io_controller: false,
        }
    }
}

#[cfg(test)]
impl Enforced {
    /// What the kernel has where the figures that are always set hold, and nothing beside them.
    pub(crate) fn plain(wanted: &Wanted) -> Self {
        Self {
            cpu: Limit::At(wanted.cpu),
            cpu_weight: Limit::At(wanted.cpu_weight),
            mem: Limit::At(wanted.mem),
            mem_high: Limit::Max,
            mem_low: Limit::At(0),
            mem_low_above: None,
            swap: Limit::At(wanted.swap),
            tasks: Limit::At(wanted.tasks),
            io_weight: Limit::Missing,
            io_weight_heeded: true,
            io_max: None,
            io_controller: true,
        }
    }
}

fn differs(file: &str, asked: &str, has: &str) -> Difference {
    Difference {
        sentence: format!("{file}: {asked} asked for, {has} enforced"),
        mendable: true,
    }
}

fn hopeless(sentence: String) -> Difference {
    Difference {
        sentence,
        mendable: false,
    }
}

fn show_limit(limit: Limit, show: fn(u64) -> String) -> String {
    match limit {
        Limit::Missing => NO_FILE.to_owned(),
        Limit::Max => "no limit".to_owned(),
        Limit::At(value) => show(value),
    }
}

fn show_quota(microseconds: u64) -> String {
    match Cpus::from_quota_per_second(microseconds) {
        Some(cpus) => format!("{cpus} CPUs"),
        None => format!("{microseconds} µs per second"),
    }
}

fn show_bytes(bytes: u64) -> String {
    MemorySize::saturating_from_bytes(bytes).to_string()
}

fn show_count(count: u64) -> String {
    count.to_string()
}

fn show_rate(rate: Option<u64>) -> String {
    match rate {
        Some(bytes) => format!("{} per second", show_bytes(bytes)),
        None => "no limit".to_owned(),
    }
}

#[cfg(test)]
mod tests;
