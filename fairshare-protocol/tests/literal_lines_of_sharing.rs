//! The lines of leases, the queue, policy and administration, word for word. Lines with a literal
//! in the specification are tested there; here are the fields and the faults.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fairshare_protocol::{
    Enforce, ErrorCode, Explain, ExplainInfo, Reply, Request, Resize, StatusInfo, Wait, Wish, frame,
};

fn read(line: &str) -> Request {
    Request::from_line(line.as_bytes()).unwrap()
}

fn refusal(line: &str) -> (ErrorCode, String) {
    let error = Request::from_line(line.as_bytes()).unwrap_err();
    (error.code, error.message)
}

fn waiting(wait: &str) -> Option<Wait> {
    match read(&format!(r#"{{"type": "resize", "cpu": 8{wait}}}"#)) {
        Request::Resize(Resize { wait, .. }) => wait,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_wait_is_true_or_a_length_of_time_and_false_is_none() {
    assert_eq!(waiting(""), None);
    assert_eq!(waiting(r#", "wait": false"#), None);
    assert_eq!(waiting(r#", "wait": null"#), None);
    assert_eq!(waiting(r#", "wait": true"#), Some(Wait::Allowed));
    let half_an_hour = Wait::AtMost("30m".parse().unwrap());
    assert_eq!(waiting(r#", "wait": "30m""#), Some(half_an_hour));
}

#[test]
fn a_lease_and_a_wait_stand_behind_the_figures() {
    let resize = Request::Resize(Resize {
        wish: Wish {
            cpu: "8".parse().ok(),
            ..Wish::default()
        },
        lease: "120m".parse().ok(),
        wait: Some(Wait::Allowed),
        force: true,
    });
    let line = r#"{"type": "resize", "cpu": 8, "for": "2h", "wait": true, "force": true}"#;
    assert_eq!(frame::encode(&resize).unwrap(), format!("{line}\n"));
    assert_eq!(read(line), resize);
}

#[test]
fn every_name_is_a_type_and_every_type_has_its_name() {
    for name in Request::NAMES {
        let line = format!(r#"{{"type": "{name}", "cpu": 1, "uid": 1000, "pid": 1, "for": "1h"}}"#);
        assert_eq!(read(&line).name(), *name);
    }
}

#[test]
fn faults_are_told_apart() {
    for (line, part) in [
        (r#"{"type": "renew"}"#, "`for`"),
        (r#"{"type": "renew", "for": 3600}"#, "such as \"2h\""),
        (r#"{"type": "renew", "for": "0s"}"#, "from 1s to 366d"),
        (r#"{"type": "set", "uid": 1000}"#, "give cpu, mem or tasks"),
        (r#"{"type": "set", "cpu": 4}"#, "`uid`"),
        (
            r#"{"type": "resize", "for": "2h"}"#,
            "give cpu, mem or tasks",
        ),
        (
            r#"{"type": "resize", "cpu": 1, "wait": 5}"#,
            "true or a length of time",
        ),
        (
            r#"{"type": "resize", "cpu": 1, "wait": "soon"}"#,
            "such as 90m",
        ),
        (r#"{"type": "explain", "uid": "alice"}"#, "u32"),
    ] {
        let (code, message) = refusal(line);
        assert_eq!(code, ErrorCode::InvalidValue, "{line}");
        assert!(message.contains(part), "{line}: {message}");
    }
}

#[test]
fn an_own_explanation_needs_no_uid() {
    assert_eq!(
        read(r#"{"type": "explain"}"#),
        Request::Explain(Explain { uid: None })
    );
    assert_eq!(
        read(r#"{"type": "explain", "uid": 0}"#),
        Request::Explain(Explain { uid: Some(0) })
    );
}

#[test]
fn only_what_has_a_row_for_each_user_may_be_answered_at_length() {
    for (line, longest) in [
        (r#"{"type": "list"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "usage"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "processes"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "queue"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "strays"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "explain"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "policy_diff"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "reload"}"#, frame::MAX_LIST_LINE),
        (r#"{"type": "status"}"#, frame::MAX_LINE),
        (r#"{"type": "resize", "cpu": 1}"#, frame::MAX_LINE),
        (
            r#"{"type": "open_session", "uid": 1, "pid": 1}"#,
            frame::MAX_LINE,
        ),
    ] {
        assert_eq!(read(line).longest_reply(), longest, "{line}");
    }
}

#[test]
fn a_way_to_enforce_from_the_future_is_not_an_error() {
    let status: StatusInfo = serde_json::from_str(
        r#"{"allocated_cpu": 4, "allocated_mem": "16G", "enforce": "gently"}"#,
    )
    .unwrap();
    assert_eq!(status.enforce, Some(Enforce::Unknown));
    let explained: ExplainInfo =
        serde_json::from_str(r#"{"uid": 1, "entries": [], "enforce": "watch"}"#).unwrap();
    assert_eq!(explained.enforce, Enforce::Watch);
}

#[test]
fn a_reload_with_a_wrong_file_keeps_the_lines_of_its_problems() {
    let text = "error: unknown key 'defualts'\n --> policy.yaml:1:1";
    let reply = Reply::error(ErrorCode::PolicyWrong, text);
    let line = frame::encode(&reply).unwrap();
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
}
