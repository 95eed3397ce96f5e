//! All figures, below the charts.

use std::fmt::Write as _;

use fairshare_protocol::{ReportBy, ReportInfo, ReportRow};

use super::escape::escape;
use crate::figures::{gib_hours, hours};
use crate::show::report::total;
use crate::times;

/// The columns: heading, unit, figure.
type Column = (&'static str, &'static str, fn(&ReportRow) -> String);
const COLUMNS: [Column; 10] = [
    ("CPU time", "hours", |row| hours(row.cpu_s)),
    ("Memory", "GiB hours", |row| gib_hours(row.mem_mib_s)),
    ("Most memory", "with page cache", |row| {
        row.mem_peak.rounded()
    }),
    ("Most tasks", "", |row| row.tasks_peak.to_string()),
    ("Held back", "by the CPU limit", |row| {
        times::length(row.throttled_s)
    }),
    ("Waited", "for memory", |row| times::length(row.stalled_s)),
    ("Grant held", "", |row| times::length(row.grant_s)),
    ("Granted CPU", "hours", |row| hours(row.grant_cpu_s)),
    ("Granted memory", "GiB hours", |row| {
        gib_hours(row.grant_mem_mib_s)
    }),
    ("Incidents", "", |row| row.incidents.to_string()),
];

/// The table.
pub(super) fn of(info: &ReportInfo) -> String {
    let key = match info.by {
        ReportBy::User => "User",
        ReportBy::Group => "Group",
        ReportBy::Day => "Day (UTC)",
    };
    let mut text = format!(
        "<section class=\"chart\" aria-labelledby=\"figures\">\n<h2 id=\"figures\">All \
         figures</h2>\n<div class=\"scrolls\" role=\"region\" aria-labelledby=\"figures\" \
         tabindex=\"0\">\n<table>\n<thead><tr><th scope=\"col\">{key}</th>"
    );
    for (name, unit, _) in COLUMNS {
        // Writing to a String cannot fail.
        let _ = write!(text, "<th scope=\"col\">{name} <small>{unit}</small></th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in &info.rows {
        text.push_str(&line(&escape(&row.key), row));
    }
    text.push_str("</tbody>\n");
    if let Some(total) = total(info) {
        let _ = writeln!(text, "<tfoot>\n{}</tfoot>", line("Together", &total));
    }
    text.push_str("</table>\n</div>\n");
    if info.by == ReportBy::Group {
        text.push_str("<p>Somebody in several groups is counted in each of them.</p>\n");
    }
    text.push_str("</section>\n");
    text
}

fn line(name: &str, row: &ReportRow) -> String {
    let mut line = format!("<tr><th scope=\"row\">{name}</th>");
    for (_, _, figure) in COLUMNS {
        // Writing to a String cannot fail.
        let _ = write!(line, "<td>{}</td>", escape(&figure(row)));
    }
    line.push_str("</tr>\n");
    line
}
