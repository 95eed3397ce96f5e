//! What the tests need of the system that the standard library does not offer. The only file of
//! the tests with `unsafe` in it.

#![expect(
    unsafe_code,
    reason = "listen(2), signals and closed descriptors; each block names its contract"
)]

use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{mem, ptr};

/// A listener that never accepts and whose queue is full: the next `connect` waits.
pub(crate) struct FullListener {
    _listener: UnixListener,
    _queued: UnixStream,
}

/// How long a test program with a [`FullListener`] may take, in seconds. Where a `connect` waits
/// for ever, the program is ended by `SIGALRM` rather than hangs.
const LONGEST_TEST: libc::c_uint = 120;

pub(crate) fn full_listener(path: &Path) -> FullListener {
    // SAFETY: alarm(2) takes an integer.
    unsafe { libc::alarm(LONGEST_TEST) };
    let listener = UnixListener::bind(path).unwrap();
    // SAFETY: listen(2) takes no pointer; a second call on a listening socket sets a new length.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    // A queue of length 0 holds one connection.
    let queued = UnixStream::connect(path).unwrap();
    FullListener {
        _listener: listener,
        _queued: queued,
    }
}

/// How often the handler of [`interrupt`] has run.
pub(crate) static INTERRUPTIONS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    INTERRUPTIONS.fetch_add(1, Ordering::SeqCst);
}

/// Makes `SIGUSR1` interrupt system calls and be counted.
pub(crate) fn handle_interruptions() {
    // SAFETY: sigaction is a plain structure for which all zeroes is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // No SA_RESTART.
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: sigaction(2) reads the structure, which lives until it returns, and accepts NULL for
    // the old one. The handler does nothing but add to an atomic.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// The calling thread, for [`interrupt`].
pub(crate) fn this_thread() -> libc::pthread_t {
    // SAFETY: pthread_self(3) has no preconditions.
    unsafe { libc::pthread_self() }
}

/// Sends `SIGUSR1` to a thread that is still running.
pub(crate) fn interrupt(thread: libc::pthread_t) {
    // SAFETY: pthread_kill(3) needs a thread that has not been joined; the callers are scoped
    // inside of it.
    unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
}

/// Puts the disposition of `SIGPIPE` back to its default, which ends the process. The Rust runtime
/// of a test ignores it, a host written in C does not.
pub(crate) fn default_sigpipe() {
    // SAFETY: signal(2) with SIG_DFL installs no handler.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    assert_ne!(before, libc::SIG_ERR);
}

/// Raises `SIGPIPE`, to show that the process would die of it.
pub(crate) fn raise_sigpipe() {
    // SAFETY: raise(3) takes a signal number.
    unsafe { libc::raise(libc::SIGPIPE) };
}

/// Closes descriptors 0, 1 and 2.
pub(crate) fn close_standard_descriptors() {
    for fd in 0..=2 {
        // SAFETY: the standard streams do not own their descriptors, and treat a closed one as an
        // empty or a discarding one.
        unsafe { libc::close(fd) };
    }
}

/// Gives up root for `nobody`, for good. Does nothing where the process is not root.
pub(crate) fn drop_root() {
    const NOBODY: libc::uid_t = 65534;
    // SAFETY: geteuid(2) has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    // SAFETY: setresuid(2) takes integers.
    let result = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    assert_eq!(result, 0);
}
