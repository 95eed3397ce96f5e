//! Looks at the processes of a user, one after the other, so that asking for them often takes little
//! of the daemon's one thread.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use fairshare_protocol::MAX_PROCESSES;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::cgroup::SliceCgroup;
use crate::processes::{self, Found};

/// How long a look is good for those who ask next, at the least: less than `fairshare top` waits.
const LEAST_REST: Duration = Duration::from_secs(1);
/// How many times as long as a look has taken it is good: so one user takes a twentieth of the
/// daemon's time at the most.
const REST: u32 = 19;
/// The most looks that are kept. What is beyond is looked at anew.
const MAX_KEPT: usize = 64;

/// Looks that others may still be told of, and whose turn the next one is.
#[derive(Debug, Default)]
pub(super) struct Walks {
    kept: std::sync::Mutex<BTreeMap<u32, Kept>>,
    users: Lane,
    /// Nobody keeps these waiting by asking often.
    administrators: Lane,
}

/// One look at a time, and when the next may begin: as long after the last one as that took, so that
/// all together take half of the thread's time at the most.
type Lane = Mutex<Option<Instant>>;

#[derive(Debug)]
struct Kept {
    slice: u64,
    at: Instant,
    took: Duration,
    found: Arc<Found>,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < (self.took * REST).max(LEAST_REST)
    }
}

impl Walks {
    /// The processes of a user, as they are or were a moment ago.
    pub(super) async fn look(
        &self,
        uid: u32,
        slice: &SliceCgroup,
        administrator: bool,
    ) -> Arc<Found> {
        let inode = slice.inode();
        if let Some(found) = self.fresh(uid, inode) {
            return found;
        }
        let lane = if administrator {
            &self.administrators
        } else {
            &self.users
        };
        let mut next = lane.lock().await;
        // Whoever was before may have asked for the same.
        if let Some(found) = self.fresh(uid, inode) {
            return found;
        }
        if let Some(next) = *next {
            sleep_until(next).await;
        }
        let began = Instant::now();
        let found = Arc::new(processes::all(slice, MAX_PROCESSES).await);
        let at = Instant::now();
        let took = at.duration_since(began);
        *next = Some(at + took);
        let kept = Kept {
            slice: inode,
            at,
            took,
            found: Arc::clone(&found),
        };
        self.keep(uid, kept);
        found
    }

    fn fresh(&self, uid: u32, slice: u64) -> Option<Arc<Found>> {
        let kept = self.kept();
        let last = kept.get(&uid)?;
        (last.slice == slice && last.is_fresh()).then(|| Arc::clone(&last.found))
    }

    fn keep(&self, uid: u32, look: Kept) {
        let mut kept = self.kept();
        kept.retain(|_, look| look.is_fresh());
        if kept.len() < MAX_KEPT {
            kept.insert(uid, look);
        }
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<u32, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupTree;

    #[tokio::test]
    async fn one_look_serves_whoever_asks_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let slice = folder.path().join("user.slice/user-1000.slice");
        std::fs::create_dir_all(&slice).unwrap();
        let list = slice.join("cgroup.procs");
        let slice = CgroupTree::new(folder.path())
            .slice("user-1000.slice")
            .unwrap();
        let walks = Walks::default();
        let total = async |uid, administrator| walks.look(uid, &slice, administrator).await.total;

        assert_eq!(total(1000, false).await, 0);
        std::fs::write(&list, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(total(1000, false).await, 0, "what was seen");
        assert_eq!(total(1000, true).await, 0, "by whomever");
        assert_eq!(total(1001, false).await, 1, "of that user only");
        let age = |age: Duration| {
            let mut kept = walks.kept();
            let look = kept.get_mut(&1000).unwrap();
            look.at = look.at.checked_sub(age).unwrap();
        };
        age(LEAST_REST);
        walks.kept().get_mut(&1000).unwrap().took = LEAST_REST;
        assert_eq!(
            total(1000, false).await,
            0,
            "one that took long rests longer"
        );
        age(LEAST_REST * (REST - 1));
        assert_eq!(total(1000, false).await, 1);
    }
}
