//! Telling what policy comes to, and what another one would change.

use std::time::Instant;

use fairshare_core::policy::{self, Look};
use fairshare_protocol::{
    Candidate, Enforce, ErrorCode, ExplainEntry, ExplainInfo, Origin, PolicyChange, PolicyDiffInfo,
    Reply,
};

use super::knowing::REQUEST_PATIENCE;
use super::{Operations, not_covered};
use crate::enforcement::Enforcement;

/// What stands for the place of a value that no file gives.
const BUILT_IN: &str = "built in";

impl<E: Enforcement> Operations<E> {
    /// `explain`.
    pub(crate) async fn explain(&self, uid: u32) -> Reply {
        let (covered, policy) = self
            .book
            .with(move |book| (book.covers(uid), book.policy().clone()))
            .await;
        if !covered {
            return not_covered(uid);
        }
        let person = match self.people.find(uid, &policy, REQUEST_PATIENCE).await {
            Ok(person) => person,
            Err(fault) => {
                let message = format!("User {uid} cannot be looked up: {fault}; try again");
                return Reply::error(ErrorCode::Busy, message);
            }
        };
        let subject = person.subject();
        if policy.exempts(&subject) {
            let message = format!("User {uid} is exempt: policy sets no limits");
            return Reply::error(ErrorCode::NotCovered, message);
        }
        let entries = policy.explain(&subject).into_iter().map(explained);
        Reply::ExplainInfo(ExplainInfo {
            uid,
            user: person.name.clone(),
            entries: entries.collect(),
            enforce: match policy.enforce() {
                policy::Enforce::On => Enforce::On,
                policy::Enforce::Watch => Enforce::Watch,
            },
        })
    }

    /// `policy_diff`: for everybody whom the ledger knows.
    pub(crate) async fn policy_diff(&self) -> Reply {
        let loaded = match self.source.read() {
            Ok(loaded) => loaded,
            Err(fault) => {
                return Reply::PolicyDiffInfo(PolicyDiffInfo {
                    users: Vec::new(),
                    problems: Some(fault.to_string()),
                });
            }
        };
        let (now, people) = self
            .book
            .with(|book| {
                let users = book.ledger().accounts().map(|(uid, _)| book.person(uid));
                (book.policy().clone(), users.collect::<Vec<_>>())
            })
            .await;
        // Groups are asked for anew, as at the reload itself.
        self.people.forget_all();
        let missing = self.people.missing_groups(&loaded.policy).await;
        let missing = loaded.policy.missing_groups(&loaded.sources, &missing);
        // With the groups that the new policy names. A name service that hangs costs all of them
        // together no more than it costs one.
        let deadline = Instant::now() + REQUEST_PATIENCE;
        let mut users = Vec::new();
        for person in people {
            let patience = deadline.saturating_duration_since(Instant::now());
            let found = self.people.find(person.uid, &loaded.policy, patience);
            let person = found.await.unwrap_or(person);
            for difference in now.diff(&loaded.policy, &person.subject()) {
                users.push(PolicyChange {
                    uid: person.uid,
                    user: person.name.clone(),
                    key: difference.key,
                    from: difference.before,
                    to: difference.after,
                });
            }
        }
        let warnings: Vec<_> = loaded.warnings.into_iter().chain(missing).collect();
        let warnings = policy::report(&warnings, Look::Plain);
        Reply::PolicyDiffInfo(PolicyDiffInfo {
            users,
            problems: (!warnings.is_empty()).then_some(warnings),
        })
    }
}

fn explained(explained: policy::Explained) -> ExplainEntry {
    let origin = |candidate: &policy::Candidate| Origin {
        place: candidate.place.to_string(),
        path: candidate.path.clone(),
    };
    let built_in = Origin {
        place: BUILT_IN.to_owned(),
        path: explained.key.clone(),
    };
    let beaten = explained.beaten.iter().map(|candidate| Candidate {
        origin: origin(candidate),
        value: candidate.value.clone(),
    });
    ExplainEntry {
        winner: explained.winner.as_ref().map_or(built_in, origin),
        beaten: beaten.collect(),
        value: match explained.note {
            Some(note) => format!("{} ({note})", explained.value),
            None => explained.value,
        },
        key: explained.key,
    }
}
