//! How the demo looks: parts with a headline, commands with their output, and what was checked.
//!
//! Fits 80 columns; colour only on a terminal, and not where `NO_COLOR` is set.

use std::cell::Cell;
use std::env;
use std::io::{IsTerminal, stdout};

/// Longest line of the demo's own text.
const WIDTH: usize = 76;
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// Where the demo is shown.
#[derive(Debug)]
pub struct Stage {
    colour: bool,
    parts: Cell<u32>,
}

impl Stage {
    /// As fits standard output.
    pub fn fitting() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour: wanted && stdout().is_terminal(),
            parts: Cell::new(0),
        }
    }

    /// Whether what programs print may be coloured.
    pub fn in_colour(&self) -> bool {
        self.colour
    }

    /// Says something that belongs to no part.
    pub fn say(&self, text: &str) {
        println!();
        for line in wrapped(text, WIDTH) {
            println!("{line}");
        }
    }

    /// Begins a part.
    pub fn part(&self, title: &str, text: &str) {
        let number = self.parts.get() + 1;
        self.parts.set(number);
        println!("\n{}", self.paint(BOLD, &format!("{number}. {title}")));
        for line in wrapped(text, WIDTH - 3) {
            println!("   {}", self.paint(DIM, &line));
        }
        println!();
    }

    /// Shows a command as it is typed.
    pub fn typed(&self, user: &str, command: &str) {
        let mark = if user == "root" { '#' } else { '$' };
        println!(
            "   {}",
            self.paint(BOLD, &format!("{user}{mark} {command}"))
        );
    }

    /// Shows what a command printed.
    pub fn output(&self, text: &str) {
        for line in text
            .trim_matches(['\n', '\r'])
            .lines()
            .filter(|_| !text.trim().is_empty())
        {
            println!("{}", format!("   {line}").trim_end());
        }
    }

    /// Shows what was checked and holds.
    pub fn holds(&self, text: &str) {
        let mut mark = self.paint(GREEN, "✓");
        for line in wrapped(text, WIDTH - 5) {
            println!("   {mark} {line}");
            " ".clone_into(&mut mark);
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// Breaks a text into lines of at most `width` characters, a longer word on a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(
            wrapped("extraordinary words", 5),
            ["extraordinary", "words"]
        );
    }

    #[test]
    fn without_colour_there_are_no_escape_sequences() {
        let stage = Stage {
            colour: false,
            parts: Cell::new(0),
        };
        assert_eq!(stage.paint(BOLD, "text"), "text");
    }
}
