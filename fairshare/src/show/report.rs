//! What was used, as a table.

use fairshare_protocol::{MemorySize, ReportBy, ReportInfo, ReportRow, printable};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::figures::{gib_hours, hours};
use crate::layout::{Width, table_without, wrapped};
use crate::times;

/// The columns that go where the terminal is narrow, the first one first.
const FIRST_TO_GO: [usize; 6] = [8, 7, 6, 4, 5, 9];

/// The answer to `report`.
pub(crate) fn view(info: &ReportInfo, width: Width) -> String {
    let mut text = if info.rows.is_empty() {
        wrapped("", &nothing(info), width)
    } else {
        let mut text = wrapped("", &span(info), width);
        text.push('\n');
        text.push_str(&figures(info, width));
        text
    };
    let gaps = gaps(info, width);
    if !gaps.is_empty() {
        text.push('\n');
    }
    text + &gaps
}

/// Why it may not be whole.
pub(crate) fn gaps(info: &ReportInfo, width: Width) -> String {
    info.gaps
        .iter()
        .map(|gap| wrapped("note: ", &printable(gap), width))
        .collect()
}

fn nothing(info: &ReportInfo) -> String {
    if info.to <= info.from {
        return "nothing is recorded yet".to_owned();
    }
    let zone = TimeZone::system();
    format!(
        "nothing is recorded from {} to {}",
        moment(info.from, &zone),
        moment(info.to, &zone)
    )
}

/// The time that it is about, where people read it: `Used from … to …`.
fn span(info: &ReportInfo) -> String {
    let zone = TimeZone::system();
    let days = match info.by {
        ReportBy::Day => "; a day is one in UTC",
        ReportBy::User | ReportBy::Group => "",
    };
    format!(
        "Used from {} to {} ({}){days}",
        moment(info.from, &zone),
        moment(info.to, &zone),
        times::length(info.to.saturating_sub(info.from))
    )
}

/// A moment in a zone: `Tue 24 Nov 2026 13:05`.
pub(crate) fn moment(seconds: u64, zone: &TimeZone) -> String {
    let moment = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.map_or_else(
        || format!("second {seconds}"),
        |moment| {
            let local = moment.to_zoned(zone.clone());
            local.strftime("%a %-d %b %Y %H:%M").to_string()
        },
    )
}

fn figures(info: &ReportInfo, width: Width) -> String {
    let key = match info.by {
        ReportBy::User => "user",
        ReportBy::Group => "group",
        ReportBy::Day => "day",
    };
    let heading = [
        key,
        "CPU h",
        "GiB h",
        "peak",
        "tasks",
        "throttled",
        "waited",
        "grant",
        "grant CPU h",
        "incidents",
    ]
    .map(str::to_owned);
    let rows = info.rows.iter().map(|row| cells(printable(&row.key), row));
    let total = total(info).map(|row| cells("together".to_owned(), &row));
    let rows: Vec<_> = std::iter::once(heading).chain(rows).chain(total).collect();
    table_without(&rows, &FIRST_TO_GO, width)
}

fn cells(key: String, row: &ReportRow) -> [String; 10] {
    // A column in which nobody has anything is left out.
    let told = |figure: u64, text: String| if figure == 0 { String::new() } else { text };
    [
        key,
        hours(row.cpu_s),
        gib_hours(row.mem_mib_s),
        row.mem_peak.rounded(),
        told(row.tasks_peak, row.tasks_peak.to_string()),
        told(row.throttled_s, times::length(row.throttled_s)),
        told(row.stalled_s, times::length(row.stalled_s)),
        told(row.grant_s, times::length(row.grant_s)),
        told(row.grant_cpu_s, hours(row.grant_cpu_s)),
        told(row.incidents, row.incidents.to_string()),
    ]
}

/// All rows together: sums, and the largest of the peaks. None where there is one row only, and
/// none of groups, for somebody in two of them is in two rows.
pub(crate) fn total(info: &ReportInfo) -> Option<ReportRow> {
    if info.by == ReportBy::Group || info.rows.len() < 2 {
        return None;
    }
    let sum = |of: fn(&ReportRow) -> u64| info.rows.iter().map(of).fold(0, u64::saturating_add);
    let largest = |of: fn(&ReportRow) -> u64| info.rows.iter().map(of).max().unwrap_or_default();
    Some(ReportRow {
        key: String::new(),
        uid: None,
        cpu_s: sum(|row| row.cpu_s),
        mem_mib_s: sum(|row| row.mem_mib_s),
        mem_peak: MemorySize::saturating_from_bytes(largest(|row| row.mem_peak.bytes())),
        tasks_peak: largest(|row| row.tasks_peak),
        throttled_s: sum(|row| row.throttled_s),
        stalled_s: sum(|row| row.stalled_s),
        grant_s: sum(|row| row.grant_s),
        grant_cpu_s: sum(|row| row.grant_cpu_s),
        grant_mem_mib_s: sum(|row| row.grant_mem_mib_s),
        incidents: sum(|row| row.incidents),
    })
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
    fn groups_have_no_total_for_somebody_may_be_in_two() {
        let mut info = ReportInfo {
            rows: vec![row("a", 1), row("b", u64::MAX)],
            ..ReportInfo::default()
        };
        assert_eq!(total(&info).map(|row| row.cpu_s), Some(u64::MAX));
        info.by = ReportBy::Group;
        assert_eq!(total(&info), None);
    }

    #[test]
    fn a_moment_that_no_calendar_has_is_told_all_the_same() {
        let zone = TimeZone::UTC;
        assert_eq!(moment(1_795_525_500, &zone), "Tue 24 Nov 2026 13:05");
        assert_eq!(moment(u64::MAX, &zone), "second 18446744073709551615");
    }
}
