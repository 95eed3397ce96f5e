//! Reading the kernel's cgroup files: the only truth about what is enforced.
//!
//! D-Bus answers with what was asked of systemd. A controller that the kernel lacks, or a drop-in
//! that wins, shows in these files alone. Nothing here writes: limits are systemd's.

mod device;
mod enforced;
mod files;
mod walk;
mod wanted;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fairshare_protocol::{MemorySize, Pressure, SliceInfo};

#[cfg(test)]
pub(crate) use self::device::DeviceNumber;
#[cfg(test)]
pub(crate) use self::enforced::Ceilings;
pub(crate) use self::enforced::{Enforced, Limit};
pub(crate) use self::files::{figure, stalled};
use self::walk::Processes;
pub(crate) use self::walk::{Step, Walk};
pub(crate) use self::wanted::{Disk, Wanted};
use crate::{clock, kernel_file};

/// Every disk.
const DISKS: &str = "/sys/block";

/// The cgroup v2 tree.
#[derive(Clone, Debug)]
pub(crate) struct CgroupTree {
    root: PathBuf,
}

/// The folder of one slice as it is at the moment. A slice that went and came again has another
/// inode.
#[derive(Clone, Debug)]
pub(crate) struct SliceCgroup {
    root: PathBuf,
    folder: PathBuf,
    inode: u64,
}

/// What a cgroup bounds everything in it to. `None`: it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ceiling {
    pub(crate) cpu_thousandths: Option<u64>,
    /// The list of the CPUs that may be used.
    pub(crate) cpus: Option<String>,
    pub(crate) mem_bytes: Option<u64>,
    pub(crate) tasks: Option<u64>,
}

/// Memory in use, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    /// Everything that counts against the limit, page cache included.
    pub(crate) charged: u64,
    /// What the kernel can take back without swap.
    pub(crate) reclaimable: u64,
}

/// What a slice has used since it began, and what it holds. Times are in microseconds, memory in
/// bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UseSoFar {
    pub(crate) cpu: u64,
    /// Time in which the CPU limit held something back.
    pub(crate) throttled: u64,
    /// Time in which something waited for memory.
    pub(crate) stalled: u64,
    /// Memory, without what the kernel can take back.
    pub(crate) held: u64,
    /// Everything that counts against the limit.
    pub(crate) charged: u64,
    /// The most that was charged at once.
    pub(crate) mem_peak: u64,
    pub(crate) tasks: u64,
    /// The most tasks at once.
    pub(crate) tasks_peak: u64,
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

    /// The folder of a slice unit; `None` where the slice is not active.
    pub(crate) fn slice(&self, unit: &str) -> Option<SliceCgroup> {
        let folder = self.folder(unit)?;
        let inode = fs::metadata(&folder).ok()?.ino();
        Some(SliceCgroup {
            root: self.root.clone(),
            folder,
            inode,
        })
    }

    /// CPU time that everything has used, in microseconds.
    pub(crate) fn cpu_used(&self) -> Option<u64> {
        let text = kernel_file::read(&self.root.join("cpu.stat")).ok()?;
        figure(&text, "usage_usec")
    }

    /// How long tasks of everything wait.
    pub(crate) fn pressure(&self) -> Pressure {
        pressure(&self.root)
    }

    /// The names of the cgroups in a slice; none where the slice is not active.
    pub(crate) fn names_in(&self, unit: &str) -> Vec<String> {
        let entries = self.folder(unit).map(fs::read_dir);
        let Some(Ok(entries)) = entries else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.collect()
    }

    /// Whether a unit in a slice is there and has no process; `cgroup.events` counts those below it.
    pub(crate) fn is_empty_in(&self, slice: &str, unit: &str) -> bool {
        let events = self.folder(slice).and_then(|folder| {
            let events = folder.join(unit).join("cgroup.events");
            kernel_file::read(&events).ok()
        });
        events.is_some_and(|text| text.lines().any(|line| line == "populated 0"))
    }

    /// What a slice and each cgroup above it bound their contents to. The root has limits too
    /// where it is a container's.
    pub(crate) fn ceilings_down_to(&self, unit: &str) -> Vec<Ceiling> {
        let folder = self.folder(unit).unwrap_or_else(|| self.root.clone());
        let all = folder.ancestors();
        all.take_while(|folder| folder.starts_with(&self.root))
            .map(Ceiling::of)
            .collect()
    }

    /// A slice's name is its path: `a-b.slice` lies in `a.slice`, see `systemd.slice(5)`.
    fn folder(&self, unit: &str) -> Option<PathBuf> {
        let stem = unit.strip_suffix(".slice")?;
        let mut folder = self.root.clone();
        for (dash, _) in stem.match_indices('-') {
            folder.push(format!("{}.slice", stem.get(..dash)?));
        }
        folder.push(unit);
        Some(folder)
    }
}

impl Ceiling {
    fn of(folder: &Path) -> Self {
        let read = |file: &str| kernel_file::read(&folder.join(file)).ok();
        let limit = |file: &str, parse: fn(&str) -> Limit| match parse(&read(file)?) {
            Limit::At(value) => Some(value),
            Limit::Max | Limit::Missing => None,
        };
        Self {
            cpu_thousandths: limit("cpu.max", files::cpu_max).map(|quota| quota / 1000),
            cpus: read("cpuset.cpus.effective"),
            mem_bytes: limit("memory.max", files::limit),
            tasks: limit("pids.max", files::limit),
        }
    }
}

impl SliceCgroup {
    /// The processes of a cgroup by its path in the tree, such as that of a login in the slice; at
    /// most so many, and none where it is not there.
    pub(crate) fn processes_in(&self, cgroup: &str, most: usize) -> Vec<u32> {
        let folder = self.root.join(cgroup.trim_start_matches('/'));
        // Not more of the list than that: that of a fork bomb is long.
        let mut listed = Processes::of(folder);
        std::iter::from_fn(|| listed.next_process())
            .take(most)
            .collect()
    }

    /// Tells this cgroup from an earlier one of the same name.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether it is still there, and is no other of the same name.
    pub(crate) fn is_there(&self) -> bool {
        fs::metadata(&self.folder).is_ok_and(|found| found.ino() == self.inode)
    }

    /// A walk through this cgroup and those below it, at most `most` of them.
    pub(crate) fn walk(&self, most: usize) -> Walk {
        Walk::new(&self.folder, most)
    }

    /// What the kernel enforces now.
    pub(crate) fn enforced(&self) -> Enforced {
        let limit = |file: &str, parse: fn(&str) -> Limit| {
            self.read(file).map_or(Limit::Missing, |text| parse(&text))
        };
        let mem_low = limit("memory.low", files::limit);
        let io_weight = match limit("io.weight", files::io_weight) {
            Limit::Missing => limit("io.bfq.weight", files::io_weight),
            weight => weight,
        };
        let io_max = self.read("io.max").map(|text| files::io_max(&text));
        let mut enforced = Enforced {
            cpu: limit("cpu.max", files::cpu_max),
            cpu_weight: limit("cpu.weight", files::limit),
            mem: limit("memory.max", files::limit),
            mem_high: limit("memory.high", files::limit),
            mem_low_above: self.protected_less_above(mem_low),
            mem_low,
            swap: limit("memory.swap.max", files::limit),
            tasks: limit("pids.max", files::limit),
            io_weight,
            io_weight_heeded: true,
            io_controller: io_max.is_some() || self.kernel_has("io"),
            io_max,
        };
        // Asked only where there is a weight: nobody has one unless policy says so.
        if enforced.weighs_io() {
            enforced.io_weight_heeded = self.a_disk_heeds_weights(Path::new(DISKS));
        }
        enforced
    }

    /// The slice above that is protected least, where that is less than `own`. The root protects
    /// everything.
    fn protected_less_above(&self, own: Limit) -> Option<(String, u64)> {
        let own = match own {
            Limit::Missing | Limit::At(0) => return None,
            Limit::Max => u64::MAX,
            Limit::At(bytes) => bytes,
        };
        let above = self.folder.ancestors().skip(1);
        above
            .take_while(|folder| *folder != self.root)
            .filter_map(|folder| {
                let low = kernel_file::read(&folder.join("memory.low")).ok()?;
                match files::limit(&low) {
                    Limit::At(low) if low < own => {
                        Some((folder.file_name()?.to_string_lossy().into_owned(), low))
                    }
                    _ => None,
                }
            })
            .min_by_key(|(_, low)| *low)
    }

    /// Whether the kernel has a controller, on in this slice or not.
    fn kernel_has(&self, controller: &str) -> bool {
        kernel_file::read(&self.root.join("cgroup.controllers"))
            .is_ok_and(|list| list.split_whitespace().any(|one| one == controller))
    }

    /// Weights are heeded by the iocost controller where it is enabled for a disk, and by the BFQ
    /// scheduler. Any other kernel keeps the figure and does nothing with it.
    fn a_disk_heeds_weights(&self, disks: &Path) -> bool {
        let enabled = kernel_file::read(&self.root.join("io.cost.qos"))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == "enable=1"));
        let has_bfq = |disk: PathBuf| {
            kernel_file::read(&disk.join("queue/scheduler"))
                .is_ok_and(|schedulers| schedulers.contains("[bfq]"))
        };
        let mut all = fs::read_dir(disks).into_iter().flatten().flatten();
        enabled || all.any(|disk| has_bfq(disk.path()))
    }

    /// Memory in use; `None` where the kernel does not say.
    pub(crate) fn memory(&self) -> Option<MemoryUse> {
        let charged = self.charged()?;
        let stat = self.read("memory.stat")?;
        Some(MemoryUse {
            charged,
            reclaimable: files::reclaimable(&stat),
        })
    }

    /// Everything that counts against the limit on memory, in bytes. Costs less than
    /// [`SliceCgroup::memory`]: for `memory.stat` the kernel adds up what each CPU has counted.
    pub(crate) fn charged(&self) -> Option<u64> {
        self.read("memory.current")?.trim().parse().ok()
    }

    /// CPU time used since the slice began, in microseconds.
    pub(crate) fn cpu_used(&self) -> Option<u64> {
        figure(&self.read("cpu.stat")?, "usage_usec")
    }

    /// CPU time used since the slice began, and the time in which its limit held it back; both in
    /// microseconds.
    pub(crate) fn cpu_used_and_throttled(&self) -> Option<(u64, u64)> {
        let stat = self.read("cpu.stat")?;
        Some((
            figure(&stat, "usage_usec")?,
            figure(&stat, "throttled_usec").unwrap_or(0),
        ))
    }

    /// Tasks that exist.
    pub(crate) fn tasks(&self) -> Option<u64> {
        self.read("pids.current")?.trim().parse().ok()
    }

    /// What was used since the slice began and what it holds, as the history keeps it: figures that
    /// the kernel does not tell are 0. `None` where the slice is not there any more.
    pub(crate) fn use_so_far(&self) -> Option<UseSoFar> {
        let number = |file| self.read(file)?.trim().parse::<u64>().ok();
        let cpu_stat = self.read("cpu.stat")?;
        let memory = self.memory().unwrap_or_default();
        let pressure = self.read("memory.pressure");
        Some(UseSoFar {
            cpu: figure(&cpu_stat, "usage_usec")?,
            throttled: figure(&cpu_stat, "throttled_usec").unwrap_or_default(),
            stalled: pressure.and_then(|text| stalled(&text)).unwrap_or_default(),
            held: memory.charged.saturating_sub(memory.reclaimable),
            charged: memory.charged,
            mem_peak: number("memory.peak").unwrap_or_default(),
            tasks: self.tasks().unwrap_or_default(),
            tasks_peak: number("pids.peak").unwrap_or_default(),
        })
    }

    /// The use of the slice as `status` shows it.
    pub(crate) fn info(&self, unit: &str) -> SliceInfo {
        let memory = self.memory();
        let cache = |memory: MemoryUse| MemorySize::saturating_from_bytes(memory.reclaimable);
        let swap: Option<u64> = self
            .read("memory.swap.current")
            .and_then(|text| text.trim().parse().ok());
        let cpu = self.read("cpu.stat");
        let cpu = |key: &str| figure(cpu.as_deref()?, key);
        SliceInfo {
            unit: unit.to_owned(),
            mem_used: memory.map(MemoryUse::held),
            mem_cache: memory.map(cache),
            tasks_used: self.tasks(),
            swap_used: swap.map(MemorySize::saturating_from_bytes),
            at_us: Some(clock::micros()),
            cpu_us: cpu("usage_usec"),
            cpu_minute: None,
            throttled_us: cpu("throttled_usec"),
            pressure: pressure(&self.folder),
        }
    }

    fn read(&self, file: &str) -> Option<String> {
        kernel_file::read(&self.folder.join(file)).ok()
    }
}

/// How long tasks of a cgroup wait. Without pressure stall information the files are not there, or
/// cannot be read.
fn pressure(folder: &Path) -> Pressure {
    let of = |file: &str| files::some_pressure(&kernel_file::read(&folder.join(file)).ok()?);
    Pressure {
        cpu: of("cpu.pressure"),
        mem: of("memory.pressure"),
        io: of("io.pressure"),
    }
}

#[cfg(test)]
mod tests;
