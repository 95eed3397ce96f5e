//! Sessions: what begins one, what ends one, and what is left when all have ended.

use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::{Change, Closed, Leader, SessionId};
use fairshare_protocol::{
    Allocation, CloseSession, Cpus, ErrorCode, MemorySize, OpenSession, Reply, SessionOpened,
    Tasks, printable,
};
use tracing::{error, warn};

use super::knowing::Known;
use super::{Operations, Origin};
use crate::cgroup::{Enforced, Limit};
use crate::clock;
use crate::decision::{Decision, Verdict};
use crate::enforcement::Enforcement;
use crate::leader::{Place, Process};

/// The longest service name that is kept, in characters.
const LONGEST_SERVICE: usize = 64;

impl<E: Enforcement> Operations<E> {
    /// `open_session`: records the session and makes the user's limits hold around its leader.
    pub(crate) async fn open_session(self: Arc<Self>, open: OpenSession) -> Reply {
        self.open(open, Origin::Asked(0)).await
    }

    /// Records a session of which it was asked or heard, and makes the user's limits hold.
    pub(super) async fn open(self: &Arc<Self>, open: OpenSession, origin: Origin) -> Reply {
        let uid = open.uid;
        if !self.book.with(move |book| book.is_persons(uid)).await {
            return ignored(uid, format!("User {uid} is not covered by policy"));
        }
        let process = match Process::look(open.pid) {
            Ok(process) if open.pid > 1 => process,
            Ok(_) => return Reply::error(ErrorCode::InvalidValue, "Process 1 leads no session"),
            Err(error) => {
                return Reply::error(ErrorCode::InvalidValue, format!("No such leader: {error}"));
            }
        };
        // As early as can be: the answer has come, as a rule, when the limits are set.
        let missed = open.notices.then(|| self.ask_what_was_missed(uid));
        let mut place = process.place(uid, &self.enforcement.slice(uid));
        if let Place::InOther(other) = place {
            return ignored(
                uid,
                format!("Process {} stays in user {other}'s slice", open.pid),
            );
        }
        let client_waits = open.wait_ms.map(Duration::from_millis);
        let known = self.who_logs_in(uid, client_waits).await;
        // Then the name service was waited for.
        let asked = !matches!(known, Known::NotAsked);
        if self.is_exempt(uid, &known).await {
            return ignored(uid, format!("User {uid} is exempt by policy"));
        }
        let service: String = printable(&open.service.unwrap_or_default())
            .chars()
            .take(LONGEST_SERVICE)
            .collect();

        let turn = self.turns.take(uid).await;
        let process = if turn.waited() || asked {
            // That may have been long: the process may have gone, or have been moved.
            let Some(process) = Process::find(process.leader) else {
                return Reply::error(ErrorCode::InvalidValue, "The leader is gone");
            };
            place = process.place(uid, &self.enforcement.slice(uid));
            process
        } else {
            process
        };
        let (leader, name) = (process.leader, service.clone());
        if let Some(login) = process.login_id() {
            self.came_lately(login);
        }
        let (person, unknown) = known.into_parts();
        let (opened, variables) = self
            .book
            .with(move |book| {
                let opened = book.open_session(uid, leader, &name, person);
                (opened, book.variables(uid))
            })
            .await;
        if unknown {
            self.look_up_later(uid);
        }
        // Whom logind has may have been there for long. On a slow machine it tells of a login before
        // the module does.
        if origin.by().is_some() {
            self.history
                .recently(|recently| recently.came(uid, clock::millis()));
        }
        if !opened.again {
            self.begin_session(opened.session, process);
        }
        let (session, limits) = (opened.session, opened.limits);
        let applied = self
            .limit_session(uid, session, leader.pid, place, &limits)
            .await;
        let decision = |verdict| {
            Decision::new("open_session", verdict, uid)
                .by(origin.by())
                .session(session)
                .leader(leader.pid, &service)
                .to(limits.allocation)
        };
        match applied {
            Ok(applied) => {
                decision(Verdict::Granted).log();
                let allocation = figures_that_hold(limits.allocation, &applied.enforced);
                let notices = match missed.filter(|_| !opened.again) {
                    Some(missed) => self.notices(uid, leader, missed, client_waits).await,
                    None => Vec::new(),
                };
                Reply::SessionOpened(SessionOpened {
                    session,
                    allocation,
                    notices,
                    environment: variables.values(allocation.cpu),
                })
            }
            Err(fault) => {
                decision(Verdict::NotEnforced)
                    .because(fault.to_string())
                    .log();
                self.try_again(uid);
                Reply::error(
                    ErrorCode::NotEnforced,
                    format!("Limits are not set: {fault}"),
                )
            }
        }
    }

    /// `close_session`: answers when the ledger has closed it; limits follow.
    pub(crate) async fn close_session(self: Arc<Self>, close: CloseSession, by: u32) -> Reply {
        let found = self.book.with(move |book| match close {
            CloseSession {
                session: Some(session),
                ..
            } => Some(session),
            CloseSession {
                uid: Some(uid),
                pid: Some(pid),
                ..
            } => book.ledger().session_of(uid, pid),
            CloseSession { .. } => None,
        });
        let closed = match found.await {
            Some(session) => self.end_session(session, Origin::Asked(by)).await,
            None => None,
        };
        match closed {
            Some(closed) => {
                let session = closed.session;
                Reply::Success {
                    message: format!("Session {session} closed"),
                }
            }
            None => Reply::error(ErrorCode::NoSession, "No such session is open"),
        }
    }

    /// Ends a session. Returns when the ledger has; a grant that went back with it is taken off
    /// the kernel behind that.
    pub(crate) async fn end_session(
        self: &Arc<Self>,
        session: SessionId,
        origin: Origin,
    ) -> Option<Closed> {
        let uid = self
            .book
            .with(move |book| book.ledger().owner(session))
            .await?;
        let turn = self.turns.take(uid).await;
        let closed = self
            .book
            .with(move |book| book.close_session(session))
            .await?;
        Decision::new("close_session", Verdict::Granted, uid)
            .by(origin.by())
            .session(session)
            .from(closed.returned.as_ref().map(|change| change.from))
            .to(closed.returned.as_ref().map(Change::to))
            .because(origin.reason())
            .log();
        if closed.last {
            // A short session is over before the next look, and its slice soon gone.
            self.look_at_use_of(uid).await;
            let this = Arc::clone(self);
            let returned = closed.returned.clone();
            tokio::spawn(async move {
                if let Some(change) = returned {
                    this.enforce_change(uid, &change).await;
                }
                this.forget_if_gone(uid).await;
                drop(turn);
            });
        }
        Some(closed)
    }

    /// Takes up what was recorded before a restart: sessions whose leaders are gone end, the
    /// others are watched again.
    ///
    /// Who users are is looked up where the snapshot does not say: another policy than the one
    /// before may ask for it.
    pub(crate) async fn resume(self: &Arc<Self>) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            for uid in this.book.with(|book| book.strangers()).await {
                this.look_up_again(uid).await;
            }
        });
        for (session, leader) in self.book.with(|book| book.leaders()).await {
            match Process::find(leader) {
                Some(process) => self.watch_leader(session, process),
                None => {
                    self.end_session(session, Origin::LeaderGone).await;
                }
            }
        }
    }

    /// The user's slice has gone, and with it every process and limit in it.
    pub(crate) async fn slice_gone(self: &Arc<Self>, uid: u32) {
        let _turn = self.turns.take(uid).await;
        // A new login can bring it back before this is heard.
        if self.enforcement.look(uid).is_none() {
            self.forget(uid).await;
        }
    }

    /// Follows a session that is new, and what is used in it.
    fn begin_session(self: &Arc<Self>, session: SessionId, process: Process) {
        self.watch_leader(session, process);
        self.look_at_use_soon();
    }

    fn watch_leader(self: &Arc<Self>, session: SessionId, process: Process) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            match process.gone().await {
                Ok(()) => {
                    this.end_session(session, Origin::LeaderGone).await;
                }
                Err(error) => {
                    error!(
                        session,
                        "cannot watch the leader: {error}; its close is waited for"
                    );
                }
            }
        });
    }

    /// A user without a session whose slice is not there has left nothing behind.
    pub(super) async fn forget_if_gone(&self, uid: u32) {
        let without_session = self.book.with(move |book| {
            book.ledger()
                .account(uid)
                .is_some_and(|account| account.sessions().is_empty())
        });
        if without_session.await && self.enforcement.look(uid).is_none() {
            self.forget(uid).await;
        }
    }

    async fn forget(&self, uid: u32) {
        let known = self.book.with(move |book| {
            let known = book.ledger().account(uid).is_some();
            known.then(|| book.forget(uid))
        });
        self.watch_no_more(uid);
        let Some((sessions, to_undo)) = known.await else {
            return;
        };
        self.history.recently(|recently| recently.gone(uid));
        for session in sessions {
            Decision::new("close_session", Verdict::Granted, uid)
                .session(session)
                .because(Origin::SliceGone.reason())
                .log();
        }
        if let Err(fault) = self.enforcement.forget(uid, to_undo).await {
            warn!(
                uid,
                "limits that outlive the slice are not all taken back: {fault}, ignoring"
            );
        }
    }

    pub(super) fn place_of(&self, uid: u32, leader: Leader) -> Option<Place> {
        let process = Process::find(leader)?;
        Some(process.place(uid, &self.enforcement.slice(uid)))
    }
}

fn ignored(uid: u32, message: String) -> Reply {
    Decision::new("open_session", Verdict::Ignored, uid)
        .by(0)
        .because(message.as_str())
        .log();
    Reply::SessionIgnored { message }
}

/// The allocation with the figures of the kernel where it enforces some: what a user is told at
/// login is what holds.
fn figures_that_hold(allocation: Allocation, enforced: &Enforced) -> Allocation {
    let figure = |limit| match limit {
        Limit::At(value) => Some(value),
        Limit::Max | Limit::Missing => None,
    };
    Allocation {
        cpu: figure(enforced.cpu)
            .and_then(Cpus::from_quota_per_second)
            .unwrap_or(allocation.cpu),
        mem: figure(enforced.mem)
            .and_then(MemorySize::from_bytes)
            .unwrap_or(allocation.mem),
        tasks: figure(enforced.tasks)
            .and_then(Tasks::new)
            .unwrap_or(allocation.tasks),
    }
}
