//! Bars of text: how much of something is used, by what.

use clap::builder::styling::{AnsiColor, Style};

const HIGH: Style = AnsiColor::Yellow.on_default();
const FULL: Style = AnsiColor::Red.on_default();

/// From so many percent on a bar warns, and alarms.
pub(crate) const HIGH_FROM: u64 = 80;
pub(crate) const FULL_FROM: u64 = 95;

/// The characters of a bar: what cannot be taken back, what can, and what is free. They differ in
/// shape as well, so no colour is needed to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glyphs {
    pub(crate) used: char,
    pub(crate) cache: char,
    pub(crate) free: char,
}

impl Glyphs {
    pub(crate) const BLOCKS: Self = Self {
        used: '█',
        cache: '▒',
        free: '░',
    };
    pub(crate) const ASCII: Self = Self {
        used: '#',
        cache: '=',
        free: '.',
    };

    /// Those that this process's locale can show.
    pub(crate) fn of_locale() -> Self {
        if is_utf8() { Self::BLOCKS } else { Self::ASCII }
    }
}

/// Whether the locale is one of UTF-8: the first of the three variables that is set decides, as in
/// `setlocale(3)`.
pub(crate) fn is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_some_and(|locale| names_utf8(&locale))
}

fn names_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// A bar of so many cells: used, cache, and the rest. What is there at all has a cell, and what
/// is not full is not shown as full.
pub(crate) fn cells(used: u64, cache: u64, limit: u64, width: usize, glyphs: Glyphs) -> String {
    let filled = |amount: u64| {
        let exact = u128::from(amount.min(limit)) * width as u128;
        let cells = exact.checked_div(u128::from(limit)).unwrap_or(0);
        let cells = usize::try_from(cells).unwrap_or(width).min(width);
        if amount > 0 { cells.max(1) } else { 0 }
    };
    let used_cells = filled(used).min(width);
    let both = filled(used.saturating_add(cache)).max(used_cells);
    let both = if cache > 0 {
        both.max(used_cells + 1).min(width)
    } else {
        used_cells
    };
    let repeat = |glyph: char, count: usize| std::iter::repeat_n(glyph, count);
    repeat(glyphs.used, used_cells)
        .chain(repeat(glyphs.cache, both - used_cells))
        .chain(repeat(glyphs.free, width - both))
        .collect()
}

/// The same, in colour where little is left. Cache is not counted: it goes when it is in the way.
pub(crate) fn coloured(used: u64, cache: u64, limit: u64, width: usize, glyphs: Glyphs) -> String {
    let text = cells(used, cache, limit, width, glyphs);
    match percent(used, limit) {
        FULL_FROM.. => format!("{FULL}{text}{FULL:#}"),
        HIGH_FROM.. => format!("{HIGH}{text}{HIGH:#}"),
        _ => text,
    }
}

/// What share of the limit is used, in percent, rounded down.
pub(crate) fn percent(used: u64, limit: u64) -> u64 {
    let percent = (u128::from(used) * 100).checked_div(u128::from(limit));
    u64::try_from(percent.unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_shown_and_nearly_full_is_not_full() {
        for (used, cache, text) in [
            (0, 0, ".........."),
            (1, 0, "#........."),
            (1, 1, "#=........"),
            (500, 300, "#####===.."),
            (999, 0, "#########."),
            (1000, 0, "##########"),
            (5000, 9, "##########"),
            (0, 1000, "=========="),
            (u64::MAX, u64::MAX, "##########"),
        ] {
            assert_eq!(
                cells(used, cache, 1000, 10, Glyphs::ASCII),
                text,
                "{used} {cache}"
            );
        }
        assert_eq!(
            cells(5, 5, 0, 3, Glyphs::BLOCKS),
            "█▒░",
            "no limit is no fault"
        );
    }

    #[test]
    fn colour_says_how_little_is_left_and_cache_does_not_count() {
        let bar = |used, cache| coloured(used, cache, 100, 4, Glyphs::ASCII);
        assert_eq!(bar(79, 20), "###=");
        assert!(bar(80, 0).starts_with("\x1b[33m"), "{}", bar(80, 0));
        assert!(bar(95, 0).starts_with("\x1b[31m"), "{}", bar(95, 0));
    }

    #[test]
    fn a_locale_names_its_encoding() {
        assert!(names_utf8("de_DE.UTF-8") && names_utf8("C.utf8"));
        assert!(!names_utf8("C") && !names_utf8("de_DE@euro"));
    }
}
