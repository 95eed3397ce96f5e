//! Who users are, as far as policy asks: their names and groups.
//!
//! Policy names groups by text, and the name service hands out a group's name only together with
//! all its members. So each name in policy is turned into a number, and the numbers are compared.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairshare_core::Policy;
use fairshare_core::policy::{Group, Subject};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::names::{LOOKUP_DEADLINE, MAX_LOOKUPS, Names, NamesError};

/// How long all the groups of a new policy may take to be looked up, before it is put in force
/// without those that were not found yet.
const GROUPS_DEADLINE: Duration = LOOKUP_DEADLINE;

/// How many of them are looked up at once, so that logins find room among the lookups that wait.
const GROUPS_AT_ONCE: usize = MAX_LOOKUPS / 4;

/// A user with what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    /// The user's ID.
    pub(crate) uid: u32,
    /// The user's name, where the name service has one.
    pub(crate) name: Option<String>,
    /// The groups that the user is in. One that policy names has its name here, and one that
    /// policy names in two ways is here twice.
    pub(crate) groups: Vec<Group>,
    /// Whether the name service has told the number of each group that policy names. Where it has
    /// not, more groups may turn out to be theirs.
    pub(crate) complete: bool,
}

/// Finds out who users are.
#[derive(Clone, Debug)]
pub(crate) struct People {
    names: Names,
}

impl Person {
    /// Somebody of whom nothing else is known.
    pub(crate) fn of_uid(uid: u32) -> Self {
        Self {
            uid,
            ..Self::default()
        }
    }

    /// Name and groups for the snapshot.
    pub(crate) fn to_json(&self) -> String {
        let groups = self.groups.iter().map(|group| (group.gid, &group.name));
        let groups: Vec<_> = groups.collect();
        serde_json::json!({"name": self.name, "groups": groups}).to_string()
    }

    /// What [`Person::to_json`] wrote; `None` where it is something else.
    pub(crate) fn from_json(uid: u32, text: &str) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Saved {
            name: Option<String>,
            groups: Vec<(u32, Option<String>)>,
        }
        let Saved { name, groups } = serde_json::from_str(text).ok()?;
        let groups = groups.into_iter().map(|(gid, name)| Group { gid, name });
        Some(Self {
            uid,
            name,
            groups: groups.collect(),
            complete: true,
        })
    }

    /// The person as policy wants to know them.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            uid: self.uid,
            name: self.name.as_deref(),
            groups: &self.groups,
        }
    }
}

impl People {
    pub(crate) fn new(names: Names) -> Self {
        Self { names }
    }

    /// Who this UID is, as policy asks. Waits for the name service until `patience` is over; the
    /// lookup goes on after that, and a later call has its answer.
    pub(crate) async fn find(
        &self,
        uid: u32,
        policy: &Policy,
        patience: Duration,
    ) -> Result<Arc<Person>, NamesError> {
        let found = tokio::time::timeout(patience, self.look_up(uid, policy)).await;
        found.unwrap_or(Err(NamesError::TimedOut))
    }

    /// Whether a user is in the group of this name. Waits as [`People::find`] does.
    pub(crate) async fn is_in_group(
        &self,
        uid: u32,
        name: &str,
        patience: Duration,
    ) -> Result<bool, NamesError> {
        let look_up = async {
            let Some(gid) = self.names.group_id(name).await? else {
                return Ok(false);
            };
            Ok(self.names.subject(uid).await?.groups.contains(&gid))
        };
        let found = tokio::time::timeout(patience, look_up).await;
        found.unwrap_or(Err(NamesError::TimedOut))
    }

    /// Has everything asked anew, because the policy is read again.
    pub(crate) fn forget_all(&self) {
        self.names.forget_all();
    }

    /// Looks up every group that policy names, so that logins find them known. Returns those that
    /// do not exist. One that the name service did not tell in time is none of them.
    pub(crate) async fn missing_groups(&self, policy: &Policy) -> BTreeSet<String> {
        let deadline = Instant::now() + GROUPS_DEADLINE;
        let mut missing = BTreeSet::new();
        let all: Vec<&str> = policy.named_groups().into_iter().collect();
        for some in all.chunks(GROUPS_AT_ONCE) {
            let mut lookups = JoinSet::new();
            for &name in some {
                let (names, name) = (self.names.clone(), name.to_owned());
                lookups.spawn(async move {
                    let found = timeout_at(deadline, names.group_id(&name)).await;
                    matches!(found, Ok(Ok(None))).then_some(name)
                });
            }
            missing.extend(lookups.join_all().await.into_iter().flatten());
        }
        missing
    }

    async fn look_up(&self, uid: u32, policy: &Policy) -> Result<Arc<Person>, NamesError> {
        let found = self.names.subject(uid).await?;
        let mut groups: Vec<Group> = found
            .groups
            .iter()
            .map(|&gid| Group { gid, name: None })
            .collect();
        let mut complete = true;
        for name in policy.named_groups() {
            match self.names.group_id(name).await {
                Ok(Some(gid)) if found.groups.contains(&gid) => groups.push(Group {
                    gid,
                    name: Some(name.to_owned()),
                }),
                // Another's group, or one that does not exist.
                Ok(_) => {}
                // A group of many thousands may be slow to be told: its name comes with them all.
                Err(_) => complete = false,
            }
        }
        Ok(Arc::new(Person {
            uid,
            name: found.name.clone(),
            groups,
            complete,
        }))
    }
}
