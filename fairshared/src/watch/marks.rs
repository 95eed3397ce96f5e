//! The files and folders of cgroups that the kernel tells of: one inotify descriptor for all users.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::descriptor;

/// Bytes of events that are taken at once.
const ROOM: usize = 4096;
/// Events that are taken in one go: less than a millisecond of them.
pub(super) const MOST_EVENTS: usize = 1024;

/// What is watched.
#[derive(Debug)]
pub(super) struct Marks(AsyncFd<OwnedFd>);

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A file was changed, or a folder came or went in what this mark is on.
    At(i32, Change),
    /// More happened than the kernel keeps.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Written,
    /// A folder came or went.
    Moved,
    /// The mark itself is gone.
    Ended,
}

impl Marks {
    /// Only within a runtime.
    pub(super) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        descriptor::watched(inotify).map(Self)
    }

    /// Watches a file for changes.
    pub(super) fn file(&self, path: &Path) -> Result<i32, Errno> {
        inotify::add_watch(self.0.get_ref(), path, WatchFlags::MODIFY)
    }

    /// Watches a folder for folders that come and go in it.
    pub(super) fn folder(&self, path: &Path) -> Result<i32, Errno> {
        let flags = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::ONLYDIR;
        inotify::add_watch(self.0.get_ref(), path, flags)
    }

    /// Takes a mark off. One that is gone already is no fault.
    pub(super) fn remove(&self, mark: i32) {
        let _ = inotify::remove_watch(self.0.get_ref(), mark);
    }

    /// Waits until something has happened that was not taken.
    pub(super) async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            // What the runtime remembers may have been taken meanwhile.
            if descriptor::is_readable(self.0.get_ref())? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// What has happened and was not taken before, and whether that is all of it.
    pub(super) fn take(&self) -> io::Result<(Vec<Event>, bool)> {
        let mut events = Vec::new();
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(self.0.get_ref(), &mut room);
        for _ in 0..MOST_EVENTS {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok((events, true)),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let event = Event::of(&event);
            // One user's storm of the same is one.
            if events.last() != Some(&event) {
                events.push(event);
            }
        }
        Ok((events, false))
    }
}

/// The mark, where there is one. A file that is not there is no failure.
pub(super) fn found(mark: Result<i32, Errno>, failed: &mut Option<Errno>) -> Option<i32> {
    match mark {
        Ok(mark) => return Some(mark),
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(error) => *failed = Some(error),
    }
    None
}

impl Event {
    fn of(event: &inotify::Event<'_>) -> Self {
        let flags = event.events();
        let change = if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            return Self::Lost;
        } else if flags.contains(ReadFlags::IGNORED) {
            Change::Ended
        } else if flags.intersects(ReadFlags::CREATE | ReadFlags::DELETE) {
            Change::Moved
        } else {
            Change::Written
        };
        Self::At(event.wd(), change)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_change_is_told_once_and_folders_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.events");
        fs::write(&file, "oom_kill 0\n").unwrap();
        let marks = Marks::new().unwrap();
        let (of_file, of_folder) = (
            marks.file(&file).unwrap(),
            marks.folder(folder.path()).unwrap(),
        );
        fs::write(&file, "").unwrap();
        fs::write(&file, "oom_kill 1\n").unwrap();
        fs::create_dir(folder.path().join("x")).unwrap();
        fs::remove_dir(folder.path().join("x")).unwrap();
        marks.changed().await.unwrap();
        let expected = vec![
            Event::At(of_file, Change::Written),
            Event::At(of_folder, Change::Moved),
        ];
        assert_eq!(marks.take().unwrap(), (expected, true));
        marks.remove(of_file);
        fs::write(&file, "oom_kill 2\n").unwrap();
        let expected = vec![Event::At(of_file, Change::Ended)];
        assert_eq!(marks.take().unwrap(), (expected, true));
    }
}
