//! Other processes of this program, which do what has to be done from where they are: as a user, or
//! within a user's slice. They are told a line at a time and answer with a line.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fairshare_tests::{LabError, Result};

/// For an answer.
const ANSWER_BOUND: Duration = Duration::from_secs(60);
/// What an answer begins with that says what went wrong.
const FAULT: char = '!';

/// A helper. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    stream: BufReader<UnixStream>,
}

impl Helper {
    /// Starts a helper for this task, as root.
    pub(super) fn start(task: &[&str]) -> Result<Self> {
        Self::spawn(&mut command(task)?)
    }

    /// Starts a helper for this task, as a user.
    pub(super) fn start_as(uid: u32, task: &[&str]) -> Result<Self> {
        Self::spawn(command(task)?.uid(uid).gid(uid))
    }

    /// Starts a helper with another system bus than the machine's.
    pub(super) fn start_on_bus(address: &str, task: &[&str]) -> Result<Self> {
        Self::spawn(command(task)?.env("DBUS_SYSTEM_BUS_ADDRESS", address))
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        // A socket and no pipes: a read of it can be given a timeout.
        let stdio = || -> io::Result<(UnixStream, [Stdio; 2])> {
            let (ours, theirs) = UnixStream::pair()?;
            ours.set_read_timeout(Some(ANSWER_BOUND))?;
            let output = OwnedFd::from(theirs.try_clone()?);
            Ok((ours, [OwnedFd::from(theirs).into(), output.into()]))
        };
        let (stream, [input, output]) =
            stdio().map_err(|error| LabError::other(format!("cannot make a socket: {error}")))?;
        let child = command
            .stdin(input)
            .stdout(output)
            .spawn()
            .map_err(LabError::io("run", "/proc/self/exe"))?;
        // Ours of the other end; the helper's own keeps the stream open as long as it runs.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self {
            child,
            stream: BufReader::new(stream),
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something and waits for the answer.
    pub(super) fn ask(&mut self, line: &str) -> Result<String> {
        self.tell(line)?;
        self.answer()
    }

    /// Tells it something; the answer is to be waited for.
    pub(super) fn tell(&mut self, line: &str) -> Result<()> {
        writeln!(self.stream.get_mut(), "{line}")
            .map_err(|error| LabError::other(format!("cannot tell a helper '{line}': {error}")))
    }

    /// Waits for an answer.
    pub(super) fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        let count = self
            .stream
            .read_line(&mut line)
            .map_err(|error| LabError::other(format!("cannot hear a helper: {error}")))?;
        match line.trim_end().strip_prefix(FAULT) {
            _ if count == 0 => Err(LabError::other(
                "a helper has ended; above it may have said why",
            )),
            Some(fault) => Err(LabError::other(fault.trim().replace('\t', "\n"))),
            None => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail only when the process is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(task: &[&str]) -> Result<Command> {
    let program = env::current_exe().map_err(LabError::io("find", "/proc/self/exe"))?;
    let mut command = Command::new(program);
    command.arg("inside").args(task);
    Ok(command)
}

/// The helper's own side: answers each line of standard input until it ends.
pub(super) fn serve(mut answer: impl FnMut(&str) -> Result<String>) -> Result<()> {
    let (stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    for line in stdin.lines() {
        let line = line.map_err(|error| LabError::other(format!("cannot read: {error}")))?;
        let answer = answer(&line)
            .unwrap_or_else(|fault| format!("{FAULT} {}", fault.to_string().replace('\n', "\t")));
        writeln!(stdout, "{answer}")
            .map_err(|error| LabError::other(format!("cannot answer: {error}")))?;
    }
    Ok(())
}
