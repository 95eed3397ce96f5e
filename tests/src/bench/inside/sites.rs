//! The daemon of a large site: a policy with thousands of entries, users in hundreds of groups,
//! groups with thousands of members.
//!
//! Names and groups come from the machine's own name service, through the daemon's worker process.
//! The files of the machine are its source: a site's directory answers by the user, where the file
//! of groups is read from its begin to its end, with all members, for each user who is not known.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use fairshare_protocol::{
    Allocation, CloseSession, Explain, ExplainInfo, OpenSession, Reply, Request, SessionOpened,
};
use fairshare_tests::wait::{self, Look};
use fairshare_tests::{LabError, Result};

use super::client::Connection;
use super::daemon::Daemon;
use super::people::{self, Person};
use crate::figures::Sites;

/// Lies in memory.
const FOLDER: &str = "/run/fairshare-sites";
/// Where groups are.
const GROUP: &str = "/etc/group";
/// Names nobody.
const PLAIN: &str = "defaults: {cpu: 0.5, mem: 256M, tasks: 500}\nmax: {cpu: 1, mem: 1G}\n";
/// How many users the large policy names.
const USERS: u32 = 5000;
/// How many groups it names.
const GROUPS: u32 = 500;
/// The small and the large group.
const MEMBERS: [u32; 2] = [20, 20_000];
/// The UID of the first of those who log in here: as many as the small group has members.
const FIRST_UID: u32 = 46_001;
/// The GID of the first of the groups.
const FIRST_GID: u32 = 70_001;
/// How often a login of the same user is measured, behind one that is not.
const ROUNDS: u32 = 40;
/// For everything that the first login asks of the name service.
const KNOWN_BOUND: Duration = Duration::from_secs(60);
/// How long the client of a login says that it waits, in milliseconds. The daemon gives the name
/// service half of it: on a slow machine the usual wait would end before the answer, and what was
/// timed would be the patience and not the lookup.
const LOGIN_WAIT: u64 = 4000;
/// For the daemons to connect to the bus.
const REST: Duration = Duration::from_secs(2);

/// Measures.
pub(super) fn measure(program: &Path) -> Result<Sites> {
    let people = people::create(FIRST_UID..FIRST_UID + MEMBERS[0])?;
    let groups = fs::read_to_string(GROUP).map_err(LabError::io("read", GROUP))?;
    let mut sites = Sites {
        users: USERS,
        groups: GROUPS,
        members: MEMBERS,
        ..Sites::default()
    };
    let measured = policies(program, &people, &groups, &mut sites)
        .and_then(|()| members(program, &people, &groups, &mut sites));
    write_groups(&groups)?;
    measured.map(|()| sites)
}

/// A policy that names nobody beside one that names thousands, for a user in hundreds of groups.
fn policies(program: &Path, people: &[Person], groups: &str, sites: &mut Sites) -> Result<()> {
    let Some(person) = people.first() else {
        return Ok(());
    };
    let mut text = groups.to_owned();
    let mut large = format!("{PLAIN}groups:\n");
    for number in 0..GROUPS {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "benchgroup{number}:x:{}:{}",
            FIRST_GID + number,
            person.name
        );
        let _ = writeln!(large, "  benchgroup{number}: {{max: {{mem: 2G}}}}");
    }
    large.push_str("users:\n");
    for number in 0..USERS {
        let _ = writeln!(large, "  benchuser{number}: {{max: {{mem: 3G}}}}");
    }
    write_groups(&text)?;
    let mut plain = Site::start(program, "plain", PLAIN)?;
    let mut large = Site::start(program, "large", &large)?;
    thread::sleep(REST);
    large.wait_known(person.uid)?;
    for round in 0..=ROUNDS {
        let (open_plain, _) = plain.login(person.uid)?;
        let (open_large, _) = large.login(person.uid)?;
        let (explain_plain, _) = plain.explain(person.uid)?;
        let (explain_large, _) = large.explain(person.uid)?;
        if round > 0 {
            sites.open_plain.push(open_plain);
            sites.open_large.push(open_large);
            sites.explain_plain.push(explain_plain);
            sites.explain_large.push(explain_large);
        }
    }
    Ok(())
}

/// First and further logins of members of a small group beside those of a large one.
fn members(program: &Path, people: &[Person], groups: &str, sites: &mut Sites) -> Result<()> {
    let policy = format!("{PLAIN}groups: {{benchmembers: {{defaults: {{cpu: 0.75}}}}}}\n");
    let mut cases = Vec::new();
    for count in MEMBERS {
        let members = people.iter().map(|person| person.name.clone());
        let filled_up = members.chain((0..).map(|number| format!("benchmember{number}")));
        let members: Vec<String> = filled_up.take(count as usize).collect();
        let line = format!(
            "benchmembers:x:{}:{}\n",
            FIRST_GID + GROUPS,
            members.join(",")
        );
        let groups = format!("{groups}{line}");
        // Before the daemon starts, which looks for the groups of its policy at once. One that is
        // not there would be taken for missing for a while.
        write_groups(&groups)?;
        let mut site = Site::start(program, &count.to_string(), &policy)?;
        if let Some(first) = people.first() {
            site.wait_known(first.uid)?;
        }
        cases.push((site, groups));
    }
    thread::sleep(REST);
    for (round, person) in people.iter().enumerate() {
        let times = sites.open_members.iter_mut().zip(&mut sites.open_again);
        for ((site, groups), (open_first, open_again)) in cases.iter_mut().zip(times) {
            write_groups(groups)?;
            let (first, _) = site.login(person.uid)?;
            let (again, allocation) = site.login(person.uid)?;
            if allocation.cpu.thousandths() != 750 {
                return Err(LabError::other(format!(
                    "{} is in the group and gets {allocation}",
                    person.name
                )));
            }
            // The first is known already.
            if round > 0 {
                open_first.push(first);
                open_again.push(again);
            }
        }
    }
    Ok(())
}

/// A daemon with root's connection to it.
#[derive(Debug)]
struct Site {
    daemon: Daemon,
    root: Connection,
}

impl Site {
    fn start(program: &Path, name: &str, policy: &str) -> Result<Self> {
        let folder = PathBuf::from(format!("{FOLDER}/{name}"));
        let daemon = Daemon::start(program, &folder, policy)?;
        let root = Connection::open(&daemon.socket())?;
        Ok(Self { daemon, root })
    }

    /// Somebody logs in and is gone again; what the login took, and what it came to.
    fn login(&mut self, uid: u32) -> Result<(Duration, Allocation)> {
        let slice = self.daemon.make_slice(uid)?;
        let (time, reply) = self.root.timed(&Request::OpenSession(OpenSession {
            uid,
            pid: process::id(),
            service: Some("bench".to_owned()),
            wait_ms: Some(LOGIN_WAIT),
            notices: false,
        }))?;
        let Reply::SessionOpened(SessionOpened {
            session,
            allocation,
            ..
        }) = reply
        else {
            return Err(LabError::other(format!("no session was opened: {reply:?}")));
        };
        fs::remove_dir_all(&slice).map_err(LabError::io("remove", &slice))?;
        self.root.send(&Request::CloseSession(CloseSession {
            session: Some(session),
            ..CloseSession::default()
        }))?;
        Ok((time, allocation))
    }

    /// Waits until the worker runs, all groups of the policy and this user have been asked for, and
    /// the user is known to be in a group. On a slow machine that takes longer than the daemon has
    /// patience with one request.
    fn wait_known(&mut self, uid: u32) -> Result<()> {
        wait::until("a user's group to be known", KNOWN_BOUND, || {
            Ok(match self.explain(uid) {
                Ok((_, info)) if names_a_group(&info) => Look::Done(()),
                Ok((_, info)) => Look::NotYet(format!("{:?}", info.entries)),
                Err(fault) => Look::NotYet(fault.to_string()),
            })
        })
    }

    fn explain(&mut self, uid: u32) -> Result<(Duration, ExplainInfo)> {
        let explain = Request::Explain(Explain { uid: Some(uid) });
        let (time, reply) = self.root.timed(&explain)?;
        match reply {
            Reply::ExplainInfo(info) => Ok((time, info)),
            reply => Err(LabError::other(format!("nothing is explained: {reply:?}"))),
        }
    }
}

/// Whether something is so because of a group.
fn names_a_group(info: &ExplainInfo) -> bool {
    let mut entries = info.entries.iter();
    entries.any(|entry| entry.winner.path.starts_with("groups."))
}

/// Whoever reads the file meanwhile finds the old one or the new one.
fn write_groups(text: &str) -> Result<()> {
    let new = format!("{GROUP}.bench");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, GROUP))
        .map_err(LabError::io("write", GROUP))
}
