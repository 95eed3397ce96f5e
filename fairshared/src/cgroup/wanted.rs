//! Limits in the figures that the kernel keeps in its files.

use std::collections::BTreeSet;
use std::io;

use fairshare_core::{CpuWeight, Limits};
use fairshare_protocol::Cpus;

use super::device::{self, DeviceNumber};

/// The least and the largest weight of a cgroup.
const WEIGHTS: (u64, u64) = (1, 10_000);

/// What the files of a slice should say. What policy does not ask for is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Microseconds of CPU time per second.
    pub(crate) cpu: u64,
    pub(crate) cpu_weight: u64,
    pub(crate) mem: u64,
    pub(crate) mem_high: Option<u64>,
    /// What `memory.low` is to say.
    ///
    /// When the machine is short of memory, the kernel protects a slice only as far as every slice
    /// above it is protected. With `memory.low` of `user.slice` at 0, which is what it is unless
    /// somebody asks, no user is protected, not even from another. systemd sets nothing on parents
    /// for their children's sake: `MemoryLow=` on `user.slice` is the administrator's to set, to
    /// the sum that users may have. `DefaultMemoryLow=` does not do instead: it is what the units
    /// below begin with, and leaves the unit itself unprotected. Nor does `memory_recursiveprot`,
    /// which systemd mounts with: it shares out among children what protection a parent has beyond
    /// what they asked for. See `cgroup-v2` of the kernel's guide, `systemd.resource-control(5)`,
    /// and [`Enforced::mem_low_above`](super::Enforced), which tells where it falls short.
    pub(crate) mem_low: Option<u64>,
    pub(crate) swap: u64,
    pub(crate) tasks: u64,
    pub(crate) io_weight: Option<u64>,
    /// Disks with ceilings, each once.
    pub(crate) disks: Vec<Disk>,
    /// Policy has a ceiling for reading, whether the device is there or not.
    pub(crate) reading: bool,
    /// And for writing.
    pub(crate) writing: bool,
    /// Why a ceiling cannot be set, a sentence each.
    pub(crate) without_disk: Vec<String>,
}

/// Ceilings for one disk, in bytes per second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// The node in policy.
    pub(crate) node: String,
    /// The whole disk that the kernel keeps the ceilings on.
    pub(crate) number: DeviceNumber,
    pub(crate) read: Option<u64>,
    pub(crate) write: Option<u64>,
}

impl Wanted {
    /// The figures for these limits. Looks for the devices that they name.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self::with_disks(limits, device::disk_of)
    }

    pub(crate) fn with_disks(
        limits: &Limits,
        disk_of: impl Fn(&str) -> io::Result<DeviceNumber>,
    ) -> Self {
        let (allocation, shaping) = (&limits.allocation, &limits.shaping);
        let mem = allocation.mem.bytes();
        let mut wanted = Self {
            cpu: allocation.cpu.quota_per_second(),
            cpu_weight: cpu_weight(shaping.cpu_weight, allocation.cpu),
            mem: whole_pages(mem),
            mem_high: shaping.mem_high.map(|percent| part_of(mem, percent)),
            mem_low: shaping.mem_guarantee.map(|size| whole_pages(size.bytes())),
            swap: whole_pages(limits.swap.bytes()),
            tasks: allocation.tasks.count(),
            io_weight: shaping.io_weight.map(u64::from),
            disks: Vec::new(),
            reading: shaping.io_bandwidth.iter().any(|one| one.read.is_some()),
            writing: shaping.io_bandwidth.iter().any(|one| one.write.is_some()),
            without_disk: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for one in &shaping.io_bandwidth {
            let node = &one.device;
            match disk_of(node) {
                Ok(number) if seen.insert(number) => wanted.disks.push(Disk {
                    node: node.clone(),
                    number,
                    read: one.read,
                    write: one.write,
                }),
                Ok(number) => wanted.without_disk.push(format!(
                    "io.max: {node}: nothing set: policy names its disk {number} before"
                )),
                Err(error) => wanted
                    .without_disk
                    .push(format!("io.max: {node}: nothing set: {error}")),
            }
        }
        wanted
    }

    /// Where memory is held in the end: at `memory.high`, or at the limit.
    pub(crate) fn memory_floor(&self) -> u64 {
        self.mem_high.unwrap_or(self.mem)
    }
}

/// The weight among the users of a busy machine. Above 100 CPUs all weigh the same: the kernel
/// has no larger weight.
fn cpu_weight(rule: CpuWeight, cpus: Cpus) -> u64 {
    let weight = match rule {
        CpuWeight::FollowsAllocation => (cpus.thousandths() + 5) / 10,
        CpuWeight::Fixed(weight) => u64::from(weight),
    };
    weight.clamp(WEIGHTS.0, WEIGHTS.1)
}

fn part_of(bytes: u64, percent: u8) -> u64 {
    let part = u128::from(bytes) * u128::from(percent) / 100;
    whole_pages(u64::try_from(part).unwrap_or(u64::MAX))
}

/// The kernel keeps memory limits in whole pages, rounded down.
fn whole_pages(bytes: u64) -> u64 {
    let page = u64::try_from(rustix::param::page_size())
        .unwrap_or(4096)
        .max(1);
    bytes - bytes % page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_hundred_for_each_cpu() {
        let follows = |cpus: &str| cpu_weight(CpuWeight::FollowsAllocation, cpus.parse().unwrap());
        assert_eq!(follows("1"), 100);
        assert_eq!(follows("0.9"), 90);
        assert_eq!(follows("2.25"), 225);
        assert_eq!(follows("0.01"), 1);
        assert_eq!(follows("128"), 10_000);
        assert_eq!(cpu_weight(CpuWeight::Fixed(70), Cpus::MAX), 70);
        assert_eq!(cpu_weight(CpuWeight::Fixed(0), Cpus::MAX), 1);
    }

    #[test]
    fn a_part_of_memory_is_whole_pages() {
        assert_eq!(part_of(256 << 20, 95), 255_012_864);
        assert_eq!(part_of(256 << 20, 50), 128 << 20);
        assert_eq!(part_of(1 << 60, 99), 1_141_392_289_560_776_704);
    }
}
