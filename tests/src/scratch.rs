//! The folder of a running machine: console, keys, and the socket of root's connection.
//!
//! A folder bears the process id of its owner, so that what a killed test left behind is found
//! and removed by the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use tempfile::TempDir;

use crate::error::{LabError, Result};
use crate::host;

/// A socket's path is limited to 107 bytes, and `ssh` makes it under a longer name first.
const LONGEST: usize = 75;
/// Begins the name of a folder that ends with its owner.
const OWNED: &str = "own-";
/// Begins the name of the folder of a machine that is kept up.
const KEPT: &str = "kept-";

/// A folder for a machine that ends with this process.
pub fn owned() -> Result<TempDir> {
    let parent = parent()?;
    remove_orphans(&parent);
    make(&parent, &format!("{OWNED}{}-", process::id()))
}

/// A folder for a machine that outlives this process; it is the caller's to keep.
pub fn kept() -> Result<TempDir> {
    make(&parent()?, KEPT)
}

/// In the lab, or in `/tmp` where the lab's path is too long for a socket.
fn parent() -> Result<PathBuf> {
    let mut parent = host::lab().join("run");
    if parent.as_os_str().len() > LONGEST {
        parent = PathBuf::from("/tmp/fairshare-lab");
    }
    host::make_dir(&parent)?;
    Ok(parent)
}

fn make(parent: &Path, prefix: &str) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(parent)
        .map_err(LabError::io("create a folder in", parent))
}

/// Removes the folders of owners that are gone; one that cannot be removed does no harm.
fn remove_orphans(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if owner(&name.to_string_lossy())
            .is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process id in the name of an owned folder.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(OWNED)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_processes_that_are_gone_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        // Process ids end at 2^22.
        let names = [
            (format!("{OWNED}{}-a", process::id()), true),
            (format!("{OWNED}4194999-a"), false),
            (format!("{KEPT}4194999"), true),
        ];
        for (name, _) in &names {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        remove_orphans(parent.path());
        for (name, stays) in &names {
            assert_eq!(parent.path().join(name).exists(), *stays, "{name}");
        }
    }
}
