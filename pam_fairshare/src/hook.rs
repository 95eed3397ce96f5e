//! One way through the module for every entry point, a hook of libpam: the outcome of a fault is settled first, the body is
//! run within the boundary, what went wrong is logged, and the table gives the code.

use std::ffi::c_int;

use crate::boundary::contain;
use crate::call::{Call, Priority};
use crate::config::{self, OnFailure};
use crate::ffi::Received;
use crate::outcome::Outcome;

/// What a user reads whose login is refused.
const REFUSED: &str =
    "Login refused: your share of this machine could not be set up, please tell its administrator.";

/// The longest reason in the log, in characters, so that what follows from it is never cut away.
const LONGEST_REASON: usize = 400;

/// What libpam asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// Opening a session.
    Open,
    /// Closing a session.
    Close,
    /// What belongs to another stack.
    Other,
}

/// Why a body did not do what it is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened, for the log.
    pub(crate) reason: String,
    /// Whether the daemon may carry the request out all the same.
    pub(crate) pending: bool,
}

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            pending: false,
        }
    }
}

impl Hook {
    /// The outcome where the body failed or never came to its end.
    fn failed(self) -> Outcome {
        match self {
            Self::Open => Outcome::NotLimited,
            Self::Close => Outcome::NotClosed,
            Self::Other => Outcome::WrongStack,
        }
    }

    fn priority(self) -> Priority {
        match self {
            Self::Open => Priority::Error,
            Self::Close | Self::Other => Priority::Notice,
        }
    }

    /// What follows from a failure, for the log.
    fn consequence(self, on_failure: OnFailure, pending: bool) -> &'static str {
        match (self, on_failure, pending) {
            (Self::Open, OnFailure::Allow, false) => "login goes on without limits",
            (Self::Open, OnFailure::Allow, true) => "login goes on, limits may follow",
            (Self::Open, OnFailure::Deny, _) => "login is refused",
            (Self::Close, _, _) => "the daemon closes the session when its leader ends",
            (Self::Other, _, _) => "ignoring",
        }
    }
}

/// Runs one hook and gives the code for libpam. Never panics.
///
/// Without a handle there is nobody to ask, to tell or to log to; it ends as a failure does.
pub(crate) fn run(
    received: Option<Received<'_>>,
    flags: c_int,
    hook: Hook,
    body: impl FnOnce(&mut Call<'_>) -> Result<Outcome, Failure>,
) -> c_int {
    let Some(received) = received else {
        return hook.failed().code(OnFailure::Allow);
    };
    let mut call = Call::new(received, flags);
    let on_failure = if call.user_is_root() {
        OnFailure::Allow
    } else {
        config::on_failure(call.args())
    };
    let outcome = contain(|| {
        body(&mut call).unwrap_or_else(|failure| {
            let consequence = hook.consequence(on_failure, failure.pending);
            let reason: String = failure.reason.chars().take(LONGEST_REASON).collect();
            let line = format!("{reason}; {consequence}");
            call.log(hook.priority(), &line);
            hook.failed()
        })
    });
    let outcome = outcome.unwrap_or_else(|fault| {
        let consequence = hook.consequence(on_failure, false);
        call.log_fault(Priority::Error, format_args!("{fault}; {consequence}"));
        hook.failed()
    });
    let code = outcome.code(on_failure);
    if outcome == Outcome::NotLimited && on_failure == OnFailure::Deny {
        // A second fault changes nothing: the code stands.
        let _ = contain(|| call.tell(REFUSED));
    }
    code
}
