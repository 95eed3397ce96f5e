//! Runs programs of this host with a deadline, and keeps what they said.
//!
//! `std` can wait for a program without a deadline, or read its output, but not both at once:
//! here two threads read, and the caller waits for them no longer than it said.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};
use crate::host;

/// How long a program may take to end after it closed its output.
const EXIT_BOUND: Duration = Duration::from_secs(5);
/// Step of the wait for a program's end.
const EXIT_STEP: Duration = Duration::from_millis(2);

/// What a command did.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command, as a person would type it.
    pub command: String,
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// From its start to its end.
    pub elapsed: Duration,
}

impl Output {
    /// Whether the status is 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }

    /// Standard output without the white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// The output itself when the status is 0, else an error that shows all of it.
    pub fn ok(self) -> Result<Self> {
        if self.success() {
            Ok(self)
        } else {
            Err(LabError::Command(Box::new(self)))
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' ", self.command)?;
        match self.status {
            Some(status) => write!(f, "ended with status {status}")?,
            None => write!(f, "was ended by a signal")?,
        }
        write!(f, " after {:.2} s", self.elapsed.as_secs_f64())?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.trim().is_empty() {
                write!(f, "\n--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// One of the two streams of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a reader thread hands over: bytes, or nothing more at the end of the stream.
type Piece = (Stream, Option<Vec<u8>>);

/// Runs a program to its end, or kills it when `bound` has passed.
///
/// `input` is written to its standard input, which is closed then. Any exit status is `Ok`.
pub fn run(command: &mut Command, input: &[u8], bound: Duration) -> Result<Output> {
    run_watched(command, input, bound, &mut |_, _| ())
}

/// Like [`run`], and hands each piece of output to `watch` as it comes.
pub fn run_watched(
    command: &mut Command,
    input: &[u8],
    bound: Duration,
    watch: &mut dyn FnMut(Stream, &[u8]),
) -> Result<Output> {
    let start = Instant::now();
    let line = typed(command);
    let stdin = if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let mut child = spawn(
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )?;

    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_vec();
        // A program that ends without reading its input is no fault of the lab.
        thread::spawn(move || pipe.write_all(&input));
    }
    let (sender, pieces) = mpsc::channel();
    let mut open = 0;
    if let Some(pipe) = child.stdout.take() {
        read_pieces(Stream::Stdout, pipe, sender.clone());
        open += 1;
    }
    if let Some(pipe) = child.stderr.take() {
        read_pieces(Stream::Stderr, pipe, sender.clone());
        open += 1;
    }
    drop(sender);

    let mut stdout = Vec::new();
    let mut stderr = Vec::new();
    while open > 0 {
        match pieces.recv_timeout(bound.saturating_sub(start.elapsed())) {
            Ok((stream, Some(bytes))) => {
                watch(stream, &bytes);
                match stream {
                    Stream::Stdout => stdout.extend_from_slice(&bytes),
                    Stream::Stderr => stderr.extend_from_slice(&bytes),
                }
            }
            Ok((_, None)) => open -= 1,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                end(&mut child);
                return Err(LabError::Deadline {
                    what: format!("the end of '{line}'"),
                    bound,
                    seen: said(&stdout, &stderr),
                });
            }
        }
    }
    let left = bound.saturating_sub(start.elapsed()).max(EXIT_BOUND);
    let Some(status) = wait(&mut child, left)? else {
        end(&mut child);
        return Err(LabError::Deadline {
            what: format!("the end of '{line}', which has closed its output"),
            bound,
            seen: said(&stdout, &stderr),
        });
    };
    Ok(Output {
        command: line,
        status: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        elapsed: start.elapsed(),
    })
}

/// Starts a program; one that is not installed is named with its package.
pub fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|source| {
        let program = command.get_program().to_string_lossy().into_owned();
        if source.kind() == ErrorKind::NotFound {
            let package = host::package_of(&program);
            LabError::NoProgram { program, package }
        } else {
            LabError::Io {
                verb: "run",
                path: program.into(),
                source,
            }
        }
    })
}

/// Kills a program and reaps it.
pub fn end(child: &mut Child) {
    // Both fail only when the program is gone, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for a program's end; `None` when `bound` passes first.
pub fn wait(child: &mut Child, bound: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) if start.elapsed() >= bound => return Ok(None),
            Ok(None) => thread::sleep(EXIT_STEP),
            Err(source) => return Err(LabError::other(format!("cannot wait: {source}"))),
        }
    }
}

/// The command as a person would type it.
pub fn typed(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(&argument.to_string_lossy()));
    }
    line
}

/// A word as a POSIX shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn said(stdout: &[u8], stderr: &[u8]) -> String {
    format!(
        "--- stdout so far\n{}\n--- stderr so far\n{}",
        String::from_utf8_lossy(stdout).trim_end(),
        String::from_utf8_lossy(stderr).trim_end()
    )
}

/// Reads a pipe on a thread of its own, which ends with the pipe.
fn read_pieces(stream: Stream, mut pipe: impl Read + Send + 'static, to: mpsc::Sender<Piece>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count) = pipe.read(&mut buffer) {
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            if to.send((stream, Some(bytes.to_vec()))).is_err() {
                return;
            }
        }
        let _ = to.send((stream, None));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    #[test]
    fn output_and_status_are_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "read -r x; echo out $x; echo err >&2; exit 3"]);
        let output = run(&mut command, b"in\n", BOUND).unwrap();
        assert_eq!(output.status, Some(3));
        assert_eq!(output.stdout, "out in\n");
        assert_eq!(output.stderr, "err\n");
        let text = output.ok().unwrap_err().to_string();
        assert!(
            text.contains("status 3") && text.contains("--- stderr\nerr"),
            "{text}"
        );
    }

    #[test]
    fn a_deadline_ends_the_program_and_shows_what_it_said() {
        let start = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; exec sleep 60"]);
        let error = run(&mut command, b"", Duration::from_millis(300)).unwrap_err();
        assert!(start.elapsed() < BOUND);
        assert!(error.to_string().contains("begun"), "{error}");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = run(&mut Command::new("no-such-program"), b"", BOUND).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("'no-such-program' is not installed"),
            "{error}"
        );
    }

    #[test]
    fn words_survive_a_shell() {
        for word in ["plain", "two words", "it's", "", "$HOME", "a\nb"] {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("printf %s {}", quoted(word)));
            assert_eq!(run(&mut command, b"", BOUND).unwrap().stdout, word);
        }
    }
}
