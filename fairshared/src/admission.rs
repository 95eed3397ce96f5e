//! What one UID may take of the daemon: connections at a time, and requests in a second.
//!
//! Root is not slowed down: every login comes from root. Root's connections are bounded all the
//! same, because each one takes a descriptor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections of one user at a time.
pub(crate) const USER_CONNECTIONS: usize = 32;
/// Connections of root at a time.
pub(crate) const ROOT_CONNECTIONS: usize = 4096;
/// Connections of everybody but root at a time. Root's are counted apart, so that users cannot
/// shut logins out.
pub(crate) const ALL_USERS_CONNECTIONS: usize = 4096;
/// Requests that a user may send at once after a pause.
pub(crate) const BURST: u32 = 200;
/// Requests that a user may send in a second for long.
pub(crate) const REQUESTS_PER_SECOND: u32 = 50;
/// From this many users on, those who have been quiet long enough are forgotten.
const REMEMBERED_USERS: usize = 1024;

/// Counts what everybody takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    takers: HashMap<u32, Taker>,
    users_connections: usize,
}

#[derive(Debug)]
struct Taker {
    connections: usize,
    /// Requests that may still be sent now, as of `counted`.
    left: f64,
    counted: Instant,
}

/// The right to one connection, until dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    uid: u32,
    admission: Admission,
}

impl Admission {
    /// Lets one more connection of this UID in, or not.
    pub(crate) fn connect(&self, uid: u32, now: Instant) -> Option<ConnectionPermit> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if state.takers.len() >= REMEMBERED_USERS {
            state
                .takers
                .retain(|_, taker| taker.connections > 0 || !taker.is_rested(now));
        }
        let taker = state.takers.entry(uid).or_insert_with(|| Taker::new(now));
        if uid == 0 {
            if taker.connections >= ROOT_CONNECTIONS {
                return None;
            }
        } else {
            if taker.connections >= USER_CONNECTIONS
                || state.users_connections >= ALL_USERS_CONNECTIONS
            {
                return None;
            }
            state.users_connections += 1;
        }
        taker.connections += 1;
        Some(ConnectionPermit {
            uid,
            admission: self.clone(),
        })
    }

    /// Lets one more request of this UID in, or not. A connection that is made counts as one.
    pub(crate) fn request(&self, uid: u32, now: Instant) -> bool {
        if uid == 0 {
            return true;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .takers
            .entry(uid)
            .or_insert_with(|| Taker::new(now))
            .take_one(now)
    }
}

impl Taker {
    fn new(now: Instant) -> Self {
        Self {
            connections: 0,
            left: f64::from(BURST),
            counted: now,
        }
    }

    fn take_one(&mut self, now: Instant) -> bool {
        self.left = self.left_at(now);
        self.counted = now;
        let admitted = self.left >= 1.0;
        if admitted {
            self.left -= 1.0;
        }
        admitted
    }

    fn is_rested(&self, now: Instant) -> bool {
        self.left_at(now) >= f64::from(BURST)
    }

    fn left_at(&self, now: Instant) -> f64 {
        let passed: Duration = now.saturating_duration_since(self.counted);
        let gained = passed.as_secs_f64() * f64::from(REQUESTS_PER_SECOND);
        (self.left + gained).min(f64::from(BURST))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut state = self
            .admission
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.uid != 0 {
            state.users_connections = state.users_connections.saturating_sub(1);
        }
        if let Some(taker) = state.takers.get_mut(&self.uid) {
            taker.connections = taker.connections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_end_at_their_number_and_come_back() {
        let admission = Admission::default();
        let now = Instant::now();
        let mut held: Vec<_> = (0..USER_CONNECTIONS)
            .map(|_| admission.connect(1000, now).unwrap())
            .collect();
        assert!(admission.connect(1000, now).is_none());
        assert!(
            admission.connect(1001, now).is_some(),
            "another user is not shut out"
        );
        held.pop();
        assert!(admission.connect(1000, now).is_some());
    }

    #[test]
    fn users_cannot_shut_root_out() {
        let admission = Admission::default();
        let now = Instant::now();
        let mut held = Vec::new();
        for uid in 1000.. {
            match admission.connect(uid, now) {
                Some(permit) => held.push(permit),
                None => break,
            }
        }
        assert_eq!(held.len(), ALL_USERS_CONNECTIONS);
        let roots: Vec<_> = (0..ROOT_CONNECTIONS)
            .map(|_| admission.connect(0, now).unwrap())
            .collect();
        assert!(admission.connect(0, now).is_none());
        drop(roots);
    }

    #[test]
    fn a_burst_is_let_in_then_the_rate_holds() {
        let admission = Admission::default();
        let now = Instant::now();
        let admitted = (0..1000).filter(|_| admission.request(1000, now)).count();
        assert_eq!(admitted, usize::try_from(BURST).unwrap());
        let later = now + Duration::from_secs(1);
        let admitted = (0..1000).filter(|_| admission.request(1000, later)).count();
        assert_eq!(admitted, usize::try_from(REQUESTS_PER_SECOND).unwrap());
        assert!((0..1000).all(|_| admission.request(0, now)));
    }

    #[test]
    fn reconnecting_does_not_renew_the_burst_and_the_quiet_are_forgotten() {
        let admission = Admission::default();
        let now = Instant::now();
        drop(admission.connect(1000, now));
        while admission.request(1000, now) {}
        drop(admission.connect(1000, now));
        assert!(!admission.request(1000, now));

        for uid in 2000..5000 {
            drop(admission.connect(uid, now));
        }
        assert!(admission.state.lock().unwrap().takers.len() <= REMEMBERED_USERS + 1);
        assert!(
            !admission.request(1000, now),
            "who is over the rate is remembered"
        );
    }
}
