//! What the kernel and systemd say of a user's slice, and the policy that the scenarios go by.

use std::collections::BTreeMap;
use std::time::Duration;

use fairshare_tests::{Machine, Result};

/// A policy that is far from the kernel's own defaults, so that no figure is right by chance, and
/// that leaves an emulated machine quick enough to log in.
pub(crate) const POLICY: &str = "\
defaults: {cpu: 0.9, mem: 300M, tasks: 210}
max: {cpu: 1.8, mem: 900M, tasks: 900}
";

/// Where the daemon reads its policy.
pub(crate) const POLICY_PATH: &str = "/etc/fairshare/policy.d/default.yaml";

/// alice's slice on a host with logind.
pub(crate) const ALICE_SLICE: &str = "/sys/fs/cgroup/user.slice/user-1000.slice";

/// bob's.
pub(crate) const BOB_SLICE: &str = "/sys/fs/cgroup/user.slice/user-1001.slice";

/// How long a state may take to come about that nobody waits for in a reply.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// For a user's slice to go after the last logout: logind keeps the user for ten seconds, and an
/// emulated machine takes its time.
pub(crate) const LOGOUT: Duration = Duration::from_secs(40);

/// The limits that [`POLICY`] gives at login.
pub(crate) const DEFAULTS: Limits<'_> = Limits {
    cpu: "90000 100000",
    mem: "314572800",
    swap: "0",
    tasks: "210",
};

/// The limits of a slice as its cgroup files have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits<'a> {
    pub(crate) cpu: &'a str,
    pub(crate) mem: &'a str,
    pub(crate) swap: &'a str,
    pub(crate) tasks: &'a str,
}

/// Puts a policy in force by restarting the daemon with it.
pub(crate) fn put_policy(machine: &Machine, policy: &str) -> Result<()> {
    machine.write(POLICY_PATH, policy, 0o644)?;
    machine.restart_daemon()
}

/// Has the daemon look users up: a login waits for the name service a quarter of a second, in which an
/// emulated machine may not get it started.
pub(crate) fn look_up(machine: &Machine, users: &[&str]) -> Result<()> {
    for user in users {
        machine.root(&format!("fairshare policy explain {user}"))?;
    }
    Ok(())
}

/// A shell command that prints the limits of a slice, one file a line.
pub(crate) fn show_limits(slice: &str) -> String {
    format!("cd {slice} && grep . cpu.max memory.max memory.swap.max pids.max")
}

/// The same for the slice that the command itself runs in.
pub(crate) fn own_slice() -> String {
    show_limits("/sys/fs/cgroup$(sed -n 's,^0::\\(.*\\)/[^/]*$,\\1,p' /proc/self/cgroup)")
}

/// Checks what [`show_limits`] printed.
pub(crate) fn assert_limits(shown: &str, expected: Limits<'_>) {
    let found: BTreeMap<&str, &str> = shown
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let wanted = BTreeMap::from([
        ("cpu.max", expected.cpu),
        ("memory.max", expected.mem),
        ("memory.swap.max", expected.swap),
        ("pids.max", expected.tasks),
    ]);
    assert_eq!(found, wanted, "in:\n{shown}");
}

/// Checks the limits of alice's slice, as root sees them.
pub(crate) fn assert_alice_has(machine: &Machine, expected: Limits<'_>) -> Result<()> {
    let shown = machine.root(&show_limits(ALICE_SLICE))?;
    assert_limits(&shown.stdout, expected);
    Ok(())
}

/// Waits until everything of alice's is gone, and checks that nothing is left of her limits.
pub(crate) fn assert_nothing_left(machine: &Machine) -> Result<()> {
    machine.wait_until(
        "alice's slice to go",
        LOGOUT,
        &format!("[ ! -e {ALICE_SLICE} ]"),
    )?;
    machine.wait_until(
        "the daemon to forget alice",
        SOON,
        "[ \"$(fairshare list --json | python3 -c \
         'import json,sys; print(len(json.load(sys.stdin)[\"users\"]))')\" = 0 ]",
    )?;
    let left = machine.root(
        "ls -d /run/systemd/transient/*1000* /run/systemd/system.control/*1000* \
         /etc/systemd/system.control/*1000* 2>/dev/null; true",
    )?;
    assert_eq!(left.text(), "", "left behind");
    Ok(())
}
