//! Text from outside, made fit for a message.

/// The longest part of somebody's input that a message repeats, in characters.
const MAX_QUOTED: usize = 64;

/// What somebody typed, as a message may repeat it: control characters replaced, and cut at
/// [`MAX_QUOTED`] characters.
///
/// No quotation marks are added: the protocol's own error lines repeat the input bare.
pub(crate) fn quote(input: &str) -> String {
    let mut shown: String = input.chars().take(MAX_QUOTED).map(visible).collect();
    if input.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    shown
}

/// Text that comes from outside, safe for a terminal or a log line: each control character
/// becomes U+FFFD, so no escape sequence survives.
pub fn printable(text: &str) -> String {
    text.chars().map(visible).collect()
}

fn visible(c: char) -> char {
    // Bidirectional controls reorder what stands around them without being control characters.
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || reorders {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_does_not_survive() {
        assert_eq!(
            printable("a\x1b[31mb\r\n"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}"
        );
        assert_eq!(printable("a\u{202e}b"), "a\u{fffd}b");
        assert_eq!(printable("zoë"), "zoë");
    }

    #[test]
    fn a_long_input_is_cut() {
        assert_eq!(quote(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(quote(&"x".repeat(65)), format!("{}…", "x".repeat(64)));
    }
}
