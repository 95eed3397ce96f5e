//! A login that stays open: one shell, many commands, an end that the test chooses.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{self, Output};
use crate::error::{LabError, Result};

/// For the connection to close after the shell was told to end.
const CLOSE_BOUND: Duration = Duration::from_secs(60);

/// A login shell at the other end of an `ssh`. Dropping it kills the `ssh`, as a broken
/// connection would; [`Session::close`] logs out.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    pieces: mpsc::Receiver<Piece>,
    name: String,
    bound: Duration,
    terminal: bool,
    commands: u32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

#[derive(Debug)]
enum Piece {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
}

impl Session {
    /// Starts `ssh` and waits until the shell answers.
    pub(crate) fn open(
        ssh: &mut Command,
        terminal: bool,
        bound: Duration,
        name: &str,
    ) -> Result<Self> {
        let mut child = command::spawn(
            ssh.stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )?;
        let (sender, pieces) = mpsc::channel();
        if let Some(pipe) = child.stdout.take() {
            read_pieces(pipe, sender.clone(), Piece::Stdout);
        }
        if let Some(pipe) = child.stderr.take() {
            read_pieces(pipe, sender, Piece::Stderr);
        }
        let mut session = Self {
            stdin: child.stdin.take(),
            child,
            pieces,
            name: name.to_owned(),
            bound,
            terminal,
            commands: 0,
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        let first = if terminal {
            // No echo and no prompt, so that what is read back is output alone.
            "stty -echo -onlcr; PS1= PS2= PROMPT_COMMAND=; bind 'set enable-bracketed-paste off' \
             2>/dev/null; true"
        } else {
            "true"
        };
        session.run(first)?.ok()?;
        Ok(session)
    }

    /// Runs a command in the session's shell, and waits for its end.
    ///
    /// Any exit status is `Ok`. On a terminal both streams arrive as standard output. The shell
    /// reads its commands from the same input as the command: one that reads must be given
    /// another (`</dev/null`).
    pub fn run(&mut self, command: &str) -> Result<Output> {
        let start = Instant::now();
        self.commands += 1;
        // The mark is written in two halves, so that a terminal's echo of the command is not
        // taken for it.
        let (half, number) = ("fairshare-", self.commands);
        let mark = format!("\n{half}end-{number} ");
        let print = format!("printf '\\n%s%s %s\\n' {half} end-{number} $s");
        let errors = if self.terminal {
            String::new()
        } else {
            format!("{print} >&2; ")
        };
        self.write(&format!(
            "{command}\n{{ s=$?; {print}; {errors}(exit $s); }}\n"
        ))?;
        loop {
            let out = cut(&self.stdout, &mark);
            let err = if self.terminal {
                Some(Cut::default())
            } else {
                cut(&self.stderr, &mark)
            };
            if let (Some(out), Some(err)) = (out, err) {
                let output = Output {
                    command: format!("{}{command}", self.name),
                    status: Some(out.status),
                    stdout: text(&self.stdout, out.text),
                    stderr: text(&self.stderr, err.text),
                    elapsed: start.elapsed(),
                };
                self.stdout.drain(..out.line);
                self.stderr.drain(..err.line);
                return Ok(output);
            }
            match self
                .pieces
                .recv_timeout(self.bound.saturating_sub(start.elapsed()))
            {
                Ok(Piece::Stdout(bytes)) => self.stdout.extend(bytes),
                Ok(Piece::Stderr(bytes)) => self.stderr.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone(command)),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(LabError::Deadline {
                        what: format!("the end of '{}{command}' in an open session", self.name),
                        bound: self.bound,
                        seen: self.seen(),
                    });
                }
            }
        }
    }

    /// Types a line without waiting for anything.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        self.write(&format!("{line}\n"))
    }

    /// Reads until `wanted` is in what came on standard output since the last command, and hands
    /// over all of it up to and including that.
    pub fn read_until(&mut self, wanted: &str) -> Result<String> {
        let start = Instant::now();
        loop {
            if let Some(at) = find(&self.stdout, wanted.as_bytes()) {
                let rest = self.stdout.split_off(at + wanted.len());
                let taken = std::mem::replace(&mut self.stdout, rest);
                return Ok(String::from_utf8_lossy(&taken).into_owned());
            }
            match self
                .pieces
                .recv_timeout(self.bound.saturating_sub(start.elapsed()))
            {
                Ok(Piece::Stdout(bytes)) => self.stdout.extend(bytes),
                Ok(Piece::Stderr(bytes)) => self.stderr.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone(wanted)),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(LabError::Deadline {
                        what: format!("'{wanted}' in {}", self.name),
                        bound: self.bound,
                        seen: self.seen(),
                    });
                }
            }
        }
    }

    /// Logs out, and waits until the connection is closed.
    ///
    /// A process that still holds the session's output keeps `ssh` waiting, as it does for a
    /// person; the connection is then broken off after a bound, with an error.
    pub fn close(mut self) -> Result<()> {
        // The shell may be gone already, which is what is wanted.
        let _ = self.write("exit 0\n");
        self.stdin = None;
        match command::wait(&mut self.child, CLOSE_BOUND)? {
            Some(_) => Ok(()),
            None => Err(LabError::Deadline {
                what: format!("the logout of {}", self.name),
                bound: CLOSE_BOUND,
                seen: self.seen(),
            }),
        }
    }

    /// Whether the connection is still there.
    pub fn is_open(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the other side ends the session.
    pub fn wait_closed(&mut self, bound: Duration) -> Result<()> {
        match command::wait(&mut self.child, bound)? {
            Some(_) => Ok(()),
            None => Err(LabError::Deadline {
                what: format!("the end of the session of {}", self.name),
                bound,
                seen: self.seen(),
            }),
        }
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let Some(stdin) = &mut self.stdin else {
            return Err(LabError::other(format!(
                "the session of {} is closed",
                self.name
            )));
        };
        stdin
            .write_all(text.as_bytes())
            .and_then(|()| stdin.flush())
            .map_err(|error| LabError::other(format!("the session of {}: {error}", self.name)))
    }

    fn gone(&self, during: &str) -> LabError {
        LabError::other(format!(
            "the session of {} ended during '{during}'\n{}",
            self.name,
            self.seen()
        ))
    }

    fn seen(&self) -> String {
        format!(
            "--- stdout so far\n{}\n--- stderr so far\n{}",
            String::from_utf8_lossy(&self.stdout).trim_end(),
            String::from_utf8_lossy(&self.stderr).trim_end()
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        command::end(&mut self.child);
    }
}

/// Where a mark was found.
#[derive(Debug, Default)]
struct Cut {
    /// End of the output before it.
    text: usize,
    /// End of its line.
    line: usize,
    /// The exit status in it.
    status: i32,
}

fn cut(bytes: &[u8], mark: &str) -> Option<Cut> {
    let text = find(bytes, mark.as_bytes())?;
    let rest = bytes.get(text + mark.len()..)?;
    let length = find(rest, b"\n")?;
    let status = String::from_utf8_lossy(rest.get(..length)?)
        .trim()
        .parse()
        .ok()?;
    Some(Cut {
        text,
        line: text + mark.len() + length + 1,
        status,
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn text(bytes: &[u8], end: usize) -> String {
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn read_pieces(
    mut pipe: impl Read + Send + 'static,
    to: mpsc::Sender<Piece>,
    piece: fn(Vec<u8>) -> Piece,
) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count) = pipe.read(&mut buffer) {
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return;
            };
            if to.send(piece(bytes.to_vec())).is_err() {
                return;
            }
        }
    });
}
