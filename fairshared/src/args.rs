//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

/// The policy that is read unless told otherwise.
pub(crate) const DEFAULT_POLICY: &str = "/etc/fairshare/policy.d";

/// Gives each user of the machine a fair slice of it, from login to logout.
///
/// Signals: HUP reads the policy again; TERM and INT end the daemon and leave all limits in force.
/// The environment variable `RUST_LOG` sets what is logged (default: info).
#[derive(Debug, Parser)]
#[command(name = "fairshared", version, after_help = EXIT_CODES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(group(clap::ArgGroup::new("policy_source").args(["policy", "policy_flag"])))]
#[command(group(clap::ArgGroup::new("socket_source").args(["socket", "socket_flag"])))]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Policy file, or folder of which '*.yaml' is read [default: /etc/fairshare/policy.d]
    policy: Option<PathBuf>,

    /// Socket to listen on [default: /run/fairshare.sock]
    socket: Option<PathBuf>,

    /// The same as POLICY
    #[arg(long = "policy", value_name = "POLICY")]
    policy_flag: Option<PathBuf>,

    /// The same as SOCKET
    #[arg(long = "socket", value_name = "SOCKET")]
    socket_flag: Option<PathBuf>,

    /// Folder for what must survive a restart of the daemon, but not of the machine
    #[arg(long, value_name = "DIR", default_value = "/run/fairshare")]
    state_dir: PathBuf,

    /// Folder for what has happened and what was used, which survives the machine's restarts
    #[arg(long, value_name = "DIR", default_value = "/var/lib/fairshare")]
    history_dir: PathBuf,

    /// Where the kernel's cgroup v2 tree is mounted
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/cgroup")]
    cgroup_root: PathBuf,

    /// Where systemd keeps its files at run time
    #[arg(long, value_name = "DIR", default_value = "/run/systemd")]
    systemd_dir: PathBuf,
}

/// What else than serving the daemon can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks a policy and says what it comes to on this machine, without a change to anything
    ///
    /// Exit status: 0 good, 78 wrong. Warnings are shown and are no fault.
    Check {
        /// Files and folders, the later ones winning [default: /etc/fairshare/policy.d]
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
}

const EXIT_CODES: &str = "Exit status: 0 ended by a signal, 1 could not start or go on, \
                          2 wrong usage, 78 missing or wrong policy.";

impl Args {
    /// What to do instead of serving.
    pub(crate) fn command(&self) -> Option<&Command> {
        self.command.as_ref()
    }

    /// The policy file or folder.
    pub(crate) fn policy(&self) -> &Path {
        let given = self.policy.as_deref().or(self.policy_flag.as_deref());
        given.unwrap_or(Path::new(DEFAULT_POLICY))
    }

    /// The socket to listen on.
    pub(crate) fn socket(&self) -> &Path {
        let given = self.socket.as_deref().or(self.socket_flag.as_deref());
        given.unwrap_or(Path::new(fairshare_protocol::DEFAULT_SOCKET))
    }

    /// The folder for the snapshot of the ledger.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The folder for the history.
    pub(crate) fn history_dir(&self) -> &Path {
        &self.history_dir
    }

    /// The root of the cgroup tree.
    pub(crate) fn cgroup_root(&self) -> &Path {
        &self.cgroup_root
    }

    /// The folder of systemd's files at run time.
    pub(crate) fn systemd_dir(&self) -> &Path {
        &self.systemd_dir
    }
}

/// Reads the command line; ends the process with status 2 and a message where it is wrong.
pub(crate) fn parse() -> Args {
    Args::parse()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn args(words: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["fairshared"], words].concat())
    }

    #[test]
    fn the_pages_say_what_the_help_says() {
        let program = fairshare_pages::Program {
            command: <Args as CommandFactory>::command(),
            section: "8",
            files: &[
                ("/etc/fairshare/policy.d/*.yaml", "the policy"),
                ("/run/fairshare.sock", "where the daemon listens"),
                (
                    "/run/fairshare/",
                    "the record of sessions, grants and leases, until the machine ends",
                ),
                (
                    "/var/lib/fairshare/history.db",
                    "what has happened and what was used",
                ),
            ],
            see_also: &[
                "fairshare(1)",
                "fairshare-policy(5)",
                "pam_fairshare(8)",
                "systemd.resource-control(5)",
            ],
        };
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
        assert_eq!(fairshare_pages::keep(&program, &packaging), Ok(()));
    }

    #[test]
    fn policy_and_socket_are_positions_or_flags_but_not_both() {
        let defaults = args(&[]).unwrap();
        assert_eq!(defaults.policy(), Path::new(DEFAULT_POLICY));
        assert_eq!(defaults.socket(), Path::new("/run/fairshare.sock"));

        let positions = args(&["/p", "/s"]).unwrap();
        assert_eq!(
            (positions.policy(), positions.socket()),
            (Path::new("/p"), Path::new("/s"))
        );

        let flags = args(&["--socket", "/s", "--policy", "/p"]).unwrap();
        assert_eq!(
            (flags.policy(), flags.socket()),
            (Path::new("/p"), Path::new("/s"))
        );

        assert!(args(&["/p", "--policy", "/q"]).is_err());
        assert!(args(&["/p", "/s", "--socket", "/t"]).is_err());
    }

    #[test]
    fn check_is_a_command_and_a_file_of_that_name_is_reached_by_a_path() {
        let check = args(&["check", "/a", "/b"]).unwrap();
        assert!(matches!(check.command(), Some(Command::Check { paths }) if paths.len() == 2));
        let bare = args(&["check"]).unwrap();
        assert!(matches!(bare.command(), Some(Command::Check { paths }) if paths.is_empty()));
        let file = args(&["./check", "/s"]).unwrap();
        assert!(file.command().is_none());
        assert_eq!(file.policy(), Path::new("./check"));
        assert!(args(&["--policy", "/p", "check"]).is_err());
    }
}
