//! Grants that end by themselves.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, Limits, POLICY, SOON, assert_alice_has, assert_nothing_left, put_policy,
};

/// Grants last half an hour where nobody says how long, and an hour at the most.
const LEASE: &str = "lease: {default: 30m, longest: 1h}\n";
/// Fills 500 MiB, frees them when a file says so, and stays.
const HOLDER: &str = "\
import os, time
held = bytearray(500 << 20)
held[::4096] = b'x' * len(held[::4096])
open('/tmp/held', 'w').close()
while not os.path.exists('/tmp/free'): time.sleep(0.05)
del held
open('/tmp/freed', 'w').close()
time.sleep(600)
";
/// For a lease's warning and for its end, which come at times of their own.
const WARNED: Duration = Duration::from_secs(90);

/// At the end of a lease nothing is killed: the limit comes down to what is in use, and on to the
/// default when that is freed. Before and at the end the user is told on her terminal, once,
/// whatever is done to the machine's clock.
pub(crate) fn a_lease_ends_and_kills_nothing(machine: &Machine) -> Outcome {
    put_policy(machine, &format!("{POLICY}{LEASE}"))?;
    // A terminal where nothing is typed any more.
    let mut screen = machine.ssh("alice").terminal().bound(WARNED).open()?;
    let mut alice = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    machine.write("/tmp/holder.py", HOLDER, 0o644)?;

    // The last warning comes one minute before the end, which is seconds from now.
    let said = alice.run("fairshare resize --mem 800M --for 1m5s")?.ok()?;
    assert!(said.stdout.contains("800M"), "{said}");
    alice
        .run("python3 /tmp/holder.py </dev/null >/dev/null 2>&1 & holder=$!")?
        .ok()?;
    let warning = screen.read_until("fairshare renew --for")?;
    assert!(warning.contains("1m"), "{warning:?}");
    assert!(warning.contains("800M"), "{warning:?}");
    let status = alice.run("fairshare status")?.ok()?;
    assert!(status.stdout.contains("the grant ends in"), "{status}");
    machine.wait_until("the memory to be held", WARNED, "[ -e /tmp/held ]")?;

    // The machine's time of day goes far beyond the end, and far back; the lease goes on.
    for moved in ["+5 hours", "-10 hours"] {
        machine.root(&format!("date --set '{moved}'"))?;
        assert_lease(&mut alice, 1..=60)?;
        let limit = machine.root(&format!("cat {ALICE_SLICE}/memory.max"))?;
        assert_eq!(limit.text(), "838860800", "{moved}");
    }
    // A shorter lease in the place of the first, which ends though it is yesterday.
    alice.run("fairshare renew --for 2s")?.ok()?;
    let told = screen.read_until("has ended")?;
    assert!(told.contains("lease"), "{told:?}");
    assert!(!told.contains("ends in"), "warned again: {told:?}");
    machine.root("date --set '+5 hours'")?;
    machine.wait_until(
        "the limit to be what is in use",
        SOON,
        &format!(
            "limit=$(cat {ALICE_SLICE}/memory.max); \
             [ $limit -lt $((750 << 20)) ] && [ $limit -gt $((500 << 20)) ]"
        ),
    )?;
    alice.run("kill -0 $holder")?.ok()?;
    let status = alice.run("fairshare status --json")?.ok()?;
    assert!(status.stdout.contains("\"grant\": false"), "{status}");

    machine.root("touch /tmp/free")?;
    machine.wait_until("the memory to be freed", SOON, "[ -e /tmp/freed ]")?;
    machine.wait_until(
        "the default",
        Duration::from_secs(60),
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max)\" = 314572800 ]"),
    )?;
    assert_alice_has(machine, DEFAULTS)?;
    alice.run("kill -0 $holder")?.ok()?;
    let kills = machine.root(&format!(
        "sed -n 's/^oom_kill //p' {ALICE_SLICE}/memory.events"
    ))?;
    assert_eq!(kills.text(), "0", "something was killed");
    alice.run("kill $holder")?.ok()?;
    alice.close()?;
    screen.close()
}

/// A lease is policy's where the user does not say, at most policy's longest, outlives the daemon,
/// and may be renewed.
pub(crate) fn a_lease_is_within_policy(machine: &Machine) -> Outcome {
    put_policy(machine, &format!("{POLICY}{LEASE}"))?;
    let mut alice = machine.ssh("alice").open()?;
    let refused = alice.run("fairshare renew --for 10m")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    let refused = alice.run("fairshare resize --mem 512M --for 2h")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    assert!(refused.stderr.contains("1h"), "{refused}");
    assert_alice_has(machine, DEFAULTS)?;

    alice.run("fairshare resize --mem 512M")?.ok()?;
    let granted = Limits {
        mem: "536870912",
        ..DEFAULTS
    };
    assert_lease(&mut alice, 20 * 60..=30 * 60)?;
    let refused = alice.run("fairshare renew --for 2h")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    alice.run("fairshare renew --for 1h")?.ok()?;
    assert_lease(&mut alice, 50 * 60..=60 * 60)?;

    machine.root("systemctl kill --signal=KILL fairshared.service")?;
    machine.wait_until(
        "the daemon to be back",
        SOON,
        "systemctl is-active --quiet fairshared.service && fairshare list >/dev/null 2>&1",
    )?;
    assert_lease(&mut alice, 50 * 60..=60 * 60)?;
    assert_alice_has(machine, granted)?;
    // A lease that ends while the daemon is away has ended when it is back.
    alice.run("fairshare renew --for 2s")?.ok()?;
    machine.stop_daemon()?;
    machine.root("sleep 2")?;
    machine.restart_daemon()?;
    machine.wait_until(
        "the default",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max)\" = 314572800 ]"),
    )?;
    alice.close()?;
    assert_nothing_left(machine)
}

/// A grant that is not used is asked back on the user's terminal, and taken back if it stays so.
pub(crate) fn an_idle_grant_is_asked_back(machine: &Machine) -> Outcome {
    put_policy(
        machine,
        &format!("{POLICY}idle: {{after: 10s, notice: 5s}}\n"),
    )?;
    let mut screen = machine.ssh("alice").terminal().bound(WARNED).open()?;
    let mut alice = machine.ssh("alice").open()?;
    alice.run("fairshare resize --cpu 1.8 --mem 512M")?.ok()?;
    let asked = screen.read_until("goes back in")?;
    assert!(asked.contains("is not used"), "{asked:?}");
    assert!(asked.contains("1.8 CPUs, 512M memory"), "{asked:?}");
    let granted = Limits {
        cpu: "180000 100000",
        mem: "536870912",
        ..DEFAULTS
    };
    assert_alice_has(machine, granted)?;
    let told = screen.read_until("has gone back")?;
    assert!(told.contains("not used"), "{told:?}");
    assert_alice_has(machine, DEFAULTS)?;
    let status = alice.run("fairshare status --json")?.ok()?;
    assert!(status.stdout.contains("\"grant\": false"), "{status}");
    alice.close()?;
    screen.close()
}

/// Checks how many seconds alice's lease has left.
fn assert_lease(
    session: &mut fairshare_tests::Session,
    seconds: std::ops::RangeInclusive<u64>,
) -> Outcome {
    let status = session
        .run(
            "fairshare status --json | \
             python3 -c 'import json, sys; print(json.load(sys.stdin)[\"lease_left_s\"])'",
        )?
        .ok()?;
    let left: u64 = status.text().parse().map_err(|_| status.to_string())?;
    assert!(seconds.contains(&left), "{left} s are left");
    Ok(())
}
