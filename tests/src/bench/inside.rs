//! The half in the machine. Each task prints what it measured as JSON.
//!
//! # What is compared at login
//!
//! Each way is timed as `pamtester SERVICE USER open_session close_session`, from the start of that
//! process to its end, within the user's own slice, which `pam_systemd` would have seen to. What
//! pamtester takes with `pam_permit` alone is subtracted. So each way pays for what it really does:
//!
//! * `pam_exec`: a shell, an `id` for the user's UID and a `systemctl`, with its connection to
//!   systemd and one call. At close nothing is run.
//! * `pam_fairshare`: loading the module, the lookup of the user, two connections to the daemon, one
//!   request at open and one at close, both written to the ledger and to the log. The daemon makes
//!   the two calls to systemd that the bare way makes, and reads the kernel's files back.
//! * the bare way: no process, no module, no lookup, no ledger. A program that is connected to the
//!   system bus makes the slice transient, sets its properties, and reads the kernel's files back
//!   after a round trip to systemd.
//!
//! All leave the same four limits in the kernel, which is checked each time.

mod client;
mod daemon;
mod fake_systemd;
mod helper;
#[path = "../../../fairshared/src/operations/tests/replay/kernel_files.rs"]
mod kernel_files;
mod ledger;
mod limits;
mod logins;
mod people;
mod requests;
mod sites;
mod surroundings;
mod systemd;
mod worker;

use std::path::PathBuf;

use clap::Subcommand;
use fairshare_tests::{LabError, Result};
use serde::Serialize;

/// Where an installed daemon's program is.
const DAEMON: &str = "/usr/sbin/fairshared";

/// What can be done in the machine.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Say what machine it is
    Surroundings,
    /// Measure logins
    Logins {
        /// How many of each kind
        rounds: u32,
    },
    /// Measure requests for status
    Requests,
    /// Measure the daemon with users in its ledger
    Ledger {
        /// The daemon's program
        #[arg(long, default_value = DAEMON)]
        daemon: PathBuf,
    },
    /// Measure the daemon with a large policy and with large groups; writes to /etc/passwd and
    /// /etc/group
    Sites {
        /// The daemon's program
        #[arg(long, default_value = DAEMON)]
        daemon: PathBuf,
    },
    /// Helper: log people in from where this process is, as told on standard input
    Worker,
    /// Helper: send requests to the daemon, as told on standard input
    Client {
        /// The daemon's socket
        socket: PathBuf,
    },
    /// Helper: be systemd for a daemon on a bus of its own
    FakeSystemd {
        /// The root of a folder that looks like a cgroup tree
        root: PathBuf,
        /// A folder that looks like systemd's own at run time
        systemd: PathBuf,
    },
}

/// Does a task.
pub(crate) fn run(task: &Task) -> Result<()> {
    match task {
        Task::Surroundings => print(&surroundings::look()?),
        Task::Logins { rounds } => print(&logins::measure(*rounds)?),
        Task::Requests => print(&requests::measure()?),
        Task::Ledger { daemon } => print(&ledger::measure(daemon)?),
        Task::Sites { daemon } => print(&sites::measure(daemon)?),
        Task::Worker => worker::run(),
        Task::Client { socket } => client::run(socket),
        Task::FakeSystemd { root, systemd } => fake_systemd::run(root, systemd),
    }
}

fn print(measured: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(measured)
        .map_err(|error| LabError::other(format!("cannot encode what was measured: {error}")))?;
    println!("{line}");
    Ok(())
}
