//! `fairshared check`: whether a policy is good, before the daemon is told to read it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fairshare_core::policy::{self, Look, Problem, SliceScheme};
use fairshare_protocol::{Cpus, MemorySize};

use crate::args::DEFAULT_POLICY;
use crate::capacity::Meter;
use crate::cgroup::CgroupTree;
use crate::daemon::EX_CONFIG;
use crate::enforcement::systemd::users_slice;
use crate::names::{Names, OWN_PROGRAM};
use crate::people::People;
use crate::policy_file::{self, Loaded, PolicyFault};

/// Reads the policy, shows on standard error what is wrong or odd, and on standard output what it
/// comes to.
pub(crate) fn run(paths: &[PathBuf], cgroups: CgroupTree, systemd: &Path) -> ExitCode {
    let default = [PathBuf::from(DEFAULT_POLICY)];
    let paths = if paths.is_empty() { &default } else { paths };
    let coloured = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let look = if coloured {
        Look::Coloured
    } else {
        Look::Plain
    };
    match read(paths, cgroups, systemd) {
        Ok(mut loaded) => {
            let missing = missing_groups(&loaded);
            loaded.warnings.extend(missing);
            print_problems(&policy::report(&loaded.warnings, look));
            // A reader that has gone away has seen enough.
            let _ = io::stdout().write_all(summary(&loaded).as_bytes());
            ExitCode::SUCCESS
        }
        Err(fault) => {
            print_problems(&complaint(&fault, look));
            ExitCode::from(EX_CONFIG)
        }
    }
}

fn read(paths: &[PathBuf], cgroups: CgroupTree, systemd: &Path) -> Result<Loaded, PolicyFault> {
    let meter = Meter::new(cgroups, users_slice(SliceScheme::default(), systemd));
    let machine = meter.read().map_err(PolicyFault::Machine)?;
    policy_file::read(paths, &machine)
}

/// Warnings of groups that the name service does not know. Without an answer of it there are none.
fn missing_groups(loaded: &Loaded) -> Vec<Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let missing = runtime.block_on(async {
        let people = People::new(Names::start(PathBuf::from(OWN_PROGRAM)));
        people.missing_groups(&loaded.policy).await
    });
    loaded.policy.missing_groups(&loaded.sources, &missing)
}

fn print_problems(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// The problems, and behind them how many files they make wrong.
fn complaint(fault: &PolicyFault, look: Look) -> String {
    match fault.problems() {
        [] => fault.summary(),
        problems => format!("{}\n\n{}", policy::report(problems, look), fault.summary()),
    }
}

/// What the policy comes to on this machine.
fn summary(loaded: &Loaded) -> String {
    let policy = &loaded.policy;
    let (groups, users) = policy.section_counts();
    let count = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    };
    let everyone = policy.everyone();
    let mut text = format!(
        "The policy is good: {}, with sections for {} and {}.\n",
        count(loaded.sources.len(), "file"),
        count(groups, "group"),
        count(users, "user"),
    );
    let _ = writeln!(
        text,
        "At login: {}; at the most: {}.",
        everyone.default, everyone.max
    );
    let capacity = policy.capacity();
    let thousandths = capacity.cpu_thousandths / 10 * 10;
    let cpus = Cpus::from_thousandths(thousandths).unwrap_or(Cpus::MIN);
    let mem = MemorySize::saturating_from_bytes(capacity.mem_bytes);
    let _ = writeln!(
        text,
        "This machine shares out {cpus} CPUs and {} memory as grants.",
        mem.rounded()
    );
    if policy.enforce() == policy::Enforce::Watch {
        text.push_str("Nothing is set: 'enforce' is 'watch'.\n");
    }
    text
}
