//! `bench`: measures what fairshare costs, beside what people do without it.
//!
//! Everything is measured in one run in one machine that is booted for it, because only figures
//! from the same machine can be compared. This program has two halves: one on the developer's host
//! ([`conduct`], [`report`]), and one ([`inside`]) that runs within the machine, where it can be
//! close to what it times. The first half copies the program's own file into the machine, so the
//! two are never of different builds.

#![forbid(unsafe_code)]

mod conduct;
mod figures;
mod inside;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fairshare_tests::{Release, Result};

use inside::Task;

/// Measure what fairshare costs, in a Debian machine booted for it
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Which Debian: debian12 or debian13
    #[arg(long, default_value = "debian13")]
    release: Release,
    /// How many logins of each kind are measured
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(3..=200))]
    rounds: u32,
    #[command(subcommand)]
    half: Option<Half>,
}

#[derive(Debug, Subcommand)]
enum Half {
    /// The half that runs in the machine
    #[command(hide = true)]
    Inside {
        #[command(subcommand)]
        task: Task,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.half {
        Some(Half::Inside { task }) => inside::run(task),
        None => {
            let figures = conduct::measure(arguments.release, arguments.rounds)?;
            print!("{}", report::text(&figures));
            Ok(())
        }
    }
}
