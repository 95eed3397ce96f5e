//! Why a call brought no answer.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use fairshare_protocol::{ErrorCode, ErrorReply, printable};

/// Why a call brought no answer. The display form is the whole of it on one line, fit for a
/// terminal and a log, so there is no `source` to print behind it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing listens: the socket is not there, or whoever made it has gone.
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What `connect` said.
        source: io::Error,
    },
    /// The deadline passed. Whether the request was carried out is not known.
    Deadline {
        /// The socket.
        path: PathBuf,
        /// What was being done: `connect to`, `write to` or `read from`.
        verb: &'static str,
        /// The timeout that has passed.
        timeout: Duration,
    },
    /// A system call failed otherwise.
    Io {
        /// The socket.
        path: PathBuf,
        /// What was being done: `connect to`, `write to` or `read from`.
        verb: &'static str,
        /// What the system call said.
        source: io::Error,
    },
    /// The connection ended before the reply was whole. Whether the request was carried out is not
    /// known.
    Closed {
        /// The socket.
        path: PathBuf,
        /// Whether a part of the reply had come, or a `queued` before it.
        partial: bool,
    },
    /// The reply is not one of the protocol's, or not one to this request.
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon answered that it did not carry out the request.
    Refused(ErrorReply),
}

impl ClientError {
    /// The daemon's code, where it answered and sent one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(reply) => reply.code,
            _ => None,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &PathBuf| printable(&path.to_string_lossy());
        match self {
            Self::NoDaemon { path, source } => {
                write!(f, "no daemon listens on '{}': {source}", shown(path))
            }
            Self::Deadline {
                path,
                verb,
                timeout,
            } => write!(
                f,
                "cannot {verb} '{}' within {} ms",
                shown(path),
                timeout.as_millis()
            ),
            Self::Io { path, verb, source } => {
                write!(f, "cannot {verb} '{}': {source}", shown(path))
            }
            Self::Closed { path, partial } => {
                let when = if *partial { "within" } else { "before" };
                write!(f, "'{}' was closed {when} its reply", shown(path))
            }
            Self::Protocol { path, reason } => write!(
                f,
                "cannot understand the reply from '{}': {}",
                shown(path),
                printable(reason)
            ),
            Self::Refused(reply) => f.write_str(&printable(&reply.error)),
        }
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_the_verb_and_the_path_and_carries_no_escape_sequence() {
        let path = || PathBuf::from("/run/\x1b[31m.sock");
        let refused = |error: &str| ClientError::Refused(ErrorReply::new(ErrorCode::Busy, error));
        for (error, text) in [
            (
                ClientError::NoDaemon {
                    path: path(),
                    source: io::ErrorKind::NotFound.into(),
                },
                "no daemon listens on '/run/\u{fffd}[31m.sock': entity not found",
            ),
            (
                ClientError::Deadline {
                    path: path(),
                    verb: "read from",
                    timeout: Duration::from_millis(500),
                },
                "cannot read from '/run/\u{fffd}[31m.sock' within 500 ms",
            ),
            (
                ClientError::Io {
                    path: path(),
                    verb: "connect to",
                    source: io::ErrorKind::PermissionDenied.into(),
                },
                "cannot connect to '/run/\u{fffd}[31m.sock': permission denied",
            ),
            (
                ClientError::Closed {
                    path: path(),
                    partial: false,
                },
                "'/run/\u{fffd}[31m.sock' was closed before its reply",
            ),
            (
                ClientError::Closed {
                    path: path(),
                    partial: true,
                },
                "'/run/\u{fffd}[31m.sock' was closed within its reply",
            ),
            (
                ClientError::Protocol {
                    path: path(),
                    reason: "a\nb".to_owned(),
                },
                "cannot understand the reply from '/run/\u{fffd}[31m.sock': a\u{fffd}b",
            ),
            (refused("Too busy\x07"), "Too busy\u{fffd}"),
        ] {
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(refused("x").code(), Some(ErrorCode::Busy));
        let closed = ClientError::Closed {
            path: path(),
            partial: true,
        };
        assert_eq!(closed.code(), None);
    }
}
