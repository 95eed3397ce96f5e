//! For how long what has happened and what was used is kept.

use std::time::Duration;

use super::problem::quoted;
use super::value::{self, Invalid};

/// For how long history is kept where policy does not say: three years.
pub const BUILT_IN_KEEP: Duration = Duration::from_secs(3 * 366 * 24 * 3600);
/// The shortest time that policy takes: below it there would be nothing to report.
pub const SHORTEST_KEEP: Duration = Duration::from_secs(3600);

/// For how long history is kept; `None`: not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keep(pub(super) Option<Duration>);

impl Default for Keep {
    fn default() -> Self {
        Self(Some(BUILT_IN_KEEP))
    }
}

/// Reads how long history is kept.
pub(super) fn keep(text: &str) -> Result<Duration, Invalid> {
    const HINT: &str = "write a time from 1h to 366d, for example 90d";
    match value::time(text, false) {
        Ok(value::Value::Time(time)) if time >= SHORTEST_KEEP => Ok(time),
        Ok(_) => Err(Invalid::new(format!("{} is less than 1h", quoted(text))).hint(HINT)),
        Err(invalid) => Err(invalid.hint(HINT)),
    }
}
