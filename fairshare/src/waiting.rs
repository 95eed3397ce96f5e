//! What is shown while a request waits in the queue.
//!
//! A person at a terminal sees one line that changes in its place. A file or a pipe gets a line for
//! each change, and a script that asked for JSON the daemon's own. The daemon repeats itself to
//! show that it is there; what is repeated is not shown again.

use std::io::IsTerminal;

use fairshare_protocol::{Queued, Reply, frame, printable};

use crate::interrupt::{Progress, Stage};
use crate::layout::{self, Width};
use crate::output;

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One line on standard error, written over.
    OneLine(Width),
    /// A line on standard error for each change.
    Lines,
    /// The reply on standard output for each change.
    Json,
}

/// Shows a wait, from the request to its answer.
pub(crate) struct Waiting {
    form: Form,
    last: Option<Queued>,
    progress: Progress,
}

impl Waiting {
    /// Before the request is sent.
    pub(crate) fn begin(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let form = if json {
            Form::Json
        } else if std::io::stderr().is_terminal() && !dumb {
            Form::OneLine(layout::width_of(std::io::stderr()))
        } else {
            Form::Lines
        };
        Self {
            form,
            last: None,
            progress: Progress::begin(),
        }
    }

    /// The daemon said where the request stands.
    pub(crate) fn show(&mut self, queued: &Queued) {
        if self.last.as_ref() == Some(queued) {
            return;
        }
        let open_line = matches!(self.form, Form::OneLine(_));
        self.progress
            .reach(Stage::Waiting { open_line }, || match self.form {
                Form::OneLine(width) => {
                    output::progress(&format!("\r{}\x1b[K", cut(&line(queued), width)));
                }
                Form::Lines => output::progress(&format!("{}\n", line(queued))),
                Form::Json => {
                    // Encoding fails for maps without string keys only, and there is none.
                    let reply = frame::encode(&Reply::Queued(queued.clone()));
                    output::intermediate(&reply.unwrap_or_default());
                }
            });
        self.last = Some(queued.clone());
    }

    /// The answer has come: the line that changes makes room for it.
    pub(crate) fn end(self) {
        let open = self.last.is_some() && matches!(self.form, Form::OneLine(_));
        self.progress.reach(Stage::Answered, || {
            output::progress(if open { "\r\x1b[K" } else { "" });
        });
    }
}

fn line(queued: &Queued) -> String {
    let waiting_for = printable(&queued.waiting_for);
    format!(
        "place {} in the queue, waiting for {waiting_for}",
        queued.position
    )
}

/// The text within one line of the terminal, its last column free: a terminal that wraps cannot
/// be written over.
fn cut(text: &str, width: Width) -> String {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(1));
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(room.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_changes_never_wraps() {
        assert_eq!(cut("12345", Some(6)), "12345");
        assert_eq!(cut("123456", Some(6)), "1234…");
        assert_eq!(cut("123456", None), "123456");
    }

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        let queued = Queued {
            position: 1,
            ahead: None,
            waiting_for: "\x1b[2J".to_owned(),
            message: String::new(),
        };
        assert!(!line(&queued).contains('\x1b'));
    }
}
