//! Runs scenarios one after the other, with the machine fresh for each, and keeps the logs of
//! those that fail.
//!
//! Another run may go on beside it, in a machine of another release: both share this host's CPUs.
//! A scenario that judges by the clock runs while the other one pauses.

use std::any::Any;
use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fairshare_tests::{Artifacts, LabError, Machine, Packages, Progress, Release, host, kept};
use libtest_mimic::{Arguments, Failed, Trial};

/// Which Debian to boot.
const RELEASE_VARIABLE: &str = "FAIRSHARE_LAB_RELEASE";
/// Set to use the machine that `lab up` keeps.
const KEPT_VARIABLE: &str = "FAIRSHARE_LAB_KEPT";
/// Status when no scenario could be run, as `libtest` has it for its own faults.
const NOT_RUN: u8 = 101;

/// What a scenario returns: it fails by an error or by a panic of an assertion.
pub(crate) type Outcome = Result<(), LabError>;

/// A scenario by its name.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Machine) -> Outcome,
    /// Whether it judges by the clock, so that nothing else may run on this host meanwhile.
    pub(crate) alone: bool,
    /// The release on which a run of everything tries it; `None`: on each.
    pub(crate) only: Option<Release>,
}

/// A table of scenarios from the paths of their functions, a list for each way of running them.
macro_rules! scenarios {
    ($($way:ident: $($topic:ident :: $name:ident),+;)+) => {
        [$($($crate::harness::Scenario {
            name: concat!(stringify!($topic), "::", stringify!($name)),
            run: $crate::$topic::$name,
            ..$crate::harness::Scenario::$way()
        },)+)+]
    };
}
pub(crate) use scenarios;

/// The ways in which a scenario is run.
impl Scenario {
    /// On each release: what it shows depends on systemd, logind, sshd or the kernel.
    pub(crate) const fn on_each() -> Self {
        Self {
            name: "",
            run: |_| Ok(()),
            alone: false,
            only: None,
        }
    }

    /// On Debian 12 alone: what it shows is fairshare's own doing, and the same on the other.
    pub(crate) const fn on_debian12() -> Self {
        Self {
            only: Some(Release::Debian12),
            ..Self::on_each()
        }
    }

    /// On Debian 13 alone, likewise.
    pub(crate) const fn on_debian13() -> Self {
        Self {
            only: Some(Release::Debian13),
            ..Self::on_each()
        }
    }

    /// On each release, while nothing else runs on this host: it judges by the clock.
    pub(crate) const fn alone() -> Self {
        Self {
            alone: true,
            ..Self::on_each()
        }
    }

    /// The same on Debian 13 alone.
    pub(crate) const fn alone_on_debian13() -> Self {
        Self {
            alone: true,
            ..Self::on_debian13()
        }
    }
}

/// How a scenario went.
struct Report {
    name: String,
    reset: Duration,
    elapsed: Duration,
    logs: Option<PathBuf>,
    failed: bool,
}

/// What the scenarios share: they run one at a time.
struct Shared {
    host: Host,
    machine: Option<Machine>,
    reports: Vec<Report>,
}

/// Boots, installs, runs, tells; the exit code is that of the tests.
pub(crate) fn run(scenarios: &[Scenario]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let release = match release() {
        Ok(release) => release,
        Err(error) => return not_run(&error),
    };
    let host = match Host::open() {
        Ok(host) => host,
        Err(error) => return not_run(&error),
    };
    let machine = if arguments.list {
        Ok(None)
    } else {
        host.taken(false)
            .and_then(|_taken| ready(release).map(Some))
    };
    let machine = match machine {
        Ok(machine) => machine,
        Err(error) => return not_run(&error),
    };

    let shared = Arc::new(Mutex::new(Shared {
        host,
        machine,
        reports: Vec::new(),
    }));
    let names: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), scenarios.len(), "a scenario is listed twice");
    // In a kept machine each may be tried by its name.
    let (tried, elsewhere): (Vec<Scenario>, Vec<Scenario>) = scenarios
        .iter()
        .partition(|scenario| is_kept() || scenario.only.is_none_or(|only| only == release));
    if !elsewhere.is_empty() {
        println!(
            "{} more scenarios are for the other release",
            elsewhere.len()
        );
    }
    let trials = tried.into_iter().map(|scenario| {
        let shared = Arc::clone(&shared);
        Trial::test(format!("{release}::{}", scenario.name), move || {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(machine) = &shared.machine else {
                return Err("there is no machine".into());
            };
            let _taken = shared.host.taken(scenario.alone)?;
            let (report, failure) = try_one(machine, scenario);
            shared.reports.push(report);
            failure.map_or(Ok(()), Err)
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());

    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    // Before the end of the process, so that the machine ends in order.
    shared.machine = None;
    print_reports(&shared.reports);
    conclusion.exit_code()
}

/// This host's CPUs, which runs in several machines share.
struct Host {
    lock: PathBuf,
}

impl Host {
    fn open() -> Result<Self, LabError> {
        let lab = host::lab();
        host::make_dir(&lab)?;
        Ok(Self {
            lock: lab.join("host.lock"),
        })
    }

    /// Waits until the host is free: of those who are alone on it, or for one who is `alone`, of
    /// everybody. It is taken for as long as the returned file is open.
    fn taken(&self, alone: bool) -> Result<File, LabError> {
        let file = File::create(&self.lock).map_err(LabError::io("create", &self.lock))?;
        let locked = if alone {
            file.lock()
        } else {
            file.lock_shared()
        };
        locked.map_err(LabError::io("lock", &self.lock))?;
        Ok(file)
    }
}

fn not_run(error: &LabError) -> ExitCode {
    eprintln!("e2e: {error}");
    ExitCode::from(NOT_RUN)
}

fn is_kept() -> bool {
    env::var_os(KEPT_VARIABLE).is_some_and(|value| value == "1")
}

fn release() -> Result<Release, LabError> {
    match env::var(RELEASE_VARIABLE) {
        Ok(name) => Ok(name.parse::<Release>()?),
        Err(_) => Ok(Release::Debian13),
    }
}

/// A machine with fairshare installed.
fn ready(release: Release) -> Result<Machine, LabError> {
    let progress = Progress::fitting();
    let keep = is_kept();
    let packages = Packages::built();
    let machine = if keep {
        kept::up(release, progress)?
    } else {
        // Says what is missing before it takes its time.
        packages
            .as_ref()
            .map_err(|error| LabError::other(error.to_string()))?;
        Machine::boot(release, progress)?
    };
    let step = progress.step("installing fairshare");
    if keep && machine.has_packages()? {
        // Within seconds, for whoever tries a change. The last scenario may have left a policy with
        // which no daemon starts.
        machine.reset()?;
        machine.replace(&Artifacts::present().0)?;
    } else {
        machine.install(&packages?)?;
    }
    step.done();
    Ok(machine)
}

/// Runs one scenario; a failure comes with its logs kept.
fn try_one(machine: &Machine, scenario: Scenario) -> (Report, Option<Failed>) {
    let start = Instant::now();
    let prepared = machine.reset().and_then(|()| machine.mark());
    let reset = start.elapsed();

    let start = Instant::now();
    let (mark, failure) = match prepared {
        Ok(mark) => {
            let outcome = catch_unwind(AssertUnwindSafe(|| (scenario.run)(machine)));
            let failure = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(panic) => Some(message(panic.as_ref())),
            };
            (Some(mark), failure)
        }
        Err(error) => (
            None,
            Some(format!("the machine could not be reset: {error}")),
        ),
    };
    let elapsed = start.elapsed();

    let mut logs = None;
    let failure =
        failure.map(
            |text| match machine.keep_logs(scenario.name, mark.as_ref(), &text) {
                Ok(folder) => {
                    let text = format!("{text}\nlogs: {}", folder.display());
                    logs = Some(folder);
                    text
                }
                Err(error) => format!("{text}\nand its logs could not be kept: {error}"),
            },
        );
    let failed = failure.is_some();
    if failed {
        bring_back(machine);
    }
    let report = Report {
        name: scenario.name.to_owned(),
        reset,
        elapsed,
        logs,
        failed,
    };
    (report, failure.map(Failed::from))
}

/// Installs the packages again where a scenario ended with them removed, so that those after it are
/// about what they say.
fn bring_back(machine: &Machine) {
    let there = machine.has_packages().and_then(|there| {
        if there {
            Ok(())
        } else {
            machine.install(&Packages::built()?)
        }
    });
    if let Err(error) = there {
        eprintln!("fairshare could not be installed again: {error}, ignoring");
    }
}

/// What a panic said.
fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

fn print_reports(reports: &[Report]) {
    if reports.is_empty() {
        return;
    }
    let width = reports
        .iter()
        .map(|report| report.name.len())
        .max()
        .unwrap_or_default();
    for Report {
        name,
        reset,
        elapsed,
        failed,
        ..
    } in reports
    {
        let outcome = if *failed { "failed" } else { "passed" };
        let (reset, elapsed) = (reset.as_secs_f64(), elapsed.as_secs_f64());
        println!("{name:width$}  {outcome}  {elapsed:6.1} s  (after {reset:.1} s of reset)");
    }
    let failed = reports.iter().filter(|report| report.failed).count();
    println!("\n{} passed, {failed} failed", reports.len() - failed);
    for report in reports {
        if let Some(logs) = &report.logs {
            println!("logs of {}: {}", report.name, logs.display());
        }
    }
}
