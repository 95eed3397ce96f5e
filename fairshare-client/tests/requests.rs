//! What goes out and what comes back when the daemon behaves.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "peer/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of faults")]
mod peer;

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fairshare_client::{Client, ClientError, Opened};
use fairshare_protocol::{
    CloseSession, ErrorCode, Explain, OpenSession, Release, Renew, Reply, Request, Resize, Set,
    Wish,
};

use peer::{Peer, read_line};

/// Long enough that only a hang reaches it.
const PATIENT: Duration = Duration::from_secs(30);

/// Makes one call against a peer that answers `reply`, and gives back the request as sent.
fn exchange<T>(reply: &str, ask: impl FnOnce(&Client) -> T) -> (String, T) {
    let reply = format!("{reply}\n");
    let (sender, requests) = mpsc::channel();
    let peer = Peer::new(move |_, mut connection| {
        sender.send(read_line(&connection)).unwrap();
        connection.write_all(reply.as_bytes()).unwrap();
    });
    let result = ask(&Client::new(peer.path(), PATIENT));
    (requests.recv().unwrap(), result)
}

fn wish() -> Wish {
    Wish {
        cpu: "4".parse().ok(),
        mem: "16G".parse().ok(),
        tasks: None,
    }
}

fn session() -> OpenSession {
    OpenSession {
        uid: 1000,
        pid: 4711,
        service: Some("sshd".to_owned()),
        wait_ms: None,
        notices: false,
    }
}

#[test]
fn each_request_goes_out_as_the_protocol_writes_it() {
    let done = r#"{"type": "success", "message": "Done"}"#;

    let (line, reply) = exchange(done, |client| client.request_resources(wish()));
    assert_eq!(
        line,
        r#"{"type": "request_resources", "cpu": 4, "mem": "16G"}"#
    );
    assert_eq!(reply.unwrap(), "Done");

    let (line, reply) = exchange(done, |client| {
        client.resize(Resize {
            wish: wish(),
            force: true,
            ..Resize::default()
        })
    });
    assert_eq!(
        line,
        r#"{"type": "resize", "cpu": 4, "mem": "16G", "force": true}"#
    );
    assert_eq!(reply.unwrap(), "Done");

    let (line, reply) = exchange(done, |client| client.release(Release::default()));
    assert_eq!(line, r#"{"type": "release"}"#);
    assert_eq!(reply.unwrap(), "Done");

    let (line, reply) = exchange(done, |client| {
        client.close_session(CloseSession {
            session: Some(7),
            ..CloseSession::default()
        })
    });
    assert_eq!(line, r#"{"type": "close_session", "session": 7}"#);
    assert_eq!(reply.unwrap(), "Done");
}

#[test]
fn a_status_and_a_list_are_read() {
    let (line, reply) = exchange(
        r#"{"type": "status_info", "allocated_cpu": 0.5, "allocated_mem": "512M", "new": [1]}"#,
        Client::status,
    );
    assert_eq!(line, r#"{"type": "status"}"#);
    assert_eq!(reply.unwrap().allocated_cpu.to_string(), "0.5");

    let (line, reply) = exchange(
        concat!(
            r#"{"type": "list_info", "users": [{"uid": 1000, "sessions": 1, "grant": false, "#,
            r#""cpu": 2, "mem": "8G", "tasks": 100}]}"#
        ),
        Client::list,
    );
    assert_eq!(line, r#"{"type": "list"}"#);
    assert_eq!(reply.unwrap().first().unwrap().uid, 1000);
}

#[test]
fn what_is_asked_of_the_queue_and_of_policy_is_read() {
    let (line, reply) = exchange(r#"{"type": "queue_info", "entries": []}"#, Client::queue);
    assert_eq!(line, r#"{"type": "queue"}"#);
    assert_eq!(reply.unwrap(), []);

    let (line, reply) = exchange(
        r#"{"type": "explain_info", "uid": 1000, "entries": [], "enforce": "on"}"#,
        |client| client.explain(Explain { uid: Some(1000) }),
    );
    assert_eq!(line, r#"{"type": "explain", "uid": 1000}"#);
    assert_eq!(reply.unwrap().uid, 1000);

    let (line, reply) = exchange(
        r#"{"type": "policy_diff_info", "users": []}"#,
        Client::policy_diff,
    );
    assert_eq!(line, r#"{"type": "policy_diff"}"#);
    assert_eq!(reply.unwrap().users, []);
}

#[test]
fn leases_policy_and_administration_are_answered_by_a_sentence() {
    let done = r#"{"type": "success", "message": "Done"}"#;
    let hour = "1h".parse().unwrap();

    let (line, reply) = exchange(done, |client| client.renew(Renew { lease: hour }));
    assert_eq!(line, r#"{"type": "renew", "for": "1h"}"#);
    assert_eq!(reply.unwrap(), "Done");

    let (line, reply) = exchange(done, |client| {
        client.set(Set {
            uid: 1000,
            wish: wish(),
            lease: Some(hour),
            force: false,
        })
    });
    assert_eq!(
        line,
        r#"{"type": "set", "uid": 1000, "cpu": 4, "mem": "16G", "for": "1h"}"#
    );
    assert_eq!(reply.unwrap(), "Done");

    let (line, reply) = exchange(done, Client::reload);
    assert_eq!(line, r#"{"type": "reload"}"#);
    assert_eq!(reply.unwrap(), "Done");
}

#[test]
fn a_session_is_opened_or_ignored() {
    let (_, reply) = exchange(
        r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "tasks": 4096}"#,
        |client| client.open_session(session()),
    );
    let Opened::Session(opened) = reply.unwrap() else {
        panic!("ignored");
    };
    assert_eq!(opened.session, 7);
    assert_eq!(opened.allocation.mem.to_string(), "8G");

    let (_, reply) = exchange(
        r#"{"type": "session_ignored", "message": "not covered"}"#,
        |client| client.open_session(session()),
    );
    assert_eq!(reply.unwrap(), Opened::Ignored("not covered".to_owned()));
}

/// The `wait_ms` that a request carries when the caller gave `wait_ms`.
fn wait_sent(wait_ms: Option<u64>) -> u64 {
    let (line, _) = exchange(r#"{"type": "success", "message": ""}"#, |client| {
        client.open_session(OpenSession {
            wait_ms,
            ..session()
        })
    });
    let Ok(Request::OpenSession(sent)) = Request::from_line(line.as_bytes()) else {
        panic!("not open_session: {line}");
    };
    assert_eq!((sent.uid, sent.pid), (1000, 4711));
    assert_eq!(sent.service.as_deref(), Some("sshd"));
    sent.wait_ms.unwrap()
}

#[test]
fn the_daemon_is_told_how_long_the_caller_waits() {
    let all = u64::try_from(PATIENT.as_millis()).unwrap();
    for given in [None, Some(all * 2)] {
        let sent = wait_sent(given);
        assert!(sent <= all && sent > all / 2, "{given:?}: {sent}");
    }
    assert_eq!(wait_sent(Some(20)), 20);
}

#[test]
fn a_refusal_keeps_its_code_and_its_sentence() {
    let (_, reply) = exchange(
        r#"{"type": "error", "error": "No capacity", "code": "no_capacity"}"#,
        Client::status,
    );
    let error = reply.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoCapacity));
    assert_eq!(error.to_string(), "No capacity");

    for (reply, code) in [
        (r#"{"type": "error", "error": "No"}"#, None),
        (
            r#"{"type": "error", "error": "No", "code": "from_the_future"}"#,
            Some(ErrorCode::Unknown),
        ),
    ] {
        let (_, result) = exchange(reply, Client::status);
        assert_eq!(result.unwrap_err().code(), code);
    }
}

#[test]
fn a_reply_to_something_else_is_an_error() {
    let error = |reply: &str, ask: fn(&Client) -> ClientError| {
        let (_, error) = exchange(reply, ask);
        assert!(
            matches!(error, ClientError::Protocol { .. }),
            "{reply}: {error}"
        );
        error.to_string()
    };
    let success = r#"{"type": "success", "message": "x"}"#;
    let status = r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "16G"}"#;
    assert!(error(success, |c| c.status().unwrap_err()).ends_with("'status_info'"));
    assert!(error(success, |c| c.list().unwrap_err()).ends_with("'list_info'"));
    assert!(
        error(success, |c| c.open_session(session()).unwrap_err()).ends_with("'session_opened'")
    );
    assert!(error(status, |c| c.release(Release::default()).unwrap_err()).ends_with("'success'"));
}

#[test]
fn a_reply_is_put_together_however_it_was_cut() {
    let peer = Peer::new(|_, mut connection| {
        read_line(&connection);
        for byte in b"{\"type\": \"success\", \"message\": \"in pieces\"}\n" {
            connection.write_all(&[*byte]).unwrap();
        }
    });
    let reply = Client::new(peer.path(), PATIENT).call(&Request::Status);
    let message = "in pieces".to_owned();
    assert_eq!(reply.unwrap(), Reply::Success { message });
}

#[test]
fn the_first_line_is_the_reply_and_what_follows_is_not_read() {
    let peer = Peer::answering(concat!(
        "{\"type\": \"success\", \"message\": \"first\"}\n",
        "{\"type\": \"error\", \"error\": \"second\"}\n",
        "and no line at all",
    ));
    let reply = Client::new(peer.path(), PATIENT).call(&Request::Status);
    let message = "first".to_owned();
    assert_eq!(reply.unwrap(), Reply::Success { message });
}

#[test]
fn one_client_serves_many_threads() {
    let peer = Peer::answering("{\"type\": \"list_info\", \"users\": []}\n");
    let client = Client::new(peer.path(), PATIENT);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(client.list().unwrap(), []));
        }
    });
}
