//! The half on the host: boots the machine, installs fairshare, has everything measured.

use std::env;
use std::time::{Duration, Instant};

use fairshare_tests::artifacts::POLICY;
use fairshare_tests::{LabError, Machine, Packages, Progress, Release, Result};
use serde::de::DeserializeOwned;

use crate::figures::Figures;

/// For the whole run, booting included. A machine that is so slow tells nothing.
const RUN_BOUND: Duration = Duration::from_secs(10 * 60);
/// Where the half for the machine lies in it; users run it too.
const PROGRAM: &str = "/usr/local/bin/fairshare-bench";
/// What everybody gets at login. The alternatives set the same: see [`crate::inside`].
const LOGIN_POLICY: &str = "defaults: {cpu: 2, mem: 8G, tasks: 4096}\nmax: {cpu: 8, mem: 32G}\n";

/// Measures everything in a machine of its own.
pub(crate) fn measure(release: Release, rounds: u32) -> Result<Figures> {
    let run = Run {
        start: Instant::now(),
        progress: Progress::fitting(),
    };
    let packages = Packages::built()?;
    let machine = Machine::boot(release, run.progress)?;
    let step = run.progress.step("installing fairshare");
    machine.install(&packages)?;
    machine.write(POLICY, LOGIN_POLICY, 0o644)?;
    machine.restart_daemon()?;
    let program = env::current_exe().map_err(LabError::io("find", "/proc/self/exe"))?;
    machine.push(&program, PROGRAM, 0o755)?;
    step.done();
    Ok(Figures {
        title: release.title(),
        surroundings: run.inside(&machine, "surroundings", "looking at the machine")?,
        logins: run.inside(
            &machine,
            &format!("logins {rounds}"),
            "measuring logins, the longest part",
        )?,
        requests: run.inside(&machine, "requests", "measuring requests for status")?,
        loads: run.inside(&machine, "ledger", "measuring the daemon with 10000 users")?,
        sites: run.inside(&machine, "sites", "measuring large policies and groups")?,
        elapsed: run.start.elapsed(),
    })
}

struct Run {
    start: Instant,
    progress: Progress,
}

impl Run {
    /// Has a task done in the machine, and reads what it measured.
    fn inside<T: DeserializeOwned>(&self, machine: &Machine, task: &str, text: &str) -> Result<T> {
        let step = self.progress.step(text);
        let left = RUN_BOUND.saturating_sub(self.start.elapsed());
        if left.is_zero() {
            return Err(LabError::Deadline {
                what: "the end of the benchmark".into(),
                bound: RUN_BOUND,
                seen: "The machine is too slow: end what else runs on this host, or give \
                       '--rounds 20'."
                    .into(),
            });
        }
        let command = format!("{PROGRAM} inside {task}");
        let output = machine.as_root().bound(left).ok(&command)?;
        let measured = serde_json::from_str(output.text())
            .map_err(|error| LabError::other(format!("not understood ({error}): {output}")))?;
        step.done();
        Ok(measured)
    }
}
