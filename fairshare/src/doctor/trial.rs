//! A session that is tried: opened as a login would be, its limits read in the kernel's own files,
//! and closed.
//!
//! It is a UID's that policy covers and nobody has, so that no user notices, or that of a user whom
//! the administrator names. Its leader is a process that waits for the end of a pipe from here. Ctrl-C
//! waits for the close. Where this command ends otherwise, by `kill -9`, the pipe ends with it, then
//! the leader, and with the leader the daemon closes the session and systemd removes the slice.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fairshare_client::{Client, ClientError, Opened};
use fairshare_protocol::{
    Allocation, CloseSession, Cpus, Enforce, ErrorCode, Explain, ExplainInfo, MemorySize,
    OpenSession, Tasks,
};

use nix::sys::signal::{SigSet, Signal};

use super::Facts;
use super::check::Check;
use super::program;
use super::tree::Tree;

/// The service by which the daemon's log knows these sessions.
const SERVICE: &str = "fairshare-doctor";
/// How long the session may take to be limited.
const OPENING: Duration = Duration::from_secs(10);
/// How long the name service may take to say that nobody has a UID.
const NAME_SERVICE: Duration = Duration::from_secs(5);
/// How long the slice may take to go when its last process has gone.
const GOING: Duration = Duration::from_secs(10);
/// How often it is looked whether the slice has gone.
const LOOK: Duration = Duration::from_millis(20);
/// How many UIDs are tried until one is nobody's.
const MOST_TRIED: u32 = 8;
/// The last UID of a person where `login.defs(5)` does not say.
const LAST_UID: u32 = 60_000;
/// `getent(1)`: it has no such entry.
const NO_ENTRY: i32 = 2;
/// Beyond a memory limit the kernel may have less, because it counts in pages of up to 64 KiB.
const PAGE: u64 = 64 * 1024;

const LOG: &str = "journalctl -u fairshared -n 20";

/// Opens, reads and closes; for root, where a daemon answers.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, user: Option<u32>) -> Check {
    if !facts.by_root {
        return Check::skipped(
            "session",
            "only root may open one to try: sudo fairshare doctor",
        );
    }
    if !facts.heard.answers() {
        return Check::skipped("session", "not tried, because no daemon answers");
    }
    let client = Client::new(client.socket(), OPENING);
    let subject = match subject(facts.tree, &client, user) {
        Ok(subject) => subject,
        Err(check) => return check,
    };
    let held = HeldSignals::hold();
    let outcome = Trial::begin(facts.tree, &client, subject).and_then(Trial::end);
    drop(held);
    match outcome {
        Ok(check) | Err(check) => check,
    }
}

/// Ctrl-C and its like, kept until the session is closed. Each step before that has a deadline.
struct HeldSignals(SigSet);

impl HeldSignals {
    fn hold() -> Self {
        let mut signals = SigSet::empty();
        for signal in [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ] {
            signals.add(signal);
        }
        // Where it fails the signal ends this process, and with it the leader and the session.
        let _ = signals.thread_block();
        Self(signals)
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // What came meanwhile ends this process here.
        let _ = self.0.thread_unblock();
    }
}

/// Whose session it is, and what policy gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subject {
    uid: u32,
    /// What is expected at login; `None` for somebody who may hold a grant.
    default: Option<Allocation>,
}

fn subject(tree: &Tree, client: &Client, user: Option<u32>) -> Result<Subject, Check> {
    if let Some(uid) = user {
        explained(client, uid)?
            .ok_or_else(|| Check::skipped("session", format!("policy does not cover UID {uid}")))?;
        return Ok(Subject { uid, default: None });
    }
    let last = last_uid(&tree.text("/etc/login.defs"));
    for uid in (last.saturating_sub(MOST_TRIED)..last).rev() {
        if !is_nobodys(tree, uid)? {
            continue;
        }
        if let Some(info) = explained(client, uid)? {
            let default = default_of(&info);
            return Ok(Subject { uid, default });
        }
    }
    Err(Check::skipped(
        "session",
        "no UID is free that policy covers; name somebody: fairshare doctor --user NAME",
    ))
}

/// What policy says for a UID; `None` where it does not cover it.
fn explained(client: &Client, uid: u32) -> Result<Option<ExplainInfo>, Check> {
    match client.explain(Explain { uid: Some(uid) }) {
        Ok(info) if info.enforce != Enforce::On => Err(Check::skipped(
            "session",
            "not tried, because policy says that nothing is set",
        )),
        Ok(info) => Ok(Some(info)),
        Err(error) if error.code() == Some(ErrorCode::NotCovered) => Ok(None),
        // A daemon from before this question limits nevertheless.
        Err(error) => Err(Check::skipped(
            "session",
            format!("the daemon does not say whom policy covers: {error}"),
        )),
    }
}

/// Whether neither the name service nor the machine knows a UID.
fn is_nobodys(tree: &Tree, uid: u32) -> Result<bool, Check> {
    let slice = format!("/sys/fs/cgroup/user.slice/user-{uid}.slice");
    if tree.exists(&slice) || tree.exists(&format!("/run/systemd/users/{uid}")) {
        return Ok(false);
    }
    match program::run("getent", &["passwd", &uid.to_string()], &[], NAME_SERVICE) {
        Ok(ran) => Ok(ran.status == Some(NO_ENTRY)),
        Err(why) => Err(Check::warning(
            "session",
            format!("not tried, because the name service hangs: {why}"),
            "getent passwd; fairshare doctor --user UID",
        )),
    }
}

fn last_uid(login_defs: &str) -> u32 {
    let found = login_defs.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "UID_MAX").then(|| words.next()?.parse().ok())?
    });
    found.unwrap_or(LAST_UID)
}

/// What policy gives at login, where it is told whole.
fn default_of(info: &ExplainInfo) -> Option<Allocation> {
    let value = |key: &str| {
        let entry = info.entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.as_str())
    };
    Some(Allocation {
        cpu: value("defaults.cpu")?.parse::<Cpus>().ok()?,
        mem: value("defaults.mem")?.parse::<MemorySize>().ok()?,
        tasks: value("defaults.tasks")?.parse::<Tasks>().ok()?,
    })
}

/// A session that is open.
struct Trial<'a> {
    tree: &'a Tree,
    client: &'a Client,
    subject: Subject,
    leader: Child,
    session: u64,
    wanted: Allocation,
    took: Duration,
}

impl<'a> Trial<'a> {
    fn begin(tree: &'a Tree, client: &'a Client, subject: Subject) -> Result<Self, Check> {
        let uid = subject.uid;
        let mut leader = leader().map_err(|error| {
            Check::failed(
                "session",
                format!("cannot start a process: {error}"),
                "ulimit -a",
            )
        })?;
        let start = Instant::now();
        let opened = client.open_session(OpenSession {
            uid,
            pid: leader.id(),
            service: Some(SERVICE.to_owned()),
            wait_ms: None,
            notices: false,
        });
        let took = start.elapsed();
        match opened {
            Ok(Opened::Session(opened)) => Ok(Self {
                tree,
                client,
                subject,
                leader,
                session: opened.session,
                wanted: subject.default.unwrap_or(opened.allocation),
                took,
            }),
            Ok(Opened::Ignored(why)) => {
                dismiss(&mut leader);
                Err(Check::skipped(
                    "session",
                    format!("the daemon limits none: {why}"),
                ))
            }
            Err(error) => {
                dismiss(&mut leader);
                Err(Check::failed("session", not_opened(uid, &error), LOG))
            }
        }
    }

    fn end(mut self) -> Result<Check, Check> {
        let uid = self.subject.uid;
        let slice = slice_of(self.tree, self.leader.id(), uid);
        let differences = match &slice {
            Some(slice) => differences(self.tree, slice, &self.wanted),
            None => vec!["its process is in no slice of the user's".to_owned()],
        };
        let closed = self.client.close_session(CloseSession {
            session: Some(self.session),
            ..CloseSession::default()
        });
        dismiss(&mut self.leader);
        if !differences.is_empty() {
            let what = differences.join("; ");
            return Err(Check::failed(
                "session",
                format!("UID {uid} has a session and not its limits: {what}"),
                LOG,
            ));
        }
        if let Err(error) = closed {
            return Err(Check::failed(
                "session",
                format!("UID {uid} was limited; the session was not closed: {error}"),
                LOG,
            ));
        }
        if let (Some(slice), Some(_)) = (slice, self.subject.default)
            && !goes(self.tree, &slice)
        {
            return Err(Check::warning(
                "session",
                format!("UID {uid} was limited; its slice has not gone after the session"),
                format!("systemctl stop user-{uid}.slice"),
            ));
        }
        let (wanted, took) = (self.wanted, self.took.as_millis());
        Ok(Check::ok(
            "session",
            format!("UID {uid}: {wanted}, read back; opened in {took} ms, closed"),
        ))
    }
}

fn not_opened(uid: u32, error: &ClientError) -> String {
    format!("a session for UID {uid} was not limited: {error}")
}

/// A process that does nothing until the pipe to it is closed. It is root's, as the leader of a login
/// by ssh is: one of the user's would be in the user's reach, with root's terminal.
fn leader() -> std::io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", "read -r end"])
        .current_dir("/")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of the reach of a terminal's Ctrl-C. The standard library has it begin with no signal
        // blocked.
        .process_group(0)
        .spawn()
}

/// Closes the pipe and waits until the process has gone.
fn dismiss(leader: &mut Child) {
    drop(leader.stdin.take());
    if program::end_of(leader, Instant::now() + GOING).is_none() {
        // It was killed.
        let _ = leader.wait();
    }
}

/// The folder of the user's slice, as the kernel tells it of a process in it.
fn slice_of(tree: &Tree, pid: u32, uid: u32) -> Option<String> {
    let text = tree.text(&format!("/proc/{pid}/cgroup"));
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let end = format!("-{uid}.slice");
    let at = path.find(&end)? + end.len();
    Some(format!("/sys/fs/cgroup{}", path.get(..at)?))
}

/// What the kernel's files say otherwise than policy.
fn differences(tree: &Tree, slice: &str, wanted: &Allocation) -> Vec<String> {
    let read = |file: &str| tree.text(&format!("{slice}/{file}")).trim().to_owned();
    let number = |text: &str| text.parse::<u64>().ok();
    let mut told = Vec::new();

    let cpu = read("cpu.max");
    let mut words = cpu.split_whitespace().map(number);
    let quota = words.next().flatten().zip(words.next().flatten());
    let expected = wanted.cpu.thousandths();
    let holds =
        |(quota, period): (u64, u64)| period > 0 && quota.saturating_mul(1000) / period == expected;
    if !quota.is_some_and(holds) {
        told.push(otherwise("cpu.max", &cpu, &wanted.cpu));
    }

    let memory = read("memory.max");
    let expected = wanted.mem.bytes();
    let holds = |bytes: u64| bytes <= expected && bytes > expected.saturating_sub(PAGE);
    if !number(&memory).is_some_and(holds) {
        told.push(otherwise("memory.max", &memory, &wanted.mem));
    }

    let tasks = read("pids.max");
    if number(&tasks) != Some(wanted.tasks.count()) {
        told.push(otherwise("pids.max", &tasks, &wanted.tasks));
    }
    told
}

fn otherwise(file: &str, found: &str, wanted: &dyn std::fmt::Display) -> String {
    let found = if found.is_empty() { "missing" } else { found };
    format!("{file} is {found} where policy gives {wanted}")
}

/// Whether the slice goes in time.
fn goes(tree: &Tree, slice: &str) -> bool {
    let deadline = Instant::now() + GOING;
    while tree.exists(slice) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fake;
    use super::*;

    const SLICE: &str = "/sys/fs/cgroup/user.slice/user-59999.slice";

    fn wanted() -> Allocation {
        Allocation {
            cpu: "0.5".parse().unwrap(),
            mem: "256M".parse().unwrap(),
            tasks: "200".parse().unwrap(),
        }
    }

    fn limits(fake: &Fake, cpu: &str, memory: &str, tasks: &str) -> Vec<String> {
        fake.write(&format!("{SLICE}/cpu.max"), cpu);
        fake.write(&format!("{SLICE}/memory.max"), memory);
        fake.write(&format!("{SLICE}/pids.max"), tasks);
        differences(&fake.tree, SLICE, &wanted())
    }

    #[test]
    fn the_kernels_files_are_compared_with_what_policy_gives() {
        let fake = Fake::empty();
        let missing = differences(&fake.tree, SLICE, &wanted());
        assert_eq!(missing.len(), 3, "{missing:?}");
        assert_eq!(missing[0], "cpu.max is missing where policy gives 0.5");
        let well = limits(&fake, "50000 100000\n", "268435456\n", "200\n");
        assert_eq!(well, [""; 0]);
        let paged = limits(&fake, "5000 10000\n", "268431360\n", "200\n");
        assert_eq!(paged, [""; 0]);
        let other = limits(&fake, "max 100000\n", "268435457\n", "max\n");
        assert_eq!(other.len(), 3, "{other:?}");
        assert_eq!(limits(&fake, "50000 0\n", "268435456\n", "201\n").len(), 2);
    }

    #[test]
    fn the_slice_is_where_the_kernel_says_that_the_leader_is() {
        let fake = Fake::empty();
        for (cgroup, slice) in [
            (
                "0::/user.slice/user-59999.slice/fairshare-59999-1.scope\n",
                Some(SLICE),
            ),
            (
                "1:cpu:/\n0::/fairshare.slice/fairshare-59999.slice/x.scope\n",
                Some("/sys/fs/cgroup/fairshare.slice/fairshare-59999.slice"),
            ),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            ("", None),
        ] {
            fake.write("/proc/7/cgroup", cgroup);
            assert_eq!(slice_of(&fake.tree, 7, 59999).as_deref(), slice);
        }
    }

    #[test]
    fn a_uid_with_a_slice_is_somebodys() {
        let fake = Fake::empty();
        assert_eq!(is_nobodys(&fake.tree, 59_999), Ok(true));
        assert_eq!(is_nobodys(&fake.tree, 0), Ok(false), "root has a name");
        fake.write(&format!("{SLICE}/cpu.max"), "");
        assert_eq!(is_nobodys(&fake.tree, 59_999), Ok(false));
        assert_eq!(last_uid("# UID_MAX 7\nUID_MAX  50000\n"), 50_000);
        assert_eq!(last_uid(""), LAST_UID);
    }

    #[test]
    fn what_policy_gives_is_read_where_it_is_told_whole() {
        let info = |value: &str| -> ExplainInfo {
            let entry = |key: &str, value: &str| {
                format!(
                    r#"{{"key": "defaults.{key}", "value": "{value}",
                        "winner": {{"place": "p:1:1", "path": "x"}}}}"#
                )
            };
            let entries = [
                entry("cpu", value),
                entry("mem", "256M"),
                entry("tasks", "200"),
            ];
            let entries = entries.join(",");
            let line = format!(r#"{{"uid": 59999, "entries": [{entries}], "enforce": "on"}}"#);
            serde_json::from_str(&line).unwrap()
        };
        assert_eq!(default_of(&info("0.5")), Some(wanted()));
        assert_eq!(default_of(&info("half")), None);
    }

    #[test]
    fn the_leader_ends_with_its_pipe() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read -r end"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        dismiss(&mut child);
        assert!(start.elapsed() < GOING, "it was not killed");
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(1));
    }
}
