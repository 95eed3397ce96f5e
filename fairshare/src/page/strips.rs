//! What was used over time: a strip for each series, one below the other, all with one scale.
//!
//! Lines of seven users across each other are told apart by colour or not at all. Strips have their
//! names beside them, and the eye compares heights.

use std::fmt::Write as _;

use fairshare_protocol::{ReportPoint, ReportSeries};
use jiff::tz::TimeZone;

use super::axis::{Mark, Time, round_above};
use super::escape::escape;

/// What the strips show.
pub(super) struct Kind {
    id: &'static str,
    class: &'static str,
    title: &'static str,
    /// What height means; behind it stands the figure at the top.
    explained: &'static str,
    unit: &'static str,
    /// The mean over a point's time.
    figure: fn(&ReportPoint) -> f64,
}

pub(super) const CPU: Kind = Kind {
    id: "cpu",
    class: "cpu",
    title: "CPU over time",
    explained: "CPUs in use on average",
    unit: "CPUs",
    figure: |point| per_second(point.cpu_s, point),
};

pub(super) const MEMORY: Kind = Kind {
    id: "memory",
    class: "memory",
    title: "Memory over time",
    explained: "GiB held on average, page cache left out",
    unit: "GiB",
    figure: |point| per_second(point.mem_mib_s, point) / 1024.0,
};

pub(super) const HELD_BACK: Kind = Kind {
    id: "held-back",
    class: "held",
    title: "Held back over time",
    explained: "how many CPUs' worth of work waited for the CPU limit, on average",
    unit: "CPUs",
    figure: |point| per_second(point.throttled_s, point),
};

#[expect(clippy::cast_precision_loss, reason = "a height on a screen")]
fn per_second(amount: u64, point: &ReportPoint) -> f64 {
    amount as f64 / point.span_s.max(1) as f64
}

/// A strip is so large in its own units; it is stretched to its place.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 100.0;

/// The chart; empty where there is nothing to show.
pub(super) fn chart(kind: &Kind, series: &[ReportSeries], time: Time, zone: &TimeZone) -> String {
    let figures = series.iter().flat_map(|series| &series.points);
    let largest = figures.map(kind.figure).fold(0.0, f64::max);
    if largest <= 0.0 {
        return String::new();
    }
    let top = round_above(largest);
    let marks = time.marks(zone);
    let Kind {
        id,
        class,
        title,
        explained,
        unit,
        ..
    } = kind;
    let mut text = format!(
        "<section class=\"chart\" aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n\
         <p>Height: {explained}. The top of each strip is {} {unit}. Where a line is missing, \
         nothing was recorded.</p>\n<div class=\"strips {class}\">\n",
        short(top),
        unit = unit_for(unit, top)
    );
    for (number, series) in series.iter().enumerate() {
        text.push_str(&strip(kind, series, number, top, time, &marks));
    }
    text.push_str("<div class=\"axis\" aria-hidden=\"true\"><div></div><div class=\"marks\">");
    for Mark { left, text: words } in &marks {
        // Writing to a String cannot fail.
        let _ = write!(text, "<span style=\"left:{left:.2}%\">{words}</span>");
    }
    text.push_str("</div></div>\n</div>\n</section>\n");
    text
}

fn strip(
    kind: &Kind,
    series: &ReportSeries,
    number: usize,
    top: f64,
    time: Time,
    marks: &[Mark],
) -> String {
    let name = escape(&series.key);
    let peak = series.points.iter().map(kind.figure).fold(0.0, f64::max);
    let peak = format!("{} {}", short(peak), unit_for(kind.unit, peak));
    let (area, line) = paths(kind, &series.points, top, time);
    let id = format!("{}-{number}", kind.id);
    let mut grid = String::new();
    for mark in marks {
        let x = mark.left / 100.0 * WIDTH;
        // Writing to a String cannot fail.
        let _ = write!(grid, "M{x:.1} 0V{HEIGHT}");
    }
    format!(
        "<div class=\"strip\"><div class=\"label\"><b>{name}</b> <span>at most {peak}</span></div>\
         <svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         preserveAspectRatio=\"none\"><title id=\"{id}-t\">{name}: {}</title>\
         <desc id=\"{id}-d\">At most {peak}. The table below has the sums.</desc>\
         <path class=\"grid\" d=\"{grid}\"/><path class=\"area\" d=\"{area}\"/><path class=\"line\" d=\"{line}\"/></svg></div>\n",
        kind.title
    )
}

/// The area and the line on top of it: a step for each point, and a gap where none is.
fn paths(kind: &Kind, points: &[ReportPoint], top: f64, time: Time) -> (String, String) {
    let (mut area, mut line) = (String::new(), String::new());
    let mut reached = None;
    for point in points {
        let end = point.at.saturating_add(point.span_s);
        let (left, right) = (time.place(point.at, WIDTH), time.place(end, WIDTH));
        if right <= left {
            continue;
        }
        let y = HEIGHT - ((kind.figure)(point) / top).clamp(0.0, 1.0) * HEIGHT;
        // Writing to a String cannot fail.
        if reached == Some(point.at) {
            let _ = write!(area, "V{y:.1}H{right:.1}");
            let _ = write!(line, "V{y:.1}H{right:.1}");
        } else {
            if reached.is_some() {
                let _ = write!(area, "V{HEIGHT}Z");
            }
            let _ = write!(area, "M{left:.1} {HEIGHT}V{y:.1}H{right:.1}");
            let _ = write!(line, "M{left:.1} {y:.1}H{right:.1}");
        }
        reached = Some(end);
    }
    if reached.is_some() {
        let _ = write!(area, "V{HEIGHT}Z");
    }
    (area, line)
}

/// One CPU, and two CPUs.
fn unit_for(unit: &'static str, figure: f64) -> &'static str {
    match (unit, short(figure).as_str()) {
        ("CPUs", "1") => "CPU",
        _ => unit,
    }
}

/// A figure with as many digits as a person compares.
fn short(figure: f64) -> String {
    let digits = match figure {
        _ if figure >= 100.0 => 0,
        _ if figure >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{figure:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Time = Time { from: 0, to: 1000 };

    fn point(at: u64, span_s: u64, cpu_s: u64) -> ReportPoint {
        ReportPoint {
            at,
            span_s,
            cpu_s,
            ..ReportPoint::default()
        }
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_is_known() {
        let points = [point(0, 100, 100), point(100, 100, 50), point(500, 100, 0)];
        let (area, line) = paths(&CPU, &points, 1.0, TIME);
        assert_eq!(line, "M0.0 0.0H100.0V50.0H200.0M500.0 100.0H600.0");
        assert_eq!(area.matches('Z').count(), 2);
        assert_eq!(paths(&CPU, &[], 1.0, TIME), Default::default());
    }

    #[test]
    fn points_that_lie_outside_are_cut_off() {
        let points = [
            point(5000, 100, 100),
            point(u64::MAX, 9, 9),
            point(900, 0, 7),
        ];
        assert_eq!(paths(&CPU, &points[..2], 1.0, TIME), Default::default());
    }

    #[test]
    fn figures_are_short() {
        for (figure, text) in [
            (0.0, "0"),
            (0.256, "0.26"),
            (2.5, "2.5"),
            (10.0, "10"),
            (123.4, "123"),
        ] {
            assert_eq!(short(figure), text);
        }
    }
}
