//! The daemon with few, many and very many users in its ledger, everything else being the same.
//!
//! A daemon for each number, all running at once: each login and each change is measured on one
//! after the other, so what else the machine does meanwhile touches all of them alike.
//!
//! All sessions have this process as their leader, which is in no user's slice: so each user is
//! adopted, with a scope and its job, one call more than a login that logind has placed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use fairshare_protocol::{
    CloseSession, MemorySize, OpenSession, Reply, Request, Resize, SessionOpened, Wish,
};
use fairshare_tests::{LabError, Result};

use super::client::{Client, Connection};
use super::daemon::{Daemon, Usage};
use crate::figures::{Idle, Load, Times};

/// Lies in memory.
const FOLDER: &str = "/run/fairshare-bench";
const POLICY: &str = "defaults: {cpu: 0.5, mem: 256M, tasks: 500}\nmax: {cpu: 1, mem: 1G}\n";
/// How many users there are in each case.
const USERS: [u32; 3] = [10, 1000, 10_000];
/// Up to so many users have slices of their own, and the daemon is watched doing nothing.
const MOST_WATCHED: u32 = 1000;
/// The UID of the first of them, who also resizes.
const FIRST_UID: u32 = 20_001;
/// The UID of the first of those who come and go again.
const FIRST_GUEST: u32 = 40_001;
/// How often a login and a change are measured.
const ROUNDS: u32 = 40;
/// How many connections users log in over when that is not measured.
const CONNECTIONS: usize = 4;
/// How long the daemons are watched doing nothing.
const IDLE: Duration = Duration::from_secs(10);
/// Left to them after their start and before that, to finish what nobody waits for.
const REST: Duration = Duration::from_secs(2);

/// A daemon with a number of users, and the first of them and root connected to it.
#[derive(Debug)]
struct Case {
    // In the order in which they are to end.
    client: Client,
    root: Connection,
    daemon: Daemon,
}

/// Measures.
pub(super) fn measure(program: &Path) -> Result<Vec<Load>> {
    let mut daemons = Vec::new();
    for users in USERS {
        let folder = PathBuf::from(format!("{FOLDER}/{users}"));
        daemons.push((Daemon::start(program, &folder, POLICY)?, users));
    }
    // When it has connected to the bus it looks at everybody once. Later it must find nobody: the
    // leader of these sessions never comes to be where systemd would have put it.
    thread::sleep(REST);
    for (daemon, users) in &daemons {
        log_in(daemon, *users)?;
    }
    let idle = watch(&daemons)?;
    let mut cases = Vec::new();
    let mut loads = Vec::new();
    for ((daemon, users), idle) in daemons.into_iter().zip(idle) {
        loads.push(Load {
            users,
            idle,
            open: Times::default(),
            resize: Times::default(),
        });
        // Not before: the daemon ends connections that say nothing for a minute.
        cases.push(Case {
            root: Connection::open(&daemon.socket())?,
            client: Client::start(FIRST_UID, &daemon.socket())?,
            daemon,
        });
    }
    for round in 0..ROUNDS {
        for (case, load) in cases.iter_mut().zip(&mut loads) {
            load.open.push(case.login(FIRST_GUEST + round)?);
        }
        for (case, load) in cases.iter_mut().zip(&mut loads) {
            load.resize.extend(case.change(round)?);
        }
    }
    Ok(loads)
}

/// So many users log in and stay.
fn log_in(daemon: &Daemon, users: u32) -> Result<()> {
    let uids = FIRST_UID..FIRST_UID + users;
    let own = if users > MOST_WATCHED { 1 } else { users };
    let mut first = None;
    for uid in uids.clone().take(own as usize) {
        let slice = daemon.make_slice(uid)?;
        first.get_or_insert(slice);
    }
    // Limited by this, so that it can stand for those of the others.
    let (first_uid, others) = (uids.start, uids.start + 1..uids.end);
    Connection::open(&daemon.socket())?.send(&open(first_uid))?;
    if own < users
        && let Some(first) = first
    {
        let limited = first.with_file_name("limited");
        copy(&first, &limited)?;
        daemon.share_slice(&limited, others.clone())?;
    }
    let share = others.len().div_ceil(CONNECTIONS);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..CONNECTIONS)
            .map(|part| {
                let uids = others.clone().skip(part * share).take(share);
                scope.spawn(move || log_in_over_one(daemon, uids))
            })
            .collect();
        parts.into_iter().try_for_each(|part| {
            part.join()
                .unwrap_or_else(|_| Err(LabError::other("a thread has ended by a fault")))
        })
    })
}

fn log_in_over_one(daemon: &Daemon, uids: impl Iterator<Item = u32>) -> Result<()> {
    let mut root = Connection::open(&daemon.socket())?;
    for uid in uids {
        root.send(&open(uid))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = || {
        fs::create_dir(to)?;
        for file in fs::read_dir(from)? {
            let file = file?;
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
        Ok(())
    };
    copied().map_err(LabError::io("copy", from))
}

/// Watches those that are to be watched doing nothing.
fn watch(daemons: &[(Daemon, u32)]) -> Result<Vec<Option<Idle>>> {
    let usage = || {
        let usage = |(daemon, users): &(Daemon, u32)| {
            let watched = *users <= MOST_WATCHED;
            watched.then(|| daemon.usage()).transpose()
        };
        daemons.iter().map(usage).collect::<Result<Vec<_>>>()
    };
    thread::sleep(REST);
    let before = usage()?;
    thread::sleep(IDLE);
    let after = usage()?;
    let idle = |(before, after): (Option<Usage>, Option<Usage>)| {
        let (before, after) = (before?, after?);
        Some(Idle {
            resident_kib: after.resident_kib,
            anonymous_kib: after.anonymous_kib,
            seconds: IDLE.as_secs(),
            cpu_ms: after.cpu_ms - before.cpu_ms,
            wakeups: after.switches - before.switches,
        })
    };
    Ok(before.into_iter().zip(after).map(idle).collect())
}

impl Case {
    /// Somebody logs in for the first time and is gone again; what the login took.
    fn login(&mut self, uid: u32) -> Result<Duration> {
        let slice = self.daemon.make_slice(uid)?;
        let (time, reply) = self.root.timed(&open(uid))?;
        let Reply::SessionOpened(SessionOpened { session, .. }) = reply else {
            return Err(LabError::other(format!("no session was opened: {reply:?}")));
        };
        fs::remove_dir_all(&slice).map_err(LabError::io("remove", &slice))?;
        self.root.send(&Request::CloseSession(CloseSession {
            session: Some(session),
            ..CloseSession::default()
        }))?;
        Ok(time)
    }

    /// Somebody asks for more, or for less, in turn.
    fn change(&mut self, round: u32) -> Result<Times> {
        let mebibytes = if round.is_multiple_of(2) { 512 } else { 384 };
        let mem = MemorySize::from_bytes(mebibytes << 20);
        let resize = Request::Resize(Resize {
            wish: Wish {
                mem,
                ..Wish::default()
            },
            ..Resize::default()
        });
        self.client.begin(1, &resize)?;
        self.client.finish()
    }
}

fn open(uid: u32) -> Request {
    Request::OpenSession(OpenSession {
        uid,
        pid: process::id(),
        service: Some("bench".to_owned()),
        wait_ms: None,
        notices: false,
    })
}
