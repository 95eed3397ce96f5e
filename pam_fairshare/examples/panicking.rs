//! A module whose hooks panic, behind the boundary of the real one.
//!
//! The real module has no switch that makes it panic, and should have none. This one is built of
//! the same files but for the body, and is what the tests load to see a panic stopped. What it
//! throws panics once more when it is dropped.

#![expect(clippy::panic, reason = "it is there for that")]
#![expect(
    dead_code,
    reason = "the parts of the real module that only its own bodies use"
)]

#[path = "../src/boundary.rs"]
mod boundary;
#[path = "../src/call.rs"]
mod call;
#[path = "../src/config.rs"]
mod config;
#[path = "../src/ffi.rs"]
mod ffi;
#[path = "../src/hook.rs"]
mod hook;
#[path = "../src/outcome.rs"]
mod outcome;

mod exports {
    //! The two hooks of a session.
    #![expect(unsafe_code, reason = "C entry points, as the real module has them")]

    use std::ffi::{c_char, c_int};

    use pam::module::PamHandle;

    use crate::call::Call;
    use crate::ffi;
    use crate::hook::{self, Failure, Hook};
    use crate::outcome::Outcome;

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            std::panic::panic_any(Self);
        }
    }

    fn body(_: &mut Call<'_>) -> Result<Outcome, Failure> {
        std::panic::panic_any(PanicsWhenDropped);
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn pam_sm_open_session(
        handle: *mut PamHandle,
        flags: c_int,
        count: c_int,
        strings: *const *const c_char,
    ) -> c_int {
        // SAFETY: libpam passes a handle and an array of `count` strings that outlive this call.
        let received = unsafe { ffi::receive(handle, count, strings) };
        hook::run(received, flags, Hook::Open, body)
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
        hook::run(received, flags, Hook::Close, body)
    }
}
