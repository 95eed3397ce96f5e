//! One user's changes happen one after the other, and nobody else's wait for them.
//!
//! Deciding, enforcing and reading back take several steps with waits between them. Whoever holds
//! a user's turn is alone with that user's slice; others for the same user follow in the order in
//! which they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// How many changes of one user may wait while the user asks for them. Changes that root or the
/// kernel reports are never turned away: their number is bounded by the connections and by the
/// processes there are.
pub(crate) const MAX_WAITING: usize = 64;

type Lane = Arc<tokio::sync::Mutex<()>>;

/// The turns of all users. A user without a change under way takes no room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    lanes: Arc<Mutex<HashMap<u32, Lane>>>,
}

/// The right to change one user, until dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    uid: u32,
    turns: Turns,
    guard: Option<OwnedMutexGuard<()>>,
    waited: bool,
}

impl Turn {
    /// Whether others had their turn first, so that what was seen before may be so no more.
    pub(crate) fn waited(&self) -> bool {
        self.waited
    }
}

/// Too many changes of this user are waiting.
#[derive(Debug)]
pub(crate) struct TooManyWaiting;

impl Turns {
    /// Waits for the user's turn, behind however many there are.
    pub(crate) async fn take(&self, uid: u32) -> Turn {
        let lane = self.lane(uid);
        self.wait(uid, lane).await
    }

    /// Waits for the user's turn unless [`MAX_WAITING`] are waiting already.
    pub(crate) async fn take_or_refuse(&self, uid: u32) -> Result<Turn, TooManyWaiting> {
        let lane = self.lane(uid);
        // Held by the map, by this call, by whoever has the turn, and by each one who waits.
        if Arc::strong_count(&lane) >= MAX_WAITING + 3 {
            return Err(TooManyWaiting);
        }
        Ok(self.wait(uid, lane).await)
    }

    fn lane(&self, uid: u32) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(uid).or_default())
    }

    async fn wait(&self, uid: u32, lane: Lane) -> Turn {
        // Made before the wait, so that one given up leaves no lane behind.
        let mut turn = Turn {
            uid,
            turns: self.clone(),
            guard: None,
            waited: false,
        };
        let free = Arc::clone(&lane).try_lock_owned();
        turn.waited = free.is_err();
        turn.guard = match free {
            Ok(guard) => Some(guard),
            Err(_) => Some(lane.lock_owned().await),
        };
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut lanes = self
            .turns
            .lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if lanes
            .get(&self.uid)
            .is_some_and(|lane| Arc::strong_count(lane) == 1)
        {
            lanes.remove(&self.uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(turns: &Turns) -> usize {
        turns.lanes.lock().unwrap().len()
    }

    #[tokio::test]
    async fn one_user_waits_for_its_own_turn_and_not_for_anothers() {
        let turns = Turns::default();
        let first = turns.take(1000).await;
        let other = turns.take(1001).await;
        let mut second = Box::pin(turns.take(1000));
        let early = tokio::time::timeout(std::time::Duration::ZERO, &mut second).await;
        assert!(early.is_err(), "two turns of one user at once");
        assert!(!first.waited() && !other.waited());
        drop(first);
        let second = second.await;
        assert!(second.waited());
        drop(second);
        drop(other);
        assert_eq!(lanes(&turns), 0);
    }

    #[tokio::test]
    async fn the_waiting_are_bounded_and_come_in_order() {
        let turns = Turns::default();
        let held = turns.take(1000).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..MAX_WAITING {
            let (turns, order) = (turns.clone(), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let turn = turns.take_or_refuse(1000).await;
                order.lock().unwrap().push(number);
                turn.is_ok()
            }));
            tokio::task::yield_now().await;
        }
        assert!(turns.take_or_refuse(1000).await.is_err(), "one too many");
        drop(held);
        for task in waiting {
            assert!(task.await.unwrap());
        }
        let order = order.lock().unwrap().clone();
        assert_eq!(order, (0..MAX_WAITING).collect::<Vec<_>>());
        assert!(turns.take_or_refuse(1000).await.is_ok());
        assert_eq!(lanes(&turns), 0);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_nothing_behind() {
        let turns = Turns::default();
        let held = turns.take(1000).await;
        let given_up = tokio::time::timeout(std::time::Duration::ZERO, turns.take(1000)).await;
        assert!(given_up.is_err());
        drop(held);
        assert_eq!(lanes(&turns), 0);
    }
}
