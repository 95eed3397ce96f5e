//! What happens without being asked for at that moment: leases that end, grants that are not used,
//! requests whose turn has come. Each is enforced in the user's turn, logged and told.

use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::{Account, Change, Event, GaveUp, Moment, Ticket};
use fairshare_protocol::{ErrorCode, MemorySize, Reply, Wish};
use tokio::sync::mpsc;

use super::{Operations, words};
use crate::book::Used;
use crate::cgroup::MemoryUse;
use crate::decision::{Decision, Verdict};
use crate::enforcement::{Enforcement, EnforcementError};
use crate::finding::{Finding, What};
use crate::terminal::Told;

impl<E: Enforcement> Operations<E> {
    /// Carries out what happens, for as long as the daemon runs.
    pub(crate) async fn follow(self: Arc<Self>, mut events: mpsc::Receiver<Event>) {
        // The book's owner may be waiting for its events to be received: nobody waits for it here.
        tokio::spawn(Arc::clone(&self).lend_eyes());
        while let Some(event) = events.recv().await {
            if event == Event::QueueChanged {
                self.waiters.moved();
            } else {
                tokio::spawn(Arc::clone(&self).carry_out(event));
            }
        }
    }

    /// Lets the book look at what users use.
    async fn lend_eyes(self: Arc<Self>) {
        let this = Arc::downgrade(&self);
        let look = move |uid| {
            let slice = this.upgrade()?.enforcement.look(uid)?;
            Some(Used {
                slice: slice.inode(),
                cpu: slice.cpu_used()?,
                mem: slice.memory().map_or(0, |memory| memory.held().bytes()),
                tasks: slice.tasks().unwrap_or_default(),
            })
        };
        let look = Box::new(look);
        self.book.with(move |book| book.look_with(look)).await;
    }

    async fn carry_out(self: Arc<Self>, event: Event) {
        match event {
            Event::LeaseEnding { uid, end, left } => self.lease_ending(uid, end, left).await,
            Event::LeaseEnded { uid, change } => {
                let why = "the lease of your grant has ended";
                self.ended(uid, "lease", &change, why).await;
            }
            Event::Idle { uid, end } => self.idle(uid, end).await,
            Event::IdleReturned { uid, change } => {
                let why = "your grant was not used and has gone back";
                self.ended(uid, "idle", &change, why).await;
            }
            Event::Admitted {
                uid,
                ticket,
                change,
            } => self.admitted(uid, ticket, &change).await,
            Event::GaveUp {
                uid,
                ticket,
                reason,
            } => self.gave_up(uid, ticket, reason).await,
            Event::QueueChanged => {}
        }
    }

    async fn lease_ending(&self, uid: u32, end: Moment, left: Duration) {
        let Some((account, _)) = self.account(uid).await else {
            return;
        };
        // It may have been renewed or given back meanwhile.
        let Some(grant) = account.grant().filter(|grant| grant.lease_end == Some(end)) else {
            return;
        };
        Decision::new("lease", Verdict::Announced, uid)
            .from(grant.allocation)
            .because(format!("it ends in {}", words::lasting(left)))
            .log();
        self.tell(&account, uid, &words::lease_ending(&account, grant, left));
    }

    /// A grant is back, and nobody asked for that: what is in use is left alone.
    async fn ended(self: &Arc<Self>, uid: u32, request: &'static str, change: &Change, why: &str) {
        let _turn = self.turns.take(uid).await;
        let Some((account, _)) = self.account(uid).await else {
            return;
        };
        let held = self.held(uid);
        // The ledger may have gone on meanwhile; what it says now is what is to hold.
        let limited = self.limit(uid, &account.limits()).await;
        let decision = |verdict| {
            Decision::new(request, verdict, uid)
                .from(change.from)
                .to(change.to())
        };
        match limited {
            Ok(_) | Err(EnforcementError::NoSlice { .. }) => {
                decision(Verdict::Ended).because(why).log();
            }
            Err(fault) => {
                decision(Verdict::NotEnforced)
                    .because(format!("{why}; {fault}, trying again"))
                    .log();
                self.try_again(uid);
            }
        }
        if account.grant().is_none() {
            let line = words::ended(&account, why, change.from, held);
            let told = self.tell(&account, uid, &line);
            let (grant, now) = (change.from, account.allocation());
            let what = match request {
                "lease" => What::LeaseEnded { grant, now },
                _ => What::Reclaimed {
                    why: why.to_owned(),
                    grant,
                    now,
                },
            };
            self.found_and_told(Finding::new(uid, what), told).await;
        }
    }

    async fn idle(&self, uid: u32, end: Moment) {
        let Some((account, now)) = self.account(uid).await else {
            return;
        };
        let Some(grant) = account.grant().filter(|grant| grant.noticed.is_some()) else {
            return;
        };
        let left = end.since(now);
        Decision::new("idle", Verdict::Announced, uid)
            .from(grant.allocation)
            .because(format!(
                "not used; it goes back in {}",
                words::lasting(left)
            ))
            .log();
        self.tell(&account, uid, &words::idle(&account, grant, left));
    }

    async fn admitted(self: &Arc<Self>, uid: u32, ticket: Ticket, change: &Change) {
        let _turn = self.turns.take(uid).await;
        let decision = |verdict| {
            Decision::new("queue", verdict, uid)
                .by(uid)
                .from(change.from)
                .to(change.to())
        };
        let current = self.account(uid).await;
        let Some((account, now)) =
            current.filter(|(account, _)| account.allocation() == change.to())
        else {
            let why = "The grant has ended before it was enforced";
            decision(Verdict::Ignored).because(why).log();
            self.waiters
                .end(ticket, Reply::error(ErrorCode::NoSession, why));
            return;
        };
        match self.limit(uid, &account.limits()).await {
            Ok(applied) => {
                decision(Verdict::Granted)
                    .because("its turn has come")
                    .log();
                let message = super::changes::allocated(change, now, &applied);
                self.waiters.end(ticket, Reply::Success { message });
                let left = account.grant().and_then(|grant| grant.lease_end);
                let left = left.map(|end| end.since(now));
                self.tell(&account, uid, &words::admitted(change.to(), left));
            }
            Err(fault) => {
                let change = change.clone();
                decision(Verdict::NotEnforced)
                    .because(fault.to_string())
                    .log();
                self.book.with(move |book| book.revert(uid, &change)).await;
                self.try_again(uid);
                let message = format!("The allocation stays as it was: {fault}");
                self.waiters
                    .end(ticket, Reply::error(ErrorCode::NotEnforced, message));
            }
        }
    }

    async fn gave_up(&self, uid: u32, ticket: Ticket, reason: GaveUp) {
        let (code, why) = match reason {
            GaveUp::TimedOut => (
                ErrorCode::WaitEnded,
                "no room was made in the time that it might wait".to_owned(),
            ),
            GaveUp::LoggedOut => (
                ErrorCode::NoSession,
                "the user's last session has ended".to_owned(),
            ),
            GaveUp::Impossible(sentence) => (ErrorCode::NoCapacity, sentence),
        };
        Decision::new("queue", Verdict::Refused, uid)
            .by(uid)
            .because(why.as_str())
            .log();
        let message = format!("The request waits no longer: {why}");
        self.waiters.end(ticket, Reply::error(code, message));
        if let Some((account, _)) = self.account(uid).await {
            let told = self.tell(&account, uid, &words::gave_up(&why));
            let what = What::Refused {
                wish: Wish::default(),
                sentence: why,
            };
            self.found_and_told(Finding::new(uid, what), told).await;
        }
    }

    /// The account and the moment, as the ledger has them now.
    async fn account(&self, uid: u32) -> Option<(Account, Moment)> {
        let account = self.book.with(move |book| {
            let account = book.ledger().account(uid).cloned();
            account.map(|account| (account, book.now()))
        });
        account.await
    }

    /// What the user's programs hold.
    pub(super) fn held(&self, uid: u32) -> MemorySize {
        let memory = self.enforcement.look(uid).and_then(|slice| slice.memory());
        memory.map_or(MemorySize::ZERO, MemoryUse::held)
    }

    /// Tells a user something on every terminal of theirs: whoever waits may have put the command
    /// into the background, and work in another window.
    pub(super) fn tell(&self, account: &Account, uid: u32, text: &str) -> Told {
        let sessions = account.sessions().values();
        let leaders: Vec<u32> = sessions.map(|session| session.leader.pid).collect();
        self.tell_leaders(uid, &leaders, text)
    }

    /// The same for a user who is in no ledger, or whose leaders are known.
    pub(super) fn tell_leaders(&self, uid: u32, leaders: &[u32], text: &str) -> Told {
        (self.voice)(uid, leaders, &format!("fairshare: {text}"))
    }
}
