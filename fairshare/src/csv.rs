//! A report as comma-separated values, by RFC 4180: lines end with CR and LF, and what holds a
//! comma or a quote stands in quotes. It may end on a terminal, so that what is not
//! printable is replaced here too.

use fairshare_protocol::{ReportBy, ReportInfo, ReportRow, printable};

/// What opens a formula in a spreadsheet.
const FORMULA: [char; 4] = ['=', '+', '-', '@'];

/// The columns behind the key: the unit is in the name.
type Column = (&'static str, fn(&ReportRow) -> u64);
const COLUMNS: [Column; 10] = [
    ("cpu_seconds", |row| row.cpu_s),
    ("memory_mebibyte_seconds", |row| row.mem_mib_s),
    ("memory_peak_bytes", |row| row.mem_peak.bytes()),
    ("tasks_peak", |row| row.tasks_peak),
    ("throttled_seconds", |row| row.throttled_s),
    ("waited_for_memory_seconds", |row| row.stalled_s),
    ("grant_seconds", |row| row.grant_s),
    ("grant_cpu_seconds", |row| row.grant_cpu_s),
    ("grant_memory_mebibyte_seconds", |row| row.grant_mem_mib_s),
    ("incidents", |row| row.incidents),
];

/// The report: a heading, and a line for each row.
pub(crate) fn report(info: &ReportInfo) -> String {
    let key = match info.by {
        ReportBy::User => "user",
        ReportBy::Group => "group",
        ReportBy::Day => "day_utc",
    };
    let mut text = line(
        ["uid", key, "from_unix_seconds", "to_unix_seconds"]
            .into_iter()
            .chain(COLUMNS.map(|(name, _)| name))
            .map(str::to_owned),
    );
    for row in &info.rows {
        let uid = row.uid.map(|uid| uid.to_string()).unwrap_or_default();
        text.push_str(&line(
            [
                uid,
                field(&row.key),
                info.from.to_string(),
                info.to.to_string(),
            ]
            .into_iter()
            .chain(COLUMNS.map(|(_, figure)| figure(row).to_string())),
        ));
    }
    text
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let mut line = fields.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// A text from outside. One that a spreadsheet would take for a formula gets an apostrophe in
/// front, by which spreadsheets know a text.
fn field(text: &str) -> String {
    let text = printable(text);
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',']) {
        return text;
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_a_formula_or_another_field() {
        for (name, expected) in [
            ("alice", "alice"),
            ("2026-11-24", "2026-11-24"),
            ("=1+1", "\"'=1+1\""),
            ("-x", "\"'-x\""),
            ("@sum", "\"'@sum\""),
            ("+1", "\"'+1\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\r\nb\x1b", "a\u{fffd}\u{fffd}b\u{fffd}"),
        ] {
            assert_eq!(field(name), expected);
        }
    }

    #[test]
    fn a_row_has_a_field_for_each_column() {
        let info = ReportInfo {
            rows: vec![ReportRow {
                key: "a,b".to_owned(),
                uid: Some(7),
                cpu_s: 3600,
                ..ReportRow::default()
            }],
            to: 60,
            ..ReportInfo::default()
        };
        let text = report(&info);
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("uid,user,from_unix_seconds,to_unix_seconds,cpu_seconds,"));
        assert_eq!(lines[1], "7,\"a,b\",0,60,3600,0,0,0,0,0,0,0,0,0");
        assert_eq!(lines[0].split(',').count(), 14);
    }
}
