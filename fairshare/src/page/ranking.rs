//! Who used most, or which day: a bar for each.

use std::fmt::Write as _;

use fairshare_protocol::ReportRow;

use super::escape::escape;
use crate::figures::hours;
use crate::times;

/// The most bars; the table has everybody.
const MOST: usize = 12;
/// The most bars where they are days, of which the last are shown.
const MOST_DAYS: usize = 31;

/// What the bars show.
pub(super) struct Kind {
    id: &'static str,
    class: &'static str,
    title: &'static str,
    title_of_days: &'static str,
    figure: fn(&ReportRow) -> u64,
    words: fn(u64) -> String,
}

pub(super) const CPU: Kind = Kind {
    id: "most-cpu",
    class: "cpu",
    title: "Most CPU time",
    title_of_days: "CPU time of each day",
    figure: |row| row.cpu_s,
    words: |seconds| format!("{} h", hours(seconds)),
};

pub(super) const HELD_BACK: Kind = Kind {
    id: "most-held-back",
    class: "held",
    title: "Held back most by CPU limits",
    title_of_days: "Held back by CPU limits, each day",
    figure: |row| row.throttled_s,
    words: times::length,
};

/// The chart; empty where nobody has any.
pub(super) fn chart(kind: &Kind, rows: &[ReportRow], days: bool) -> String {
    let mut rows: Vec<&ReportRow> = rows.iter().collect();
    let (title, most) = if days {
        (kind.title_of_days, MOST_DAYS)
    } else {
        rows.retain(|row| (kind.figure)(row) > 0);
        // Stable: those with the same figure stay in the report's order.
        rows.sort_by_key(|row| std::cmp::Reverse((kind.figure)(row)));
        (kind.title, MOST)
    };
    let more = rows.len().saturating_sub(most);
    if days {
        rows.drain(..more);
    }
    rows.truncate(most);
    let Some(largest) = rows
        .iter()
        .map(|row| (kind.figure)(row))
        .max()
        .filter(|&most| most > 0)
    else {
        return String::new();
    };
    let Kind { id, class, .. } = kind;
    let mut text = format!(
        "<section class=\"chart\" aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n\
         <div class=\"bars {class}\">\n"
    );
    for row in rows {
        let figure = (kind.figure)(row);
        let (name, words) = (escape(&row.key), (kind.words)(figure));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<div class=\"bar\"><b>{name}</b><svg role=\"img\" aria-label=\"{name}: {words}\" \
             height=\"16\"><title>{name}: {words}</title><rect width=\"{:.2}%\" height=\"16\" \
             rx=\"2\"/></svg><span aria-hidden=\"true\">{words}</span></div>",
            percent(figure, largest)
        );
    }
    text.push_str("</div>\n");
    if more > 0 {
        let which = if days { "earlier days are" } else { "are" };
        let _ = writeln!(text, "<p>{more} more {which} in the table.</p>");
    }
    text.push_str("</section>\n");
    text
}

#[expect(clippy::cast_precision_loss, reason = "a length on a screen")]
fn percent(figure: u64, largest: u64) -> f64 {
    figure as f64 / largest as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, cpu_s: u64) -> ReportRow {
        ReportRow {
            key: key.to_owned(),
            cpu_s,
            ..ReportRow::default()
        }
    }

    #[test]
    fn the_largest_come_first_and_days_in_their_order() {
        let mut rows: Vec<_> = (0..40).map(|n| row(&format!("<{n:02}"), n)).collect();
        let text = chart(&CPU, &rows, false);
        assert!(text.find("&lt;39").unwrap() < text.find("&lt;38").unwrap());
        assert!(text.contains("27 more are in the table"), "{text}");
        rows.truncate(3);
        let text = chart(&CPU, &rows, true);
        assert!(text.find("&lt;01").unwrap() < text.find("&lt;02").unwrap());
        assert_eq!(chart(&HELD_BACK, &rows, false), "");
    }
}
