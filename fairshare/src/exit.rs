//! The exit codes, in one place: what a script may rely on.
//!
//! A code that is in the table keeps its number and its meaning. `fairshare --help` prints the
//! table from here.

use std::fmt::Write as _;
use std::process::ExitCode;

use fairshare_client::ClientError;
use fairshare_protocol::ErrorCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked is done.
    Done,
    /// The daemon refused, by its rules.
    Refused,
    /// The command line or a value in it is wrong.
    Usage,
    /// No daemon, or no answer in time.
    NoAnswer,
    /// The caller may not ask this.
    NotPermitted,
    /// It was allowed and did not work.
    Failed,
    /// Ctrl-C while the request waited.
    Interrupted,
    /// This signal, taken by what had to give the terminal back first.
    Signalled(u8),
    /// What `doctor` found.
    Doctor(Verdict),
}

/// What `doctor` found, with the numbers that programs for monitoring share since Nagios. They are
/// not those of the table: its help has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Well = 0,
    Warnings = 1,
    Failures = 2,
}

/// What shells add to the number of a signal that ended a program.
const OF_SIGNALS: u8 = 128;

/// Each exit with its number and its words in the help.
const TABLE: [(Exit, u8, &str); 7] = [
    (Exit::Done, 0, "done"),
    (
        Exit::Refused,
        1,
        "refused: above the maximum, no capacity, waited in vain, no session ...",
    ),
    (
        Exit::Usage,
        2,
        "wrong usage, or a value that the daemon does not take",
    ),
    (Exit::NoAnswer, 3, "no daemon, or no answer in time"),
    (
        Exit::NotPermitted,
        4,
        "not permitted: only root, or an administrator, may ask this",
    ),
    (
        Exit::Failed,
        5,
        "failed: the limits could not be set, the daemon is busy or at fault",
    ),
    (
        Exit::Interrupted,
        130,
        "interrupted while waiting; the place in the queue is given up",
    ),
];

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Doctor(verdict) => return verdict as u8,
            Self::Signalled(signal) => return OF_SIGNALS.saturating_add(signal),
            _ => {}
        }
        TABLE
            .iter()
            .find(|(exit, ..)| *exit == self)
            .map_or(u8::MAX, |(_, number, _)| *number)
    }

    /// The exit for the daemon's code. A code that this version does not know is a refusal, as
    /// the protocol says.
    pub(crate) fn of_code(code: Option<ErrorCode>) -> Self {
        match code {
            Some(ErrorCode::InvalidValue) => Self::Usage,
            Some(ErrorCode::NotPermitted) => Self::NotPermitted,
            Some(
                ErrorCode::BadRequest
                | ErrorCode::LineTooLong
                | ErrorCode::UnknownType
                | ErrorCode::NotEnforced
                | ErrorCode::RateLimited
                | ErrorCode::Busy
                | ErrorCode::Internal,
            ) => Self::Failed,
            _ => Self::Refused,
        }
    }

    /// The exit for a call that failed.
    pub(crate) fn of_error(error: &ClientError) -> Self {
        match error {
            ClientError::Refused(reply) => Self::of_code(reply.code),
            ClientError::Protocol { .. } => Self::Failed,
            // What is left is a daemon that is not there or does not answer.
            _ => Self::NoAnswer,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// The table as the help shows it.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes, but for doctor, whose help has its own:");
    for (_, number, meaning) in TABLE {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {number:<3}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_ones() {
        for (exit, number) in [
            (Exit::Done, 0),
            (Exit::Refused, 1),
            (Exit::Usage, 2),
            (Exit::NoAnswer, 3),
            (Exit::NotPermitted, 4),
            (Exit::Failed, 5),
            (Exit::Interrupted, 130),
            (Exit::Signalled(15), 143),
        ] {
            assert_eq!(exit.number(), number);
        }
    }

    #[test]
    fn each_code_of_the_protocol_has_its_exit() {
        let expected = [
            (ErrorCode::BadRequest, Exit::Failed),
            (ErrorCode::LineTooLong, Exit::Failed),
            (ErrorCode::UnknownType, Exit::Failed),
            (ErrorCode::InvalidValue, Exit::Usage),
            (ErrorCode::AboveMaximum, Exit::Refused),
            (ErrorCode::BelowDefault, Exit::Refused),
            (ErrorCode::NoCapacity, Exit::Refused),
            (ErrorCode::GrantHeld, Exit::Refused),
            (ErrorCode::NoGrant, Exit::Refused),
            (ErrorCode::NoSession, Exit::Refused),
            (ErrorCode::NotCovered, Exit::Refused),
            (ErrorCode::NotPermitted, Exit::NotPermitted),
            (ErrorCode::MemoryInUse, Exit::Refused),
            (ErrorCode::NotEnforced, Exit::Failed),
            (ErrorCode::RateLimited, Exit::Failed),
            (ErrorCode::Busy, Exit::Failed),
            (ErrorCode::Internal, Exit::Failed),
            (ErrorCode::AboveLease, Exit::Refused),
            (ErrorCode::BelowMinimum, Exit::Refused),
            (ErrorCode::OverBudget, Exit::Refused),
            (ErrorCode::QueueFull, Exit::Refused),
            (ErrorCode::AlreadyWaiting, Exit::Refused),
            (ErrorCode::WaitEnded, Exit::Refused),
            (ErrorCode::NoLease, Exit::Refused),
            (ErrorCode::PolicyWrong, Exit::Refused),
        ];
        let listed: Vec<ErrorCode> = expected.iter().map(|(code, _)| *code).collect();
        assert_eq!(listed, ErrorCode::ALL, "a new code needs its row");
        for (code, exit) in expected {
            assert_eq!(Exit::of_code(Some(code)), exit, "{code}");
        }
        assert_eq!(Exit::of_code(Some(ErrorCode::Unknown)), Exit::Refused);
        assert_eq!(Exit::of_code(None), Exit::Refused);
    }
}
