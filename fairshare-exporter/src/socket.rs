//! Where the exporter listens: on the socket that systemd made, or on one of its own.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use tokio::io::{AsyncRead, AsyncWrite};

/// A client of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A socket that takes clients.
#[derive(Debug)]
pub(crate) enum Listener {
    /// TCP.
    Tcp(tokio::net::TcpListener),
    /// A path in the file system.
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// The socket on standard input: systemd puts it there with `StandardInput=socket`, so that
    /// nobody has to take a descriptor for their own by its number.
    ///
    /// # Errors
    /// A sentence where there is none.
    pub(crate) fn inherited() -> Result<Self, String> {
        let taken = io::stdin().as_fd().try_clone_to_owned();
        taken.and_then(Self::of).map_err(|error| {
            format!(
                "cannot take the socket on standard input: {error}; start \
                 fairshare-exporter.socket, or say '--listen'"
            )
        })
    }

    /// A new socket: a path where the address begins with `/`, else an address with a port.
    ///
    /// # Errors
    /// A sentence with the address.
    pub(crate) fn bind(address: &str) -> Result<Self, String> {
        let bound = if address.starts_with('/') {
            UnixListener::bind(address).map(OwnedFd::from)
        } else {
            TcpListener::bind(address).map(OwnedFd::from)
        };
        bound
            .and_then(Self::of)
            .map_err(|error| format!("cannot listen on '{address}': {error}"))
    }

    fn of(descriptor: OwnedFd) -> io::Result<Self> {
        let tcp = TcpListener::from(descriptor);
        // Fails where it is of another family, or no socket.
        if tcp.local_addr().is_ok() {
            tcp.set_nonblocking(true)?;
            return tokio::net::TcpListener::from_std(tcp).map(Self::Tcp);
        }
        let unix = UnixListener::from(OwnedFd::from(tcp));
        unix.local_addr()?;
        unix.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(unix).map(Self::Unix)
    }

    /// The next client.
    ///
    /// # Errors
    /// As of `accept(2)`: of this client, or for want of something.
    pub(crate) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => Ok(Box::new(listener.accept().await?.0)),
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[tokio::test]
    async fn both_kinds_of_sockets_are_told_apart_and_a_file_is_none() {
        let tcp = Listener::bind("127.0.0.1:0").unwrap();
        assert!(matches!(tcp, Listener::Tcp(_)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let unix = Listener::bind(path.to_str().unwrap()).unwrap();
        assert!(matches!(unix, Listener::Unix(_)));
        let again = Listener::bind(path.to_str().unwrap()).unwrap_err();
        assert!(again.starts_with("cannot listen on '/"), "{again}");
        Listener::of(File::open("/dev/null").unwrap().into()).unwrap_err();
    }
}
