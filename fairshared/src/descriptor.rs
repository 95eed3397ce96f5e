//! Descriptors whose ownership the compiler cannot see for itself.
//!
//! This file alone of the crate holds `unsafe`.
#![expect(unsafe_code, reason = "see the contracts at each block")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The listening socket that systemd hands over where it started the daemon for one, or `None`.
/// With it, a login while the daemon restarts waits in the socket instead of failing. Called once,
/// at the start.
pub(crate) fn inherited_socket() -> io::Result<Option<UnixListener>> {
    let mut descriptors = sd_notify::listen_fds()?;
    let Some(descriptor) = descriptors.next() else {
        return Ok(None);
    };
    if descriptors.next().is_some() {
        return Err(io::Error::other("systemd handed over more than one socket"));
    }
    // SAFETY: sd_listen_fds(3): the descriptor is open and this process's own. Nothing else has
    // made an owner of it, because this is called once.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let listener = UnixListener::from(owned);
    // Fails where it is no Unix socket.
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Waits until a descriptor can be read. Without an event nothing runs.
pub(crate) async fn readable(descriptor: OwnedFd) -> io::Result<()> {
    watched(descriptor)?.readable().await.map(drop)
}

/// Takes a descriptor that can be waited for more than once.
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open and the same until it is dropped, and the `AsyncFd` owns it
    // until it is dropped itself.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
    Ok(registered)
}

/// Whether a descriptor can be read now.
pub(crate) fn is_readable(descriptor: &OwnedFd) -> io::Result<bool> {
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    Ok(poll(&mut polled, Some(&now))? > 0)
}
