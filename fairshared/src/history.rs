//! What has happened and what was used, kept for later.
//!
//! Whoever reports something never waits for it to be written: a slow or full disk costs history and
//! nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// What a user has missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    /// The newest, the newest first.
    pub(crate) newest: Vec<Incident>,
    /// How many there are altogether.
    pub(crate) all: u64,
}

/// Sends to whoever keeps the history.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    incidents: Arc<Mutex<VecDeque<Kept>>>,
}

#[derive(Clone, Debug)]
struct Kept {
    incident: Incident,
    told: bool,
}

impl History {
    /// Keeps an incident under a number of its own, which is returned. `told` is whether it was on a
    /// terminal of its user's. Never waits.
    pub(crate) fn record(&self, mut incident: Incident, told: bool) -> u64 {
        let mut kept = self.kept();
        let id = kept.back().map_or(1, |last| last.incident.id + 1);
        incident.id = id;
        kept.push_back(Kept { incident, told });
        if kept.len() > KEPT {
            kept.pop_front();
        }
        id
    }

    /// An incident that is kept has happened again: `times` altogether. `told` is whether that was on
    /// a terminal of its user's; what was told stays told. Never waits.
    pub(crate) fn again(&self, uid: u32, id: u64, times: u64, told: bool) {
        let mut kept = self.kept();
        let mut of_user = kept.iter_mut().filter(|one| one.incident.uid == uid);
        if let Some(one) = of_user.find(|one| one.incident.id == id) {
            one.incident.times = Some(times);
            one.told |= told;
        }
    }

    /// The user knows of every incident up to this number. Never waits.
    pub(crate) fn mark_told(&self, uid: u32, up_to: u64) {
        let mut kept = self.kept();
        let of_user = kept.iter_mut().filter(|one| one.incident.uid == uid);
        for one in of_user.filter(|one| one.incident.id <= up_to) {
            one.told = true;
        }
    }

    /// What a user has missed, at most `most` of it. It outlives the daemon. Whoever asks bounds the
    /// wait: a login does not wait for a slow disk.
    #[expect(
        clippy::unused_async,
        reason = "the keeper of the history is asked and answers"
    )]
    pub(crate) async fn untold(&self, uid: u32, most: usize) -> Untold {
        let kept = self.kept();
        let untold = kept.iter().rev();
        let untold = untold.filter(|one| one.incident.uid == uid && !one.told);
        let incidents: Vec<&Incident> = untold.map(|one| &one.incident).collect();
        Untold {
            all: u64::try_from(incidents.len()).unwrap_or(u64::MAX),
            newest: incidents.into_iter().take(most).cloned().collect(),
        }
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
        let kept = self.kept();
        let of_user = kept.iter().rev().map(|one| &one.incident);
        let of_user = of_user.filter(|one| one.uid == uid && one.at >= since);
        of_user.take(most).cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.incidents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
