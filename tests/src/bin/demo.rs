//! `demo`: see [`fairshare_tests::demo`].

use std::process::ExitCode;

use clap::Parser;
use fairshare_tests::demo;

/// Show fairshare at work in a real Debian machine
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// Stay in alice's shell on that machine afterwards
    #[arg(long)]
    shell: bool,
}

fn main() -> ExitCode {
    match demo::run(Arguments::parse().shell) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
