//! The machine's files, below a root that tests replace.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes; what is behind it is not looked at.
const MAX_FILE: u64 = 1024 * 1024;
/// How many names of a folder are looked at.
const MAX_NAMES: usize = 4096;

/// A tree of files.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree below `root`; `/` is the machine.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a path of the machine is.
    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file's text; what is no UTF-8 is replaced.
    ///
    /// Only a regular file is opened: a FIFO in its place would wait for ever.
    pub(crate) fn read(&self, path: &str) -> io::Result<String> {
        let bytes = self.read_bytes(path)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// As [`Tree::read`], without a look at the text.
    pub(crate) fn read_bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        let place = self.place(path);
        if !fs::metadata(&place)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        let mut bytes = Vec::new();
        File::open(place)?.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A file's text; empty where there is none.
    pub(crate) fn text(&self, path: &str) -> String {
        self.read(path).unwrap_or_default()
    }

    pub(crate) fn metadata(&self, path: &str) -> Option<Metadata> {
        fs::metadata(self.place(path)).ok()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.metadata(path).is_some()
    }

    /// The names in a folder, in their order; none where there is no such folder.
    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place(folder)).into_iter().flatten();
        let names = entries.flatten().take(MAX_NAMES);
        let mut names: Vec<String> = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The root, for a test that writes below it.
    #[cfg(test)]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

/// A path as text.
pub(crate) fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_is_not_opened_and_a_large_file_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::at(folder.path());
        let made = std::process::Command::new("mkfifo")
            .arg(folder.path().join("fifo"))
            .status();
        assert!(made.unwrap().success());
        assert!(tree.read("/fifo").is_err());
        assert!(tree.read("/none").is_err());
        let large = vec![b'x'; usize::try_from(MAX_FILE).unwrap() + 1];
        fs::write(folder.path().join("large"), &large).unwrap();
        assert_eq!(tree.text("/large").len(), large.len() - 1);
        assert_eq!(tree.list("/"), ["fifo", "large"]);
        assert_eq!(tree.root(), folder.path());
    }
}
