//! A daemon that answers with canned lines, so that the command can be seen without policy,
//! systemd or root.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tempfile::TempDir;

/// What it does with a request.
pub(crate) enum Answer {
    /// Sends this line.
    Line(String),
    /// Sends these lines.
    Lines(Vec<String>),
    /// Sends these lines and closes the connection.
    LinesThenHangup(Vec<String>),
    /// Sends these lines, and then nothing until the client has gone.
    LinesThenSilence(Vec<String>),
    /// Says nothing until the client has gone.
    Silence,
    /// Closes the connection.
    Hangup,
}

impl From<&str> for Answer {
    fn from(line: &str) -> Self {
        Self::Line(line.to_owned())
    }
}

/// A listening fake. Its threads end with the test's process.
pub(crate) struct FakeDaemon {
    folder: TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl FakeDaemon {
    /// Listens at once; `answer` decides on each line.
    pub(crate) fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || serve(&stream.unwrap(), &*answer, &seen));
            }
        });
        Self { folder, requests }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    /// The lines that came in, in their order.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut stream: &UnixStream, answer: &dyn Fn(&str) -> Answer, seen: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|count| count > 0) {
        let request = std::mem::take(&mut line);
        let request = request.trim_end();
        seen.lock().unwrap().push(request.to_owned());
        match answer(request) {
            // A client that has gone already is no concern of the fake's.
            Answer::Line(reply) => drop(stream.write_all(format!("{reply}\n").as_bytes())),
            Answer::Lines(lines) => send_all(stream, &lines),
            Answer::LinesThenHangup(lines) => return send_all(stream, &lines),
            Answer::LinesThenSilence(lines) => {
                send_all(stream, &lines);
                let _ = stream.read(&mut [0; 1]);
                seen.lock().unwrap().push("end".to_owned());
            }
            Answer::Silence => drop(stream.read(&mut [0; 1])),
            Answer::Hangup => return,
        }
    }
}

fn send_all(mut stream: &UnixStream, lines: &[String]) {
    for line in lines {
        let _ = stream.write_all(format!("{line}\n").as_bytes());
    }
}
