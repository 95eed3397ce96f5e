//! Where a scale ends, and where its marks stand.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, Zoned, ZonedRound};

/// The most marks of an axis of time.
const MOST_MARKS: u64 = 7;
/// From midnight a day's hours are walked through before the first mark is seen.
const MOST_STEPS: u64 = 24 + MOST_MARKS + 2;
/// A mark nearer to the end than this has no room for its words.
const LAST_MARK: f64 = 92.0;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The steps between marks, in seconds; from a day on they are days of the calendar.
const STEPS: [u64; 14] = [
    60,
    300,
    900,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    5 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    56 * DAY,
];

/// A mark: where it stands from the left, in percent, and its words.
pub(super) struct Mark {
    pub(super) left: f64,
    pub(super) text: String,
}

/// The piece of time that a chart shows, in seconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Time {
    /// How far from the left a moment is, from 0 to `width`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a place on a screen; times are far below 2^53"
    )]
    pub(super) fn place(self, at: u64, width: f64) -> f64 {
        let length = self.to.saturating_sub(self.from).max(1) as f64;
        let at = at.clamp(self.from, self.to.max(self.from));
        (at - self.from) as f64 / length * width
    }

    /// Marks at whole hours or days of the zone.
    pub(super) fn marks(self, zone: &TimeZone) -> Vec<Mark> {
        let length = self.to.saturating_sub(self.from);
        let step = STEPS
            .into_iter()
            .find(|step| length / step <= MOST_MARKS)
            .unwrap_or(length / MOST_MARKS + 1);
        let mut marks = Vec::new();
        let mut next = first(self.from, step, zone);
        for _ in 0..MOST_STEPS {
            let Some(moment) = next else { break };
            let at = u64::try_from(moment.timestamp().as_second()).unwrap_or_default();
            if at > self.to {
                break;
            }
            let left = self.place(at, 100.0);
            if at >= self.from && left <= LAST_MARK {
                let format = if step < DAY { "%H:%M" } else { "%-d %b" };
                let midnight = step < DAY && moment.hour() == 0 && moment.minute() == 0;
                let format = if midnight { "%-d %b" } else { format };
                let text = moment.strftime(format).to_string();
                marks.push(Mark { left, text });
            }
            next = after(&moment, step);
        }
        marks
    }
}

/// The last moment before `from` at which a mark may stand.
fn first(from: u64, step: u64, zone: &TimeZone) -> Option<Zoned> {
    let from = Timestamp::from_second(i64::try_from(from).ok()?).ok()?;
    let from = from.to_zoned(zone.clone());
    if step < HOUR {
        let round = ZonedRound::new()
            .smallest(Unit::Minute)
            .increment(i64::try_from(step / 60).ok()?);
        return from.round(round.mode(jiff::RoundMode::Floor)).ok();
    }
    from.start_of_day().ok()
}

fn after(moment: &Zoned, step: u64) -> Option<Zoned> {
    let next = if step.is_multiple_of(DAY) {
        moment.checked_add(i64::try_from(step / DAY).ok()?.days())
    } else {
        moment.checked_add(i64::try_from(step).ok()?.seconds())
    };
    next.ok()
}

/// A round figure that is not below `largest`, and not far above it.
pub(super) fn round_above(largest: f64) -> f64 {
    if !largest.is_finite() || largest <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(largest.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= largest)
        .unwrap_or(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(from: u64, length: u64) -> Vec<String> {
        let time = Time {
            from,
            to: from + length,
        };
        let marks = time.marks(&TimeZone::UTC);
        marks.into_iter().map(|mark| mark.text).collect()
    }

    #[test]
    fn marks_stand_at_whole_hours_and_days() {
        // Tuesday, 24 November 2026, 13:05.
        let at = 1_795_525_500;
        assert_eq!(texts(at, DAY)[..3], ["18:00", "25 Nov", "06:00"]);
        assert_eq!(texts(at, 7 * DAY)[..2], ["25 Nov", "26 Nov"]);
        assert_eq!(texts(at, HOUR / 2)[..2], ["13:05", "13:10"]);
        for length in [0, 1, 59, HOUR, 3 * DAY, 40 * DAY, 366 * DAY] {
            assert!(texts(at, length).len() <= 8, "{length}");
        }
    }

    #[test]
    fn a_scale_ends_at_a_round_figure() {
        for (largest, top) in [
            (0.0, 1.0),
            (0.025, 0.03),
            (1.0, 1.0),
            (2.2, 3.0),
            (7.1, 8.0),
            (88.0, 100.0),
        ] {
            assert!((round_above(largest) - top).abs() < 1e-9, "{largest}");
        }
        assert!((round_above(f64::NAN) - 1.0).abs() < 1e-9);
    }
}
