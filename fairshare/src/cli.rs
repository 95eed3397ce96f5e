//! The command line: what may be typed, and what it asks of the daemon.
//!
//! Sizes and counts are read by the protocol's own parsers, so that a wrong one is told in the
//! same words here, in the daemon and in a policy file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueHint};
use fairshare_protocol::{Cpus, DEFAULT_SOCKET, MAX_INCIDENTS, MemorySize, Period, Tasks};

use crate::exit::{self, Exit};
use crate::names;
use crate::output::Outcome;

mod report;
mod request;

pub(crate) use report::{Form, ReportArgs};

const EVERYWHERE: &str = "Options of every command";

const JSON: &str = "\
With --json, errors too are one line on standard output: the daemon's reply as
its protocol describes it, or where it gave none, an \"error\" whose code is the
command's own: no_daemon, no_answer or bad_reply. A request that waits prints a
line each time its place changes, and then its reply. A command line that cannot
be read (exit code 2, on standard error) prints no JSON.";

const DOCTOR: &str = "\
Exit codes, as monitoring has them:
  0  all is well; what was not looked at is no fault
  1  warnings: it works, with a hole or against a surprise
  2  failures: users are not limited, or cannot ask

The first line is the verdict. With --json it prints one line with \"state\" (ok,
warning or failed), \"version\" and \"checks\"; each of these has an \"id\", a
\"state\" (also skipped), a \"summary\" and a \"remedy\", null where none is
needed. An id keeps its meaning; of one there may be several.";

/// See, ask for and give back your share of this machine.
///
/// Without a command it shows your status.
#[derive(Debug, Parser)]
#[command(
    name = "fairshare",
    version,
    after_help = format!("{JSON}\n\n{}", exit::help()),
    max_term_width = 80,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Print the reply as one line of JSON
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,

    /// Socket of the daemon
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        value_name = "PATH",
        env = "FAIRSHARE_SOCKET",
        default_value = DEFAULT_SOCKET,
        hide_env_values = true
    )]
    pub(crate) socket: PathBuf,

    /// Wait at most so long for the answer
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        value_name = "SECONDS",
        default_value = "30",
        value_parser = seconds
    )]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what you have, what you use of it and what you may ask for
    Status(StatusArgs),
    /// Show what all users use now, over the whole terminal; press ? there for its keys
    ///
    /// Administrators see everybody, and may change and take back grants from there. Others see
    /// themselves.
    Top {
        /// Look again every so many seconds
        #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = interval)]
        every: Duration,
    },
    /// Show what has happened to you because of your limits, the newest first
    ///
    /// Programs that were killed or held back, requests that were refused, grants that have ended.
    /// What happens is told on your terminals at once, and at your next login where you had none.
    #[command(after_help = "Example: fairshare why --since 1d")]
    Why(WhyArgs),
    /// Ask for more, or change the grant that you hold
    ///
    /// The figures are absolute: `--cpu 4` is four CPUs altogether. What you do not name stays as
    /// it is. It is done when the kernel enforces it. It ends with its lease, if it has one, and
    /// with your last session.
    #[command(after_help = "\
Examples:
  fairshare resize --cpu 4 --mem 16G
  fairshare resize --cpu 8 --mem 32G --for 2h --wait")]
    Resize(ResizeArgs),
    /// Keep the grant for longer: its lease ends so long from now
    #[command(after_help = "Example: fairshare renew --for 1h")]
    Renew {
        /// How long from now, such as 1h, 90m or 1d12h
        #[arg(long = "for", value_name = "TIME", allow_negative_numbers = true)]
        lease: Period,
    },
    /// Give the grant back; what you have is the default again
    ///
    /// With a user it takes that user's grant back, for root and administrators.
    Release(ReleaseArgs),
    /// Show who holds what: administrators see everybody, others see themselves
    List,
    /// Show which requests wait for their turn
    Queue,
    /// Show processes that run outside of their user's slice, where no limit holds
    ///
    /// Administrators see those of all users, others see their own. The daemon looks when it is
    /// asked. What policy has it move into the slice is marked.
    Strays,
    /// Show what was used, by user, group or day
    ///
    /// Administrators see everybody, others see themselves.
    #[command(after_help = report::EXAMPLES)]
    Report(ReportArgs),
    /// Show what policy says and what a reload would change, and reload it
    Policy {
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Set a user's grant, for root and administrators
    ///
    /// The figures are absolute, as for resize. They may go beyond policy's maximum and longest
    /// lease, not beyond what the machine has left and the budgets of the user's groups.
    #[command(after_help = "Example: fairshare set alice --cpu 8 --mem 32G --for 2h")]
    Set(SetArgs),
    /// Check this installation and say how to mend it
    ///
    /// It looks at the kernel, systemd, PAM's stacks, the module, the daemon and its policy. As root
    /// it also opens a session for a UID that nobody has, reads the limits in the kernel's files and
    /// closes it. Nothing is left of it, and nothing else is changed.
    #[command(after_help = DOCTOR)]
    Doctor(DoctorArgs),
    /// Open or close a session, for a login hook that runs as root
    Session {
        #[command(subcommand)]
        action: SessionAction,
    },
}

#[derive(Debug, Default, Args)]
struct StatusArgs {
    /// Show it again every so many seconds, or every 2, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, value_parser = interval)]
    #[expect(
        clippy::option_option,
        reason = "clap's form of an option whose value may be left out"
    )]
    watch: Option<Option<Duration>>,
}

#[derive(Debug, Args)]
struct ResizeArgs {
    #[command(flatten)]
    wish: WishArgs,
    #[command(flatten)]
    lease: LeaseArgs,
    /// Where it does not fit now, wait for your turn: at most so long, or as long as policy allows
    ///
    /// It shows your place in the queue and what is waited for. Ctrl-C, and the end of your
    /// terminal, give the place up. The time of --timeout does not count while you wait.
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1
    )]
    #[expect(
        clippy::option_option,
        reason = "clap's form of an option whose value may be left out"
    )]
    wait: Option<Option<Period>>,
    /// Shrink memory even below what is in use; processes may be killed
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct WhyArgs {
    /// Only what happened in the last so long, such as 2h or 7d
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    since: Option<Period>,
    /// What happened to this user, for root and administrators: name or UID
    #[arg(long, value_name = "USER", value_parser = names::uid, value_hint = ValueHint::Username)]
    user: Option<u32>,
    /// At most so many, up to 100
    #[arg(
        short = 'n',
        long = "number",
        value_name = "N",
        default_value = "10",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_INCIDENTS))
    )]
    number: u32,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// Name or UID
    #[arg(value_parser = names::uid, value_hint = ValueHint::Username)]
    user: u32,
    #[command(flatten)]
    wish: WishArgs,
    #[command(flatten)]
    lease: LeaseArgs,
    /// Shrink memory even below what is in use; processes may be killed
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Try the session as this user's instead: name or UID
    #[arg(long, value_name = "USER", value_parser = names::uid)]
    pub(crate) user: Option<u32>,
}

#[derive(Debug, Args)]
struct LeaseArgs {
    /// Have the grant end by itself after so long, such as 2h, 90m or 1d12h
    #[arg(long = "for", value_name = "TIME", allow_negative_numbers = true)]
    lease: Option<Period>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct WishArgs {
    /// CPUs, such as 4 or 0.5
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    cpu: Option<Cpus>,
    /// Memory, such as 8G or 512M (K, M, G and T are powers of 1024)
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    mem: Option<MemorySize>,
    /// Processes and threads
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    tasks: Option<Tasks>,
}

#[derive(Debug, Args)]
struct ReleaseArgs {
    /// Name or UID; you, if left out
    #[arg(value_parser = names::uid, value_hint = ValueHint::Username)]
    user: Option<u32>,
    /// Shrink memory even below what is in use; processes may be killed
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum PolicyAction {
    /// Show what policy comes to for a user, and which line of which file says so
    Explain {
        /// Name or UID; you, if left out. Others are for root and administrators
        #[arg(value_parser = names::uid, value_hint = ValueHint::Username)]
        user: Option<u32>,
    },
    /// Show what a reload would change, and for whom; for root and administrators
    Diff,
    /// Have the daemon read its policy files again, as root
    ///
    /// Where a file is wrong, nothing changes, and every problem is shown with its line.
    Reload,
}

#[derive(Debug, Subcommand)]
enum SessionAction {
    /// Tell the daemon that a user has logged in, so that the limits are set
    ///
    /// Opening again with the same leader answers with the same session.
    Open {
        /// User who has logged in
        #[arg(long)]
        uid: u32,
        /// The session's leader: the process whose end ends the session
        #[arg(long)]
        pid: u32,
        /// Name of what opened it, for the log
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
    },
    /// Tell the daemon that a session has ended
    #[command(
        override_usage = "fairshare session close [OPTIONS] --session <N>\n       \
                                fairshare session close [OPTIONS] --uid <UID> --pid <PID>"
    )]
    Close(CloseArgs),
}

#[derive(Debug, Args)]
struct CloseArgs {
    /// Number of the session, as `session open` printed it
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["uid", "pid"],
        required_unless_present_all = ["uid", "pid"]
    )]
    session: Option<u64>,
    /// User of the session
    #[arg(long, requires = "pid")]
    uid: Option<u32>,
    /// The session's leader
    #[arg(long, requires = "uid")]
    pid: Option<u32>,
}

/// Reads the command line. `Err` is what to print instead of asking: the help, the version, or
/// what is wrong.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Cli, Outcome> {
    Cli::try_parse_from(args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Outcome::done(error.render().ansi().to_string())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Outcome {
            stdout: String::new(),
            stderr: error.render().ansi().to_string(),
            exit: Exit::Usage,
        },
        _ => {
            // The one prefix of every error of this command, instead of clap's own.
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            Outcome {
                stdout: String::new(),
                stderr: format!("fairshare: {text}"),
                exit: Exit::Usage,
            }
        }
    })
}

/// Time between two looks: no shorter than what the eye can follow.
fn interval(text: &str) -> Result<Duration, String> {
    seconds(text)
        .ok()
        .filter(|time| *time >= Duration::from_millis(500))
        .ok_or_else(|| "give a number of seconds from 0.5 to 3600".to_owned())
}

/// A number of seconds, from a millisecond to an hour.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.001..=3600.0).contains(seconds))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "give a number of seconds from 0.001 to 3600".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_pages_say_what_the_help_says() {
        let program = fairshare_pages::Program {
            command: Cli::command(),
            section: "1",
            files: &[(DEFAULT_SOCKET, "where the daemon listens")],
            see_also: &["fairshared(8)", "fairshare-policy(5)", "pam_fairshare(8)"],
        };
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
        assert_eq!(fairshare_pages::keep(&program, &packaging), Ok(()));
    }

    #[test]
    fn a_timeout_is_a_sensible_number_of_seconds() {
        let default = parse(["fairshare"].map(OsString::from).into_iter()).unwrap();
        assert_eq!(default.timeout, fairshare_client::DEFAULT_TIMEOUT);
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("3600"), Ok(Duration::from_secs(3600)));
        for text in ["", "0", "-1", "NaN", "inf", "1e9", "5s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
