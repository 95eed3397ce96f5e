//! The last looks at slices, in memory: what has been used lately, and who does nothing.

use std::collections::BTreeMap;

/// How long a look must be past to be compared with, in milliseconds: a shorter time is no average.
const LEAST_AGE: u64 = 30_000;

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

/// The last looks at a user's slice.
#[derive(Clone, Copy, Debug)]
struct Last {
    slice: u64,
    /// When the user came, where that was seen; as the rest.
    came: Option<u64>,
    earlier: (u64, u64),
    latest: (u64, u64),
    /// The last look that was a whole one.
    whole: (u64, u64),
}

/// The last looks at everybody's.
#[derive(Debug, Default)]
pub(crate) struct Recently {
    users: BTreeMap<u32, Last>,
}

impl Recently {
    /// What a user had used about a minute ago.
    pub(crate) fn a_minute_ago(&self, uid: u32, now: u64) -> Option<Recent> {
        let last = self.users.get(&uid)?;
        let is_past = |(at, _): (u64, u64)| at > 0 && now.saturating_sub(at) >= LEAST_AGE;
        let (at, cpu) = [last.latest, last.earlier]
            .into_iter()
            .find(|one| is_past(*one))?;
        let slice = last.slice;
        Some(Recent { at, slice, cpu })
    }

    /// A user has come, and had used nothing before.
    pub(crate) fn came(&mut self, uid: u32, now: u64) {
        self.users.entry(uid).or_insert(Last {
            slice: 0,
            came: Some(now),
            earlier: (0, 0),
            latest: (0, 0),
            whole: (0, 0),
        });
    }

    /// When the user came, where that was seen.
    pub(crate) fn when_came(&self, uid: u32) -> Option<u64> {
        self.users.get(&uid)?.came
    }

    /// The CPU time and the moment of the last look, and the same of the last whole one; where
    /// there were any at this slice.
    pub(crate) fn last(&self, uid: u32, slice: u64) -> Option<((u64, u64), (u64, u64))> {
        let last = self.users.get(&uid).filter(|last| last.slice == slice)?;
        Some((last.latest, last.whole))
    }

    /// A look at a user's slice was made.
    pub(crate) fn looked(&mut self, uid: u32, look: Recent, is_whole: bool) {
        let Recent { at, slice, cpu } = look;
        let before = self.users.get(&uid).copied();
        let same = before.filter(|last| last.slice == slice);
        let last = Last {
            slice,
            came: before.and_then(|last| last.came),
            // A second look right behind the first is no other moment.
            earlier: match same {
                Some(last) if at.saturating_sub(last.latest.0) < LEAST_AGE => last.earlier,
                Some(last) => last.latest,
                None => (0, 0),
            },
            latest: (at, cpu),
            whole: if is_whole {
                (at, cpu)
            } else {
                same.map_or((0, 0), |last| last.whole)
            },
        };
        self.users.insert(uid, last);
    }

    /// A user has gone.
    pub(crate) fn gone(&mut self, uid: u32) {
        self.users.remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_of_about_a_minute_ago_is_found() {
        let mut recently = Recently::default();
        let look = |at, cpu| Recent { at, slice: 7, cpu };
        assert_eq!(recently.a_minute_ago(1000, 500), None);
        recently.came(1000, 1);
        assert_eq!(recently.a_minute_ago(1000, 60_000), None);
        recently.looked(1000, look(60_000, 5), true);
        assert_eq!(recently.a_minute_ago(1000, 80_000), None);
        assert_eq!(recently.a_minute_ago(1000, 90_000), Some(look(60_000, 5)));
        recently.looked(1000, look(120_000, 9), false);
        assert_eq!(recently.a_minute_ago(1000, 121_000), Some(look(60_000, 5)));
        assert_eq!(recently.a_minute_ago(1000, 150_000), Some(look(120_000, 9)));
        assert_eq!(recently.last(1000, 7), Some(((120_000, 9), (60_000, 5))));
        assert_eq!(recently.when_came(1000), Some(1));
        // Another slice began from nothing.
        recently.looked(
            1000,
            Recent {
                slice: 8,
                ..look(180_000, 1)
            },
            true,
        );
        assert_eq!(recently.a_minute_ago(1000, 185_000), None);
        recently.gone(1000);
        assert_eq!(recently.when_came(1000), None);
    }
}
