//! Pressure that the kernel tells of: a PSI trigger for each user and resource, all waited for by one
//! thread that does nothing else.
//!
//! The kernel forgets that a trigger has fired once it was asked. A set of descriptors that is itself
//! in another set, as the runtime's would be, is asked twice: the event would be lost on the way. So
//! a thread waits for the set itself.
//!
//! A trigger is told of once and is then to be dropped: that of a cgroup that has gone would tell for
//! ever. To drop it the kernel waits until no CPU uses it any more, some 10 ms, and all users' may fire
//! at once: a second thread does that.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc as threads;
use std::thread;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fs::OFlags;
use tokio::sync::mpsc;

/// Events that are taken at once.
const ROOM: usize = 64;
/// Events that wait for the daemon; the thread waits with the others.
const WAITING: usize = 256;
/// Triggers that wait to be dropped. More are dropped by the daemon's own thread.
const DROPPED: usize = 1024;
/// A thread's stack, in bytes. It calls two functions.
const STACK: usize = 64 << 10;

/// The set of triggers.
#[derive(Clone, Debug)]
pub(super) struct Triggers {
    set: Arc<OwnedFd>,
    dropped: threads::SyncSender<OwnedFd>,
}

/// A trigger, until it is dropped.
#[derive(Debug)]
pub(super) struct Trigger {
    file: Option<OwnedFd>,
    dropped: threads::SyncSender<OwnedFd>,
}

impl Triggers {
    /// The set, and the keys of those that fire.
    pub(super) fn start() -> io::Result<(Self, mpsc::Receiver<u64>)> {
        let set = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        let (sender, fired) = mpsc::channel(WAITING);
        let of_thread = Arc::clone(&set);
        thread::Builder::new()
            .name("pressure".to_owned())
            .stack_size(STACK)
            .spawn(move || tell(&of_thread, &sender))?;
        let (dropped, files) = threads::sync_channel(DROPPED);
        thread::Builder::new()
            .name("pressure-end".to_owned())
            .stack_size(STACK)
            .spawn(move || files.into_iter().for_each(drop))?;
        Ok((Self { set, dropped }, fired))
    }

    /// Has the kernel tell when what `trigger` says comes about in this pressure file.
    pub(super) fn arm(&self, path: &Path, trigger: &str, key: u64) -> io::Result<Trigger> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)?;
        // The kernel takes the end of the text for the end of a string.
        file.write_all(format!("{trigger}\0").as_bytes())?;
        self.add(&file, key)?;
        Ok(self.trigger(file.into()))
    }

    fn add(&self, file: impl AsFd, key: u64) -> io::Result<()> {
        let flags = EventFlags::PRI | EventFlags::ONESHOT;
        epoll::add(&*self.set, file, EventData::new_u64(key), flags)?;
        Ok(())
    }

    fn trigger(&self, file: OwnedFd) -> Trigger {
        Trigger {
            file: Some(file),
            dropped: self.dropped.clone(),
        }
    }
}

impl Drop for Trigger {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What does not fit, or finds nobody, comes back and is dropped here.
            let _ = self.dropped.try_send(file);
        }
    }
}

/// Runs until nobody listens any more.
fn tell(set: &OwnedFd, sender: &mpsc::Sender<u64>) {
    let mut events = Vec::with_capacity(ROOM);
    loop {
        events.clear();
        match epoll::wait(set, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        for event in &events {
            let data = event.data;
            if sender.blocking_send(data.u64()).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    /// Urgent data of a socket is told of in the same way as a trigger that fires.
    #[tokio::test]
    async fn what_fires_is_told_once() {
        let (set, mut fired) = Triggers::start().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        set.add(&receiver, 42).unwrap();
        let urgent = || {
            rustix::net::send(&sender, b"!", rustix::net::SendFlags::OOB).unwrap();
        };
        urgent();
        assert_eq!(fired.recv().await, Some(42));
        urgent();
        let again = tokio::time::timeout(Duration::from_millis(50), fired.recv());
        assert!(again.await.is_err(), "it is for its owner to drop");
    }

    /// The close of a socket that is to linger waits, as that of a trigger does.
    #[tokio::test]
    async fn who_drops_a_trigger_does_not_wait_for_the_kernel() {
        const LINGERS: Duration = Duration::from_secs(1);
        let (set, _fired) = Triggers::start().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.write(&[0; 4096]).is_ok() {}
        sender.set_nonblocking(false).unwrap();
        rustix::net::sockopt::set_socket_linger(&sender, Some(LINGERS)).unwrap();
        let begin = std::time::Instant::now();
        drop(set.trigger(sender.into()));
        assert!(begin.elapsed() < LINGERS / 2);
        drop(receiver);
    }

    #[test]
    fn a_cgroup_without_pressure_is_told() {
        let (set, _fired) = Triggers::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let missing = set.arm(&folder.path().join("cpu.pressure"), "full 1 2", 1);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
