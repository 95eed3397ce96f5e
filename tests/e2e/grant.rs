//! Asking for more, and giving it back.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, Limits, POLICY, POLICY_PATH, SOON, assert_alice_has,
    assert_nothing_left, put_policy,
};

const GRANTED: Limits<'_> = Limits {
    cpu: "150000 100000",
    mem: "536870912",
    swap: "0",
    tasks: "210",
};

/// The grant stays while one of two sessions is open, goes with the last, and leaves nothing.
pub(crate) fn a_grant_ends_with_the_last_session(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut first = machine.ssh("alice").open()?;
    let second = machine.ssh("alice").open()?;
    let said = first.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    assert!(said.stdout.contains("1.5 CPUs, 512M memory"), "{said}");
    assert_alice_has(machine, GRANTED)?;

    first.close()?;
    wait_for_sessions(machine, 1)?;
    assert_alice_has(machine, GRANTED)?;

    second.close()?;
    machine.wait_until(
        "the default to be back, or the slice gone",
        SOON,
        &format!("[ ! -e {ALICE_SLICE} ] || [ \"$(cat {ALICE_SLICE}/memory.max)\" = 314572800 ]"),
    )?;
    assert_nothing_left(machine)
}

/// Who leaves a process behind leaves the grant, and not the limits.
pub(crate) fn what_is_left_behind_stays_limited(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    session.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    session
        .run("setsid sleep 300 </dev/null >/dev/null 2>&1 &")?
        .ok()?;
    session.close()?;
    wait_for_sessions(machine, 0)?;
    machine.wait_until(
        "the default to be back",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max)\" = 314572800 ]"),
    )?;
    assert_alice_has(machine, DEFAULTS)?;
    let place = machine.root("cat /proc/$(pgrep -u alice -x sleep)/cgroup")?;
    assert!(place.text().contains("/user-1000.slice/"), "{place}");

    // A new login finds the default, and the old process is no reason against it.
    let again = machine.ssh("alice").ok("fairshare status --json")?;
    assert!(again.stdout.contains("\"grant\": false"), "{again}");
    machine.root("pkill -u alice -x sleep")?;
    assert_nothing_left(machine)
}

/// The lines of the first version of the protocol, typed by hand.
pub(crate) fn the_first_versions_lines_work(machine: &Machine) -> Outcome {
    put_policy(
        machine,
        "defaults: {cpu: 1, mem: 256M}\nmax: {cpu: 1.5, mem: 512M}\n",
    )?;
    let talk = r#"python3 - <<'END'
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/fairshare.sock")
f = s.makefile("rw")
for line in [
    '{"type": "request_resources", "cpu": 16, "mem": "300M"}',
    '{"type": "request_resources", "cpu": 1.5, "mem": "invalid"}',
    '{"type": "request_resources", "cpu": 1.5, "mem": "300M"}',
    '{"type": "request_resources", "cpu": 1.5, "mem": "300M"}',
    '{"type": "status"}',
    '{"type": "release"}',
    '{"type": "status"}',
]:
    f.write(line + "\n")
    f.flush()
    print(f.readline(), end="")
END"#;
    let output = machine.ssh("alice").ok(talk)?;
    let lines: Vec<&str> = output.stdout.lines().collect();
    let begins = [
        r#"{"type": "error", "error": "Request validation failed: Requested CPU (16) exceeds maximum allowed (1.5)""#,
        r#"{"type": "error", "error": "Request validation failed: Invalid memory size format: invalid""#,
        r#"{"type": "success", "message": "Resources allocated: 1.5 CPUs, 300M memory"}"#,
        r#"{"type": "error", "error": "User already has an active resource allocation. Release it first.""#,
        r#"{"type": "status_info", "allocated_cpu": 1.5, "allocated_mem": "300M""#,
        r#"{"type": "success", "message": "#,
        r#"{"type": "status_info", "allocated_cpu": 1, "allocated_mem": "256M""#,
    ];
    assert_eq!(lines.len(), begins.len(), "{output}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(
            line.starts_with(begin),
            "{line}\ndoes not begin with\n{begin}"
        );
    }
    Ok(())
}

/// What does not fit policy or machine is refused with the figures, and changes nothing.
pub(crate) fn too_much_is_refused_with_figures(machine: &Machine) -> Outcome {
    put_policy(
        machine,
        "defaults: {cpu: 0.9, mem: 300M}\nmax: {cpu: 64, mem: 900M}\n",
    )?;
    let mut session = machine.ssh("alice").open()?;
    for (command, part) in [
        ("fairshare resize --mem 2G", "900M"),
        ("fairshare resize --cpu 32", "possible now"),
        ("fairshare resize --cpu 0.5", "0.9"),
        ("fairshare release", "rant"),
    ] {
        let output = session.run(command)?;
        assert_eq!(output.status, Some(1), "{output}");
        assert!(output.stderr.contains(part), "{output}");
    }
    let cpu = machine.root(&format!("cat {ALICE_SLICE}/cpu.max"))?;
    assert_eq!(cpu.text(), "90000 100000");
    session.close()?;
    Ok(())
}

/// Memory in use is not cut off unless asked for; then it comes down in steps, and what does not
/// fit is killed in the end.
pub(crate) fn shrinking_below_use_needs_force(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    session.run("fairshare resize --mem 800M")?.ok()?;
    session.run(
        "python3 -c 'import time; b = bytearray(600 << 20); b[::4096] = b\"x\" * len(b[::4096]); \
         open(\"/tmp/held\", \"w\"); time.sleep(600)' >/dev/null 2>&1 </dev/null & hog=$!; \
         until [ -e /tmp/held ]; do sleep 0.1; done",
    )?
    .ok()?;
    let refused = session.run("fairshare resize --mem 400M")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    assert!(refused.stderr.contains("in use"), "{refused}");
    assert!(refused.stderr.contains("--force"), "{refused}");
    let unchanged = machine.root(&format!("cat {ALICE_SLICE}/memory.max"))?;
    assert_eq!(unchanged.text(), "838860800");

    // Looked for from before the change on: the whole may be over before another look comes.
    machine.root(&format!(
        "(until [ \"$(cat {ALICE_SLICE}/memory.high)\" != max ]; do sleep 0.01; done; \
          touch /tmp/high-came-first) </dev/null >/dev/null 2>&1 &"
    ))?;
    let forced = session.run("fairshare resize --mem 400M --force")?.ok()?;
    assert!(forced.stdout.contains("step"), "{forced}");
    machine.wait_until(
        "memory.high to have come down first",
        SOON,
        "[ -e /tmp/high-came-first ]",
    )?;
    machine.wait_until(
        "the new limit",
        Duration::from_secs(60),
        &format!(
            "[ \"$(cat {ALICE_SLICE}/memory.max {ALICE_SLICE}/memory.high | tr '\\n' ' ')\" = \
             '419430400 max ' ]"
        ),
    )?;
    // Nothing of it could be reclaimed without swap, so the hog is killed and the shell is not. The
    // kernel shows the new limit before it kills for it, so the end is waited for.
    let end = session.run("wait $hog")?;
    assert_eq!(end.status, Some(128 + 9), "{end}");
    session.close()?;
    Ok(())
}

/// A policy that is read again holds for those who are logged in; a wrong one changes nothing.
pub(crate) fn a_reload_changes_who_is_logged_in(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    let reload = "systemctl kill --signal=HUP --kill-whom=main fairshared.service";

    machine.write(
        POLICY_PATH,
        "defaults: {cpu: 9, mem: 400M}\nmax: {cpu: 1, mem: 1X}\n",
        0o644,
    )?;
    machine.root(reload)?;
    machine.wait_until(
        "the fault in the log",
        SOON,
        "journalctl --unit fairshared.service --output cat | grep -q 'the policy before'",
    )?;
    assert_alice_has(machine, DEFAULTS)?;

    machine.write(
        POLICY_PATH,
        "defaults: {cpu: 1.2, mem: 400M, tasks: 222}\nmax: {cpu: 1.5, mem: 500M, tasks: 300}\n",
        0o644,
    )?;
    machine.root(reload)?;
    machine.wait_until(
        "the new default",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max)\" = 419430400 ]"),
    )?;
    assert_alice_has(
        machine,
        Limits {
            cpu: "120000 100000",
            mem: "419430400",
            swap: "0",
            tasks: "222",
        },
    )?;
    session.run("fairshare resize --mem 500M")?.ok()?;
    session.close()?;
    Ok(())
}

/// Waits until the daemon counts so many sessions of alice.
fn wait_for_sessions(machine: &Machine, count: u32) -> Outcome {
    machine.wait_until(
        "the number of sessions",
        SOON,
        &format!(
            "fairshare list --json | grep -q '\"uid\": 1000,[^}}]*\"sessions\": {count},' || \
             fairshare list --json | tr -d '\\n ' | grep -q '\"uid\":1000,[^}}]*\"sessions\":{count},'"
        ),
    )
}
