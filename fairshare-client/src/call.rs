//! One request and its reply, over as many connections as it takes, before one deadline.

use std::fmt::Display;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use fairshare_protocol::frame::{self, LineBuffer};
use fairshare_protocol::{CloseSession, KEEP_ALIVE, OpenSession, Queued, Reply, Request, Resize};

use crate::ClientError;
use crate::deadline::Deadline;
use crate::socket::{self, Unconnected};

/// The pause before the second attempt. Each further one doubles it, so that a daemon which ends
/// over and over is not asked in a tight loop.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What one read takes at the most. Nearly every reply is shorter.
const READ_SIZE: usize = 4096;

/// What an error repeats of a reply at the most, in characters.
const LONGEST_REASON: usize = 200;

const CONNECT: &str = "connect to";
const WRITE: &str = "write to";
const READ: &str = "read from";

pub(crate) fn call(
    path: &Path,
    timeout: Duration,
    request: &Request,
    on_queued: &mut dyn FnMut(&Queued),
) -> Result<Reply, ClientError> {
    let exchange = Exchange {
        path,
        timeout,
        deadline: Deadline::after(timeout),
        queued: false,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let result = exchange.attempt(request, on_queued);
        match result {
            Ok(Reply::Error(reply)) => return Err(ClientError::Refused(reply)),
            Err(ClientError::Closed { partial: false, .. }) if may_be_repeated(request) => {
                if exchange.deadline.left().is_none_or(|left| left <= pause) {
                    return result;
                }
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

/// Whether the daemon carries the request out twice with the same result and the same reply. The
/// crate's documentation gives the reason for each.
fn may_be_repeated(request: &Request) -> bool {
    match request {
        Request::Status
        | Request::List
        | Request::Queue
        | Request::Explain(_)
        | Request::PolicyDiff
        | Request::Reload
        | Request::Metrics(_)
        | Request::About
        | Request::Resize(_)
        | Request::Renew(_)
        | Request::Set(_)
        | Request::OpenSession(_) => true,
        Request::CloseSession(CloseSession { session, .. }) => session.is_none(),
        // `release`, `request_resources`, and whatever a later version adds.
        _ => false,
    }
}

/// Whether the daemon may send `queued` before its reply.
fn waits(request: &Request) -> bool {
    matches!(request, Request::Resize(Resize { wait: Some(_), .. }))
}

/// What every attempt of a call shares.
#[derive(Clone)]
struct Exchange<'a> {
    path: &'a Path,
    timeout: Duration,
    deadline: Deadline,
    /// Whether a `queued` has come, so that the request is not sent again.
    queued: bool,
}

impl Exchange<'_> {
    fn attempt(
        &self,
        request: &Request,
        on_queued: &mut dyn FnMut(&Queued),
    ) -> Result<Reply, ClientError> {
        let stream = socket::connect(self.path, self.deadline).map_err(|fault| match fault {
            Unconnected::Deadline => self.late(CONNECT),
            Unconnected::Io(source) => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NoDaemon {
                        path: self.path.to_owned(),
                        source,
                    }
                }
                _ => self.io(CONNECT, source),
            },
        })?;
        self.send(&stream, request)?;
        let mut lines = LineBuffer::with_limit(request.longest_reply());
        let mut reading = self.clone();
        loop {
            let line = reading.receive(&stream, &mut lines)?;
            let reply = Reply::from_line(&line).map_err(|error| reading.not_understood(&error))?;
            match reply {
                Reply::Queued(queued) if waits(request) => {
                    on_queued(&queued);
                    reading = reading.until_the_next_line();
                }
                reply => return Ok(reply),
            }
        }
    }

    /// The same exchange with a deadline for one further line of a request that waits: the daemon
    /// is as late as it may be with a reply, and sends a line this often while there is none.
    fn until_the_next_line(&self) -> Self {
        let between = self.timeout.saturating_add(Duration::from_secs(KEEP_ALIVE));
        Self {
            deadline: Deadline::after(between),
            queued: true,
            ..*self
        }
    }

    fn send(&self, stream: &UnixStream, request: &Request) -> Result<(), ClientError> {
        let line = self
            .encode(request)
            .map_err(|error| self.io(WRITE, error.into()))?;
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let left = self.deadline.left().ok_or_else(|| self.late(WRITE))?;
            stream
                .set_write_timeout(Some(left))
                .map_err(|error| self.io(WRITE, error))?;
            match socket::send(stream, rest) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                    // The daemon may have answered before it closed: that it is too busy, say.
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => return Ok(()),
                    _ => return Err(self.io(WRITE, error)),
                },
            }
        }
        Ok(())
    }

    /// The request as a line, with the time that is left told to a daemon that is to wait for
    /// something.
    fn encode(&self, request: &Request) -> serde_json::Result<String> {
        let Request::OpenSession(session) = request else {
            return frame::encode(request);
        };
        let left = self.deadline.left().unwrap_or_default().as_millis();
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        frame::encode(&Request::OpenSession(OpenSession {
            wait_ms: Some(session.wait_ms.map_or(left, |wait| wait.min(left))),
            ..session.clone()
        }))
    }

    /// The next line that the daemon sends. There is one reply to one request, so whatever might
    /// follow that is not read.
    fn receive(
        &self,
        mut stream: &UnixStream,
        lines: &mut LineBuffer,
    ) -> Result<Vec<u8>, ClientError> {
        let mut bytes = [0; READ_SIZE];
        loop {
            let line = lines
                .next_line()
                .map_err(|error| self.not_understood(&error))?;
            if let Some(line) = line {
                return Ok(line);
            }
            let left = self.deadline.left().ok_or_else(|| self.late(READ))?;
            stream
                .set_read_timeout(Some(left))
                .map_err(|error| self.io(READ, error))?;
            let closed = || ClientError::Closed {
                path: self.path.to_owned(),
                partial: self.queued || lines.has_partial_line(),
            };
            match stream.read(&mut bytes) {
                Ok(0) => return Err(closed()),
                Ok(count) => lines.push(bytes.get(..count).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                    io::ErrorKind::ConnectionReset => return Err(closed()),
                    _ => return Err(self.io(READ, error)),
                },
            }
        }
    }

    fn late(&self, verb: &'static str) -> ClientError {
        ClientError::Deadline {
            path: self.path.to_owned(),
            verb,
            timeout: self.deadline.timeout(),
        }
    }

    fn io(&self, verb: &'static str, source: io::Error) -> ClientError {
        ClientError::Io {
            path: self.path.to_owned(),
            verb,
            source,
        }
    }

    /// The reason may repeat what the peer sent, so it is cut.
    fn not_understood(&self, reason: &dyn Display) -> ClientError {
        ClientError::Protocol {
            path: self.path.to_owned(),
            reason: reason.to_string().chars().take(LONGEST_REASON).collect(),
        }
    }
}
