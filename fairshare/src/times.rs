//! Lengths of time and times of day, as people say them.

use jiff::{SignedDuration, Timestamp, Zoned};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A length of time in its two largest units: `1h 59m`, `2d`, `45s`. What is below them is left
/// out, so a time that is left is never said to be longer than it is.
pub(crate) fn length(seconds: u64) -> String {
    let units = [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm'), (1, 's')];
    let largest = units.iter().position(|(unit, _)| seconds >= *unit);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, letter) in units.iter().skip(largest.unwrap_or(units.len())).take(2) {
        if rest >= *unit {
            parts.push(format!("{}{letter}", rest / unit));
        }
        rest %= unit;
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.join(" ")
}

/// When it will be so many seconds from now, in this process's time zone: `at 15:04`, or with the
/// day where that is not today. `None` where the calendar does not reach so far.
pub(crate) fn clock(now: &Zoned, seconds: u64) -> Option<String> {
    let left = SignedDuration::from_secs(i64::try_from(seconds).ok()?);
    let then = now.checked_add(left).ok()?;
    let format = if then.date() == now.date() {
        "at %H:%M"
    } else {
        "on %a %-d %b at %H:%M"
    };
    Some(then.strftime(format).to_string())
}

/// When it was, in seconds since 1970, in this process's time zone: `14:02`, or with the day where
/// that is not today, and with the year where that is another. `None` where the calendar does not
/// reach so far.
pub(crate) fn past(now: &Zoned, at: u64) -> Option<String> {
    let then = Timestamp::from_second(i64::try_from(at).ok()?).ok()?;
    let then = then.to_zoned(now.time_zone().clone());
    let format = if then.date() == now.date() {
        "%H:%M"
    } else if then.year() == now.year() {
        "%a %-d %b %H:%M"
    } else {
        "%-d %b %Y %H:%M"
    };
    Some(then.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_length_has_two_units_and_is_never_rounded_up() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (75, "1m 15s"),
            (3600, "1h"),
            (3659, "1h"),
            (7199, "1h 59m"),
            (86_400, "1d"),
            (129_659, "1d 12h"),
            (86_400 + 59, "1d"),
        ] {
            assert_eq!(length(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_time_of_another_day_says_which() {
        let day = date(2026, 11, 24).at(13, 5, 0, 0);
        let now = day.to_zoned(TimeZone::UTC).unwrap();
        assert_eq!(clock(&now, 7140).unwrap(), "at 15:04");
        assert_eq!(clock(&now, 39_300).unwrap(), "on Wed 25 Nov at 00:00");
        assert_eq!(clock(&now, u64::MAX), None);
    }

    #[test]
    fn what_was_today_has_no_date_and_what_was_last_year_has_its_year() {
        let day = date(2026, 11, 24).at(13, 5, 0, 0);
        let now = day.to_zoned(TimeZone::UTC).unwrap();
        let seconds = u64::try_from(now.timestamp().as_second()).unwrap();
        assert_eq!(past(&now, seconds - 60).unwrap(), "13:04");
        assert_eq!(past(&now, seconds - 86_400).unwrap(), "Mon 23 Nov 13:05");
        assert_eq!(past(&now, 1_735_689_600).unwrap(), "1 Jan 2025 00:00");
        assert_eq!(past(&now, u64::MAX), None);
    }

    #[test]
    fn summer_time_moves_the_hour_and_not_the_length() {
        // The last Sunday of October has 25 hours in the middle of Europe.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now = date(2026, 10, 25).at(1, 30, 0, 0).to_zoned(zone).unwrap();
        assert_eq!(clock(&now, 2 * 3600).unwrap(), "at 02:30");
    }
}
