//! Going through a cgroup tree in small steps, from one cgroup's processes to the next.
//!
//! Whoever walks says how many steps are made before others run: a look at the whole machine lets
//! them in between, a look at one slice is bounded instead.

use std::fs::{self, File, ReadDir};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is read at once of a list of processes, in bytes.
const CHUNK: usize = 4096;
/// The links of a folder without a folder in it: its name and its own `.`. Each folder in it adds
/// its `..`; the cgroup tree counts so as well (`kernfs_refresh_inode` of the kernel).
const LINKS_OF_A_LEAF: u64 = 2;

/// The cgroups that are still to be gone into.
pub(crate) struct Walk {
    root: PathBuf,
    left: Vec<PathBuf>,
    /// The cgroup that is being looked into for those below it.
    open: Option<(PathBuf, ReadDir)>,
    seen: usize,
    most: usize,
    cut: bool,
}

/// What one step of a walk came to.
pub(crate) enum Step {
    /// A small thing was looked at; there is more to do.
    Looked,
    /// The processes of the next cgroup; those of the cgroups below it come later.
    Cgroup(Processes),
}

/// The processes of one cgroup.
pub(crate) struct Processes {
    folder: PathBuf,
    list: Option<File>,
    text: Vec<u8>,
    /// Up to where `text` has been handed out.
    at: usize,
}

impl Walk {
    pub(crate) fn new(root: &Path, most: usize) -> Self {
        Self {
            root: root.to_owned(),
            left: vec![root.to_owned()],
            open: None,
            seen: 1,
            most,
            cut: false,
        }
    }

    /// Whether there were more cgroups than are looked at.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Looks at one small thing more, leaving out the cgroups whose path below the root is to be
    /// left out. `None` at the end.
    pub(crate) fn step(&mut self, leave_out: impl Fn(&str) -> bool) -> Option<Step> {
        let Some((folder, mut entries)) = self.open.take() else {
            let folder = self.left.pop()?;
            let is_leaf = fs::metadata(&folder).is_ok_and(|found| found.nlink() == LINKS_OF_A_LEAF);
            // One that has gone meanwhile has nothing below it.
            let entries = if is_leaf {
                None
            } else {
                fs::read_dir(&folder).ok()
            };
            return Some(match entries {
                Some(entries) => {
                    self.open = Some((folder, entries));
                    Step::Looked
                }
                None => Step::Cgroup(Processes::of(folder)),
            });
        };
        let entry = if self.cut { None } else { entries.next() };
        let Some(entry) = entry else {
            return Some(Step::Cgroup(Processes::of(folder)));
        };
        if let Ok(entry) = entry
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
        {
            self.add(entry.path(), leave_out);
        }
        self.open = Some((folder, entries));
        Some(Step::Looked)
    }

    fn add(&mut self, folder: PathBuf, leave_out: impl Fn(&str) -> bool) {
        if leave_out(&shown(&folder, &self.root)) {
            return;
        }
        if self.seen >= self.most {
            self.cut = true;
            return;
        }
        self.seen += 1;
        self.left.push(folder);
    }
}

impl Processes {
    pub(super) fn of(folder: PathBuf) -> Self {
        // What cannot be read has gone, or has its processes counted with the cgroup above it.
        let list = File::open(folder.join("cgroup.procs")).ok();
        Self {
            folder,
            list,
            text: Vec::new(),
            at: 0,
        }
    }

    /// The next process, by its number.
    pub(crate) fn next_process(&mut self) -> Option<u32> {
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
    pub(crate) fn path(&self, root: &Path) -> String {
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
