//! A count of tasks: processes and their threads, as the kernel's `pids.max` counts them.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::text::quote;

/// A number of tasks: 1 to 4 194 304, the kernel's largest `pid_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tasks {
    count: u64,
}

/// Why a text or number is no count of tasks. The display form is a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTasks {
    message: String,
}

impl Tasks {
    /// The largest count: the kernel's `PID_MAX_LIMIT`, see `proc_sys_kernel(5)`.
    pub const MAX: Self = Self { count: 4_194_304 };

    /// The count.
    pub fn count(self) -> u64 {
        self.count
    }

    /// The value for a count. `None` for 0 and above [`Tasks::MAX`].
    pub fn new(count: u64) -> Option<Self> {
        (1..=Self::MAX.count)
            .contains(&count)
            .then_some(Self { count })
    }
}

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.count.to_string())
    }
}

impl FromStr for Tasks {
    type Err = InvalidTasks;

    fn from_str(text: &str) -> Result<Self, InvalidTasks> {
        let digits_only = text.bytes().all(|b| b.is_ascii_digit());
        let count = if digits_only { text.parse().ok() } else { None };
        count.and_then(Self::new).ok_or_else(|| InvalidTasks {
            message: format!(
                "Invalid number of tasks: {} (give a whole number from 1 to {})",
                quote(text),
                Self::MAX
            ),
        })
    }
}

impl fmt::Display for InvalidTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InvalidTasks {}

impl Serialize for Tasks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.count)
    }
}

impl<'de> Deserialize<'de> for Tasks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Tasks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number of tasks from 1 to {}", Tasks::MAX)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Tasks, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Tasks, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_whole_numbers_within_the_kernels_range() {
        assert_eq!("1".parse::<Tasks>().unwrap().count(), 1);
        assert_eq!("4194304".parse::<Tasks>().unwrap(), Tasks::MAX);
        for text in [
            "",
            "0",
            "-1",
            "+5",
            "1.5",
            "4194305",
            "many",
            "99999999999999999999",
        ] {
            let error = text.parse::<Tasks>().unwrap_err().to_string();
            assert!(error.contains("from 1 to 4194304"), "{text}: {error}");
        }
    }

    #[test]
    fn a_fraction_on_the_wire_is_refused() {
        assert!(serde_json::from_str::<Tasks>("2.5").is_err());
        assert_eq!(serde_json::from_str::<Tasks>("25").unwrap().count(), 25);
    }
}
