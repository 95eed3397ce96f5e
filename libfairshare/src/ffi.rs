//! The exported functions: all unsafe code of the library.
//!
//! Each is a guard and one call. The contract that the `SAFETY` comments lean on is what the header
//! tells the C programmer, and cannot be checked here:
//!
//! * A client pointer is NULL, or comes from `fairshare_client_new` and was not given to
//!   `fairshare_client_free`, and no other thread uses it at the same time.
//! * A text is NULL, or ends with a NUL.
//! * A structure's pointer is NULL, or points to `size` bytes of the program's own, aligned as C
//!   aligns the structure, of which the first member, `size`, is set.

#![allow(unsafe_code)]
#![expect(
    clippy::missing_safety_doc,
    reason = "the comments become the header's; the contract stands above"
)]

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;
use std::{iter, ptr, slice};

use fairshare_client::protocol::{CloseSession, DEFAULT_SOCKET, OpenSession, Release, Resize};
use fairshare_client::{Client, Opened};

use crate::handle::{Failure, Handle};
use crate::records::{FAIRSHARE_FORCE, Session, Status, Wish};
use crate::result::ResultCode;

/// The library's version, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn fairshare_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Makes a client of the daemon that listens on `socket`, or on /run/fairshare.sock where it is
/// NULL.
///
/// A call with the client takes `timeout_ms` milliseconds at the most, connecting included; 0 is 30
/// seconds. Nothing is connected yet, so this works whether or not the daemon runs. Returns NULL
/// only for a fault in the library; the other functions take that NULL and say
/// FAIRSHARE_RESULT_INVALID_ARGUMENT. End the client with fairshare_client_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_client_new(
    socket: *const c_char,
    timeout_ms: u32,
) -> *mut Handle {
    quiet();
    let made = catch_unwind(|| {
        // SAFETY: a text, by the contract above.
        let socket = unsafe { text(socket) }.map_or_else(
            || PathBuf::from(DEFAULT_SOCKET),
            |socket| PathBuf::from(OsStr::from_bytes(socket.to_bytes())),
        );
        let handle = Handle::new(socket, Duration::from_millis(u64::from(timeout_ms)));
        Box::into_raw(Box::new(handle))
    });
    made.unwrap_or(ptr::null_mut())
}

/// Ends a client and frees its memory. NULL is allowed. Sessions and grants stay as they are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_client_free(client: *mut Handle) {
    if !client.is_null() {
        // SAFETY: from Box::into_raw in fairshare_client_new and not freed, by the contract above.
        drop(unsafe { Box::from_raw(client) });
    }
}

/// Why the last call with this client failed: one sentence in English, without a line break; empty
/// after a success. It belongs to the client and is valid until the next call with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_error_message(client: *const Handle) -> *const c_char {
    // SAFETY: a client pointer, by the contract above.
    let handle = unsafe { client.as_ref() };
    handle
        .map_or(c"there is no client: it is NULL", Handle::message)
        .as_ptr()
}

/// Tells the daemon that the user `uid` has logged in, and waits until the limits hold. For login
/// programs without PAM; only root may.
///
/// `pid` is the session's leader: a process of the session whose end ends the session, should
/// nobody close it. Opening again with the same user and leader gives the same session. `service`
/// names the program for the daemon's log, such as "jupyterhub"; it may be NULL. On success
/// `session` is filled; its `session` is 0 where there is nothing to limit, which is no failure.
///
/// After FAIRSHARE_RESULT_NO_ANSWER or FAIRSHARE_RESULT_NOT_ENFORCED the session may be open all the
/// same. The leader's end closes it, and so does fairshare_close_session_by_leader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_open_session(
    client: *mut Handle,
    uid: libc::uid_t,
    pid: libc::pid_t,
    service: *const c_char,
    session: *mut Session,
) -> c_int {
    with(client, |client| {
        // SAFETY: a structure's pointer, by the contract above.
        let out = unsafe { Out::new(session) }?;
        // SAFETY: a text, by the contract above.
        let service = unsafe { text(service) }
            .map(|service| service.to_str().map(str::to_owned))
            .transpose()
            .map_err(|_| Failure::invalid_argument("service is not UTF-8".to_owned()))?;
        let opened = client.open_session(OpenSession {
            uid,
            pid: leader(pid)?,
            service,
            wait_ms: None,
            notices: false,
        })?;
        out.fill(&match opened {
            Opened::Session(session) => session.into(),
            Opened::Ignored(_) => Session::ignored(),
        });
        Ok(())
    })
}

/// Tells the daemon that a session has ended. `session` is the number that fairshare_open_session
/// gave; 0, the number of no session, is done at once. Only root may.
///
/// With the user's last session their grant ends. What they left running stays limited.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_close_session(client: *mut Handle, session: u64) -> c_int {
    with(client, |client| {
        if session == 0 {
            return Ok(());
        }
        close(
            client,
            CloseSession {
                session: Some(session),
                uid: None,
                pid: None,
            },
        )
    })
}

/// Like fairshare_close_session for a program that did not keep the number: the session is named by
/// its user and leader, as it was opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_close_session_by_leader(
    client: *mut Handle,
    uid: libc::uid_t,
    pid: libc::pid_t,
) -> c_int {
    with(client, |client| {
        close(
            client,
            CloseSession {
                session: None,
                uid: Some(uid),
                pid: Some(leader(pid)?),
            },
        )
    })
}

/// Asks what the calling user has, and fills `status`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_status(client: *mut Handle, status: *mut Status) -> c_int {
    with(client, |client| {
        // SAFETY: a structure's pointer, by the contract above.
        let out = unsafe { Out::new(status) }?;
        out.fill(&client.status()?.into());
        Ok(())
    })
}

/// Asks for more for the calling user, or changes the grant that they hold, and waits until the
/// kernel enforces it. The figures are absolute. `flags` is 0 or FAIRSHARE_FORCE.
///
/// The grant ends with fairshare_release, with the user's last session, or with the lease that
/// policy gives it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_resize(
    client: *mut Handle,
    wish: *const Wish,
    flags: u32,
) -> c_int {
    with(client, |client| {
        // SAFETY: a structure's pointer, by the contract above.
        let wish = unsafe { read_wish(wish) }?.read()?;
        let force = force(flags)?;
        client.resize(Resize {
            wish,
            force,
            ..Resize::default()
        })?;
        Ok(())
    })
}

/// Gives the calling user's grant back: what they have is the default again. `flags` is 0 or
/// FAIRSHARE_FORCE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fairshare_release(client: *mut Handle, flags: u32) -> c_int {
    with(client, |client| {
        let force = force(flags)?;
        client.release(Release { force, uid: None })?;
        Ok(())
    })
}

/// The guard of every function that asks the daemon: NULL is refused, a panic becomes a result.
fn with(client: *mut Handle, act: impl FnOnce(&Client) -> Result<(), Failure>) -> c_int {
    // SAFETY: a client pointer, by the contract above.
    match unsafe { client.as_mut() } {
        Some(handle) => handle.run(act),
        None => ResultCode::InvalidArgument as c_int,
    }
}

/// Keeps a panic, which becomes a result, from being printed on the program's standard error as
/// well. The hook is the library's own: its standard library is not shared with the program.
fn quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        if !cfg!(test) {
            std::panic::set_hook(Box::new(|_| {}));
        }
    });
}

/// A text from C.
///
/// # Safety
/// NULL, or ends with a NUL and lives as long as the result.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: not NULL; the rest is the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

fn leader(pid: libc::pid_t) -> Result<u32, Failure> {
    u32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or_else(|| Failure::invalid_argument(format!("{pid} is not the ID of a process")))
}

fn force(flags: u32) -> Result<bool, Failure> {
    match flags {
        0 => Ok(false),
        FAIRSHARE_FORCE => Ok(true),
        _ => Err(Failure::invalid_argument(format!(
            "flags {flags:#x} are not known to this version"
        ))),
    }
}

fn close(client: &Client, session: CloseSession) -> Result<(), Failure> {
    client.close_session(session)?;
    Ok(())
}

/// A structure of the program's that is to be filled, checked before the daemon is asked: a request
/// whose answer has no room would be carried out all the same.
struct Out<T> {
    place: *mut T,
    size: usize,
}

impl<T: Copy> Out<T> {
    /// # Safety
    /// NULL, or a structure as the contract above says, which begins with its size.
    unsafe fn new(place: *mut T) -> Result<Self, Failure> {
        // SAFETY: the caller's promise.
        let size = unsafe { size_of_structure(place) }?;
        Ok(Self { place, size })
    }

    /// Writes what both sides know. What only the program knows gets all bits set, which is
    /// `FAIRSHARE_UNKNOWN` in each of its numbers; `size` stays the program's.
    fn fill(self, value: &T) {
        let value = ptr::from_ref(value).cast::<u8>();
        // SAFETY: the bytes of one of our structures, which has no padding.
        let ours = unsafe { slice::from_raw_parts(value, size_of::<T>()) };
        // SAFETY: `new` has checked the pointer and the size; the memory is the program's, who
        // waits for us, so nobody else uses it.
        let theirs = unsafe { slice::from_raw_parts_mut(self.place.cast::<u8>(), self.size) };
        let bytes = ours.iter().chain(iter::repeat(&u8::MAX));
        for (place, byte) in theirs.iter_mut().zip(bytes).skip(size_of::<usize>()) {
            *place = *byte;
        }
    }
}

/// Reads a wish of any size.
///
/// # Safety
/// NULL, or a structure as the contract above says.
unsafe fn read_wish(wish: *const Wish) -> Result<Wish, Failure> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_of_structure(wish) }?;
    // SAFETY: not NULL, and `size` bytes are the program's.
    let bytes = unsafe { slice::from_raw_parts(wish.cast::<u8>(), size) };
    if bytes.iter().skip(size_of::<Wish>()).any(|byte| *byte != 0) {
        return Err(Failure::invalid_argument(
            "the wish names a resource that this version does not know".to_owned(),
        ));
    }
    // SAFETY: not NULL, aligned and long enough; every bit pattern is a Wish.
    Ok(unsafe { ptr::read(wish) })
}

/// The structure's first member, where it is one that a version of the header can have had.
///
/// # Safety
/// NULL, or a structure as the contract above says, which begins with its size.
unsafe fn size_of_structure<T>(place: *const T) -> Result<usize, Failure> {
    /// Longer than any structure will ever become: such a size was never set.
    const LONGEST: usize = 4096;

    if place.is_null() {
        return Err(Failure::invalid_argument(
            "the structure is missing: it is NULL".to_owned(),
        ));
    }
    // SAFETY: not NULL, and the first member is set.
    let size = unsafe { ptr::read(place.cast::<usize>()) };
    if (size_of::<T>()..=LONGEST).contains(&size) {
        Ok(size)
    } else {
        Err(Failure::invalid_argument(format!(
            "the structure's size is {size}: set it to sizeof of the structure"
        )))
    }
}
