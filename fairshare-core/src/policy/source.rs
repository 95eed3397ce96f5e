//! Policy files as texts, and places in them.

use std::fmt;

/// One policy file: what messages call it, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name in messages, usually the path.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Where something is written. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The name of the file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A stretch of one of the files that are read together, small enough to be kept with each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// The file's position among those read.
    pub(super) file: u32,
    /// The first byte.
    pub(super) start: u32,
    /// The byte behind the last.
    pub(super) end: u32,
    /// The line of the first byte, from 1.
    pub(super) line: u32,
    /// The column of the first byte in characters, from 1.
    pub(super) column: u32,
}

impl Spot {
    /// The place as messages name it.
    pub(super) fn place(self, files: &[String]) -> Place {
        let file = usize::try_from(self.file)
            .ok()
            .and_then(|index| files.get(index));
        Place {
            file: file.cloned().unwrap_or_default(),
            line: self.line,
            column: self.column,
        }
    }
}
