//! What is due when, in order.
//!
//! Each entry follows from a user's account or request and from nothing else: it is taken out
//! before those change and put back after, so the next one is always at hand.

use std::collections::BTreeSet;

use super::Moment;
use super::account::Account;
use super::amount::Amount;
use super::leases::lease_timer;
use super::queue::Waiting;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// To tell the user that the lease ends.
    LeaseWarning,
    /// The end of the lease.
    LeaseEnd,
    /// To tell the user that the grant is unused.
    IdleNotice,
    /// To take the unused grant back.
    IdleReturn,
    /// The end of a wait in the queue.
    WaitEnd,
}

/// Everything that is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Timers {
    due: BTreeSet<(Moment, u32, Timer)>,
}

impl Timers {
    pub(super) fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Takes out the first that is due by then.
    pub(super) fn pop(&mut self, now: Moment) -> Option<(u32, Timer)> {
        let (at, uid, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.remove(&(at, uid, timer));
        Some((uid, timer))
    }

    /// Whose grant is to be told or taken back by then because it is not used.
    pub(super) fn idle_by(&self, now: Moment) -> impl Iterator<Item = u32> {
        let due = self.due.range(..=(now, u32::MAX, Timer::WaitEnd));
        due.filter(|(_, _, timer)| matches!(timer, Timer::IdleNotice | Timer::IdleReturn))
            .map(|(_, uid, _)| *uid)
    }

    pub(super) fn add(&mut self, uid: u32, account: &Account) {
        for (at, timer) in timers(account) {
            self.due.insert((at, uid, timer));
        }
    }

    pub(super) fn remove(&mut self, uid: u32, account: &Account) {
        for (at, timer) in timers(account) {
            self.due.remove(&(at, uid, timer));
        }
    }

    pub(super) fn add_waiting(&mut self, uid: u32, waiting: &Waiting) {
        if let Some(deadline) = waiting.deadline {
            self.due.insert((deadline, uid, Timer::WaitEnd));
        }
    }

    pub(super) fn remove_waiting(&mut self, uid: u32, waiting: &Waiting) {
        if let Some(deadline) = waiting.deadline {
            self.due.remove(&(deadline, uid, Timer::WaitEnd));
        }
    }
}

fn timers(account: &Account) -> impl Iterator<Item = (Moment, Timer)> {
    let lease = account.grant.as_ref().and_then(lease_timer);
    [lease, idle_timer(account)].into_iter().flatten()
}

/// The user is told first, however late that is, and has the whole notice from then on.
fn idle_timer(account: &Account) -> Option<(Moment, Timer)> {
    let (idle, grant) = (account.entitlement.idle?, account.grant?);
    if account.above() == Amount::default() {
        return None;
    }
    let unused = grant.last_use.after(idle.after);
    Some(match grant.noticed {
        Some(told) => (unused.max(told.after(idle.notice)), Timer::IdleReturn),
        None if idle.notice.is_zero() => (unused, Timer::IdleReturn),
        None => {
            let ahead = idle.after.saturating_sub(idle.notice);
            (grant.last_use.after(ahead), Timer::IdleNotice)
        }
    })
}
