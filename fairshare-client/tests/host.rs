//! Hosts other than a Rust program: one that dies of `SIGPIPE`, one that runs with its standard
//! descriptors closed, one that may not connect. Each is a child: this program, started again to
//! run one of the tests named `child_*`, which do nothing otherwise.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "peer/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of faults")]
mod peer;
#[path = "sys/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of faults")]
mod sys;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use std::{fs, process};

use fairshare_client::{Client, ClientError};
use fairshare_protocol::{OpenSession, Release};

use peer::{Peer, read_line};

const SOCKET: &str = "FAIRSHARE_TEST_SOCKET";

/// Ends a child whose call went as it should. libtest itself ends with 0 or 101.
const AS_EXPECTED: i32 = 42;
/// Ends a child whose call went otherwise.
const OTHERWISE: i32 = 43;

const PATIENT: Duration = Duration::from_secs(30);

fn run_child(name: &str, socket: &Path) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(SOCKET, socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// The socket, when this process is the child.
fn child_socket() -> Option<PathBuf> {
    std::env::var_os(SOCKET).map(PathBuf::from)
}

fn end(as_expected: bool) -> ! {
    process::exit(if as_expected { AS_EXPECTED } else { OTHERWISE })
}

#[test]
fn child_sends_into_a_closed_connection() {
    let Some(socket) = child_socket() else { return };
    sys::default_sigpipe();
    // With more to send than the socket takes, the client is still sending when the peer closes.
    let error = Client::new(socket, Duration::from_millis(300))
        .open_session(OpenSession {
            uid: 1000,
            pid: 1,
            service: Some("x".repeat(1 << 20)),
            wait_ms: None,
            notices: false,
        })
        .unwrap_err();
    // Which of them depends on where in its attempts the deadline finds it.
    end(matches!(
        error,
        ClientError::Closed { partial: false, .. } | ClientError::Deadline { .. }
    ));
}

#[test]
fn child_raises_sigpipe() {
    if child_socket().is_some() {
        sys::default_sigpipe();
        sys::raise_sigpipe();
        end(false);
    }
}

#[test]
fn a_host_that_would_die_of_sigpipe_does_not() {
    // The control: such a host does die when the signal comes.
    let status = run_child("child_raises_sigpipe", Path::new("/"));
    assert_eq!(status.signal(), Some(13), "{status}");

    let peer = Peer::new(|_, mut connection| {
        // Read a little, so that the client is sending, and close.
        let mut bytes = [0; 1024];
        let _ = std::io::Read::read(&mut connection, &mut bytes);
    });
    let status = run_child("child_sends_into_a_closed_connection", peer.path());
    assert_eq!(status.code(), Some(AS_EXPECTED), "{status}");
}

#[test]
fn child_calls() {
    let Some(socket) = child_socket() else { return };
    let result = Client::new(socket, PATIENT).release(Release::default());
    end(result.is_ok_and(|sentence| sentence == "Done"));
}

#[test]
fn child_calls_with_standard_descriptors_closed() {
    if child_socket().is_some() {
        sys::close_standard_descriptors();
        child_calls();
    }
}

/// Runs a child up to the point where its call waits for the reply, shows it to `look`, and lets
/// it end.
fn look_at_a_call(name: &str, look: impl FnOnce(u32)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(SOCKET, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    assert_eq!(read_line(&connection), r#"{"type": "release"}"#);
    look(child.id());
    connection
        .write_all(b"{\"type\": \"success\", \"message\": \"Done\"}\n")
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(AS_EXPECTED));
}

/// Close-on-exec among the flags of `open(2)`.
const O_CLOEXEC: u32 = 0o2_000_000;

/// The flags of each socket of a process, as `open(2)` names them.
fn socket_flags(pid: u32) -> Vec<u32> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| {
            let target = fs::read_link(entry.path()).unwrap();
            target.to_string_lossy().starts_with("socket:")
        })
        .map(|entry| {
            let number = entry.file_name().into_string().unwrap();
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            u32::from_str_radix(flags.unwrap().trim(), 8).unwrap()
        })
        .collect()
}

#[test]
fn a_program_that_the_host_starts_meanwhile_does_not_inherit_the_connection() {
    for child in [
        "child_calls",
        "child_calls_with_standard_descriptors_closed",
    ] {
        look_at_a_call(child, |pid| {
            let flags = socket_flags(pid);
            assert_eq!(flags.len(), 1, "{child}");
            assert_eq!(flags[0] & O_CLOEXEC, O_CLOEXEC, "{child}");
        });
    }
}

#[test]
fn in_a_host_with_closed_standard_descriptors_the_connection_is_none_of_them() {
    look_at_a_call("child_calls_with_standard_descriptors_closed", |pid| {
        for fd in 0..=2 {
            let link = format!("/proc/{pid}/fd/{fd}");
            assert!(fs::read_link(&link).is_err(), "{link} is open");
        }
    });
}

#[test]
fn child_may_not_connect() {
    let Some(socket) = child_socket() else { return };
    sys::drop_root();
    let error = Client::new(&socket, PATIENT).status().unwrap_err();
    let text = error.to_string();
    let denied = matches!(
        error,
        ClientError::Io { verb: "connect to", source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied
    );
    end(denied && text.starts_with(&format!("cannot connect to '{}': ", socket.display())));
}

#[test]
fn a_socket_that_one_may_not_connect_to_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("private.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let status = run_child("child_may_not_connect", &path);
    assert_eq!(status.code(), Some(AS_EXPECTED), "{status}");
}
