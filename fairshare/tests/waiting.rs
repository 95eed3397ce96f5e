//! A request that waits, as it is under way: on a terminal, and ended by Ctrl-C.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[allow(dead_code, reason = "this program needs only a part of it")]
mod fake_daemon;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use fake_daemon::{Answer, FakeDaemon};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const FIRST: &str = concat!(
    r#"{"type": "queued", "position": 2, "waiting_for": "a long list of things, longer than "#,
    r#"the terminal is wide", "message": "Place 2"}"#
);
const SECOND: &str =
    r#"{"type": "queued", "position": 1, "waiting_for": "2 CPUs", "message": "Place 1"}"#;
const DONE: &str = r#"{"type": "success", "message": "Resources allocated: 8 CPUs"}"#;

fn waits_for_ever() -> FakeDaemon {
    FakeDaemon::start(|_| Answer::LinesThenSilence(vec![SECOND.to_owned()]))
}

fn fairshare(daemon: &FakeDaemon, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairshare"));
    command
        .args(["resize", "--cpu", "8", "--wait"])
        .args(arguments)
        .env("FAIRSHARE_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
}

/// Waits until the fake has seen the connection end.
fn connection_ended(daemon: &FakeDaemon) -> bool {
    let (sender, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while daemon.requests().last().is_none_or(|last| last != "end") {
                std::thread::yield_now();
            }
            let _ = sender.send(());
        });
        ended.recv_timeout(Duration::from_secs(30)).is_ok()
    })
}

#[test]
fn ctrl_c_gives_the_place_up_and_says_so() {
    let daemon = waits_for_ever();
    let mut child = fairshare(&daemon, &[]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert_eq!(first, "place 1 in the queue, waiting for 2 CPUs\n");

    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(
        rest,
        "fairshare: interrupted; the place in the queue is given up\n"
    );
    assert!(connection_ended(&daemon));
}

#[test]
fn ctrl_c_with_json_leaves_standard_output_to_the_daemons_lines() {
    let daemon = waits_for_ever();
    let mut child = fairshare(&daemon, &["--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert_eq!(first, format!("{SECOND}\n"));

    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert!(
        output
            .stderr
            .ends_with(b"the place in the queue is given up\n")
    );
}

#[test]
fn a_command_that_does_not_wait_dies_of_ctrl_c_as_any_other() {
    use std::os::unix::process::ExitStatusExt;

    let daemon = FakeDaemon::start(|_| Answer::Silence);
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairshare"));
    let mut child = command
        .env("FAIRSHARE_SOCKET", daemon.socket())
        .spawn()
        .unwrap();
    while daemon.requests().is_empty() {
        std::thread::yield_now();
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

#[test]
fn on_a_terminal_one_line_changes_and_makes_room_for_the_answer() {
    let daemon = FakeDaemon::start(|_| {
        Answer::Lines([FIRST, FIRST, SECOND, DONE].map(str::to_owned).to_vec())
    });
    let command = env!("CARGO_BIN_EXE_fairshare");
    let line = format!("stty rows 24 cols 40; {command} resize --cpu 8 --wait");
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env("FAIRSHARE_SOCKET", daemon.socket())
        .env_remove("COLUMNS")
        .stdin(File::open("/dev/null").unwrap())
        .output()
        .expect("script (Debian's bsdutils) is needed");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "\rplace 2 in the queue, waiting for a lo…\x1b[K\
         \rplace 1 in the queue, waiting for 2 CP…\x1b[K\
         \r\x1b[KResources allocated: 8 CPUs\r\n"
    );
}
