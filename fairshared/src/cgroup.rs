//! Reading the kernel's cgroup files: the only truth about what is enforced.
//!
//! D-Bus answers with what was asked of systemd. A controller that the kernel lacks, or a drop-in
//! that wins, shows in these files alone. Nothing here writes: cgroups are systemd's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fairshare_core::Limits;
use fairshare_protocol::{Cpus, MemorySize, SliceInfo};

/// The cgroup v2 tree.
#[derive(Clone, Debug)]
pub(crate) struct CgroupTree {
    root: PathBuf,
}

/// The folder of one slice as it is at the moment. A slice that went and came again has another
/// inode.
#[derive(Clone, Debug)]
pub(crate) struct SliceCgroup {
    folder: PathBuf,
    inode: u64,
}

/// One limit as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The file is not there or not understood: the controller is off.
    Missing,
    /// No limit.
    Max,
    /// The limit: bytes, a count, or microseconds of CPU time per second.
    At(u64),
}

/// What the kernel enforces on a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enforced {
    pub(crate) cpu: Limit,
    pub(crate) mem: Limit,
    pub(crate) mem_high: Limit,
    pub(crate) swap: Limit,
    pub(crate) tasks: Limit,
}

/// Memory in use, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    /// Everything that counts against the limit, page cache included.
    pub(crate) charged: u64,
    /// What the kernel can take back without swap.
    pub(crate) reclaimable: u64,
}

impl MemoryUse {
    /// What programs hold: shrinking below this kills.
    pub(crate) fn held(self) -> MemorySize {
        MemorySize::saturating_from_bytes(self.charged.saturating_sub(self.reclaimable))
    }
}

impl CgroupTree {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Whether this is a cgroup v2 tree at all.
    pub(crate) fn is_version_2(&self) -> bool {
        self.root.join("cgroup.controllers").exists()
    }

    /// The folder of a slice unit; `None` where the slice is not active. A slice's name is its
    /// path: `a-b.slice` lies in `a.slice`, see `systemd.slice(5)`.
    pub(crate) fn slice(&self, unit: &str) -> Option<SliceCgroup> {
        let stem = unit.strip_suffix(".slice")?;
        let mut folder = self.root.clone();
        for (dash, _) in stem.match_indices('-') {
            folder.push(format!("{}.slice", stem.get(..dash)?));
        }
        folder.push(unit);
        let inode = fs::metadata(&folder).ok()?.ino();
        Some(SliceCgroup { folder, inode })
    }
}

impl SliceCgroup {
    /// Tells this cgroup from an earlier one of the same name.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// What the kernel enforces now.
    pub(crate) fn enforced(&self) -> Enforced {
        let limit = |file: &str| {
            self.read(file)
                .map_or(Limit::Missing, |text| parse_limit(&text))
        };
        Enforced {
            cpu: self
                .read("cpu.max")
                .map_or(Limit::Missing, |text| parse_cpu_max(&text)),
            mem: limit("memory.max"),
            mem_high: limit("memory.high"),
            swap: limit("memory.swap.max"),
            tasks: limit("pids.max"),
        }
    }

    /// Memory in use; `None` where the kernel does not say.
    pub(crate) fn memory(&self) -> Option<MemoryUse> {
        let charged = self.read("memory.current")?.trim().parse().ok()?;
        let stat = self.read("memory.stat")?;
        Some(MemoryUse {
            charged,
            reclaimable: parse_reclaimable(&stat),
        })
    }

    /// Tasks that exist.
    pub(crate) fn tasks(&self) -> Option<u64> {
        self.read("pids.current")?.trim().parse().ok()
    }

    /// The use of the slice as `status` shows it.
    pub(crate) fn info(&self, unit: &str) -> SliceInfo {
        let memory = self.memory();
        let cache = |memory: MemoryUse| MemorySize::saturating_from_bytes(memory.reclaimable);
        SliceInfo {
            unit: unit.to_owned(),
            mem_used: memory.map(MemoryUse::held),
            mem_cache: memory.map(cache),
            tasks_used: self.tasks(),
        }
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }
}

impl Enforced {
    /// Whether exactly these limits are enforced, and memory is not held below its limit.
    pub(crate) fn holds(&self, limits: &Limits) -> bool {
        self.differences(limits).is_empty()
    }

    /// What is enforced otherwise than these limits say, a sentence each.
    pub(crate) fn differences(&self, limits: &Limits) -> Vec<String> {
        let allocation = &limits.allocation;
        let memory = |size: MemorySize| whole_pages(size.bytes());
        let bytes = |bytes: u64| MemorySize::saturating_from_bytes(bytes).to_string();
        let mut found = Vec::new();
        let mut compare = |file, has: Limit, wanted: u64, show: &dyn Fn(u64) -> String| {
            if has != Limit::At(wanted) {
                let has = match has {
                    Limit::Missing => "nothing: the kernel has no such file".to_owned(),
                    Limit::Max => "no limit".to_owned(),
                    Limit::At(value) => show(value),
                };
                found.push(format!(
                    "{file}: {} asked for, {has} enforced",
                    show(wanted)
                ));
            }
        };
        compare(
            "cpu.max",
            self.cpu,
            allocation.cpu.quota_per_second(),
            &show_quota,
        );
        compare("memory.max", self.mem, memory(allocation.mem), &bytes);
        compare("memory.swap.max", self.swap, memory(limits.swap), &bytes);
        compare("pids.max", self.tasks, allocation.tasks.count(), &|count| {
            count.to_string()
        });
        if let Limit::At(high) = self.mem_high
            && high < memory(allocation.mem)
        {
            found.push(format!("memory.high: memory is held at {}", bytes(high)));
        }
        found
    }
}

fn show_quota(microseconds: u64) -> String {
    match Cpus::from_quota_per_second(microseconds) {
        Some(cpus) => format!("{cpus} CPUs"),
        None => format!("{microseconds} µs per second"),
    }
}

/// The kernel keeps memory limits in whole pages, rounded down.
fn whole_pages(bytes: u64) -> u64 {
    let page = u64::try_from(rustix::param::page_size())
        .unwrap_or(4096)
        .max(1);
    bytes - bytes % page
}

fn parse_limit(text: &str) -> Limit {
    match text.trim() {
        "max" => Limit::Max,
        number => number.parse().map_or(Limit::Missing, Limit::At),
    }
}

/// `cpu.max` is `QUOTA PERIOD` in microseconds, `max` for no quota.
fn parse_cpu_max(text: &str) -> Limit {
    let mut words = text.split_whitespace();
    let (quota, period) = (
        words.next(),
        words.next().and_then(|word| word.parse::<u64>().ok()),
    );
    match (quota, period) {
        (Some("max"), _) => Limit::Max,
        (Some(quota), Some(period)) if period > 0 => quota
            .parse::<u64>()
            .ok()
            .and_then(|quota| quota.checked_mul(1_000_000))
            .map_or(Limit::Missing, |scaled| Limit::At(scaled / period)),
        _ => Limit::Missing,
    }
}

/// Page cache without shared memory, and the part of the kernel's own memory that it can free.
/// `memory.stat` counts shared memory among `file`, but keeps it on the lists of anonymous memory,
/// so the two lists of files are exactly what can go: see `cgroup-v2` of the kernel's guide.
fn parse_reclaimable(memory_stat: &str) -> u64 {
    memory_stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(key, _)| matches!(*key, "active_file" | "inactive_file" | "slab_reclaimable"))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use fairshare_protocol::Allocation;

    use super::*;

    fn limits() -> Limits {
        Limits {
            allocation: Allocation {
                cpu: "0.5".parse().unwrap(),
                mem: "256M".parse().unwrap(),
                tasks: "200".parse().unwrap(),
            },
            swap: MemorySize::ZERO,
            shaping: fairshare_core::Shaping::default(),
        }
    }

    fn tree(unit_path: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(unit_path);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        root
    }

    const FILES: [(&str, &str); 5] = [
        ("cpu.max", "50000 100000\n"),
        ("memory.max", "268435456\n"),
        ("memory.high", "max\n"),
        ("memory.swap.max", "0\n"),
        ("pids.max", "200\n"),
    ];

    #[test]
    fn a_slice_lies_where_its_name_says() {
        let root = tree("user.slice/user-1000.slice", &FILES);
        let tree = CgroupTree::new(root.path());
        let slice = tree.slice("user-1000.slice").unwrap();
        assert!(slice.enforced().holds(&limits()));
        assert!(tree.slice("user-1001.slice").is_none());
        assert!(tree.slice("user-1000.scope").is_none());
    }

    #[test]
    fn every_difference_is_named() {
        let root = tree(
            "user.slice/user-1000.slice",
            &[
                ("cpu.max", "max 100000\n"),
                ("memory.max", "134217728\n"),
                ("memory.high", "67108864\n"),
                ("pids.max", "7\n"),
            ],
        );
        let slice = CgroupTree::new(root.path())
            .slice("user-1000.slice")
            .unwrap();
        assert_eq!(
            slice.enforced().differences(&limits()),
            [
                "cpu.max: 0.5 CPUs asked for, no limit enforced",
                "memory.max: 256M asked for, 128M enforced",
                "memory.swap.max: 0 asked for, nothing: the kernel has no such file enforced",
                "pids.max: 200 asked for, 7 enforced",
                "memory.high: memory is held at 64M",
            ]
        );
    }

    #[test]
    fn a_memory_limit_counts_in_whole_pages() {
        let root = tree("user.slice/user-1000.slice", &FILES);
        let slice = CgroupTree::new(root.path())
            .slice("user-1000.slice")
            .unwrap();
        let mut odd = limits();
        odd.allocation.mem = MemorySize::from_bytes(268_435_456 + 4095).unwrap();
        assert!(slice.enforced().holds(&odd));
    }

    #[test]
    fn page_cache_is_not_held_by_programs() {
        let root = tree(
            "user.slice/user-1000.slice",
            &[
                ("memory.current", "1000\n"),
                (
                    "memory.stat",
                    "anon 300\nfile 650\nshmem 50\nactive_file 400\ninactive_file 200\n",
                ),
            ],
        );
        let slice = CgroupTree::new(root.path())
            .slice("user-1000.slice")
            .unwrap();
        assert_eq!(slice.memory().unwrap().held().bytes(), 400);
    }

    #[test]
    fn quotas_in_any_period_are_read() {
        assert_eq!(parse_cpu_max("50000 100000\n"), Limit::At(500_000));
        assert_eq!(parse_cpu_max("20000 10000\n"), Limit::At(2_000_000));
        assert_eq!(parse_cpu_max("max 100000\n"), Limit::Max);
        for wrong in ["", "x 5", "5", "5 0", "18446744073709551615 100000"] {
            assert_eq!(parse_cpu_max(wrong), Limit::Missing, "{wrong}");
        }
    }
}
