//! The one place that writes to the terminal or the pipe.
//!
//! What a run says at its end is an [`Outcome`]; only a request that waits writes before that.
//!
//! A reader that has seen enough (`fairshare list | head -1`) closes the pipe. Rust ignores
//! SIGPIPE, so the write fails with `EPIPE` instead of ending the process, and `println!` would
//! panic. Restoring the signal's default takes an unsafe call; treating `EPIPE` as a quiet success
//! takes none, and the exit code still says how the request itself went.

use std::io::{self, ErrorKind, Write};

use crate::exit::Exit;

/// What a run has to say, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// For standard output, each line ended. May hold colour; it is taken out where it does not
    /// belong.
    pub(crate) stdout: String,
    /// For standard error, likewise.
    pub(crate) stderr: String,
    /// How the command ends.
    pub(crate) exit: Exit,
}

impl Outcome {
    /// Something was done or shown.
    pub(crate) fn done(stdout: String) -> Self {
        Self {
            stdout,
            stderr: String::new(),
            exit: Exit::Done,
        }
    }
}

/// Writes the outcome: with colour on a terminal unless `NO_COLOR` is set. Returns the exit, which
/// is [`Exit::Failed`] where the output could not be written.
pub(crate) fn emit(outcome: &Outcome) -> Exit {
    // Nothing is left to tell a failure of standard error to.
    let _ = write(&mut anstream::stderr().lock(), &outcome.stderr);
    match write(&mut anstream::stdout().lock(), &outcome.stdout) {
        Ok(()) => outcome.exit,
        Err(error) => {
            let line = format!("fairshare: cannot write to standard output: {error}\n");
            let _ = write(&mut anstream::stderr().lock(), &line);
            Exit::Failed
        }
    }
}

/// Writes to standard error while the request is under way. Nothing is left to tell a failure to.
pub(crate) fn progress(text: &str) {
    let _ = write(&mut io::stderr().lock(), text);
}

/// Writes a line to standard output before the last one. A failure is told with that.
pub(crate) fn intermediate(line: &str) {
    let _ = write(&mut io::stdout().lock(), line);
}

fn write(stream: &mut dyn Write, text: &str) -> io::Result<()> {
    match stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        assert!(write(&mut Fails(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(write(&mut Fails(ErrorKind::StorageFull), "text").is_err());
    }
}
