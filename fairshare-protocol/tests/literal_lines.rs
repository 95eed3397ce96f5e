//! The lines of the first version, word for word, in both directions.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fairshare_protocol::{
    CloseSession, ErrorCode, ErrorReply, Release, Reply, Request, StatusInfo, Wish, frame,
};

fn read(line: &str) -> Request {
    Request::from_line(line.as_bytes()).unwrap()
}

fn refusal(line: &str) -> (ErrorCode, String) {
    let error = Request::from_line(line.as_bytes()).unwrap_err();
    (error.code, error.message)
}

/// The line is what the message becomes, and the message is what the line becomes.
fn same_request(line: &str, request: &Request) {
    assert_eq!(&read(line), request);
    assert_eq!(frame::encode(request).unwrap(), format!("{line}\n"));
}

fn same_reply(line: &str, reply: &Reply) {
    assert_eq!(&serde_json::from_str::<Reply>(line).unwrap(), reply);
    assert_eq!(frame::encode(reply).unwrap(), format!("{line}\n"));
}

fn status(cpu: &str, mem: &str) -> StatusInfo {
    StatusInfo::new(cpu.parse().unwrap(), mem.parse().unwrap())
}

fn plain_error(text: &str) -> Reply {
    Reply::Error(ErrorReply {
        error: text.to_owned(),
        code: None,
        largest: None,
        holders: Vec::new(),
    })
}

#[test]
fn requests() {
    same_request(
        r#"{"type": "request_resources", "cpu": 4, "mem": "16G"}"#,
        &Request::RequestResources(Wish {
            cpu: "4".parse().ok(),
            mem: "16G".parse().ok(),
            tasks: None,
        }),
    );
    same_request(
        r#"{"type": "release"}"#,
        &Request::Release(Release::default()),
    );
    same_request(r#"{"type": "status"}"#, &Request::Status);
}

#[test]
fn replies() {
    same_reply(
        r#"{"type": "success", "message": "Resources allocated: 4 CPUs, 16G memory"}"#,
        &Reply::Success {
            message: "Resources allocated: 4 CPUs, 16G memory".to_owned(),
        },
    );
    same_reply(
        r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "16G"}"#,
        &Reply::StatusInfo(Box::new(status("4", "16G"))),
    );
    for text in [
        "Request validation failed: Requested CPU (16) exceeds maximum allowed (8)",
        "User already has an active resource allocation. Release it first.",
        "Request validation failed: Invalid memory size format: invalid",
    ] {
        let line = format!(r#"{{"type": "error", "error": "{text}"}}"#);
        same_reply(&line, &plain_error(text));
    }
}

#[test]
fn an_invalid_memory_size_gets_the_specified_sentence() {
    let (code, message) = refusal(r#"{"type": "request_resources", "cpu": 4, "mem": "invalid"}"#);
    assert_eq!(code, ErrorCode::InvalidValue);
    assert_eq!(
        message,
        "Request validation failed: Invalid memory size format: invalid"
    );
}

#[test]
fn a_code_follows_the_sentence() {
    let reply = Reply::error(ErrorCode::GrantHeld, "held");
    assert_eq!(
        frame::encode(&reply).unwrap(),
        "{\"type\": \"error\", \"error\": \"held\", \"code\": \"grant_held\"}\n"
    );
}

#[test]
fn unknown_fields_are_skipped() {
    assert_eq!(
        read(r#"{"type": "status", "colour": {"deep": [1]}}"#),
        Request::Status
    );
    let reply: Reply =
        serde_json::from_str(r#"{"type": "success", "message": "m", "colour": 1}"#).unwrap();
    assert_eq!(
        reply,
        Reply::Success {
            message: "m".to_owned()
        }
    );
}

#[test]
fn every_faulty_line_gets_its_code_and_a_sentence() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (line, code) in [
        ("", ErrorCode::BadRequest),
        ("hello", ErrorCode::BadRequest),
        ("[]", ErrorCode::BadRequest),
        ("{}", ErrorCode::BadRequest),
        (r#"{"type": 5}"#, ErrorCode::BadRequest),
        (r#"{"type": "resize", "cpu": NaN}"#, ErrorCode::BadRequest),
        (r#"{"type": "resize", "cpu": 1e999}"#, ErrorCode::BadRequest),
        (deep.as_str(), ErrorCode::BadRequest),
        (r#"{"type": "fly"}"#, ErrorCode::UnknownType),
        (r#"{"type": "resize"}"#, ErrorCode::InvalidValue),
        (r#"{"type": "resize", "cpu": -1}"#, ErrorCode::InvalidValue),
        (
            r#"{"type": "resize", "cpu": -0.5}"#,
            ErrorCode::InvalidValue,
        ),
        (
            r#"{"type": "resize", "cpu": 1e300}"#,
            ErrorCode::InvalidValue,
        ),
        (r#"{"type": "resize", "cpu": "4"}"#, ErrorCode::InvalidValue),
        (r#"{"type": "resize", "mem": 4}"#, ErrorCode::InvalidValue),
        (
            r#"{"type": "resize", "tasks": 1.5}"#,
            ErrorCode::InvalidValue,
        ),
        (
            r#"{"type": "resize", "tasks": 18446744073709551616}"#,
            ErrorCode::InvalidValue,
        ),
        (
            r#"{"type": "open_session", "uid": 1000}"#,
            ErrorCode::InvalidValue,
        ),
        (
            r#"{"type": "open_session", "uid": -1, "pid": 1}"#,
            ErrorCode::InvalidValue,
        ),
        (
            r#"{"type": "open_session", "uid": 4294967296, "pid": 1}"#,
            ErrorCode::InvalidValue,
        ),
        (r#"{"type": "close_session"}"#, ErrorCode::InvalidValue),
        (
            r#"{"type": "close_session", "uid": 1000}"#,
            ErrorCode::InvalidValue,
        ),
    ] {
        let (found, message) = refusal(line);
        assert_eq!(found, code, "{line:.60}: {message}");
        assert!(message.len() < 300, "{line:.60}: {message}");
    }
    let not_utf8 = Request::from_line(b"{\"type\": \"\xff\"}").unwrap_err();
    assert_eq!(not_utf8.code, ErrorCode::BadRequest);
}

#[test]
fn a_session_is_closed_by_number_or_by_user_and_leader() {
    let by_number = CloseSession {
        session: Some(7),
        ..CloseSession::default()
    };
    same_request(
        r#"{"type": "close_session", "session": 7}"#,
        &Request::CloseSession(by_number),
    );
    let by_leader = CloseSession {
        session: None,
        uid: Some(1000),
        pid: Some(4711),
    };
    same_request(
        r#"{"type": "close_session", "uid": 1000, "pid": 4711}"#,
        &Request::CloseSession(by_leader),
    );
}
