//! `examples/python/fairshare_ctypes.py`, run as it stands.

use std::process::Command;

use crate::fake_daemon::{Answer, FakeDaemon};
use crate::installed::{Installed, Linking, run, source, succeed};

fn daemon() -> FakeDaemon {
    FakeDaemon::start(|request| {
        Answer::from(if request.contains("status") {
            concat!(
                r#"{"type": "status_info", "allocated_cpu": 0.5, "allocated_mem": "1536M", "#,
                r#""allocated_tasks": 500, "allocated_swap": "0", "grant": true, "#,
                r#""max": {"cpu": 2, "mem": "1048576T", "tasks": 2000}}"#
            )
        } else if request.contains("open_session") {
            r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "tasks": 4096}"#
        } else if request.contains("release") {
            r#"{"type": "error", "error": "Nothing to give back", "code": "no_grant"}"#
        } else {
            r#"{"type": "success", "message": "Done"}"#
        })
    })
}

fn example(daemon: &FakeDaemon, arguments: &[&str]) -> Command {
    let library = Installed::linked(Linking::Shared)
        .lib()
        .join("libfairshare.so.0");
    let mut python = Command::new("python3");
    python
        .arg(source("examples/python/fairshare_ctypes.py"))
        .arg("--socket")
        .arg(daemon.socket())
        .arg("--library")
        .arg(library)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

#[test]
fn the_example_shows_the_status_and_leaves_out_what_is_not_told() {
    assert_eq!(
        succeed(&mut example(&daemon(), &["status"])),
        "cpu: 0.5 CPUs\nmem: 1536 MiB\ntasks: 500\nswap: 0 MiB\nmax_cpu: 2 CPUs\n\
         max_mem: 1.09951e+12 MiB\nmax_tasks: 2000\ngrant: 1\ndifferences: 0\n"
    );
}

#[test]
fn the_example_asks_and_gives_back_and_opens_and_closes_sessions() {
    let daemon = daemon();
    succeed(&mut example(
        &daemon,
        &["resize", "--cpu", "1.5", "--mem-gib", "0.5"],
    ));
    succeed(&mut example(
        &daemon,
        &["resize", "--tasks", "50", "--force"],
    ));
    let opened = succeed(&mut example(&daemon, &["open-session", "1000", "4711"]));
    assert_eq!(
        opened,
        "session: 7\ncpu: 2 CPUs\nmem: 8192 MiB\ntasks: 4096\n"
    );
    succeed(&mut example(&daemon, &["close-session", "7"]));

    let requests = daemon.requests();
    assert_eq!(
        requests[0],
        r#"{"type": "resize", "cpu": 1.5, "mem": "512M"}"#
    );
    assert_eq!(
        requests[1],
        r#"{"type": "resize", "tasks": 50, "force": true}"#
    );
    assert!(requests[2].contains(r#""service": "fairshare_ctypes""#));
    assert_eq!(requests[3], r#"{"type": "close_session", "session": 7}"#);
}

#[test]
fn the_example_tells_a_refusal() {
    let output = run(&mut example(&daemon(), &["release"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "fairshare_ctypes: Nothing to give back (25)\n"
    );
}
