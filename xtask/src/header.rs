//! Keeps `include/fairshare.h` the same as what the C library says of itself.

use std::fs;
use std::path::PathBuf;

use crate::problem::{Problem, Result};
use crate::program;

/// How many differing lines are shown.
const SHOWN: usize = 20;

/// Fails when the committed header is not what cbindgen makes now.
pub(crate) fn check() -> Result<()> {
    let path = path();
    let now = generate()?;
    let committed = fs::read_to_string(&path).map_err(|error| {
        Problem::new(format!(
            "cannot read '{}': {error}; run 'cargo xtask header'",
            path.display()
        ))
    })?;
    match difference(&committed, &now) {
        None => Ok(()),
        Some(text) => Err(Problem::new(format!(
            "'{}' is not what libfairshare says now; run 'cargo xtask header'\n{text}",
            path.display()
        ))),
    }
}

/// Writes the header anew.
pub(crate) fn write() -> Result<()> {
    let path = path();
    fs::write(&path, generate()?).map_err(Problem::io("write", &path))
}

fn path() -> PathBuf {
    program::workspace().join("include/fairshare.h")
}

fn generate() -> Result<String> {
    let library = program::workspace().join("libfairshare");
    let file = library.join("cbindgen.toml");
    let config = cbindgen::Config::from_file(&file)
        .map_err(|error| Problem::new(format!("cannot read '{}': {error}", file.display())))?;
    let bindings = cbindgen::Builder::new()
        .with_crate(&library)
        .with_config(config)
        .generate()
        .map_err(|error| Problem::new(format!("cbindgen cannot read libfairshare: {error}")))?;
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    String::from_utf8(bytes).map_err(|error| Problem::new(error.to_string()))
}

/// The lines that differ, the committed ones with `-`, those of now with `+`.
///
/// Shows the region between what both have at the beginning and at the end.
fn difference(committed: &str, now: &str) -> Option<String> {
    if committed == now {
        return None;
    }
    let (old, new): (Vec<_>, Vec<_>) = (committed.lines().collect(), now.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (
        old.get(head..).unwrap_or_default(),
        new.get(head..).unwrap_or_default(),
    );
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let mut text = format!("@@ line {} @@", head + 1);
    for (mark, lines) in [("-", old), ("+", new)] {
        let changed = lines.len() - tail;
        for line in lines.iter().take(changed.min(SHOWN)) {
            text.extend(["\n", mark, line]);
        }
        if changed > SHOWN {
            text.extend(["\n", mark, &format!("... {} more", changed - SHOWN)]);
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_no_difference() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn a_difference_shows_both_sides_and_the_line() {
        let text = difference("a\nb\nc\nd\n", "a\nx\ny\nd\n");
        assert_eq!(text.as_deref(), Some("@@ line 2 @@\n-b\n-c\n+x\n+y"));
    }

    #[test]
    fn white_space_at_the_end_is_a_difference() {
        assert!(difference("a\n", "a\n\n").is_some());
        assert!(difference("a\n", "a").is_some());
    }

    #[test]
    fn a_long_difference_is_cut() {
        let long = "line\n".repeat(100);
        let text = difference("", &long).unwrap_or_default();
        assert!(text.ends_with("+... 80 more"), "{text}");
    }
}
