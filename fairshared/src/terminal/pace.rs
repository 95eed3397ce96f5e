//! How many lines a user gets: a few at once, then one now and then.

use std::collections::HashMap;

use super::{BURST, ONE_LINE_EACH};

/// From this many users on, those who would get a whole burst again are forgotten.
const REMEMBERED_USERS: usize = 1024;

/// Each user's lines of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// For each user the moment at which a whole burst is left again, in milliseconds.
    rested_at: HashMap<u32, u64>,
}

impl Pace {
    /// Whether the user may get one more line now; it is counted.
    pub(super) fn admit(&mut self, uid: u32, now: u64) -> bool {
        if self.rested_at.len() >= REMEMBERED_USERS {
            self.rested_at.retain(|_, rested_at| *rested_at > now);
        }
        let each = u64::try_from(ONE_LINE_EACH.as_millis()).unwrap_or(u64::MAX);
        let rested_at = self.rested_at.entry(uid).or_insert(now);
        let after = (*rested_at).max(now).saturating_add(each);
        let admitted = after - now <= each.saturating_mul(u64::from(BURST));
        if admitted {
            *rested_at = after;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_each_ten_seconds_and_each_user_apart() {
        let mut pace = Pace::default();
        let burst = (0..BURST + 3).filter(|_| pace.admit(1000, 0)).count();
        assert_eq!(burst, BURST as usize);
        assert!(pace.admit(1001, 0));
        assert!(!pace.admit(1000, 9_999));
        assert!(pace.admit(1000, 10_000));
        assert!(!pace.admit(1000, 10_000));
        let later = (0..BURST + 3).filter(|_| pace.admit(1000, 1_000_000));
        assert_eq!(later.count(), BURST as usize);
    }

    #[test]
    fn those_who_rested_are_forgotten() {
        let mut pace = Pace::default();
        for uid in 0..10_000 {
            pace.admit(uid, u64::from(uid) * 20_000);
        }
        assert!(pace.rested_at.len() <= REMEMBERED_USERS);
    }
}
