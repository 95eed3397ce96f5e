//! What stands behind the pointer that C holds: a client, and the sentence of its last failure.

use std::any::Any;
use std::ffi::{CStr, CString, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use fairshare_client::{Client, ClientError, DEFAULT_TIMEOUT};

use crate::result::ResultCode;

/// A client of the daemon. Made by fairshare_client_new, ended by fairshare_client_free.
#[derive(Debug)]
pub struct Handle {
    client: Client,
    message: CString,
}

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ResultCode,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn invalid_argument(message: String) -> Self {
        Self {
            code: ResultCode::InvalidArgument,
            message,
        }
    }

    fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        Self {
            code: ResultCode::Fault,
            message: format!("a fault in libfairshare: {text}"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self {
            code: ResultCode::of_error(&error),
            message: error.to_string(),
        }
    }
}

impl Handle {
    /// A handle for the socket; a timeout of zero is the client's default.
    pub(crate) fn new(socket: PathBuf, timeout: Duration) -> Self {
        let timeout = if timeout.is_zero() {
            DEFAULT_TIMEOUT
        } else {
            timeout
        };
        Self {
            client: Client::new(socket, timeout),
            message: CString::default(),
        }
    }

    /// Does one thing with the client and keeps the sentence of its failure. A panic ends here.
    pub(crate) fn run(&mut self, act: impl FnOnce(&Client) -> Result<(), Failure>) -> c_int {
        // After a panic nothing of the closure is used again, and the client has no state that
        // could be left half changed.
        let result = catch_unwind(AssertUnwindSafe(|| act(&self.client)));
        let result = result.unwrap_or_else(|payload| {
            let failure = Failure::panicked(&*payload);
            // Its destructor may panic as well.
            Box::leak(payload);
            Err(failure)
        });
        let (code, message) = match result {
            Ok(()) => (ResultCode::Ok, String::new()),
            Err(failure) => (failure.code, failure.message),
        };
        self.message = c_string(&message);
        code as c_int
    }

    /// The sentence of the last call's failure; empty after a success.
    pub(crate) fn message(&self) -> &CStr {
        &self.message
    }
}

/// The text up to its first NUL.
fn c_string(text: &str) -> CString {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> Handle {
        Handle::new(PathBuf::from("/nonexistent"), Duration::from_secs(1))
    }

    #[test]
    fn a_panic_ends_at_the_boundary_and_the_handle_goes_on() {
        let mut handle = handle();
        let code = handle.run(|_| panic!("number {}", 5));
        assert_eq!(code, ResultCode::Fault as c_int);
        assert_eq!(handle.message(), c"a fault in libfairshare: number 5");
        assert_eq!(handle.run(|_| Ok(())), 0);
        assert_eq!(handle.message(), c"");
    }

    #[test]
    fn a_payload_whose_destructor_panics_does_not_get_out_either() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let code = handle().run(|_| std::panic::panic_any(Bomb));
        assert_eq!(code, ResultCode::Fault as c_int);
    }

    #[test]
    fn a_timeout_of_zero_is_the_default_and_not_no_time_at_all() {
        let handle = Handle::new(PathBuf::from("/x"), Duration::ZERO);
        assert_eq!(handle.client.timeout(), DEFAULT_TIMEOUT);
    }

    #[test]
    fn a_nul_in_a_message_ends_it() {
        assert_eq!(c_string("one\0two"), c"one".to_owned());
    }
}
