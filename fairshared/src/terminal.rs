//! Tells a user something on the terminals where they work.
//!
//! A terminal is a user's where its device node is: sshd, `login`, tmux, screen and desktops all
//! give the node to whoever logs in or opens it, and `mesg(1)` and `write(1)` go by the same. So
//! the nodes in `/dev/pts` that the user owns are looked at, and no process: it costs the same for
//! a user of ten thousand processes, and finds the panes of a tmux that outlived its session.
//! What is not in `/dev/pts`, a console or a serial line, is found as the controlling terminal of
//! a session's leader, which there is `login` itself.
//!
//! The user may be hostile. A node is opened without following links and without blocking, checked
//! when it is open, and written to once: a terminal that takes nothing, because its output is
//! stopped with Ctrl-S, misses the line. Nothing here waits.

mod device;
mod pace;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairshare_protocol::printable;
use rustix::fs::{Dev, Dir, Mode, OFlags, open};
use rustix::io::Errno;

use self::device::{Expected, Seen};
use self::pace::Pace;

/// Lines that a user may get at once after a pause.
pub(crate) const BURST: u32 = 5;
/// The time after which a user may get one more line.
pub(crate) const ONE_LINE_EACH: Duration = Duration::from_secs(10);
/// Terminals of a user that one line is written to: those with the latest input.
pub(crate) const MAX_TERMINALS: usize = 32;
/// Nodes of `/dev/pts` that are looked at. The kernel has 4096 unless told otherwise.
pub(crate) const MAX_NODES: usize = 8192;
/// Leaders of sessions that are looked at.
pub(crate) const MAX_LEADERS: usize = 64;
/// Characters of a line.
pub(crate) const MAX_TEXT: usize = 400;

/// Users' terminals.
#[derive(Debug)]
pub(crate) struct Terminals {
    devices: PathBuf,
    processes: PathBuf,
    pace: Mutex<Pace>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is on this many terminals; none where the user has none or wants no messages.
    On(usize),
    /// The user got too many lines of late, and not this one.
    TooOften,
}

impl Terminals {
    /// The terminals of this machine.
    pub(crate) fn new() -> Self {
        Self::under("/dev", "/proc")
    }

    fn under(devices: impl Into<PathBuf>, processes: impl Into<PathBuf>) -> Self {
        Self {
            devices: devices.into(),
            processes: processes.into(),
            pace: Mutex::default(),
        }
    }

    /// Writes a line to the user's terminals. `leaders` are the leaders of the user's sessions;
    /// `now` is in milliseconds, as [`crate::clock::millis`] counts.
    pub(crate) fn tell(&self, uid: u32, leaders: &[u32], text: &str, now: u64) -> Told {
        let admitted = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.admit(uid, now)
        };
        if !admitted {
            return Told::TooOften;
        }
        let line = line(text);
        let mut found = self.pseudoterminals(uid);
        found.extend(self.consoles(uid, leaders));
        found.sort_by_key(|seen| std::cmp::Reverse(seen.last_input));
        found.truncate(MAX_TERMINALS);
        let written = found.iter().filter(|seen| seen.write(uid, &line).is_ok());
        Told::On(written.count())
    }

    /// The user's nodes in `/dev/pts` that take messages.
    fn pseudoterminals(&self, uid: u32) -> Vec<Seen> {
        let Ok(folder) = open_folder(&self.devices.join("pts")) else {
            return Vec::new();
        };
        let Ok(entries) = Dir::read_from(&folder) else {
            return Vec::new();
        };
        entries
            .take(MAX_NODES)
            .filter_map(Result::ok)
            .filter_map(|entry| device::look(&folder, entry.file_name(), &Expected::pts(uid)))
            .collect()
    }

    /// The controlling terminals of the leaders that are no pseudoterminals, such as `/dev/tty1`.
    fn consoles(&self, uid: u32, leaders: &[u32]) -> Vec<Seen> {
        let mut numbers: Vec<Dev> = leaders
            .iter()
            .take(MAX_LEADERS)
            .filter_map(|leader| self.controlling_terminal(*leader))
            .filter(|number| !device::is_pts(*number))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            return Vec::new();
        }
        let Ok(folder) = open_folder(&self.devices) else {
            return Vec::new();
        };
        let Ok(entries) = Dir::read_from(&folder) else {
            return Vec::new();
        };
        let expected = Expected::one_of(uid, &numbers);
        entries
            .take(MAX_NODES)
            .filter_map(Result::ok)
            .filter_map(|entry| device::look(&folder, entry.file_name(), &expected))
            .collect()
    }

    fn controlling_terminal(&self, pid: u32) -> Option<Dev> {
        let stat = std::fs::read_to_string(self.processes.join(format!("{pid}/stat"))).ok()?;
        device::controlling_terminal(&stat)
    }
}

fn open_folder(path: &Path) -> Result<Arc<OwnedFd>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map(Arc::new)
}

/// One line of its own, whatever the terminal shows: also where a full-screen program has turned
/// off what makes `\n` go to the left.
fn line(text: &str) -> Vec<u8> {
    let cut: String = text.chars().take(MAX_TEXT).collect();
    format!("\r\n{}\r\n", printable(&cut)).into_bytes()
}

#[cfg(test)]
mod tests;
