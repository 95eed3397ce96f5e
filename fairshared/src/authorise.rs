//! Who may ask what: one pure function.

use fairshare_protocol::{
    CloseSession, Explain, Incidents, Metrics, OpenSession, Processes, Release, Report, Request,
    Set,
};

/// Who is asking: facts of the kernel and of the name service, none of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The UID that the socket names.
    pub(crate) uid: u32,
    /// Whether policy names the caller, or a group of the caller's, as administrator. Root is one
    /// whatever policy says.
    pub(crate) administrator: bool,
    /// Whether the caller is in the group that may have the figures for monitoring.
    pub(crate) exporter: bool,
}

const ROOT: u32 = 0;

/// Whether the caller may make this request.
///
/// A user's own requests are everybody's. What concerns somebody else, or the policy of all, is
/// for administrators; sessions and the reload are root's alone, because they stand for what only
/// root does: logging somebody in, and changing files under `/etc`. `list`, `usage`,
/// `queue` and `strays` are everybody's, with the rows that [`sees_everybody`] leaves.
///
/// # Errors
/// The sentence for the caller.
pub(crate) fn authorise(caller: &Caller, request: &Request) -> Result<(), &'static str> {
    let (may, sentence) = match request {
        Request::OpenSession(_) | Request::CloseSession(_) => {
            (caller.uid == ROOT, "Only root opens and closes sessions")
        }
        Request::Reload => (caller.uid == ROOT, "Only root has the policy read again"),
        Request::Set(_) => (
            sees_everybody(caller),
            "Only root and administrators set a user's grant",
        ),
        Request::PolicyDiff => (
            sees_everybody(caller),
            "Only root and administrators see what a reload would change",
        ),
        Request::Release(Release { uid, .. }) => (
            is_own(caller, *uid) || sees_everybody(caller),
            "Only root and administrators take back another user's grant",
        ),
        Request::Explain(Explain { uid }) => (
            is_own(caller, *uid) || sees_everybody(caller),
            "Only root and administrators see what policy says for another user",
        ),
        Request::Incidents(Incidents { uid, .. }) => (
            is_own(caller, *uid) || sees_everybody(caller),
            "Only root and administrators see what happened to another user",
        ),
        Request::Report(Report { uid, .. }) => (
            is_own(caller, *uid) || sees_everybody(caller),
            "Only root and administrators see what another user has used",
        ),
        Request::Processes(Processes { uid }) => (
            is_own(caller, *uid) || sees_everybody(caller),
            "Only root and administrators see the processes of another user",
        ),
        Request::Metrics(Metrics { .. }) => (
            caller.exporter || sees_everybody(caller),
            "Only root, administrators and the group 'fairshare-exporter' have the figures for monitoring",
        ),
        Request::RequestResources(_)
        | Request::Resize(_)
        | Request::Renew(_)
        | Request::Status
        | Request::List
        | Request::Usage
        | Request::Queue
        | Request::Strays
        | Request::About => (true, ""),
    };
    if may { Ok(()) } else { Err(sentence) }
}

/// Whether `list`, `usage`, `queue` and `strays` show the caller every user, or only the caller's own rows.
pub(crate) fn sees_everybody(caller: &Caller) -> bool {
    caller.uid == ROOT || caller.administrator
}

/// The user whom the request names, where it names one; else it concerns the caller.
pub(crate) fn concerns(request: &Request) -> Option<u32> {
    match request {
        Request::OpenSession(OpenSession { uid, .. }) | Request::Set(Set { uid, .. }) => Some(*uid),
        Request::CloseSession(CloseSession { uid, .. })
        | Request::Release(Release { uid, .. })
        | Request::Incidents(Incidents { uid, .. })
        | Request::Report(Report { uid, .. })
        | Request::Processes(Processes { uid })
        | Request::Explain(Explain { uid }) => *uid,
        Request::RequestResources(_)
        | Request::Resize(_)
        | Request::Renew(_)
        | Request::Status
        | Request::List
        | Request::Usage
        | Request::Queue
        | Request::Strays
        | Request::PolicyDiff
        | Request::Reload
        | Request::Metrics(_)
        | Request::About => None,
    }
}

/// Whether a request for this user is the caller's own.
fn is_own(caller: &Caller, uid: Option<u32>) -> bool {
    uid.is_none_or(|uid| uid == caller.uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Caller = Caller {
        uid: 1000,
        administrator: false,
        exporter: false,
    };
    const ADMINISTRATOR: Caller = Caller {
        uid: 1000,
        administrator: true,
        exporter: false,
    };
    const ROOT_ITSELF: Caller = Caller {
        uid: 0,
        administrator: false,
        exporter: false,
    };
    const EXPORTER: Caller = Caller {
        uid: 998,
        administrator: false,
        exporter: true,
    };

    /// Each request that can be made, whom it concerns, and whether a user and an administrator
    /// with the UID 1000 may make it. Root may make every one.
    const TABLE: [(&str, Option<u32>, bool, bool); 34] = [
        (
            r#"{"type": "request_resources", "cpu": 1}"#,
            None,
            true,
            true,
        ),
        (r#"{"type": "resize", "cpu": 1}"#, None, true, true),
        (
            r#"{"type": "resize", "cpu": 1, "for": "2h", "wait": true}"#,
            None,
            true,
            true,
        ),
        (r#"{"type": "renew", "for": "1h"}"#, None, true, true),
        (r#"{"type": "release"}"#, None, true, true),
        (
            r#"{"type": "release", "uid": 1000}"#,
            Some(1000),
            true,
            true,
        ),
        (
            r#"{"type": "release", "uid": 1001}"#,
            Some(1001),
            false,
            true,
        ),
        (r#"{"type": "release", "uid": 0}"#, Some(0), false, true),
        (
            r#"{"type": "set", "uid": 1000, "cpu": 1}"#,
            Some(1000),
            false,
            true,
        ),
        (
            r#"{"type": "set", "uid": 1001, "cpu": 1}"#,
            Some(1001),
            false,
            true,
        ),
        (r#"{"type": "status"}"#, None, true, true),
        (r#"{"type": "list"}"#, None, true, true),
        (r#"{"type": "usage"}"#, None, true, true),
        (r#"{"type": "processes"}"#, None, true, true),
        (
            r#"{"type": "processes", "uid": 1000}"#,
            Some(1000),
            true,
            true,
        ),
        (
            r#"{"type": "processes", "uid": 1001}"#,
            Some(1001),
            false,
            true,
        ),
        (r#"{"type": "queue"}"#, None, true, true),
        (r#"{"type": "strays"}"#, None, true, true),
        (r#"{"type": "explain"}"#, None, true, true),
        (
            r#"{"type": "explain", "uid": 1000}"#,
            Some(1000),
            true,
            true,
        ),
        (
            r#"{"type": "explain", "uid": 1001}"#,
            Some(1001),
            false,
            true,
        ),
        (r#"{"type": "incidents"}"#, None, true, true),
        (
            r#"{"type": "incidents", "uid": 1000, "since": "1d"}"#,
            Some(1000),
            true,
            true,
        ),
        (
            r#"{"type": "incidents", "uid": 1001}"#,
            Some(1001),
            false,
            true,
        ),
        (r#"{"type": "report", "by": "group"}"#, None, true, true),
        (r#"{"type": "report", "uid": 1000}"#, Some(1000), true, true),
        (
            r#"{"type": "report", "uid": 1001, "by": "day"}"#,
            Some(1001),
            false,
            true,
        ),
        (r#"{"type": "policy_diff"}"#, None, false, true),
        (r#"{"type": "reload"}"#, None, false, false),
        (r#"{"type": "metrics", "users": 9}"#, None, false, true),
        (r#"{"type": "about"}"#, None, true, true),
        (
            r#"{"type": "open_session", "uid": 1000, "pid": 1}"#,
            Some(1000),
            false,
            false,
        ),
        (
            r#"{"type": "close_session", "session": 1}"#,
            None,
            false,
            false,
        ),
        (
            r#"{"type": "close_session", "uid": 1000, "pid": 1}"#,
            Some(1000),
            false,
            false,
        ),
    ];

    #[test]
    fn who_may_ask_what_about_whom() {
        for (line, whom, user_may, administrator_may) in TABLE {
            let request = Request::from_line(line.as_bytes()).unwrap();
            let may = |caller| authorise(&caller, &request).is_ok();
            assert_eq!(may(USER), user_may, "a user: {line}");
            assert_eq!(
                may(ADMINISTRATOR),
                administrator_may,
                "an administrator: {line}"
            );
            assert!(may(ROOT_ITSELF), "root: {line}");
            assert_eq!(concerns(&request), whom, "{line}");
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_request() {
        let rows: Vec<Request> = TABLE
            .iter()
            .map(|(line, ..)| Request::from_line(line.as_bytes()).unwrap())
            .collect();
        for name in Request::NAMES {
            assert!(rows.iter().any(|row| row.name() == *name), "{name}");
        }
    }

    #[test]
    fn a_refusal_says_who_may() {
        for (line, ..) in TABLE {
            let request = Request::from_line(line.as_bytes()).unwrap();
            if let Err(sentence) = authorise(&USER, &request) {
                assert!(sentence.starts_with("Only root"), "{line}: {sentence}");
            }
        }
    }

    #[test]
    fn the_exporter_has_the_figures_and_nothing_else_of_others() {
        for (line, whom, ..) in TABLE {
            let request = Request::from_line(line.as_bytes()).unwrap();
            let may = authorise(&EXPORTER, &request).is_ok();
            let others = matches!(request, Request::Metrics(_));
            let as_user = authorise(
                &Caller {
                    exporter: false,
                    ..EXPORTER
                },
                &request,
            )
            .is_ok();
            assert_eq!(may, others || as_user, "{line} {whom:?}");
        }
        assert!(!sees_everybody(&EXPORTER));
    }

    #[test]
    fn administrators_see_everybody() {
        assert!(sees_everybody(&ROOT_ITSELF) && sees_everybody(&ADMINISTRATOR));
        assert!(!sees_everybody(&USER));
    }
}
