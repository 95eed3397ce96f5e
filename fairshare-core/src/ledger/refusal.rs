//! Why the ledger refuses, for programs and for people.

use std::fmt;
use std::time::Duration;

use fairshare_protocol::{Allocation, ErrorCode, MemorySize};

use super::{Holder, Moment, Resource, Share};

/// Why the ledger refused. The display form is the sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Above policy's maximum: a sentence for each resource that is.
    AboveMaximum(Vec<String>),
    /// Below policy's minimum.
    BelowMinimum {
        /// A sentence for each resource that is.
        sentences: Vec<String>,
        /// Whether the minimum is the default in all of them: policy lets nobody have less.
        is_default: bool,
    },
    /// More than is left of the capacity or of a budget.
    NoCapacity(Box<Shortage>),
    /// It would fit, but others wait who would have to wait longer for it.
    OthersWait {
        /// How many wait before.
        ahead: usize,
        /// When the first of them can be served at the latest, where the ends of leases say so.
        start: Option<Moment>,
    },
    /// More than will ever be left, whoever goes.
    NeverFits(Vec<Short>),
    /// Longer than policy lets a grant last.
    LeaseTooLong {
        /// What was asked for.
        asked: Duration,
        /// What policy allows.
        longest: Duration,
    },
    /// The grant has no lease that could be renewed.
    NoLease,
    /// A first grant was asked for while one is held.
    GrantHeld,
    /// There is no grant to give back.
    NoGrant,
    /// The user has no session.
    NoSession,
    /// The user has a request in the queue.
    AlreadyWaiting,
    /// Nothing more is asked for than the user has: there is nothing to wait for.
    NothingToWaitFor,
    /// So many requests wait that no further one may.
    QueueFull,
    /// Less memory than is in use.
    MemoryInUse {
        /// What programs hold.
        used: MemorySize,
        /// What the limit would be.
        wanted: MemorySize,
    },
}

/// What was asked for and is not left, with what there is to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What is short.
    pub short: Vec<Short>,
    /// The largest allocation that would be admitted now in place of the one asked for.
    pub largest: Allocation,
    /// Who holds most of what is short, largest first, at most
    /// [`MOST_HOLDERS`](super::MOST_HOLDERS).
    pub holders: Vec<Holder>,
    /// The next lease that ends and makes some room, and whose it is.
    pub next_end: Option<(Moment, u32)>,
}

/// A resource of which too little is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Of what.
    pub share: Share,
    /// Which.
    pub resource: Resource,
    /// The figure asked for.
    pub asked: u64,
    /// The largest figure that is possible.
    pub possible: u64,
}

impl Refusal {
    /// The code for programs.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::AboveMaximum(_) => ErrorCode::AboveMaximum,
            Self::BelowMinimum {
                is_default: true, ..
            } => ErrorCode::BelowDefault,
            Self::BelowMinimum { .. } => ErrorCode::BelowMinimum,
            Self::NoCapacity(shortage) => short_code(&shortage.short),
            Self::NeverFits(short) => short_code(short),
            Self::OthersWait { .. } => ErrorCode::NoCapacity,
            Self::LeaseTooLong { .. } => ErrorCode::AboveLease,
            Self::NoLease => ErrorCode::NoLease,
            Self::GrantHeld => ErrorCode::GrantHeld,
            Self::NoGrant => ErrorCode::NoGrant,
            Self::NoSession => ErrorCode::NoSession,
            Self::AlreadyWaiting => ErrorCode::AlreadyWaiting,
            Self::NothingToWaitFor => ErrorCode::InvalidValue,
            Self::QueueFull => ErrorCode::QueueFull,
            Self::MemoryInUse { .. } => ErrorCode::MemoryInUse,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveMaximum(sentences) | Self::BelowMinimum { sentences, .. } => {
                write!(f, "Request validation failed: {}", sentences.join("; "))
            }
            Self::NoCapacity(shortage) => write_short(f, &shortage.short, "has too little left"),
            Self::NeverFits(short) => write_short(f, short, "will never have that much left"),
            Self::OthersWait { ahead: 1, .. } => {
                f.write_str("Another request is waiting and would have to wait longer")
            }
            Self::OthersWait { ahead, .. } => {
                write!(
                    f,
                    "{ahead} other requests are waiting and would have to wait longer"
                )
            }
            Self::LeaseTooLong { asked, longest } => write!(
                f,
                "Request validation failed: Requested time ({}) exceeds maximum allowed ({})",
                span(*asked),
                span(*longest)
            ),
            Self::NoLease => f.write_str("The grant has no lease: it ends with the last session"),
            Self::GrantHeld => {
                f.write_str("User already has an active resource allocation. Release it first.")
            }
            Self::NoGrant => f.write_str("No grant is held: the allocation is the default"),
            Self::NoSession => f.write_str("No open session of this user is known"),
            Self::AlreadyWaiting => f.write_str("A request of this user is waiting already"),
            Self::NothingToWaitFor => {
                f.write_str("Nothing more is asked for than the user has already")
            }
            Self::QueueFull => f.write_str("Too many requests are waiting"),
            Self::MemoryInUse { used, wanted } => write!(
                f,
                "Memory in use ({}) is more than {wanted}: processes would be killed",
                used.rounded()
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// The budget's code where only budgets are short: room on the machine would not help.
fn short_code(short: &[Short]) -> ErrorCode {
    if short.iter().any(|short| short.share == Share::Machine) {
        ErrorCode::NoCapacity
    } else {
        ErrorCode::OverBudget
    }
}

/// `The machine has too little left: CPU: 4 asked for, 3 possible now; memory: …`, and the same
/// for each budget that is short.
fn write_short(f: &mut fmt::Formatter<'_>, short: &[Short], verb: &str) -> fmt::Result {
    let mut last = None;
    for each in short {
        if last == Some(&each.share) {
            f.write_str("; ")?;
        } else {
            f.write_str(if last.is_some() { ". " } else { "" })?;
            match &each.share {
                Share::Machine => write!(f, "The machine {verb}: ")?,
                Share::Budget(name) => write!(f, "The budget of group '{name}' {verb}: ")?,
            }
        }
        let (asked, possible) = (
            each.resource.figure(each.asked),
            each.resource.figure(each.possible),
        );
        write!(
            f,
            "{}: {asked} asked for, {possible} possible",
            each.resource
        )?;
        if verb == "has too little left" {
            f.write_str(" now")?;
        }
        last = Some(&each.share);
    }
    Ok(())
}

/// `1d 2h`, `90m` as `1h 30m`, `45s`: whole seconds.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts: Vec<String> = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, unit)| format!("{count}{unit}"))
    .collect();
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}
