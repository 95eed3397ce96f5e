//! Lines: how a message becomes bytes on the stream, and bytes become lines again.

use std::fmt;
use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// The longest line, in bytes without its newline, but for a long reply. A longer one ends the
/// connection.
pub const MAX_LINE: usize = 64 * 1024;

/// The longest reply to `list`, `usage`, `processes`, `queue`, `strays`, `explain`, `policy_diff`,
/// `incidents`, `report`, `metrics` and `reload`, in bytes without its newline: room for more than
/// 50 000 users in a list.
pub const MAX_LIST_LINE: usize = 8 * 1024 * 1024;

/// The message as one line, newline included, with a space behind each `:` and `,`: the form in
/// which the specification shows it.
///
/// # Errors
/// Only if the message holds a map whose keys are not strings; no message of this crate does.
pub fn encode<M: Serialize>(message: &M) -> Result<String, serde_json::Error> {
    let mut line = Vec::with_capacity(128);
    message.serialize(&mut serde_json::Serializer::with_formatter(
        &mut line, Spaced,
    ))?;
    line.push(b'\n');
    // serde_json writes UTF-8 only; the check costs nothing beside the call that carries the line.
    String::from_utf8(line).map_err(serde::ser::Error::custom)
}

/// The line grew past its limit without a newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line longer than {} bytes", self.limit)
    }
}

impl std::error::Error for LineTooLong {}

/// Collects bytes as they arrive and hands out whole lines. Holds at most the limit of an
/// unfinished line, and what one read brought with it.
#[derive(Debug)]
pub struct LineBuffer {
    limit: usize,
    bytes: Vec<u8>,
    /// Up to here no newline was found, so no byte is searched twice however it trickles.
    searched: usize,
}

impl Default for LineBuffer {
    /// Takes lines of up to [`MAX_LINE`].
    fn default() -> Self {
        Self::with_limit(MAX_LINE)
    }
}

impl LineBuffer {
    /// Takes lines of up to `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            bytes: Vec::new(),
            searched: 0,
        }
    }

    /// Adds bytes as they were read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line without its newline, or `None` when there is none yet.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, LineTooLong> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(offset) = unsearched.iter().position(|&byte| byte == b'\n') else {
            self.searched = self.bytes.len();
            return if self.searched > self.limit {
                Err(self.too_long())
            } else {
                Ok(None)
            };
        };
        let end = self.searched + offset;
        if end > self.limit {
            return Err(self.too_long());
        }
        let rest = self.bytes.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.bytes, rest);
        line.truncate(end);
        self.searched = 0;
        Ok(Some(line))
    }

    fn too_long(&self) -> LineTooLong {
        LineTooLong { limit: self.limit }
    }

    /// Whether a line has begun and not ended.
    pub fn has_partial_line(&self) -> bool {
        !self.bytes.is_empty()
    }
}

/// Writes `{"a": 1, "b": 2}`.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_of_the_maximum_passes_and_one_byte_more_does_not() {
        let mut buffer = LineBuffer::default();
        buffer.push(&vec![b'x'; MAX_LINE]);
        assert_eq!(buffer.next_line(), Ok(None));
        buffer.push(b"\n");
        assert_eq!(buffer.next_line().unwrap().unwrap().len(), MAX_LINE);

        buffer.push(&vec![b'x'; MAX_LINE + 1]);
        assert_eq!(buffer.next_line(), Err(LineTooLong { limit: MAX_LINE }));

        let mut in_one_read = LineBuffer::default();
        in_one_read.push(&vec![b'x'; MAX_LINE + 1]);
        in_one_read.push(b"\n");
        assert_eq!(
            in_one_read.next_line(),
            Err(LineTooLong { limit: MAX_LINE })
        );
    }

    proptest! {
        #[test]
        fn lines_come_out_as_they_went_in_however_they_were_cut(
            lines in prop::collection::vec("[a-z\"{}:, é]{0,20}", 0..8),
            cut in 1_usize..7,
        ) {
            let mut stream = lines.join("\n");
            stream.push_str(if lines.is_empty() { "" } else { "\n" });
            let mut buffer = LineBuffer::default();
            let mut out = Vec::new();
            for piece in stream.as_bytes().chunks(cut) {
                buffer.push(piece);
                while let Some(line) = buffer.next_line().unwrap() {
                    out.push(String::from_utf8(line).unwrap());
                }
            }
            prop_assert_eq!(out, lines);
            prop_assert!(!buffer.has_partial_line());
        }
    }
}
