//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;
use fairshare_protocol::{DEFAULT_SOCKET, MAX_METRICS_USERS};

/// Tells Prometheus, over HTTP, what fairshare does on this machine.
///
/// Started by systemd when somebody asks on the socket of 'fairshare-exporter.socket', which is off
/// until 'systemctl enable --now fairshare-exporter.socket'. By hand, '--listen' says where.
#[derive(Debug, Parser)]
#[command(name = "fairshare-exporter", version)]
#[command(after_help = "Exit status: 0 never, 1 could not start or go on, 2 wrong usage.")]
pub(crate) struct Args {
    /// Address and port, or path of a Unix socket, to listen on instead of systemd's socket
    #[arg(long, value_name = "WHERE")]
    listen: Option<String>,

    /// Socket of the daemon
    #[arg(long, value_name = "SOCKET", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,

    /// Tell of this many users by name, at most 100: those with the most CPU time
    ///
    /// Everybody who can reach the exporter sees their names then.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_METRICS_USERS)))]
    users: u32,
}

impl Args {
    /// Where to listen; `None` for the socket that systemd hands over.
    pub(crate) fn listen(&self) -> Option<&str> {
        self.listen.as_deref()
    }

    /// The daemon's socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// How many users to tell of by name.
    pub(crate) fn users(&self) -> u32 {
        self.users
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn no_user_is_named_unless_asked_and_no_more_than_the_daemon_tells() {
        let args = Args::try_parse_from(["fairshare-exporter"]).unwrap();
        assert_eq!((args.users(), args.listen()), (0, None));
        let parse = |users| Args::try_parse_from(["fairshare-exporter", "--users", users]);
        assert_eq!(parse("100").unwrap().users(), 100);
        parse("101").unwrap_err();
    }

    #[test]
    fn the_page_and_completions_are_those_of_the_definition() {
        let program = fairshare_pages::Program {
            command: Args::command(),
            section: "8",
            files: &[
                (DEFAULT_SOCKET, "the daemon's socket"),
                (
                    "/usr/share/doc/fairshare/examples/prometheus",
                    "configuration and alert rules for Prometheus",
                ),
            ],
            see_also: &["fairshared(8)", "prometheus(1)"],
        };
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
        fairshare_pages::keep(&program, &packaging).unwrap();
    }
}
