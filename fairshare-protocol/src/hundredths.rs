//! A measured figure with two decimals.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A figure that was measured: percent, or CPUs in use. Other than an allocation it may be 0.
///
/// On the wire it is a JSON number. What has more decimals is rounded; what is below 0 or too
/// large to count is taken for the end of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hundredths(u64);

impl Hundredths {
    /// The largest figure that goes over the wire as it is.
    pub const MAX: Self = Self(1_000_000_000_000);

    /// So many hundredths, [`Hundredths::MAX`] at the most.
    pub fn new(hundredths: u64) -> Self {
        Self(hundredths.min(Self::MAX.0))
    }

    /// In hundredths.
    pub fn count(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:02}", self.0 / 100, self.0 % 100);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Hundredths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            serializer.serialize_u64(self.0 / 100)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53 by Hundredths::MAX")]
            serializer.serialize_f64(self.0 as f64 / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Hundredths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Hundredths;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Hundredths, E> {
                Ok(Hundredths::new(number.saturating_mul(100)))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Hundredths, E> {
                self.visit_u64(u64::try_from(number).unwrap_or(0))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Hundredths, E> {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a cast of a float goes to the end of the range, and NaN to 0"
                )]
                Ok(Hundredths::new((number * 100.0).round() as u64))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_number_with_two_decimals_at_most() {
        for (hundredths, json) in [(0, "0"), (1, "0.01"), (150, "1.5"), (1200, "12")] {
            let figure = Hundredths::new(hundredths);
            assert_eq!(serde_json::to_string(&figure).unwrap(), json);
            assert_eq!(figure.to_string(), json);
            assert_eq!(serde_json::from_str::<Hundredths>(json).unwrap(), figure);
        }
        for (json, hundredths) in [
            ("0.149", 15),
            ("-3", 0),
            ("-0.5", 0),
            ("1e99", 1_000_000_000_000),
        ] {
            let figure: Hundredths = serde_json::from_str(json).unwrap();
            assert_eq!(figure.count(), hundredths, "{json}");
        }
        assert!(serde_json::from_str::<Hundredths>("\"1\"").is_err());
    }
}
