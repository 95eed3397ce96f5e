//! The answer to `report`: rows of the file, added up by user, group or day.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fairshare_protocol::{
    MAX_POINTS, MAX_SERIES, MemorySize, ReportBy, ReportInfo, ReportPoint, ReportRow, ReportSeries,
};
use rusqlite::Connection;

use super::reading::Used;
use super::rows::{self, DAY, HOUR, TIERS, Tier};

/// The most rows of a reply; the ones that used most.
const MAX_ROWS: usize = 10_000;
/// For how long minutes are shown, and for how long hours; days beyond.
const LONGEST_IN_MINUTES: u64 = 6 * HOUR;
const LONGEST_IN_HOURS: u64 = 31 * DAY;
/// The row of those in no group that policy names: no group has such a name.
const IN_NONE: &str = "(none)";
/// The series of all rows that have none of their own.
const OTHER: &str = "other";
/// The one series of a report by day.
const ALL: &str = "all";

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) by: ReportBy,
    /// Only this user.
    pub(crate) uid: Option<u32>,
    /// From when on and until when, in seconds since 1970.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The groups that policy names.
    pub(crate) groups: BTreeSet<String>,
}

/// A row while it is added up.
#[derive(Default)]
struct Sum {
    uid: Option<u32>,
    used: Used,
    incidents: u64,
}

/// Which row or rows a user's use is in.
struct Keys<'a> {
    connection: &'a Connection,
    asked: &'a Asked,
    known: HashMap<u32, Vec<String>>,
}

impl Keys<'_> {
    fn of(&mut self, at: u64, uid: u32) -> rusqlite::Result<Vec<String>> {
        if self.asked.by == ReportBy::Day {
            return Ok(vec![rows::day(self.connection, at)?]);
        }
        if let Some(known) = self.known.get(&uid) {
            return Ok(known.clone());
        }
        let person = rows::person(self.connection, uid)?;
        let keys = if self.asked.by == ReportBy::Group {
            let names = person.groups.iter().filter_map(|group| group.name.as_ref());
            let rows: BTreeSet<&String> = names
                .filter(|name| self.asked.groups.contains(*name))
                .collect();
            if rows.is_empty() {
                vec![IN_NONE.to_owned()]
            } else {
                rows.into_iter().cloned().collect()
            }
        } else {
            vec![person.name.clone().unwrap_or_else(|| uid.to_string())]
        };
        self.known.insert(uid, keys.clone());
        Ok(keys)
    }
}

/// Answers from the file.
pub(super) fn answer(connection: &Connection, asked: &Asked) -> rusqlite::Result<ReportInfo> {
    let began = rows::fact(connection, "began")?.and_then(|began| began.parse().ok());
    let began: u64 = began.unwrap_or(asked.to);
    let wanted = asked.from.max(began).min(asked.to);
    let span = span_for(connection, asked.by, wanted, asked.to)?;
    let from = wanted - wanted % span;
    let mut keys = Keys {
        connection,
        asked,
        known: HashMap::new(),
    };
    let sums = add_up(&mut keys, span, from)?;
    let mut order: Vec<(&String, &Sum)> = sums.iter().collect();
    if asked.by != ReportBy::Day {
        order.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.used.cpu_us));
    }
    let mut gaps = Vec::new();
    if order.len() > MAX_ROWS {
        gaps.push(format!(
            "Only the first {MAX_ROWS} of {} rows are shown.",
            order.len()
        ));
        order.truncate(MAX_ROWS);
    }
    let charted: Vec<String> = if asked.by == ReportBy::Day {
        vec![ALL.to_owned()]
    } else {
        let names = order.iter().take(MAX_SERIES);
        names.map(|(key, _)| (*key).clone()).collect()
    };
    let series = series(&mut keys, span, from, &charted)?;
    Ok(ReportInfo {
        by: asked.by,
        from: wanted,
        to: asked.to,
        rows: order.into_iter().map(|(key, sum)| row(key, sum)).collect(),
        series,
        gaps,
    })
}

/// The finest rows that reach back so far and are not too many.
fn span_for(connection: &Connection, by: ReportBy, from: u64, to: u64) -> rusqlite::Result<u64> {
    if by == ReportBy::Day {
        return Ok(DAY);
    }
    let length = to.saturating_sub(from);
    for (Tier { span, .. }, longest) in
        TIERS
            .into_iter()
            .zip([LONGEST_IN_MINUTES, LONGEST_IN_HOURS, u64::MAX])
    {
        let oldest = rows::oldest_used(connection, DAY)?;
        // Where the finer ones begin no later than the days do, they have it all.
        let reaches = rows::oldest_used(connection, span)?
            .is_none_or(|at| at <= from || oldest.is_none_or(|day| at < day + DAY));
        if length <= longest && reaches {
            return Ok(span);
        }
    }
    Ok(DAY)
}

fn add_up(keys: &mut Keys<'_>, span: u64, from: u64) -> rusqlite::Result<BTreeMap<String, Sum>> {
    let (connection, asked) = (keys.connection, keys.asked);
    let single = asked.by == ReportBy::User;
    // Added up by user and day first: names are looked up once for each.
    let mut by_user: BTreeMap<(u64, u32), (Used, u64)> = BTreeMap::new();
    let piece = |at: u64| match asked.by {
        ReportBy::Day => at - at % DAY,
        ReportBy::User | ReportBy::Group => 0,
    };
    rows::each_used(
        connection,
        span,
        from,
        asked.to,
        asked.uid,
        |at, uid, used| {
            by_user.entry((piece(at), uid)).or_default().0.add(used);
        },
    )?;
    rows::each_incident(connection, from, asked.to, |at, uid, times| {
        if asked.uid.is_none_or(|only| only == uid) {
            let (_, count) = by_user.entry((piece(at), uid)).or_default();
            *count = count.saturating_add(times);
        }
    })?;
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for ((at, uid), (used, incidents)) in by_user {
        for key in keys.of(at, uid)? {
            let sum = sums.entry(key).or_default();
            sum.uid = single.then_some(uid);
            sum.used.add(&used);
            sum.incidents = sum.incidents.saturating_add(incidents);
        }
    }
    Ok(sums)
}

/// The use of these rows over time, and of the rest together.
fn series(
    keys: &mut Keys<'_>,
    span: u64,
    from: u64,
    charted: &[String],
) -> rusqlite::Result<Vec<ReportSeries>> {
    let (connection, asked) = (keys.connection, keys.asked);
    let width = width(span, from, asked.to);
    let mut points: BTreeMap<(usize, u64), Used> = BTreeMap::new();
    let mut fault = None;
    rows::each_used(
        connection,
        span,
        from,
        asked.to,
        asked.uid,
        |at, uid, used| {
            let begins = from + at.saturating_sub(from) / width * width;
            let all = if asked.by == ReportBy::Day {
                Ok(vec![ALL.to_owned()])
            } else {
                keys.of(at, uid)
            };
            match all {
                Ok(all) => {
                    // Somebody in several groups is in the series of each, and once among the others.
                    let places: BTreeSet<usize> = all
                        .iter()
                        .map(|key| charted.iter().position(|one| one == key))
                        .map(|place| place.unwrap_or(charted.len()))
                        .collect();
                    for place in places {
                        points.entry((place, begins)).or_default().add(used);
                    }
                }
                Err(error) => fault = Some(error),
            }
        },
    )?;
    if let Some(error) = fault {
        return Err(error);
    }
    let mut series: Vec<ReportSeries> = Vec::new();
    let names = charted.iter().map(String::as_str).chain([OTHER]);
    for (place, name) in names.enumerate() {
        let of_series = points.range((place, 0)..=(place, u64::MAX));
        let points: Vec<ReportPoint> = of_series
            .map(|((_, at), used)| point(*at, width, used))
            .collect();
        if !points.is_empty() {
            series.push(ReportSeries {
                key: name.to_owned(),
                points,
            });
        }
    }
    Ok(series)
}

/// How long a point of a chart is: so long that there are not too many.
fn width(span: u64, from: u64, to: u64) -> u64 {
    let most = u64::try_from(MAX_POINTS).unwrap_or(u64::MAX);
    // The last one has begun and is not over.
    let rows = to.saturating_sub(from) / span + 1;
    rows.div_ceil(most) * span
}

fn point(at: u64, span_s: u64, used: &Used) -> ReportPoint {
    ReportPoint {
        at,
        span_s,
        cpu_s: seconds(used.cpu_us),
        mem_mib_s: used.mem_kib_s / 1024,
        throttled_s: seconds(used.throttled_us),
    }
}

fn row(key: &str, sum: &Sum) -> ReportRow {
    let Sum {
        uid,
        used,
        incidents,
    } = sum;
    ReportRow {
        key: key.to_owned(),
        uid: *uid,
        cpu_s: seconds(used.cpu_us),
        mem_mib_s: used.mem_kib_s / 1024,
        mem_peak: MemorySize::saturating_from_bytes(used.mem_peak),
        tasks_peak: used.tasks_peak,
        throttled_s: seconds(used.throttled_us),
        stalled_s: seconds(used.stalled_us),
        grant_s: (used.grant_ms + 500) / 1000,
        grant_cpu_s: (used.grant_mcpu_s + 500) / 1000,
        grant_mem_mib_s: used.grant_mem_kib_s / 1024,
        incidents: *incidents,
    }
}

/// Microseconds in seconds, to the nearest.
fn seconds(micros: u64) -> u64 {
    micros.saturating_add(500_000) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::super::rows::MINUTE;
    use super::*;

    #[test]
    fn a_chart_has_not_too_many_points() {
        for (span, length) in [
            (MINUTE, 6 * HOUR),
            (HOUR, 31 * DAY),
            (DAY, 1098 * DAY),
            (DAY, 0),
        ] {
            let width = width(span, 0, length);
            assert!(
                width.is_multiple_of(span) && length / width < 400,
                "{span} {length}"
            );
        }
    }
}
