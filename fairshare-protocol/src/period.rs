//! A length of time as people write it: `2h`, `90m`, `1d12h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::text::quote;

/// A length of time: whole seconds, from 1 s to 366 days.
///
/// In text it is numbers with units, added up: `2h`, `90m`, `1d12h`, `1h 30m`. The units are
/// spelled as the humantime crate spells them, so that a policy file and a request read alike:
/// `s`, `m`, `h`, `d` and `w` with their longer forms, in lower case. There are no months and no
/// years, whose length depends on which. On the wire it is a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    seconds: u64,
}

/// Why a text is no length of time. The display form is a whole sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPeriod {
    message: String,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

impl Period {
    /// The shortest: one second.
    pub const MIN: Self = Self { seconds: 1 };
    /// The longest: 366 days, a year whichever it is.
    pub const MAX: Self = Self { seconds: 366 * DAY };

    /// The length in seconds.
    pub fn seconds(self) -> u64 {
        self.seconds
    }

    /// The length of so many seconds. `None` outside of [`Period::MIN`] to [`Period::MAX`].
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        let period = Self { seconds };
        (Self::MIN..=Self::MAX).contains(&period).then_some(period)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        Self::from_secs(period.seconds)
    }
}

/// `1d12h`: days, hours, minutes and seconds, without those that are zero.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut rest = self.seconds;
        for (unit, letter) in [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm'), (1, 's')] {
            let count = rest / unit;
            rest %= unit;
            if count > 0 {
                text.push_str(&count.to_string());
                text.push(letter);
            }
        }
        f.pad(&text)
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let invalid = |reason: &str| InvalidPeriod {
            message: format!("Invalid length of time: {}{reason}", quote(text)),
        };
        let malformed = || invalid(" (give a number and a unit such as 90m, 2h or 1d12h)");
        let out_of_range = || invalid(&format!(" (from {} to {})", Self::MIN, Self::MAX));
        let mut seconds = 0_u64;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(malformed());
        }
        while !rest.is_empty() {
            let (digits, behind) = split(rest, |c| c.is_ascii_digit());
            let (unit, behind) = split(behind.trim_start(), char::is_alphabetic);
            let unit = unit_seconds(unit).ok_or_else(malformed)?;
            if digits.is_empty() {
                return Err(malformed());
            }
            seconds = digits
                .parse::<u64>()
                .ok()
                .and_then(|count| count.checked_mul(unit))
                .and_then(|part| part.checked_add(seconds))
                .ok_or_else(out_of_range)?;
            rest = behind.trim_start();
        }
        Self::from_seconds(seconds).ok_or_else(out_of_range)
    }
}

/// The beginning of the text whose characters are such, and what is behind it.
fn split(text: &str, such: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !such(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn unit_seconds(word: &str) -> Option<u64> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "wk" | "wks" | "week" | "weeks" => WEEK,
        _ => return None,
    })
}

impl fmt::Display for InvalidPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InvalidPeriod {}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time in quotes such as \"2h\" or \"90m\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
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

    fn seconds(text: &str) -> u64 {
        text.parse::<Period>().unwrap().seconds()
    }

    #[test]
    fn every_unit_in_every_spelling_and_parts_add_up() {
        for (spellings, unit) in [
            ("s sec secs second seconds", 1),
            ("m min mins minute minutes", 60),
            ("h hr hrs hour hours", 3600),
            ("d day days", 86_400),
            ("w wk wks week weeks", 604_800),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(seconds(&format!("3{spelling}")), 3 * unit);
                assert_eq!(seconds(&format!(" 3 {spelling} ")), 3 * unit);
            }
        }
        assert_eq!(seconds("1d12h"), 36 * 3600);
        assert_eq!(seconds("1h 30m"), 90 * 60);
        assert_eq!(seconds("30m1h"), 90 * 60);
        assert_eq!(seconds("0h1s"), 1);
    }

    #[test]
    fn shows_whole_units_from_the_largest() {
        for (text, shown) in [
            ("90m", "1h30m"),
            ("7200s", "2h"),
            ("1w", "7d"),
            ("1d1s", "1d1s"),
            ("366d", "366d"),
        ] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_is_no_length_and_says_what_to_give() {
        for (text, part) in [
            ("", "such as 90m"),
            ("2", "such as 90m"),
            ("h", "such as 90m"),
            ("-1h", "such as 90m"),
            ("+1h", "such as 90m"),
            ("1.5h", "such as 90m"),
            ("1H", "such as 90m"),
            ("2M", "such as 90m"),
            ("1y", "such as 90m"),
            ("500ms", "such as 90m"),
            ("1h,30m", "such as 90m"),
            ("forever", "such as 90m"),
            ("0s", "from 1s to 366d"),
            ("366d1s", "from 1s to 366d"),
            ("99999999999999999999s", "from 1s to 366d"),
            ("9999999999999999999w", "from 1s to 366d"),
            // In 64 bits these would come to 44 s and to 1 s.
            ("307445734561825861m", "from 1s to 366d"),
            ("18446744073709551615s2s", "from 1s to 366d"),
        ] {
            let error = text.parse::<Period>().unwrap_err().to_string();
            assert!(error.starts_with("Invalid length of time: "), "{error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_number_on_the_wire_is_refused() {
        assert!(serde_json::from_str::<Period>("7200").is_err());
        assert_eq!(seconds("2h"), 7200);
    }

    proptest! {
        #[test]
        fn text_and_json_round_trip(seconds in 1_u64..=366 * 86_400) {
            let period = Period::from_seconds(seconds).unwrap();
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
            let json = serde_json::to_string(&period).unwrap();
            prop_assert_eq!(serde_json::from_str::<Period>(&json).unwrap(), period);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Period>();
        }

        #[test]
        fn nothing_made_of_numbers_and_units_panics(
            text in "[0-9]{0,22}[smhdw ]{0,3}[0-9]{0,22}[smhdw]?",
        ) {
            let _ = text.parse::<Period>();
        }
    }
}
