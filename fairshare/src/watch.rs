//! `status --watch`: the same view again and again.
//!
//! On a terminal it is drawn over itself, without another mode of the terminal: Ctrl-C ends the
//! process as it ends any other, and nothing has to be put back. Elsewhere each view is appended.

use std::io::IsTerminal;
use std::thread;
use std::time::Duration;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::{self, Outcome};
use crate::run;

const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Shows the status every so often, until it cannot be written or the daemon refuses.
pub(crate) fn run(cli: &Cli, every: Duration) -> Outcome {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let in_place = std::io::stdout().is_terminal() && !dumb && !cli.json;
    let mut first = true;
    loop {
        let outcome = run::once(cli);
        if outcome.exit != Exit::Done && outcome.exit != Exit::NoAnswer {
            return outcome;
        }
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        let text = match (in_place, first) {
            (true, true) => format!("{CLEAR}{}", over_itself(&text, height())),
            (true, false) => over_itself(&text, height()),
            (false, false) if !cli.json => format!("\n{text}"),
            (false, _) => text,
        };
        first = false;
        if !output::shown(&text) {
            return Outcome::done(String::new());
        }
        thread::sleep(every);
    }
}

fn height() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map_or(usize::MAX, |(_, terminal_size::Height(rows))| {
        usize::from(rows)
    })
}

/// The text from the top of the screen on, and nothing else on it. What has no room is left out: it
/// would scroll the rest away.
fn over_itself(text: &str, height: usize) -> String {
    let lines = text.lines().take(height.saturating_sub(1));
    let lines: Vec<String> = lines
        .map(|line| format!("{line}{CLEAR_TO_END_OF_LINE}\n"))
        .collect();
    format!("{HOME}{}{CLEAR_BELOW}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_does_not_scroll() {
        assert_eq!(
            over_itself("a\nb\nc\n", 3),
            "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"
        );
    }
}
