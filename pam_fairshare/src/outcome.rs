//! The table from what happened to what libpam is told.

use std::ffi::c_int;

use pam::constants::PamResultCode;

use crate::config::OnFailure;

/// How a hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The session is recorded and the limits hold.
    Limited,
    /// The daemon knows the user and has nothing to limit.
    NotCovered,
    /// The service opens no login.
    NotALogin,
    /// The user is root.
    Root,
    /// The limits may not hold.
    NotLimited,
    /// The session was closed, or there was none to close.
    Closed,
    /// The session could not be closed. The daemon closes it when its leader ends.
    NotClosed,
    /// The line stands in a stack other than `session`.
    WrongStack,
}

impl Outcome {
    /// The code for libpam.
    ///
    /// Letting a login go on is `PAM_SUCCESS`: as the only line of a stack, `PAM_IGNORE` would be
    /// a refusal. A close is never an error, for nobody could do anything about it.
    pub(crate) fn code(self, on_failure: OnFailure) -> c_int {
        let code = match self {
            Self::Limited
            | Self::NotCovered
            | Self::NotALogin
            | Self::Root
            | Self::Closed
            | Self::NotClosed => PamResultCode::PAM_SUCCESS,
            Self::NotLimited => match on_failure {
                OnFailure::Allow => PamResultCode::PAM_SUCCESS,
                OnFailure::Deny => PamResultCode::PAM_SESSION_ERR,
            },
            Self::WrongStack => PamResultCode::PAM_IGNORE,
        };
        code as c_int
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        // The numbers of security/_pam_types.h.
        const SUCCESS: c_int = 0;
        const SESSION_ERR: c_int = 14;
        const IGNORE: c_int = 25;
        for (outcome, allow, deny) in [
            (Outcome::Limited, SUCCESS, SUCCESS),
            (Outcome::NotCovered, SUCCESS, SUCCESS),
            (Outcome::NotALogin, SUCCESS, SUCCESS),
            (Outcome::Root, SUCCESS, SUCCESS),
            (Outcome::NotLimited, SUCCESS, SESSION_ERR),
            (Outcome::Closed, SUCCESS, SUCCESS),
            (Outcome::NotClosed, SUCCESS, SUCCESS),
            (Outcome::WrongStack, IGNORE, IGNORE),
        ] {
            assert_eq!(outcome.code(OnFailure::Allow), allow, "{outcome:?}");
            assert_eq!(outcome.code(OnFailure::Deny), deny, "{outcome:?}");
        }
    }
}
