//! How long a request may wait in the queue.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::Period;

/// How long a `resize` that does not fit now waits for its turn. On the wire it is `true` or a
/// length of time; not to wait is to leave it out, or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// As long as policy lets a request wait.
    Allowed,
    /// At most so long, and no longer than policy lets it.
    AtMost(Period),
}

impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Allowed => serializer.serialize_bool(true),
            Self::AtMost(period) => period.serialize(serializer),
        }
    }
}

/// Reads the member of a request; `false` and `null` are not to wait.
pub(crate) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Wait>, D::Error> {
    struct Choice;

    impl Visitor<'_> for Choice {
        type Value = Option<Wait>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or a length of time in quotes such as \"2h\"")
        }

        fn visit_bool<E: de::Error>(self, waits: bool) -> Result<Option<Wait>, E> {
            Ok(waits.then_some(Wait::Allowed))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<Wait>, E> {
            let period = text.parse().map_err(E::custom)?;
            Ok(Some(Wait::AtMost(period)))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<Wait>, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Choice)
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        optional(deserializer)?
            .ok_or_else(|| de::Error::custom("expected true or a length of time"))
    }
}
