//! What can go wrong in the lab, worded for the person who has to find out why.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Output;

/// What the lab's functions return.
pub type Result<T> = std::result::Result<T, LabError>;

/// A failure in the lab.
#[derive(Debug)]
pub enum LabError {
    /// A file operation failed.
    Io {
        /// What was tried, as a verb: `read`, `create`.
        verb: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program is not installed.
    NoProgram {
        /// Its name.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A command ended with another status than 0.
    Command(Box<Output>),
    /// A named bound passed before what was waited for came.
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        bound: Duration,
        /// What was to be seen instead.
        seen: String,
    },
    /// Anything else, as a sentence.
    Other(String),
}

impl LabError {
    /// Wraps an I/O error with what was tried on which file; made for `map_err`.
    pub fn io(verb: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { verb, path, source }
    }

    /// A failure that is told by a sentence.
    pub fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { verb, path, source } => {
                write!(f, "cannot {verb} '{}': {source}", path.display())
            }
            Self::NoProgram { program, package } => write!(
                f,
                "'{program}' is not installed: it is in Debian's package '{package}' \
                 ('cargo xtask setup' installs all that is needed)"
            ),
            Self::Command(output) => write!(f, "{output}"),
            Self::Deadline { what, bound, seen } => {
                write!(f, "waited {:.1} s in vain for: {what}", bound.as_secs_f64())?;
                if seen.is_empty() {
                    Ok(())
                } else {
                    write!(f, "\n{}", seen.trim_end())
                }
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for LabError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<String> for LabError {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

impl From<&str> for LabError {
    fn from(text: &str) -> Self {
        Self::Other(text.to_owned())
    }
}
