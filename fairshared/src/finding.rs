//! What was found to have happened to a user, as whoever noticed it knows it: facts, no words.

use std::time::Duration;

use fairshare_protocol::{Allocation, MemorySize, Wish};

/// A user and what has happened to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) uid: u32,
    pub(crate) what: What,
}

impl Finding {
    pub(crate) fn new(uid: u32, what: What) -> Self {
        Self { uid, what }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The kernel killed processes at the limit of memory.
    OomKill {
        /// The process, where the kernel told which.
        victim: Option<Victim>,
        /// How many were killed, this one included.
        kills: u64,
    },
    /// The CPU limit held the slice back.
    CpuThrottled {
        /// The part of the time in which it was held back, in hundredths of a percent.
        share: u32,
        /// Over how long that is.
        over: Duration,
    },
    /// Processes or threads were not started.
    TasksLimit {
        /// How many.
        refused: u64,
    },
    /// The slice waited for memory.
    MemoryPressure {
        /// The part of the time in which something waited, in hundredths of a percent.
        share: u32,
        /// Over how long that is.
        over: Duration,
    },
    /// A request was refused.
    Refused {
        /// What was asked for.
        wish: Wish,
        /// Why not, as the user was told.
        sentence: String,
    },
    /// The lease of a grant has ended.
    LeaseEnded {
        /// What it was.
        grant: Allocation,
        /// What the user has from now on.
        now: Allocation,
    },
    /// A grant was taken back before its end.
    Reclaimed {
        /// Why, as a part of a sentence: 'your grant was not used'.
        why: String,
        /// What it was.
        grant: Allocation,
        /// What the user has from now on.
        now: Allocation,
    },
    /// Another policy gives the user something else.
    PolicyChanged {
        /// Before.
        from: Allocation,
        /// From now on.
        to: Allocation,
    },
}

/// A process that the kernel has killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    pub(crate) pid: u32,
    /// The name of its program, as its user made it.
    pub(crate) command: String,
    /// What it held.
    pub(crate) held: MemorySize,
}
