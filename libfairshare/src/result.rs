//! The result codes: the one table from an outcome to the number that C sees.

use fairshare_client::ClientError;
use fairshare_client::protocol::ErrorCode;

/// What a call returns, as an int.
///
/// A number keeps its meaning. A later library may return further ones, so treat a number that you
/// do not know like FAIRSHARE_RESULT_REFUSED. fairshare_error_message has the sentence for people.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "numbered for C, which receives every one of them")]
pub enum ResultCode {
    /// It is done.
    Ok = 0,
    /// An argument is wrong: a NULL where none may be, text that is not UTF-8, a number out of
    /// range, a size that no version of the structure has. Nothing was asked.
    InvalidArgument = 1,
    /// Nothing listens on the socket: the daemon is not running, or not installed.
    NoDaemon = 2,
    /// No answer within the timeout, or the connection failed. Whether the request was carried out
    /// is not known; ask again.
    NoAnswer = 3,
    /// The answer was not understood: library and daemon do not fit together.
    BadReply = 4,
    /// A fault of the library's own.
    Fault = 5,

    /// The daemon refused, for a reason that this version of the library has no number for.
    Refused = 16,
    /// The daemon could not read the request.
    BadRequest = 17,
    /// The request is too long: a service's name of many thousand letters.
    LineTooLong = 18,
    /// The daemon is older than the library and does not know the request.
    UnknownType = 19,
    /// The daemon does not take a value: it is out of range, or no process has that ID.
    InvalidValue = 20,
    /// More than policy's maximum for the user.
    AboveMaximum = 21,
    /// Less than the user's default: a grant lies above it.
    BelowDefault = 22,
    /// The machine has not that much left for grants.
    NoCapacity = 23,
    /// The user holds a grant already.
    GrantHeld = 24,
    /// The user holds no grant.
    NoGrant = 25,
    /// The user has no open session, or the session named is not open.
    NoSession = 26,
    /// Policy does not cover the user: root, a system account, or exempt.
    NotCovered = 27,
    /// The calling process may not ask this: sessions are root's to open and close.
    NotPermitted = 28,
    /// Less memory than is in use; FAIRSHARE_FORCE overrides, and processes may be killed.
    MemoryInUse = 29,
    /// The limits could not be set, or not yet.
    NotEnforced = 30,
    /// Requests come faster than the daemon takes them from one user; wait and ask again.
    RateLimited = 31,
    /// The daemon has too much to do; ask again.
    Busy = 32,
    /// A fault of the daemon's own; its log says more.
    Internal = 33,
    /// Longer than policy lets a grant last.
    AboveLease = 34,
    /// Less than the minimum that policy has beside the default.
    BelowMinimum = 35,
    /// The budget of a group of the user's has not that much left.
    OverBudget = 36,
    /// So many requests wait already that no further one may.
    QueueFull = 37,
    /// The user has a request that waits already.
    AlreadyWaiting = 38,
    /// The time that a request might wait has passed.
    WaitEnded = 39,
    /// The grant has no lease.
    NoLease = 40,
    /// The policy files have errors.
    PolicyWrong = 41,
}

impl ResultCode {
    /// The number for the daemon's code.
    pub(crate) fn of_code(code: Option<ErrorCode>) -> Self {
        match code {
            Some(ErrorCode::BadRequest) => Self::BadRequest,
            Some(ErrorCode::LineTooLong) => Self::LineTooLong,
            Some(ErrorCode::UnknownType) => Self::UnknownType,
            Some(ErrorCode::InvalidValue) => Self::InvalidValue,
            Some(ErrorCode::AboveMaximum) => Self::AboveMaximum,
            Some(ErrorCode::BelowDefault) => Self::BelowDefault,
            Some(ErrorCode::NoCapacity) => Self::NoCapacity,
            Some(ErrorCode::GrantHeld) => Self::GrantHeld,
            Some(ErrorCode::NoGrant) => Self::NoGrant,
            Some(ErrorCode::NoSession) => Self::NoSession,
            Some(ErrorCode::NotCovered) => Self::NotCovered,
            Some(ErrorCode::NotPermitted) => Self::NotPermitted,
            Some(ErrorCode::MemoryInUse) => Self::MemoryInUse,
            Some(ErrorCode::NotEnforced) => Self::NotEnforced,
            Some(ErrorCode::RateLimited) => Self::RateLimited,
            Some(ErrorCode::Busy) => Self::Busy,
            Some(ErrorCode::Internal) => Self::Internal,
            Some(ErrorCode::AboveLease) => Self::AboveLease,
            Some(ErrorCode::BelowMinimum) => Self::BelowMinimum,
            Some(ErrorCode::OverBudget) => Self::OverBudget,
            Some(ErrorCode::QueueFull) => Self::QueueFull,
            Some(ErrorCode::AlreadyWaiting) => Self::AlreadyWaiting,
            Some(ErrorCode::WaitEnded) => Self::WaitEnded,
            Some(ErrorCode::NoLease) => Self::NoLease,
            Some(ErrorCode::PolicyWrong) => Self::PolicyWrong,
            // No code, or one of a newer daemon.
            _ => Self::Refused,
        }
    }

    /// The number for a call that failed.
    pub(crate) fn of_error(error: &ClientError) -> Self {
        match error {
            ClientError::Refused(reply) => Self::of_code(reply.code),
            ClientError::NoDaemon { .. } => Self::NoDaemon,
            ClientError::Protocol { .. } => Self::BadReply,
            _ => Self::NoAnswer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_the_protocol_has_the_number_of_its_own_name() {
        let mut numbers = Vec::new();
        for code in ErrorCode::ALL {
            let result = ResultCode::of_code(Some(*code));
            let name = code.as_str().replace('_', "");
            assert_eq!(format!("{result:?}").to_lowercase(), name);
            numbers.push(result as i32);
        }
        // The order of the protocol, without a gap: a new code takes the next number.
        assert_eq!(numbers, (17..=41).collect::<Vec<i32>>());
        assert_eq!(ResultCode::of_code(None), ResultCode::Refused);
        assert_eq!(
            ResultCode::of_code(Some(ErrorCode::Unknown)),
            ResultCode::Refused
        );
    }
}
