//! Whether a grant is used, looked at only when the ledger is about to take it for unused.
//!
//! A grant is in use where the user took more than the default would have given since the last
//! look: more CPU time than the default's CPUs come to in that time, or, at the moment of the look,
//! more memory in programs or more tasks than the default has. A look is made when a grant begins,
//! changes or is renewed, before the user is told that it is unused, and before it is taken back.
//! In between nothing is measured: a short burst of CPU in a long time counts by its average.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use fairshare_core::ledger::{Account, Moment};
use fairshare_protocol::Allocation;

use super::Book;

/// What a user's slice has used and uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Which slice: one that went and came again counts from nothing.
    pub(crate) slice: u64,
    /// CPU time since the slice began, in microseconds.
    pub(crate) cpu: u64,
    /// Memory that programs hold, in bytes.
    pub(crate) mem: u64,
    pub(crate) tasks: u64,
}

/// Looks at a user's slice; `None` where there is none or the kernel does not say.
pub(crate) type Look = Box<dyn Fn(u32) -> Option<Used> + Send>;

/// The last looks at those whose grants are taken back when they are not used.
#[derive(Default)]
pub(super) struct Usage {
    look: Option<Look>,
    last: HashMap<u32, (Moment, Used)>,
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Book {
    /// Looks at slices like this from now on. Until then every grant counts as used.
    pub(crate) fn look_with(&mut self, look: Look) {
        self.usage.look = Some(look);
        let users: BTreeSet<u32> = self.ledger.accounts().map(|(uid, _)| uid).collect();
        self.begin_to_measure(&users);
    }

    /// Looks at whoever is about to be told that a grant is unused, or to lose it for that.
    pub(super) fn look_at_use(&mut self) {
        for uid in self.ledger.idle_by(self.now) {
            let Some(account) = self.ledger.account(uid) else {
                continue;
            };
            if self.usage.is_used(uid, account, self.now) {
                self.ledger.note_use(uid, self.now);
            }
        }
    }

    /// Looks for the first time at those of these users whose grant has begun or changed.
    pub(super) fn begin_to_measure(&mut self, users: &BTreeSet<u32>) {
        for &uid in users {
            self.usage.begin(uid, self.ledger.account(uid), self.now);
        }
    }
}

impl Usage {
    fn begin(&mut self, uid: u32, account: Option<&Account>, now: Moment) {
        let grant = account
            .filter(|account| account.entitlement().idle.is_some())
            .and_then(Account::grant);
        let Some(grant) = grant else {
            self.last.remove(&uid);
            return;
        };
        let seen = self
            .last
            .get(&uid)
            .is_some_and(|(at, _)| *at >= grant.last_use);
        if !seen && let Some(used) = self.look_at(uid) {
            self.last.insert(uid, (now, used));
        }
    }

    /// Where there was no look before, what was used meanwhile is not known, and in favour of the
    /// user it is taken for used: after a restart the time begins anew.
    fn is_used(&mut self, uid: u32, account: &Account, now: Moment) -> bool {
        let Some(used) = self.look_at(uid) else {
            return self.look.is_none();
        };
        let before = self.last.insert(uid, (now, used));
        let default = account.entitlement().default;
        before.is_none_or(|(at, before)| {
            let millis = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
            exceeds(&default, before, used, millis)
        })
    }

    fn look_at(&self, uid: u32) -> Option<Used> {
        self.look.as_ref()?(uid)
    }
}

/// Whether more was used than the default would have given in this time.
fn exceeds(default: &Allocation, before: Used, now: Used, millis: u64) -> bool {
    let began = if before.slice == now.slice {
        before.cpu
    } else {
        0
    };
    // A thousandth of a CPU gives a microsecond in each millisecond.
    let given = default.cpu.thousandths().saturating_mul(millis);
    now.cpu.saturating_sub(began) > given
        || now.mem > default.mem.bytes()
        || now.tasks > default.tasks.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_default_would_have_given_is_use() {
        let default = Allocation {
            cpu: "2".parse().unwrap(),
            mem: "1G".parse().unwrap(),
            tasks: "100".parse().unwrap(),
        };
        let hour = 3_600_000;
        let before = Used {
            slice: 7,
            cpu: 50,
            mem: 0,
            tasks: 0,
        };
        let two_cpus = 2 * hour * 1000;
        let used = |cpu, mem, tasks| Used {
            slice: 7,
            cpu,
            mem,
            tasks,
        };
        for (now, is_use) in [
            (used(50, 0, 0), false),
            (used(50 + two_cpus, 1 << 30, 100), false),
            (used(51 + two_cpus, 0, 0), true),
            (used(50, (1 << 30) + 1, 0), true),
            (used(50, 0, 101), true),
        ] {
            assert_eq!(exceeds(&default, before, now, hour), is_use, "{now:?}");
        }
        // Another slice of the same name counts from nothing.
        let other = Used {
            slice: 8,
            ..used(two_cpus + 1, 0, 0)
        };
        assert!(exceeds(&default, before, other, hour));
    }
}
