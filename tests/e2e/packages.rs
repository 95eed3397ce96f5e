//! The packages: installed, upgraded, removed and purged as an administrator does it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fairshare_tests::packages::FOLDER;
use fairshare_tests::{Machine, Output, Packages, Result};

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, BOB_SLICE, DEFAULTS, LOGOUT, Limits, POLICY, POLICY_PATH, SOON, assert_alice_has,
    assert_nothing_left, put_policy, show_limits,
};

/// Arguments for an emulated machine, which can take longer for a login than the module waits.
const PATIENT: &str = "timeout=30000";
/// The release after this one.
const NEXT: &str = "0.1.0+next";
/// What alice asks for, and what the kernel has then.
const RESIZE: &str = "fairshare resize --cpu 1.5 --mem 512M --for 2h";
const GRANT: Limits<'_> = Limits {
    cpu: "150000 100000",
    mem: "536870912",
    ..DEFAULTS
};
/// How many users there are with a session, and how many of them with a grant.
const SESSIONS: &str = "fairshare list --json | python3 -c 'import json,sys; \
                        users = json.load(sys.stdin)[\"users\"]; \
                        print([(u[\"uid\"], u[\"sessions\"]) for u in users])'";

/// The line stands behind `pam_systemd`'s, jobs have it too, and one by hand beside it does no
/// harm.
pub(crate) fn the_module_comes_after_pam_systemd(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let modules = machine.root("grep -o 'pam_[a-z]*[.]so' /etc/pam.d/common-session")?;
    let position = |name| modules.stdout.lines().position(|line| line == name);
    let (systemd, ours) = (position("pam_systemd.so"), position("pam_fairshare.so"));
    assert!(systemd.is_some() && systemd < ours, "{modules}");
    machine.root("grep -q pam_fairshare.so /etc/pam.d/common-session-noninteractive")?;

    machine.add_pam_line("sshd", PATIENT)?;
    machine.root(&format!(
        "echo 'session optional pam_fairshare.so {PATIENT}' >> /etc/pam.d/sshd"
    ))?;
    let session = machine.ssh("alice").open()?;
    assert_alice_has(machine, DEFAULTS)?;
    assert_eq!(machine.root(SESSIONS)?.text(), "[(1000, 1)]");
    session.close()?;
    assert_nothing_left(machine)
}

/// An upgrade while alice holds a grant, and while bob logs in all the time: she keeps session,
/// grant and limit, he gets in limited each time, and what the administrator has changed stays.
pub(crate) fn an_upgrade_loses_nothing(machine: &Machine) -> Outcome {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    machine.put_packages(&Packages::built()?.with_version(NEXT, folder.path())?)?;
    machine.add_pam_line("sshd", PATIENT)?;
    put_policy(machine, POLICY)?;
    let mut alice = machine.ssh("alice").open()?;
    alice.run(RESIZE)?.ok()?;
    let since = "systemctl show -P ActiveEnterTimestampMonotonic fairshared.socket";
    let (pid, socket) = (machine.daemon_pid()?, machine.root(since)?);

    let upgraded = AtomicBool::new(false);
    let (outcome, logins) = thread::scope(|scope| {
        let bob = scope.spawn(|| log_in_until(machine, &upgraded));
        let outcome = machine.dpkg(&format!("--install {FOLDER}/*.deb"));
        upgraded.store(true, Ordering::Relaxed);
        (outcome, bob.join())
    });
    outcome?;
    let logins = logins.map_err(|_| "bob's logins panicked")??;
    println!("{} logins during the upgrade", logins.len());
    for login in &logins {
        assert_eq!(login.text(), "0.9", "{login}");
    }

    let version = machine.root("dpkg-query --show --showformat='${Version}' fairshare")?;
    assert_eq!(version.text(), NEXT);
    assert_ne!(machine.daemon_pid()?, pid, "the daemon is the old one");
    let same = machine.root(since)?;
    assert_eq!(same.text(), socket.text(), "the socket was closed");
    assert_alice_has(machine, GRANT)?;
    let held = alice.run("fairshare status --json")?.ok()?;
    assert!(held.stdout.contains("\"lease_left_s\""), "{held}");
    assert!(machine.root(SESSIONS)?.text().contains("(1000, 1)"));
    assert_eq!(machine.read(POLICY_PATH)?, POLICY);
    machine.root(&format!(
        "grep -q 'pam_fairshare.so {PATIENT}$' /etc/pam.d/common-session"
    ))?;
    alice.close()?;
    // sshd lets go of the connection before PAM closes the session.
    machine.wait_until(
        "the default to be back",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max)\" = {} ]", DEFAULTS.mem),
    )?;
    assert_alice_has(machine, DEFAULTS)
}

/// One login after the other, each a connection of its own, and one more after the end.
fn log_in_until(machine: &Machine, end: &AtomicBool) -> Result<Vec<Output>> {
    let mut logins = Vec::new();
    loop {
        let last = end.load(Ordering::Relaxed);
        let login = machine.ssh("bob").bound(Duration::from_secs(60));
        logins.push(login.ok("echo $FAIRSHARE_CPUS")?);
        if last {
            return Ok(logins);
        }
    }
}

/// Removed while alice is logged in, it lifts her limits and keeps what the administrator wrote;
/// purged, it leaves nothing; installed again, it limits the next login.
pub(crate) fn removed_it_leaves_nothing_and_comes_back(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut alice = machine.ssh("alice").open()?;
    alice.run(RESIZE)?.ok()?;
    assert_alice_has(machine, GRANT)?;

    machine.dpkg("--remove fairshare")?;
    // bob's is a slice that fairshare has never seen.
    let bob = machine.ssh("bob").open()?;
    let limits = |slice| {
        let files = "cpu.weight memory.high memory.low io.max";
        machine.root(&format!(
            "{}; grep -H . {files} 2>/dev/null; true",
            show_limits(slice)
        ))
    };
    let (hers, his) = (limits(ALICE_SLICE)?, limits(BOB_SLICE)?);
    assert_eq!(hers.stdout, his.stdout, "not as on a machine without");
    bob.close()?;
    assert_eq!(machine.read(POLICY_PATH)?, POLICY);

    machine.dpkg("--purge fairshare fairshare-exporter libfairshare-dev libfairshare0")?;
    machine.wait_until(
        "bob's slice to go",
        LOGOUT,
        &format!("[ ! -e {BOB_SLICE} ]"),
    )?;
    let left = machine.left_behind()?;
    assert_eq!(left, Vec::<String>::new(), "left behind");
    let units = machine.root(
        "systemctl list-units --all --plain --no-legend 'fairshare*'; \
         systemctl list-unit-files --no-legend 'fairshare*'; true",
    )?;
    assert_eq!(units.text(), "");
    assert_eq!(alice.run("echo here")?.ok()?.text(), "here");

    machine.install(&Packages::built()?)?;
    machine.add_pam_line("sshd", PATIENT)?;
    let login = machine
        .ssh("bob")
        .ok(&format!("echo $FAIRSHARE_CPUS; {}", show_limits(BOB_SLICE)))?;
    // Half of two CPUs without the twentieth that is kept for the system.
    assert!(login.stdout.starts_with("0.95\n"), "{login}");
    assert!(login.stdout.contains("cpu.max:95000 100000\n"), "{login}");
    alice.close()?;
    Ok(())
}
