//! Finding strays: processes of users outside of their slices.
//!
//! The cgroup tree is walked without the slices of users, where processes are as they should be. So
//! a look costs as much as there runs outside of them, and not as much as users run. Whose a
//! process is tells one `stat` of its folder in `/proc`; more is read only of those that stray.
//!
//! The walk is made in short steps with room for others between them, because the daemon has one
//! thread. Nothing is read that waits for a process: `/proc/PID/cmdline` can hang with a process
//! that the kernel holds up, so a stray is told by the name of its program.
//!
//! A process is a user's where its effective UID is the user's and its real one is not root's. A daemon
//! of root's that acts for a user for a moment has root's real UID and is none; nor is a setuid
//! program of root's. One of a user's that another has begun is its owner's: nobody hides that way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fairshare_core::ledger::Leader;
use rustix::fs::{AtFlags, statat};

use crate::cgroup::{Step, Walk};
use crate::kernel_file;
use crate::leader::{self, Place, slice_user};
use crate::pace::Pace;

/// The most cgroups that one look goes into.
pub(crate) const MAX_CGROUPS: usize = 16_384;
/// The most processes that one look looks at.
pub(crate) const MAX_PROCESSES: usize = 262_144;
/// The most strays that a look keeps.
pub(crate) const MAX_KEPT: usize = 2048;
/// The most of them that one user has in one unit, so that many of one are not all that is told.
pub(crate) const MAX_KEPT_OF_UNIT: usize = 64;
/// The most of them that one unit has of all users, so that a container with thousands of UIDs is not
/// all that is told.
const MAX_KEPT_OF_UNIT_OF_ALL: usize = 512;
/// The longest path of a cgroup that is kept, in characters.
const LONGEST_CGROUP: usize = 256;

/// The UIDs that systemd gives to services with `DynamicUser=`: see `UIDS-GIDS` of systemd. They
/// are above `UID_MIN` and nobody's.
const OF_SERVICES: std::ops::RangeInclusive<u32> = 61_184..=65_519;

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    proc: PathBuf,
    cgroups: PathBuf,
    most_cgroups: usize,
}

/// Who is looked for.
pub(crate) struct Whom<'a> {
    /// Whether policy may cover this UID.
    pub(crate) covers: &'a (dyn Fn(u32) -> bool + Send + Sync),
    /// The slice that the user belongs into.
    pub(crate) slice: &'a (dyn Fn(u32) -> String + Send + Sync),
}

/// A process outside of its user's slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stray {
    pub(crate) uid: u32,
    /// The process, told from a later one of the same number.
    pub(crate) process: Leader,
    /// The name of its program as the kernel has it: 15 bytes at the most, and the user's choice.
    pub(crate) command: String,
    /// The path of its cgroup.
    pub(crate) cgroup: String,
    /// The unit of the system's that it is in; `None` where it is in none.
    pub(crate) unit: Option<String>,
}

/// What a look has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) strays: Vec<Stray>,
    /// How many more each user has.
    pub(crate) left_out: BTreeMap<u32, u64>,
    /// The look ended early: there were too many cgroups or processes.
    pub(crate) cut: bool,
    /// How many processes were looked at.
    pub(crate) processes: usize,
}

impl Finder {
    pub(crate) fn new(proc: &Path, cgroups: &Path) -> Self {
        Self {
            proc: proc.to_owned(),
            cgroups: cgroups.to_owned(),
            most_cgroups: MAX_CGROUPS,
        }
    }

    /// Looks for strays. Others run in between.
    ///
    /// # Errors
    /// Where `/proc` cannot be opened. A process or cgroup that goes meanwhile is none.
    pub(crate) async fn look(&self, whom: &Whom<'_>) -> io::Result<Found> {
        let proc = File::open(&self.proc).map_err(|error| {
            let message = format!("open {}: {error}", self.proc.display());
            io::Error::new(error.kind(), message)
        })?;
        let mut pace = Pace::default();
        let mut walk = Walk::new(&self.cgroups, self.most_cgroups);
        let mut kept = Kept::default();
        while let Some(step) = walk.step(|path| belongs(path, whom)) {
            let Step::Cgroup(mut cgroup) = step else {
                pace.step().await;
                continue;
            };
            let mut here = None;
            while let Some(pid) = cgroup.next_process() {
                pace.step().await;
                if kept.found.processes == MAX_PROCESSES {
                    kept.found.cut = true;
                    return Ok(kept.found);
                }
                kept.found.processes += 1;
                let Some(uid) = owner(&proc, pid).filter(|uid| is_looked_for(*uid, whom)) else {
                    continue;
                };
                let path = here.get_or_insert_with(|| cgroup.path(&self.cgroups));
                if leader::place(path, uid, &(whom.slice)(uid)) != Place::Elsewhere {
                    continue;
                }
                pace.step().await;
                if let Some((process, command)) = self.looks_at(uid, pid) {
                    kept.keep(uid, process, command, path);
                }
            }
        }
        kept.found.cut |= walk.is_cut();
        Ok(kept.found)
    }

    /// Whether this is still a process of the user's.
    pub(crate) fn is_of(&self, uid: u32, pid: u32) -> bool {
        let status = kernel_file::read_lossy(&self.proc.join(format!("{pid}/status")));
        status.is_ok_and(|status| {
            real_and_effective(&status)
                .is_some_and(|(real, effective)| is_users(uid, real, effective))
        })
    }

    fn looks_at(&self, uid: u32, pid: u32) -> Option<(Leader, String)> {
        if !self.is_of(uid, pid) {
            return None;
        }
        let stat = kernel_file::read_lossy(&self.proc.join(format!("{pid}/stat"))).ok()?;
        let start_time = leader::parse_start_time(&stat)?;
        Some((
            Leader { pid, start_time },
            leader::parse_program(&stat)?.to_owned(),
        ))
    }
}

/// The unit of the system's that a process is in: the first component that is no slice. Below a
/// unit others than systemd may have made cgroups, and named them as they liked.
pub(crate) fn unit(cgroup: &str) -> Option<&str> {
    let mut components = cgroup.split('/').filter(|name| !name.is_empty());
    components.find(|name| name.strip_suffix(".slice").is_none())
}

fn is_looked_for(uid: u32, whom: &Whom<'_>) -> bool {
    !OF_SERVICES.contains(&uid) && (whom.covers)(uid)
}

/// Whether everything below this cgroup is where it should be: in the slice of a user. Root's is
/// none such.
fn belongs(path: &str, whom: &Whom<'_>) -> bool {
    let mut components = path.split('/').skip(1);
    let (top, unit, rest) = (components.next(), components.next(), components.next());
    if rest.is_some() || !matches!(top, Some("user.slice" | "fairshare.slice")) {
        return false;
    }
    let user = unit.and_then(slice_user).filter(|uid| *uid != 0);
    user.is_some_and(|uid| unit == Some(&(whom.slice)(uid)))
}

/// The effective UID of a process. The folder of a process is that UID's also where the process has
/// forbidden to be looked into, when the files in it are root's: see `task_dump_owner` of the kernel.
fn owner(proc: &File, pid: u32) -> Option<u32> {
    let stat = statat(proc, pid.to_string(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(stat.st_uid)
}

/// Of the line `Uid:` of `/proc/PID/status`.
fn real_and_effective(status: &str) -> Option<(u32, u32)> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut uids = line.split_whitespace().map(str::parse);
    Some((uids.next()?.ok()?, uids.next()?.ok()?))
}

/// What is kept of what is found.
#[derive(Default)]
struct Kept {
    found: Found,
    of_unit: HashMap<(u32, Option<String>), usize>,
    of_units: HashMap<Option<String>, usize>,
    /// A process that is moved meanwhile can be met twice.
    met: HashSet<u32>,
}

/// Whether a process with these UIDs is this user's. Another user's real UID is that of who has begun a
/// setuid program of this user's; root's is that of a daemon that acts for the user for a moment.
fn is_users(uid: u32, real: u32, effective: u32) -> bool {
    effective == uid && (real == uid || real != 0)
}

impl Kept {
    fn keep(&mut self, uid: u32, process: Leader, command: String, cgroup: &str) {
        if self.met.contains(&process.pid) {
            return;
        }
        let unit = unit(cgroup).map(str::to_owned);
        let of_all = self.of_units.entry(unit.clone()).or_default();
        let full = self.found.strays.len() >= MAX_KEPT || *of_all >= MAX_KEPT_OF_UNIT_OF_ALL;
        let of_unit = if full {
            None
        } else {
            let of_unit = self.of_unit.entry((uid, unit.clone())).or_default();
            (*of_unit < MAX_KEPT_OF_UNIT).then_some(of_unit)
        };
        let Some(of_unit) = of_unit else {
            *self.found.left_out.entry(uid).or_default() += 1;
            return;
        };
        *of_unit += 1;
        *of_all += 1;
        self.met.insert(process.pid);
        self.found.strays.push(Stray {
            uid,
            process,
            command,
            cgroup: cgroup.chars().take(LONGEST_CGROUP).collect(),
            unit,
        });
    }
}

#[cfg(test)]
mod tests;
