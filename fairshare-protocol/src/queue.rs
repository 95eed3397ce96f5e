//! What the daemon tells of requests that wait for their turn.

use serde::{Deserialize, Serialize};

use crate::{Allocation, Wish};

/// The fields of `queued`: where a waiting `resize` stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The place in the queue, from 1.
    pub position: u64,
    /// What the requests before this one ask for together, beyond what their users have already;
    /// left out where nobody is before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Wish>,
    /// What is waited for, as a part of a sentence: `2 CPUs and 8G memory to be given back`.
    pub waiting_for: String,
    /// A sentence for people.
    pub message: String,
}

/// One row of `queue_info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// The place in the queue, from 1.
    pub position: u64,
    /// Who waits; left out where policy does not let the caller know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The allocation that the user would have.
    #[serde(flatten)]
    pub allocation: Allocation,
    /// How long the request has waited, in seconds.
    pub since_s: u64,
    /// The priority that policy gives the user: a higher one comes first.
    pub priority: i32,
}
