//! What machine this is: figures without it mean little.

use std::process::Command;
use std::thread;
use std::time::Duration;

use fairshare_tests::{LabError, Result, command};

use crate::figures::Surroundings;

/// For a program that prints a line.
const BOUND: Duration = Duration::from_secs(20);

/// Looks at the machine.
pub(super) fn look() -> Result<Surroundings> {
    // `systemctl --version` begins with `systemd 257 (257.8-1)`.
    let version = first_line("systemctl", &["--version"])?;
    let version = version.split_whitespace().nth(1).unwrap_or("unknown");
    Ok(Surroundings {
        kernel: first_line("uname", &["--kernel-release"])?,
        systemd: version.to_owned(),
        cpus: thread::available_parallelism()
            .map_err(|error| LabError::other(format!("cannot count the CPUs: {error}")))?
            .get(),
        hypervisor: first_line("systemd-detect-virt", &["--vm"])?,
    })
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String> {
    let output = command::run(Command::new(program).args(arguments), b"", BOUND)?;
    Ok(output.text().lines().next().unwrap_or_default().to_owned())
}
