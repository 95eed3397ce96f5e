//! The functions that libpam looks for, as `pam_sm_open_session(3)` and its neighbours declare
//! them. Each is a guard and one call.
//!
//! Integers come in and go out, no foreign enum.

#![expect(
    unsafe_code,
    reason = "C entry points: unmangled names, and pointers whose contract is libpam's"
)]

use std::ffi::{c_char, c_int};

use pam::module::PamHandle;

use crate::ffi;
use crate::hook::{self, Hook};
use crate::session;

#[unsafe(no_mangle)]
unsafe extern "C" fn pam_sm_open_session(
    handle: *mut PamHandle,
    flags: c_int,
    count: c_int,
    strings: *const *const c_char,
) -> c_int {
    // SAFETY: libpam passes a handle and an array of `count` strings that outlive this call.
    let received = unsafe { ffi::receive(handle, count, strings) };
    hook::run(received, flags, Hook::Open, session::open)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pam_sm_close_session(
    handle: *mut PamHandle,
    flags: c_int,
    count: c_int,
    strings: *const *const c_char,
) -> c_int {
    // SAFETY: libpam passes a handle and an array of `count` strings that outlive this call.
    let received = unsafe { ffi::receive(handle, count, strings) };
    hook::run(received, flags, Hook::Close, session::close)
}

/// The four hooks of the other stacks, where an administrator may write the line by mistake.
///
/// Left out, libpam would answer `PAM_MODULE_UNKNOWN` in their place, and a `required` line in the
/// wrong stack would lock everybody out, root too. `PAM_IGNORE` lets nobody in either: alone in a
/// stack it is a refusal.
macro_rules! not_a_session {
    ($($name:ident)+) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            handle: *mut PamHandle,
            flags: c_int,
            count: c_int,
            strings: *const *const c_char,
        ) -> c_int {
            // SAFETY: libpam passes a handle and an array of `count` strings that outlive this
            // call.
            let received = unsafe { ffi::receive(handle, count, strings) };
            hook::run(received, flags, Hook::Other, session::wrong_stack)
        }
    )+};
}

not_a_session! {
    pam_sm_authenticate
    pam_sm_setcred
    pam_sm_acct_mgmt
    pam_sm_chauthtok
}
