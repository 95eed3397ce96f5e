//! Reading the small texts that the kernel makes up: `/proc`, `/sys`, cgroup files.
//!
//! The general way asks for the size first, which the kernel does not know, and reads until there
//! is no more, with a growing buffer: up to nine calls for ten bytes. These texts come whole with
//! one read where the buffer has room for them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Room for every text that a login reads.
const ROOM: usize = 4096;

/// The text of one of the kernel's files.
///
/// A read that left room and ends a line is taken for the whole. Anything else is read on to its
/// end: a long text, one whose last line has no end, and one that came in part. Not for files
/// that the kernel makes up record by record, such as `cgroup.procs`: there a read can end with a
/// line before the end.
///
/// # Errors
/// As of `std::fs::read_to_string`.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    read_from(File::open(path)?)
}

/// The same for a text with a program's name in it, which its user may make of any bytes. What is
/// no UTF-8 is replaced.
///
/// # Errors
/// As of `std::fs::read`.
pub(crate) fn read_lossy(path: &Path) -> io::Result<String> {
    let bytes = bytes_from(File::open(path)?)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_from(file: impl Read) -> io::Result<String> {
    let bytes = bytes_from(file)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn bytes_from(mut file: impl Read) -> io::Result<Vec<u8>> {
    let mut text = vec![0; ROOM];
    let count = loop {
        match file.read(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    text.truncate(count);
    if count == ROOM || text.last().is_some_and(|last| *last != b'\n') {
        file.read_to_end(&mut text)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one part with each read, and counts the reads.
    struct Parts<'a>(Vec<&'a [u8]>, &'a mut usize);

    impl Read for Parts<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            *self.1 += 1;
            if self.0.is_empty() {
                return Ok(0);
            }
            let part = self.0.remove(0);
            let count = part.len().min(buffer.len());
            buffer[..count].copy_from_slice(&part[..count]);
            if count < part.len() {
                self.0.insert(0, &part[count..]);
            }
            Ok(count)
        }
    }

    #[test]
    fn a_text_is_read_whole_and_a_short_one_at_once() {
        let long = "0123456789abcde\n".repeat(1000);
        let exact = "0123456789abcde\n".repeat(ROOM / 16);
        for (parts, reads) in [
            (vec!["max 100000\n"], Some(1)),
            (vec![""], Some(1)),
            (vec!["1 (a", " b) S\n"], None),
            (vec!["/dev/vda"], None),
            (vec![exact.as_str()], None),
            (vec![long.as_str()], None),
        ] {
            let mut count = 0;
            let bytes = parts.iter().map(|part| part.as_bytes()).collect();
            let text = read_from(Parts(bytes, &mut count)).unwrap();
            assert_eq!(text, parts.concat());
            assert!(reads.is_none_or(|reads| reads == count), "{count} reads");
        }
    }

    #[test]
    fn the_kernels_own_are_read() {
        let path = Path::new("/proc/self/stat");
        assert!(read(path).unwrap().ends_with('\n'));
        let missing = read(Path::new("/proc/self/no-such-file")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
