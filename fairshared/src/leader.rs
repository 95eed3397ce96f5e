//! The leader of a session: the process whose end ends the session.
//!
//! A PAM module's close is only a hint: its host can be killed. The kernel's word that the leader
//! is gone is not. A pidfd names one process for good, whatever becomes of its number.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use fairshare_core::ledger::Leader;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cgroup::SliceCgroup;
use crate::{descriptor, kernel_file};

/// Processes of a login that are looked at. Its shell is one of the first.
const MOST_OF_A_LOGIN: usize = 64;

/// A process at the moment it was looked at.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number and start time.
    pub(crate) leader: Leader,
    /// Its cgroup v2 path, such as `/user.slice/user-1000.slice/session-3.scope`.
    pub(crate) cgroup: String,
    pidfd: OwnedFd,
}

/// Where a process is, seen from the slice of the user that it logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Inside the user's slice.
    Inside,
    /// Inside the slice of this other user, whose limits hold for it: `su` in a session.
    InOther(u32),
    /// Anywhere else, root's slice included: outside of every limit.
    Elsewhere,
}

impl Process {
    /// Looks at a process. The pidfd is opened first, so the facts are of the process that it
    /// names, or of none.
    ///
    /// # Errors
    /// `NotFound` where there is no such process.
    pub(crate) fn look(pid: u32) -> io::Result<Self> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, format!("no process {pid}"));
        let raw = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(gone)?;
        let pidfd = pidfd_open(raw, PidfdFlags::NONBLOCK).map_err(|error| match error {
            rustix::io::Errno::SRCH => gone(),
            other => other.into(),
        })?;
        let stat = read_proc(pid, "stat")?;
        let start_time = parse_start_time(&stat)
            .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not understood")))?;
        let cgroup = parse_cgroup(&read_proc(pid, "cgroup")?).ok_or_else(|| {
            io::Error::other(format!("process {pid} is in no cgroup v2 hierarchy"))
        })?;
        // Only a process that still runs has kept its number for itself until here.
        if descriptor::is_readable(&pidfd)? {
            return Err(gone());
        }
        Ok(Self {
            leader: Leader { pid, start_time },
            cgroup,
            pidfd,
        })
    }

    /// The process that a leader was recorded as, if it still runs.
    pub(crate) fn find(leader: Leader) -> Option<Self> {
        Self::look(leader.pid)
            .ok()
            .filter(|process| process.leader == leader)
    }

    /// Where it is, seen from the slice unit of this user.
    pub(crate) fn place(&self, uid: u32, slice: &str) -> Place {
        place(&self.cgroup, uid, slice)
    }

    /// The number that logind has given the login that the process is in, where it is in one.
    pub(crate) fn login_id(&self) -> Option<&str> {
        login_id(&self.cgroup)
    }

    /// Whether a process of the login that it leads is on a terminal: a person works there. Files
    /// that are copied have none.
    ///
    /// It is not told a shell from a command for which a terminal was asked: only the memory of the
    /// process says that, which may be made such that reading it never ends.
    pub(crate) fn has_terminal_in(&self, slice: &SliceCgroup) -> bool {
        let processes = slice.processes_in(&self.cgroup, MOST_OF_A_LOGIN);
        processes
            .into_iter()
            .any(|pid| read_proc(pid, "stat").is_ok_and(|stat| has_terminal(&stat)))
    }

    /// Waits until the process is gone. Without an event nothing runs.
    pub(crate) async fn gone(self) -> io::Result<()> {
        // The kernel makes a pidfd readable when the process has ended: pidfd_open(2).
        descriptor::readable(self.pidfd).await
    }
}

/// Field 7 of `/proc/PID/stat` is the controlling terminal, 0 for none.
fn has_terminal(stat: &str) -> bool {
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let terminal = fields.and_then(|fields| fields.split_whitespace().nth(4));
    terminal.is_some_and(|number| number != "0")
}

fn read_proc(pid: u32, file: &str) -> io::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    kernel_file::read_lossy(Path::new(&path))
        .map_err(|error| io::Error::new(error.kind(), format!("read {path}: {error}")))
}

/// Field 22 of `/proc/PID/stat`. The second field is the program's name in parentheses and may
/// hold anything, so the fields are counted from the last `)`.
pub(crate) fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// The program's name of `/proc/PID/stat`, which may hold anything, parentheses too.
pub(crate) fn parse_program(stat: &str) -> Option<&str> {
    let (begin, end) = (stat.find('(')?, stat.rfind(')')?);
    stat.get(begin + 1..end)
}

/// The path in the line of cgroup v2, `0::PATH`.
fn parse_cgroup(text: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix("0::"))
        .map(str::to_owned)
}

/// Only the two components at the top count: further down users name their slices themselves.
pub(crate) fn place(cgroup: &str, uid: u32, slice: &str) -> Place {
    let mut components = cgroup.split('/').skip(1);
    let (top, unit) = (components.next(), components.next().unwrap_or_default());
    if !matches!(top, Some("user.slice" | "fairshare.slice")) {
        return Place::Elsewhere;
    }
    if unit == slice {
        return Place::Inside;
    }
    match slice_user(unit) {
        Some(other) if other != uid && other != 0 => Place::InOther(other),
        _ => Place::Elsewhere,
    }
}

/// The scope of a login lies in the user's slice; what lies below it has its own names.
fn login_id(cgroup: &str) -> Option<&str> {
    let scope = cgroup.split('/').nth(3)?;
    scope.strip_prefix("session-")?.strip_suffix(".scope")
}

/// The user that a slice unit belongs to: `user-1000.slice` or `fairshare-1000.slice`.
pub(crate) fn slice_user(unit: &str) -> Option<u32> {
    let stem = unit.strip_suffix(".slice")?;
    let uid = stem
        .strip_prefix("user-")
        .or_else(|| stem.strip_prefix("fairshare-"))?;
    uid.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_programs_name_cannot_forge_its_start_time() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("7 (a) S 1 1 (b) {}", fields.join(" "));
        assert_eq!(parse_start_time(&stat), Some(22));
        assert_eq!(parse_start_time("7 (a)"), None);
    }

    #[test]
    fn a_process_is_inside_in_anothers_or_elsewhere() {
        for (cgroup, expected) in [
            ("/user.slice/user-1000.slice/session-3.scope", Place::Inside),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope",
                Place::Inside,
            ),
            (
                "/user.slice/user-1001.slice/session-4.scope",
                Place::InOther(1001),
            ),
            (
                "/fairshare.slice/fairshare-1001.slice/a.scope",
                Place::InOther(1001),
            ),
            ("/user.slice/user-0.slice/session-1.scope", Place::Elsewhere),
            ("/system.slice/cron.service", Place::Elsewhere),
            (
                "/fairshare.slice/fairshare-1000.slice/a.scope",
                Place::Elsewhere,
            ),
            ("/", Place::Elsewhere),
            ("/system.slice/user-1000.slice/a.scope", Place::Elsewhere),
            (
                "/user.slice/user-1001.slice/user@1001.service/user-1000.slice/a.scope",
                Place::InOther(1001),
            ),
        ] {
            assert_eq!(place(cgroup, 1000, "user-1000.slice"), expected, "{cgroup}");
        }
    }

    #[test]
    fn a_login_is_told_from_its_scope() {
        let id = |rest: &str| {
            let cgroup = format!("/user.slice/user-1000.slice/{rest}");
            login_id(&cgroup).map(str::to_owned)
        };
        assert_eq!(id("session-c3.scope").as_deref(), Some("c3"));
        assert_eq!(id("session-3.scope/inner").as_deref(), Some("3"));
        assert_eq!(id("user@1000.service/session-3.scope"), None);
        assert_eq!(login_id("/system.slice/ssh.service"), None);
    }

    #[test]
    fn the_cgroup_line_of_version_2_is_found_among_others() {
        assert_eq!(parse_cgroup("3:cpu:/a\n0::/b/c\n"), Some("/b/c".to_owned()));
        assert_eq!(parse_cgroup("3:cpu:/a\n"), None);
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_heard() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process::look(child.id()).unwrap();
        let leader = process.leader;
        assert!(Process::find(leader).is_some());
        let another = Leader {
            start_time: leader.start_time + 1,
            ..leader
        };
        assert!(
            Process::find(another).is_none(),
            "a reused number is another process"
        );

        let gone = tokio::spawn(process.gone());
        child.kill().unwrap();
        gone.await.unwrap().unwrap();
        child.wait().unwrap();
        assert!(Process::find(leader).is_none());
    }

    #[test]
    fn what_cannot_be_a_process_is_not_found() {
        for pid in [0, u32::MAX, i32::MAX.unsigned_abs()] {
            assert_eq!(
                Process::look(pid).unwrap_err().kind(),
                io::ErrorKind::NotFound
            );
        }
    }
}
