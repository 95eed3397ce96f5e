//! What the ledger decides by itself, as time goes on or room is made.

use std::time::Duration;

use fairshare_protocol::Allocation;

use super::{Grant, Moment, Ticket};
use crate::Limits;

/// A change of a user's allocation, to be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The allocation before.
    pub from: Allocation,
    /// What is to hold from now on.
    pub limits: Limits,
    /// The grant before.
    pub before: Option<Grant>,
    /// The grant from now on.
    pub after: Option<Grant>,
    /// Nobody asked for it: memory that is in use stays until it is given back, and nothing is
    /// killed for it. See [`Account::is_gentle`](super::Account::is_gentle).
    pub gentle: bool,
}

/// Something that happened without being asked for at that moment. The ledger has carried it out;
/// what is left is to enforce it and to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A lease ends soon.
    LeaseEnding {
        /// Whose.
        uid: u32,
        /// When.
        end: Moment,
        /// How long that is from now.
        left: Duration,
    },
    /// A lease has ended: the allocation is the default.
    LeaseEnded {
        /// Whose.
        uid: u32,
        /// To be enforced, gently.
        change: Change,
    },
    /// A grant is not used.
    Idle {
        /// Whose.
        uid: u32,
        /// When it is taken back unless it is used before.
        end: Moment,
    },
    /// A grant that was not used has been taken back: the allocation is the default.
    IdleReturned {
        /// Whose.
        uid: u32,
        /// To be enforced, gently.
        change: Change,
    },
    /// A request that waited is granted.
    Admitted {
        /// Whose.
        uid: u32,
        /// Which.
        ticket: Ticket,
        /// To be enforced.
        change: Change,
    },
    /// A request has left the queue without a grant.
    GaveUp {
        /// Whose.
        uid: u32,
        /// Which.
        ticket: Ticket,
        /// Why.
        reason: GaveUp,
    },
    /// The queue is not what it was: whoever waits may have another place.
    QueueChanged,
}

/// Why a request has left the queue without a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// The time that it might wait has passed.
    TimedOut,
    /// The user's last session has ended.
    LoggedOut,
    /// Policy or the machine has changed: it is more than the user may have or than will ever be
    /// free. The sentence says which.
    Impossible(String),
}

impl Change {
    /// The allocation from now on.
    pub fn to(&self) -> Allocation {
        self.limits.allocation
    }
}
