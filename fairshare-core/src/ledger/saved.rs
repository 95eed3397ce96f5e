//! The ledger as it is kept over a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::{Account, Grant, Session};
use super::queue::{Ticket, Waiting};
use super::recent_use::{RecentUse, share};
use super::{Ledger, Moment, SessionId};
use crate::Entitlement;

/// Everything that a restart must not lose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// Who is known.
    pub users: BTreeMap<u32, SavedUser>,
    /// What users have used, those included who are not known any more.
    pub recent: BTreeMap<u32, RecentUse>,
    /// Numbers and the time.
    pub numbers: Numbers,
}

/// What a user holds and has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedUser {
    /// The open sessions by number.
    pub sessions: BTreeMap<SessionId, Session>,
    /// The grant, where one is held.
    pub grant: Option<Grant>,
    /// Whether memory comes down gently; see [`Account::is_gentle`].
    pub gentle: bool,
    /// The request that waits, where one does.
    pub waiting: Option<Waiting>,
}

/// What the next numbers follow on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The highest session number given so far; the session may have ended.
    pub last_session: SessionId,
    /// The highest ticket given so far.
    pub last_ticket: Ticket,
    /// The latest moment that the ledger was told. An older one that was saved does no harm.
    pub now: Moment,
}

impl Ledger {
    /// Everything that a restart must not lose. Events that were not taken are not in it: take
    /// them first.
    pub fn save(&self) -> Saved {
        Saved {
            users: self
                .accounts
                .keys()
                .filter_map(|&uid| Some((uid, self.saved_user(uid)?)))
                .collect(),
            recent: self.uses.all().collect(),
            numbers: self.numbers(),
        }
    }

    /// One user as they are saved; `None` for one who is not known.
    pub fn saved_user(&self, uid: u32) -> Option<SavedUser> {
        let account = self.accounts.get(&uid)?;
        Some(SavedUser {
            sessions: account.sessions.clone(),
            grant: account.grant,
            gentle: account.gentle,
            waiting: self.queue.get(uid).cloned(),
        })
    }

    /// What the next numbers follow on.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            last_session: self.last_session,
            last_ticket: self.last_ticket,
            now: self.now,
        }
    }

    /// Puts back what was saved into a ledger that has its capacity, budgets and half-life and
    /// nothing else. Grants are brought within entitlements, which may have changed meanwhile; they
    /// are not held against capacity and budgets, because they were admitted once.
    pub fn restore(&mut self, saved: Saved, mut entitlement: impl FnMut(u32) -> Arc<Entitlement>) {
        self.last_session = saved.numbers.last_session;
        self.last_ticket = saved.numbers.last_ticket;
        self.now = saved.numbers.now;
        for (uid, recent) in saved.recent {
            self.uses.put(uid, recent);
        }
        for (uid, user) in saved.users {
            self.restore_user(uid, user, &entitlement(uid));
        }
    }

    fn restore_user(&mut self, uid: u32, saved: SavedUser, entitlement: &Arc<Entitlement>) {
        for &session in saved.sessions.keys() {
            self.owners.insert(session, uid);
            self.last_session = self.last_session.max(session);
        }
        let mut account = Account {
            sessions: saved.sessions,
            gentle: saved.gentle,
            ..Account::new(entitlement)
        };
        let with_session = !account.sessions.is_empty();
        let held = saved.grant.filter(|_| with_session);
        account.grant = held.and_then(|grant| account.within(grant));
        // What is held now and was written down then differ where policy has changed meanwhile.
        if account.grant != saved.grant {
            let held = share(account.above(), self.pools.capacity);
            let dropped = self.uses.hold(uid, held, self.now);
            self.changed.extend(dropped);
            self.changed.insert(uid);
        }
        self.pools.add(uid, &account);
        self.timers.add(uid, &account);
        self.accounts.insert(uid, account);
        if let Some(waiting) = saved.waiting.filter(|_| with_session) {
            self.last_ticket = self.last_ticket.max(waiting.ticket);
            self.timers.add_waiting(uid, &waiting);
            self.queue.put(uid, waiting);
        }
    }
}
