//! `fairshare doctor`: what of this installation works and what does not, each with its remedy.
//!
//! A machine on which something is missing looks like one on which all is well: logins work and
//! nobody is limited. So everything that a limit depends on is looked at, one after the other, from
//! the kernel to a session that is opened, read back and closed.
//!
//! Facts are gathered first: files below a root that is given, the answers of a few programs, and
//! the daemon's. What is judged from them is in pure functions, a file for each group of checks, so
//! that each fault can be tried with a folder of files. Nothing waits without a deadline.

mod bypass;
mod check;
mod daemon;
mod drop_ins;
mod machine;
mod module;
mod pam;
mod policy;
mod program;
mod show;
mod stacks;
mod terminals;
#[cfg(test)]
mod testing;
mod tree;
mod trial;
mod units;

use std::path::Path;
use std::time::Duration;

use fairshare_client::Client;
use nix::unistd::Uid;

use crate::cli::{Cli, DoctorArgs};
use crate::layout;
use crate::output::Outcome;

use self::check::Check;
use self::daemon::Heard;
use self::program::Ran;
use self::tree::Tree;
use self::units::Units;

/// How long the daemon may take for an answer that needs nothing but its memory.
const ANSWER: Duration = Duration::from_secs(5);
/// How long each program that is asked may take.
const PROGRAM: Duration = Duration::from_secs(10);

const ROOT: u32 = 0;

/// What was found, before it is judged.
pub(crate) struct Facts<'a> {
    pub(crate) tree: &'a Tree,
    /// Where the daemon should listen.
    pub(crate) socket: &'a Path,
    /// Whose files cannot be others' to change: root, and on a made-up machine its maker.
    pub(crate) root: u32,
    /// Who looks is root.
    pub(crate) by_root: bool,
    pub(crate) systemd: Result<Ran, String>,
    pub(crate) units: Result<Units, String>,
    pub(crate) heard: Heard,
    /// What `fairshared check` says.
    pub(crate) policy: Result<Ran, String>,
    /// For how many users the policy's files would change something; where root looks.
    pub(crate) not_in_force: Option<usize>,
    /// What the dynamic linker says of the module.
    pub(crate) loading: Option<Result<Ran, String>>,
}

/// Looks, judges and shows.
pub(crate) fn run(cli: &Cli, args: &DoctorArgs) -> Outcome {
    let tree = Tree::at("/");
    let client = Client::new(&cli.socket, cli.timeout.min(ANSWER));
    let facts = gather(&tree, &client);
    let mut checks = judge(&facts);
    checks.push(trial::check(&facts, &client, args.user));
    if cli.json {
        show::json(&checks)
    } else {
        show::text(&checks, layout::width())
    }
}

fn gather<'a>(tree: &'a Tree, client: &'a Client) -> Facts<'a> {
    let by_root = Uid::effective().is_root();
    let heard = Heard::of(client);
    // After the daemon was asked: the question starts one that its socket waits for, and a start
    // that fails is seen then.
    let units = units::ask(PROGRAM);
    let pid = units.as_ref().ok().and_then(Units::daemon_pid);
    let is_there = matches!(heard, Heard::About(_));
    Facts {
        tree,
        socket: client.socket(),
        root: ROOT,
        by_root,
        systemd: program::run("systemctl", &["--version"], &[], PROGRAM),
        policy: policy::ask(tree, pid, PROGRAM),
        not_in_force: (by_root && is_there)
            .then(|| policy::not_in_force(client))
            .flatten(),
        loading: module::find(tree).and_then(|found| module::load(&found, PROGRAM)),
        units,
        heard,
    }
}

/// Every check but the session that is tried.
fn judge(facts: &Facts<'_>) -> Vec<Check> {
    [
        machine::checks(facts),
        module::checks(facts),
        stacks::checks(facts),
        bypass::checks(facts),
        daemon::checks(facts),
        policy::checks(facts),
        drop_ins::checks(facts),
        terminals::checks(facts),
    ]
    .concat()
}
