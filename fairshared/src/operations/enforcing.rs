//! Seeing to it that what the ledger says holds: at once, in steps, or by trying again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fairshare_core::Limits;
use fairshare_core::ledger::{Change, SessionId};
use fairshare_protocol::MemorySize;
use tracing::{info, warn};

use super::Operations;
use crate::cgroup::{Enforced, Limit};
use crate::enforcement::{Applied, Enforcement, EnforcementError, NewScope};
use crate::leader::Place;

/// The pause between two steps of lowering memory.
pub(super) const LOWERING_PAUSE: Duration = Duration::from_millis(200);
/// How many steps memory may take to come down before what does not fit is killed: 10 s.
pub(super) const LOWERING_STEPS: u32 = 50;
/// The longest pause between two looks at memory that comes down as programs give it back.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The least room beside what programs hold while memory follows it down, in bytes.
const LEAST_ROOM: u64 = 64 << 20;
/// The first pause before limits that could not be set are tried again; each further one is twice
/// as long.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such pause.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl<E: Enforcement> Operations<E> {
    /// Brings what is enforced in line with the ledger for every user: after a start, and after
    /// the bus was away.
    pub(crate) async fn look_at_all(self: &Arc<Self>) {
        let users: Vec<u32> = self
            .book
            .with(|book| book.ledger().accounts().map(|(uid, _)| uid).collect())
            .await;
        for uid in users {
            self.look_at(uid).await;
        }
        self.look_for_strays_soon();
    }

    /// Brings what is enforced in line with the ledger for one user; what fails is tried again.
    pub(crate) async fn look_at(self: &Arc<Self>, uid: u32) {
        if let Err(fault) = self.align(uid).await {
            warn!(uid, "limits are not set: {fault}, trying again");
            self.try_again(uid);
        }
    }

    pub(super) async fn align(self: &Arc<Self>, uid: u32) -> Result<(), EnforcementError> {
        let _turn = self.turns.take(uid).await;
        let account = self
            .book
            .with(move |book| book.ledger().account(uid).cloned())
            .await;
        let Some(account) = account else {
            return Ok(());
        };
        if self.lets_be(uid).await {
            return self.lift(uid).await;
        }
        let limits = account.limits();
        let mut result = match self.limit(uid, &limits).await {
            Err(EnforcementError::NoSlice { .. }) => Ok(()),
            result => result.map(drop),
        };
        for (&session, opened) in account.sessions() {
            if self.place_of(uid, opened.leader) == Some(Place::Elsewhere) {
                let pid = opened.leader.pid;
                let adopted = self.limit_session(uid, session, pid, Place::Elsewhere, &limits);
                result = result.and(adopted.await.map(drop));
            }
        }
        result?;
        self.forget_if_gone(uid).await;
        Ok(())
    }

    /// Has a task set this user's limits until they hold. systemd may have been too busy to answer,
    /// and nothing else would come back to it before the next login.
    pub(super) fn try_again(self: &Arc<Self>, uid: u32) {
        let mut unlimited = self
            .unlimited
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !unlimited.insert(uid) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let mut pause = FIRST_RETRY;
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_RETRY);
                let aligned = match this.enforcement.caught_up().await {
                    Ok(()) => this.align(uid).await,
                    Err(fault) => Err(fault),
                };
                match aligned {
                    Ok(()) => break,
                    Err(fault) => warn!(uid, "limits are not set: {fault}, trying again"),
                }
            }
            info!(uid, "limits are set");
            let mut unlimited = this
                .unlimited
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            unlimited.remove(&uid);
        });
    }

    /// Makes the limits hold for a session; a leader that nobody placed is adopted.
    pub(super) async fn limit_session(
        self: &Arc<Self>,
        uid: u32,
        session: SessionId,
        pid: u32,
        place: Place,
        limits: &Limits,
    ) -> Result<Applied, EnforcementError> {
        if self.lets_be(uid).await {
            return Ok(self.only_watched(uid));
        }
        match place {
            Place::Inside | Place::InOther(_) => self.limit(uid, limits).await,
            Place::Elsewhere => {
                info!(
                    uid,
                    session,
                    leader = pid,
                    "adopting a login that nobody placed"
                );
                let scope = NewScope::of_session(uid, session, pid);
                let applied = self.enforcement.adopt(uid, &scope, limits).await;
                self.applied(uid, applied).await
            }
        }
    }

    pub(super) async fn limit(
        self: &Arc<Self>,
        uid: u32,
        limits: &Limits,
    ) -> Result<Applied, EnforcementError> {
        if self.lets_be(uid).await {
            return Ok(self.only_watched(uid));
        }
        let now = self.as_far_as_gentle(uid, limits).await;
        let mut applied = self.enforcement.limit(uid, &now).await;
        if let Ok(applied) = &mut applied
            && now != *limits
        {
            applied.lowering = true;
        }
        self.applied(uid, applied).await
    }

    /// The limits as they can be set now: where a grant has ended by itself, memory comes down no
    /// further than to what programs hold, with some room, and never goes up again. So the limit
    /// follows what they give back, nothing is killed, and what they take beyond is bounded.
    async fn as_far_as_gentle(&self, uid: u32, limits: &Limits) -> Limits {
        let mut now = limits.clone();
        let gentle = self.book.with(move |book| {
            let account = book.ledger().account(uid);
            account.is_some_and(fairshare_core::ledger::Account::is_gentle)
        });
        if gentle.await
            && let Some(slice) = self.enforcement.look(uid)
            && let Some(memory) = slice.memory()
            && memory.held() > limits.allocation.mem
        {
            let held = memory.held().bytes();
            let mut follows = held.saturating_add((held / 8).max(LEAST_ROOM));
            if let Limit::At(max) = slice.enforced().mem {
                follows = follows.min(max);
            }
            let follows = MemorySize::saturating_from_bytes(follows);
            now.allocation.mem = follows.max(limits.allocation.mem);
        }
        now
    }

    /// Whether policy says `enforce: watch`: what is decided is not set.
    pub(super) fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
    }

    /// Whether nothing is to be set for this user.
    pub(super) async fn lets_be(&self, uid: u32) -> bool {
        self.is_watching() || self.book.with(move |book| book.exempts(uid)).await
    }

    /// What is there, where nothing is to be set.
    fn only_watched(&self, uid: u32) -> Applied {
        let slice = self.enforcement.look(uid);
        Applied {
            enforced: slice.map_or_else(Enforced::nothing, |slice| slice.enforced()),
            differences: Vec::new(),
            lowering: false,
            to_undo: false,
        }
    }

    /// Takes all limits off a user's slice, because policy sets none any more.
    async fn lift(&self, uid: u32) -> Result<(), EnforcementError> {
        match self.enforcement.lift(uid).await {
            Ok(true) => {
                self.watch_no_more(uid);
                info!(uid, "limits are lifted");
            }
            Ok(false) | Err(EnforcementError::NoSlice { .. }) => {}
            Err(fault) => return Err(fault),
        }
        self.forget_if_gone(uid).await;
        Ok(())
    }

    /// Sees to what follows from limits that were set.
    pub(super) async fn applied(
        self: &Arc<Self>,
        uid: u32,
        applied: Result<Applied, EnforcementError>,
    ) -> Result<Applied, EnforcementError> {
        let applied = applied?;
        self.watch_slice(uid);
        if applied.to_undo {
            self.book.with(move |book| book.must_undo(uid)).await;
        }
        if applied.lowering {
            self.lower_in_background(uid);
        } else if !applied.differences.is_empty() {
            warn!(
                uid,
                "not enforced as asked: {}",
                applied.differences.join("; ")
            );
        }
        Ok(applied)
    }

    pub(super) async fn enforce_change(self: &Arc<Self>, uid: u32, change: &Change) {
        match self.limit(uid, &change.limits).await {
            Ok(_) | Err(EnforcementError::NoSlice { .. }) => {}
            Err(fault) => {
                warn!(uid, "limits are not set: {fault}, trying again");
                self.try_again(uid);
            }
        }
    }

    /// Lowers memory step by step. Each step takes the user's turn, so that requests and logins
    /// come in between; it is always lowered to what the ledger says now.
    fn lower_in_background(self: &Arc<Self>, uid: u32) {
        let mut lowering = self.lowering.lock().unwrap_or_else(PoisonError::into_inner);
        if lowering.insert(uid) {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.lower(uid).await });
        }
    }

    async fn lower(self: Arc<Self>, uid: u32) {
        let mut steps = 0;
        let mut pause = LOWERING_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            let _turn = self.turns.take(uid).await;
            let account = self.book.with(move |book| {
                let account = book.ledger().account(uid)?;
                Some((account.limits(), account.is_gentle()))
            });
            let Some((limits, gentle)) = account.await else {
                break;
            };
            if self.lets_be(uid).await {
                break;
            }
            // The steps go on counting: asking again and again must not put the end off.
            steps += 1;
            let late = steps >= LOWERING_STEPS;
            pause = if gentle && late {
                (pause * 2).min(LONGEST_PAUSE)
            } else {
                LOWERING_PAUSE
            };
            let now = self.as_far_as_gentle(uid, &limits).await;
            match self.enforcement.lower(uid, &now, late && !gentle).await {
                Ok(applied) if applied.lowering || now != limits => continue,
                Ok(applied) if applied.differences.is_empty() => {
                    info!(uid, to = %limits.allocation.mem, "memory is lowered");
                }
                Ok(applied) => {
                    warn!(
                        uid,
                        "not enforced as asked: {}",
                        applied.differences.join("; ")
                    );
                }
                Err(EnforcementError::NoSlice { .. }) => {}
                Err(fault) => {
                    warn!(uid, "memory is not lowered: {fault}, trying again");
                    self.try_again(uid);
                }
            }
            break;
        }
        self.lowering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&uid);
    }
}
