//! Who may ask what: one pure function.

use fairshare_protocol::Request;

/// Whether the caller, as the kernel names it, may make this request.
///
/// A user's own requests concern the caller and nobody else, because no message says whom it is
/// about. Sessions are root's: who opens one says for whom. `list` is everybody's, with the rows
/// that [`sees_everybody`] leaves.
///
/// # Errors
/// The sentence for the caller.
pub(crate) fn authorise(caller: u32, request: &Request) -> Result<(), &'static str> {
    match request {
        Request::OpenSession(_) | Request::CloseSession(_) => {
            if caller == 0 {
                Ok(())
            } else {
                Err("Only root opens and closes sessions")
            }
        }
        Request::RequestResources(_)
        | Request::Resize(_)
        | Request::Release(_)
        | Request::Status
        | Request::List => Ok(()),
    }
}

/// Whether `list` shows the caller every user, or only the caller's own row.
pub(crate) fn sees_everybody(caller: u32) -> bool {
    caller == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_roots_alone() {
        for (line, user_may) in [
            (r#"{"type": "open_session", "uid": 1001, "pid": 1}"#, false),
            (r#"{"type": "open_session", "uid": 1000, "pid": 1}"#, false),
            (r#"{"type": "close_session", "session": 1}"#, false),
            (r#"{"type": "request_resources", "cpu": 1}"#, true),
            (r#"{"type": "resize", "cpu": 1}"#, true),
            (r#"{"type": "release"}"#, true),
            (r#"{"type": "status"}"#, true),
            (r#"{"type": "list"}"#, true),
        ] {
            let request = Request::from_line(line.as_bytes()).unwrap();
            assert_eq!(authorise(1000, &request).is_ok(), user_may, "{line}");
            assert!(authorise(0, &request).is_ok(), "{line}");
        }
        assert!(sees_everybody(0) && !sees_everybody(1000));
    }
}
