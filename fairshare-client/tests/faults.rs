//! A daemon that is not there, dies, hangs or talks nonsense: what the caller gets, and how soon.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "peer/mod.rs"]
mod peer;
#[path = "sys/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the host")]
mod sys;

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fairshare_client::{Client, ClientError};
use fairshare_protocol::frame::MAX_LINE;
use fairshare_protocol::{CloseSession, ErrorCode, OpenSession, Release, Request, Resize, Wish};

use peer::{Peer, read_line, wait_for_end};

/// A timeout that a test waits for.
const SHORT: Duration = Duration::from_millis(200);

/// Long enough that only a hang reaches it.
const PATIENT: Duration = Duration::from_secs(30);

/// What a call may take beyond its deadline: ten ticks of the slowest clock.
const OVERSHOOT: Duration = Duration::from_millis(100);

/// How often a timing is taken on a machine that is busy with other things.
const TRIES: usize = 5;

/// The error of one call. Fails rather than hangs where the call does.
fn ask(path: &Path, timeout: Duration) -> ClientError {
    let client = Client::new(path, timeout);
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(client.status());
    });
    let result = result.recv_timeout(timeout + PATIENT);
    result.unwrap().unwrap_err()
}

/// The call fails with `Deadline`, never before the timeout; and in the best of a few tries at
/// `verb`, no more than [`OVERSHOOT`] after it.
fn assert_late(path: &Path, verb: &str) {
    let tries = (0..TRIES).map(|_| {
        let start = Instant::now();
        let error = ask(path, SHORT);
        let took = start.elapsed();
        assert!(took >= SHORT, "{took:?}");
        match error {
            ClientError::Deadline { verb, timeout, .. } => {
                assert_eq!(timeout, SHORT);
                (took, verb)
            }
            error => panic!("{error}"),
        }
    });
    let (took, at) = tries.min().unwrap();
    assert_eq!(at, verb);
    assert!(took < SHORT + OVERSHOOT, "{took:?}");
}

#[test]
fn a_listener_that_never_accepts_costs_the_timeout_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let _listener = sys::full_listener(&path);
    assert_late(&path, "connect to");
}

#[test]
fn a_daemon_that_never_answers_costs_the_timeout_and_no_more() {
    let peer = Peer::new(|_, connection| wait_for_end(&connection));
    assert_late(peer.path(), "read from");
}

#[test]
fn a_reply_that_trickles_costs_the_timeout_and_no_more() {
    let peer = Peer::new(|_, mut connection| {
        read_line(&connection);
        // Spaces may stand before a JSON object, so the reply never becomes a wrong one.
        while connection.write_all(b" ").is_ok() {
            thread::sleep(SHORT / 10);
        }
    });
    assert_late(peer.path(), "read from");
}

#[test]
fn a_byte_that_comes_late_does_not_start_the_timeout_again() {
    let peer = Peer::new(|_, mut connection| {
        read_line(&connection);
        thread::sleep(SHORT * 3 / 4);
        let _ = connection.write_all(b" ");
        wait_for_end(&connection);
    });
    assert_late(peer.path(), "read from");
}

#[test]
fn a_daemon_that_does_not_read_costs_the_timeout_and_no_more() {
    let held = Arc::new(AtomicBool::new(true));
    let holding = Arc::clone(&held);
    let peer = Peer::new(move |_, connection| {
        while holding.load(Ordering::SeqCst) {
            thread::park_timeout(Duration::from_millis(1));
        }
        drop(connection);
    });
    let start = Instant::now();
    // More than a socket's buffer takes.
    let error = Client::new(peer.path(), SHORT)
        .open_session(OpenSession {
            uid: 1000,
            pid: 1,
            service: Some("x".repeat(1 << 20)),
            wait_ms: None,
            notices: false,
        })
        .unwrap_err();
    assert!(start.elapsed() >= SHORT);
    let verb = match error {
        ClientError::Deadline { verb, .. } => verb,
        error => panic!("{error}"),
    };
    assert_eq!(verb, "write to");
    held.store(false, Ordering::SeqCst);
}

#[test]
fn signals_do_not_extend_the_deadline() {
    sys::handle_interruptions();
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full.sock");
    let _listener = sys::full_listener(&full);
    let silent = Peer::new(|_, connection| wait_for_end(&connection));
    for path in [full.as_path(), silent.path()] {
        let before = sys::INTERRUPTIONS.load(Ordering::SeqCst);
        let done = AtomicBool::new(false);
        let target = sys::this_thread();
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    sys::interrupt(target);
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let start = Instant::now();
            let error = Client::new(path, SHORT).status().unwrap_err();
            let took = start.elapsed();
            done.store(true, Ordering::SeqCst);
            assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
            // A timeout that begins anew with each signal would last as long as they come.
            assert!(took >= SHORT && took < SHORT * 5, "{took:?}");
        });
        assert!(sys::INTERRUPTIONS.load(Ordering::SeqCst) > before + 5);
    }
}

#[test]
fn no_time_at_all_is_a_deadline_and_not_for_ever() {
    let peer = Peer::new(|_, connection| wait_for_end(&connection));
    let error = ask(peer.path(), Duration::ZERO);
    assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
}

#[test]
fn an_absent_daemon_is_known_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.sock");
    let stale = folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [&absent, &stale, &file] {
        let start = Instant::now();
        let error = ask(path, PATIENT);
        assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
        assert!(start.elapsed() < PATIENT / 2);
    }
}

#[test]
fn a_path_that_no_socket_can_have_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let longest = |length: usize| {
        let parent = folder.path().to_str().unwrap();
        format!("{parent}/{}", "x".repeat(length - parent.len() - 1))
    };
    // `sun_path` has room for 107 bytes and a NUL.
    let error = ask(longest(107).as_ref(), SHORT);
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
    let (too_long, with_nul) = (longest(108), "/run/a\0b".to_owned());
    for (path, reason) in [
        (too_long, "longer than the 107 bytes"),
        (with_nul, "NUL"),
        (String::new(), "empty"),
    ] {
        let error = ask(path.as_ref(), SHORT);
        assert!(matches!(error, ClientError::Io { .. }), "{error}");
        assert!(error.to_string().starts_with("cannot connect to '"));
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn nonsense_is_an_error_that_is_not_waited_for() {
    let deep = "[".repeat(10_000);
    let lines: [&[u8]; 9] = [
        b"",
        b"hello",
        b"{\"type\": \"succ",
        b"\xff\xfe{}",
        b"{\"type\": \"nonsense\"}",
        b"{\"type\": \"success\"}",
        b"{\"type\": \"status_info\", \"allocated_cpu\": -1, \"allocated_mem\": \"1G\"}",
        b"[1, 2]",
        deep.as_bytes(),
    ];
    for line in lines {
        let start = Instant::now();
        let peer = Peer::answering([line, b"\n"].concat());
        let error = ask(peer.path(), PATIENT);
        assert!(
            matches!(error, ClientError::Protocol { .. }),
            "{line:?}: {error}"
        );
        assert!(start.elapsed() < PATIENT / 2);
    }
}

#[test]
fn an_error_repeats_no_more_than_a_part_of_a_long_reply() {
    let name = "x".repeat(MAX_LINE / 2);
    let peer = Peer::answering(format!("{{\"type\": \"{name}\"}}\n"));
    let error = ask(peer.path(), PATIENT).to_string();
    assert!(error.contains("is not known to this version"), "{error}");
    assert!(error.len() < 400, "{error}");
}

#[test]
fn a_reply_of_the_longest_is_read_and_a_longer_one_is_an_error() {
    let reply = |length: usize| {
        let frame = r#"{"type": "success", "message": ""}"#;
        let message = "x".repeat(length - frame.len());
        format!("{{\"type\": \"success\", \"message\": \"{message}\"}}\n")
    };
    let peer = Peer::answering(reply(MAX_LINE));
    Client::new(peer.path(), PATIENT)
        .call(&Request::Status)
        .unwrap();

    let peer = Peer::answering(reply(MAX_LINE + 1));
    let error = ask(peer.path(), PATIENT);
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    assert!(error.to_string().contains("longer than 65536 bytes"));
}

#[test]
fn a_list_of_thousands_of_users_is_read() {
    let rows: Vec<String> = (1000..6000)
        .map(|uid| {
            format!(
                "{{\"uid\": {uid}, \"sessions\": 1, \"grant\": false, \"cpu\": 1, \"mem\": \"1G\", \
                 \"tasks\": 100}}"
            )
        })
        .collect();
    let reply = format!(
        "{{\"type\": \"list_info\", \"users\": [{}]}}\n",
        rows.join(", ")
    );
    assert!(reply.len() > MAX_LINE);
    let peer = Peer::answering(reply);
    assert_eq!(
        Client::new(peer.path(), PATIENT).list().unwrap().len(),
        5000
    );
}

#[test]
fn a_reply_without_end_is_cut_off() {
    let peer = Peer::new(|_, mut connection| {
        read_line(&connection);
        while connection.write_all(&[b' '; 4096]).is_ok() {}
    });
    let start = Instant::now();
    let error = ask(peer.path(), PATIENT);
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    assert!(start.elapsed() < PATIENT / 2);
}

/// A peer that closes its first `closing` connections and answers the rest, and its count of
/// connections.
fn closing_at_first(closing: usize, reply: &'static str) -> (Peer, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let peer = Peer::new(move |number, mut connection: UnixStream| {
        counter.store(number + 1, Ordering::SeqCst);
        if number >= closing {
            read_line(&connection);
            connection.write_all(reply.as_bytes()).unwrap();
        }
    });
    (peer, count)
}

fn close_by(session: Option<u64>) -> Request {
    let (uid, pid) = match session {
        Some(_) => (None, None),
        None => (Some(1000), Some(1)),
    };
    Request::CloseSession(CloseSession { session, uid, pid })
}

#[test]
fn a_request_that_may_be_repeated_survives_a_daemon_that_dies() {
    let open = OpenSession {
        uid: 1000,
        pid: 1,
        service: None,
        wait_ms: None,
        notices: false,
    };
    for request in [
        Request::Status,
        Request::List,
        Request::Resize(Resize::default()),
        Request::OpenSession(open),
        close_by(None),
    ] {
        let (peer, count) = closing_at_first(3, "{\"type\": \"success\", \"message\": \"\"}\n");
        Client::new(peer.path(), PATIENT).call(&request).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 4, "{request:?}");
    }
}

#[test]
fn a_request_that_may_not_be_repeated_is_sent_once() {
    for request in [
        Request::RequestResources(Wish::default()),
        Request::Release(Release::default()),
        close_by(Some(7)),
    ] {
        let (peer, count) = closing_at_first(1, "{\"type\": \"success\", \"message\": \"\"}\n");
        let error = Client::new(peer.path(), PATIENT)
            .call(&request)
            .unwrap_err();
        assert!(
            matches!(error, ClientError::Closed { partial: false, .. }),
            "{request:?}: {error}"
        );
        assert_eq!(count.load(Ordering::SeqCst), 1, "{request:?}");
    }
}

#[test]
fn a_daemon_that_always_closes_is_asked_a_few_times_within_the_timeout() {
    let (peer, count) = closing_at_first(usize::MAX, "");
    let start = Instant::now();
    // Which of them depends on where in its attempts the deadline finds it.
    match ask(peer.path(), SHORT) {
        ClientError::Closed { partial: false, .. } | ClientError::Deadline { .. } => {}
        error => panic!("{error}"),
    }
    // Bounded well below what would come of a machine so busy that the test says nothing.
    assert!(start.elapsed() < SHORT * 5);
    // Pauses of 5, 10, 20, 40 and 80 ms fit into 200 ms.
    let attempts = count.load(Ordering::SeqCst);
    assert!((2..=6).contains(&attempts), "{attempts}");
}

#[test]
fn each_attempt_tells_the_daemon_what_is_left() {
    let waits = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&waits);
    let peer = Peer::new(move |_, connection| {
        let line = read_line(&connection);
        if let Ok(Request::OpenSession(session)) = Request::from_line(line.as_bytes()) {
            told.lock().unwrap().push(session.wait_ms.unwrap());
        }
    });
    let open = OpenSession {
        uid: 1000,
        pid: 1,
        service: None,
        wait_ms: None,
        notices: false,
    };
    Client::new(peer.path(), SHORT)
        .open_session(open)
        .unwrap_err();
    let waits = waits.lock().unwrap();
    assert!(waits.len() >= 2, "{waits:?}");
    assert!(waits.is_sorted_by(|a, b| a > b), "{waits:?}");
    assert!(waits.iter().all(|&wait| wait <= 200), "{waits:?}");
}

#[test]
fn a_reply_that_breaks_off_is_not_asked_for_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let peer = Peer::new(move |_, mut connection| {
        counter.fetch_add(1, Ordering::SeqCst);
        read_line(&connection);
        connection.write_all(b"{\"type\": \"suc").unwrap();
    });
    let error = ask(peer.path(), PATIENT);
    assert!(
        matches!(error, ClientError::Closed { partial: true, .. }),
        "{error}"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_daemon_that_answers_without_reading_and_closes_is_heard() {
    let peer = Peer::new(|_, mut connection| {
        connection
            .write_all(b"{\"type\": \"error\", \"error\": \"Busy\", \"code\": \"busy\"}\n")
            .unwrap();
    });
    // The close comes before, within or behind the write, as the two threads fall.
    for _ in 0..200 {
        let error = ask(peer.path(), PATIENT);
        assert_eq!(error.code(), Some(ErrorCode::Busy), "{error}");
    }
}
