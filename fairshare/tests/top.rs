//! `fairshare top` on a terminal of its own: it shows users, and gives the terminal back.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[allow(dead_code, reason = "this program needs only a part of it")]
mod fake_daemon;

use std::fs;
use std::process::{Command, Output, Stdio};

use fake_daemon::{Answer, FakeDaemon};

const COMMAND: &str = env!("CARGO_BIN_EXE_fairshare");

const USERS: &str = concat!(
    r#"{"type": "usage_info", "users": [{"uid": 1000, "user": "alice", "sessions": 1, "#,
    r#""grant": false, "cpu": 2, "mem": "8G", "tasks": 100}], "machine": {}, "everybody": true}"#
);

/// Runs top under `script`, with these words before it, between two looks at the terminal. Nothing is
/// typed but the text.
fn on_a_terminal(before: &str, typed: &str) -> (Output, String, String) {
    let daemon = FakeDaemon::start(|_| Answer::from(USERS));
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let line = format!(
        "stty rows 24 cols 80; stty -a > {}; {before} {COMMAND} top; echo code $?; stty -a > {}",
        first.display(),
        second.display()
    );
    let mut child = Command::new("script")
        .args(["--quiet", "--command", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("FAIRSHARE_SOCKET", daemon.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script (Debian's bsdutils) is needed");
    // Held until the end: when it closes, the terminal is told so.
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let read = |path| fs::read_to_string(path).unwrap();
    (output, read(first), read(second))
}

fn is_given_back(output: &Output) {
    let shown = String::from_utf8_lossy(&output.stdout);
    let taken = shown.find("\x1b[?1049h").expect("the other screen");
    let back = shown.rfind("\x1b[?1049l").expect("and back");
    assert!(taken < back, "{shown}");
    assert!(shown.rfind("\x1b[?25h").is_some(), "the cursor: {shown}");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let (output, before, after) = on_a_terminal("timeout --foreground -s TERM 1", "");
    is_given_back(&output);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("alice"), "{shown}");
    assert_eq!(before, after);
}

#[test]
fn a_key_gives_the_terminal_back() {
    let (output, before, after) = on_a_terminal("", "q");
    is_given_back(&output);
    assert!(String::from_utf8_lossy(&output.stdout).contains("code 0"));
    assert_eq!(before, after);
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let output = Command::new(COMMAND)
        .arg("top")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(
        sentence.starts_with("fairshare: top needs a terminal; use list"),
        "{sentence}"
    );
}
