//! Logins whose limits could not be set: every way in which a daemon fails, with each
//! `on_failure`.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::login::{LOG_ERR, LOG_NOTICE, Login, OPENED, Report, SESSION_ERR, SUCCESS, daemon};
use crate::peer::{Peer, read_line, wait_for_end};
use crate::sys;

/// The timeout of a login that waits for it, in milliseconds.
const TIMEOUT_MS: u32 = 400;

/// The timeout of a login that does not, in milliseconds: only a fault of the module reaches it.
const PATIENT_MS: u32 = 20_000;

/// What a login may take beyond it on a busy machine. Each fault that could make it take longer
/// would make it take several seconds, or for ever.
const MARGIN_MS: f64 = 1500.0;

/// What the user is shown who is refused, in the style `PAM_ERROR_MSG`.
const REFUSED: &str = "3 Login refused: your share of this machine could not be set up, \
                       please tell its administrator.";

fn assert_in_time(report: &Report, call: &str) {
    let took = report.took(call);
    assert!(took < f64::from(TIMEOUT_MS) + MARGIN_MS, "{took} ms");
}

/// Logs in with `on_failure=allow` and `deny` while the daemon fails, and checks code, log, message
/// and time. `reason` stands in the line in the log.
fn assert_fails(socket: &Path, timeout_ms: u32, reason: &str, pending: bool) {
    let login = |args: &str| {
        let args = format!("timeout={timeout_ms} {args}");
        let login = Login::new(socket, &args);
        // Behind a refusal there is nothing to close, and libpam does not ask the module.
        if args.contains("deny") {
            login.option("leave-open").run()
        } else {
            login.run()
        }
    };
    let allowed = if pending {
        "login goes on, limits may follow"
    } else {
        "login goes on without limits"
    };
    for (args, code, consequence, messages) in [
        ("", SUCCESS, allowed, vec![]),
        ("on_failure=allow", SUCCESS, allowed, vec![]),
        (
            "on_failure=deny",
            SESSION_ERR,
            "login is refused",
            vec![REFUSED],
        ),
    ] {
        let report = login(args);
        assert_eq!(report.codes("open"), [code], "{args}: {report:?}");
        assert!(report.codes("close").iter().all(|&code| code == SUCCESS));
        assert_eq!(report.messages(), messages, "{args}");
        assert_eq!(report.environment(), Vec::<&str>::new(), "{args}");
        let log = report.log();
        assert_eq!(log.len(), 1, "{args}: {log:?}");
        let (priority, line) = log[0];
        assert_eq!(priority, LOG_ERR);
        assert!(line.contains(reason), "{line}");
        assert!(line.ends_with(&format!("; {consequence}")), "{line}");
        assert_in_time(&report, "open");
    }
    let root = Login::new(socket, "on_failure=deny").user("root").run();
    assert_eq!(root.codes("open"), [SUCCESS]);
}

#[test]
fn the_daemon_is_absent() {
    assert_fails(
        Path::new("/nonexistent/fairshare.sock"),
        PATIENT_MS,
        "no daemon listens on '/nonexistent/fairshare.sock'",
        false,
    );
}

#[test]
fn the_path_is_too_long_for_a_socket() {
    let path = format!("/{}", "x".repeat(200));
    assert_fails(
        Path::new(&path),
        PATIENT_MS,
        "path longer than the 107 bytes",
        false,
    );
}

#[test]
fn the_daemon_does_not_accept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let _listener = sys::full_listener(&path);
    let path_text = path.to_str().unwrap();
    assert_fails(
        &path,
        TIMEOUT_MS,
        &format!("cannot connect to '{path_text}' within {TIMEOUT_MS} ms"),
        true,
    );
}

#[test]
fn the_daemon_does_not_answer() {
    let peer = Peer::new(|_, connection| wait_for_end(&connection));
    let path = peer.path().to_str().unwrap();
    let reason = format!("cannot read from '{path}' within {TIMEOUT_MS} ms");
    assert_fails(peer.path(), TIMEOUT_MS, &reason, true);
}

#[test]
fn the_daemon_trickles() {
    let peer = Peer::new(|_, mut connection| {
        read_line(&connection);
        // Slow enough that the whole reply would take many times the margin.
        for byte in OPENED.as_bytes() {
            if connection.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert_fails(peer.path(), TIMEOUT_MS, "cannot read from", true);
}

#[test]
fn the_daemon_closes() {
    let peer = Peer::new(|_, _| {});
    // Whether it is the closing or the deadline that is told of depends on where in its attempts
    // the deadline finds the client.
    let path = peer.path().to_str().unwrap();
    assert_fails(peer.path(), TIMEOUT_MS, path, true);
}

#[test]
fn the_daemon_breaks_off() {
    let peer = Peer::new(|_, mut connection| {
        read_line(&connection);
        connection.write_all(b"{\"type\": \"sess").unwrap();
    });
    assert_fails(peer.path(), PATIENT_MS, "was closed within its reply", true);
}

#[test]
fn the_daemon_talks_nonsense() {
    let peer = Peer::answering("%s%n\x1b[2J\n");
    assert_fails(
        peer.path(),
        PATIENT_MS,
        "cannot understand the reply",
        false,
    );
    let peer = Peer::answering("{\"type\": \"success\", \"message\": \"\"}\n");
    assert_fails(
        peer.path(),
        PATIENT_MS,
        "its type is not 'session_opened'",
        false,
    );
    let peer = Peer::answering("x".repeat(100_000));
    assert_fails(
        peer.path(),
        PATIENT_MS,
        "line longer than 65536 bytes",
        false,
    );
}

#[test]
fn the_daemon_refuses() {
    for (reply, reason, pending) in [
        (
            "{\"type\": \"error\", \"error\": \"Not yours\", \"code\": \"not_permitted\"}\n",
            "Not yours",
            false,
        ),
        (
            "{\"type\": \"error\", \"error\": \"Not yet\", \"code\": \"not_enforced\"}\n",
            "Not yet",
            true,
        ),
        (
            "{\"type\": \"error\", \"error\": \"a\\u001b[2Jb%s\\nc\"}\n",
            "a\u{fffd}[2Jb%s\u{fffd}c",
            false,
        ),
    ] {
        let peer = Peer::answering(reply);
        assert_fails(peer.path(), PATIENT_MS, reason, pending);
    }
}

#[test]
fn a_long_sentence_of_the_daemon_is_cut_in_the_log_and_what_follows_is_not() {
    let reply = format!(
        "{{\"type\": \"error\", \"error\": \"{}\"}}\n",
        "x".repeat(5000)
    );
    let peer = Peer::answering(reply);
    let report = Login::new(peer.path(), "").run();
    let log = report.log();
    let line = format!("{}; login goes on without limits", "x".repeat(400));
    assert_eq!(log, [(LOG_ERR, line.as_str())]);
}

#[test]
fn a_host_that_wants_silence_or_has_no_conversation_shows_no_message() {
    for option in ["silent", "mute"] {
        let report = Login::new(Path::new("/nonexistent"), "on_failure=deny")
            .option(option)
            .run();
        assert_eq!(report.codes("open"), [SESSION_ERR], "{option}");
        assert_eq!(report.messages(), Vec::<&str>::new(), "{option}");
    }
}

#[test]
fn an_optional_line_refuses_nobody() {
    let report = Login::new(Path::new("/"), "")
        .lines(&[
            "session optional MODULE socket=/nonexistent",
            "session required pam_permit.so",
        ])
        .run();
    assert_eq!(report.codes("open"), [SUCCESS]);
}

/// A daemon that opens sessions and does `close` with every other connection.
fn failing_at_the_close(
    close: impl Fn(std::os::unix::net::UnixStream) + Send + 'static,
) -> (Peer, &'static AtomicUsize) {
    let closes: &'static AtomicUsize = Box::leak(Box::default());
    let peer = Peer::new(move |_, mut connection| {
        let request = read_line(&connection);
        if request.contains("open_session") {
            connection.write_all(OPENED.as_bytes()).unwrap();
        } else {
            closes.fetch_add(1, Ordering::SeqCst);
            close(connection);
        }
    });
    (peer, closes)
}

#[test]
fn a_close_that_fails_is_a_success_with_a_note() {
    type Close = fn(std::os::unix::net::UnixStream);
    let ways: [(Close, u32, &str); 3] = [
        (|_| {}, PATIENT_MS, "was closed before its reply"),
        (
            |connection| wait_for_end(&connection),
            TIMEOUT_MS,
            "within 400 ms",
        ),
        (
            |mut connection| {
                let reply = b"{\"type\": \"error\", \"error\": \"No such session\"}\n";
                connection.write_all(reply).unwrap();
            },
            PATIENT_MS,
            "No such session",
        ),
    ];
    for (close, timeout_ms, reason) in ways {
        let (daemon, closes) = failing_at_the_close(close);
        let args = format!("on_failure=deny timeout={timeout_ms}");
        let report = Login::new(daemon.path(), &args).run();
        assert_eq!(report.codes("open"), [SUCCESS], "{reason}");
        assert_eq!(report.codes("close"), [SUCCESS], "{reason}");
        let log = report.log();
        assert_eq!(log.len(), 1, "{log:?}");
        assert_eq!(log[0].0, LOG_NOTICE);
        let line = log[0].1;
        assert!(line.starts_with("session 7 is not closed: "), "{line}");
        assert!(line.contains(reason), "{line}");
        assert!(
            line.ends_with("; the daemon closes the session when its leader ends"),
            "{line}"
        );
        assert_in_time(&report, "close");
        assert_eq!(closes.load(Ordering::SeqCst), 1, "{reason}");
    }
}

#[test]
fn a_daemon_that_dies_while_it_is_asked_is_asked_again() {
    let (sender, requests) = std::sync::mpsc::channel();
    let peer = Peer::new(move |number, mut connection| {
        let request = read_line(&connection);
        if number > 0 {
            connection.write_all(OPENED.as_bytes()).unwrap();
        }
        sender.send(request).unwrap();
    });
    let report = Login::new(peer.path(), "timeout=20000")
        .option("leave-open")
        .run();
    assert_eq!(report.environment().len(), 2, "{report:?}");
    assert_eq!(report.log(), []);
    drop(peer);
    assert_eq!(requests.iter().count(), 2);
}

#[test]
fn many_logins_at_once_are_all_limited() {
    let (daemon, requests) = daemon();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let report = Login::new(daemon.path(), "timeout=30000").run();
                assert_eq!(report.environment().len(), 2, "{report:?}");
            });
        }
    });
    drop(daemon);
    assert_eq!(requests.iter().count(), 40);
}
