//! What is known of one user: sessions, allocation, grant.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairshare_protocol::{Allocation, Wish};

use super::amount::Amount;
use super::{Moment, SessionId};
use crate::{Entitlement, Limits};

/// The process whose end ends a session. The start time tells it from a later process that was
/// given the same PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leader {
    /// The process ID.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The process whose end ends it.
    pub leader: Leader,
    /// The service that opened it, such as `sshd`; empty where it was not told.
    pub service: String,
}

/// What a user holds instead of the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The allocation that it gives.
    pub allocation: Allocation,
    /// When it began.
    pub since: Moment,
    /// When it ends by itself. `None`: with the last session.
    pub lease_end: Option<Moment>,
    /// Until when the user has been told of the lease's end; warnings that were due before are not
    /// given any more.
    pub warned: Moment,
    /// When it was last seen in use; its beginning if it never was.
    pub last_use: Moment,
    /// When the user was told that it is unused, if it has not been used since.
    pub noticed: Option<Moment>,
    /// Whether an administrator set it above what policy lets the user ask for.
    pub beyond_max: bool,
}

/// What the ledger knows of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) grant: Option<Grant>,
    pub(super) entitlement: Arc<Entitlement>,
    pub(super) gentle: bool,
}

impl Account {
    pub(super) fn new(entitlement: &Arc<Entitlement>) -> Self {
        Self {
            sessions: BTreeMap::new(),
            grant: None,
            entitlement: Arc::clone(entitlement),
            gentle: false,
        }
    }

    /// The open sessions by number.
    pub fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }

    /// The grant, where one is held.
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// What policy gives the user.
    pub fn entitlement(&self) -> &Entitlement {
        &self.entitlement
    }

    /// What the user has now.
    pub fn allocation(&self) -> Allocation {
        self.grant
            .map_or(self.entitlement.default, |grant| grant.allocation)
    }

    /// What the user has, with the figures of the wish where they are larger: what somebody who
    /// waits would get.
    pub fn raised(&self, wish: &Wish) -> Allocation {
        let (from, to) = (self.allocation(), self.allocation().with(wish));
        Allocation {
            cpu: to.cpu.max(from.cpu),
            mem: to.mem.max(from.mem),
            tasks: to.tasks.max(from.tasks),
        }
    }

    /// What is to be enforced on the user's slice.
    pub fn limits(&self) -> Limits {
        self.entitlement.limits(self.allocation())
    }

    /// Whether memory must come down to the allocation without anything being killed: the grant
    /// ended by itself, or the user was there before they were limited, and nobody asked for it. Until then the kernel's limit follows what is in
    /// use, however long that takes.
    pub fn is_gentle(&self) -> bool {
        self.gentle
    }

    /// What the grant takes of the capacity.
    pub(super) fn above(&self) -> Amount {
        Amount::above(&self.allocation(), &self.entitlement.default)
    }

    /// The grant brought within the entitlement, `None` where that is the default.
    pub(super) fn within(&self, grant: Grant) -> Option<Grant> {
        let Entitlement {
            min, max, default, ..
        } = &*self.entitlement;
        let mut allocation = self.entitlement.clamp(grant.allocation);
        if grant.beyond_max {
            let held = grant.allocation;
            allocation = Allocation {
                cpu: held.cpu.max(min.cpu),
                mem: held.mem.max(min.mem),
                tasks: held.tasks.max(min.tasks),
            };
        }
        let grant = Grant {
            allocation,
            beyond_max: exceeds(&allocation, max),
            ..grant
        };
        (allocation != *default).then_some(grant)
    }
}

/// Whether any resource lies above that of the other.
pub(super) fn exceeds(allocation: &Allocation, other: &Allocation) -> bool {
    allocation.cpu > other.cpu || allocation.mem > other.mem || allocation.tasks > other.tasks
}
