//! `lab`: see [`fairshare_tests::lab`].

use std::process::ExitCode;

use clap::Parser;
use fairshare_tests::lab::Lab;

fn main() -> ExitCode {
    match Lab::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}
