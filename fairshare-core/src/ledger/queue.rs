//! Requests that wait for room.
//!
//! The order is policy's priority, then recent use, then who came first. What is free is held for
//! the first in the queue: somebody behind may pass only if the first is not served later for it.
//! With the ends of leases known, the ledger computes when the first can be served, and lets
//! another through that ends before that moment or takes nothing that is needed then. Where the
//! ends do not say, another may pass only if it takes nothing of what the first lacks. Whoever
//! asks without waiting, or renews a lease, is held to the same.
//!
//! A request waits for as long as somebody waits with it: whoever runs the ledger takes it out with
//! [`Ledger::leave`] when its client goes. Over a restart no client stays, and what is restored has
//! requests in it only where the daemon leaves them in: it takes them out before, and logs that, so
//! that no grant is held back for somebody who is not there to take it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use fairshare_protocol::{Allocation, Wish};

use super::account::Account;
use super::admission::{Ask, check_bounds, shares, weight};
use super::amount::{Amount, Resource};
use super::leases::lease_end;
use super::pools::Share;
use super::refusal::{Refusal, Short};
use super::{Event, GaveUp, Grant, LONGEST_LOOK, Ledger, Moment};

/// A request's number in the queue: from 1 up, never used twice by one ledger.
pub type Ticket = u64;

/// How many requests may wait.
pub const MOST_WAITING: usize = 256;

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub ticket: Ticket,
    /// What is asked for. It is only ever added to what the user has; nothing is given back for it.
    pub wish: Wish,
    /// For how long, from when it is granted on; policy's default where the user did not say.
    pub lease: Option<Duration>,
    /// Until when it waits.
    pub deadline: Option<Moment>,
    /// Since when it waits.
    pub since: Moment,
}

/// Where in the queue somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The request.
    pub waiting: Waiting,
    /// 1 for the one that is served next.
    pub position: usize,
    /// Those before, first first.
    pub ahead: Vec<u32>,
    /// What is short for it now. Nothing: it is held back for those before.
    pub short: Vec<Short>,
    /// When the ends of leases make room for it at the latest, as if nobody were before it.
    /// `None`: they do not say.
    pub start: Option<Moment>,
}

/// Who waits. One request for each user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    waiting: BTreeMap<u32, Waiting>,
}

/// What decides the order; the lesser is served first.
type Rank = (Reverse<i32>, u64, Ticket);

/// What is missing of a share for the first in the queue: below zero where something is over,
/// `None` where it needs none.
struct Gap {
    share: Share,
    missing: [Option<i128>; 3],
}

impl Queue {
    pub(super) fn get(&self, uid: u32) -> Option<&Waiting> {
        self.waiting.get(&uid)
    }

    pub(super) fn put(&mut self, uid: u32, waiting: Waiting) {
        self.waiting.insert(uid, waiting);
    }
}

impl Ledger {
    /// Waits for room. Is served at once where there is some: then [`Event::Admitted`] follows with
    /// the next events.
    ///
    /// # Errors
    /// What [`Ledger::resize`] refuses for good, more than will ever be free, and where the user or
    /// too many others wait already.
    pub fn enqueue(
        &mut self,
        uid: u32,
        wish: &Wish,
        lease: Option<Duration>,
        deadline: Option<Moment>,
        now: Moment,
    ) -> Result<Ticket, Refusal> {
        let now = self.advance(now);
        let account = self.with_session(uid)?;
        if self.queue.get(uid).is_some() {
            return Err(Refusal::AlreadyWaiting);
        }
        check_bounds(account, wish, false)?;
        lease_end(account, lease, false, now)?;
        let to = account.raised(wish);
        if to == account.allocation() {
            return Err(Refusal::NothingToWaitFor);
        }
        let never = self.pools.never(account, &to);
        if !never.is_empty() {
            return Err(Refusal::NeverFits(never));
        }
        if self.queue.waiting.len() >= MOST_WAITING {
            return Err(Refusal::QueueFull);
        }
        self.last_ticket += 1;
        let waiting = Waiting {
            ticket: self.last_ticket,
            wish: *wish,
            lease,
            deadline,
            since: now,
        };
        let ticket = waiting.ticket;
        self.timers.add_waiting(uid, &waiting);
        self.queue.put(uid, waiting);
        self.changed.insert(uid);
        self.tell(Event::QueueChanged);
        self.serve_queue();
        Ok(ticket)
    }

    /// Waits no longer. Returns whose request it was; `None` if it does not wait.
    pub fn leave(&mut self, ticket: Ticket, now: Moment) -> Option<u32> {
        self.advance(now);
        let mut waiting = self.queue.waiting.iter();
        let (&uid, _) = waiting.find(|(_, waiting)| waiting.ticket == ticket)?;
        self.take_from_queue(uid);
        self.serve_queue();
        Some(uid)
    }

    /// Who waits, first first.
    pub fn queue(&self) -> Vec<(u32, &Waiting)> {
        let order = self.order().into_iter();
        order
            .filter_map(|(_, uid)| Some((uid, self.queue.get(uid)?)))
            .collect()
    }

    /// Where in the queue a user is, and what is waited for. `None` for one who does not wait.
    pub fn place(&self, uid: u32) -> Option<Place> {
        let waiting = self.queue.get(uid)?.clone();
        let account = self.accounts.get(&uid)?;
        let order = self.order().into_iter();
        let ahead: Vec<u32> = order
            .map(|(_, other)| other)
            .take_while(|other| *other != uid)
            .collect();
        Some(Place {
            position: ahead.len() + 1,
            ahead,
            short: self.pools.short(account, &account.raised(&waiting.wish)),
            start: self.start_of(uid, None),
            waiting,
        })
    }

    /// Whether a request of this user is served before that of another, or would be if it were made
    /// now.
    pub fn comes_before(&self, uid: u32, other: u32) -> bool {
        self.rank(uid) < self.rank(other)
    }

    /// Grants what can be granted to those who wait.
    pub(super) fn serve_queue(&mut self) {
        loop {
            self.drop_impossible();
            let order = self.order();
            let Some((&(_, head), behind)) = order.split_first() else {
                return;
            };
            if self.fits(head) {
                self.admit(head);
                continue;
            }
            for &(_, uid) in behind {
                let ask = self.ask_of(uid).filter(|_| self.fits(uid));
                if ask.is_some_and(|ask| !self.delays(head, &ask)) {
                    self.admit(uid);
                }
            }
            return;
        }
    }

    /// Refuses what would serve somebody later who waits and comes before the asker.
    pub(super) fn check_waiting(&self, ask: &Ask) -> Result<(), Refusal> {
        let order = self.order();
        let own = self.rank(ask.uid);
        let ahead = order
            .iter()
            .filter(|(rank, uid)| *rank < own && *uid != ask.uid);
        match order.first() {
            Some((rank, head)) if *rank < own && self.delays(*head, ask) => {
                Err(Refusal::OthersWait {
                    ahead: ahead.count(),
                    start: self.start_of(*head, None),
                })
            }
            _ => Ok(()),
        }
    }

    /// The time that a request might wait has passed.
    pub(super) fn wait_ended(&mut self, uid: u32) {
        self.give_up(uid, GaveUp::TimedOut);
    }

    /// Takes a user's request out of the queue and says why.
    pub(super) fn give_up(&mut self, uid: u32, reason: GaveUp) {
        if let Some(Waiting { ticket, .. }) = self.take_from_queue(uid) {
            self.tell(Event::GaveUp {
                uid,
                ticket,
                reason,
            });
        }
    }

    /// Takes requests out of the queue that can never be granted any more.
    fn drop_impossible(&mut self) {
        let impossible = |(&uid, waiting): (&u32, &Waiting)| {
            let account = self.accounts.get(&uid)?;
            let to = account.raised(&waiting.wish);
            let bounds = check_bounds(account, &waiting.wish, false);
            let refusal = bounds.err().or_else(|| {
                let never = self.pools.never(account, &to);
                (!never.is_empty()).then_some(Refusal::NeverFits(never))
            })?;
            Some((uid, GaveUp::Impossible(refusal.to_string())))
        };
        let impossible: Vec<(u32, GaveUp)> =
            self.queue.waiting.iter().filter_map(impossible).collect();
        for (uid, reason) in impossible {
            self.give_up(uid, reason);
        }
    }

    fn take_from_queue(&mut self, uid: u32) -> Option<Waiting> {
        let waiting = self.queue.waiting.remove(&uid)?;
        self.timers.remove_waiting(uid, &waiting);
        self.changed.insert(uid);
        self.tell(Event::QueueChanged);
        Some(waiting)
    }

    fn admit(&mut self, uid: u32) {
        let Some(ask) = self.ask_of(uid) else {
            return;
        };
        let Some(waiting) = self.take_from_queue(uid) else {
            return;
        };
        let grant = self.grant_of(uid, ask.to, ask.end);
        if let Some(change) = self.put_grant(uid, grant, false) {
            self.tell(Event::Admitted {
                uid,
                ticket: waiting.ticket,
                change,
            });
        }
    }

    /// What a user who waits would get now.
    fn ask_of(&self, uid: u32) -> Option<Ask> {
        let (account, waiting) = (self.accounts.get(&uid)?, self.queue.get(uid)?);
        // Policy may have shortened the longest lease meanwhile: then that is what there is.
        let end = lease_end(account, waiting.lease, false, self.now)
            .or_else(|_| lease_end(account, account.entitlement.lease.longest, true, self.now));
        Some(Ask {
            uid,
            to: account.raised(&waiting.wish),
            end: end.ok()?,
        })
    }

    fn fits(&self, uid: u32) -> bool {
        let (Some(account), Some(waiting)) = (self.accounts.get(&uid), self.queue.get(uid)) else {
            return false;
        };
        let to = account.raised(&waiting.wish);
        self.pools.short(account, &to).is_empty()
    }

    /// The queue in order. It is short, and recent use changes with time: it is sorted when needed.
    fn order(&self) -> Vec<(Rank, u32)> {
        let uids = self.queue.waiting.keys();
        let mut order: Vec<(Rank, u32)> = uids.map(|&uid| (self.rank(uid), uid)).collect();
        order.sort_unstable();
        order
    }

    /// The rank of somebody who waits, or who would come to wait now.
    fn rank(&self, uid: u32) -> Rank {
        let account = self.accounts.get(&uid);
        let priority = account.map_or(0, |account| account.entitlement.priority);
        let waiting = self.queue.get(uid);
        let ticket = waiting.map_or(Ticket::MAX, |waiting| waiting.ticket);
        (Reverse(priority), self.uses.minutes(uid, self.now), ticket)
    }

    /// Whether the first in the queue is served later if this is granted.
    fn delays(&self, head: u32, ask: &Ask) -> bool {
        match (self.start_of(head, None), self.start_of(head, Some(ask))) {
            (Some(before), Some(after)) => after > before,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => self.takes_what_is_missing(head, ask),
        }
    }

    /// When the ends of leases make room for a user's request, with something else granted before.
    /// `None` where they do not say.
    fn start_of(&self, uid: u32, with: Option<&Ask>) -> Option<Moment> {
        let mut gaps = self.gaps(uid, with);
        let closed = |gaps: &[Gap]| {
            let mut missing = gaps.iter().flat_map(|gap| gap.missing).flatten();
            missing.all(|missing| missing <= 0)
        };
        if closed(&gaps) {
            return Some(self.now);
        }
        let changed = with.map(|ask| ask.uid);
        let own = with.and_then(|ask| Some((ask.end?, ask.uid)));
        let ends = &self.pools.ends;
        let (before, after) = match own {
            Some(own) => (ends.range(..own), Some(ends.range(own..))),
            None => (ends.range(..), None),
        };
        let ends = before
            .chain(own.as_ref())
            .chain(after.into_iter().flatten())
            .filter(|end| {
                let (_, other) = **end;
                other != uid && (Some(other) != changed || Some(**end) == own)
            });
        for &(end, other) in ends.take(LONGEST_LOOK) {
            let account = self.accounts.get(&other)?;
            let freed = match with {
                Some(ask) if ask.uid == other => {
                    Amount::above(&ask.to, &account.entitlement.default)
                }
                _ => account.above(),
            };
            for gap in gaps.iter_mut().filter(|gap| counts_in(account, &gap.share)) {
                for (resource, missing) in Resource::ALL.into_iter().zip(&mut gap.missing) {
                    if let Some(missing) = missing {
                        *missing -= signed(freed.get(resource));
                    }
                }
            }
            if closed(&gaps) {
                return Some(end.max(self.now));
            }
        }
        None
    }

    /// What is missing for a user's request now, with something else granted before.
    fn gaps(&self, uid: u32, with: Option<&Ask>) -> Vec<Gap> {
        let (Some(account), Some(waiting)) = (self.accounts.get(&uid), self.queue.get(uid)) else {
            return Vec::new();
        };
        let (from, to) = (account.allocation(), account.raised(&waiting.wish));
        let other = with.and_then(|ask| Some((ask, self.accounts.get(&ask.uid)?)));
        let gap = |share: Share| {
            let (before, after) = (weight(account, &from, &share), weight(account, &to, &share));
            let used = self.pools.used(&share);
            let missing = Resource::ALL.map(|resource| {
                let bound = self.pools.bound(&share, resource)?;
                let grown = signed(after.get(resource)) - signed(before.get(resource));
                let taken = other.map_or(0, |(ask, other)| growth(other, ask, &share, resource));
                (grown > 0).then(|| signed(used.get(resource)) + taken + grown - signed(bound))
            });
            Gap { share, missing }
        };
        shares(account).map(gap).collect()
    }

    /// Whether a request takes, or keeps for longer, anything that the first in the queue lacks.
    fn takes_what_is_missing(&self, head: u32, ask: &Ask) -> bool {
        let Some(account) = self.accounts.get(&ask.uid) else {
            return false;
        };
        let held_until = account.grant.map(|grant| grant.lease_end);
        let longer = match (held_until, ask.end) {
            (Some(Some(before)), Some(end)) => end > before,
            (Some(Some(_)), None) => true,
            (Some(None) | None, _) => false,
        };
        let above = Amount::above(&ask.to, &account.entitlement.default);
        let takes = |gap: &Gap, resource: Resource| {
            let keeps = longer && above.get(resource) > 0 && counts_in(account, &gap.share);
            keeps || growth(account, ask, &gap.share, resource) > 0
        };
        self.gaps(head, Some(ask)).iter().any(|gap| {
            let mut each = Resource::ALL.into_iter().zip(gap.missing);
            each.any(|(resource, missing)| {
                missing.is_some_and(|missing| missing > 0) && takes(gap, resource)
            })
        })
    }

    /// The grant that a user would hold with this allocation.
    pub(super) fn grant_of(
        &self,
        uid: u32,
        to: Allocation,
        lease_end: Option<Moment>,
    ) -> Option<Grant> {
        let account = self.accounts.get(&uid)?;
        let held = account.grant.as_ref();
        let same_lease = held.filter(|held| held.lease_end == lease_end);
        let grant = Grant {
            allocation: to,
            since: held.map_or(self.now, |held| held.since),
            lease_end,
            warned: same_lease.map_or(self.now, |held| held.warned),
            last_use: self.now,
            noticed: None,
            beyond_max: super::account::exceeds(&to, &account.entitlement.max),
        };
        (to != account.entitlement.default).then_some(grant)
    }
}

/// Whether what a user holds counts against a share.
fn counts_in(account: &Account, share: &Share) -> bool {
    match share {
        Share::Machine => true,
        Share::Budget(name) => account.entitlement.budgets.contains(name),
    }
}

/// How much more of a share a user would take.
fn growth(account: &Account, ask: &Ask, share: &Share, resource: Resource) -> i128 {
    if !counts_in(account, share) {
        return 0;
    }
    let amount = |allocation| signed(weight(account, &allocation, share).get(resource));
    amount(ask.to) - amount(account.allocation())
}

/// Sums of allocations are far below the limit.
fn signed(number: u128) -> i128 {
    i128::try_from(number).unwrap_or(i128::MAX)
}
