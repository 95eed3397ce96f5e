//! Builds fairshare and starts what tries it in a machine.

use crate::problem::{Problem, Result};
use crate::program;
use crate::setup;

/// What is installed in a machine.
const INSTALLED: [&str; 4] = ["fairshared", "fairshare", "pam_fairshare", "libfairshare"];

/// Builds what is installed in a machine.
pub(crate) fn build() -> Result<()> {
    let mut command = program::cargo(&["build", "--release"]);
    for package in INSTALLED {
        command.args(["--package", package]);
    }
    program::run(&mut command)
}

/// Shows fairshare at work.
pub(crate) fn demo(shell: bool) -> Result<()> {
    setup::run()?;
    build()?;
    let mut command =
        program::cargo(&["run", "--quiet", "--package=fairshare-tests", "--bin=demo"]);
    if shell {
        command.args(["--", "--shell"]);
    }
    program::run(&mut command)
}

/// Measures what fairshare costs.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    setup::run()?;
    build()?;
    let mut command = program::cargo(&["run", "--quiet", "--release"]);
    command
        .args(["--package=fairshare-tests", "--bin=bench", "--"])
        .args(arguments);
    program::run(&mut command)
}

/// Runs the scenarios in a machine of one release.
pub(crate) fn scenarios(release: &str) -> Result<()> {
    let mut command = program::cargo(&["test", "--package=fairshare-tests", "--test=e2e"]);
    program::run(command.env("FAIRSHARE_LAB_RELEASE", release))
        .map_err(|_| Problem::new(format!("scenarios failed on {release}")))
}
