//! Alike incidents of a user in a row, counted as one.
//!
//! A program that starts again each time it is killed would fill the history and the terminal with
//! one and the same sentence. So the first is kept, and those behind it are counted. A thousand of
//! them in a second cost a look into a table each.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fairshare_protocol::IncidentKind;

/// For so long after the last one an alike one is counted to it, in milliseconds.
pub(super) const FOLDED_FOR: u64 = 10 * 60 * 1000;
/// A user is told again of one that goes on at most so often, in milliseconds.
pub(super) const TOLD_AGAIN: u64 = 20 * 1000;
/// The count of one that goes on is written down at most so often, in milliseconds.
const WRITTEN_AGAIN: u64 = 1000;
/// After so many different ones of a kind in a row, further ones are counted to the last.
pub(super) const MOST_APART: u32 = 10;
/// The most rows; the one that is oldest gives way.
pub(super) const MOST_FOLDS: usize = 4096;

/// What makes one like another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Like {
    uid: u32,
    kind: IncidentKind,
    /// For kinds of which each tells of something else.
    text: Option<u64>,
}

impl Like {
    /// What the kernel does goes on: the kind decides. What the daemon does is alike where the
    /// sentence is.
    pub(super) fn new(uid: u32, kind: IncidentKind, text: &str) -> Self {
        let text = (!goes_on(kind)).then(|| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        });
        Self { uid, kind, text }
    }
}

/// Whether one of this kind is likely to come again at once.
pub(super) fn goes_on(kind: IncidentKind) -> bool {
    matches!(
        kind,
        IncidentKind::OomKill
            | IncidentKind::CpuThrottled
            | IncidentKind::TasksLimit
            | IncidentKind::MemoryPressure
    )
}

/// One that was counted to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// The number of the first.
    pub(super) id: u64,
    /// How often it has happened by now.
    pub(super) times: u64,
    /// Whether it is to be told.
    pub(super) tell: bool,
    /// Whether the count is to be written down.
    pub(super) write: bool,
}

#[derive(Debug)]
struct Fold {
    id: u64,
    text: Option<u64>,
    times: u64,
    apart: u32,
    last: u64,
    told: u64,
    written: u64,
    /// The count is above the one that is written down.
    unwritten: bool,
}

/// What was told of each user and kind last.
#[derive(Debug, Default)]
pub(super) struct Folds(Mutex<HashMap<(u32, IncidentKind), Fold>>);

impl Folds {
    /// Counts one to the one before, where that is alike. With `quietly`, only where there is
    /// nothing to tell.
    pub(super) fn again(&self, like: Like, now: u64, quietly: bool) -> Option<Again> {
        let mut folds = self.folds();
        let fold = folds.get_mut(&(like.uid, like.kind))?;
        let is_alike = fold.text == like.text || fold.apart >= MOST_APART;
        if !is_alike || now.saturating_sub(fold.last) > FOLDED_FOR {
            return None;
        }
        let tell = now.saturating_sub(fold.told) >= TOLD_AGAIN;
        if tell && quietly {
            return None;
        }
        fold.times = fold.times.saturating_add(1);
        fold.last = now;
        if tell {
            fold.told = now;
        }
        let write = tell || now.saturating_sub(fold.written) >= WRITTEN_AGAIN;
        if write {
            fold.written = now;
        }
        fold.unwritten = !write;
        Some(Again {
            id: fold.id,
            times: fold.times,
            tell,
            write,
        })
    }

    /// Takes one for the first of those that follow.
    pub(super) fn begin(&self, like: Like, id: u64, now: u64) {
        let mut folds = self.folds();
        let key = (like.uid, like.kind);
        if folds.len() >= MOST_FOLDS && !folds.contains_key(&key) {
            folds.retain(|_, fold| now.saturating_sub(fold.last) <= FOLDED_FOR);
            if folds.len() >= MOST_FOLDS {
                let oldest = folds.iter().min_by_key(|(_, fold)| fold.last);
                if let Some(oldest) = oldest.map(|(key, _)| *key) {
                    folds.remove(&oldest);
                }
            }
        }
        let before = folds.get(&key);
        let before = before.filter(|fold| now.saturating_sub(fold.last) <= FOLDED_FOR);
        let apart = before.map_or(0, |fold| fold.apart);
        let fold = Fold {
            id,
            text: like.text,
            times: 1,
            apart: apart + 1,
            last: now,
            told: now,
            written: now,
            unwritten: false,
        };
        folds.insert(key, fold);
    }

    /// The numbers and counts of this user's that are not written down yet.
    pub(super) fn unwritten(&self, uid: u32) -> Vec<(u64, u64)> {
        let mut folds = self.folds();
        let of_user = folds.iter_mut().filter(|((user, _), _)| *user == uid);
        let unwritten = of_user.filter_map(|(_, fold)| {
            let unwritten = std::mem::take(&mut fold.unwritten);
            unwritten.then_some((fold.id, fold.times))
        });
        unwritten.collect()
    }

    fn folds(&self) -> MutexGuard<'_, HashMap<(u32, IncidentKind), Fold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OOM: IncidentKind = IncidentKind::OomKill;
    const REFUSED: IncidentKind = IncidentKind::RequestRefused;

    #[test]
    fn what_goes_on_is_counted_and_told_now_and_then() {
        let folds = Folds::default();
        let like = Like::new(1000, OOM, "python3 was killed");
        assert_eq!(folds.again(like, 0, false), None);
        folds.begin(like, 7, 0);
        let other_text = Like::new(1000, OOM, "R was killed");
        let told = (1..=1010)
            .filter_map(|at| folds.again(other_text, at * 50, false))
            .filter(|again| again.tell)
            .count();
        assert_eq!(told, 2, "in 50.5 seconds");
        assert_eq!(folds.unwritten(1000), [(7, 1011)]);
        assert_eq!(folds.unwritten(1000), []);
        assert_eq!(folds.again(Like::new(1001, OOM, ""), 60_000, false), None);
        assert_eq!(folds.again(like, 50_500 + FOLDED_FOR + 1, false), None);
    }

    #[test]
    fn what_is_to_be_told_is_not_counted_quietly() {
        let folds = Folds::default();
        let like = Like::new(1000, OOM, "");
        folds.begin(like, 1, 0);
        assert!(folds.again(like, 10, true).is_some());
        assert_eq!(folds.again(like, TOLD_AGAIN, true), None);
        assert_eq!(folds.again(like, TOLD_AGAIN, false).unwrap().times, 3);
    }

    #[test]
    fn different_sentences_are_kept_apart_up_to_a_number() {
        let folds = Folds::default();
        let mut kept = 0;
        for number in 0..100 {
            let like = Like::new(1000, REFUSED, &format!("{number} CPUs"));
            if folds.again(like, number, false).is_none() {
                folds.begin(like, number, number);
                kept += 1;
            }
        }
        assert_eq!(kept, MOST_APART);
    }

    #[test]
    fn there_are_no_more_rows_than_so_many() {
        let folds = Folds::default();
        for uid in 0..6000 {
            folds.begin(Like::new(uid, OOM, ""), 1, u64::from(uid));
        }
        assert_eq!(folds.folds().len(), MOST_FOLDS);
        let newest = Like::new(5999, OOM, "");
        assert!(folds.again(newest, 6000, false).is_some());
    }
}
