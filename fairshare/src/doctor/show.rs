//! The checks as people and as programs read them.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use fairshare_protocol::{frame, printable};
use serde_json::{Value, json};

use super::check::{self, Check, State};
use crate::exit::{Exit, Verdict};
use crate::layout::{Width, wrapped};
use crate::output::Outcome;
use crate::skew::OWN_VERSION;

/// The longest word for a state.
const WORD: usize = 7;
/// The narrowest column for what was looked at.
const ID: usize = 9;
/// What stands before a remedy.
const TO_DO: &str = "->";

/// The verdict first, so that it is what monitoring shows, then a line for each check, and below
/// each problem its remedy.
pub(crate) fn text(checks: &[Check], width: Width) -> Outcome {
    let mut text = format!("{}\n\n", verdict(checks));
    let id = checks.iter().map(|check| check.id.chars().count());
    let id = id.max().unwrap_or(ID).max(ID);
    for check in checks {
        let Check {
            state,
            summary,
            remedy,
            ..
        } = check;
        let word = state.word();
        let prefix = format!("{word:WORD$}  {:id$}  ", printable(&check.id));
        let lines = wrapped(&prefix, &printable(summary), width);
        let style = style(*state);
        let rest = lines.strip_prefix(word).unwrap_or(&lines);
        // Writing to a String cannot fail.
        let _ = write!(text, "{style}{word}{style:#}{rest}");
        if let Some(remedy) = remedy {
            let indent = " ".repeat(WORD);
            // Not broken, so that it can be copied.
            let _ = writeln!(text, "{indent}  {TO_DO} {}", printable(remedy));
        }
    }
    Outcome {
        exit: exit(checks),
        ..Outcome::done(text)
    }
}

fn verdict(checks: &[Check]) -> String {
    let number = |state, one: &str, many: &str| match check::count(checks, state) {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    };
    let faults: Vec<String> = [
        number(State::Failed, "failure", "failures"),
        number(State::Warning, "warning", "warnings"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let skipped = match check::count(checks, State::Skipped) {
        0 => String::new(),
        count => format!(", {count} not looked at"),
    };
    let how = if faults.is_empty() {
        "all is well".to_owned()
    } else {
        faults.join(" and ")
    };
    format!("fairshare {OWN_VERSION}: {how}{skipped}")
}

fn style(state: State) -> Style {
    match state {
        State::Ok => AnsiColor::Green.on_default(),
        State::Skipped => Style::new().dimmed(),
        State::Warning => AnsiColor::Yellow.on_default().bold(),
        State::Failed => AnsiColor::Red.on_default().bold(),
    }
}

/// One object; its members are described in the help.
pub(crate) fn json(checks: &[Check]) -> Outcome {
    let rows: Vec<Value> = checks
        .iter()
        .map(|check| {
            json!({
                "id": check.id,
                "state": check.state.word(),
                "summary": check.summary,
                "remedy": check.remedy,
            })
        })
        .collect();
    let all = json!({
        "type": "doctor",
        "version": OWN_VERSION,
        "state": check::worst_looked_at(checks).word(),
        "checks": rows,
    });
    Outcome {
        exit: exit(checks),
        // Encoding fails for maps without string keys only, and there is none.
        ..Outcome::done(frame::encode(&all).unwrap_or_default())
    }
}

fn exit(checks: &[Check]) -> Exit {
    Exit::Doctor(match check::worst_looked_at(checks) {
        State::Ok | State::Skipped => Verdict::Well,
        State::Warning => Verdict::Warnings,
        State::Failed => Verdict::Failures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Check> {
        vec![
            Check::ok("kernel", "6.12"),
            Check::skipped("session", "only root may try one"),
            Check::warning("pam.cron", "cron\x1b[2J is not limited", "add it"),
        ]
    }

    fn plain(outcome: &Outcome) -> String {
        anstream::adapter::strip_str(&outcome.stdout).to_string()
    }

    #[test]
    fn the_verdict_comes_first_and_remedies_below_their_problem() {
        let outcome = text(&some(), Some(80));
        assert_eq!(
            plain(&outcome),
            format!(
                "fairshare {OWN_VERSION}: 1 warning, 1 not looked at\n\n\
                 ok       kernel     6.12\n\
                 skipped  session    only root may try one\n\
                 warning  pam.cron   cron\u{fffd}[2J is not limited\n         -> add it\n"
            )
        );
        assert_eq!(outcome.exit.number(), 1);
        let well = text(&some()[..2], None);
        assert_eq!(well.exit.number(), 0, "what is skipped is no fault");
        assert!(plain(&well).contains(": all is well, 1 not looked at\n"));
        let failed = [some(), vec![Check::failed("daemon", "gone", "start it")]].concat();
        assert_eq!(text(&failed, None).exit.number(), 2);
    }

    #[test]
    fn a_narrow_terminal_breaks_lines_under_their_text() {
        let check = Check::ok("kernel", "one two three four five");
        let outcome = text(&[check], Some(34));
        let shown = plain(&outcome);
        assert!(
            shown.ends_with("ok       kernel     one two three\n                    four five\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_program_gets_each_check_with_its_remedy() {
        let outcome = json(&some());
        let read: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(read["type"], "doctor");
        assert_eq!(read["state"], "warning");
        assert_eq!(read["checks"][2]["id"], "pam.cron");
        assert_eq!(read["checks"][2]["remedy"], "add it");
        assert_eq!(read["checks"][0]["remedy"], Value::Null);
        assert_eq!(outcome.stdout.lines().count(), 1);
    }
}
