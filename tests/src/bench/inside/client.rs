//! A client of the daemon: within this process for root, and as a helper for a user.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fairshare_protocol::frame::encode;
use fairshare_protocol::{Reply, Request};
use fairshare_tests::{LabError, Result};

use super::helper::{self, Helper};
use crate::figures::Times;

/// For a reply.
const REPLY_BOUND: Duration = Duration::from_secs(20);

/// A connection to the daemon.
#[derive(Debug)]
pub(super) struct Connection {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(LabError::io("connect to", path))?;
        stream
            .set_read_timeout(Some(REPLY_BOUND))
            .map_err(LabError::io("set a timeout on", path))?;
        Ok(Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request and waits for the reply; a refusal is an error.
    pub(super) fn send(&mut self, request: &Request) -> Result<Reply> {
        let line = encode(request).map_err(|error| LabError::other(error.to_string()))?;
        let reply = self.exchange(line.as_bytes())?;
        match serde_json::from_str(&reply) {
            Ok(Reply::Error(refusal)) => Err(LabError::other(format!(
                "the daemon refuses {}: {}",
                line.trim(),
                refusal.error
            ))),
            Ok(reply) => Ok(reply),
            Err(error) => Err(LabError::other(format!("'{}': {error}", reply.trim()))),
        }
    }

    /// Like [`Connection::send`], and says how long the reply took.
    pub(super) fn timed(&mut self, request: &Request) -> Result<(Duration, Reply)> {
        let start = Instant::now();
        let reply = self.send(request)?;
        Ok((start.elapsed(), reply))
    }

    fn exchange(&mut self, line: &[u8]) -> Result<String> {
        let mut reply = String::new();
        self.stream
            .get_mut()
            .write_all(line)
            .map_err(LabError::io("write to", &self.path))?;
        self.stream
            .read_line(&mut reply)
            .map_err(LabError::io("read from", &self.path))?;
        Ok(reply)
    }
}

/// A process of a user, connected to the daemon.
#[derive(Debug)]
pub(super) struct Client(Helper);

impl Client {
    /// Starts one.
    pub(super) fn start(uid: u32, socket: &Path) -> Result<Self> {
        let socket = socket.to_string_lossy();
        let mut helper = Helper::start_as(uid, &["client", &socket])?;
        helper.answer()?;
        Ok(Self(helper))
    }

    /// Has it send a request this often, one after the other.
    pub(super) fn begin(&mut self, count: u32, request: &Request) -> Result<()> {
        let request =
            serde_json::to_string(request).map_err(|error| LabError::other(error.to_string()))?;
        self.0.tell(&format!("{count} {request}"))
    }

    /// Waits for the last reply; how long each took.
    pub(super) fn finish(&mut self) -> Result<Times> {
        let answer = self.0.answer()?;
        serde_json::from_str(&answer)
            .map_err(|error| LabError::other(format!("no times in '{answer}': {error}")))
    }
}

/// Helper: reads `COUNT REQUEST`, and answers with the times.
pub(super) fn run(socket: &Path) -> Result<()> {
    let mut connection = Connection::open(socket)?;
    println!("connected");
    helper::serve(|line| {
        let wrong = || LabError::other(format!("not understood: '{line}'"));
        let (count, request) = line.split_once(' ').ok_or_else(wrong)?;
        let count: u32 = count.parse().map_err(|_| wrong())?;
        let request: Request = serde_json::from_str(request).map_err(|_| wrong())?;
        let mut times = Times::default();
        for _ in 0..count {
            times.push(connection.timed(&request)?.0);
        }
        serde_json::to_string(&times).map_err(|error| LabError::other(error.to_string()))
    })
}
