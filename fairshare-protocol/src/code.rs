//! The closed set of error codes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal;)+) => {
        /// Why a request was not carried out, for programs. The sentence beside it is for people
        /// and may change; the code does not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $name,)+
            /// A code that this version does not know: the daemon is newer.
            Unknown,
        }

        impl ErrorCode {
            /// Every code of this version, in the order of the specification.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

error_codes! {
    /// The line is not a JSON object with a `type`, or was not ended by a newline.
    BadRequest = "bad_request";
    /// The line is longer than [`MAX_LINE`](crate::frame::MAX_LINE); the daemon closes the
    /// connection after it.
    LineTooLong = "line_too_long";
    /// The daemon does not know this `type`.
    UnknownType = "unknown_type";
    /// A field is missing, of the wrong kind or out of range.
    InvalidValue = "invalid_value";
    /// More than policy's maximum.
    AboveMaximum = "above_maximum";
    /// Less than the default: a grant lies above it.
    BelowDefault = "below_default";
    /// The machine has not that much left for grants.
    NoCapacity = "no_capacity";
    /// `request_resources` while a grant is held.
    GrantHeld = "grant_held";
    /// `release` without a grant.
    NoGrant = "no_grant";
    /// The user has no open session, or the session named is not open.
    NoSession = "no_session";
    /// The user is not covered by policy: root, a system account or exempt.
    NotCovered = "not_covered";
    /// The caller may not ask this.
    NotPermitted = "not_permitted";
    /// Less memory than is in use; `force` overrides.
    MemoryInUse = "memory_in_use";
    /// The limits could not be set, or are not set yet.
    NotEnforced = "not_enforced";
    /// The user sends requests faster than the daemon takes them.
    RateLimited = "rate_limited";
    /// Too many connections, or too many requests of one user are waiting.
    Busy = "busy";
    /// A fault of the daemon's own; its log says more.
    Internal = "internal";
    /// Longer than policy lets a grant last.
    AboveLease = "above_lease";
    /// Less than the minimum that policy has beside the default.
    BelowMinimum = "below_minimum";
    /// The budget of a group of the user's has not that much left.
    OverBudget = "over_budget";
    /// So many requests wait already that no further one may.
    QueueFull = "queue_full";
    /// The user has a request in the queue.
    AlreadyWaiting = "already_waiting";
    /// The time that the request might wait has passed.
    WaitEnded = "wait_ended";
    /// `renew` of a grant that has no lease.
    NoLease = "no_lease";
    /// The policy files have errors, so that the policy stays as it was; the sentence says which,
    /// as `fairshared check` prints them, in several lines.
    PolicyWrong = "policy_wrong";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == word)
            .unwrap_or(Self::Unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_round_trips_and_a_new_one_is_not_an_error() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
        }
        let newer: ErrorCode = serde_json::from_str("\"from_the_future\"").unwrap();
        assert_eq!(newer, ErrorCode::Unknown);
    }
}
