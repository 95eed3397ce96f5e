//! Where the kernel counts tasks that were refused in the cgroup of the process that asked for one:
//! before Linux 6.11. There every cgroup below the slice is watched, within bounds.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::marks::{Marks, found};
use crate::cgroup::figure;
use crate::kernel_file;

/// Cgroups of one user that are watched. A login has about ten.
const MOST: usize = 64;
/// Entries of a folder that are looked at: its files, and cgroups.
const MOST_ENTRIES: usize = 512;

#[derive(Debug)]
pub(super) struct Leaves {
    top: PathBuf,
    cgroups: HashMap<PathBuf, Leaf>,
    /// What those counted that are gone, and what was counted since each was found.
    refused: u64,
    failed: Option<Errno>,
}

#[derive(Debug)]
struct Leaf {
    /// Another cgroup of the same name has another one.
    inode: u64,
    folder: Option<i32>,
    events: Option<i32>,
    counted: u64,
}

/// Marks that came and went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) came: Vec<i32>,
    pub(super) gone: Vec<i32>,
}

impl Leaves {
    /// The slice's folder and those below it.
    pub(super) fn of(top: &Path, marks: &Marks) -> Self {
        let mut leaves = Self {
            top: top.to_owned(),
            cgroups: HashMap::new(),
            refused: 0,
            failed: None,
        };
        leaves.add(top, marks, true);
        leaves
    }

    pub(super) fn marks(&self) -> impl Iterator<Item = i32> {
        let leaves = self.cgroups.values();
        leaves.flat_map(Leaf::marks)
    }

    /// Why one of them could not be watched.
    pub(super) fn failed(&self) -> Option<Errno> {
        self.failed
    }

    /// How many were refused since the slice was watched.
    pub(super) fn refused(&mut self) -> u64 {
        for (folder, leaf) in &mut self.cgroups {
            let counted = counted(folder).unwrap_or(leaf.counted);
            self.refused += counted.saturating_sub(leaf.counted);
            leaf.counted = counted;
        }
        self.refused
    }

    /// Cgroups came or went: watches those that are new, and no more those that have gone.
    pub(super) fn look_again(&mut self, marks: &Marks) -> Moved {
        let mut gone = Vec::new();
        self.cgroups.retain(|folder, leaf| {
            let is_there = inode(folder) == Some(leaf.inode);
            if !is_there {
                gone.extend(leaf.marks());
            }
            is_there
        });
        // The kernel keeps a cgroup's files for as long as they are marked.
        for mark in &gone {
            marks.remove(*mark);
        }
        let top = self.top.clone();
        let came = self.add(&top, marks, false);
        Moved { came, gone }
    }

    /// Watches a cgroup and those below it. What was counted in one that is found with the slice was
    /// before; one that came later began with nothing.
    fn add(&mut self, first: &Path, marks: &Marks, before: bool) -> Vec<i32> {
        let mut came = Vec::new();
        let mut left = vec![first.to_owned()];
        while let Some(folder) = left.pop() {
            if !self.cgroups.contains_key(&folder) {
                if self.cgroups.len() >= MOST {
                    break;
                }
                // Should another one take its name meanwhile, it is found at the next look.
                let Some(inode) = inode(&folder) else {
                    continue;
                };
                // The marks come first: what is made between them and the look is seen by both.
                let leaf = Leaf {
                    inode,
                    folder: found(marks.folder(&folder), &mut self.failed),
                    events: found(marks.file(&folder.join("pids.events")), &mut self.failed),
                    counted: if before {
                        counted(&folder).unwrap_or_default()
                    } else {
                        0
                    },
                };
                came.extend(leaf.marks());
                self.cgroups.insert(folder.clone(), leaf);
            }
            let entries = fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .take(MOST_ENTRIES);
            let folders = entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            left.extend(folders.map(|entry| entry.path()).take(MOST));
        }
        came
    }
}

impl Leaf {
    fn marks(&self) -> impl Iterator<Item = i32> + use<> {
        self.folder.into_iter().chain(self.events)
    }
}

fn inode(folder: &Path) -> Option<u64> {
    let found = fs::symlink_metadata(folder).ok()?;
    found.is_dir().then(|| found.ino())
}

fn counted(folder: &Path) -> Option<u64> {
    figure(&kernel_file::read(&folder.join("pids.events")).ok()?, "max")
}
