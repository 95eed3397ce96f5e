//! What has happened and what was used, kept for later.
//!
//! Whoever reports something never waits for it to be written: a slow or full disk costs history and
//! nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use fairshare_protocol::Incident;

/// The most incidents that are kept.
const KEPT: usize = 256;

/// What a slice had used at an earlier moment, to compare with what it has used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recent {
    /// When, as [`crate::clock::millis`] counts.
    pub(crate) at: u64,
    /// The slice's inode: another one began anew.
    pub(crate) slice: u64,
    /// CPU time by then, in microseconds.
    pub(crate) cpu: u64,
}

/// Sends to whoever keeps the history.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    incidents: Arc<Mutex<VecDeque<Incident>>>,
}

impl History {
    /// Keeps an incident under a number of its own, which is returned. Never waits.
    pub(crate) fn record(&self, mut incident: Incident) -> u64 {
        let mut incidents = self
            .incidents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let id = incidents.back().map_or(1, |last| last.id + 1);
        incident.id = id;
        incidents.push_back(incident);
        if incidents.len() > KEPT {
            incidents.pop_front();
        }
        id
    }

    /// What a user had used about a minute ago, where that is known.
    #[expect(clippy::unused_self, dead_code, reason = "nothing is kept yet")]
    pub(crate) fn a_minute_ago(&self, uid: u32) -> Option<Recent> {
        let _ = uid;
        None
    }

    /// A user's incidents since a time (seconds since 1970), the newest first, at most `most`.
    #[expect(
        clippy::unused_async,
        reason = "the keeper of the history is asked and answers"
    )]
    pub(crate) async fn incidents(&self, uid: u32, since: u64, most: usize) -> Vec<Incident> {
        let incidents = self
            .incidents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_user = incidents.iter().rev();
        let of_user = of_user.filter(|one| one.uid == uid && one.at >= since);
        of_user.take(most).cloned().collect()
    }
}
