//! Whether a user's programs are held back for long by the limit on CPU, or wait for memory for long.
//!
//! A trigger tells that it begins. Then the kernel's own counts are compared over a minute, and only
//! what held for a good part of it is told. While that goes on it is looked at once a minute; after a
//! calm minute the trigger waits again.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::counts::{share, throttled};
use super::triggers::{Trigger, Triggers};
use crate::cgroup::{SliceCgroup, stalled};
use crate::finding::What;
use crate::kernel_file;

/// What wakes the daemon: a tenth of two seconds. Windows of whole two seconds need no privilege, and
/// no thread of the kernel, since Linux 6.5 and in Debian 12's 6.1.
const CPU_TRIGGER: &str = "full 200000 2000000";
const MEMORY_TRIGGER: &str = "some 200000 2000000";
/// Over how long it is looked at before it is told.
pub(super) const SUSTAINED: Duration = Duration::from_secs(60);
/// The part of that time from which on it is told, in hundredths of a percent.
pub(super) const CPU_SHARE: u32 = 5000;
pub(super) const MEMORY_SHARE: u32 = 2000;
/// How long it must have been calm before it is told again.
pub(super) const CALM: Duration = Duration::from_secs(10 * 60);

/// What is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strained {
    Cpu,
    Memory,
}

#[derive(Debug)]
pub(super) struct Strain {
    of: Strained,
    /// Waits for it to begin.
    trigger: Option<Trigger>,
    /// It has begun: since when it is compared, and with what.
    since: Option<(Instant, u64)>,
    /// It was told, and seen last at this moment.
    told: Option<Instant>,
}

/// What the last minute was like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Calm,
    /// As it was told before.
    Still,
    Told(What),
}

impl Strained {
    fn file(self) -> &'static str {
        match self {
            Self::Cpu => "cpu.pressure",
            Self::Memory => "memory.pressure",
        }
    }

    fn key(self, uid: u32) -> u64 {
        u64::from(uid) << 1 | u64::from(self == Self::Memory)
    }

    /// Whose trigger has this key.
    pub(super) fn of_key(key: u64) -> (u32, Self) {
        let of = if key & 1 == 0 {
            Self::Cpu
        } else {
            Self::Memory
        };
        (u32::try_from(key >> 1).unwrap_or(u32::MAX), of)
    }

    /// How long it has come to so far, in microseconds.
    fn micros(self, slice: &SliceCgroup) -> Option<u64> {
        let read = |name: &str| kernel_file::read(&slice.file(name)).ok();
        match self {
            Self::Cpu => throttled(&read("cpu.stat")?, &read("cpu.max")?),
            Self::Memory => stalled(&read("memory.pressure")?),
        }
    }
}

impl Strain {
    pub(super) fn new(of: Strained) -> Self {
        Self {
            of,
            trigger: None,
            since: None,
            told: None,
        }
    }

    pub(super) fn is_of(&self, of: Strained) -> bool {
        self.of == of
    }

    /// Waits for it to begin, unless it has.
    pub(super) fn arm(
        &mut self,
        triggers: &Triggers,
        uid: u32,
        slice: &SliceCgroup,
    ) -> io::Result<()> {
        if self.trigger.is_some() || self.since.is_some() {
            return Ok(());
        }
        let when = match self.of {
            Strained::Cpu => CPU_TRIGGER,
            Strained::Memory => MEMORY_TRIGGER,
        };
        let path = slice.file(self.of.file());
        self.trigger = Some(triggers.arm(&path, when, self.of.key(uid))?);
        Ok(())
    }

    /// It has begun, or the slice has gone.
    pub(super) fn fired(&mut self, slice: &SliceCgroup) {
        // One trigger fires once. A late event of one before changes nothing.
        if self.trigger.take().is_some() || self.since.is_none() {
            self.since = self.of.micros(slice).map(|micros| (Instant::now(), micros));
        }
    }

    /// When to judge it.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|(since, _)| since + SUSTAINED)
    }

    /// Judges the time since it began, or since it was judged last.
    pub(super) fn judge(&mut self, slice: &SliceCgroup) -> Judged {
        let now = Instant::now();
        let began = self.since.take();
        let (Some((since, before)), Some(micros)) = (began, self.of.micros(slice)) else {
            return Judged::Calm;
        };
        let over = now.duration_since(since);
        let share = share(micros.saturating_sub(before), over);
        let (least, what) = match self.of {
            Strained::Cpu => (CPU_SHARE, What::CpuThrottled { share, over }),
            Strained::Memory => (MEMORY_SHARE, What::MemoryPressure { share, over }),
        };
        if share < least {
            return Judged::Calm;
        }
        self.since = Some((now, micros));
        let still = self
            .told
            .is_some_and(|told| now.duration_since(told) < CALM);
        self.told = Some(now);
        if still {
            Judged::Still
        } else {
            Judged::Told(what)
        }
    }

    /// What was judged could not be told.
    pub(super) fn forget(&mut self) {
        self.told = None;
    }
}
