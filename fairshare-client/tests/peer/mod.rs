//! A stand-in for the daemon: a listener whose every connection goes to a closure of the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// Serves until it is dropped. Connections are served one after another, so a closure that
/// returned has closed its connection before the next one is taken.
pub(crate) struct Peer {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Peer {
    /// `serve` gets each connection and its number, from 0.
    pub(crate) fn new(mut serve: impl FnMut(usize, UnixStream) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                serve(number, connection.unwrap());
            }
        });
        Self {
            path,
            stop,
            thread: Some(thread),
            _folder: folder,
        }
    }

    /// Answers every request with these bytes and closes.
    pub(crate) fn answering(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::new(move |_, connection| {
            read_line(&connection);
            // A client that has read enough may be gone.
            let _ = (&connection).write_all(&reply);
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread from `accept`.
        let _ = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !thread::panicking() {
                result.unwrap();
            }
        }
    }
}

/// The next line without its newline; empty at the end of the stream.
pub(crate) fn read_line(connection: &UnixStream) -> String {
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).unwrap();
    line.trim_end_matches('\n').to_owned()
}

/// Waits until the client has closed its end.
pub(crate) fn wait_for_end(mut connection: &UnixStream) {
    let _ = std::io::copy(&mut connection, &mut std::io::sink());
}
