//! A file that is there as a whole or not at all: whoever reads it meanwhile, as a web server does,
//! sees the old one or the new one.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How many files of runs that were stopped are gone round.
const MOST_LEFT: u32 = 15;

/// Why a file was not written.
#[derive(Debug)]
pub(crate) struct NotWritten {
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// Something is there that replacing would take away: a folder, a device, a link.
    NoFile,
    Io(io::Error),
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.why {
            Why::NoFile => write!(
                f,
                "cannot write '{path}': it is no regular file; name another, or - for standard output"
            ),
            Why::Io(error) => write!(f, "cannot write '{path}': {error}"),
        }
    }
}

/// Puts the bytes there, in the place of the regular file that may be there. What went wrong leaves
/// nothing behind.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), NotWritten> {
    let not_written = |why| NotWritten {
        path: path.to_owned(),
        why,
    };
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => return Err(not_written(Why::NoFile)),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(not_written(Why::Io(error)));
        }
        _ => {}
    }
    let Some(name) = path.file_name() else {
        return Err(not_written(Why::NoFile));
    };
    let (mut file, beside) = create_beside(path, name).map_err(|e| not_written(Why::Io(e)))?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // The error that is told is the first one.
        let _ = fs::remove_file(&beside);
        not_written(Why::Io(error))
    })
}

/// A new file in the same folder. One that an earlier run was stopped at may still have its name.
fn create_beside(path: &Path, name: &OsStr) -> io::Result<(File, PathBuf)> {
    let mut number = 0;
    loop {
        let mut beside = OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{number}.new", std::process::id()));
        let beside = path.with_file_name(beside);
        // Only a new file: nobody's link is followed.
        match File::create_new(&beside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MOST_LEFT => {
                number += 1;
            }
            file => return file.map(|file| (file, beside)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        put(&path, b"old").unwrap();
        put(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_run_that_was_stopped_has_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let (_, left) = create_beside(&path, OsStr::new("page.html")).unwrap();
        put(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&left).unwrap(), b"", "it may be another's");
    }

    #[test]
    fn a_link_and_a_folder_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [
            link.as_path(),
            folder.path(),
            Path::new("/"),
            Path::new("/dev/null"),
        ] {
            let error = put(path, b"x").unwrap_err().to_string();
            assert!(error.contains("no regular file"), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let error = put(Path::new("/nonexistent/page"), b"").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot write '/nonexistent/page': ")
        );
    }
}
