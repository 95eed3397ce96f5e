//! Knowing who is who: at a login, and for whoever asks as an administrator.
//!
//! The name service may hang. A login waits for it a moment and goes on with what is known; what
//! it says later is applied then.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::Operations;
use super::enforcing::{FIRST_RETRY, LONGEST_RETRY};
use crate::authorise::{Caller, sees_everybody};
use crate::decision::{Decision, Verdict};
use crate::enforcement::Enforcement;
use crate::names::LOOKUP_DEADLINE;
use crate::people::Person;

/// How long a login waits for the name service where its client does not say how long it will wait
/// for everything; else it is half of that.
const LOGIN_PATIENCE: Duration = Duration::from_millis(250);
/// How long somebody who asks something waits for it.
pub(super) const REQUEST_PATIENCE: Duration = LOOKUP_DEADLINE;

/// The group whose members may have the figures for monitoring. The package makes it with the
/// exporter's user, whose own group it is.
const EXPORTERS: &str = "fairshare-exporter";

/// What a login learns of its user.
pub(super) enum Known {
    /// Policy does not ask.
    NotAsked,
    /// This, just now.
    Found(Arc<Person>),
    /// Nothing in time.
    NotYet,
}

impl Known {
    /// Who it is, as far as that has been learnt just now, and whether there is more to learn.
    pub(super) fn into_parts(self) -> (Option<Arc<Person>>, bool) {
        match self {
            Self::NotAsked => (None, false),
            Self::Found(person) => {
                let unknown = !person.complete;
                (Some(person), unknown)
            }
            Self::NotYet => (None, true),
        }
    }
}

impl<E: Enforcement> Operations<E> {
    /// Who logs in.
    pub(super) async fn who_logs_in(&self, uid: u32, client_waits: Option<Duration>) -> Known {
        let policy = self.book.with(|book| book.policy().clone()).await;
        if !policy.needs_names() {
            return Known::NotAsked;
        }
        let patience = client_waits.map_or(LOGIN_PATIENCE, |waits| waits / 2);
        let patience = patience.min(LOOKUP_DEADLINE);
        match self.people.find(uid, &policy, patience).await {
            Ok(person) => Known::Found(person),
            Err(fault) => {
                warn!(
                    uid,
                    "cannot look the user up: {fault}; policy for groups follows later"
                );
                Known::NotYet
            }
        }
    }

    /// Whether policy lets whoever logs in be. What is learnt of somebody whom the ledger has takes
    /// effect for the sessions that are open.
    pub(super) async fn is_exempt(self: &Arc<Self>, uid: u32, known: &Known) -> bool {
        let Known::Found(person) = known else {
            return self.book.with(move |book| book.exempts(uid)).await;
        };
        let known = Arc::clone(person);
        let (exempt, present) = self
            .book
            .with(move |book| {
                let exempt = book.policy().exempts(&known.subject());
                (exempt, book.ledger().account(known.uid).is_some())
            })
            .await;
        if exempt && present {
            self.apply(Arc::clone(person)).await;
        }
        exempt
    }

    /// Has a task look a user up until the name service answers, and apply what it says.
    pub(super) fn look_up_later(self: &Arc<Self>, uid: u32) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if !unknown.insert(uid) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            this.look_up(uid).await;
            let mut unknown = this.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.remove(&uid);
        });
    }

    async fn look_up(self: &Arc<Self>, uid: u32) {
        let mut pause = FIRST_RETRY;
        loop {
            let (policy, present) = self
                .book
                .with(move |book| (book.policy().clone(), book.ledger().account(uid).is_some()))
                .await;
            if !present {
                return;
            }
            match self.people.find(uid, &policy, REQUEST_PATIENCE).await {
                Ok(person) => {
                    let complete = person.complete;
                    self.apply(person).await;
                    if complete {
                        return;
                    }
                    warn!(
                        uid,
                        "a group that policy names is not told by the name service, trying again"
                    );
                }
                Err(fault) => warn!(uid, "cannot look the user up: {fault}, trying again"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }

    /// Looks up a user who is known already. Where the name service does not answer, what is known
    /// stays.
    pub(super) async fn look_up_again(self: &Arc<Self>, uid: u32) {
        let policy = self.book.with(|book| book.policy().clone()).await;
        match self.people.find(uid, &policy, REQUEST_PATIENCE).await {
            Ok(person) => {
                let complete = person.complete;
                self.apply(person).await;
                if !complete {
                    self.look_up_later(uid);
                }
            }
            Err(fault) => warn!(uid, "cannot look the user up: {fault}, ignoring"),
        }
    }

    /// What was learnt of a user who is logged in takes effect.
    async fn apply(self: &Arc<Self>, person: Arc<Person>) {
        let uid = person.uid;
        let changed = self.book.with(move |book| book.set_person(person)).await;
        if let Some(change) = changed {
            Decision::new("lookup", Verdict::Granted, uid)
                .from(change.from)
                .to(change.to())
                .because("the name service has answered")
                .log();
        }
        // Also where the figures stay: policy may let the user be, or no longer.
        self.look_at(uid).await;
    }

    /// Who is asking. Whether policy names them as an administrator is looked up only where that
    /// decides something.
    pub(crate) async fn caller(&self, uid: u32, decides: bool) -> Caller {
        let administrator = uid == 0 || (decides && self.is_administrator(uid).await);
        Caller {
            uid,
            administrator,
            exporter: false,
        }
    }

    /// The caller, and whether they are in the group that may have the figures for monitoring. It
    /// is looked up only where nothing else lets them have those.
    pub(crate) async fn maybe_exporter(&self, caller: Caller) -> Caller {
        if sees_everybody(&caller) {
            return caller;
        }
        let found = self
            .people
            .is_in_group(caller.uid, EXPORTERS, REQUEST_PATIENCE)
            .await;
        let exporter = found.unwrap_or_else(|fault| {
            warn!(
                uid = caller.uid,
                "cannot tell whether the caller is in the group '{EXPORTERS}': {fault}"
            );
            false
        });
        Caller { exporter, ..caller }
    }

    async fn is_administrator(&self, uid: u32) -> bool {
        let policy = self.book.with(|book| book.policy().clone()).await;
        let administrators = policy.administrators();
        if administrators.is_empty() {
            return false;
        }
        if !administrators.needs_names() {
            return administrators.contains(&Person::of_uid(uid).subject());
        }
        match self.people.find(uid, &policy, REQUEST_PATIENCE).await {
            Ok(person) => administrators.contains(&person.subject()),
            Err(fault) => {
                warn!(
                    uid,
                    "cannot tell whether the caller is an administrator: {fault}"
                );
                false
            }
        }
    }
}
