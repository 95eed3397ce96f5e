//! What the machine has: what users can have together, before policy keeps some of it back.
//!
//! That is what the kernel manages, or less where the cgroups above the users' slices are limited:
//! in a container, or where an administrator limits `user.slice`. What lies above the daemon alone
//! does not count: a limit on `system.slice` leaves the users more, not less.
//!
//! Capacity changes: CPUs go offline, memory is plugged in, a container is given more. Nothing is
//! told of all of them. The kernel sends uevents for the first two, and not into a container; for a
//! new limit on a cgroup it sends none. So the figures are read again whenever a user asks for
//! something. That is a handful of small files, which the kernel makes up in memory: some tens of
//! microseconds.

use std::io;
use std::path::{Path, PathBuf};

use fairshare_core::policy::Machine;
use fairshare_protocol::{MachineInfo, MemorySize};

use crate::cgroup::{Ceiling, CgroupTree};
use crate::{clock, kernel_file};

/// The kernel's list of the CPUs that are online, such as `0-3,8`.
const ONLINE_CPUS: &str = "sys/devices/system/cpu/online";
/// The kernel's figures on memory.
const MEMINFO: &str = "proc/meminfo";
/// The kernel numbers processes and threads up to this.
const PID_MAX: &str = "proc/sys/kernel/pid_max";
/// The kernel makes no more processes and threads than this, which goes by the memory.
const THREADS_MAX: &str = "proc/sys/kernel/threads-max";

/// Reads what the machine has, as often as it is asked.
#[derive(Debug)]
pub(crate) struct Meter {
    root: PathBuf,
    cgroups: CgroupTree,
    users: &'static str,
}

impl Meter {
    /// For a machine whose users' slices lie in the slice `users` of the tree.
    pub(crate) fn new(cgroups: CgroupTree, users: &'static str) -> Self {
        Self {
            root: PathBuf::from("/"),
            cgroups,
            users,
        }
    }

    /// For a machine whose `/proc` and `/sys` lie in a folder.
    #[cfg(test)]
    pub(crate) fn at(root: &Path, cgroups: CgroupTree, users: &'static str) -> Self {
        Self {
            root: root.to_owned(),
            ..Self::new(cgroups, users)
        }
    }

    /// What is in use of the machine now; what the kernel does not say is left out.
    pub(crate) fn in_use(&self) -> MachineInfo {
        let meminfo = kernel_file::read(&self.root.join(MEMINFO)).ok();
        let used = meminfo.as_deref().and_then(|text| {
            parse_meminfo(text, "MemTotal:")?.checked_sub(parse_meminfo(text, "MemAvailable:")?)
        });
        MachineInfo {
            at_us: Some(clock::micros()),
            cpu_us: self.cgroups.cpu_used(),
            mem_used: used.map(MemorySize::saturating_from_bytes),
            pressure: self.cgroups.pressure(),
            ..MachineInfo::default()
        }
    }

    /// What the machine has now.
    pub(crate) fn read(&self) -> io::Result<Machine> {
        let mut machine = Machine {
            cpu_thousandths: self.figure(ONLINE_CPUS, parse_cpu_list)? * 1000,
            mem_bytes: self.figure(MEMINFO, parse_mem_total)?,
            tasks: self
                .figure(PID_MAX, parse_count)?
                .min(self.figure(THREADS_MAX, parse_count)?),
        };
        for ceiling in self.cgroups.ceilings_down_to(self.users) {
            lower(&mut machine, &ceiling);
        }
        Ok(machine)
    }

    fn figure(&self, file: &str, parse: fn(&str) -> Option<u64>) -> io::Result<u64> {
        read(&self.root.join(file), parse)
    }
}

fn lower(machine: &mut Machine, ceiling: &Ceiling) {
    let lower = |figure: &mut u64, to: Option<u64>| *figure = to.unwrap_or(*figure).min(*figure);
    lower(&mut machine.cpu_thousandths, ceiling.cpu_thousandths);
    let cpus = ceiling.cpus.as_deref().and_then(parse_cpu_list);
    lower(&mut machine.cpu_thousandths, cpus.map(|cpus| cpus * 1000));
    lower(&mut machine.mem_bytes, ceiling.mem_bytes);
    lower(&mut machine.tasks, ceiling.tasks);
}

fn read(path: &Path, parse: fn(&str) -> Option<u64>) -> io::Result<u64> {
    let shown = path.display();
    let text = kernel_file::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("read {shown}: {error}")))?;
    parse(&text).ok_or_else(|| io::Error::other(format!("{shown} is not understood")))
}

fn parse_count(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn parse_cpu_list(list: &str) -> Option<u64> {
    list.trim().split(',').try_fold(0, |sum, range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        Some(sum + to.checked_sub(from)? + 1)
    })
}

fn parse_mem_total(meminfo: &str) -> Option<u64> {
    parse_meminfo(meminfo, "MemTotal:")
}

fn parse_meminfo(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A machine of eight CPUs and 16 GiB.
    struct Fake {
        root: tempfile::TempDir,
        meter: Meter,
    }

    impl Fake {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let tree = CgroupTree::new(&root.path().join("cgroup"));
            let mut meter = Meter::new(tree, "user.slice");
            meter.root = root.path().to_owned();
            let fake = Self { root, meter };
            fake.write(ONLINE_CPUS, "0-7\n");
            fake.write(MEMINFO, "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
            fake.write(PID_MAX, "4194304\n");
            fake.write(THREADS_MAX, "127000\n");
            fake
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn figures(&mut self) -> (u64, u64, u64) {
            let machine = self.meter.read().unwrap();
            (
                machine.cpu_thousandths,
                machine.mem_bytes >> 20,
                machine.tasks,
            )
        }
    }

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(parse_cpu_list("0-3,8\n"), Some(5));
        assert_eq!(parse_cpu_list("0\n"), Some(1));
        assert_eq!(parse_cpu_list("3-1"), None);
        assert_eq!(parse_cpu_list(""), None);
        assert_eq!(
            parse_mem_total("MemTotal:  2014264 kB\nMemFree: 1 kB\n"),
            Some(2_062_606_336)
        );
        assert_eq!(parse_mem_total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn this_machine_has_something() {
        let tree = CgroupTree::new(Path::new("/sys/fs/cgroup"));
        let machine = Meter::new(tree, "user.slice").read().unwrap();
        assert!(machine.cpu_thousandths > 0 && machine.mem_bytes > 1 << 20 && machine.tasks > 100);
    }

    #[test]
    fn without_cgroup_limits_it_is_what_the_kernel_has() {
        let mut fake = Fake::new();
        assert_eq!(fake.figures(), (8000, 16384, 127_000));
        fake.write("cgroup/user.slice/cpu.max", "max 100000\n");
        fake.write("cgroup/user.slice/memory.max", "max\n");
        fake.write("cgroup/user.slice/pids.max", "max\n");
        assert_eq!(fake.figures(), (8000, 16384, 127_000));
        fake.write(PID_MAX, "32768\n");
        assert_eq!(fake.figures(), (8000, 16384, 32_768));
    }

    #[test]
    fn the_least_limit_above_the_users_bounds_it() {
        let mut fake = Fake::new();
        // A container's own limits are on its root.
        fake.write("cgroup/cpu.max", "350000 100000\n");
        fake.write("cgroup/memory.max", "4294967296\n");
        fake.write("cgroup/pids.max", "16384\n");
        assert_eq!(fake.figures(), (3500, 4096, 16_384));
        fake.write("cgroup/user.slice/memory.max", "2147483648\n");
        fake.write("cgroup/user.slice/cpu.max", "max 100000\n");
        fake.write("cgroup/user.slice/cpuset.cpus.effective", "0-1,4\n");
        assert_eq!(fake.figures(), (3000, 2048, 16_384));
        // Above the daemon, but not above users.
        fake.write("cgroup/system.slice/memory.max", "1048576\n");
        fake.write("cgroup/user.slice/user-1000.slice/memory.max", "1048576\n");
        assert_eq!(fake.figures(), (3000, 2048, 16_384));
    }

    #[test]
    fn a_change_is_seen_and_nonsense_is_named() {
        let fake = Fake::new();
        fake.write(ONLINE_CPUS, "0-3\n");
        assert_eq!(fake.meter.read().unwrap().cpu_thousandths, 4000);
        fake.write(MEMINFO, "nonsense\n");
        let error = fake.meter.read().unwrap_err().to_string();
        assert!(error.ends_with("proc/meminfo is not understood"), "{error}");
    }
}
