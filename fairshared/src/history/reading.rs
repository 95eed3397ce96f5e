//! What a look at a slice tells, and what was used between two looks.
//!
//! The kernel counts from a slice's beginning on, so what was used between two looks is a
//! difference, and exact however far they are apart. Only memory and grants are what they are at a
//! look; between two they count as the middle of both.

use std::sync::Arc;

use crate::people::Person;

const MILLISECONDS: u64 = 1000;
const KIB: u64 = 1024;
/// Looks that are further apart than this, in milliseconds, had the daemon not running in between:
/// what was used then counts for the time of the second.
const LONGEST: u64 = 15 * 60 * MILLISECONDS;

/// A look at a user's slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) uid: u32,
    /// Which slice: its inode.
    pub(crate) slice: u64,
    /// When, as [`crate::clock::millis`] counts.
    pub(crate) at: u64,
    /// When, in seconds since 1970.
    pub(crate) wall: u64,
    /// When the user came, where that was seen, as `at` counts.
    pub(crate) came: Option<u64>,
    pub(crate) counted: Counted,
    /// Memory that counts against the limit, in bytes.
    pub(crate) charged: u64,
    /// Tasks.
    pub(crate) tasks: u64,
    /// Who the user is, where that is known.
    pub(crate) person: Option<Arc<Person>>,
}

/// What the kernel had counted for a slice at a look, and what it held then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// CPU time, in microseconds.
    pub(crate) cpu: u64,
    /// Time in which the CPU limit held something back, in microseconds.
    pub(crate) throttled: u64,
    /// Time in which something waited for memory, in microseconds.
    pub(crate) stalled: u64,
    /// Memory, page cache left out, in bytes.
    pub(crate) held: u64,
    /// The most memory charged at once since the slice began, in bytes; 0 where the kernel does not
    /// say.
    pub(crate) mem_peak: u64,
    /// The most tasks, likewise.
    pub(crate) tasks_peak: u64,
    /// What the user's grant has above the default, in thousandths of a CPU.
    pub(crate) grant_cpu: u64,
    /// The same for memory, in bytes.
    pub(crate) grant_mem: u64,
    /// Whether there is a grant.
    pub(crate) has_grant: bool,
}

/// The last look at a user's slice that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) slice: u64,
    pub(super) at: u64,
    pub(super) counted: Counted,
}

/// What was used in a piece of time. Sums but for the peaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) cpu_us: u64,
    pub(super) mem_kib_s: u64,
    pub(super) mem_peak: u64,
    pub(super) tasks_peak: u64,
    pub(super) throttled_us: u64,
    pub(super) stalled_us: u64,
    pub(super) grant_ms: u64,
    pub(super) grant_mcpu_s: u64,
    pub(super) grant_mem_kib_s: u64,
}

impl Reading {
    /// What was used since the last look, and when that time began, in seconds since 1970. `None`
    /// where there is nothing to compare with: a slice that was there before anybody looked counts
    /// from its first look on.
    pub(super) fn used_since(&self, seen: Option<&Seen>) -> Option<(u64, Used)> {
        let same = seen.filter(|seen| {
            seen.slice == self.slice && seen.at <= self.at && seen.counted.is_before(&self.counted)
        });
        let (before, since) = match (same, seen) {
            (Some(seen), _) => (seen.counted, seen.at),
            // Another slice of the same name began behind the last look, from nothing.
            (None, Some(seen)) => {
                let since = self.came.unwrap_or(self.at).max(seen.at);
                (self.counted.at_its_beginning(), since)
            }
            (None, None) => (self.counted.at_its_beginning(), self.came?),
        };
        let millis = self.at.saturating_sub(since);
        let used = self.used(&before, millis);
        let began = if millis > LONGEST {
            self.wall
        } else {
            self.wall.saturating_sub(millis / MILLISECONDS)
        };
        Some((began, used))
    }

    fn used(&self, before: &Counted, millis: u64) -> Used {
        let now = &self.counted;
        // A peak that has not risen was in another piece of time; then what is there now counts.
        let peak = |before: u64, after: u64, current: u64| {
            if after > before { after } else { current }
        };
        Used {
            cpu_us: now.cpu.saturating_sub(before.cpu),
            mem_kib_s: over_time(before.held / KIB, now.held / KIB, millis),
            mem_peak: peak(before.mem_peak, now.mem_peak, self.charged),
            tasks_peak: peak(before.tasks_peak, now.tasks_peak, self.tasks),
            throttled_us: now.throttled.saturating_sub(before.throttled),
            stalled_us: now.stalled.saturating_sub(before.stalled),
            grant_ms: over_time(
                u64::from(before.has_grant) * MILLISECONDS,
                u64::from(now.has_grant) * MILLISECONDS,
                millis,
            ),
            grant_mcpu_s: over_time(before.grant_cpu, now.grant_cpu, millis),
            grant_mem_kib_s: over_time(before.grant_mem / KIB, now.grant_mem / KIB, millis),
        }
    }

    /// What is kept of it for the next look.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            slice: self.slice,
            at: self.at,
            counted: self.counted,
        }
    }
}

impl Counted {
    /// Counters never go back: where one has, it is another slice that was given the same inode.
    fn is_before(&self, later: &Self) -> bool {
        self.cpu <= later.cpu && self.throttled <= later.throttled
    }

    /// What there was when the slice began. What it holds it is taken to have held since then.
    fn at_its_beginning(&self) -> Self {
        Self {
            cpu: 0,
            throttled: 0,
            stalled: 0,
            mem_peak: 0,
            tasks_peak: 0,
            ..*self
        }
    }
}

impl Used {
    /// Two pieces of time together.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.cpu_us, other.cpu_us),
            (&mut self.mem_kib_s, other.mem_kib_s),
            (&mut self.throttled_us, other.throttled_us),
            (&mut self.stalled_us, other.stalled_us),
            (&mut self.grant_ms, other.grant_ms),
            (&mut self.grant_mcpu_s, other.grant_mcpu_s),
            (&mut self.grant_mem_kib_s, other.grant_mem_kib_s),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.mem_peak = self.mem_peak.max(other.mem_peak);
        self.tasks_peak = self.tasks_peak.max(other.tasks_peak);
    }
}

/// The middle of two figures, times the time between them in seconds.
fn over_time(before: u64, now: u64, millis: u64) -> u64 {
    let twice = u128::from(before) + u128::from(now);
    let product = twice * u128::from(millis) / (2 * u128::from(MILLISECONDS));
    u64::try_from(product).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(slice: u64, at: u64, cpu: u64) -> Reading {
        Reading {
            uid: 1000,
            slice,
            at,
            wall: 1_000_000 + at / 1000,
            counted: Counted {
                cpu,
                held: 4 << 20,
                mem_peak: 9 << 20,
                ..Counted::default()
            },
            charged: 5 << 20,
            ..Reading::default()
        }
    }

    #[test]
    fn what_was_used_is_the_difference_of_two_looks() {
        let first = reading(7, 60_000, 1_000);
        assert_eq!(first.used_since(None), None, "nobody saw the slice begin");
        let mut second = reading(7, 120_000, 5_000);
        second.counted.held = 2 << 20;
        let (began, used) = second.used_since(Some(&first.seen())).unwrap();
        assert_eq!((began, used.cpu_us), (1_000_060, 4_000));
        assert_eq!(
            used.mem_kib_s,
            3 * 1024 * 60,
            "the middle of both, for a minute"
        );
        assert_eq!(used.mem_peak, 5 << 20, "the peak was earlier");
        second.counted.mem_peak = 10 << 20;
        let (_, used) = second.used_since(Some(&first.seen())).unwrap();
        assert_eq!(used.mem_peak, 10 << 20);
    }

    #[test]
    fn a_slice_that_came_again_counts_from_nothing() {
        let first = reading(7, 60_000, 9_000);
        let mut second = reading(8, 120_000, 4_000);
        let (_, used) = second.used_since(Some(&first.seen())).unwrap();
        assert_eq!((used.cpu_us, used.mem_kib_s), (4_000, 0));
        second.came = Some(110_000);
        let (began, used) = second.used_since(Some(&first.seen())).unwrap();
        assert_eq!((began, used.mem_kib_s), (1_000_110, 4 * 1024 * 10));
        // The same inode, and less than was counted: another one all the same.
        let third = reading(7, 120_000, 4_000);
        assert_eq!(
            third.used_since(Some(&first.seen())).unwrap().1.cpu_us,
            4_000
        );
        // Somebody who came, looked at for the first time.
        assert_eq!(second.used_since(None).unwrap().1.cpu_us, 4_000);
    }

    #[test]
    fn what_was_used_while_the_daemon_did_not_run_is_not_lost() {
        let first = reading(7, 60_000, 1_000);
        let later = reading(7, 60_000 + 3 * 3_600_000, 8_000);
        let (began, used) = later.used_since(Some(&first.seen())).unwrap();
        assert_eq!((began, used.cpu_us), (later.wall, 7_000));
    }
}
