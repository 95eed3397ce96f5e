//! The exporter as it is run: HTTP within limits, in front of a daemon that is made up.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const ANSWER: &str = include_str!("answer.json");
/// As `server.rs` has it.
const MAX_CONNECTIONS: usize = 16;
/// Longer than anything here takes, and than the exporter waits for a daemon.
const PATIENCE: Duration = Duration::from_secs(30);

struct Exporter {
    process: Child,
    folder: tempfile::TempDir,
    asked: Arc<AtomicUsize>,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Exporter {
    /// One with systemd's way of handing over a socket, in front of a daemon that says `reply`; in
    /// front of none where that is `None`.
    fn start(reply: Option<&'static str>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = folder.path().join("daemon");
        let asked = Arc::new(AtomicUsize::new(0));
        if let Some(reply) = reply {
            serve(&daemon, reply, Arc::clone(&asked));
        }
        let listener = UnixListener::bind(folder.path().join("http")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_fairshare-exporter"))
            .arg("--socket")
            .arg(&daemon)
            .args(arguments)
            .stdin(OwnedFd::from(listener))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            process,
            folder,
            asked,
        }
    }

    fn http(&self) -> PathBuf {
        self.folder.path().join("http")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.http()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What comes back for these bytes until the connection is closed.
    fn say(&self, head: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // What came counts: a server that refuses resets a connection on which it has not read all.
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        String::from_utf8(reply).unwrap()
    }

    fn get(&self, path: &str, accept: &str) -> String {
        self.say(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n"
        ))
    }
}

/// A daemon that answers every line with this and `metrics_info` as its type.
fn serve(path: &Path, reply: &'static str, asked: Arc<AtomicUsize>) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let _ = BufReader::new(stream.try_clone().unwrap()).read_line(&mut line);
            asked.fetch_add(1, Ordering::Relaxed);
            assert!(line.contains(r#""type": "metrics""#), "{line}");
            let _ = stream.write_all(reply.as_bytes());
        }
    });
}

fn answering() -> &'static str {
    let line = ANSWER
        .trim_end()
        .replacen('{', r#"{"type": "metrics_info", "#, 1);
    Box::leak(format!("{line}\n").into_boxed_str())
}

#[test]
fn a_scrape_gets_the_format_that_it_asks_for() {
    let exporter = Exporter::start(Some(answering()), &[]);
    let new = exporter.get("/metrics", "application/openmetrics-text;version=1.0.0");
    assert!(new.starts_with("HTTP/1.1 200 OK\r\n"), "{new}");
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(new.contains(kind), "{new}");
    assert!(
        new.contains("\nfairshare_up 1\n") && new.ends_with("# EOF\n"),
        "{new}"
    );
    let old = exporter.get("/metrics", "*/*");
    assert!(old.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(!old.contains("EOF") && old.contains("# TYPE fairshare_logins_total counter"));
    assert_eq!(
        exporter.asked.load(Ordering::Relaxed),
        1,
        "asked once in a second"
    );
}

#[test]
fn other_paths_and_methods_are_refused() {
    let exporter = Exporter::start(None, &[]);
    assert!(exporter.get("/", "*/*").contains("/metrics"));
    assert!(exporter.get("/else", "*/*").starts_with("HTTP/1.1 404 "));
    let post = exporter.say("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert!(
        post.starts_with("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD\r\n"),
        "{post}"
    );
    assert!(
        exporter
            .say("nonsense\r\n\r\n")
            .starts_with("HTTP/1.1 400 ")
    );
}

#[test]
fn a_daemon_that_is_gone_or_refuses_is_a_figure_and_no_error() {
    let refusal = "{\"type\": \"error\", \"error\": \"Only root\", \"code\": \"not_permitted\"}\n";
    for (reply, said) in [(None, "no daemon listens on"), (Some(refusal), "Only root")] {
        let mut exporter = Exporter::start(reply, &[]);
        let got = exporter.get("/metrics", "*/*");
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
        assert!(got.contains("\nfairshare_up 0\n"), "{got}");
        assert!(!got.contains("fairshare_users"), "{got}");
        exporter.process.kill().unwrap();
        let mut log = String::new();
        let mut stderr = exporter.process.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        assert!(log.contains(said), "{log}");
    }
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let exporter = Exporter::start(None, &[]);
    let long = "x".repeat(9000);
    let reply = exporter.say(&format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n"));
    assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
    let many = "a: b\r\n".repeat(65);
    let reply = exporter.say(&format!("GET / HTTP/1.1\r\n{many}\r\n"));
    assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
}

#[test]
fn whoever_says_nothing_holds_a_place_and_not_for_long() {
    let exporter = Exporter::start(None, &[]);
    // Taken in turn: the one that answers shows that those before it have their places.
    let mut silent: Vec<UnixStream> = (1..MAX_CONNECTIONS).map(|_| exporter.connect()).collect();
    assert!(exporter.get("/", "*/*").contains("200 OK"));
    silent.push(exporter.connect());
    let mut late = exporter.connect();
    late.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    late.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut byte = [0];
    let waits = late.read(&mut byte).unwrap_err();
    assert_eq!(waits.kind(), ErrorKind::WouldBlock, "there was a place");
    // The silent ones are closed, and the late one has its turn.
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reply = String::new();
    late.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("200 OK"), "{reply}");
}

#[test]
fn an_own_socket_is_made_where_the_command_line_says() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fairshare-exporter"))
        .arg("--listen")
        .arg(&taken)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("fairshare-exporter: cannot listen on '/"),
        "{said}"
    );
    let output = Command::new(env!("CARGO_BIN_EXE_fairshare-exporter"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("start fairshare-exporter.socket"), "{said}");
}
