//! Why a task failed, as a sentence for the developer.

use std::fmt;
use std::io;
use std::path::Path;

/// What the tasks return.
pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// A failure that is told, not handled.
#[derive(Debug)]
pub(crate) struct Problem(String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Wraps an I/O error with what was tried on which file; made for `map_err`.
    pub(crate) fn io(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(format!("cannot {verb} '{}': {error}", path.display()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
