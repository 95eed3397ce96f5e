//! A report as a page: one file that needs nothing else.
//!
//! It has no script and asks no host for anything, and its own policy forbids both, so that it can
//! be mailed, put on a web server and opened from a disk alike. Charts are SVG without words in
//! them; the words stand beside them in HTML, where they keep their size on a telephone. Colour
//! never tells anything that is not told by words, places or patterns too.

mod axis;
mod escape;
mod ranking;
mod strips;
mod table;

use std::fmt::Write as _;

use fairshare_protocol::{ReportBy, ReportInfo};
use jiff::tz::TimeZone;

use self::axis::Time;
use self::escape::escape;
use crate::figures::{gib_hours, hours};
use crate::show::report::{moment, total};
use crate::times;

const STYLE: &str = include_str!("page/style.css");

/// The pattern of bars that tell of being held back; where it is drawn it is named.
const PATTERNS: &str = "\
<svg class=\"patterns\" width=\"0\" height=\"0\" aria-hidden=\"true\" focusable=\"false\"><defs>\
<pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
patternTransform=\"rotate(45)\"><rect class=\"held-ground\" width=\"6\" height=\"6\"/>\
<rect class=\"held-line\" width=\"3\" height=\"6\"/></pattern></defs></svg>\n";

/// The page. `host` is the machine's name, and may be empty; times are told in `zone`.
pub(crate) fn report(info: &ReportInfo, host: &str, zone: &TimeZone) -> String {
    let title = if host.is_empty() {
        "What was used".to_owned()
    } else {
        format!("What was used on {}", escape(host))
    };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"fairshare {}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{PATTERNS}\
         <header>\n<h1>{title}</h1>\n<p>{}</p>\n</header>\n<main>\n",
        env!("CARGO_PKG_VERSION"),
        escape(&span(info, zone)),
    );
    page.push_str(&gaps(info));
    if info.rows.is_empty() {
        page.push_str("<p class=\"empty\">Nothing is recorded in this time.</p>\n");
    } else {
        page.push_str(&tiles(info));
        page.push_str(&charts(info, zone));
        page.push_str(&table::of(info));
    }
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "</main>\n<footer><p>Written by fairshare {} on {}. Times are those of {}.</p></footer>\n\
         </body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        escape(&moment(info.to, zone)),
        escape(zone.iana_name().unwrap_or("the machine"))
    );
    page
}

fn span(info: &ReportInfo, zone: &TimeZone) -> String {
    let by = match info.by {
        ReportBy::User => "user",
        ReportBy::Group => "group",
        ReportBy::Day => "day",
    };
    format!(
        "From {} to {} ({}), by {by}",
        moment(info.from, zone),
        moment(info.to, zone),
        times::length(info.to.saturating_sub(info.from))
    )
}

fn gaps(info: &ReportInfo) -> String {
    if info.gaps.is_empty() {
        return String::new();
    }
    let items = info.gaps.iter().fold(String::new(), |items, gap| {
        items + "<li>" + &escape(gap) + "</li>"
    });
    format!(
        "<section class=\"gaps\" aria-labelledby=\"gaps\"><h2 id=\"gaps\">Not everything is in \
         here</h2><ul>{items}</ul></section>\n"
    )
}

/// The sums, large.
fn tiles(info: &ReportInfo) -> String {
    let one = match info.rows.as_slice() {
        [row] => Some(row.clone()),
        _ => None,
    };
    let Some(sum) = total(info).or(one) else {
        return String::new();
    };
    let tiles = [
        ("CPU time", hours(sum.cpu_s), "CPU hours"),
        ("Memory held", gib_hours(sum.mem_mib_s), "GiB hours"),
        (
            "Held back by CPU limits",
            times::length(sum.throttled_s),
            "",
        ),
        ("Incidents", sum.incidents.to_string(), ""),
    ];
    let mut text = String::from("<dl class=\"tiles\">\n");
    for (name, figure, unit) in tiles {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<div><dt>{name}</dt><dd>{figure} <small>{unit}</small></dd></div>"
        );
    }
    text.push_str("</dl>\n");
    text
}

fn charts(info: &ReportInfo, zone: &TimeZone) -> String {
    let time = Time {
        from: info.from,
        to: info.to,
    };
    let mut text = String::new();
    for kind in [strips::CPU, strips::MEMORY] {
        text.push_str(&strips::chart(&kind, &info.series, time, zone));
    }
    let days = info.by == ReportBy::Day;
    text.push_str("<div class=\"beside\">\n");
    for kind in [ranking::CPU, ranking::HELD_BACK] {
        text.push_str(&ranking::chart(&kind, &info.rows, days));
    }
    text.push_str("</div>\n");
    text.push_str(&strips::chart(&strips::HELD_BACK, &info.series, time, zone));
    text
}

#[cfg(test)]
mod tests {
    use fairshare_protocol::{ReportPoint, ReportRow, ReportSeries};

    use super::*;

    fn report_of(rows: usize, name: &str) -> ReportInfo {
        let from = 1_795_525_500;
        let points = (0..400).map(|point| ReportPoint {
            at: from + point * 60,
            span_s: 60,
            cpu_s: 60,
            mem_mib_s: 60,
            throttled_s: 1,
        });
        ReportInfo {
            from,
            to: from + 24_000,
            rows: vec![
                ReportRow {
                    key: name.to_owned(),
                    cpu_s: 7200,
                    throttled_s: 60,
                    ..ReportRow::default()
                };
                rows
            ],
            series: vec![
                ReportSeries {
                    key: name.to_owned(),
                    points: points.collect(),
                };
                rows.min(6)
            ],
            ..ReportInfo::default()
        }
    }

    #[test]
    fn a_page_is_whole_for_any_number_of_rows() {
        for rows in [0, 1, 3, 500] {
            let info = report_of(rows, "alice");
            let text = report(&info, "node1", &TimeZone::UTC);
            assert!(text.ends_with("</html>\n"));
            assert_eq!(text.matches("<th scope=\"row\">alice").count(), rows);
            for tag in ["section", "svg", "div", "table", "figure", "dl"] {
                let opened = text.matches(&format!("<{tag} ")).count()
                    + text.matches(&format!("<{tag}>")).count();
                assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
            }
        }
    }

    #[test]
    fn a_name_that_is_markup_is_shown_and_not_run() {
        let mut info = report_of(3, "<script>alert(1)</script>");
        info.gaps = vec!["<b onclick='x'>".to_owned()];
        let text = report(&info, "<i>", &TimeZone::UTC);
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        for markup in ["<script", "<b ", "<i>", "href", "src=\"", "url(h"] {
            assert!(!text.contains(markup), "{markup}");
        }
    }
}
