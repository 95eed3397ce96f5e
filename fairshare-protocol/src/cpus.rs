//! A count of CPUs with fractions, exact to a hundredth.
//!
//! Floating point never enters a comparison: what policy says, what a user asks for and what the
//! kernel answers are compared as whole numbers.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::text::quote;

/// A number of CPUs: 0.01 to 100 000, in steps of 0.01.
///
/// The lower end is the kernel's: `cpu.max` takes no quota below 1 ms, which is 0.01 CPU in its
/// period of 100 ms. The step is systemd's: it keeps `CPUQuota=` in whole percent of a CPU, so a
/// finer figure would not survive a `daemon-reload`. On the wire it is a JSON number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpus {
    thousandths: u64,
}

/// Why a text or number is no count of CPUs. The display form is a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCpus {
    message: String,
}

impl Cpus {
    /// The smallest count: 0.01 CPU.
    pub const MIN: Self = Self { thousandths: 10 };
    /// The largest count: 100 000 CPUs, more than any kernel is built for.
    pub const MAX: Self = Self {
        thousandths: 100_000_000,
    };

    /// Microseconds of CPU time for each second of wall time, as systemd's `CPUQuotaPerSecUSec`
    /// counts them: one CPU is 1 000 000.
    pub fn quota_per_second(self) -> u64 {
        self.thousandths * 1000
    }

    /// The count for a quota in microseconds of CPU time per second, rounded down to a step.
    /// `None` outside of [`Cpus::MIN`] to [`Cpus::MAX`].
    pub fn from_quota_per_second(microseconds: u64) -> Option<Self> {
        Self::from_thousandths(microseconds / 10_000 * 10)
    }

    /// The count in thousandths of a CPU.
    pub fn thousandths(self) -> u64 {
        self.thousandths
    }

    /// The count for so many thousandths of a CPU. `None` outside of [`Cpus::MIN`] to
    /// [`Cpus::MAX`] and between two steps.
    pub fn from_thousandths(thousandths: u64) -> Option<Self> {
        let cpus = Self { thousandths };
        let valid = (Self::MIN..=Self::MAX).contains(&cpus) && thousandths.is_multiple_of(10);
        valid.then_some(cpus)
    }

    /// The count for a JSON or YAML number.
    pub fn from_number(number: f64) -> Result<Self, InvalidCpus> {
        // `Display` of f64 is its shortest exact decimal, so the text parser decides for both.
        number.to_string().parse()
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.thousandths / 1000, self.thousandths % 1000);
        if rest == 0 {
            return f.pad(&whole.to_string());
        }
        let digits = format!("{rest:03}");
        f.pad(&format!("{whole}.{}", digits.trim_end_matches('0')))
    }
}

impl FromStr for Cpus {
    type Err = InvalidCpus;

    fn from_str(text: &str) -> Result<Self, InvalidCpus> {
        let invalid = |reason: &str| InvalidCpus {
            message: format!("Invalid CPU count: {}{reason}", quote(text)),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let complete = !whole.is_empty() && (!text.contains('.') || !fraction.is_empty());
        if !complete || !digits_only(whole) || !digits_only(fraction) {
            return Err(invalid(" (give a number of CPUs such as 2 or 0.5)"));
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 2 {
            return Err(invalid(" (at most two decimals)"));
        }
        let out_of_range = || invalid(&format!(" (from {} to {})", Self::MIN, Self::MAX));
        let padded = format!("{whole}{fraction:0<3}");
        let thousandths = padded.parse().map_err(|_| out_of_range())?;
        Self::from_thousandths(thousandths).ok_or_else(out_of_range)
    }
}

impl fmt::Display for InvalidCpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InvalidCpus {}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.thousandths.is_multiple_of(1000) {
            serializer.serialize_u64(self.thousandths / 1000)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53 by Cpus::MAX")]
            serializer.serialize_f64(self.thousandths as f64 / 1000.0)
        }
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Cpus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of CPUs such as 2 or 0.5")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cpus, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cpus, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Cpus, E> {
                Cpus::from_number(number).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpus(text: &str) -> Cpus {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_writes_whole_and_fractional_counts() {
        for (text, shown, quota) in [
            ("4", "4", 4_000_000),
            ("0.5", "0.5", 500_000),
            ("1.50", "1.5", 1_500_000),
            ("0.25", "0.25", 250_000),
            ("100000", "100000", 100_000_000_000),
            ("0.010", "0.01", 10_000),
        ] {
            assert_eq!(cpus(text).to_string(), shown);
            assert_eq!(cpus(text).quota_per_second(), quota);
        }
    }

    #[test]
    fn refuses_what_is_no_count_and_says_what_to_give() {
        for (text, part) in [
            ("", "such as 2 or 0.5"),
            ("-1", "such as 2 or 0.5"),
            ("NaN", "such as 2 or 0.5"),
            ("inf", "such as 2 or 0.5"),
            ("1.", "such as 2 or 0.5"),
            (".5", "such as 2 or 0.5"),
            ("1e3", "such as 2 or 0.5"),
            ("0.125", "two decimals"),
            ("0", "from 0.01 to 100000"),
            ("0.00", "from 0.01 to 100000"),
            ("100001", "from 0.01 to 100000"),
            ("99999999999999999999999", "from 0.01 to 100000"),
        ] {
            let error = text.parse::<Cpus>().unwrap_err().to_string();
            assert!(error.starts_with("Invalid CPU count: "), "{text}: {error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn text_and_json_round_trip(hundredths in 1_u64..=10_000_000) {
            let value = Cpus::from_thousandths(hundredths * 10).unwrap();
            prop_assert_eq!(cpus(&value.to_string()), value);
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cpus>(&json).unwrap(), value);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Cpus>();
        }

        #[test]
        fn no_number_panics(number in any::<f64>()) {
            let _ = Cpus::from_number(number);
        }
    }
}
