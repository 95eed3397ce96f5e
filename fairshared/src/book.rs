//! The one owner of the ledger, the policy and the snapshot.
//!
//! A task of its own holds them and carries out, one by one, what others send it. What is decided
//! there is written to the snapshot before anybody hears of it. After each piece of work, and when
//! the ledger's next moment comes, the owner has the ledger carry out what is due, and hands on
//! what has happened. Between two such moments it sleeps.

mod sharing;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::{
    Change, Closed, Event, Leader, Ledger, Moment, Opened, Refusal, SessionId,
};
use fairshare_core::policy;
use fairshare_core::{Entitlement, Limits, Policy, Variables};
use fairshare_protocol::{MemorySize, Wish};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{error, info};

pub(crate) use self::sharing::Asked;
use self::usage::Usage;
pub(crate) use self::usage::Used;
use crate::clock::{self, Alarm};
use crate::counts::{COUNTS, Wrong};
use crate::people::Person;
use crate::snapshot::{Saved, Snapshot};

/// How many pieces of work may wait for the owner.
const QUEUE: usize = 256;
/// How many events may wait for whoever carries them out. The owner waits when there are more;
/// carrying out is only begun where they are received, so that never takes long.
pub(crate) const EVENTS: usize = 256;
/// How long after a write that failed the snapshot is tried again, if nothing else writes before.
const RETRY: Duration = Duration::from_secs(5);

/// The ledger with what belongs to it.
#[derive(Debug)]
pub(crate) struct Book {
    ledger: Ledger,
    policy: Policy,
    /// Who the users in the ledger are. One who is not in here is known by UID alone.
    people: BTreeMap<u32, Arc<Person>>,
    uid_min: u32,
    snapshot: Snapshot,
    /// Users whose limits outlive their slice.
    to_undo: BTreeSet<u32>,
    /// A write failed: the snapshot is behind.
    behind: bool,
    clock: fn() -> Moment,
    /// The moment of the work at hand: all of it happens at one moment.
    now: Moment,
    usage: Usage,
}

type Work = Box<dyn FnOnce(&mut Book) + Send>;

/// Sends work to the owner.
#[derive(Clone, Debug)]
pub(crate) struct BookHandle {
    sender: mpsc::Sender<Work>,
}

impl BookHandle {
    /// Gives the book to its owner. The owner never ends while there is a handle; where its task
    /// does, by a fault, nothing can be decided any more.
    ///
    /// What happens by itself comes out of the receiver. It must be received for as long as the
    /// book is used, and its receiver may not wait for the book.
    pub(crate) fn start(book: Book) -> (Self, JoinHandle<()>, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (happened, events) = mpsc::channel(EVENTS);
        let owner = tokio::spawn(async move {
            if let Err(error) = keep(book, receiver, happened).await {
                error!("cannot wait for the ends of leases: {error}");
            }
        });
        (Self { sender }, owner, events)
    }

    /// Has the owner carry this out. At the end of the daemon, when the owner is gone, it never
    /// returns: whoever waits is about to be ended too.
    pub(crate) async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Book) -> R + Send + 'static,
    ) -> R {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |book| {
            // The one who asked may have gone; the work is done all the same.
            let _ = sender.send(work(book));
        });
        if self.sender.send(work).await.is_ok()
            && let Ok(result) = receiver.await
        {
            return result;
        }
        std::future::pending().await
    }
}

async fn keep(
    mut book: Book,
    mut receiver: mpsc::Receiver<Work>,
    happened: mpsc::Sender<Event>,
) -> io::Result<()> {
    let alarm = Alarm::new()?;
    book.begin();
    loop {
        for event in book.settle() {
            // At the end of the daemon nobody carries anything out any more.
            let _ = happened.send(event).await;
        }
        alarm.set(book.ledger.next_event())?;
        let behind = book.behind;
        let retry = async move {
            if behind {
                tokio::time::sleep(RETRY).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            work = receiver.recv() => {
                let Some(work) = work else {
                    return Ok(());
                };
                book.begin();
                work(&mut book);
            }
            rang = alarm.rang() => {
                rang?;
                book.begin();
            }
            () = retry => book.catch_up(),
        }
    }
}

impl Book {
    /// A book with what was saved in it.
    pub(crate) fn new(policy: Policy, uid_min: u32, snapshot: Snapshot, saved: Saved) -> Self {
        let people = saved.people;
        let mut ledger = Ledger::new(policy.capacity());
        sharing::set_terms(&mut ledger, &policy, Moment::ZERO);
        let mut saved_ledger = saved.ledger;
        let dropped = sharing::drop_waiting(&mut saved_ledger);
        ledger.restore(saved_ledger, |uid| entitlement(&policy, &people, uid));
        let to_undo = saved.to_undo.into_iter().collect();
        let mut book = Self {
            ledger,
            policy,
            people,
            uid_min,
            snapshot,
            to_undo,
            behind: false,
            clock: clock::now,
            now: clock::now(),
            usage: Usage::default(),
        };
        book.save_all_of(dropped);
        book
    }

    /// The ledger, to read.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether this is a person's UID, and not root's or a system account's.
    pub(crate) fn is_persons(&self, uid: u32) -> bool {
        policy::covers(uid, self.uid_min)
    }

    /// The first UID of a person.
    pub(crate) fn uid_min(&self) -> u32 {
        self.uid_min
    }

    /// Whether policy covers this user, as far as is known who that is.
    pub(crate) fn covers(&self, uid: u32) -> bool {
        self.is_persons(uid) && !self.exempts(uid)
    }

    /// Whether policy lets this user be, as far as is known who that is.
    pub(crate) fn exempts(&self, uid: u32) -> bool {
        self.policy.exempts(&self.person(uid).subject())
    }

    /// What is to hold for this user; `None` for one who is not known.
    #[cfg(test)]
    pub(crate) fn limits(&self, uid: u32) -> Option<Limits> {
        self.ledger
            .account(uid)
            .map(fairshare_core::ledger::Account::limits)
    }

    /// Every user's open sessions with their leaders.
    pub(crate) fn leaders(&self) -> Vec<(SessionId, Leader)> {
        let sessions = self
            .ledger
            .accounts()
            .flat_map(|(_, account)| account.sessions());
        sessions
            .map(|(&id, session)| (id, session.leader))
            .collect()
    }

    /// Users of the ledger of whom no more is known than the UID, where policy asks for more.
    pub(crate) fn strangers(&self) -> Vec<u32> {
        if !self.policy.needs_names() {
            return Vec::new();
        }
        let users = self.ledger.accounts().map(|(uid, _)| uid);
        users.filter(|uid| !self.people.contains_key(uid)).collect()
    }

    /// What is known of a user.
    pub(crate) fn person(&self, uid: u32) -> Arc<Person> {
        let known = self.people.get(&uid).cloned();
        known.unwrap_or_else(|| Arc::new(Person::of_uid(uid)))
    }

    /// Learns who a user of the ledger is. Policy may say something else for them then; `None` if
    /// what is to be enforced stays as it is.
    pub(crate) fn set_person(&mut self, person: Arc<Person>) -> Option<Change> {
        let uid = person.uid;
        self.ledger.account(uid)?;
        self.keep_person(person);
        let entitlement = entitlement(&self.policy, &self.people, uid);
        let change = self.ledger.entitle(uid, &entitlement, self.now)?;
        self.save(uid);
        Some(change)
    }

    fn keep_person(&mut self, person: Arc<Person>) {
        if self.people.get(&person.uid) == Some(&person) {
            return;
        }
        if let Err(fault) = self.snapshot.save_person(&person) {
            error!("cannot {fault}; a restart now would lose what is not written, trying again");
            COUNTS.error(Wrong::SnapshotWrite);
            self.behind = true;
        }
        self.people.insert(person.uid, person);
    }

    /// See [`Ledger::open_session`]. Whoever logs in again may be in other groups by now, which
    /// `person` says; without it what was known of them holds.
    pub(crate) fn open_session(
        &mut self,
        uid: u32,
        leader: Leader,
        service: &str,
        person: Option<Arc<Person>>,
    ) -> Opened {
        if let Some(person) = person {
            self.keep_person(person);
        }
        let entitlement = entitlement(&self.policy, &self.people, uid);
        let changed = self.ledger.entitle(uid, &entitlement, self.now).is_some();
        let opened = self.ledger.open_session(uid, leader, service, &entitlement);
        if changed || !opened.again {
            self.save(uid);
        }
        opened
    }

    /// The variables that policy gives a login of this user.
    pub(crate) fn variables(&self, uid: u32) -> Variables {
        let account = self.ledger.account(uid);
        account.map_or(Variables::NONE, |account| account.entitlement().environment)
    }

    /// See [`Ledger::take_in`].
    pub(crate) fn take_in(
        &mut self,
        uid: u32,
        person: Option<Arc<Person>>,
        gentle: bool,
    ) -> Option<Limits> {
        self.ledger.account(uid).is_none().then_some(())?;
        if let Some(person) = person {
            self.keep_person(person);
        }
        let entitlement = entitlement(&self.policy, &self.people, uid);
        let limits = self.ledger.take_in(uid, &entitlement, gentle)?;
        self.save(uid);
        Some(limits)
    }

    /// See [`Ledger::hold`]. Of whom the ledger has already, at least as much is known as `person`
    /// says.
    pub(crate) fn hold(&mut self, person: Arc<Person>) -> Limits {
        let uid = person.uid;
        // Only this is a change, and written down.
        self.take_in(uid, Some(person), false);
        let entitlement = entitlement(&self.policy, &self.people, uid);
        self.ledger.hold(uid, &entitlement)
    }

    /// See [`Ledger::close_session`].
    pub(crate) fn close_session(&mut self, session: SessionId) -> Option<Closed> {
        let closed = self.ledger.close_session(session, self.now)?;
        self.save(closed.uid);
        Some(closed)
    }

    /// See [`Ledger::request`].
    pub(crate) fn request(
        &mut self,
        uid: u32,
        wish: &Wish,
        used: MemorySize,
    ) -> Result<Change, Refusal> {
        let change = self.ledger.request(uid, wish, used, self.now)?;
        self.save(uid);
        Ok(change)
    }

    /// See [`Ledger::release`].
    pub(crate) fn release(
        &mut self,
        uid: u32,
        used: MemorySize,
        force: bool,
    ) -> Result<Change, Refusal> {
        let change = self.ledger.release(uid, used, force, self.now)?;
        self.save(uid);
        Ok(change)
    }

    /// See [`Ledger::revert`].
    pub(crate) fn revert(&mut self, uid: u32, change: &Change) {
        self.ledger.revert(uid, change, self.now);
        self.save(uid);
    }

    /// See [`Ledger::forget`]. Says also whether limits were left that must be taken back.
    pub(crate) fn forget(&mut self, uid: u32) -> (Vec<SessionId>, bool) {
        let sessions = self.ledger.forget(uid, self.now);
        let to_undo = self.to_undo.remove(&uid);
        self.people.remove(&uid);
        self.save(uid);
        (sessions, to_undo)
    }

    /// Remembers that this user's limits outlive the slice.
    pub(crate) fn must_undo(&mut self, uid: u32) {
        if self.to_undo.insert(uid) {
            self.save(uid);
        }
    }

    /// Puts another policy in force. Returns the users for whom something changes.
    pub(crate) fn set_policy(&mut self, policy: Policy) -> Vec<(u32, Change)> {
        self.policy = policy;
        sharing::set_terms(&mut self.ledger, &self.policy, self.now);
        let users: Vec<u32> = self.ledger.accounts().map(|(uid, _)| uid).collect();
        let mut changes = Vec::new();
        for uid in users {
            let entitlement = entitlement(&self.policy, &self.people, uid);
            if let Some(change) = self.ledger.entitle(uid, &entitlement, self.now) {
                self.save(uid);
                changes.push((uid, change));
            }
        }
        changes
    }

    /// Takes note of the time, and of who uses a grant that would be taken for unused now.
    fn begin(&mut self) {
        self.now = self.now.max((self.clock)());
        self.look_at_use();
    }

    /// Has the ledger carry out what is due, and writes it to the snapshot. Returns what has
    /// happened.
    fn settle(&mut self) -> Vec<Event> {
        let events = self.ledger.tick(self.now);
        self.save_all_of(BTreeSet::new());
        events
    }

    /// Writes a user to the snapshot, and whoever else has changed with them.
    fn save(&mut self, uid: u32) {
        self.save_all_of(BTreeSet::from([uid]));
    }

    /// Writes these users to the snapshot, and whoever else has changed. A write that fails, on a
    /// full disk for instance, costs the safety of a restart and nothing else: it is logged once
    /// and tried again.
    fn save_all_of(&mut self, mut users: BTreeSet<u32>) {
        users.append(&mut self.ledger.take_changed());
        if users.is_empty() {
            return;
        }
        self.begin_to_measure(&users);
        if self.behind {
            self.catch_up();
            return;
        }
        let to_undo = |uid| self.to_undo.contains(&uid);
        if let Err(fault) = self.snapshot.save_users(&self.ledger, &users, &to_undo) {
            error!("cannot {fault}; a restart now would lose what is not written, trying again");
            COUNTS.error(Wrong::SnapshotWrite);
            self.behind = true;
        }
    }

    fn catch_up(&mut self) {
        let to_undo = |uid| self.to_undo.contains(&uid);
        let people = self.people.values();
        if self
            .snapshot
            .save_all(&self.ledger, &to_undo, people)
            .is_ok()
        {
            info!("the snapshot of the ledger is written again");
            self.behind = false;
        }
    }
}

/// What policy gives a user of whom this is known.
fn entitlement(policy: &Policy, people: &BTreeMap<u32, Arc<Person>>, uid: u32) -> Arc<Entitlement> {
    match people.get(&uid) {
        Some(person) => policy.entitlement(&person.subject()),
        None => policy.entitlement(&Person::of_uid(uid).subject()),
    }
}
