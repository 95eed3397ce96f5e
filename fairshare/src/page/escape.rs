//! Text from outside in a page: a name is never markup, and never turns its line around.

use fairshare_protocol::printable;

/// The text for HTML, SVG and the values of attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_markup() {
        assert_eq!(
            escape("<script>'\"&\u{202e}\u{7}"),
            "&lt;script&gt;&#39;&quot;&amp;\u{fffd}\u{fffd}"
        );
    }
}
