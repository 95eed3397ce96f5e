//! The processes in a slice and what each of them uses.
//!
//! One file of each process is read, `/proc/PID/stat`: it has all that is told and, unlike `cmdline`,
//! never waits for a process that the kernel holds up.

use std::path::Path;

use fairshare_protocol::{IncidentProcess, MemorySize};

use crate::cgroup::{SliceCgroup, Step};
use crate::pace::Pace;
use crate::{kernel_file, leader};

const PROC: &str = "/proc";
/// The most cgroups of a slice that are gone into for [`largest`].
const MOST_CGROUPS: usize = 128;
/// The most entries of their folders that are looked at. A folder of a cgroup has some 60 files.
const MOST_STEPS: usize = 2048;
/// The most processes that are looked at for [`largest`]: with the steps, less than 5 ms.
const MOST_PROCESSES: usize = 256;
/// The same for [`all`], which lets others run.
const ALL_CGROUPS: usize = 4096;
const ALL_PROCESSES: usize = 16_384;

/// A process as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// The name of its program: 15 bytes at the most, and the user's choice.
    pub(crate) command: String,
    /// `R` runs, `S` sleeps, `D` waits for a device, and so on: `proc_pid_stat(5)`.
    pub(crate) state: char,
    /// Its resident set, in bytes.
    pub(crate) mem: u64,
    /// CPU time that it has used, in milliseconds.
    pub(crate) cpu_ms: u64,
    /// When it began, in milliseconds since the machine was booted.
    pub(crate) started_ms: u64,
}

/// The processes that hold most memory, the largest first, at most `most`.
///
/// Of a slice with very many cgroups or processes not all are looked at: a fork bomb must not cost the
/// daemon its time. Others run in between.
pub(crate) async fn largest(slice: &SliceCgroup, most: usize) -> Vec<IncidentProcess> {
    first_in(Path::new(PROC), slice, most, sort).await
}

/// Those that have used most CPU time since they began, likewise.
pub(crate) async fn busiest(slice: &SliceCgroup, most: usize) -> Vec<IncidentProcess> {
    first_in(Path::new(PROC), slice, most, sort_by_cpu).await
}

/// The processes of a slice, the largest first, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) processes: Vec<Process>,
    pub(crate) total: u64,
    /// There were too many to look at all.
    pub(crate) cut: bool,
}

/// The processes of a slice that hold most memory, at most `most`. Others run in between.
pub(crate) async fn all(slice: &SliceCgroup, most: usize) -> Found {
    all_in(Path::new(PROC), slice, most).await
}

async fn all_in(proc: &Path, slice: &SliceCgroup, most: usize) -> Found {
    let mut pace = Pace::default();
    let mut walk = slice.walk(ALL_CGROUPS);
    let mut found = Found::default();
    let mut looked = 0;
    'walk: while let Some(step) = walk.step(|_| false) {
        pace.step().await;
        let Step::Cgroup(mut cgroup) = step else {
            continue;
        };
        while let Some(pid) = cgroup.next_process() {
            pace.step().await;
            if looked == ALL_PROCESSES {
                found.cut = true;
                break 'walk;
            }
            looked += 1;
            if let Some(process) = Process::read(proc, pid) {
                found.total += 1;
                found.processes.push(process);
            }
            // Only the largest are kept meanwhile.
            if found.processes.len() > most.saturating_mul(2) {
                sort(&mut found.processes);
                found.processes.truncate(most);
            }
        }
    }
    sort(&mut found.processes);
    found.processes.truncate(most);
    found.cut |= walk.is_cut();
    found
}

async fn first_in(
    proc: &Path,
    slice: &SliceCgroup,
    most: usize,
    sort: fn(&mut [Process]),
) -> Vec<IncidentProcess> {
    let mut pace = Pace::default();
    let mut walk = slice.walk(MOST_CGROUPS);
    let mut found = Vec::new();
    let mut looked = 0;
    for _ in 0..MOST_STEPS {
        pace.step().await;
        let mut cgroup = match walk.step(|_| false) {
            None => break,
            Some(Step::Looked) => continue,
            Some(Step::Cgroup(cgroup)) => cgroup,
        };
        while looked < MOST_PROCESSES
            && let Some(pid) = cgroup.next_process()
        {
            pace.step().await;
            looked += 1;
            found.extend(Process::read(proc, pid));
        }
    }
    sort(&mut found);
    found.truncate(most);
    let told = found.into_iter().map(|process| IncidentProcess {
        pid: process.pid,
        command: process.command,
        mem: MemorySize::saturating_from_bytes(process.mem),
        cpu_s: process.cpu_ms / 1000,
    });
    told.collect()
}

/// The largest first; among equals the oldest.
fn sort(processes: &mut [Process]) {
    processes.sort_by(|a, b| b.mem.cmp(&a.mem).then(a.started_ms.cmp(&b.started_ms)));
}

/// Who has used most CPU time first; among equals the oldest.
fn sort_by_cpu(processes: &mut [Process]) {
    processes.sort_by(|a, b| {
        let used = b.cpu_ms.cmp(&a.cpu_ms);
        used.then(a.started_ms.cmp(&b.started_ms))
    });
}

impl Process {
    /// `None` where it is gone.
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        let stat = kernel_file::read_lossy(&proc.join(format!("{pid}/stat"))).ok()?;
        Self::parse(pid, &stat)
    }

    /// Of `/proc/PID/stat`. The second field may hold anything, so the others are counted from its
    /// last `)`.
    fn parse(pid: u32, stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let state = fields.next()?.chars().next()?;
        // The third field was the first here.
        let numbers: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
        let field = |number: usize| numbers.get(number.checked_sub(4)?).copied();
        let tick = 1000 / rustix::param::clock_ticks_per_second().clamp(1, 1000);
        let page = u64::try_from(rustix::param::page_size()).ok()?;
        Some(Self {
            pid,
            command: leader::parse_program(stat)?.to_owned(),
            state,
            mem: field(24)?.saturating_mul(page),
            cpu_ms: field(14)?.saturating_add(field(15)?).saturating_mul(tick),
            started_ms: field(22)?.saturating_mul(tick),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cgroup::CgroupTree;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// A cgroup in the slice of user 1000, with these processes.
        fn cgroup(&self, below: &str, pids: &[u32]) {
            let slice = self.0.path().join("cgroup/user.slice/user-1000.slice");
            let folder = slice.join(below);
            fs::create_dir_all(&folder).unwrap();
            let lines: Vec<String> = pids.iter().map(|pid| format!("{pid}\n")).collect();
            fs::write(folder.join("cgroup.procs"), lines.concat()).unwrap();
        }

        fn process(&self, pid: u32, name: &[u8], pages: u64) {
            let folder = self.0.path().join("proc").join(pid.to_string());
            fs::create_dir_all(&folder).unwrap();
            let front = format!("{pid} (");
            let back = format!(
                ") S 1{} 150 50 0 0 20 0 1 0 700 9 {pages} 1\n",
                " 7".repeat(9)
            );
            let text = [front.as_bytes(), name, back.as_bytes()].concat();
            fs::write(folder.join("stat"), text).unwrap();
        }

        fn slice(&self) -> SliceCgroup {
            CgroupTree::new(&self.0.path().join("cgroup"))
                .slice("user-1000.slice")
                .unwrap()
        }

        async fn largest(&self, most: usize) -> Vec<IncidentProcess> {
            first_in(&self.0.path().join("proc"), &self.slice(), most, sort).await
        }

        async fn all(&self, most: usize) -> Found {
            all_in(&self.0.path().join("proc"), &self.slice(), most).await
        }
    }

    #[tokio::test]
    async fn the_largest_come_first_from_all_cgroups_below() {
        let tree = Tree::new();
        tree.cgroup("session-1.scope", &[11, 12, 99]);
        tree.cgroup("user@1000.service/app.slice/x.service", &[13]);
        tree.process(11, b"bash", 100);
        tree.process(12, b"a) R 9 (b\n\xff", 300);
        tree.process(13, b"python3", 200);
        let page = u64::try_from(rustix::param::page_size()).unwrap();
        let found = tree.largest(2).await;
        let told = |one: &IncidentProcess| (one.pid, one.mem.bytes() / page, one.cpu_s);
        let told: Vec<_> = found.iter().map(told).collect();
        assert_eq!(told, [(12, 300, 2), (13, 200, 2)]);
        assert_eq!(found[0].command, "a) R 9 (b\n\u{fffd}");
        assert_eq!(tree.largest(9).await.len(), 3, "99 is gone");
    }

    #[test]
    fn the_busiest_need_not_be_the_largest() {
        let process = |pid, mem, cpu_ms| Process {
            pid,
            command: "sh".to_owned(),
            state: 'R',
            mem,
            cpu_ms,
            started_ms: 0,
        };
        let mut found = [process(1, 300, 10), process(2, 100, 20_000)];
        sort_by_cpu(&mut found);
        assert_eq!(found.map(|one| one.pid), [2, 1]);
    }

    #[tokio::test]
    async fn a_fork_bomb_costs_no_more_than_a_look_at_some() {
        let tree = Tree::new();
        let pids: Vec<u32> = (1..=20_000).collect();
        tree.cgroup("session-1.scope", &pids);
        for pid in 1..=300 {
            tree.process(pid, b"bomb", u64::from(pid));
        }
        for number in 0..3000 {
            tree.cgroup(&format!("many/{number}.scope"), &[]);
        }
        let all = tree.all(10).await;
        assert_eq!((all.total, all.processes.len()), (300, 10));
        assert_eq!(all.processes[0].pid, 300);
        assert!(all.cut, "{} are too many", pids.len());
        let begin = Instant::now();
        let found = tree.largest(MOST_PROCESSES * 2).await;
        // Some 5 ms; more is let pass on a machine that has other things to do.
        assert!(begin.elapsed() < Duration::from_millis(500));
        assert!(found.len() <= MOST_PROCESSES, "{}", found.len());
    }

    #[test]
    fn the_kernels_own_line_is_read() {
        let own = Process::read(Path::new(PROC), std::process::id()).unwrap();
        assert!(own.mem > 100_000, "{own:?}");
        assert!(matches!(own.state, 'R' | 'S'), "{own:?}");
        let now = crate::clock::millis();
        assert!(
            own.started_ms <= now && now - own.started_ms < 600_000,
            "{own:?}"
        );
    }
}
