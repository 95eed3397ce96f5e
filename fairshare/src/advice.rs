//! What to do next: the second line of every error.
//!
//! The daemon's sentence says what went wrong. What helps depends on the code and on what was
//! asked, and is the same however the sentence is worded; so it is decided here, in one function
//! for the daemon's refusals and one for calls that failed on the way.

use std::io::ErrorKind;

use fairshare_client::ClientError;
use fairshare_protocol::{ErrorCode, Request, StatusInfo};

/// The next step after a call that failed. `status` is the caller's own, where it is known; it
/// turns "your maximum" into figures.
pub(crate) fn for_error(
    error: &ClientError,
    request: &Request,
    status: Option<&StatusInfo>,
) -> String {
    match error {
        ClientError::Refused(reply) => for_code(reply.code, request, status),
        ClientError::NoDaemon { .. } => "start it: systemctl start fairshared".to_owned(),
        ClientError::Deadline { .. } if may_change(request) => {
            "it may still be carried out: see fairshare status, or wait longer with --timeout"
                .to_owned()
        }
        ClientError::Closed { .. } if may_change(request) => {
            "it may have been carried out: see fairshare status".to_owned()
        }
        ClientError::Deadline { .. } => {
            "try again, or see whether it is well: systemctl status fairshared".to_owned()
        }
        ClientError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "the socket is meant to be open to everybody (mode 0666): tell your administrator"
                .to_owned()
        }
        ClientError::Protocol { .. } => {
            "install the same version of the command and the daemon, and restart the daemon: \
             systemctl restart fairshared"
                .to_owned()
        }
        _ => "the daemon's log says more: journalctl -u fairshared".to_owned(),
    }
}

/// Whether only [`for_code`] with the caller's status has figures to give for this error.
pub(crate) fn wants_status(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::AboveMaximum | ErrorCode::BelowDefault)
    )
}

fn may_change(request: &Request) -> bool {
    !matches!(request, Request::Status | Request::List)
}

/// The next step after a refusal. A daemon of the first version sends no code.
fn for_code(code: Option<ErrorCode>, request: &Request, status: Option<&StatusInfo>) -> String {
    let about_session = matches!(request, Request::OpenSession(_) | Request::CloseSession(_));
    let text = match code {
        Some(ErrorCode::AboveMaximum) => {
            return match status.and_then(|status| status.max) {
                Some(max) => format!("ask for at most {max}"),
                None => "see your maximum: fairshare status".to_owned(),
            };
        }
        Some(ErrorCode::BelowDefault) => {
            return match status.and_then(|status| status.default) {
                Some(default) => {
                    format!("ask for at least {default}, or give the grant back: fairshare release")
                }
                None => "to have the default again: fairshare release".to_owned(),
            };
        }
        Some(ErrorCode::BadRequest | ErrorCode::LineTooLong) => {
            "install the same version of the command and the daemon"
        }
        Some(ErrorCode::UnknownType) => {
            "the daemon is older than this command; after an upgrade: systemctl restart fairshared"
        }
        Some(ErrorCode::InvalidValue) if about_session => {
            "give a process that runs and belongs to the user's session"
        }
        Some(ErrorCode::InvalidValue) => "see how it is written: fairshare --help",
        Some(ErrorCode::NoCapacity) => {
            "ask for less, or try again when others have given theirs back"
        }
        Some(ErrorCode::GrantHeld) => "change it in place: fairshare resize",
        Some(ErrorCode::NoGrant) => "you have the default; to see it: fairshare status",
        Some(ErrorCode::NoSession) if about_session => "see who has sessions: fairshare list",
        Some(ErrorCode::NoSession) => "log in again, so that the daemon hears of the session",
        Some(ErrorCode::NotCovered) => {
            "this account is not limited; to see who has what: fairshare list"
        }
        Some(ErrorCode::NotPermitted) if about_session => {
            "run it as root: sessions are opened and closed by login hooks"
        }
        Some(ErrorCode::NotPermitted) => "ask your administrator",
        Some(ErrorCode::MemoryInUse) => {
            "end programs that hold memory, or use --force to shrink anyway; \
             processes may be killed"
        }
        Some(ErrorCode::NotEnforced) => {
            "see what holds now: fairshare status; the daemon's log says why: \
             journalctl -u fairshared"
        }
        Some(ErrorCode::RateLimited) => "wait a few seconds and try again",
        Some(ErrorCode::Busy) => "try again in a moment",
        Some(ErrorCode::Internal) => {
            "tell your administrator; the daemon's log says more: journalctl -u fairshared"
        }
        // No code, or one that this version does not know.
        _ => "see what you have and may ask for: fairshare status",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::PathBuf;
    use std::time::Duration;

    use fairshare_protocol::{CloseSession, Release};

    use super::*;

    fn status() -> StatusInfo {
        serde_json::from_str(
            r#"{"allocated_cpu": 2, "allocated_mem": "8G",
                "default": {"cpu": 2, "mem": "8G", "tasks": 4096},
                "max": {"cpu": 8, "mem": "32G", "tasks": 8192}}"#,
        )
        .unwrap()
    }

    #[test]
    fn every_code_has_advice_of_its_own() {
        let fallback = for_code(None, &Request::Status, None);
        assert_eq!(
            for_code(Some(ErrorCode::Unknown), &Request::Status, None),
            fallback
        );
        let mut seen = HashSet::new();
        for code in ErrorCode::ALL {
            for status in [None, Some(&status())] {
                let text = for_code(Some(*code), &Request::Status, status);
                assert_ne!(text, fallback, "{code} has no advice");
                assert!(!text.ends_with('.'), "{code}: {text}");
                assert!(!text.contains('\n'), "{code}: {text}");
                seen.insert(text);
            }
        }
        // Two codes with figures have two forms; two faults of the line share one.
        assert_eq!(seen.len(), ErrorCode::ALL.len() + 2 - 1);
    }

    #[test]
    fn figures_are_given_where_they_are_known() {
        let status = status();
        assert_eq!(
            for_code(
                Some(ErrorCode::AboveMaximum),
                &Request::Status,
                Some(&status)
            ),
            "ask for at most 8 CPUs, 32G memory, 8192 tasks"
        );
        assert_eq!(
            for_code(
                Some(ErrorCode::BelowDefault),
                &Request::Status,
                Some(&status)
            ),
            "ask for at least 2 CPUs, 8G memory, 4096 tasks, or give the grant back: \
             fairshare release"
        );
    }

    #[test]
    fn a_hook_is_told_about_sessions_and_a_user_about_logging_in() {
        let close = Request::CloseSession(CloseSession::default());
        let release = Request::Release(Release::default());
        for code in [
            ErrorCode::InvalidValue,
            ErrorCode::NoSession,
            ErrorCode::NotPermitted,
        ] {
            assert_ne!(
                for_code(Some(code), &close, None),
                for_code(Some(code), &release, None)
            );
        }
    }

    #[test]
    fn a_change_that_was_not_answered_may_still_happen_and_that_is_said() {
        let late = ClientError::Deadline {
            path: PathBuf::from("/run/fairshare.sock"),
            verb: "read from",
            timeout: Duration::from_secs(30),
        };
        let closed = ClientError::Closed {
            path: PathBuf::from("/run/fairshare.sock"),
            partial: false,
        };
        let release = Request::Release(Release::default());
        assert!(for_error(&closed, &release, None).starts_with("it may have been carried out"));
        assert!(for_error(&late, &release, None).starts_with("it may still be carried out"));
        assert!(for_error(&late, &Request::Status, None).starts_with("try again"));
    }

    #[test]
    fn a_missing_daemon_is_to_be_started() {
        let absent = ClientError::NoDaemon {
            path: PathBuf::from("/run/fairshare.sock"),
            source: ErrorKind::NotFound.into(),
        };
        assert_eq!(
            for_error(&absent, &Request::Status, None),
            "start it: systemctl start fairshared"
        );
    }
}
