//! The command `fairshare`: a person's and a script's way to the daemon.
//!
//! It asks one question, shows the answer and ends. What it knows about limits comes from the
//! daemon; it reads no policy and no cgroup file itself, so that what it shows is what the daemon
//! acts on. Only `doctor` looks at the machine, because it is for when the daemon does not know.

#![forbid(unsafe_code)]

mod advice;
mod bar;
mod cli;
mod csv;
mod doctor;
mod exit;
mod figures;
mod interrupt;
mod layout;
mod names;
mod new_file;
mod output;
mod page;
mod problem;
mod rate;
mod report;
mod run;
mod show;
mod skew;
mod times;
mod top;
mod waiting;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match cli::parse(std::env::args_os()) {
        Ok(cli) => run::run(&cli),
        Err(outcome) => outcome,
    };
    output::emit(&outcome).into()
}
