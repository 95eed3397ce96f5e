//! The C functions that pam-bindings does not have, and the C data that libpam passes. Beside the
//! exported functions the only file with `unsafe` in it.

#![expect(
    unsafe_code,
    reason = "libpam, getpwnam_r(3), mmap(2); each block names its contract"
)]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use pam::module::{PamHandle, PamResult};

/// The first size of the buffer for a user's record, in bytes. Nearly every record fits.
const RECORD_FIRST: usize = 1024;

/// The last size of the buffer for a user's record, in bytes. A name service that wants more is
/// broken.
const RECORD_LAST: usize = 1 << 20;

/// How often a lookup that a signal interrupted is begun anew.
const LOOKUP_TRIES: usize = 10;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_getenv(handle: *mut PamHandle, name: *const c_char) -> *const c_char;
    fn pam_putenv(handle: *mut PamHandle, name_value: *const c_char) -> c_int;
    fn pam_syslog(handle: *const PamHandle, priority: c_int, format: *const c_char, ...);
}

/// Sets a variable, given as `NAME=value`, in the environment that the host hands to the session.
/// Answers with PAM's code.
pub(crate) fn put_env(handle: &mut PamHandle, name_value: &CStr) -> c_int {
    // SAFETY: pam_putenv(3) wants a valid handle, which the reference is, and a string, which it
    // copies.
    unsafe { pam_putenv(handle, name_value.as_ptr()) }
}

/// Whether the environment that the host hands to the session has this variable.
pub(crate) fn has_env(handle: &mut PamHandle, name: &CStr) -> bool {
    // SAFETY: pam_getenv(3) wants a valid handle, which the reference is, and a string, of which it
    // keeps nothing. What it points to is not looked at.
    let value = unsafe { pam_getenv(handle, name.as_ptr()) };
    !value.is_null()
}

/// Writes a line to the system log. `line` is an argument and never the format.
pub(crate) fn syslog(handle: &PamHandle, priority: c_int, line: &CStr) {
    // SAFETY: pam_syslog(3) wants a valid handle, and for each `%s` of the format a string. It
    // keeps no pointer.
    unsafe { pam_syslog(handle, priority, c"%s".as_ptr(), line.as_ptr()) }
}

/// The arguments of a hook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args<'a>(&'a [*const c_char]);

impl<'a> Args<'a> {
    /// Takes over what libpam passes. None where it passes none.
    ///
    /// # Safety
    /// Where `count` is above 0 and `strings` is not NULL, `strings` points to `count` pointers, each NULL
    /// or to a string; all of it stays as it is for `'a`.
    pub(crate) unsafe fn new(count: c_int, strings: *const *const c_char) -> Self {
        match usize::try_from(count) {
            Ok(count) if count > 0 && !strings.is_null() => {
                // SAFETY: as this function demands.
                Self(unsafe { std::slice::from_raw_parts(strings, count) })
            }
            _ => Self(&[]),
        }
    }

    /// The arguments in their order. Allocates nothing.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a CStr> {
        self.0.iter().filter(|arg| !arg.is_null()).map(|&arg| {
            // SAFETY: `new` demands strings that live for 'a.
            unsafe { CStr::from_ptr(arg) }
        })
    }
}

/// What libpam passes to a hook beside the flags.
pub(crate) struct Received<'a> {
    /// The transaction.
    pub(crate) handle: &'a mut PamHandle,
    /// The arguments of the module's line.
    pub(crate) args: Args<'a>,
}

/// Takes over what libpam passes. `None` for a NULL handle, which it never passes.
///
/// # Safety
/// A handle that is not NULL is libpam's, and nobody else uses it for `'a`. The strings are as
/// [`Args::new`] demands.
pub(crate) unsafe fn receive<'a>(
    handle: *mut PamHandle,
    count: c_int,
    strings: *const *const c_char,
) -> Option<Received<'a>> {
    // SAFETY: as this function demands.
    let args = unsafe { Args::new(count, strings) };
    // SAFETY: as this function demands. The type has no size and no fields, so the reference says
    // nothing about the memory behind it.
    let handle = unsafe { handle.as_mut() }?;
    Some(Received { handle, args })
}

/// The session to close, until it has been closed.
struct Remembered(Cell<Option<u64>>);

/// Under this key the handle keeps a [`Remembered`] from open to close. The number is that of its
/// layout: should that change, a stack with an old and a new module in it must not mix them.
const REMEMBERED: &str = "pam_fairshare.session.1";

/// Keeps a session's number in the handle, in place of one that is there. At the end libpam has it
/// freed, and nothing else.
pub(crate) fn remember(handle: &mut PamHandle, session: u64) -> PamResult<()> {
    let remembered = Remembered(Cell::new(Some(session)));
    handle.set_data(REMEMBERED, Box::new(remembered))
}

/// Takes the session's number out of the handle.
pub(crate) fn take_remembered(handle: &mut PamHandle) -> Option<u64> {
    // SAFETY: what is stored under this key must be of this type. Only `remember` stores under it;
    // the name is this module's and has the layout's number in it.
    let remembered: PamResult<&Remembered> = unsafe { handle.get_data(REMEMBERED) };
    remembered.ok()?.0.take()
}

/// Whether so many more bytes of memory could be had now. Keeps none of it, and leaves the host's
/// allocator as it is.
pub(crate) fn can_map(bytes: usize) -> bool {
    // SAFETY: mmap(2) with a NULL address and no file places a new mapping where nothing is.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut::<c_void>(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping was made above, is of this size, and nothing points into it.
    unsafe { libc::munmap(memory, bytes) };
    true
}

/// The UID of a user, or `None` where there is no such user.
///
/// It asks the host's name service (NSS), as the modules before this one have done for the same
/// user: this is no new dependency of a login, and what it costs has been paid. It has no deadline
/// of its own for that reason.
pub(crate) fn uid_of(name: &CStr) -> io::Result<Option<libc::uid_t>> {
    let mut size = RECORD_FIRST;
    let mut tries = 0;
    loop {
        let mut buffer: Vec<c_char> = Vec::new();
        buffer.try_reserve_exact(size)?;
        let mut record = MaybeUninit::<libc::passwd>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: getpwnam_r(3) writes to `record`, to at most the given number of bytes behind
        // the buffer's pointer, which are reserved, and to `found`. All of them live until it
        // returns.
        let error = unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                record.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.capacity(),
                &raw mut found,
            )
        };
        match error {
            0 if found.is_null() => return Ok(None),
            0 => {
                // SAFETY: a result that is not NULL says that `record` has been filled. Of its
                // fields only an integer is read, no pointer.
                return Ok(Some(unsafe { (*record.as_ptr()).pw_uid }));
            }
            // Ways to say "no such user" that the manual lists.
            libc::ENOENT | libc::ESRCH => return Ok(None),
            libc::ERANGE if size < RECORD_LAST => size *= 4,
            libc::EINTR if tries < LOOKUP_TRIES => tries += 1,
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}
