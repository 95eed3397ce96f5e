//! What the book does with leases, budgets and the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fairshare_core::Policy;
use fairshare_core::ledger::{
    self, Account, Budget, Change, Ledger, Moment, Place, Refusal, Terms, Ticket,
};
use fairshare_protocol::{MemorySize, Wait};
use tracing::warn;

use super::Book;

/// What a request for more than can be had now came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is granted.
    Granted(Box<Change>),
    /// It waits.
    Waits(Ticket),
}

/// Tells the ledger what policy shares out and how.
pub(super) fn set_terms(ledger: &mut Ledger, policy: &Policy, now: Moment) {
    ledger.set_capacity(policy.capacity(), now);
    ledger.set_budgets(budgets(policy), now);
    ledger.set_half_life(policy.queue().half_life, now);
}

/// Takes out of what was saved whoever waited, and returns them. A request waits for as long as its
/// client is connected, and no connection outlives the daemon: left in the queue, it would hold
/// back the others for a grant that nobody is there to take. The client is told by the end of its
/// connection.
pub(super) fn drop_waiting(saved: &mut ledger::Saved) -> BTreeSet<u32> {
    let mut dropped = BTreeSet::new();
    for (&uid, user) in &mut saved.users {
        if user.waiting.take().is_some() {
            warn!(
                uid,
                "a request that waited has lost its client: out of the queue"
            );
            dropped.insert(uid);
        }
    }
    dropped
}

fn budgets(policy: &Policy) -> BTreeMap<String, Budget> {
    let budgets = policy.budgets().into_iter();
    budgets
        .map(|(group, budget)| {
            let budget = Budget {
                cpu_thousandths: budget.cpu.map(fairshare_protocol::Cpus::thousandths),
                mem_bytes: budget.mem.map(MemorySize::bytes),
                tasks: budget.tasks.map(fairshare_protocol::Tasks::count),
            };
            (group, budget)
        })
        .collect()
}

impl Book {
    /// The policy in force.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The moment of the work at hand.
    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// Goes by another clock than the machine's.
    #[cfg(test)]
    pub(crate) fn by_clock(mut self, clock: fn() -> Moment) -> Self {
        (self.clock, self.now) = (clock, clock());
        self
    }

    /// Has the snapshot refuse to be written, or not any more.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&mut self, refuses: bool) {
        self.snapshot.refuse_writes(refuses);
    }

    /// See [`Ledger::resize`].
    pub(crate) fn resize(&mut self, uid: u32, terms: &Terms) -> Result<Change, Refusal> {
        let change = self.ledger.resize(uid, terms, self.now)?;
        self.save(uid);
        Ok(change)
    }

    /// As [`Book::resize`], but what does not fit now waits: no longer than policy lets it.
    pub(crate) fn resize_or_wait(
        &mut self,
        uid: u32,
        terms: &Terms,
        wait: Wait,
    ) -> Result<Asked, Refusal> {
        match self.resize(uid, terms) {
            Ok(change) => return Ok(Asked::Granted(Box::new(change))),
            Err(Refusal::NoCapacity(_) | Refusal::OthersWait { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
        let longest = self.policy.queue().longest_wait;
        let span = match (wait, longest) {
            (Wait::Allowed, longest) => longest,
            (Wait::AtMost(asked), Some(longest)) => Some(longest.min(asked.into())),
            (Wait::AtMost(asked), None) => Some(asked.into()),
        };
        let deadline = span.map(|span| self.now.after(span));
        let ticket = self
            .ledger
            .enqueue(uid, &terms.wish, terms.lease, deadline, self.now)?;
        self.save(uid);
        Ok(Asked::Waits(ticket))
    }

    /// See [`Ledger::leave`].
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<u32> {
        let uid = self.ledger.leave(ticket, self.now)?;
        self.save(uid);
        Some(uid)
    }

    /// Where a request is in the queue; `None` where it does not wait any more.
    pub(crate) fn place(&self, uid: u32, ticket: Ticket) -> Option<Place> {
        let place = self.ledger.place(uid)?;
        (place.waiting.ticket == ticket).then_some(place)
    }

    /// See [`Ledger::renew`]. Returns the account as it is then.
    pub(crate) fn renew(&mut self, uid: u32, lease: Duration) -> Result<Account, Refusal> {
        self.ledger.renew(uid, Some(lease), self.now)?;
        self.save(uid);
        self.ledger.account(uid).cloned().ok_or(Refusal::NoSession)
    }

    /// See [`Ledger::set`].
    pub(crate) fn set(&mut self, uid: u32, terms: &Terms) -> Result<Change, Refusal> {
        let change = self.ledger.set(uid, terms, self.now)?;
        self.save(uid);
        Ok(change)
    }
}
