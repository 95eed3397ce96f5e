//! Programs in C, compiled as C and as C++, linked with the shared and with the static library.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fake_daemon::{Answer, FakeDaemon};
use crate::installed::{Installed, Language, Linking, run, source, succeed};

/// Each way to compile and link the source, as a command that runs it.
fn each_way(source: &Path, mut check: impl FnMut(Command)) {
    for linking in [Linking::Shared, Linking::Static] {
        for language in [Language::C11, Language::Cxx17] {
            println!("{linking:?} {language:?}");
            check(Installed::linked(linking).compile(source, language));
        }
    }
}

const OPENED: &str =
    r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "tasks": 4096}"#;
const IGNORED: &str = r#"{"type": "session_ignored", "message": "root is not covered by policy"}"#;
const DONE: &str = r#"{"type": "success", "message": "Done"}"#;

#[test]
fn the_header_keeps_its_promises() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/contract.c");
    each_way(&program, |mut program| {
        let daemon = FakeDaemon::start(|request| {
            let has = |part: &str| request.contains(part);
            Answer::from(if has(r#""type": "status""#) {
                concat!(
                    r#"{"type": "status_info", "allocated_cpu": 0.5, "allocated_mem": "512M", "#,
                    r#""allocated_tasks": 500, "allocated_swap": "0", "grant": false, "#,
                    r#""sessions": 1, "default": {"cpu": 0.5, "mem": "512M", "tasks": 500}, "#,
                    r#""max": {"cpu": 2, "mem": "1G", "tasks": 2000}, "#,
                    r#""slice": {"unit": "user-1000.slice", "mem_used": "4M", "#,
                    r#""tasks_used": 9}, "differences": ["one", "two"], "version": "9"}"#,
                )
            } else if has("open_session") && has(r#""uid": 0"#) {
                IGNORED
            } else if has("open_session") {
                OPENED
            } else if has(r#""cpu": 16"#) {
                concat!(
                    r#"{"type": "error", "error": "Requested CPU (16) exceeds maximum allowed (8)", "#,
                    r#""code": "above_maximum"}"#
                )
            } else if has("release") && has("force") {
                r#"{"type": "error", "error": "No", "code": "from_the_future"}"#
            } else if has("release") {
                r#"{"type": "error", "error": "No", "code": "no_grant"}"#
            } else {
                DONE
            })
        });
        assert_eq!(succeed(program.arg(daemon.socket())), "kept\n");
        let changes = [
            r#"{"type": "resize", "cpu": 1.5, "mem": "16G", "force": true}"#,
            r#"{"type": "resize", "cpu": 16, "mem": "16G"}"#,
            r#"{"type": "resize", "tasks": 300}"#,
            r#"{"type": "release"}"#,
            r#"{"type": "release", "force": true}"#,
            r#"{"type": "close_session", "session": 7}"#,
            r#"{"type": "close_session", "uid": 1000, "pid": 4711}"#,
        ];
        let mut requests = daemon.requests();
        requests.retain(|line| !line.contains("status") && !line.contains("open_session"));
        assert_eq!(requests, changes);
        let opened = daemon
            .requests()
            .into_iter()
            .find(|line| line.contains("4711"))
            .unwrap();
        assert!(
            opened.contains(r#""service": "jupyter", "wait_ms": "#),
            "{opened}"
        );
    });
}

#[test]
fn the_program_in_the_headers_comment_is_one() {
    let header = fs::read_to_string(source("include/fairshare.h")).unwrap();
    let lines = header
        .lines()
        .skip_while(|line| !line.contains("fairshare_client_new"))
        .map_while(|line| line.strip_prefix(" *     "));
    let body: Vec<&str> = lines.collect();
    assert!(body.len() > 5, "{body:?}");
    let program = format!(
        "#include <fairshare.h>\n#include <stdio.h>\nint main(void)\n{{\n{}\n}}\n",
        body.join("\n")
    );
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("comment.c");
    fs::write(&file, program).unwrap();
    Installed::linked(Linking::Shared).compile(&file, Language::C11);
}

/// Runs `examples/c/session.c` and gives its exit code and what it wrote.
fn session(program: &mut Command) -> (i32, String, String) {
    let output = run(program);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn the_example_opens_a_session_says_what_it_got_and_closes_it() {
    each_way(&source("examples/c/session.c"), |mut program| {
        let daemon = FakeDaemon::start(|request| {
            Answer::from(if request.contains("open_session") {
                OPENED
            } else {
                DONE
            })
        });
        let (code, stdout, stderr) = session(program.args(["1000", "4711"]).arg(daemon.socket()));
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert_eq!(
            stdout,
            "session 7: user 1000 has 2 CPUs, 8192 MiB memory, 4096 tasks\n"
        );
        let requests = daemon.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests[0].starts_with(
            r#"{"type": "open_session", "uid": 1000, "pid": 4711, "service": "session-example""#
        ));
        assert_eq!(requests[1], r#"{"type": "close_session", "session": 7}"#);
    });
}

#[test]
fn the_example_handles_what_can_go_wrong() {
    let example = source("examples/c/session.c");
    let program = || Installed::linked(Linking::Shared).compile(&example, Language::C11);
    let error = |code: &str| {
        let line = format!(r#"{{"type": "error", "error": "Not so", "code": "{code}"}}"#);
        FakeDaemon::start(move |request| {
            if request.contains("close_session") {
                DONE.into()
            } else {
                Answer::Line(line.clone())
            }
        })
    };

    let ignored = FakeDaemon::start(|_| Answer::from(IGNORED));
    let (code, stdout, _) = session(program().args(["0", "1"]).arg(ignored.socket()));
    assert_eq!((code, stdout.as_str()), (0, "user 0 is not limited\n"));
    assert_eq!(ignored.requests().len(), 1, "there is no session to close");

    let refused = error("not_permitted");
    let (code, _, stderr) = session(program().args(["1000", "1"]).arg(refused.socket()));
    assert_eq!(
        (code, stderr.as_str()),
        (1, "session: cannot open a session: Not so (28)\n")
    );
    assert_eq!(refused.requests().len(), 1);

    let late = error("not_enforced");
    let (code, ..) = session(program().args(["1000", "1"]).arg(late.socket()));
    assert_eq!(code, 1);
    assert_eq!(
        late.requests()[1],
        r#"{"type": "close_session", "uid": 1000, "pid": 1}"#
    );

    let (code, _, stderr) = session(program().args(["1000", "1", "/nonexistent/socket"]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("no daemon listens on '/nonexistent/socket'"),
        "{stderr}"
    );

    for wrong in [
        &["1000"][..],
        &["alice", "1"],
        &["-1", "1"],
        &["1000", "99999999999"],
    ] {
        let (code, _, stderr) = session(program().args(wrong));
        assert_eq!(
            (code, stderr.as_str()),
            (2, "usage: session UID PID [SOCKET]\n"),
            "{wrong:?}"
        );
    }
}
