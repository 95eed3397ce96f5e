//! The daemon with few and with many users in its ledger, everything else being the same.
//!
//! All sessions have this process as their leader, which is in no user's slice: so each user is
//! adopted, with a scope and its job, one call more than a login that logind has placed.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use fairshare_protocol::{
    CloseSession, MemorySize, OpenSession, Reply, Request, Resize, SessionOpened, Wish,
};
use fairshare_tests::{LabError, Result};

use super::client::{Client, Connection};
use super::daemon::Daemon;
use crate::figures::{Load, Times};

/// Lies in memory.
const FOLDER: &str = "/run/fairshare-bench";
const POLICY: &str = "defaults: {cpu: 0.5, mem: 256M, tasks: 500}\nmax: {cpu: 1, mem: 1G}\n";
/// How many users there are, one case after the other.
const USERS: [u32; 2] = [10, 1000];
/// The UID of the first of them, who also resizes.
const FIRST_UID: u32 = 20_001;
/// The UID of the first of those who come and go again.
const FIRST_GUEST: u32 = 40_001;
/// How often a login and a change are measured.
const ROUNDS: u32 = 40;
/// How long the daemon is watched doing nothing.
const IDLE: Duration = Duration::from_secs(10);
/// Left to it after its start and before that, to finish what nobody waits for.
const REST: Duration = Duration::from_secs(2);

/// Measures.
pub(super) fn measure() -> Result<Vec<Load>> {
    let daemon = Daemon::start(Path::new(FOLDER), POLICY)?;
    // When it has connected to the bus it looks at everybody once. Later it must find nobody: the
    // leader of these sessions never comes to be where systemd would have put it.
    thread::sleep(REST);
    let mut present = 0;
    let mut guests = FIRST_GUEST..;
    let mut loads = Vec::new();
    for users in USERS {
        log_in(&daemon, FIRST_UID + present..FIRST_UID + users)?;
        present = users;
        thread::sleep(REST);
        let before = daemon.usage()?;
        thread::sleep(IDLE);
        let after = daemon.usage()?;
        loads.push(Load {
            users,
            resident_kib: after.resident_kib,
            anonymous_kib: after.anonymous_kib,
            idle_seconds: IDLE.as_secs(),
            idle_cpu_ms: after.cpu_ms - before.cpu_ms,
            idle_wakeups: after.switches - before.switches,
            open: logins(&daemon, &mut guests)?,
            resize: changes(&daemon)?,
        });
    }
    Ok(loads)
}

/// These log in and stay.
fn log_in(daemon: &Daemon, uids: Range<u32>) -> Result<()> {
    let mut root = Connection::open(&daemon.socket())?;
    for uid in uids {
        daemon.make_slice(uid)?;
        root.send(&open(uid))?;
    }
    Ok(())
}

/// Somebody logs in for the first time and is gone again, over and over.
fn logins(daemon: &Daemon, guests: &mut impl Iterator<Item = u32>) -> Result<Times> {
    let mut root = Connection::open(&daemon.socket())?;
    let mut times = Times::default();
    for uid in guests.take(ROUNDS as usize) {
        let slice = daemon.make_slice(uid)?;
        let (time, reply) = root.timed(&open(uid))?;
        times.push(time);
        let Reply::SessionOpened(SessionOpened { session, .. }) = reply else {
            return Err(LabError::other(format!("no session was opened: {reply:?}")));
        };
        fs::remove_dir_all(&slice).map_err(LabError::io("remove", &slice))?;
        root.send(&Request::CloseSession(CloseSession {
            session: Some(session),
            ..CloseSession::default()
        }))?;
    }
    Ok(times)
}

/// Somebody asks for more and for less, in turn.
fn changes(daemon: &Daemon) -> Result<Times> {
    let mut client = Client::start(FIRST_UID, &daemon.socket())?;
    let mut times = Times::default();
    for round in 0..ROUNDS {
        let mebibytes = if round % 2 == 0 { 512 } else { 384 };
        let mem = MemorySize::from_bytes(mebibytes << 20);
        client.begin(
            1,
            &Request::Resize(Resize {
                wish: Wish {
                    mem,
                    ..Wish::default()
                },
                ..Resize::default()
            }),
        )?;
        times.extend(client.finish()?);
    }
    Ok(times)
}

fn open(uid: u32) -> Request {
    Request::OpenSession(OpenSession {
        uid,
        pid: process::id(),
        service: Some("bench".to_owned()),
        wait_ms: None,
    })
}
