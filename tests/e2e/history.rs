//! What was used, kept over logouts, restarts and a full disk.

use fairshare_tests::{Machine, Result};

use crate::harness::Outcome;
use crate::kernel::{ALICE_SLICE, DEFAULTS, LOGOUT, POLICY, assert_alice_has, put_policy};

/// CPU time that alice burns, in seconds.
const BURNT: u64 = 3;
/// What a login and a logout may take beside it in an emulated machine.
const BESIDE: u64 = 30;

/// A shell command that prints the CPU seconds that the daemon has of alice; -1 where it has none.
const REPORTED: &str = r#"python3 - <<'END'
import json, socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/fairshare.sock")
f = s.makefile("rw")
f.write('{"type": "report", "uid": 1000, "since": "1h"}\n')
f.flush()
rows = json.loads(f.readline())["rows"]
print(rows[0]["cpu_s"] if rows else -1)
END"#;

fn reported(machine: &Machine) -> Result<u64> {
    let said = machine.root(REPORTED)?;
    Ok(said.stdout.trim().parse().unwrap_or_default())
}

/// What a user burns in one short session is reported after the logout and after a `kill -9`, once.
/// A full disk below the history costs no login.
pub(crate) fn use_is_reported_after_all_that_may_come(machine: &Machine) -> Outcome {
    machine.stop_daemon()?;
    machine.root("rm -rf /var/lib/fairshare")?;
    put_policy(machine, POLICY)?;
    machine.restart_daemon()?;
    let mut session = machine.ssh("alice").open()?;
    let burn = format!(
        "python3 -c 'import time\nwhile time.process_time() < {BURNT}: pass' && \
         sed -n 's/^usage_usec //p' {ALICE_SLICE}/cpu.stat"
    );
    let counted = session.run(&burn)?.ok()?;
    let counted: u64 = counted.stdout.trim().parse().unwrap_or_default();
    session.close()?;
    machine.wait_until(
        "the slice to go",
        LOGOUT,
        &format!("[ ! -e {ALICE_SLICE} ]"),
    )?;
    let kernels = counted / 1_000_000;
    let before = reported(machine)?;
    assert!(
        (kernels..=kernels + BESIDE).contains(&before) && kernels >= BURNT,
        "{before} s are reported, and the kernel counted {kernels}"
    );
    machine.root("systemctl kill --signal=KILL fairshared.service")?;
    assert_eq!(reported(machine)?, before, "after a kill");

    machine.stop_daemon()?;
    machine.root("mount -t tmpfs -o size=256k,mode=700 tmpfs /var/lib/fairshare")?;
    let result = full_disk(machine);
    machine.stop_daemon()?;
    machine.root("umount /var/lib/fairshare")?;
    result
}

fn full_disk(machine: &Machine) -> Result<()> {
    machine.restart_daemon()?;
    machine.root("dd if=/dev/zero of=/var/lib/fairshare/ballast bs=1k 2>/dev/null; true")?;
    let session = machine.ssh("alice").open()?;
    assert_alice_has(machine, DEFAULTS)?;
    reported(machine)?;
    session.close()
}
