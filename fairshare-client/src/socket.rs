//! The system calls that the standard library does not offer: a connect with a timeout, and a send
//! that cannot raise `SIGPIPE`. The only file of this crate with `unsafe` in it.

#![expect(
    unsafe_code,
    reason = "socket(2), fcntl(2), connect(2), send(2); each block names its contract"
)]

use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::deadline::Deadline;

/// `AF_UNIX` as an address holds it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the value is 1; the system calls and the address differ in width"
)]
const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Unconnected {
    /// The deadline passed while the listener's queue was full.
    Deadline,
    /// A system call failed.
    Io(io::Error),
}

/// Connects to a listening socket before the deadline.
///
/// `connect` on a Unix socket waits while the listener's queue is full, for ever by default. It
/// honours `SO_SNDTIMEO`, and answers `EAGAIN` when that has passed (`unix_stream_connect` in the
/// kernel's `net/unix/af_unix.c`); so the timeout is set before, not behind it.
///
/// The descriptor is closed on `exec` and is never 0, 1 or 2: in a host that runs with those
/// closed, whatever prints there would write into this connection.
pub(crate) fn connect(path: &Path, deadline: Deadline) -> Result<UnixStream, Unconnected> {
    let (address, length) = address(path).map_err(Unconnected::Io)?;
    let stream = UnixStream::from(above_standard(new_socket()?)?);
    loop {
        let left = deadline.left().ok_or(Unconnected::Deadline)?;
        stream.set_write_timeout(Some(left))?;
        // SAFETY: connect(2) reads `length` bytes at `address`: `length` is at most the size of
        // `address`, which lives until the call returns. It keeps no pointer.
        let result =
            unsafe { libc::connect(stream.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 {
            return Ok(stream);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            // The head of the loop knows whether time is left. An interrupted connect on a Unix
            // socket has changed nothing, so it is made anew.
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
            _ => return Err(Unconnected::Io(error)),
        }
    }
}

/// Sends what the kernel takes of `bytes`. A peer that has gone is `EPIPE` and no signal, whatever
/// the host's disposition of `SIGPIPE`. Waits no longer than the stream's write timeout.
pub(crate) fn send(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: send(2) reads `bytes.len()` bytes at the pointer, which is what the slice vouches
    // for. It keeps no pointer.
    let sent = unsafe {
        libc::send(
            stream.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_NOSIGNAL,
        )
    };
    // The only negative result is -1.
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

impl From<io::Error> for Unconnected {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn new_socket() -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes no pointer.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    owned(fd)
}

/// The same socket under a descriptor behind the standard three; the low one is closed again.
fn above_standard(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC takes an integer and no pointer.
    let high = unsafe {
        libc::fcntl(
            fd.as_raw_fd(),
            libc::F_DUPFD_CLOEXEC,
            libc::STDERR_FILENO + 1,
        )
    };
    owned(high)
}

/// Takes over what a system call returned: a new descriptor, or -1 and `errno`.
fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller has it from socket(2) or fcntl(2) just now, so it is open and nobody
    // else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The address of a path, as `unix(7)` describes it: the bytes and a NUL must fit into `sun_path`.
fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
    let bytes = path.as_os_str().as_bytes();
    let mut address = libc::sockaddr_un {
        sun_family: FAMILY,
        sun_path: [0; _],
    };
    let longest = address.sun_path.len() - 1;
    if bytes.len() > longest {
        return Err(invalid(format!(
            "path longer than the {longest} bytes that a socket's may have"
        )));
    }
    // An empty path and one that begins with a NUL are addresses without a file: not for us.
    if bytes.is_empty() {
        return Err(invalid("empty path".to_owned()));
    }
    if bytes.contains(&0) {
        return Err(invalid("path holds a NUL byte".to_owned()));
    }
    for (slot, &byte) in address.sun_path.iter_mut().zip(bytes) {
        *slot = libc::c_char::from_ne_bytes([byte]);
    }
    let length = offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
    debug_assert!(length <= size_of::<libc::sockaddr_un>());
    let length =
        libc::socklen_t::try_from(length).map_err(|_| invalid("path too long".to_owned()))?;
    Ok((address, length))
}
