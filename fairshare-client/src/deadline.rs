//! One deadline for everything that a call does.

use std::time::{Duration, Instant};

/// The longest timeout that is counted; what goes beyond is cut. Keeps the clock from overflowing.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A point on the monotonic clock, which neither a step of the wall clock nor a signal moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    timeout: Duration,
}

impl Deadline {
    /// The deadline that lies `timeout` ahead.
    pub(crate) fn after(timeout: Duration) -> Self {
        Self {
            start: Instant::now(),
            timeout: timeout.min(LONGEST),
        }
    }

    /// What is left, never zero: a socket takes a timeout of zero to mean none. `None` once the
    /// deadline has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        self.timeout
            .checked_sub(self.start.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// The whole time, for the error that says how long was waited.
    pub(crate) fn timeout(self) -> Duration {
        self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_no_time_and_the_longest_time_does_not_overflow() {
        assert_eq!(Deadline::after(Duration::ZERO).left(), None);
        let left = Deadline::after(Duration::MAX).left().unwrap();
        assert!(left <= LONGEST && left > LONGEST / 2);
    }
}
