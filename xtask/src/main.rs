//! `cargo xtask`: what a developer of fairshare runs.

#![forbid(unsafe_code)]

mod checkout;
mod dist;
mod glibc;
mod header;
mod layering;
mod links;
mod machines;
mod metadata;
mod pages;
mod problem;
mod program;
mod release;
mod sbom;
mod setup;
mod supply;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use problem::Result;

/// Tries, tests and measures fairshare.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Show fairshare at work in a real Debian machine
    Demo {
        /// Stay in alice's shell on that machine afterwards
        #[arg(long)]
        shell: bool,
    },
    /// Run everything there is to run, or only the named steps
    Test {
        /// Which steps, in the order given; all of them when none is named
        #[arg(value_name = "STEP")]
        steps: Vec<test::Step>,
    },
    /// Measure what fairshare costs
    Bench {
        /// Handed over to the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the packages that an administrator installs, in target/dist
    Dist {
        /// Build them a second time elsewhere, and compare them byte for byte
        #[arg(long)]
        twice: bool,
    },
    /// Install the Debian packages that building and testing need
    Setup,
    /// Write include/fairshare.h anew from the C library
    Header,
    /// Write the manual pages and completions anew from the command lines
    Pages,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Demo { shell } => machines::demo(shell),
        Task::Test { steps } => test::run(&steps),
        Task::Bench { arguments } => machines::bench(&arguments),
        Task::Dist { twice } => dist::run(twice),
        Task::Setup => setup::run(),
        Task::Header => header::write(),
        Task::Pages => pages::write(),
    }
}
