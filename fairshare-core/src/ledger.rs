//! The ledger: who has which sessions and what they hold.
//!
//! Events come in as method calls, decisions go out as values. The ledger never acts: whoever
//! calls it enforces the [`Change`] it returns, and calls [`Ledger::revert`] where that failed.
//!
//! The rules it holds:
//! - a user with a session has exactly one allocation, between the default and the maximum;
//! - the grant returns with the last session;
//! - grants together never grow beyond the capacity; a login is never refused for want of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fairshare_protocol::{Allocation, ErrorCode, MemorySize, Wish};

use crate::{Entitlement, Limits};

/// A session's number: from 1 up, never used twice by one ledger.
pub type SessionId = u64;

/// What grants may come to together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// CPUs, in thousandths.
    pub cpu_thousandths: u64,
    /// Memory in bytes.
    pub mem_bytes: u64,
}

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

/// What the ledger knows of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    sessions: BTreeMap<SessionId, Session>,
    grant: Option<Allocation>,
    entitlement: Arc<Entitlement>,
}

/// A change of a user's allocation, to be enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The allocation before.
    pub from: Allocation,
    /// What is to hold from now on.
    pub limits: Limits,
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

/// What a user holds and has, to be kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedUser {
    /// The open sessions by number.
    pub sessions: BTreeMap<SessionId, Session>,
    /// The allocation that a grant gives, where one is held.
    pub grant: Option<Allocation>,
}

/// Why the ledger refused. The display form is the sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Above policy's maximum: a sentence for each resource that is.
    AboveMaximum(Vec<String>),
    /// Below the default: a sentence for each resource that is.
    BelowDefault(Vec<String>),
    /// The capacity that grants share is used up.
    NoCapacity(Vec<String>),
    /// A first grant was asked for while one is held.
    GrantHeld,
    /// There is no grant to give back.
    NoGrant,
    /// The user has no session.
    NoSession,
    /// Less memory than is in use.
    MemoryInUse {
        /// What programs hold.
        used: MemorySize,
        /// What the limit would be.
        wanted: MemorySize,
    },
}

/// The record of users, sessions, allocations and grants, and the rules on it.
#[derive(Clone, Debug)]
pub struct Ledger {
    capacity: Capacity,
    accounts: BTreeMap<u32, Account>,
    /// Which user a session belongs to.
    owners: BTreeMap<SessionId, u32>,
    last_session: SessionId,
    /// What grants come to together, above the defaults. Kept as a sum so that a decision does not
    /// grow with the number of users.
    granted: Capacity,
}

impl Change {
    /// The allocation from now on.
    pub fn to(&self) -> Allocation {
        self.limits.allocation
    }
}

impl Account {
    /// The open sessions by number.
    pub fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }

    /// The allocation that a grant gives, where one is held.
    pub fn grant(&self) -> Option<Allocation> {
        self.grant
    }

    /// What policy gives the user.
    pub fn entitlement(&self) -> &Entitlement {
        &self.entitlement
    }

    /// What the user has now.
    pub fn allocation(&self) -> Allocation {
        self.grant.unwrap_or(self.entitlement.default)
    }

    /// What is to be enforced on the user's slice.
    pub fn limits(&self) -> Limits {
        self.entitlement.limits(self.allocation())
    }

    /// What the user's grant takes of the capacity.
    fn granted(&self) -> Capacity {
        above(self.allocation(), self.entitlement.default)
    }
}

impl Ledger {
    /// An empty ledger.
    pub fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            accounts: BTreeMap::new(),
            owners: BTreeMap::new(),
            last_session: 0,
            granted: Capacity {
                cpu_thousandths: 0,
                mem_bytes: 0,
            },
        }
    }

    /// Puts back a user that was saved. A grant is brought within the entitlement, which may have
    /// changed meanwhile; it is not held against the capacity, because it was admitted once.
    pub fn restore(&mut self, uid: u32, saved: SavedUser, entitlement: &Arc<Entitlement>) {
        for &session in saved.sessions.keys() {
            self.owners.insert(session, uid);
            self.last_session = self.last_session.max(session);
        }
        let account = Account {
            sessions: saved.sessions,
            grant: None,
            entitlement: Arc::clone(entitlement),
        };
        self.accounts.insert(uid, account);
        let grant = saved.grant.map(|grant| entitlement.clamp(grant));
        self.set_grant(uid, grant.filter(|grant| *grant != entitlement.default));
    }

    /// Numbers sessions from above this one on. For a restart: the highest number ever given may
    /// belong to a session that has ended.
    pub fn continue_after(&mut self, last_session: SessionId) {
        self.last_session = self.last_session.max(last_session);
    }

    /// The highest session number given so far.
    pub fn last_session(&self) -> SessionId {
        self.last_session
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

    /// A user has logged in. Never refused. The same leader again is the same session.
    pub fn open_session(
        &mut self,
        uid: u32,
        leader: Leader,
        service: &str,
        entitlement: &Arc<Entitlement>,
    ) -> Opened {
        let account = self.accounts.entry(uid).or_insert_with(|| Account {
            sessions: BTreeMap::new(),
            grant: None,
            entitlement: Arc::clone(entitlement),
        });
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
        account.sessions.insert(
            session,
            Session {
                leader,
                service: service.to_owned(),
            },
        );
        self.owners.insert(session, uid);
        Opened {
            session,
            again: false,
            limits,
        }
    }

    /// A session has ended. With the user's last one the grant goes back; the user stays known
    /// until [`Ledger::forget`], because processes may be left behind. `None` if no such session
    /// is open.
    pub fn close_session(&mut self, session: SessionId) -> Option<Closed> {
        let uid = self.owners.remove(&session)?;
        let account = self.accounts.get_mut(&uid)?;
        account.sessions.remove(&session);
        let last = account.sessions.is_empty();
        let returned = if last { self.take_back(uid) } else { None };
        Some(Closed {
            session,
            uid,
            last,
            returned,
        })
    }

    /// Nothing of the user is left on the machine. Sessions that were still open are ended; their
    /// numbers are returned.
    pub fn forget(&mut self, uid: u32) -> Vec<SessionId> {
        self.set_grant(uid, None);
        let Some(account) = self.accounts.remove(&uid) else {
            return Vec::new();
        };
        for session in account.sessions.keys() {
            self.owners.remove(session);
        }
        account.sessions.into_keys().collect()
    }

    /// Asks for a first grant.
    pub fn request(&mut self, uid: u32, wish: &Wish, used: MemorySize) -> Result<Change, Refusal> {
        if self.with_session(uid)?.grant.is_some() {
            return Err(Refusal::GrantHeld);
        }
        self.resize(uid, wish, used, false)
    }

    /// Asks for a grant or changes it. `used` is the memory that programs of the user hold; with
    /// `force`, memory may go below it.
    pub fn resize(
        &mut self,
        uid: u32,
        wish: &Wish,
        used: MemorySize,
        force: bool,
    ) -> Result<Change, Refusal> {
        let account = self.with_session(uid)?;
        let (from, entitlement) = (account.allocation(), Arc::clone(&account.entitlement));
        let to = from.with(wish);
        let too_much = outside(wish, &entitlement.max, Side::Above);
        if !too_much.is_empty() {
            return Err(Refusal::AboveMaximum(too_much));
        }
        let too_little = outside(wish, &entitlement.default, Side::Below);
        if !too_little.is_empty() {
            return Err(Refusal::BelowDefault(too_little));
        }
        check_memory(from, to, used, force)?;
        self.check_capacity(account, to)?;
        let grant = (to != entitlement.default).then_some(to);
        self.set_grant(uid, grant);
        Ok(Change {
            from,
            limits: entitlement.limits(to),
        })
    }

    /// Gives the grant back. `used` and `force` as in [`Ledger::resize`].
    pub fn release(&mut self, uid: u32, used: MemorySize, force: bool) -> Result<Change, Refusal> {
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
        self.take_back(uid).ok_or(Refusal::NoGrant)
    }

    /// Takes a change back that could not be enforced. Does nothing if the allocation is not what
    /// the change made it.
    pub fn revert(&mut self, uid: u32, change: &Change) {
        let Some(account) = self.accounts.get(&uid) else {
            return;
        };
        // A grant belongs to a session; the last one may have ended meanwhile.
        if account.allocation() == change.to() && !account.sessions.is_empty() {
            let default = account.entitlement.default;
            self.set_grant(uid, (change.from != default).then_some(change.from));
        }
    }

    /// Policy has changed for a user. The grant stays, brought within the new entitlement.
    /// `None` if what is to be enforced stays as it is.
    pub fn entitle(&mut self, uid: u32, entitlement: &Arc<Entitlement>) -> Option<Change> {
        let account = self.accounts.get(&uid)?;
        let (before, grant) = (account.limits(), account.grant);
        self.set_grant(uid, None);
        self.accounts.get_mut(&uid)?.entitlement = Arc::clone(entitlement);
        let grant = grant.map(|grant| entitlement.clamp(grant));
        self.set_grant(uid, grant.filter(|grant| *grant != entitlement.default));
        let after = self.accounts.get(&uid)?.limits();
        (before != after).then_some(Change {
            from: before.allocation,
            limits: after,
        })
    }

    /// The machine's capacity has changed. Grants that are held stay.
    pub fn set_capacity(&mut self, capacity: Capacity) {
        self.capacity = capacity;
    }

    fn with_session(&self, uid: u32) -> Result<&Account, Refusal> {
        let account = self.accounts.get(&uid).ok_or(Refusal::NoSession)?;
        if account.sessions.is_empty() {
            Err(Refusal::NoSession)
        } else {
            Ok(account)
        }
    }

    fn take_back(&mut self, uid: u32) -> Option<Change> {
        let account = self.accounts.get(&uid)?;
        let from = account.grant?;
        let limits = account.entitlement.limits(account.entitlement.default);
        self.set_grant(uid, None);
        Some(Change { from, limits })
    }

    /// The only place where a grant changes, so that the sum always fits the accounts.
    fn set_grant(&mut self, uid: u32, grant: Option<Allocation>) {
        let Some(account) = self.accounts.get_mut(&uid) else {
            return;
        };
        let before = account.granted();
        account.grant = grant;
        let after = account.granted();
        let moved = |sum: u64, before: u64, after: u64| sum.saturating_sub(before) + after;
        self.granted = Capacity {
            cpu_thousandths: moved(
                self.granted.cpu_thousandths,
                before.cpu_thousandths,
                after.cpu_thousandths,
            ),
            mem_bytes: moved(self.granted.mem_bytes, before.mem_bytes, after.mem_bytes),
        };
    }

    /// A resource that does not grow is not checked: giving back must always work.
    fn check_capacity(&self, account: &Account, to: Allocation) -> Result<(), Refusal> {
        let now = account.granted();
        let then = above(to, account.entitlement.default);
        let mut short = Vec::new();
        let left = self.capacity.cpu_thousandths.saturating_sub(
            self.granted
                .cpu_thousandths
                .saturating_sub(now.cpu_thousandths),
        );
        if then.cpu_thousandths > now.cpu_thousandths && then.cpu_thousandths > left {
            let largest = account.entitlement.default.cpu.thousandths() + left;
            short.push(format!(
                "CPU: {} asked for, {} possible now",
                to.cpu,
                thousandths(largest)
            ));
        }
        let left = self
            .capacity
            .mem_bytes
            .saturating_sub(self.granted.mem_bytes.saturating_sub(now.mem_bytes));
        if then.mem_bytes > now.mem_bytes && then.mem_bytes > left {
            let largest = account.entitlement.default.mem.bytes().saturating_add(left);
            short.push(format!(
                "memory: {} asked for, {} possible now",
                to.mem,
                MemorySize::saturating_from_bytes(largest).rounded()
            ));
        }
        if short.is_empty() {
            Ok(())
        } else {
            Err(Refusal::NoCapacity(short))
        }
    }
}

impl Refusal {
    /// The code for programs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::AboveMaximum(_) => ErrorCode::AboveMaximum,
            Self::BelowDefault(_) => ErrorCode::BelowDefault,
            Self::NoCapacity(_) => ErrorCode::NoCapacity,
            Self::GrantHeld => ErrorCode::GrantHeld,
            Self::NoGrant => ErrorCode::NoGrant,
            Self::NoSession => ErrorCode::NoSession,
            Self::MemoryInUse { .. } => ErrorCode::MemoryInUse,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveMaximum(sentences) | Self::BelowDefault(sentences) => {
                write!(f, "Request validation failed: {}", sentences.join("; "))
            }
            Self::NoCapacity(sentences) => {
                write!(
                    f,
                    "The machine has too little left: {}",
                    sentences.join("; ")
                )
            }
            Self::GrantHeld => {
                f.write_str("User already has an active resource allocation. Release it first.")
            }
            Self::NoGrant => f.write_str("No grant is held: the allocation is the default"),
            Self::NoSession => f.write_str("No open session of this user is known"),
            Self::MemoryInUse { used, wanted } => write!(
                f,
                "Memory in use ({}) is more than {wanted}: processes would be killed",
                used.rounded()
            ),
        }
    }
}

impl std::error::Error for Refusal {}

#[derive(Clone, Copy)]
enum Side {
    Above,
    Below,
}

/// A sentence for each resource of the wish that lies on that side of the bound.
fn outside(wish: &Wish, bound: &Allocation, side: Side) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut check = |name: &str, wished: &dyn fmt::Display, bound: &dyn fmt::Display, off: bool| {
        if off {
            let verb = match side {
                Side::Above => "exceeds maximum allowed",
                Side::Below => "is below the default",
            };
            sentences.push(format!("Requested {name} ({wished}) {verb} ({bound})"));
        }
    };
    if let Some(cpu) = wish.cpu {
        check("CPU", &cpu, &bound.cpu, off(cpu, bound.cpu, side));
    }
    if let Some(mem) = wish.mem {
        check("memory", &mem, &bound.mem, off(mem, bound.mem, side));
    }
    if let Some(tasks) = wish.tasks {
        check("tasks", &tasks, &bound.tasks, off(tasks, bound.tasks, side));
    }
    sentences
}

fn off<T: PartialOrd + Copy>(wished: T, bound: T, side: Side) -> bool {
    match side {
        Side::Above => wished > bound,
        Side::Below => wished < bound,
    }
}

fn check_memory(
    from: Allocation,
    to: Allocation,
    used: MemorySize,
    force: bool,
) -> Result<(), Refusal> {
    if to.mem < from.mem && to.mem < used && !force {
        return Err(Refusal::MemoryInUse {
            used,
            wanted: to.mem,
        });
    }
    Ok(())
}

/// What an allocation takes of the capacity: what lies above the default.
fn above(allocation: Allocation, default: Allocation) -> Capacity {
    Capacity {
        cpu_thousandths: allocation
            .cpu
            .thousandths()
            .saturating_sub(default.cpu.thousandths()),
        mem_bytes: allocation.mem.bytes().saturating_sub(default.mem.bytes()),
    }
}

fn thousandths(count: u64) -> String {
    fairshare_protocol::Cpus::from_thousandths(count)
        .map_or_else(|| "nothing".to_owned(), |cpus| cpus.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocation(cpu: &str, mem: &str) -> Allocation {
        Allocation {
            cpu: cpu.parse().unwrap(),
            mem: mem.parse().unwrap(),
            tasks: "100".parse().unwrap(),
        }
    }

    fn entitlement() -> Arc<Entitlement> {
        Arc::new(Entitlement::between(
            allocation("2", "8G"),
            allocation("8", "32G"),
        ))
    }

    fn ledger() -> Ledger {
        Ledger::new(Capacity {
            cpu_thousandths: 16_000,
            mem_bytes: 64 << 30,
        })
    }

    fn leader(pid: u32) -> Leader {
        Leader { pid, start_time: 5 }
    }

    fn wish(cpu: &str, mem: &str) -> Wish {
        Wish {
            cpu: cpu.parse().ok(),
            mem: mem.parse().ok(),
            tasks: None,
        }
    }

    const NONE: MemorySize = MemorySize::ZERO;

    #[test]
    fn the_grant_stays_with_one_of_two_sessions_and_goes_with_the_last() {
        let mut ledger = ledger();
        let first = ledger.open_session(1000, leader(1), "sshd", &entitlement());
        let second = ledger.open_session(1000, leader(2), "sshd", &entitlement());
        let change = ledger.resize(1000, &wish("4", "16G"), NONE, false).unwrap();
        assert_eq!(change.to(), allocation("4", "16G"));

        let closed = ledger.close_session(first.session).unwrap();
        assert!(!closed.last && closed.returned.is_none());
        assert_eq!(
            ledger.account(1000).unwrap().allocation(),
            allocation("4", "16G")
        );

        let closed = ledger.close_session(second.session).unwrap();
        assert_eq!(closed.returned.unwrap().to(), allocation("2", "8G"));
        assert_eq!(
            ledger.account(1000).unwrap().allocation(),
            allocation("2", "8G")
        );
        assert_eq!(ledger.close_session(second.session), None);
    }

    #[test]
    fn the_same_leader_again_is_the_same_session() {
        let mut ledger = ledger();
        let first = ledger.open_session(1000, leader(1), "sshd", &entitlement());
        let again = ledger.open_session(1000, leader(1), "sshd", &entitlement());
        assert_eq!((again.session, again.again), (first.session, true));
        let reused = Leader {
            pid: 1,
            start_time: 6,
        };
        assert!(
            !ledger
                .open_session(1000, reused, "sshd", &entitlement())
                .again
        );
    }

    #[test]
    fn sentences_of_the_first_version_stand_word_for_word() {
        let mut ledger = ledger();
        ledger.open_session(1000, leader(1), "sshd", &entitlement());
        let refusal = ledger.request(1000, &wish("16", "16G"), NONE).unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::AboveMaximum);
        assert_eq!(
            refusal.to_string(),
            "Request validation failed: Requested CPU (16) exceeds maximum allowed (8)"
        );
        ledger.request(1000, &wish("4", "16G"), NONE).unwrap();
        let refusal = ledger.request(1000, &wish("4", "16G"), NONE).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "User already has an active resource allocation. Release it first."
        );
    }

    #[test]
    fn shrinking_below_what_is_in_use_needs_force() {
        let mut ledger = ledger();
        ledger.open_session(1000, leader(1), "sshd", &entitlement());
        ledger.resize(1000, &wish("2", "32G"), NONE, false).unwrap();
        let used = "20G".parse().unwrap();
        let refusal = ledger
            .resize(1000, &wish("2", "16G"), used, false)
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Memory in use (20G) is more than 16G: processes would be killed"
        );
        assert!(matches!(
            ledger.release(1000, used, false),
            Err(Refusal::MemoryInUse { .. })
        ));
        assert!(
            ledger.resize(1000, &wish("4", ""), used, false).is_ok(),
            "memory stays"
        );
        assert!(ledger.resize(1000, &wish("2", "16G"), used, true).is_ok());
        assert!(ledger.release(1000, used, true).is_ok());
        assert_eq!(ledger.release(1000, NONE, false), Err(Refusal::NoGrant));
    }

    #[test]
    fn a_grant_lies_above_the_default() {
        let mut ledger = ledger();
        ledger.open_session(1000, leader(1), "sshd", &entitlement());
        let refusal = ledger
            .resize(1000, &wish("1", "4G"), NONE, false)
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Request validation failed: Requested CPU (1) is below the default (2); \
             Requested memory (4G) is below the default (8G)"
        );
    }

    #[test]
    fn a_resize_to_the_default_gives_the_grant_back() {
        let mut ledger = ledger();
        ledger.open_session(1000, leader(1), "sshd", &entitlement());
        ledger.resize(1000, &wish("4", "8G"), NONE, false).unwrap();
        ledger.resize(1000, &wish("2", "8G"), NONE, false).unwrap();
        assert_eq!(ledger.account(1000).unwrap().grant(), None);
    }

    #[test]
    fn grants_end_where_the_capacity_ends_and_logins_do_not() {
        let mut ledger = Ledger::new(Capacity {
            cpu_thousandths: 7000,
            mem_bytes: 30 << 30,
        });
        for uid in 1000..1003 {
            ledger.open_session(uid, leader(uid), "sshd", &entitlement());
        }
        ledger.resize(1000, &wish("8", "32G"), NONE, false).unwrap();
        let refusal = ledger
            .resize(1001, &wish("4", "16G"), NONE, false)
            .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "The machine has too little left: CPU: 4 asked for, 3 possible now; \
             memory: 16G asked for, 14G possible now"
        );
        ledger.resize(1001, &wish("3", "14G"), NONE, false).unwrap();
        ledger.release(1000, NONE, false).unwrap();
        ledger.resize(1001, &wish("8", "32G"), NONE, false).unwrap();
    }

    #[test]
    fn no_session_no_grant() {
        let mut ledger = ledger();
        assert_eq!(
            ledger.resize(1000, &wish("4", ""), NONE, false),
            Err(Refusal::NoSession)
        );
        let opened = ledger.open_session(1000, leader(1), "sshd", &entitlement());
        ledger.close_session(opened.session);
        assert_eq!(
            ledger.resize(1000, &wish("4", ""), NONE, false),
            Err(Refusal::NoSession)
        );
        assert_eq!(ledger.release(1000, NONE, false), Err(Refusal::NoSession));
    }

    #[test]
    fn a_change_that_failed_is_taken_back_unless_another_came_after_it() {
        let mut ledger = ledger();
        ledger.open_session(1000, leader(1), "sshd", &entitlement());
        let first = ledger.resize(1000, &wish("4", "16G"), NONE, false).unwrap();
        ledger.revert(1000, &first);
        assert_eq!(ledger.account(1000).unwrap().grant(), None);

        let first = ledger.resize(1000, &wish("4", "16G"), NONE, false).unwrap();
        let second = ledger.resize(1000, &wish("6", "24G"), NONE, false).unwrap();
        ledger.revert(1000, &first);
        assert_eq!(
            ledger.account(1000).unwrap().allocation(),
            allocation("6", "24G")
        );
        ledger.revert(1000, &second);
        assert_eq!(
            ledger.account(1000).unwrap().allocation(),
            allocation("4", "16G")
        );
    }

    #[test]
    fn a_new_policy_moves_defaults_and_brings_grants_within_its_bounds() {
        let mut ledger = ledger();
        for uid in [1000, 1001] {
            ledger.open_session(uid, leader(uid), "sshd", &entitlement());
        }
        ledger.resize(1000, &wish("8", "32G"), NONE, false).unwrap();
        let tighter = Arc::new(Entitlement::between(
            allocation("1", "4G"),
            allocation("4", "16G"),
        ));
        assert_eq!(
            ledger.entitle(1000, &tighter).unwrap().to(),
            allocation("4", "16G")
        );
        assert_eq!(
            ledger.entitle(1001, &tighter).unwrap().to(),
            allocation("1", "4G")
        );
        assert_eq!(ledger.entitle(1001, &tighter), None);
    }

    #[test]
    fn what_was_saved_comes_back() {
        let mut before = ledger();
        let opened = before.open_session(1000, leader(1), "sshd", &entitlement());
        before.resize(1000, &wish("4", "16G"), NONE, false).unwrap();
        let account = before.account(1000).unwrap();
        let saved = SavedUser {
            sessions: account.sessions().clone(),
            grant: account.grant(),
        };

        let mut after = ledger();
        after.restore(1000, saved, &entitlement());
        after.continue_after(before.last_session());
        assert_eq!(after.account(1000), before.account(1000));
        assert_eq!(after.granted, before.granted);
        assert_eq!(after.owner(opened.session), Some(1000));
        assert_eq!(after.session_of(1000, 1), Some(opened.session));
        let next = after.open_session(1001, leader(2), "sshd", &entitlement());
        assert_eq!(next.session, opened.session + 1);
    }

    #[test]
    fn a_saved_grant_that_the_default_has_overtaken_is_none() {
        let saved = SavedUser {
            grant: Some(allocation("1", "4G")),
            ..SavedUser::default()
        };
        let mut ledger = ledger();
        ledger.restore(1000, saved, &entitlement());
        assert_eq!(ledger.account(1000).unwrap().grant(), None);
    }

    #[test]
    fn forgetting_a_user_ends_what_was_open() {
        let mut ledger = ledger();
        let opened = ledger.open_session(1000, leader(1), "sshd", &entitlement());
        ledger.resize(1000, &wish("4", "16G"), NONE, false).unwrap();
        assert_eq!(ledger.forget(1000), [opened.session]);
        assert!(ledger.account(1000).is_none() && ledger.owner(opened.session).is_none());
        assert_eq!(
            ledger.granted,
            Capacity {
                cpu_thousandths: 0,
                mem_bytes: 0
            }
        );
    }
}
