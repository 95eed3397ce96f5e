//! Going through the cgroup tree in steps, from one cgroup's processes to the next.

use std::fs::{self, File, ReadDir};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many small things are looked at before others may run: less than a millisecond of them.
const STEP: u32 = 128;
/// What is read at once of a list of processes, in bytes.
const CHUNK: usize = 4096;
/// The links of a folder without a folder in it: its name and its own `.`. Each folder in it adds
/// its `..`; the cgroup tree counts so as well (`kernfs_refresh_inode` of the kernel).
const LINKS_OF_A_LEAF: u64 = 2;

/// Counts what is done in one go.
#[derive(Debug, Default)]
pub(super) struct Pace {
    done: u32,
}

impl Pace {
    /// One small thing is about to be looked at.
    pub(super) async fn step(&mut self) {
        self.done += 1;
        if self.done >= STEP {
            self.done = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// The cgroups that are still to be gone into.
pub(super) struct Walk {
    root: PathBuf,
    left: Vec<PathBuf>,
    seen: usize,
    most: usize,
    cut: bool,
}

/// The processes of one cgroup.
pub(super) struct Processes {
    folder: PathBuf,
    list: Option<File>,
    text: Vec<u8>,
    /// Up to where `text` has been handed out.
    at: usize,
}

impl Walk {
    pub(super) fn new(root: &Path, most: usize) -> Self {
        Self {
            root: root.to_owned(),
            left: vec![root.to_owned()],
            seen: 1,
            most,
            cut: false,
        }
    }

    /// Whether there were more cgroups than are looked at.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The next cgroup; those below it come later, but for the ones to be left out. `None` at the
    /// end.
    pub(super) async fn next(
        &mut self,
        pace: &mut Pace,
        leave_out: impl Fn(&str) -> bool,
    ) -> Option<Processes> {
        let folder = self.left.pop()?;
        pace.step().await;
        let is_leaf = fs::metadata(&folder).is_ok_and(|found| found.nlink() == LINKS_OF_A_LEAF);
        // One that has gone meanwhile has nothing below it.
        if !is_leaf && let Ok(entries) = fs::read_dir(&folder) {
            self.add_those_below(entries, pace, leave_out).await;
        }
        // What cannot be read has gone, or has its processes counted with the cgroup above it.
        let list = File::open(folder.join("cgroup.procs")).ok();
        Some(Processes {
            folder,
            list,
            text: Vec::new(),
            at: 0,
        })
    }

    async fn add_those_below(
        &mut self,
        entries: ReadDir,
        pace: &mut Pace,
        leave_out: impl Fn(&str) -> bool,
    ) {
        for entry in entries.flatten() {
            pace.step().await;
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let folder = entry.path();
            if leave_out(&shown(&folder, &self.root)) {
                continue;
            }
            if self.seen >= self.most {
                self.cut = true;
                return;
            }
            self.seen += 1;
            self.left.push(folder);
        }
    }
}

impl Processes {
    /// The next process, by its number.
    pub(super) fn next_process(&mut self) -> Option<u32> {
        loop {
            let rest = self.text.get(self.at..)?;
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let number = rest.get(..end).and_then(|line| str::from_utf8(line).ok());
                self.at += end + 1;
                // 0 stands for a process that this PID namespace does not have.
                match number.and_then(|number| number.parse().ok()) {
                    Some(0) | None => continue,
                    pid => return pid,
                }
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// The path of the cgroup below the root, such as `/system.slice/cron.service`.
    pub(super) fn path(&self, root: &Path) -> String {
        shown(&self.folder, root)
    }

    /// Reads on; whether there was more.
    fn read_more(&mut self) -> bool {
        let Some(list) = &mut self.list else {
            return false;
        };
        self.text.drain(..self.at);
        self.at = 0;
        let kept = self.text.len();
        // A line is a number. What is longer is no list of processes.
        if kept >= CHUNK {
            return false;
        }
        self.text.resize(kept + CHUNK, 0);
        let room = self.text.get_mut(kept..).unwrap_or_default();
        let count = loop {
            match list.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.unwrap_or(0),
            }
        };
        self.text.truncate(kept + count);
        count > 0
    }
}

/// A folder as a cgroup's path.
fn shown(folder: &Path, root: &Path) -> String {
    let below = folder.strip_prefix(root).unwrap_or(folder);
    format!("/{}", below.to_string_lossy())
}
