//! The arguments of the module's line.
//!
//! | argument | meaning | without it |
//! |---|---|---|
//! | `socket=PATH` | where the daemon listens, an absolute path | `/run/fairshare.sock` |
//! | `timeout=MS` | how long a login waits for the daemon, 10 to 30000 ms | 500 |
//! | `on_failure=allow` or `deny` | what becomes of a login whose limits could not be set | `allow` |
//! | `debug` | log what went well too | |
//!
//! Where one is given twice, the last counts. An argument that is not understood is warned about
//! and passed over: a misspelt word must lock nobody out.

use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use fairshare_protocol::{DEFAULT_SOCKET, printable};

/// The shortest `timeout=`, in milliseconds. Below it a busy machine would never be limited.
const TIMEOUT_MIN_MS: u64 = 10;

/// The longest `timeout=`, in milliseconds. Above it a hanging daemon is an outage.
const TIMEOUT_MAX_MS: u64 = 30_000;

/// The timeout of a line without `timeout=`, in milliseconds: a person does not notice it, and
/// systemd sets limits in a tenth of it.
const TIMEOUT_DEFAULT_MS: u64 = 500;

/// What becomes of a login whose limits could not be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// It goes on.
    #[default]
    Allow,
    /// It is refused, unless it is root's.
    Deny,
}

/// The arguments, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Config<'a> {
    pub(crate) socket: &'a Path,
    pub(crate) timeout: Duration,
    pub(crate) debug: bool,
}

/// What is wrong with an argument. The display form is a line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Warning {
    Unknown(String),
    NotAbsolute(String),
    NotMilliseconds(String),
    OutOfRange { argument: String, used: u64 },
    NotAChoice(String),
}

/// Reads the arguments but `on_failure=`, which [`on_failure`] reads.
pub(crate) fn parse<'a>(args: impl Iterator<Item = &'a CStr>) -> (Config<'a>, Vec<Warning>) {
    let mut config = Config {
        socket: Path::new(DEFAULT_SOCKET),
        timeout: Duration::from_millis(TIMEOUT_DEFAULT_MS),
        debug: false,
    };
    let mut warnings = Vec::new();
    for arg in args {
        let shown = || printable(&arg.to_string_lossy());
        let (name, value) = split(arg);
        match (name, value) {
            (b"socket", Some(path)) if path.starts_with(b"/") => {
                config.socket = Path::new(OsStr::from_bytes(path));
            }
            (b"socket", Some(_)) => warnings.push(Warning::NotAbsolute(shown())),
            (b"timeout", Some(value)) => match milliseconds(value) {
                Some(given) => {
                    let used = given.clamp(TIMEOUT_MIN_MS, TIMEOUT_MAX_MS);
                    if used != given {
                        let argument = shown();
                        warnings.push(Warning::OutOfRange { argument, used });
                    }
                    config.timeout = Duration::from_millis(used);
                }
                None => warnings.push(Warning::NotMilliseconds(shown())),
            },
            (b"on_failure", Some(value)) => {
                if choice(value).is_none() {
                    warnings.push(Warning::NotAChoice(shown()));
                }
            }
            (b"debug", None) => config.debug = true,
            _ => warnings.push(Warning::Unknown(shown())),
        }
    }
    (config, warnings)
}

/// Reads `on_failure=`, and nothing else. A function of its own, which allocates nothing and
/// cannot panic, because the outcome of a fault depends on it, a fault while the other arguments
/// are read included.
pub(crate) fn on_failure<'a>(args: impl Iterator<Item = &'a CStr>) -> OnFailure {
    args.filter_map(|arg| match split(arg) {
        (b"on_failure", Some(value)) => choice(value),
        _ => None,
    })
    .last()
    .unwrap_or_default()
}

/// The parts before and behind the first `=`.
fn split(arg: &CStr) -> (&[u8], Option<&[u8]>) {
    let mut parts = arg.to_bytes().splitn(2, |&byte| byte == b'=');
    (parts.next().unwrap_or_default(), parts.next())
}

fn choice(value: &[u8]) -> Option<OnFailure> {
    match value {
        b"allow" => Some(OnFailure::Allow),
        b"deny" => Some(OnFailure::Deny),
        _ => None,
    }
}

/// A number in decimal digits; one that is too large for the type is the largest.
fn milliseconds(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(arg) => write!(f, "unknown argument '{arg}', ignoring"),
            Self::NotAbsolute(arg) => write!(f, "'{arg}' is not an absolute path, ignoring"),
            Self::NotMilliseconds(arg) => {
                write!(f, "'{arg}' is not a number of milliseconds, ignoring")
            }
            Self::OutOfRange { argument, used } => write!(
                f,
                "'{argument}' is not within {TIMEOUT_MIN_MS} to {TIMEOUT_MAX_MS}, using {used}"
            ),
            Self::NotAChoice(arg) => write!(f, "'{arg}' is neither allow nor deny, ignoring"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Socket, timeout in milliseconds, debug, and the warnings as text.
    fn read(args: &[&CStr]) -> (String, u128, bool, Vec<String>) {
        let (config, warnings) = parse(args.iter().copied());
        (
            config.socket.display().to_string(),
            config.timeout.as_millis(),
            config.debug,
            warnings.iter().map(ToString::to_string).collect(),
        )
    }

    fn choice_of(args: &[&CStr]) -> OnFailure {
        on_failure(args.iter().copied())
    }

    #[test]
    fn without_arguments_the_defaults_hold() {
        let expected = ("/run/fairshare.sock".to_owned(), 500, false, vec![]);
        assert_eq!(read(&[]), expected);
        assert_eq!(choice_of(&[]), OnFailure::Allow);
    }

    #[test]
    fn every_argument_is_read_and_the_last_of_a_kind_counts() {
        let args = [
            c"timeout=1000",
            c"socket=/tmp/a",
            c"debug",
            c"on_failure=allow",
            c"timeout=10",
            c"socket=/tmp/b=c",
            c"on_failure=deny",
        ];
        assert_eq!(read(&args), ("/tmp/b=c".to_owned(), 10, true, vec![]));
        assert_eq!(choice_of(&args), OnFailure::Deny);
    }

    #[test]
    fn a_timeout_out_of_range_is_brought_into_it_with_a_warning() {
        for (arg, used) in [
            (c"timeout=0", 10),
            (c"timeout=9", 10),
            (c"timeout=30001", 30_000),
            (c"timeout=99999999999999999999999", 30_000),
        ] {
            let (_, timeout, _, warnings) = read(&[arg]);
            assert_eq!(timeout, used);
            let warning = warnings.first().unwrap();
            assert!(warning.ends_with(&format!("using {used}")), "{warning}");
        }
        for (arg, used) in [(c"timeout=10", 10), (c"timeout=30000", 30_000)] {
            assert_eq!(
                read(&[arg]),
                ("/run/fairshare.sock".to_owned(), used, false, vec![])
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_warned_about_and_changes_nothing() {
        for (arg, warning) in [
            (c"colour", "unknown argument 'colour', ignoring"),
            (c"", "unknown argument '', ignoring"),
            (c"debug=1", "unknown argument 'debug=1', ignoring"),
            (c"timeout", "unknown argument 'timeout', ignoring"),
            (c"Timeout=100", "unknown argument 'Timeout=100', ignoring"),
            (c"=", "unknown argument '=', ignoring"),
            (
                c"a\xff\x1b[2J",
                "unknown argument 'a\u{fffd}\u{fffd}[2J', ignoring",
            ),
            (
                c"socket=run/x",
                "'socket=run/x' is not an absolute path, ignoring",
            ),
            (c"socket=", "'socket=' is not an absolute path, ignoring"),
            (
                c"timeout=",
                "'timeout=' is not a number of milliseconds, ignoring",
            ),
            (
                c"timeout=1s",
                "'timeout=1s' is not a number of milliseconds, ignoring",
            ),
            (
                c"timeout=-1",
                "'timeout=-1' is not a number of milliseconds, ignoring",
            ),
            (
                c"timeout=+1",
                "'timeout=+1' is not a number of milliseconds, ignoring",
            ),
            (
                c"on_failure=Deny",
                "'on_failure=Deny' is neither allow nor deny, ignoring",
            ),
            (
                c"on_failure=",
                "'on_failure=' is neither allow nor deny, ignoring",
            ),
        ] {
            let expected = (
                "/run/fairshare.sock".to_owned(),
                500,
                false,
                vec![warning.to_owned()],
            );
            assert_eq!(read(&[arg]), expected);
            assert_eq!(choice_of(&[arg]), OnFailure::Allow);
            assert_eq!(choice_of(&[c"on_failure=deny", arg]), OnFailure::Deny);
        }
    }
}
