//! During an upgrade the module is of one version and the daemon of another.

use crate::login::{FIGURES, LOG_ERR, LOG_NOTICE, Login, SUCCESS};
use crate::peer::Peer;

/// The first daemons' replies are all that a module needs, and what later ones add is skipped.
#[test]
fn a_daemon_of_any_version_opens_a_session() {
    for reply in [
        r#"{"type": "session_opened", "session": 7, "cpu": 1.5, "mem": "1536M", "tasks": 99}"#,
        r#"{"type": "session_opened", "session": 7, "cpu": 1.5, "mem": "1536M", "tasks": 99, "gpu": [1], "until": {"s": 9}}"#,
    ] {
        let daemon = Peer::answering(format!("{reply}\n"));
        let report = Login::new(daemon.path(), "timeout=20000").run();
        assert_eq!(report.codes("open"), [SUCCESS], "{reply}");
        assert_eq!(report.environment(), FIGURES, "{reply}");
    }
}

/// A refusal without a code, with one of a later version, and a reply of a later type: the login
/// goes on, and the log says in one line what was not understood.
#[test]
fn what_a_daemon_of_another_version_refuses_costs_no_login() {
    for (reply, said) in [
        (r#"{"type": "error", "error": "No room"}"#, "No room"),
        (
            r#"{"type": "error", "error": "The moon is full", "code": "moon_full", "phase": 1}"#,
            "The moon is full",
        ),
        (
            r#"{"type": "error", "error": "Unknown request type: open_session", "code": "unknown_type"}"#,
            "Unknown request type: open_session",
        ),
        (
            r#"{"type": "session_postponed", "until": 9}"#,
            "its type 'session_postponed' is not known to this version",
        ),
    ] {
        let daemon = Peer::answering(format!("{reply}\n"));
        let report = Login::new(daemon.path(), "timeout=20000").run();
        assert_eq!(report.codes("open"), [SUCCESS], "{reply}");
        assert_eq!(report.environment(), Vec::<&str>::new(), "{reply}");
        let log = report.log();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!([LOG_ERR, LOG_NOTICE].contains(&log[0].0), "{log:?}");
        assert!(log[0].1.contains(said), "{log:?}");
    }
}
