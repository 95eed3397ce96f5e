//! Debian's changelog, made of `CHANGELOG.md`, so that there is one text.

use std::fmt::Write as _;

use crate::problem::{Problem, Result};

/// Who makes the packages; the same as in `packaging/debian/control`.
const MAINTAINER: &str = "fairshare maintainers <maintainers@fairshare.example>";
/// Longest line.
const WIDTH: usize = 78;

/// The entry of one version: what its section of `text` lists.
pub(super) fn entry(text: &str, version: &str, date: &str) -> Result<String> {
    let mut lines = text.lines().skip_while(|line| !begins(line, version));
    if lines.next().is_none() {
        return Err(Problem::new(format!(
            "CHANGELOG.md has no section '## {version}'"
        )));
    }
    let mut entry = format!("fairshare ({version}) unstable; urgency=medium\n");
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        let (first, rest, words) = match line.strip_prefix("- ") {
            Some(words) => ("  * ", "    ", words),
            None if line.ends_with(':') => ("  ", "  ", line),
            None => continue,
        };
        if first == "  " {
            entry.push('\n');
        }
        wrap(&mut entry, first, rest, &words.replace('`', "'"));
    }
    // Writing to a string does not fail.
    let _ = write!(entry, "\n -- {MAINTAINER}  {date}\n");
    Ok(entry)
}

/// Whether a line is the heading of this version, released or not.
fn begins(line: &str, version: &str) -> bool {
    let name = line.strip_prefix("## ").unwrap_or_default();
    name.split([' ', ',']).next() == Some(version)
}

/// Adds a paragraph, its first line and the others after their indent.
fn wrap(entry: &mut String, first: &str, rest: &str, words: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in words.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            entry.push_str(&line);
            entry.push('\n');
            rest.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    entry.push_str(&line);
    entry.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Changelog

What a user notices.

## 0.2.0, not released

A sentence.

For users:

- `fairshare` says more, and it says so in a line that is so long that it has to be broken somewhere.
- Less.

## 0.1.0

- Everything.
";

    #[test]
    fn an_entry_has_its_own_section_only() {
        let entry = entry(TEXT, "0.2.0", "Thu, 01 Jan 1970 00:00:00 +0000").unwrap();
        assert_eq!(
            entry,
            "\
fairshare (0.2.0) unstable; urgency=medium

  For users:
  * 'fairshare' says more, and it says so in a line that is so long that it
    has to be broken somewhere.
  * Less.

 -- fairshare maintainers <maintainers@fairshare.example>  Thu, 01 Jan 1970 00:00:00 +0000
"
        );
    }

    #[test]
    fn a_version_without_a_section_is_refused() {
        assert!(entry(TEXT, "0.3.0", "").is_err());
        assert!(entry(TEXT, "0.1", "").is_err());
    }
}
