//! What to do next: the last line of every error; two where there are two ways to go on.
//!
//! The daemon's sentence says what went wrong. What helps depends on the code and on what was
//! asked, and is the same however the sentence is worded; so it is decided here, in one function
//! for the daemon's refusals and one for calls that failed on the way.

use std::io::ErrorKind;

use fairshare_client::ClientError;
use fairshare_protocol::{
    ErrorCode, ErrorReply, Release, Request, Resize, Set, StatusInfo, Wait, Wish,
};

/// The next step after a call that failed. `status` is the caller's own, where it is known; it
/// turns "your maximum" into figures.
pub(crate) fn for_error(
    error: &ClientError,
    request: &Request,
    status: Option<&StatusInfo>,
) -> String {
    match error {
        ClientError::Refused(reply) => for_refusal(reply, request, status),
        ClientError::NoDaemon { .. } => "start it: systemctl start fairshared".to_owned(),
        ClientError::Deadline { .. } | ClientError::Closed { .. } if waits(request) => {
            "the place in the queue may be lost: see fairshare status, and ask again".to_owned()
        }
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
pub(crate) fn wants_status(error: &ClientError, request: &Request) -> bool {
    let figures = matches!(
        error.code(),
        Some(ErrorCode::AboveMaximum | ErrorCode::BelowDefault | ErrorCode::BelowMinimum)
    );
    figures && whom(request).is_none()
}

fn may_change(request: &Request) -> bool {
    !matches!(
        request,
        Request::Status
            | Request::List
            | Request::Queue
            | Request::Explain(_)
            | Request::PolicyDiff
            | Request::About
    )
}

fn waits(request: &Request) -> bool {
    matches!(request, Request::Resize(Resize { wait: Some(_), .. }))
}

/// The user whom an administrator's request is about.
fn whom(request: &Request) -> Option<u32> {
    match request {
        Request::Set(Set { uid, .. }) => Some(*uid),
        Request::Release(Release { uid, .. }) => *uid,
        _ => None,
    }
}

/// The next step after a refusal, with the command that would work now where the daemon said what
/// would.
fn for_refusal(reply: &ErrorReply, request: &Request, status: Option<&StatusInfo>) -> String {
    if !matches!(
        reply.code,
        Some(ErrorCode::NoCapacity | ErrorCode::OverBudget)
    ) {
        return for_code(reply.code, request, status);
    }
    let smaller = reply
        .largest
        .and_then(|largest| as_typed(request, |wish| within(wish, largest), None));
    let waiting = as_typed(request, |wish| wish, Some(Wait::Allowed));
    match (smaller, waiting) {
        (Some(smaller), Some(waiting)) => {
            format!("this fits now: {smaller}\nor wait for your turn: {waiting}")
        }
        (Some(smaller), None) => format!("this fits now: {smaller}"),
        (None, Some(waiting)) => format!("wait for your turn: {waiting}"),
        (None, None) => for_code(reply.code, request, status),
    }
}

/// What of a wish is within the largest one; `None` for a resource of which nothing is.
fn within(wish: Wish, largest: Wish) -> Wish {
    Wish {
        cpu: wish.cpu.and_then(|cpu| Some(cpu.min(largest.cpu?))),
        mem: wish.mem.and_then(|mem| Some(mem.min(largest.mem?))),
        tasks: wish.tasks.and_then(|tasks| Some(tasks.min(largest.tasks?))),
    }
}

/// The command for a `resize` or a `set` with another wish, as it can be typed. `None` for other
/// requests, for a wish that names nothing, and for a `set` that would wait, which none does.
fn as_typed(
    request: &Request,
    change: impl FnOnce(Wish) -> Wish,
    wait: Option<Wait>,
) -> Option<String> {
    let (mut text, wish, lease, force) = match request {
        Request::Resize(Resize {
            wish, lease, force, ..
        }) => ("fairshare resize".to_owned(), wish, lease, *force),
        Request::Set(Set {
            uid,
            wish,
            lease,
            force,
        }) if wait.is_none() => (format!("fairshare set {uid}"), wish, lease, *force),
        _ => return None,
    };
    let wish = change(*wish);
    if wish.is_empty() {
        return None;
    }
    let options = [
        wish.cpu.map(|cpu| format!(" --cpu {cpu}")),
        wish.mem.map(|mem| format!(" --mem {mem}")),
        wish.tasks.map(|tasks| format!(" --tasks {tasks}")),
        lease.map(|lease| format!(" --for {lease}")),
        force.then(|| " --force".to_owned()),
        wait.map(|_| " --wait".to_owned()),
    ];
    text.extend(options.into_iter().flatten());
    Some(text)
}

/// The next step after a refusal with this code. A daemon of the first version sends no code.
fn for_code(code: Option<ErrorCode>, request: &Request, status: Option<&StatusInfo>) -> String {
    let about_session = matches!(request, Request::OpenSession(_) | Request::CloseSession(_));
    let text = match code {
        Some(ErrorCode::AboveMaximum | ErrorCode::BelowDefault | ErrorCode::BelowMinimum)
            if let Some(uid) = whom(request) =>
        {
            return format!("see what policy says for the user: fairshare policy explain {uid}");
        }
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
        Some(ErrorCode::BelowMinimum) => {
            return match status.and_then(|status| status.min) {
                Some(min) => format!("ask for at least {min}"),
                None => "see your minimum: fairshare status".to_owned(),
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
        Some(ErrorCode::OverBudget) => {
            "ask for less, or try again when members of your group have given theirs back"
        }
        Some(ErrorCode::QueueFull) => "ask for less, so that it fits now, or try again later",
        Some(ErrorCode::AlreadyWaiting) => {
            "see its place: fairshare queue; Ctrl-C in the command that waits gives it up"
        }
        Some(ErrorCode::WaitEnded) => "ask for less, or wait again for longer with --wait TIME",
        Some(ErrorCode::AboveLease) => {
            "ask for a shorter time; to see how long you may: fairshare policy explain"
        }
        Some(ErrorCode::NoLease) => {
            "it lasts until your last session ends; give it a lease: fairshare resize with --for"
        }
        Some(ErrorCode::PolicyWrong) => {
            "nothing has changed; mend the files, then again: fairshare policy reload"
        }
        Some(ErrorCode::NoGrant | ErrorCode::NoSession | ErrorCode::NotCovered)
            if whom(request).is_some() =>
        {
            "see who is logged in and who holds what: fairshare list"
        }
        Some(ErrorCode::NoGrant) => "you have the default; to see it: fairshare status",
        Some(ErrorCode::NoSession) if about_session => "see who has sessions: fairshare list",
        Some(ErrorCode::NoSession) => "log in again, so that the daemon hears of the session",
        Some(ErrorCode::NotCovered) => {
            "this account is not limited; to see who has what: fairshare list"
        }
        Some(ErrorCode::NotPermitted) if about_session => {
            "run it as root: sessions are opened and closed by login hooks"
        }
        Some(ErrorCode::NotPermitted) if matches!(request, Request::Reload) => {
            "run it as root: the policy files are root's"
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
                "min": {"cpu": 0.5, "mem": "256M", "tasks": 64},
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
        // Three codes with figures have two forms; two faults of the line share one.
        assert_eq!(seen.len(), ErrorCode::ALL.len() + 3 - 1);
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

    fn full(largest: Option<&str>) -> ErrorReply {
        ErrorReply {
            largest: largest.map(|json| serde_json::from_str(json).unwrap()),
            ..ErrorReply::new(ErrorCode::NoCapacity, "full")
        }
    }

    #[test]
    fn the_command_that_would_work_now_is_given_as_it_can_be_typed() {
        let line = |json: &str| Request::from_line(json.as_bytes()).unwrap();
        let resize = line(r#"{"type": "resize", "cpu": 8, "mem": "32G", "for": "2h"}"#);
        for (largest, expected) in [
            (
                Some(r#"{"cpu": 5, "mem": "64G", "tasks": 100}"#),
                "this fits now: fairshare resize --cpu 5 --mem 32G --for 2h\n\
                 or wait for your turn: fairshare resize --cpu 8 --mem 32G --for 2h --wait",
            ),
            (
                Some(r#"{"mem": "16G"}"#),
                "this fits now: fairshare resize --mem 16G --for 2h\n\
                 or wait for your turn: fairshare resize --cpu 8 --mem 32G --for 2h --wait",
            ),
            (
                None,
                "wait for your turn: fairshare resize --cpu 8 --mem 32G --for 2h --wait",
            ),
        ] {
            assert_eq!(for_refusal(&full(largest), &resize, None), expected);
        }
        let set = line(r#"{"type": "set", "uid": 1000, "cpu": 8, "force": true}"#);
        assert_eq!(
            for_refusal(&full(Some(r#"{"cpu": 5}"#)), &set, None),
            "this fits now: fairshare set 1000 --cpu 5 --force"
        );
        assert!(for_refusal(&full(None), &set, None).starts_with("ask for less"));
    }

    #[test]
    fn an_administrator_gets_no_figures_of_their_own_for_somebody_else() {
        let set = Request::from_line(br#"{"type": "set", "uid": 1000, "cpu": 80}"#).unwrap();
        let error = ClientError::Refused(ErrorReply::new(ErrorCode::AboveMaximum, "too much"));
        assert!(!wants_status(&error, &set));
        assert!(wants_status(&error, &Request::Status));
        assert_eq!(
            for_error(&error, &set, None),
            "see what policy says for the user: fairshare policy explain 1000"
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
