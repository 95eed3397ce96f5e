//! A machine that is full: waiting for room, budgets of groups, and administrators.

use std::time::Duration;

use fairshare_tests::{Machine, Session};

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, BOB_SLICE, DEFAULTS, Limits, POLICY_PATH, SOON, assert_alice_has, put_policy,
};

/// Of the machine's two CPUs 1.1 are there for grants.
const FULL: &str = "\
defaults: {cpu: 0.5, mem: 300M, tasks: 210}
max: {cpu: 1.8, mem: 900M, tasks: 900}
reserve: {cpu: 0.9}
queue: {longest_wait: 10m}
";
/// What [`FULL`] gives at login.
const HALF: Limits<'_> = Limits {
    cpu: "50000 100000",
    ..DEFAULTS
};
/// No request waits.
const EMPTY: &str = "[ \"$(fairshare queue)\" = 'no request waits' ]";

/// Who waits is told the place and what is missing, and has it when another gives back. Who holds
/// and who waits is told by name only where policy says so.
pub(crate) fn who_waits_has_the_next_room(machine: &Machine) -> Outcome {
    put_policy(machine, FULL)?;
    let mut alice = machine.ssh("alice").open()?;
    let mut bob = machine.ssh("bob").open()?;
    alice.run("fairshare resize --cpu 1.5")?.ok()?;
    let refused = bob.run("fairshare resize --cpu 1")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    assert!(refused.stderr.contains("0.6"), "{refused}");
    assert!(refused.stderr.contains("--wait"), "{refused}");
    assert!(!refused.stderr.contains("alice"), "{refused}");

    bob.type_line("fairshare resize --cpu 1 --wait 2>&1; echo \"ended: $?\"")?;
    let place = bob.read_until("\n")?;
    assert!(
        place.contains("place 1 in the queue, waiting for 0.4 CPUs"),
        "{place:?}"
    );
    let queue = machine.root("fairshare queue")?;
    let line = queue.stdout.lines().nth(1).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words.get(..3), Some(&["bob", "1", "1"][..]), "{queue}");
    let queue = alice.run("fairshare queue")?.ok()?;
    assert!(queue.stdout.contains("another user"), "{queue}");
    assert!(!queue.stdout.contains("bob"), "{queue}");
    machine.write(POLICY_PATH, format!("{FULL}show_holders: true\n"), 0o644)?;
    machine.root("systemctl reload fairshared")?;
    let queue = alice.run("fairshare queue")?.ok()?;
    assert!(queue.stdout.contains("bob"), "{queue}");
    let limit = machine.root(&format!("cat {BOB_SLICE}/cpu.max"))?;
    assert_eq!(limit.text(), HALF.cpu);

    alice.run("fairshare release")?.ok()?;
    let said = bob.read_until("ended: 0\n")?;
    assert!(said.contains("1 CPU"), "{said:?}");
    let limit = machine.root(&format!("cat {BOB_SLICE}/cpu.max"))?;
    assert_eq!(limit.text(), "100000 100000");
    assert_alice_has(machine, HALF)?;
    machine.root(EMPTY)?;
    let refused = alice.run("fairshare resize --cpu 1.5")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    assert!(refused.stderr.contains("bob"), "{refused}");
    alice.close()?;
    bob.close()
}

/// A wait ends with its time, with Ctrl-C, with the connection and with the last session.
pub(crate) fn a_place_in_the_queue_is_given_up(machine: &Machine) -> Outcome {
    put_policy(machine, FULL)?;
    let mut alice = machine.ssh("alice").open()?;
    alice.run("fairshare resize --cpu 1.5")?.ok()?;

    let mut bob = machine.ssh("bob").terminal().open()?;
    let late = bob.run("fairshare resize --cpu 1 --wait 2s")?;
    assert_eq!(late.status, Some(1), "{late}");
    assert!(late.elapsed >= Duration::from_secs(2), "{:?}", late.elapsed);
    machine.root(EMPTY)?;

    wait_in_queue(&mut bob)?;
    bob.type_line("\x03")?;
    let interrupted = bob.run("(exit $?)")?;
    assert_eq!(interrupted.status, Some(130), "{interrupted}");
    machine.wait_until("the place to be free", SOON, EMPTY)?;

    wait_in_queue(&mut bob)?;
    machine.root("pkill -KILL -u bob -x fairshare")?;
    machine.wait_until("the place to be free", SOON, EMPTY)?;
    bob.run("true")?;

    wait_in_queue(&mut bob)?;
    machine.root("fairshare queue | grep -q bob")?;
    // The connection breaks.
    drop(bob);
    machine.wait_until("the place to be free", SOON, EMPTY)?;
    alice.close()
}

/// Types a request that waits, and reads its place.
fn wait_in_queue(bob: &mut Session) -> Outcome {
    bob.type_line("fairshare resize --cpu 1 --wait")?;
    bob.read_until("place 1 in the queue").map(drop)
}

/// What the members of a group hold together stays within its budget.
pub(crate) fn a_budget_is_shared_by_a_group(machine: &Machine) -> Outcome {
    machine.root("for user in alice bob; do usermod --append --groups staff $user; done")?;
    put_policy(
        machine,
        "defaults: {cpu: 0.5, mem: 300M, tasks: 210}\n\
         max: {cpu: 1.8, mem: 900M, tasks: 900}\n\
         groups: {staff: {budget: {cpu: 2}}}\n",
    )?;
    let mut alice = machine.ssh("alice").open()?;
    let mut bob = machine.ssh("bob").open()?;
    alice.run("fairshare resize --cpu 1.4")?.ok()?;
    let refused = bob.run("fairshare resize --cpu 1")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    assert!(
        refused.stderr.contains("staff") && refused.stderr.contains("0.6"),
        "{refused}"
    );
    let limit = machine.root(&format!("cat {BOB_SLICE}/cpu.max"))?;
    assert_eq!(limit.text(), HALF.cpu);
    let status = bob.run("fairshare status")?.ok()?;
    assert!(
        status
            .stdout
            .contains("budget of staff: 1.9 of 2 CPUs held by its members"),
        "{status}"
    );
    bob.run("fairshare resize --cpu 0.6")?.ok()?;
    alice.run("fairshare release")?.ok()?;
    bob.run("fairshare resize --cpu 1.5")?.ok()?;
    let limit = machine.root(&format!("cat {BOB_SLICE}/cpu.max"))?;
    assert_eq!(limit.text(), "150000 100000");
    alice.close()?;
    bob.close()
}

/// Members of the group that policy names set and release what others have; nobody else does.
pub(crate) fn administrators_set_what_others_have(machine: &Machine) -> Outcome {
    machine.root("usermod --append --groups staff alice")?;
    put_policy(
        machine,
        &format!("{FULL}administrators: {{groups: [staff]}}\n"),
    )?;
    let mut alice = machine.ssh("alice").open()?;
    let mut bob = machine.ssh("bob").open()?;
    alice.run("fairshare set bob --cpu 1 --for 1h")?.ok()?;
    let limit = machine.root(&format!("cat {BOB_SLICE}/cpu.max"))?;
    assert_eq!(limit.text(), "100000 100000");
    let status = bob.run("fairshare status")?.ok()?;
    assert!(status.stdout.contains("the grant ends in"), "{status}");
    let listed = alice.run("fairshare list")?.ok()?;
    assert!(listed.stdout.contains("bob"), "{listed}");
    alice.run("fairshare policy explain bob")?.ok()?;
    // The rules for him hold.
    let refused = alice.run("fairshare set bob --cpu 1.9")?;
    assert_eq!(refused.status, Some(1), "{refused}");

    for command in [
        "fairshare set alice --cpu 1",
        "fairshare release alice",
        "fairshare policy diff",
        "fairshare policy explain alice",
    ] {
        let refused = bob.run(command)?;
        assert_eq!(refused.status, Some(4), "{refused}");
    }
    let listed = bob.run("fairshare list")?.ok()?;
    assert!(!listed.stdout.contains("alice"), "{listed}");

    alice.run("fairshare release bob")?.ok()?;
    let limit = machine.root(&format!("cat {BOB_SLICE}/cpu.max"))?;
    assert_eq!(limit.text(), HALF.cpu);
    // Root does the same.
    machine.root("fairshare set alice --cpu 1 --for 1h")?;
    let limit = machine.root(&format!("cat {ALICE_SLICE}/cpu.max"))?;
    assert_eq!(limit.text(), "100000 100000");
    alice.close()?;
    bob.close()
}
