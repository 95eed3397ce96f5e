//! What keeps a fault of the module's own from becoming the host's end.
//!
//! Two faults can: a panic, which must not leave a function called from C, and an allocation that
//! fails, upon which the standard library aborts the process. The first is caught; the second is
//! asked for beforehand, since it cannot be caught.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::ffi;

/// Address space that must be free before anything is allocated, in bytes. The reply that takes the
/// most memory to read takes less than a half of it.
const HEADROOM: usize = 4 << 20;

/// Why the body did not run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It panicked.
    Panic,
    /// It was not begun: the host has too little address space left.
    NoMemory,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panic => "internal fault in the module",
            Self::NoMemory => "too little memory left in this process",
        })
    }
}

/// Runs the body. No panic comes out and nothing is printed.
pub(crate) fn contain<T>(body: impl FnOnce() -> T) -> Result<T, Fault> {
    if !ffi::can_map(HEADROOM) {
        return Err(Fault::NoMemory);
    }
    // Whatever the body had under way when it panicked is not looked at again.
    panic::catch_unwind(AssertUnwindSafe(|| {
        silence();
        body()
    }))
    .map_err(|payload| {
        // Dropping what was thrown may panic in its turn.
        #[expect(clippy::mem_forget, reason = "a leak, once, is the lesser evil")]
        std::mem::forget(payload);
        Fault::Panic
    })
}

/// Takes the message away that a panic would print on the host's standard error.
///
/// The standard library is linked into the module, so its panic hook is the module's own: a host
/// that is itself written in Rust keeps its.
fn silence() {
    static SILENT: Once = Once::new();
    SILENT.call_once(|| panic::set_hook(Box::new(|_| {})));
}
