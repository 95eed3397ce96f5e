//! What daemon and worker say to each other: a question a line, an answer a line, in JSON.
//!
//! Both are the same program, so there are no versions. An answer carries its question's number,
//! so that no line that comes from elsewhere passes for the answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Person;

/// The longest question in bytes: a name, each of its bytes escaped.
pub(super) const MAX_QUESTION: u64 = 4096;
/// The longest answer in bytes: `NGROUPS_MAX`, 65 536, GIDs of ten digits and a comma.
pub(super) const MAX_ANSWER: u64 = 1 << 20;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Question {
    /// Name and groups of a UID.
    Person(u32),
    /// The GID of a group's name.
    GroupId(String),
}

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To [`Question::Person`].
    Person(Arc<Person>),
    /// To the others.
    Id(Option<u32>),
}

impl Answer {
    /// Whether there is such a user or group.
    pub(super) fn is_found(&self) -> bool {
        match self {
            Self::Person(person) => person.name.is_some(),
            Self::Id(id) => id.is_some(),
        }
    }
}

/// A question on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) question: Question,
}

/// An answer on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) number: u64,
    pub(super) answer: Found,
}

/// What the name service said.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Found {
    /// To [`Question::Person`].
    Person {
        /// `None` where there is no such user.
        name: Option<String>,
        /// GIDs.
        groups: Vec<u32>,
    },
    /// To the others.
    Id(Option<u32>),
    /// It failed, and why.
    Fault(String),
}
