//! Builds fairshare and starts what tries it in a machine.

use std::fs;
use std::thread;

use crate::dist;
use crate::problem::{Problem, Result};
use crate::program;
use crate::release;
use crate::setup;

/// The crates that are installed in a machine, in the order of their names.
pub(crate) const INSTALLED: [&str; 5] = [
    "fairshare",
    "fairshare-exporter",
    "fairshared",
    "libfairshare",
    "pam_fairshare",
];

/// The releases of Debian that the scenarios run on.
const RELEASES: [&str; 2] = ["debian12", "debian13"];
/// What the machines take, and what their tests take besides: 2 GiB each, and 1.
const MEMORY_FOR_ALL_KIB: u64 = 5 * 1024 * 1024;

/// Builds what is installed in a machine.
pub(crate) fn build() -> Result<()> {
    let mut command = program::cargo(&["build", "--release"]);
    for package in INSTALLED {
        command.args(["--package", package]);
    }
    program::run(release::without_own_paths(&mut command))
}

/// Shows fairshare at work.
pub(crate) fn demo(shell: bool) -> Result<()> {
    setup::run()?;
    build()?;
    dist::packages()?;
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
    dist::packages()?;
    let mut command = program::cargo(&["run", "--quiet", "--release"]);
    command
        .args(["--package=fairshare-tests", "--bin=bench", "--"])
        .args(arguments);
    program::run(release::without_own_paths(&mut command))
}

/// Runs the scenarios in a machine of each release, in all of them at once where there is memory.
///
/// They wait for each other where a scenario judges by the clock.
pub(crate) fn scenarios() -> Result<()> {
    let tests = ["test", "--package=fairshare-tests", "--test=e2e"];
    // Built once beforehand, so that none waits for another's build.
    program::run(program::cargo(&tests).arg("--no-run"))?;
    let run = |release: &str| {
        let mut command = program::cargo(&tests);
        let command = command.env("FAIRSHARE_LAB_RELEASE", release);
        program::run_labelled(release, command).is_ok()
    };
    let passed = if room_for_all() {
        thread::scope(|scope| {
            let runs = RELEASES.map(|release| scope.spawn(move || run(release)));
            runs.map(|run| run.join().unwrap_or(false))
        })
    } else {
        println!("little memory is free: one machine after the other");
        RELEASES.map(run)
    };
    let failed: Vec<_> = RELEASES
        .iter()
        .zip(passed)
        .filter_map(|(release, passed)| (!passed).then_some(*release))
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "scenarios failed on {}",
            failed.join(" and ")
        )))
    }
}

/// Whether this host has the memory to run all machines at once.
fn room_for_all() -> bool {
    // Where it is not known, the careful answer.
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    available_kib(&text).is_some_and(|kib| kib >= MEMORY_FOR_ALL_KIB)
}

/// The figure of `MemAvailable` in a text as `/proc/meminfo` has it.
fn available_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_what_the_kernel_calls_available() {
        let text =
            "MemTotal:       24576000 kB\nMemFree:         100 kB\nMemAvailable:    6291456 kB\n";
        assert_eq!(available_kib(text), Some(6_291_456));
        assert_eq!(available_kib("MemTotal: 1 kB\n"), None);
        assert_eq!(available_kib("MemAvailable: much\n"), None);
    }
}
