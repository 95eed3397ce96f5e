//! The values that policy takes, as they are written: a percentage stays one until it meets the
//! machine.

use std::fmt;
use std::time::Duration;

use fairshare_protocol::{Cpus, MemorySize, Period, Tasks};

use super::problem::quoted;
use crate::variables::Variables;

/// The shortest time that policy takes.
pub const SHORTEST_TIME: Duration = Duration::from_secs(1);
/// The longest time that policy takes.
pub const LONGEST_TIME: Duration = Duration::from_secs(366 * 24 * 3600);
/// The largest weight, of CPU and of disks: the kernel's.
pub const MAX_WEIGHT: u16 = 10_000;
/// The highest priority; the lowest is its negative.
pub const MAX_PRIORITY: i32 = 1000;

/// One value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Cpu(Cpus),
    Size(MemorySize),
    Tasks(Tasks),
    /// A part of what the machine has.
    Share(Hundredths),
    /// All that the machine has, or no end.
    Unlimited,
    Weight(u16),
    /// A weight that follows the allocation.
    Automatic,
    /// Percent of the memory limit.
    Percent(u8),
    /// Bytes per second.
    Rate(u64),
    Time(Duration),
    Priority(i32),
    Variables(Variables),
}

/// A number with two decimals, exact: percent, or a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hundredths(pub(super) u32);

impl Hundredths {
    /// One, or one percent.
    pub(super) const ONE: Self = Self(100);
    /// A hundred, or all.
    pub(super) const HUNDRED: Self = Self(10_000);

    /// The part that so many percent are of `whole`, rounded down.
    pub(super) fn percent_of(self, whole: u64) -> u64 {
        Self::product(whole, self.0, 10_000)
    }

    /// `whole` times this factor, rounded down.
    pub(super) fn times(self, whole: u64) -> u64 {
        Self::product(whole, self.0, 100)
    }

    fn product(whole: u64, by: u32, divisor: u128) -> u64 {
        u64::try_from(u128::from(whole) * u128::from(by) / divisor).unwrap_or(u64::MAX)
    }

    /// Reads `25`, `12.5` or `0.01`: digits with at most two decimals, up to a million.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let known = !whole.is_empty() && whole.len() <= 6 && fraction.len() <= 2;
        if !known || !digits(whole) || !digits(fraction) {
            return None;
        }
        format!("{whole}{fraction:0<2}").parse().ok().map(Self)
    }
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}"),
            rest => write!(f, "{whole}.{}", format!("{rest:02}").trim_end_matches('0')),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(cpus) => cpus.fmt(f),
            Self::Size(size) => size.fmt(f),
            Self::Tasks(tasks) => tasks.fmt(f),
            Self::Share(share) => write!(f, "{share}%"),
            Self::Unlimited => f.write_str("unlimited"),
            Self::Weight(weight) => weight.fmt(f),
            Self::Automatic => f.write_str("auto"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Rate(rate) => MemorySize::saturating_from_bytes(*rate).fmt(f),
            Self::Time(time) => f.write_str(&time_text(*time)),
            Self::Priority(priority) => priority.fmt(f),
            Self::Variables(variables) => variables.fmt(f),
        }
    }
}

/// A time as it may be written in a policy.
pub(super) fn time_text(time: Duration) -> String {
    let period = Period::from_seconds(time.as_secs());
    // What is no length of time on the wire is none that a file can give.
    period.map_or_else(
        || format!("{}s", time.as_secs()),
        |period| period.to_string(),
    )
}

/// Why a text is no value, as a sentence, and what to write.
pub(super) struct Invalid {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Invalid {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// Reads `25%`; `None` for a text that is no percentage.
pub(super) fn percentage(text: &str) -> Option<Result<Hundredths, Invalid>> {
    let number = text.strip_suffix('%')?.trim_end();
    let hundredths = match Hundredths::parse(number) {
        None => Err(Invalid::new(format!("{} is no percentage", quoted(text)))
            .hint("write a number from 0.01% to 100%, with at most two decimals")),
        Some(share) if share > Hundredths::HUNDRED => {
            Err(Invalid::new(format!("{share}% is more than all of it"))
                .hint("a percentage is at most 100%"))
        }
        Some(share) => Ok(share),
    };
    Some(hundredths)
}

/// Reads a count of CPUs.
pub(super) fn cpus(text: &str) -> Result<Value, Invalid> {
    // `.5` and `+2` are YAML numbers.
    let number = text.strip_prefix('+').unwrap_or(text);
    let padded = match number.strip_prefix('.') {
        Some(decimals) => format!("0.{decimals}"),
        None => number.to_owned(),
    };
    padded
        .parse()
        .map(Value::Cpu)
        .map_err(|error: fairshare_protocol::InvalidCpus| Invalid::new(error.to_string()))
}

/// Reads an amount of memory.
pub(super) fn size(text: &str) -> Result<Value, Invalid> {
    text.parse()
        .map(Value::Size)
        .map_err(|error| bad_size(&error))
}

fn bad_size(error: &fairshare_protocol::InvalidMemorySize) -> Invalid {
    Invalid::new(error.to_string())
        .hint("write for example 8G or 512M; K, M, G and T are powers of 1024")
}

/// Reads a count of tasks.
pub(super) fn tasks(text: &str) -> Result<Value, Invalid> {
    text.parse()
        .map(Value::Tasks)
        .map_err(|error: fairshare_protocol::InvalidTasks| Invalid::new(error.to_string()))
}

/// Reads a weight, or `auto` where that is taken.
pub(super) fn weight(text: &str, takes_auto: bool) -> Result<Value, Invalid> {
    if takes_auto && text == "auto" {
        return Ok(Value::Automatic);
    }
    let weight = text
        .parse()
        .ok()
        .filter(|weight| (1..=MAX_WEIGHT).contains(weight));
    weight.map(Value::Weight).ok_or_else(|| {
        let invalid = Invalid::new(format!("{} is no weight", quoted(text)));
        invalid.hint(if takes_auto {
            "write a whole number from 1 to 10000, or auto to follow the allocation"
        } else {
            "write a whole number from 1 to 10000; the kernel's own is 100"
        })
    })
}

/// Reads where the kernel begins to reclaim: percent of the memory limit, or `unlimited`.
pub(super) fn high(text: &str) -> Result<Value, Invalid> {
    if text == "unlimited" {
        return Ok(Value::Unlimited);
    }
    let percent = text
        .strip_suffix('%')
        .and_then(|text| text.trim_end().parse().ok());
    percent
        .filter(|percent| (1..=99).contains(percent))
        .map(Value::Percent)
        .ok_or_else(|| {
            Invalid::new(format!("{} is no part of the memory limit", quoted(text)))
                .hint("write a whole percentage of the user's own limit, 1% to 99%, or unlimited")
        })
}

/// Reads bytes per second, or `unlimited`.
pub(super) fn rate(text: &str) -> Result<Value, Invalid> {
    if text == "unlimited" {
        return Ok(Value::Unlimited);
    }
    let size: MemorySize = text
        .parse()
        .map_err(|error| bad_size(&error).hint("write bytes per second, for example 100M"))?;
    match size.bytes() {
        0 => Err(Invalid::new("nothing could be read or written").hint("write at least 1")),
        rate => Ok(Value::Rate(rate)),
    }
}

/// Reads a time such as `90m`, or `unlimited` where that is taken.
pub(super) fn time(text: &str, takes_unlimited: bool) -> Result<Value, Invalid> {
    let or = if takes_unlimited {
        ", or unlimited"
    } else {
        ""
    };
    let invalid = |message: String| Invalid {
        message,
        hint: Some(format!("write for example 90m, 8h or 7d{or}")),
    };
    if takes_unlimited && text == "unlimited" {
        return Ok(Value::Unlimited);
    }
    let time = humantime::parse_duration(text)
        .map_err(|_| invalid(format!("{} is no time", quoted(text))))?;
    if time.subsec_nanos() != 0 || !(SHORTEST_TIME..=LONGEST_TIME).contains(&time) {
        let message = format!("{} is not from 1s to 366d in whole seconds", quoted(text));
        return Err(invalid(message));
    }
    Ok(Value::Time(time))
}

/// Reads a priority.
pub(super) fn priority(text: &str) -> Result<Value, Invalid> {
    let priority = text.parse().ok();
    priority
        .filter(|priority| (-MAX_PRIORITY..=MAX_PRIORITY).contains(priority))
        .map(Value::Priority)
        .ok_or_else(|| {
            Invalid::new(format!("{} is no priority", quoted(text)))
                .hint("write a whole number from -1000 to 1000; a higher one comes first")
        })
}
