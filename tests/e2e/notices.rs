//! What happened to a user while nobody was at a terminal.

use std::process::Command;
use std::time::Duration;

use fairshare_tests::command::{self, Output};
use fairshare_tests::{Machine, Result};

use crate::harness::Outcome;
use crate::kernel::{POLICY, SOON, put_policy};

/// For one login or transfer.
const BOUND: Duration = Duration::from_secs(60);
/// With what the notices begin.
const GREETING: &str = "while you were away";

/// A lease ends while its user has no terminal. No program that speaks over ssh hears of it; the next
/// login on a terminal does, and the one after that does not again.
pub(crate) fn what_was_missed_is_told_at_the_next_login(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut alice = machine.ssh("alice").open()?;
    alice.run("fairshare resize --mem 512M --for 1s")?.ok()?;
    machine.wait_until(
        "the end of the lease",
        SOON,
        "fairshare why --user alice | grep -q 'lease of your grant has ended'",
    )?;

    let options = machine.access().options();
    let port = machine.access().port.to_string();
    let shell = fairshare_tests::ssh::as_one_string(machine.access());
    let mut sftp = Command::new("sftp");
    sftp.args(&options)
        .args(["-b", "-", "-P", &port, "alice@127.0.0.1"]);
    let mut rsync = Command::new("rsync");
    rsync.args(["--rsh", &shell, "alice@127.0.0.1:/etc/hostname", "-"]);
    rsync.arg("--dry-run");
    for output in [
        fairshare_tests::machine::scp(machine, "alice", ":/etc/hostname", "/dev/null")?,
        command::run(&mut sftp, b"pwd\n", BOUND)?,
        command::run(&mut rsync, b"", BOUND)?,
        machine.ssh("alice").run("true")?,
    ] {
        let output = output.ok()?;
        assert!(!output.stdout.contains("fairshare:"), "{output}");
        assert!(!output.stderr.contains("fairshare:"), "{output}");
    }

    let told = log_in(machine)?;
    assert!(told.stdout.contains(GREETING), "{told}");
    assert!(
        told.stdout.contains("lease of your grant has ended"),
        "{told}"
    );
    assert!(told.stdout.contains("fairshare why"), "{told}");
    let again = log_in(machine)?;
    assert!(!again.stdout.contains(GREETING), "told twice: {again}");

    let why = alice.run("fairshare why")?.ok()?;
    assert!(why.stdout.contains("fairshare resize --mem 512M"), "{why}");
    alice.close()
}

/// Logs in as a person does, and stays until the daemon has seen the terminal.
fn log_in(machine: &Machine) -> Result<Output> {
    let mut ssh = machine.ssh("alice").terminal().command()?;
    shell_on(&mut ssh, "sleep 5")
}

fn shell_on(ssh: &mut Command, typed: &str) -> Result<Output> {
    let typed = format!("{typed}\nexit 0\n");
    command::run(ssh, typed.as_bytes(), BOUND)?.ok()
}
