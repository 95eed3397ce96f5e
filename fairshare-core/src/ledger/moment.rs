//! Time as the ledger takes it: an argument, never a clock of its own.

use std::time::Duration;

/// A point in time: milliseconds of `CLOCK_BOOTTIME`, which goes on during suspend and which no
/// change of the wall clock moves. It means nothing after a reboot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    millis: u64,
}

impl Moment {
    /// The boot.
    pub const ZERO: Self = Self { millis: 0 };

    /// So many milliseconds after the boot.
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// Milliseconds since the boot.
    pub const fn millis(self) -> u64 {
        self.millis
    }

    /// So much later; the end of time at most.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.millis.saturating_add(span))
    }

    /// So much earlier; the boot at least.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.millis.saturating_sub(span))
    }

    /// How long after an earlier moment; nothing if that one is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis.saturating_sub(earlier.millis))
    }
}
