//! An error as a person reads it and as a script reads it.
//!
//! A person gets a few lines on standard error: what went wrong, who holds what was asked for where
//! the daemon tells, and what to do next. A script that
//! asked for JSON gets the daemon's `error` object on standard output, or one of the same shape
//! where the daemon sent none.

use clap::builder::styling::{AnsiColor, Style};
use fairshare_client::ClientError;
use fairshare_protocol::{ErrorCode, Holder, Reply, Request, StatusInfo, frame, printable};

use crate::advice;
use crate::exit::Exit;
use crate::layout;
use crate::output::Outcome;
use crate::show;
use crate::skew::Skew;

/// How many of those who hold something are named; the rest is in the JSON.
const MOST_HOLDERS: usize = 5;

const NAME: Style = AnsiColor::Red.on_default().bold();

/// The lines.
pub(crate) fn text(error: &ClientError, request: &Request, status: Option<&StatusInfo>) -> Outcome {
    let said = match error {
        ClientError::Refused(reply) if reply.code == Some(ErrorCode::PolicyWrong) => {
            // The one refusal of several lines: each problem with its place.
            let problems = show::lines(&reply.error);
            format!("{}{problems}", first("the policy files have errors"))
        }
        ClientError::Refused(reply) => {
            let sentence = printable(&clause(&reply.error));
            format!("{}{}", first(&sentence), held(&reply.holders))
        }
        other => first(&printable(&other.to_string())),
    };
    let advice = advice::for_error(error, request, status);
    Outcome {
        stdout: String::new(),
        stderr: format!("{said}{}", show::lines(&advice)),
        exit: Exit::of_error(error),
    }
}

/// The sentence behind the command's name, within the terminal's width. What is to be typed stays on
/// one line, however long, so that it can be copied.
fn first(sentence: &str) -> String {
    let width = layout::width_of(std::io::stderr());
    let lines = layout::wrapped("fairshare: ", sentence, width);
    let rest = lines.strip_prefix("fairshare:").unwrap_or(&lines);
    format!("{NAME}fairshare:{NAME:#}{rest}")
}

/// The lines where the cause is that command and daemon are of different versions.
pub(crate) fn skewed(error: &ClientError, skew: &Skew) -> Outcome {
    Outcome {
        stdout: String::new(),
        stderr: format!("{}{}", first(&skew.sentence), show::lines(&skew.advice)),
        exit: Exit::of_error(error),
    }
}

/// The object.
pub(crate) fn json(error: &ClientError) -> Outcome {
    // Written by hand, because these codes are not of the protocol's set.
    let own = |code: &str| {
        serde_json::to_string(&error.to_string()).map(|sentence| {
            format!("{{\"type\": \"error\", \"error\": {sentence}, \"code\": \"{code}\"}}\n")
        })
    };
    let line = match error {
        ClientError::Refused(reply) => frame::encode(&Reply::Error(reply.clone())),
        ClientError::NoDaemon { .. } => own("no_daemon"),
        ClientError::Protocol { .. } => own("bad_reply"),
        _ => own("no_answer"),
    };
    Outcome {
        // Encoding fails for maps without string keys only, and there is none.
        stdout: line.unwrap_or_default(),
        stderr: String::new(),
        exit: Exit::of_error(error),
    }
}

/// Who holds what was asked for, the first few of them.
fn held(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let mut parts: Vec<String> = holders
        .iter()
        .take(MOST_HOLDERS)
        .map(|holder| {
            let who = show::user(holder.uid, holder.user.as_deref());
            format!("{who} {}", holder.held)
        })
        .collect();
    if let Some(more) = holders
        .len()
        .checked_sub(MOST_HOLDERS)
        .filter(|&more| more > 0)
    {
        parts.push(format!("{more} more"));
    }
    format!("held above the default: {}\n", parts.join("; "))
}

/// The daemon's sentence as a part of ours: a small letter at the front unless the word is written
/// in capitals (`CPU`), no full stop at the end.
fn clause(sentence: &str) -> String {
    let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
    let mut chars = sentence.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || (first, second) == ('A', ' ') => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use fairshare_protocol::{ErrorCode, ErrorReply};

    use super::*;

    fn refused(error: &str, code: Option<ErrorCode>) -> ClientError {
        ClientError::Refused(ErrorReply {
            code,
            ..ErrorReply::new(ErrorCode::Internal, error)
        })
    }

    #[test]
    fn the_daemons_sentence_becomes_a_part_of_ours() {
        for (sentence, expected) in [
            ("Request has no \"type\"", "request has no \"type\""),
            ("CPU 5 is gone.", "CPU 5 is gone"),
            ("A grant ends", "a grant ends"),
            ("", ""),
            ("A", "A"),
        ] {
            assert_eq!(clause(sentence), expected);
        }
    }

    #[test]
    fn an_escape_sequence_of_the_daemon_does_not_reach_the_terminal() {
        let outcome = text(
            &refused("\x1b[2Jgone\nforged", None),
            &Request::Status,
            None,
        );
        assert!(!outcome.stderr.contains("\x1b[2J"));
        assert_eq!(outcome.stderr.lines().count(), 2);
    }

    #[test]
    fn the_object_is_the_daemons_own() {
        let outcome = json(&refused("No", Some(ErrorCode::Busy)));
        assert_eq!(
            outcome.stdout,
            "{\"type\": \"error\", \"error\": \"No\", \"code\": \"busy\"}\n"
        );
        assert_eq!(outcome.stderr, "");
    }
}
