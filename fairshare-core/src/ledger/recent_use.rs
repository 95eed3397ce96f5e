//! How much of the machine a user has had lately, for the order of the queue.
//!
//! The share of the machine that a grant takes is added up over time and forgotten with a
//! half-life. The sum is written down when the grant changes and computed when it is asked for;
//! nothing ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::amount::{Amount, Resource};
use super::{Capacity, Moment};

/// The half-life where policy does not say.
pub const HALF_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Use below this is as good as none: seconds of the whole machine.
const NEGLIGIBLE: f64 = 60.0;
/// How many users that have none left are dropped when one is written down.
const DROPPED_AT_ONCE: usize = 2;

/// What a user has used up to a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecentUse {
    /// When it was written down.
    pub at: Moment,
    /// How much it was then: seconds of the whole machine, forgotten with the half-life.
    pub seconds: f64,
    /// The share of the machine that the user has held since, as of the capacity at that time.
    pub share: f64,
}

/// Everybody's use. One whose use is as good as none is dropped, so that the record stays as small
/// as the number of users who had grants lately.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Uses {
    pub(super) half_life: Duration,
    users: BTreeMap<u32, RecentUse>,
    /// When the use of those who hold nothing will be as good as none.
    fading: BTreeSet<(Moment, u32)>,
}

impl RecentUse {
    /// How much it is at a later moment: the sum then, and what was held since.
    fn seconds_at(&self, now: Moment, half_life: Duration) -> f64 {
        let half_life = half_life.as_secs_f64().max(1.0);
        let kept = (-now.since(self.at).as_secs_f64() / half_life).exp2();
        // The integral of a constant share, each moment of it halved since.
        let since = self.share * half_life / std::f64::consts::LN_2 * (1.0 - kept);
        self.seconds * kept + since
    }

    fn negligible_at(&self, half_life: Duration) -> Option<Moment> {
        if self.share > 0.0 {
            return None;
        }
        let halvings = (self.seconds / NEGLIGIBLE).log2().max(0.0);
        let span = Duration::try_from_secs_f64(halvings * half_life.as_secs_f64());
        span.ok().map(|span| self.at.after(span))
    }
}

impl Uses {
    pub(super) fn new() -> Self {
        Self {
            half_life: HALF_LIFE,
            users: BTreeMap::new(),
            fading: BTreeSet::new(),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u32, RecentUse)> {
        self.users.iter().map(|(&uid, &recent)| (uid, recent))
    }

    pub(super) fn get(&self, uid: u32) -> Option<RecentUse> {
        self.users.get(&uid).copied()
    }

    /// Whole minutes of the machine: use within the same minute is equal, so that who came first
    /// decides between them.
    pub(super) fn minutes(&self, uid: u32, now: Moment) -> u64 {
        let recent = self.users.get(&uid);
        let seconds = recent.map_or(0.0, |recent| recent.seconds_at(now, self.half_life));
        Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |use_| use_.as_secs() / 60)
    }

    /// Writes down what a user has used, and the share that is held from now on. Returns who was
    /// dropped on the way.
    pub(super) fn hold(&mut self, uid: u32, share: f64, now: Moment) -> Vec<u32> {
        let known = self.users.get(&uid);
        if known
            .map_or(0.0, |known| known.share)
            .total_cmp(&share)
            .is_eq()
        {
            return Vec::new();
        }
        let seconds = known.map_or(0.0, |known| known.seconds_at(now, self.half_life));
        self.put(
            uid,
            RecentUse {
                at: now,
                seconds,
                share,
            },
        );
        self.drop_faded(now)
    }

    pub(super) fn put(&mut self, uid: u32, recent: RecentUse) {
        if let Some(before) = self.users.insert(uid, recent)
            && let Some(fades) = before.negligible_at(self.half_life)
        {
            self.fading.remove(&(fades, uid));
        }
        if let Some(fades) = recent.negligible_at(self.half_life) {
            self.fading.insert((fades, uid));
        }
    }

    /// Takes another half-life. What was used before is forgotten by the new one.
    pub(super) fn set_half_life(&mut self, half_life: Duration, now: Moment) {
        if half_life == self.half_life {
            return;
        }
        let settled: Vec<(u32, RecentUse)> = self
            .all()
            .map(|(uid, recent)| {
                let seconds = recent.seconds_at(now, self.half_life);
                (
                    uid,
                    RecentUse {
                        at: now,
                        seconds,
                        ..recent
                    },
                )
            })
            .collect();
        self.half_life = half_life;
        self.users.clear();
        self.fading.clear();
        for (uid, recent) in settled {
            self.put(uid, recent);
        }
    }

    fn drop_faded(&mut self, now: Moment) -> Vec<u32> {
        let mut dropped = Vec::new();
        for _ in 0..DROPPED_AT_ONCE {
            match self.fading.first() {
                Some(&(fades, uid)) if fades <= now => {
                    self.fading.remove(&(fades, uid));
                    self.users.remove(&uid);
                    dropped.push(uid);
                }
                _ => break,
            }
        }
        dropped
    }
}

/// The share of the machine that this is: of the resource of which it is the largest part.
pub(super) fn share(above: Amount, capacity: Capacity) -> f64 {
    let part = |resource, of: u64| {
        let held = above.get(resource);
        if held == 0 {
            0.0
        } else {
            as_float(held) / as_float(of.max(1).into())
        }
    };
    part(Resource::Cpu, capacity.cpu_thousandths).max(part(Resource::Memory, capacity.mem_bytes))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share need not be exact to the byte"
)]
fn as_float(number: u128) -> f64 {
    number as f64
}
