//! The socket: making it, and letting clients in.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_protocol::frame::encode;
use fairshare_protocol::{ErrorCode, Reply};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, error, warn};

use crate::admission::{Admission, ConnectionPermit};
use crate::connection;
use crate::enforcement::Enforcement;
use crate::operations::Operations;

/// Everybody may connect; who is asking comes from the kernel.
const MODE: u32 = 0o666;
/// The pause after an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How many clients that wait are turned away: as many as a kernel lets wait, and more.
const TURNED_AWAY: usize = 8192;

/// Tells the clients that wait at a socket why they are not let in. For a daemon that does not
/// start: whom it left waiting would have systemd start it again, and again for ever.
pub(crate) fn turn_away(socket: &StdListener, why: &str) {
    let Ok(line) = encode(&Reply::error(ErrorCode::Internal, why)) else {
        return;
    };
    for _ in 0..TURNED_AWAY {
        // The socket does not wait; an error is the end of the queue.
        let Ok((mut client, _)) = socket.accept() else {
            return;
        };
        // Whoever takes nothing is told nothing.
        if client.set_nonblocking(true).is_ok() {
            let _ = client.write_all(line.as_bytes());
        }
    }
}

/// A listening socket. One that was made here is removed from its folder in the end.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    made: Option<PathBuf>,
}

impl Listener {
    /// Takes the socket from systemd, or makes one at the path.
    ///
    /// # Errors
    /// `AddrInUse` where another process listens there.
    pub(crate) fn new(inherited: Option<StdListener>, path: &Path) -> io::Result<Self> {
        if let Some(socket) = inherited {
            return Ok(Self {
                socket: UnixListener::from_std(socket)?,
                made: None,
            });
        }
        remove_left_over(path)?;
        let socket = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        Ok(Self {
            socket,
            made: Some(path.to_owned()),
        })
    }

    /// Lets clients in for ever.
    pub(crate) async fn serve<E: Enforcement>(&self, operations: Arc<Operations<E>>) {
        let admission = Admission::default();
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => admit(stream, &operations, &admission),
                // The client went before it was let in.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Out of descriptors or memory: clients wait in the socket until some are
                    // free, and this loop does not spin meanwhile.
                    error!("cannot accept a connection: {error}, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.made
            && let Err(error) = fs::remove_file(path)
        {
            warn!("cannot remove {}: {error}, ignoring", path.display());
        }
    }
}

/// Removes a socket that nobody listens on any more. Connecting to any other file is refused just
/// like that, so the file's type is asked first.
fn remove_left_over(path: &Path) -> io::Result<()> {
    let is_socket = |found: fs::Metadata| found.file_type().is_socket();
    if !fs::symlink_metadata(path).is_ok_and(is_socket) {
        return Ok(());
    }
    match StdStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Binding will say what is wrong.
        Err(_) => Ok(()),
    }
}

fn admit<E: Enforcement>(
    stream: UnixStream,
    operations: &Arc<Operations<E>>,
    admission: &Admission,
) {
    let caller = match stream.peer_cred() {
        Ok(credentials) => credentials.uid(),
        Err(error) => {
            warn!("cannot learn who connects: {error}, closing");
            return;
        }
    };
    let now = Instant::now();
    let refusal = match admission.connect(caller, now) {
        None => Reply::error(ErrorCode::Busy, "Too many connections"),
        Some(_) if !admission.request(caller, now) => Reply::error(
            ErrorCode::RateLimited,
            "Too many connections in a short time",
        ),
        Some(permit) => {
            tokio::spawn(serve(
                stream,
                caller,
                permit,
                Arc::clone(operations),
                admission.clone(),
            ));
            return;
        }
    };
    debug!(caller, "turned away: {refusal:?}");
    // Into the empty buffer of a new socket: never blocks, and if it did the client would see the
    // end of the connection all the same.
    if let Ok(line) = encode(&refusal) {
        let _ = stream.try_write(line.as_bytes());
    }
}

async fn serve<E: Enforcement>(
    stream: UnixStream,
    caller: u32,
    permit: ConnectionPermit,
    operations: Arc<Operations<E>>,
    admission: Admission,
) {
    connection::serve(stream, caller, operations, admission).await;
    drop(permit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_left_over_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists());

        let listener = Listener::new(None, &path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let second = Listener::new(None, &path).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn clients_of_a_daemon_that_does_not_start_are_told_and_let_go() {
        use std::io::Read;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = StdListener::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut clients = [(); 2].map(|()| StdStream::connect(&path).unwrap());
        clients[1].write_all(b"{\"type\": \"status\"}\n").unwrap();
        turn_away(&socket, "no policy");
        for mut client in clients {
            let mut line = String::new();
            // What was not read makes the end an error behind the line.
            let _ = client.read_to_string(&mut line);
            assert_eq!(
                line,
                "{\"type\": \"error\", \"error\": \"no policy\", \"code\": \"internal\"}\n"
            );
        }
        let nobody = socket.accept().unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();
        assert!(Listener::new(None, &path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "data");
    }
}
