//! The one place that writes to the terminal or the pipe.
//!
//! What a run says at its end is an [`Outcome`]; only a request that waits writes before that.
//!
//! A reader that has seen enough (`fairshare list | head -1`) closes the pipe. Rust ignores
//! SIGPIPE, so the write fails with `EPIPE` instead of ending the process, and `println!` would
//! panic. Restoring the signal's default takes an unsafe call; treating `EPIPE` as a quiet success
//! takes none, and the exit code still says how the request itself went.

use std::io::{self, ErrorKind, IsTerminal, Write};

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

/// Writes a view that is followed by others; false where nobody reads on.
pub(crate) fn shown(text: &str) -> bool {
    let mut stream = anstream::AutoStream::choice(&io::stdout());
    if !io::stdout().is_terminal() && stream == anstream::ColorChoice::Auto {
        stream = anstream::ColorChoice::Never;
    }
    let moves = text.contains("\x1b[H");
    let colourless = stream == anstream::ColorChoice::Never;
    let text = if colourless && !moves {
        anstream::adapter::strip_str(text).to_string()
    } else if colourless {
        without_colour(text)
    } else {
        text.to_owned()
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_ok()
}

/// Without the sequences that set colours, which end in `m`; those that move the cursor stay.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        match end.map(|end| part.split_at(end)) {
            Some((_, rest)) if rest.starts_with('m') => {
                plain.push_str(rest.get(1..).unwrap_or_default());
            }
            _ => {
                plain.push_str("\x1b[");
                plain.push_str(part);
            }
        }
    }
    plain
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
    fn colours_go_and_movements_stay() {
        assert_eq!(
            without_colour("\x1b[H\x1b[1m\x1b[33mx\x1b[0m\x1b[K"),
            "\x1b[Hx\x1b[K"
        );
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        assert!(write(&mut Fails(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(write(&mut Fails(ErrorKind::StorageFull), "text").is_err());
    }
}
