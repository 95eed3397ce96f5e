//! `fairshared`: gives each user of the machine a fair slice of it.
//!
//! The rules are in `fairshare-core`; this is the shell around them. Calls go downwards:
//!
//! ```text
//! daemon ── listener ── connection ── operations ─┬─ book ─┬─ snapshot
//!                                                 │        └─ clock
//!                                                 ├─ turns
//!                                                 ├─ people ── names
//!                                                 ├─ policy_source ─┬─ policy_file
//!                                                 │                 └─ capacity
//!                                                 ├─ terminal
//!                                                 ├─ history
//!                                                 ├─ hooks
//!                                                 ├─ watch
//!                                                 ├─ counts
//!                                                 └─ enforcement ── systemd ─┬─ bus
//!                                                                            └─ cgroup
//! ```

mod admission;
mod args;
mod authorise;
mod book;
mod capacity;
mod cgroup;
mod check;
mod clock;
mod connection;
mod counts;
mod daemon;
mod decision;
mod descriptor;
mod enforcement;
mod finding;
mod history;
mod hooks;
mod kernel_file;
mod leader;
mod listener;
mod logging;
mod names;
mod operations;
mod pace;
mod people;
mod policy_file;
mod policy_source;
mod processes;
mod service_manager;
mod snapshot;
mod strays;
mod terminal;
mod turns;
mod watch;

use std::process::ExitCode;

use crate::args::Command;

fn main() -> ExitCode {
    if names::is_worker() {
        return names::worker::run();
    }
    let args = args::parse();
    if let Some(Command::Check { paths }) = args.command() {
        return check::run(
            paths,
            cgroup::CgroupTree::new(args.cgroup_root()),
            args.systemd_dir(),
        );
    }
    logging::start();
    match daemon::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            fault.report();
            fault.exit_code()
        }
    }
}
