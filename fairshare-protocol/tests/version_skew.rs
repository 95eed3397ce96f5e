//! Two sides of different ages: what earlier versions sent is read today with the meaning that it
//! had, and what later ones may send is taken or named.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fairshare_protocol::{
    AboutInfo, CloseSession, Enforce, ErrorCode, InvalidReply, OpenSession, Reply, Request, Resize,
    frame,
};

fn reply(line: &str) -> Reply {
    Reply::from_line(line.as_bytes()).unwrap()
}

/// Every line that commands, modules and libraries sent before there were leases and a queue, as
/// they sent it. Each is what today's command sends, too, so its meaning has not moved.
#[test]
fn what_the_first_commands_and_modules_sent_is_still_read() {
    for line in [
        r#"{"type": "request_resources", "cpu": 4, "mem": "16G"}"#,
        r#"{"type": "request_resources", "cpu": 4, "mem": "16G", "tasks": 100}"#,
        r#"{"type": "resize", "cpu": 1.5}"#,
        r#"{"type": "resize", "mem": "24G", "tasks": 2000, "force": true}"#,
        r#"{"type": "release"}"#,
        r#"{"type": "release", "force": true}"#,
        r#"{"type": "status"}"#,
        r#"{"type": "list"}"#,
        r#"{"type": "open_session", "uid": 1000, "pid": 4711}"#,
        r#"{"type": "open_session", "uid": 1000, "pid": 4711, "service": "sshd", "wait_ms": 500}"#,
        r#"{"type": "close_session", "session": 7}"#,
        r#"{"type": "close_session", "uid": 1000, "pid": 4711}"#,
    ] {
        let request = Request::from_line(line.as_bytes()).unwrap();
        assert_eq!(frame::encode(&request).unwrap(), format!("{line}\n"));
        if let Request::Resize(Resize { lease, wait, .. }) = request {
            assert_eq!((lease, wait), (None, None), "{line}");
        }
    }
}

/// What a module needs of the daemon are two requests and four kinds of reply, and they are those
/// of the first version.
#[test]
fn what_the_first_daemons_answered_is_still_understood() {
    for line in [
        r#"{"type": "success", "message": "Session closed"}"#,
        r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "tasks": 4096}"#,
        r#"{"type": "session_ignored", "message": "root is not covered by policy"}"#,
        r#"{"type": "error", "error": "Limits are not set yet", "code": "not_enforced"}"#,
        r#"{"type": "error", "error": "No active resource allocation found"}"#,
        r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "16G"}"#,
    ] {
        assert_eq!(frame::encode(&reply(line)).unwrap(), format!("{line}\n"));
    }
    let about = r#"{"type": "error", "error": "Unknown request type: about (known: request_resources, resize, release, status, list, open_session, close_session)", "code": "unknown_type"}"#;
    let Reply::Error(error) = reply(about) else {
        unreachable!("{about}")
    };
    assert_eq!(error.code, Some(ErrorCode::UnknownType));
}

#[test]
fn fields_of_a_later_version_are_skipped() {
    let open: Request = Request::from_line(
        br#"{"type": "open_session", "uid": 1, "pid": 2, "class": "user", "seat": {"a": [0]}}"#,
    )
    .unwrap();
    let plain = OpenSession {
        uid: 1,
        pid: 2,
        service: None,
        wait_ms: None,
        notices: false,
    };
    assert_eq!(open, Request::OpenSession(plain));
    let close = Request::from_line(br#"{"type": "close_session", "session": 7, "why": 1}"#);
    let by_number = CloseSession {
        session: Some(7),
        ..CloseSession::default()
    };
    assert_eq!(close.unwrap(), Request::CloseSession(by_number));

    let opened = reply(
        r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "tasks": 9, "gpu": 1}"#,
    );
    assert!(matches!(opened, Reply::SessionOpened(_)), "{opened:?}");
    let Reply::Error(error) =
        reply(r#"{"type": "error", "error": "No", "code": "moon_full", "phase": [1]}"#)
    else {
        unreachable!()
    };
    assert_eq!(error.code, Some(ErrorCode::Unknown));
    let Reply::AboutInfo(about) =
        reply(r#"{"type": "about_info", "version": "9.1", "enforce": "audit", "moon": 1}"#)
    else {
        unreachable!()
    };
    assert_eq!(about.enforce, Some(Enforce::Unknown));
    assert!(!about.knows("status"), "it did not say so");
}

#[test]
fn a_type_of_a_later_version_is_named() {
    let request = Request::from_line(br#"{"type": "fly", "uid": 1}"#).unwrap_err();
    assert_eq!(request.code, ErrorCode::UnknownType);
    let unknown = |line: &str| Reply::from_line(line.as_bytes()).unwrap_err();
    let flown = unknown(r#"{"type": "flown", "to": "the moon"}"#);
    assert_eq!(flown, InvalidReply::UnknownType("flown".to_owned()));
    assert_eq!(
        flown.to_string(),
        "its type 'flown' is not known to this version"
    );
    let hostile = unknown("{\"type\": \"\\u001b[2J\"}");
    assert!(!hostile.to_string().contains('\x1b'), "{hostile}");
    for line in ["", "good morning", "{}", r#"{"type": "success"}"#] {
        assert!(matches!(unknown(line), InvalidReply::Faulty(_)), "{line}");
    }
}

/// A name that is left out of the list would make a reply of today's look like a later version's.
#[test]
fn every_kind_of_reply_is_in_the_list() {
    for name in Reply::NAMES {
        let line = format!("{{\"type\": \"{name}\", \"version\": 1}}");
        let refused = Reply::from_line(line.as_bytes());
        assert!(
            matches!(refused, Err(InvalidReply::Faulty(_))),
            "{name}: {refused:?}"
        );
    }
    let replies = [
        Reply::AboutInfo(AboutInfo::of_this_protocol("0.1.0")),
        Reply::ListInfo { users: Vec::new() },
        Reply::QueueInfo {
            entries: Vec::new(),
        },
    ];
    for reply in replies {
        let line = frame::encode(&reply).unwrap();
        let name = line.split('"').nth(3).unwrap();
        assert!(Reply::NAMES.contains(&name), "{name}");
    }
}
