//! Everything that there is to run, step by step, with a table at the end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::dist;
use crate::header;
use crate::layering;
use crate::links;
use crate::machines;
use crate::pages;
use crate::problem::{Problem, Result};
use crate::program;
use crate::setup;
use crate::supply;

/// A step, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// The code is formatted
    Fmt,
    /// Clippy has nothing to say
    Clippy,
    /// Each crate depends only on what it may
    Layering,
    /// What comes from others has the licences, versions and sources that deny.toml allows
    Supply,
    /// include/fairshare.h is what the C library says
    Header,
    /// The manual pages and completions are what the command lines say, and groff has no warning
    Pages,
    /// The documentation's links lead somewhere, and the tests that SECURITY.md names are there
    Links,
    /// The tests of each crate
    Unit,
    /// The documentation builds without a warning
    Doc,
    /// The packages, and the scenarios in real machines with them, Debian 12 and 13
    E2e,
    /// The packages, built a second time elsewhere, are the same byte for byte
    Reproducible,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Layering => "layering",
            Self::Supply => "supply",
            Self::Header => "header",
            Self::Pages => "pages",
            Self::Links => "links",
            Self::Unit => "unit",
            Self::Doc => "doc",
            Self::E2e => "e2e",
            Self::Reproducible => "reproducible",
        }
    }

    /// What is done, by name: the row's in the table.
    fn parts(self) -> Vec<Part> {
        let one = |run| {
            vec![Part {
                name: self.name(),
                run,
            }]
        };
        match self {
            Self::Fmt => one(fmt),
            Self::Clippy => one(clippy),
            Self::Layering => one(layering::check),
            Self::Supply => one(supply::check),
            Self::Header => one(header::check),
            Self::Pages => one(pages::check),
            Self::Links => one(links::check),
            Self::Unit => one(unit),
            Self::Doc => one(doc),
            Self::E2e => with_packages(&[Part {
                name: "e2e",
                run: machines::scenarios,
            }]),
            Self::Reproducible => with_packages(&[Part {
                name: "packages again",
                run: dist::compare,
            }]),
        }
    }
}

/// What needs the packages, behind what makes them.
fn with_packages(parts: &[Part]) -> Vec<Part> {
    let mut all = vec![
        Part {
            name: "release build",
            run: machines::build,
        },
        Part {
            name: "packages",
            run: dist::checked_packages,
        },
    ];
    all.extend(parts);
    all
}

/// The parts of all steps; what several of them need is done once.
fn parts(steps: &[Step]) -> Vec<Part> {
    let mut seen = BTreeSet::new();
    let mut parts: Vec<_> = steps.iter().flat_map(|step| step.parts()).collect();
    parts.retain(|part| seen.insert(part.name));
    parts
}

/// A row of the table.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    run: fn() -> Result<()>,
}

struct Outcome {
    name: &'static str,
    passed: bool,
    elapsed: Duration,
}

/// Runs the steps, all of them when none is named; one that fails does not stop the others.
pub(crate) fn run(steps: &[Step]) -> Result<()> {
    setup::run()?;
    let steps = if steps.is_empty() {
        Step::value_variants()
    } else {
        steps
    };
    let outcomes: Vec<_> = parts(steps).into_iter().map(run_part).collect();
    println!("\n{}", table(&outcomes));
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.passed)
        .map(|outcome| outcome.name)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!("failed: {}", failed.join(", "))))
    }
}

fn run_part(part: Part) -> Outcome {
    println!("\n=== {}", part.name);
    let start = Instant::now();
    let result = (part.run)();
    if let Err(problem) = &result {
        eprintln!("{}: {problem}", part.name);
    }
    Outcome {
        name: part.name,
        passed: result.is_ok(),
        elapsed: start.elapsed(),
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let width = outcomes
        .iter()
        .map(|outcome| outcome.name.len())
        .max()
        .unwrap_or_default();
    let rows = outcomes.iter().map(|outcome| {
        let word = if outcome.passed { "passed" } else { "FAILED" };
        format!(
            "{:width$}  {word}  {:7.1} s",
            outcome.name,
            outcome.elapsed.as_secs_f64()
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn fmt() -> Result<()> {
    component("fmt", "rustfmt")?;
    program::run(&mut program::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    component("clippy", "clippy")?;
    let strict = ["--", "-D", "warnings"];
    program::run(program::cargo(&["clippy", "--workspace", "--all-targets"]).args(strict))?;
    // `--all-targets` leaves out a test that does not run by itself.
    let scenarios = ["clippy", "--package=fairshare-tests", "--test=e2e"];
    program::run(program::cargo(&scenarios).args(strict))
}

fn unit() -> Result<()> {
    program::run(&mut program::cargo(&[
        "test",
        "--workspace",
        "--no-fail-fast",
    ]))
}

fn doc() -> Result<()> {
    let mut command = program::cargo(&["doc", "--workspace", "--no-deps"]);
    program::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Fails with the way to get it when a part of the toolchain is missing.
fn component(subcommand: &str, component: &str) -> Result<()> {
    if program::succeeds(&mut program::cargo(&[subcommand, "--version"])) {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "the toolchain has no {component}: 'rustup component add {component}' adds it"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up() {
        let outcome = |name, passed, seconds| Outcome {
            name,
            passed,
            elapsed: Duration::from_secs(seconds),
        };
        let text = table(&[
            outcome("fmt", true, 1),
            outcome("release build", false, 600),
        ]);
        assert_eq!(
            text,
            "fmt            passed      1.0 s\nrelease build  FAILED    600.0 s"
        );
    }

    #[test]
    fn what_two_steps_need_is_done_once() {
        let parts = parts(&[Step::E2e, Step::Reproducible, Step::E2e]);
        let names: Vec<_> = parts.iter().map(|part| part.name).collect();
        assert_eq!(
            names,
            ["release build", "packages", "e2e", "packages again"]
        );
    }

    #[test]
    fn each_step_does_something() {
        assert!(
            Step::value_variants()
                .iter()
                .all(|step| !step.parts().is_empty())
        );
    }
}
