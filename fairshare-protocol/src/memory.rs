//! An amount of memory in bytes, written with binary units as systemd reads them.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::text::quote;

/// The units, largest first: the letter and the bytes it stands for.
const UNITS: [(char, u64); 4] = [
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];

/// An amount of memory: 0 to 2^60 bytes (1 EiB).
///
/// Read with the units `K`, `M`, `G`, `T`, each alone or followed by `B` or `iB`, in any case, all
/// powers of 1024 as in systemd's `MemoryMax=`; without a unit it is bytes. A fraction is rounded
/// down to a whole byte. On the wire it is a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MemorySize {
    bytes: u64,
}

/// Why a text is no amount of memory. The display form is a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMemorySize {
    message: String,
}

impl MemorySize {
    /// No memory at all.
    pub const ZERO: Self = Self { bytes: 0 };
    /// The largest amount: 2^60 bytes.
    pub const MAX: Self = Self { bytes: 1 << 60 };

    /// The amount in bytes.
    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// The amount for so many bytes. `None` above [`MemorySize::MAX`].
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        (bytes <= Self::MAX.bytes).then_some(Self { bytes })
    }

    /// The amount for so many bytes, [`MemorySize::MAX`] at the most.
    pub fn saturating_from_bytes(bytes: u64) -> Self {
        Self {
            bytes: bytes.min(Self::MAX.bytes),
        }
    }

    /// A short form for people: at most one decimal, rounded, never used where the figure must be
    /// exact.
    pub fn rounded(self) -> String {
        for (unit, size) in UNITS {
            if self.bytes >= size {
                let tenths =
                    (u128::from(self.bytes) * 10 + u128::from(size) / 2) / u128::from(size);
                return match tenths % 10 {
                    0 => format!("{}{unit}", tenths / 10),
                    rest => format!("{}.{rest}{unit}", tenths / 10),
                };
            }
        }
        self.bytes.to_string()
    }
}

/// Exact: the largest unit that leaves a whole number, so `1.5G` shows as `1536M`.
impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in UNITS {
            if self.bytes != 0 && self.bytes.is_multiple_of(size) {
                return f.pad(&format!("{}{unit}", self.bytes / size));
            }
        }
        f.pad(&self.bytes.to_string())
    }
}

impl FromStr for MemorySize {
    type Err = InvalidMemorySize;

    fn from_str(text: &str) -> Result<Self, InvalidMemorySize> {
        let invalid = || InvalidMemorySize {
            message: format!("Invalid memory size format: {}", quote(text)),
        };
        let too_large = || InvalidMemorySize {
            message: format!(
                "Memory size too large: {} (at most {})",
                quote(text),
                Self::MAX
            ),
        };
        let trimmed = text.trim();
        let end = trimmed
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(end);
        let multiplier = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            "t" | "tb" | "tib" => 1 << 40,
            _ => return Err(invalid()),
        };
        let (whole, fraction) = match number.split_once('.') {
            None => (number, ""),
            Some((_, "")) => return Err(invalid()),
            Some(parts) => parts,
        };
        if whole.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        let whole: u128 = whole.parse().map_err(|_| too_large())?;
        // Digits behind the twelfth are below a byte of the largest unit.
        let fraction = fraction.get(..12).unwrap_or(fraction);
        let numerator: u128 = match fraction {
            "" => 0,
            digits => digits.parse().map_err(|_| invalid())?,
        };
        let denominator = fraction.bytes().fold(1_u128, |power, _| power * 10);
        whole
            .checked_mul(multiplier)
            .and_then(|bytes| bytes.checked_add(numerator * multiplier / denominator))
            .and_then(|bytes| u64::try_from(bytes).ok())
            .and_then(Self::from_bytes)
            .ok_or_else(too_large)
    }
}

impl fmt::Display for InvalidMemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InvalidMemorySize {}

impl Serialize for MemorySize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemorySize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = MemorySize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a memory size in quotes such as \"8G\" or \"512M\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MemorySize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> u64 {
        text.parse::<MemorySize>().unwrap().bytes()
    }

    #[test]
    fn every_unit_is_a_power_of_1024_in_every_spelling() {
        for (letter, size) in [
            ("K", 1_u64 << 10),
            ("M", 1 << 20),
            ("G", 1 << 30),
            ("T", 1 << 40),
        ] {
            for spelling in [
                letter.to_owned(),
                format!("{letter}B"),
                format!("{letter}iB"),
            ] {
                assert_eq!(bytes(&format!("3{spelling}")), 3 * size);
                assert_eq!(bytes(&format!("3 {}", spelling.to_lowercase())), 3 * size);
                assert_eq!(bytes(&format!("1.5{spelling}")), size + size / 2);
            }
        }
        assert_eq!(bytes("4096"), 4096);
        assert_eq!(bytes("10B"), 10);
        assert_eq!(bytes("0"), 0);
    }

    #[test]
    fn shows_the_largest_unit_that_is_exact() {
        for (text, shown) in [
            ("16G", "16G"),
            ("1.5G", "1536M"),
            ("1024K", "1M"),
            ("1025K", "1025K"),
            ("1000", "1000"),
            ("0", "0"),
        ] {
            assert_eq!(text.parse::<MemorySize>().unwrap().to_string(), shown);
        }
        for (text, shown) in [
            ("6.1G", "6.1G"),
            ("1023K", "1023K"),
            ("8G", "8G"),
            ("12", "12"),
        ] {
            assert_eq!(text.parse::<MemorySize>().unwrap().rounded(), shown);
        }
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in [
            "invalid", "", "G", "-1G", "1..5G", "1.G", ".5G", "1X", "1GG", "0x10", "∞",
        ] {
            let error = text.parse::<MemorySize>().unwrap_err().to_string();
            assert!(
                error.starts_with("Invalid memory size format: "),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_size_too_large_is_an_error_and_never_wraps() {
        for text in [
            "20000000T",
            "1048577T",
            "99999999999999999999999999999999999999999T",
        ] {
            let error = text.parse::<MemorySize>().unwrap_err().to_string();
            assert!(
                error.starts_with("Memory size too large: "),
                "{text}: {error}"
            );
        }
        assert_eq!(bytes("1048576T"), MemorySize::MAX.bytes());
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes in 0_u64..=1 << 60) {
            let size = MemorySize::from_bytes(bytes).unwrap();
            prop_assert_eq!(size.to_string().parse::<MemorySize>().unwrap(), size);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<MemorySize>();
        }
    }
}
