//! What the daemon does when it is asked or told: each operation from the fact to the reply.
//!
//! An operation takes the user's turn, has the book decide, has the decision enforced and read
//! back, and answers. It runs in a task of its own: a client that goes away half-way changes
//! nothing about what was decided.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairshare_core::ledger::{Change, Closed, Leader, Refusal, SessionId};
use fairshare_core::{Limits, Policy};
use fairshare_protocol::{
    Allocation, CloseSession, Cpus, ErrorCode, MemorySize, OpenSession, Release, Reply, Resize,
    SessionOpened, StatusInfo, Tasks, UserInfo, Wish, printable,
};
use tracing::{error, info, warn};

use crate::book::BookHandle;
use crate::cgroup::{Enforced, Limit, MemoryUse};
use crate::decision::{Decision, Verdict};
use crate::enforcement::{Applied, Enforcement, EnforcementError};
use crate::leader::{Place, Process};
use crate::turns::Turns;

/// The pause between two steps of lowering memory.
const LOWERING_PAUSE: Duration = Duration::from_millis(200);
/// How many steps memory may take to come down before what does not fit is killed: 10 s.
const LOWERING_STEPS: u32 = 50;
/// The first pause before limits that could not be set are tried again; each further one is twice
/// as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// The longest service name that is kept, in characters.
const LONGEST_SERVICE: usize = 64;

/// Everything that operations work on.
#[derive(Debug)]
pub(crate) struct Operations<E> {
    book: BookHandle,
    enforcement: E,
    turns: Turns,
    /// Users whose memory is being lowered by a task.
    lowering: Mutex<HashSet<u32>>,
    /// Users whose limits could not be set, and are tried again by a task.
    unlimited: Mutex<HashSet<u32>>,
}

/// Who is behind a decision, for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// A process of this UID asked over the socket.
    Asked(u32),
    /// The kernel says that the leader is gone.
    LeaderGone,
    /// systemd says that the slice is gone, or it is not there.
    SliceGone,
}

impl<E: Enforcement> Operations<E> {
    pub(crate) fn new(book: BookHandle, enforcement: E) -> Arc<Self> {
        let turns = Turns::default();
        Arc::new(Self {
            book,
            enforcement,
            turns,
            lowering: Mutex::default(),
            unlimited: Mutex::default(),
        })
    }

    /// `open_session`: records the session and makes the user's limits hold around its leader.
    pub(crate) async fn open_session(self: Arc<Self>, open: OpenSession) -> Reply {
        let uid = open.uid;
        if !self.book.with(move |book| book.covers(uid)).await {
            return ignored(uid, format!("User {uid} is not covered by policy"));
        }
        let process = match Process::look(open.pid) {
            Ok(process) if open.pid > 1 => process,
            Ok(_) => return Reply::error(ErrorCode::InvalidValue, "Process 1 leads no session"),
            Err(error) => {
                return Reply::error(ErrorCode::InvalidValue, format!("No such leader: {error}"));
            }
        };
        let place = process.place(uid, &self.enforcement.slice(uid));
        if let Place::InOther(other) = place {
            return ignored(
                uid,
                format!("Process {} stays in user {other}'s slice", open.pid),
            );
        }
        let service: String = printable(&open.service.unwrap_or_default())
            .chars()
            .take(LONGEST_SERVICE)
            .collect();

        let _turn = self.turns.take(uid).await;
        // Others may have had their turn for long: the process may have gone, or have been moved.
        let Some(process) = Process::find(process.leader) else {
            return Reply::error(ErrorCode::InvalidValue, "The leader is gone");
        };
        let place = process.place(uid, &self.enforcement.slice(uid));
        let (leader, name) = (process.leader, service.clone());
        let opened = self
            .book
            .with(move |book| book.open_session(uid, leader, &name))
            .await;
        if !opened.again {
            self.watch_leader(opened.session, process);
        }
        let (session, limits) = (opened.session, opened.limits);
        let applied = self
            .limit_session(uid, session, leader.pid, place, &limits)
            .await;
        let decision = |verdict| {
            Decision::new("open_session", verdict, uid)
                .by(0)
                .session(session)
                .leader(leader.pid, &service)
                .to(limits.allocation)
        };
        match applied {
            Ok(applied) => {
                decision(Verdict::Granted).log();
                let allocation = figures_that_hold(limits.allocation, &applied.enforced);
                Reply::SessionOpened(SessionOpened {
                    session,
                    allocation,
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

    /// `request_resources`.
    pub(crate) async fn request(self: Arc<Self>, uid: u32, wish: Wish) -> Reply {
        let decide = move |book: &mut crate::book::Book, used| book.request(uid, &wish, used);
        let asked = Asked {
            uid,
            request: "request_resources",
            wish: wish.to_string(),
        };
        self.change(asked, decide, move |change| {
            let Allocation { cpu, mem, tasks } = change.to();
            let tasks = wish.tasks.map(|_| tasks);
            let first = Wish {
                cpu: Some(cpu),
                mem: Some(mem),
                tasks,
            };
            format!("Resources allocated: {first}")
        })
        .await
    }

    /// `resize`.
    pub(crate) async fn resize(self: Arc<Self>, uid: u32, resize: Resize) -> Reply {
        let Resize { wish, force, .. } = resize;
        let decide = move |book: &mut crate::book::Book, used| book.resize(uid, &wish, used, force);
        let asked = Asked {
            uid,
            request: "resize",
            wish: wish.to_string(),
        };
        self.change(asked, decide, |change| {
            format!("Resources allocated: {}", change.to())
        })
        .await
    }

    /// `release`.
    pub(crate) async fn release(self: Arc<Self>, uid: u32, release: Release) -> Reply {
        let decide =
            move |book: &mut crate::book::Book, used| book.release(uid, used, release.force);
        let asked = Asked {
            uid,
            request: "release",
            wish: String::new(),
        };
        self.change(asked, decide, |change| {
            format!("Grant returned; allocation is the default: {}", change.to())
        })
        .await
    }

    /// A change that a user asks for: decided, enforced, read back, or taken back.
    async fn change(
        self: Arc<Self>,
        asked: Asked,
        decide: impl FnOnce(&mut crate::book::Book, MemorySize) -> Result<Change, Refusal>
        + Send
        + 'static,
        sentence: impl FnOnce(&Change) -> String,
    ) -> Reply {
        let uid = asked.uid;
        if !self.book.with(move |book| book.covers(uid)).await {
            return not_covered(uid);
        }
        let Ok(_turn) = self.turns.take_or_refuse(uid).await else {
            return Reply::error(ErrorCode::Busy, "Too many changes of this user are waiting");
        };
        let used = self.memory(uid).map_or(MemorySize::ZERO, MemoryUse::held);
        let change = match self.book.with(move |book| decide(book, used)).await {
            Ok(change) => change,
            Err(refusal) => {
                asked.log_refusal(&refusal.to_string());
                return Reply::error(refusal.code(), refusal.to_string());
            }
        };
        match self.limit(uid, &change.limits).await {
            Ok(applied) => {
                asked.log_grant(&change);
                let mut message = sentence(&change);
                if applied.lowering {
                    message.push_str("; memory comes down to it step by step");
                } else if !applied.differences.is_empty() {
                    message.push_str("; but enforced is: ");
                    message.push_str(&applied.differences.join("; "));
                }
                Reply::Success { message }
            }
            Err(fault) => {
                self.book.with(move |book| book.revert(uid, &change)).await;
                // systemd may carry out later what it did not answer in time.
                self.try_again(uid);
                asked.log_refusal(&fault.to_string());
                let message = format!("The allocation stays as it was: {fault}");
                Reply::error(ErrorCode::NotEnforced, message)
            }
        }
    }

    /// `status`.
    pub(crate) async fn status(&self, uid: u32) -> Reply {
        let account = self
            .book
            .with(move |book| (book.covers(uid), book.ledger().account(uid).cloned()))
            .await;
        let account = match account {
            (false, _) => return not_covered(uid),
            (true, None) => {
                let refusal = Refusal::NoSession;
                return Reply::error(refusal.code(), refusal.to_string());
            }
            (true, Some(account)) => account,
        };
        let limits = account.limits();
        let Allocation { cpu, mem, tasks } = limits.allocation;
        let slice = self.enforcement.look(uid);
        let unit = self.enforcement.slice(uid);
        let enforced = slice.as_ref().map(crate::cgroup::SliceCgroup::enforced);
        Reply::StatusInfo(Box::new(StatusInfo {
            allocated_cpu: cpu,
            allocated_mem: mem,
            allocated_tasks: Some(tasks),
            allocated_swap: Some(limits.swap),
            grant: Some(account.grant().is_some()),
            lease_left_s: None,
            queue_position: None,
            sessions: u64::try_from(account.sessions().len()).ok(),
            min: None,
            default: Some(account.entitlement().default),
            max: Some(account.entitlement().max),
            budget: Vec::new(),
            slice: slice.map(|slice| slice.info(&unit)),
            differences: match enforced {
                Some(enforced) => enforced.differences(&limits),
                None => vec![format!("{unit} is not active: nothing is enforced")],
            },
            enforce: None,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        }))
    }

    /// `list`: everybody, or only this user.
    pub(crate) async fn list(&self, only: Option<u32>) -> Reply {
        let users = self.book.with(move |book| {
            book.ledger()
                .accounts()
                .filter(|(uid, _)| only.is_none_or(|only| only == *uid))
                .map(|(uid, account)| UserInfo {
                    uid,
                    user: None,
                    sessions: u64::try_from(account.sessions().len()).unwrap_or(u64::MAX),
                    grant: account.grant().is_some(),
                    lease_left_s: None,
                    allocation: account.allocation(),
                })
                .collect()
        });
        Reply::ListInfo { users: users.await }
    }

    /// Takes up what was recorded before a restart: sessions whose leaders are gone end, the
    /// others are watched again.
    pub(crate) async fn resume(self: &Arc<Self>) {
        for (session, leader) in self.book.with(|book| book.leaders()).await {
            match Process::find(leader) {
                Some(process) => self.watch_leader(session, process),
                None => {
                    self.end_session(session, Origin::LeaderGone).await;
                }
            }
        }
    }

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
    }

    /// Brings what is enforced in line with the ledger for one user; what fails is tried again.
    pub(crate) async fn look_at(self: &Arc<Self>, uid: u32) {
        if let Err(fault) = self.align(uid).await {
            warn!(uid, "limits are not set: {fault}, trying again");
            self.try_again(uid);
        }
    }

    async fn align(self: &Arc<Self>, uid: u32) -> Result<(), EnforcementError> {
        let _turn = self.turns.take(uid).await;
        let account = self
            .book
            .with(move |book| book.ledger().account(uid).cloned())
            .await;
        let Some(account) = account else {
            return Ok(());
        };
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
    fn try_again(self: &Arc<Self>, uid: u32) {
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

    /// The user's slice has gone, and with it every process and limit in it.
    pub(crate) async fn slice_gone(self: &Arc<Self>, uid: u32) {
        let _turn = self.turns.take(uid).await;
        // A new login can bring it back before this is heard.
        if self.enforcement.look(uid).is_none() {
            self.forget(uid).await;
        }
    }

    /// Puts another policy in force; returns how many users it changes. Their limits follow.
    pub(crate) async fn set_policy(self: &Arc<Self>, policy: Policy) -> usize {
        let before = self.book.with(|book| book.slice_scheme()).await;
        if policy.slice_scheme() != before {
            warn!("policy's 'slice' takes effect when the daemon is restarted");
        }
        let changes = self.book.with(move |book| book.set_policy(policy)).await;
        let users: Vec<u32> = changes.iter().map(|(uid, _)| *uid).collect();
        for (uid, change) in changes {
            Decision::new("reload", Verdict::Granted, uid)
                .by(0)
                .from(change.from)
                .to(change.to())
                .because("policy changed")
                .log();
        }
        let count = users.len();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            for uid in users {
                this.look_at(uid).await;
            }
        });
        count
    }

    fn place_of(&self, uid: u32, leader: Leader) -> Option<Place> {
        let process = Process::find(leader)?;
        Some(process.place(uid, &self.enforcement.slice(uid)))
    }

    /// Makes the limits hold for a session; a leader that nobody placed is adopted.
    async fn limit_session(
        self: &Arc<Self>,
        uid: u32,
        session: SessionId,
        pid: u32,
        place: Place,
        limits: &Limits,
    ) -> Result<Applied, EnforcementError> {
        match place {
            Place::Inside | Place::InOther(_) => self.limit(uid, limits).await,
            Place::Elsewhere => {
                info!(
                    uid,
                    session,
                    leader = pid,
                    "adopting a login that nobody placed"
                );
                let applied = self.enforcement.adopt(uid, session, pid, limits).await;
                self.applied(uid, applied).await
            }
        }
    }

    async fn limit(
        self: &Arc<Self>,
        uid: u32,
        limits: &Limits,
    ) -> Result<Applied, EnforcementError> {
        let applied = self.enforcement.limit(uid, limits).await;
        self.applied(uid, applied).await
    }

    /// Sees to what follows from limits that were set.
    async fn applied(
        self: &Arc<Self>,
        uid: u32,
        applied: Result<Applied, EnforcementError>,
    ) -> Result<Applied, EnforcementError> {
        let applied = applied?;
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

    async fn enforce_change(self: &Arc<Self>, uid: u32, change: &Change) {
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
        loop {
            tokio::time::sleep(LOWERING_PAUSE).await;
            let _turn = self.turns.take(uid).await;
            let wanted = self.book.with(move |book| book.limits(uid)).await;
            let Some(limits) = wanted else { break };
            // The steps go on counting: asking again and again must not put the end off.
            steps += 1;
            match self
                .enforcement
                .lower(uid, &limits, steps >= LOWERING_STEPS)
                .await
            {
                Ok(applied) if applied.lowering => continue,
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
    async fn forget_if_gone(&self, uid: u32) {
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
        let Some((sessions, to_undo)) = known.await else {
            return;
        };
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

    fn memory(&self, uid: u32) -> Option<MemoryUse> {
        self.enforcement.look(uid)?.memory()
    }
}

impl Origin {
    /// The UID that asked, where one did.
    fn by(self) -> Option<u32> {
        match self {
            Self::Asked(uid) => Some(uid),
            Self::LeaderGone | Self::SliceGone => None,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Asked(_) => "asked for",
            Self::LeaderGone => "its leader is gone",
            Self::SliceGone => "its slice is gone",
        }
    }
}

/// A user's request, for the log.
struct Asked {
    uid: u32,
    request: &'static str,
    wish: String,
}

impl Asked {
    fn log_grant(&self, change: &Change) {
        self.decision(Verdict::Granted)
            .from(change.from)
            .to(change.to())
            .log();
    }

    fn log_refusal(&self, why_not: &str) {
        self.decision(Verdict::Refused).because(why_not).log();
    }

    fn decision(&self, verdict: Verdict) -> Decision {
        Decision::new(self.request, verdict, self.uid)
            .by(self.uid)
            .wish(&self.wish)
    }
}

fn ignored(uid: u32, message: String) -> Reply {
    Decision::new("open_session", Verdict::Ignored, uid)
        .by(0)
        .because(message.as_str())
        .log();
    Reply::SessionIgnored { message }
}

fn not_covered(uid: u32) -> Reply {
    Reply::error(
        ErrorCode::NotCovered,
        format!("User {uid} is not covered by policy"),
    )
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

#[cfg(test)]
mod tests;
