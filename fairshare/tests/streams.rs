//! Where the output goes: standard output and standard error, pipes that end early, terminals.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[allow(dead_code, reason = "this program needs only a part of it")]
mod fake_daemon;

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::process::{Command, Output, Stdio};

use fake_daemon::{Answer, FakeDaemon};

const STATUS: &str = concat!(
    r#"{"type": "status_info", "allocated_cpu": 2, "allocated_mem": "8G", "grant": false, "#,
    r#""max": {"cpu": 8, "mem": "32G", "tasks": 8192}, "#,
    r#""differences": ["one two three four five six seven eight nine ten eleven twelve"]}"#,
);

fn daemon() -> FakeDaemon {
    FakeDaemon::start(|request| {
        Answer::from(if request.contains("status") {
            STATUS
        } else {
            r#"{"type": "error", "error": "Only 3 CPUs are left", "code": "no_capacity"}"#
        })
    })
}

fn fairshare(daemon: &FakeDaemon, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairshare"));
    command
        .args(arguments)
        .env("FAIRSHARE_SOCKET", daemon.socket())
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .env_remove("CI")
        .env_remove("CLICOLOR_FORCE");
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn an_error_goes_to_standard_error_and_with_json_to_standard_output() {
    let daemon = daemon();
    let plain = fairshare(&daemon, &["resize", "--cpu", "7"])
        .output()
        .unwrap();
    assert_eq!(plain.status.code(), Some(1));
    assert_eq!(text(&plain.stdout), "");
    assert!(text(&plain.stderr).starts_with("fairshare: only 3 CPUs are left\n"));

    for arguments in [
        &["resize", "--cpu", "7", "--json"][..],
        &["--json", "resize", "--cpu", "7"],
    ] {
        let json = fairshare(&daemon, arguments).output().unwrap();
        assert_eq!(json.status.code(), Some(1));
        assert_eq!(
            text(&json.stdout),
            "{\"type\": \"error\", \"error\": \"Only 3 CPUs are left\", \"code\": \"no_capacity\"}\n"
        );
        assert_eq!(text(&json.stderr), "");
    }
}

#[test]
fn a_pipe_that_ended_early_is_no_error() {
    let daemon = daemon();
    for arguments in [&["status"][..], &["status", "--json"], &["--help"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = fairshare(&daemon, arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn a_refusal_keeps_its_exit_code_when_nobody_reads_it() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let status = fairshare(&daemon(), &["resize", "--cpu", "7"])
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = fairshare(&daemon(), &["status"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).starts_with("fairshare: cannot write to standard output: "));
}

/// Runs a shell's line on a terminal of its own and returns what arrived there.
fn on_a_terminal(daemon: &FakeDaemon, line: &str) -> String {
    let output: Output = Command::new("script")
        .args(["--quiet", "--return", "--command", line, "/dev/null"])
        .env("TERM", "xterm")
        .env("FAIRSHARE_SOCKET", daemon.socket())
        .env("PATH", with_the_command())
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .env_remove("CI")
        .env_remove("CLICOLOR_FORCE")
        .stdin(File::open("/dev/null").unwrap())
        .output()
        .expect("script (Debian's bsdutils) is needed");
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).replace("\r\n", "\n")
}

/// `PATH` with the command's folder in front.
fn with_the_command() -> String {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_fairshare"))
        .parent()
        .unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_terminal_gets_colour_and_everything_else_does_not() {
    let daemon = daemon();
    assert!(on_a_terminal(&daemon, "fairshare").contains("\x1b["));
    for line in [
        "NO_COLOR=1 fairshare",
        "TERM=dumb fairshare",
        "fairshare | cat",
        "fairshare --json",
    ] {
        let shown = on_a_terminal(&daemon, line);
        assert!(!shown.contains('\x1b'), "{line}: {shown:?}");
    }
    let mut piped = String::new();
    let mut child = fairshare(&daemon, &["status"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut piped)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!piped.contains('\x1b'), "{piped:?}");
}

#[test]
fn lines_are_broken_at_the_terminals_width_and_not_in_a_pipe() {
    let daemon = daemon();
    let long = "warning: one two three four five six seven eight nine ten eleven twelve\n";
    let narrow = on_a_terminal(&daemon, "stty rows 24 cols 40; NO_COLOR=1 fairshare");
    assert!(
        narrow.contains("warning: one two three four five six\n         seven eight"),
        "{narrow}"
    );
    assert!(on_a_terminal(&daemon, "stty rows 24 cols 40; fairshare | cat").contains(long));
    assert!(on_a_terminal(&daemon, "stty rows 24 cols 80; NO_COLOR=1 fairshare").contains(long));
}

#[test]
fn each_command_sends_the_line_of_the_protocol() {
    let daemon = daemon();
    for arguments in [
        &["status"][..],
        &["resize", "--cpu", "1.5", "--mem", "512M"],
        &["release", "--force"],
        &["session", "close", "--session", "7"],
    ] {
        fairshare(&daemon, arguments).output().unwrap();
    }
    assert_eq!(
        daemon.requests(),
        [
            r#"{"type": "status"}"#,
            r#"{"type": "resize", "cpu": 1.5, "mem": "512M"}"#,
            r#"{"type": "release", "force": true}"#,
            r#"{"type": "close_session", "session": 7}"#,
        ]
    );
}

#[test]
fn a_hook_tells_the_daemon_how_long_it_will_wait() {
    let daemon = daemon();
    let arguments = [
        "--timeout",
        "5",
        "session",
        "open",
        "--uid",
        "1000",
        "--pid",
        "4711",
    ];
    fairshare(&daemon, &arguments).output().unwrap();
    let requests = daemon.requests();
    let (line, wait) = requests[0].split_once(r#", "wait_ms": "#).unwrap();
    assert_eq!(line, r#"{"type": "open_session", "uid": 1000, "pid": 4711"#);
    let wait: u64 = wait.trim_end_matches('}').parse().unwrap();
    assert!((4000..=5000).contains(&wait), "{wait}");
}
