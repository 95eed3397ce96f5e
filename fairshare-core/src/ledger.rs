//! The ledger: who has which sessions, what they hold, until when, and who waits for room.
//!
//! Events come in as method calls, decisions go out as values. The ledger never acts and reads no
//! clock: whoever calls it says what time it is, enforces the [`Change`] it returns, and calls
//! [`Ledger::revert`] where that failed. What the ledger decides by itself, because a moment has
//! come or room was made, are [`Event`]s: [`Ledger::tick`] hands them out, and
//! [`Ledger::next_event`] says when to ask again. A moment that is earlier than one told before is
//! taken for that one.
//!
//! The rules it holds:
//! - a user with a session has exactly one allocation, between the minimum and the maximum; only an
//!   administrator goes beyond the maximum;
//! - the grant returns with the last session, at the end of its lease, and when it is not used;
//! - grants together never grow beyond the capacity, nor a group's allocations beyond its budget; a
//!   login is never refused for want of either;
//! - what is free is held for the first in the queue; nobody passes at its cost.

mod account;
mod admission;
mod amount;
mod event;
mod leases;
mod moment;
mod pools;
mod queue;
mod recent_use;
mod refusal;
mod saved;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::{MemorySize, Wish};

pub use account::{Account, Grant, Leader, Session};
pub use amount::Resource;
pub use event::{Change, Event, GaveUp};
pub use leases::WARNINGS;
pub use moment::Moment;
pub use pools::{Budget, Holder, MOST_HOLDERS, Share};
pub use queue::{MOST_WAITING, Place, Ticket, Waiting};
pub use recent_use::{HALF_LIFE, RecentUse};
pub use refusal::{Refusal, Short, Shortage};
pub use saved::{Numbers, Saved, SavedUser};

use crate::{Entitlement, Limits};
use admission::{Ask, check_bounds, check_memory};
use pools::Pools;
use queue::Queue;
use recent_use::Uses;
use timers::{Timer, Timers};

/// A session's number: from 1 up, never used twice by one ledger.
pub type SessionId = u64;

/// How many ends of leases are looked at to see when there will be room. Beyond them it is not
/// known, and nobody passes who takes what is missing.
const LONGEST_LOOK: usize = 1024;

/// What grants may come to together: after the reserve, times overcommit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// CPUs, in thousandths.
    pub cpu_thousandths: u64,
    /// Memory in bytes.
    pub mem_bytes: u64,
}

/// What `open_session` came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The session's number.
    pub session: SessionId,
    /// Whether the same leader had opened it before.
    pub again: bool,
    /// What is to hold for the user now.
    pub limits: Limits,
}

/// What the end of a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The session's number.
    pub session: SessionId,
    /// Its user.
    pub uid: u32,
    /// Whether it was the user's last.
    pub last: bool,
    /// The grant that went back with it.
    pub returned: Option<Change>,
}

/// The record of users, sessions, allocations and grants, and the rules on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    accounts: BTreeMap<u32, Account>,
    /// Which user a session belongs to.
    owners: BTreeMap<SessionId, u32>,
    last_session: SessionId,
    pools: Pools,
    timers: Timers,
    queue: Queue,
    last_ticket: Ticket,
    uses: Uses,
    /// The latest moment that was told.
    now: Moment,
    /// What has happened and was not taken yet.
    events: Vec<Event>,
    /// Who is not as they were when last saved.
    changed: BTreeSet<u32>,
}

/// What is asked for, beside by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The figures; what is not named stays as it is.
    pub wish: Wish,
    /// How long the grant lasts. `None`: one that is held keeps its end, and a new one gets policy's
    /// default.
    pub lease: Option<Duration>,
    /// The memory that programs of the user hold.
    pub used: MemorySize,
    /// Memory may go below what is held, though that kills.
    pub force: bool,
}

impl Ledger {
    /// An empty ledger, without budgets.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            accounts: BTreeMap::new(),
            owners: BTreeMap::new(),
            last_session: 0,
            pools: Pools::new(capacity),
            timers: Timers::default(),
            queue: Queue::default(),
            last_ticket: 0,
            uses: Uses::new(),
            now: Moment::ZERO,
            events: Vec::new(),
            changed: BTreeSet::new(),
        }
    }

    /// What the ledger knows of a user: somebody with a session, or with processes left behind.
    pub fn account(&self, uid: u32) -> Option<&Account> {
        self.accounts.get(&uid)
    }

    /// All users in the order of their UIDs.
    pub fn accounts(&self) -> impl Iterator<Item = (u32, &Account)> {
        self.accounts.iter().map(|(&uid, account)| (uid, account))
    }

    /// The user of an open session.
    pub fn owner(&self, session: SessionId) -> Option<u32> {
        self.owners.get(&session).copied()
    }

    /// The open session of a user whose leader has this PID.
    pub fn session_of(&self, uid: u32, pid: u32) -> Option<SessionId> {
        let sessions = &self.accounts.get(&uid)?.sessions;
        sessions
            .iter()
            .find(|(_, session)| session.leader.pid == pid)
            .map(|(&id, _)| id)
    }

    /// What grants may come to together.
    pub fn capacity(&self) -> Capacity {
        self.pools.capacity
    }

    /// What grants come to together, above the defaults.
    pub fn granted(&self) -> Capacity {
        self.pools.machine.used.capacity()
    }

    /// What the members of a group with a session have together, as a budget with all figures.
    pub fn budget_used(&self, group: &str) -> Budget {
        let used = self.pools.used(&Share::Budget(group.to_owned()));
        Budget {
            cpu_thousandths: Some(amount::narrow(used.cpu)),
            mem_bytes: Some(amount::narrow(used.mem)),
            tasks: Some(amount::narrow(used.tasks)),
        }
    }

    /// What a user has used up to when it was written down; `None`: as good as nothing.
    pub fn recent_use(&self, uid: u32) -> Option<RecentUse> {
        self.uses.get(uid)
    }

    /// When [`Ledger::tick`] is to be called next. `None`: not before something else happens.
    pub fn next_event(&self) -> Option<Moment> {
        if self.events.is_empty() {
            self.timers.next()
        } else {
            Some(self.now)
        }
    }

    /// Carries out what is due and hands out what has happened since the last call, oldest first.
    /// To be called after every other call, too: a grant that goes back can let somebody in.
    pub fn tick(&mut self, now: Moment) -> Vec<Event> {
        self.advance(now);
        self.serve_queue();
        std::mem::take(&mut self.events)
    }

    /// Who is not as they were at the last call, in what [`Ledger::saved_user`] and
    /// [`Ledger::recent_use`] say. Others than the one who is dealt with can be among them: a grant
    /// that goes back can let somebody in.
    pub fn take_changed(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.changed)
    }

    /// A user has logged in. Never refused. The same leader again is the same session.
    pub fn open_session(
        &mut self,
        uid: u32,
        leader: Leader,
        service: &str,
        entitlement: &Arc<Entitlement>,
    ) -> Opened {
        let account = self
            .accounts
            .entry(uid)
            .or_insert_with(|| Account::new(entitlement));
        let limits = account.limits();
        let known = account
            .sessions
            .iter()
            .find(|(_, session)| session.leader == leader);
        if let Some((&session, _)) = known {
            return Opened {
                session,
                again: true,
                limits,
            };
        }
        self.last_session += 1;
        let session = self.last_session;
        let opened = Session {
            leader,
            service: service.to_owned(),
        };
        self.edit(uid, |account| account.sessions.insert(session, opened));
        self.owners.insert(session, uid);
        Opened {
            session,
            again: false,
            limits,
        }
    }

    /// The user's slice is there, though no session of theirs is known: somebody who logged in before
    /// this ledger was begun, or whose programs run without a login. `gentle` where they have worked
    /// without limits for long: what they hold is not taken by force. See [`Ledger::hold`]. `None`
    /// for a user who is known already.
    pub fn take_in(
        &mut self,
        uid: u32,
        entitlement: &Arc<Entitlement>,
        gentle: bool,
    ) -> Option<Limits> {
        (!self.accounts.contains_key(&uid)).then(|| {
            let limits = self.hold(uid, entitlement);
            self.edit(uid, |account| account.gentle = gentle);
            limits
        })
    }

    /// Processes of a user are held in the slice without a session. Whoever is not known yet is from
    /// now on, with the default and until [`Ledger::forget`]. Returns what is to be enforced.
    pub fn hold(&mut self, uid: u32, entitlement: &Arc<Entitlement>) -> Limits {
        let account = self.accounts.entry(uid).or_insert_with(|| {
            self.changed.insert(uid);
            Account::new(entitlement)
        });
        account.limits()
    }

    /// A session has ended. With the user's last one the grant goes back and the user leaves the
    /// queue; the user stays known until [`Ledger::forget`], because processes may be left behind.
    /// `None` if no such session is open.
    pub fn close_session(&mut self, session: SessionId, now: Moment) -> Option<Closed> {
        self.advance(now);
        let uid = self.owners.remove(&session)?;
        let account = self.accounts.get(&uid)?;
        let last = account.sessions.keys().all(|open| *open == session);
        let held = account.grant.filter(|_| last);
        let returned = held.and_then(|_| self.put_grant(uid, None, false));
        self.edit(uid, |account| account.sessions.remove(&session));
        if last {
            self.give_up(uid, GaveUp::LoggedOut);
        }
        self.serve_queue();
        Some(Closed {
            session,
            uid,
            last,
            returned,
        })
    }

    /// Nothing of the user is left on the machine. Sessions that were still open are ended; their
    /// numbers are returned.
    pub fn forget(&mut self, uid: u32, now: Moment) -> Vec<SessionId> {
        let now = self.advance(now);
        self.give_up(uid, GaveUp::LoggedOut);
        let Some(account) = self.accounts.remove(&uid) else {
            return Vec::new();
        };
        self.pools.remove(uid, &account);
        self.timers.remove(uid, &account);
        let dropped = self.uses.hold(uid, 0.0, now);
        self.changed.extend(dropped);
        self.changed.insert(uid);
        for session in account.sessions.keys() {
            self.owners.remove(session);
        }
        self.serve_queue();
        account.sessions.into_keys().collect()
    }

    /// Asks for a first grant, with policy's default lease.
    pub fn request(
        &mut self,
        uid: u32,
        wish: &Wish,
        used: MemorySize,
        now: Moment,
    ) -> Result<Change, Refusal> {
        self.advance(now);
        if self.with_session(uid)?.grant.is_some() {
            return Err(Refusal::GrantHeld);
        }
        let terms = Terms {
            wish: *wish,
            lease: None,
            used,
            force: false,
        };
        self.resize(uid, &terms, now)
    }

    /// Asks for a grant or changes it.
    pub fn resize(&mut self, uid: u32, terms: &Terms, now: Moment) -> Result<Change, Refusal> {
        self.decide(uid, terms, false, now)
    }

    /// An administrator gives a user an allocation: beyond the maximum, the longest lease and those
    /// who wait, but not beyond capacity and budgets.
    pub fn set(&mut self, uid: u32, terms: &Terms, now: Moment) -> Result<Change, Refusal> {
        self.decide(uid, terms, true, now)
    }

    fn decide(
        &mut self,
        uid: u32,
        terms: &Terms,
        by_administrator: bool,
        now: Moment,
    ) -> Result<Change, Refusal> {
        let now = self.advance(now);
        let Terms {
            wish,
            lease,
            used,
            force,
        } = *terms;
        let account = self.with_session(uid)?;
        let from = account.allocation();
        let to = from.with(&wish);
        check_bounds(account, &wish, by_administrator)?;
        let end = leases::lease_end(account, lease, by_administrator, now)?;
        check_memory(from, to, used, force)?;
        self.check_room(uid, account, to)?;
        if !by_administrator {
            self.check_waiting(&Ask { uid, to, end })?;
        }
        let grant = self.grant_of(uid, to, end);
        let change = self.put_grant(uid, grant, false);
        self.serve_queue();
        change.ok_or(Refusal::NoSession)
    }

    /// Gives the grant back. `used` and `force` as in [`Terms`].
    pub fn release(
        &mut self,
        uid: u32,
        used: MemorySize,
        force: bool,
        now: Moment,
    ) -> Result<Change, Refusal> {
        self.advance(now);
        let account = self.with_session(uid)?;
        if account.grant.is_none() {
            return Err(Refusal::NoGrant);
        }
        check_memory(
            account.allocation(),
            account.entitlement.default,
            used,
            force,
        )?;
        let change = self.put_grant(uid, None, false);
        self.serve_queue();
        change.ok_or(Refusal::NoGrant)
    }

    /// Takes a change back that could not be enforced, with the lease as it was. Does nothing if
    /// the allocation is not what the change made it. What was given back is taken again even where
    /// somebody else has it by now: the kernel never stopped giving it.
    pub fn revert(&mut self, uid: u32, change: &Change, now: Moment) {
        self.advance(now);
        let Some(account) = self.accounts.get(&uid) else {
            return;
        };
        // A grant belongs to a session; the last one may have ended meanwhile.
        if account.allocation() == change.to() && !account.sessions.is_empty() {
            let grant = change.before.and_then(|grant| account.within(grant));
            self.put_grant(uid, grant, false);
            self.serve_queue();
        }
    }

    /// Policy has changed for a user. The grant stays, brought within the new entitlement. Memory
    /// that comes down with it does so gently: the user has not asked for it.
    /// `None` if what is to be enforced stays as it is.
    pub fn entitle(
        &mut self,
        uid: u32,
        entitlement: &Arc<Entitlement>,
        now: Moment,
    ) -> Option<Change> {
        self.advance(now);
        let account = self.accounts.get(&uid)?;
        let (before, held) = (account.limits(), account.grant);
        self.edit(uid, |account| {
            account.entitlement = Arc::clone(entitlement);
            account.grant = held.and_then(|grant| account.within(grant));
            account.gentle |= account.allocation().mem < before.allocation.mem;
        });
        let account = self.accounts.get(&uid)?;
        let (limits, after, gentle) = (account.limits(), account.grant, account.gentle);
        self.serve_queue();
        (before != limits).then_some(Change {
            from: before.allocation,
            limits,
            before: held,
            after,
            gentle,
        })
    }

    /// The machine's capacity has changed. Grants that are held stay.
    pub fn set_capacity(&mut self, capacity: Capacity, now: Moment) {
        self.advance(now);
        self.pools.capacity = capacity;
        self.serve_queue();
    }

    /// The budgets have changed. Allocations that are held stay.
    pub fn set_budgets(&mut self, budgets: BTreeMap<String, Budget>, now: Moment) {
        self.advance(now);
        self.pools.bounds = budgets;
        self.serve_queue();
    }

    /// How long it takes until half of what a user has used is forgotten.
    pub fn set_half_life(&mut self, half_life: Duration, now: Moment) {
        let now = self.advance(now);
        self.uses.set_half_life(half_life, now);
        self.changed.extend(self.uses.all().map(|(uid, _)| uid));
        self.serve_queue();
    }

    fn with_session(&self, uid: u32) -> Result<&Account, Refusal> {
        let account = self.accounts.get(&uid).ok_or(Refusal::NoSession)?;
        if account.sessions.is_empty() {
            Err(Refusal::NoSession)
        } else {
            Ok(account)
        }
    }

    /// Takes note of the time and carries out what is due. Returns the time to go by.
    fn advance(&mut self, now: Moment) -> Moment {
        self.now = self.now.max(now);
        let mut room = false;
        while let Some((uid, timer)) = self.timers.pop(self.now) {
            room |= matches!(timer, Timer::LeaseEnd | Timer::IdleReturn | Timer::WaitEnd);
            if timer == Timer::WaitEnd {
                self.wait_ended(uid);
            } else {
                self.grant_due(uid, timer);
            }
        }
        if room {
            self.serve_queue();
        }
        self.now
    }

    fn tell(&mut self, event: Event) {
        // Several changes of the queue in one step are one.
        if event != Event::QueueChanged || self.events.last() != Some(&event) {
            self.events.push(event);
        }
    }

    /// Puts another grant in the place of the one that is held.
    fn put_grant(&mut self, uid: u32, grant: Option<Grant>, gentle: bool) -> Option<Change> {
        let account = self.accounts.get(&uid)?;
        let (from, before) = (account.allocation(), account.grant);
        self.edit(uid, |account| {
            account.grant = grant;
            account.gentle = gentle;
        })?;
        let limits = self.accounts.get(&uid)?.limits();
        Some(Change {
            from,
            limits,
            before,
            after: grant,
            gentle,
        })
    }

    /// The only place where an account changes, so that sums, timers and use always fit it.
    fn edit<R>(&mut self, uid: u32, edit: impl FnOnce(&mut Account) -> R) -> Option<R> {
        let account = self.accounts.get_mut(&uid)?;
        self.pools.remove(uid, account);
        self.timers.remove(uid, account);
        let result = edit(account);
        self.pools.add(uid, account);
        self.timers.add(uid, account);
        let share = recent_use::share(account.above(), self.pools.capacity);
        let dropped = self.uses.hold(uid, share, self.now);
        self.changed.extend(dropped);
        self.changed.insert(uid);
        Some(result)
    }
}
