//! What a user uses now, beside each limit.

use std::fmt::Write as _;

use fairshare_protocol::{Hundredths, MemorySize, Pressure, SliceInfo, StatusInfo};

use crate::bar::{self, Glyphs};
use crate::layout::{Width, wrapped};

/// Cells of a bar, where the line has room.
const WIDE: usize = 24;
const NARROW: usize = 10;
/// Below so many columns bars are short, and figures stand below them.
const WIDE_FROM: usize = 72;

/// A bar for each limit, and what holds the user up. Nothing where the daemon is too old to tell.
/// `now` is CPUs in use, where two readings gave it.
pub(super) fn view(
    info: &StatusInfo,
    now: Option<Hundredths>,
    width: Width,
    glyphs: Glyphs,
) -> String {
    let Some(slice) = info.slice.as_ref().filter(|slice| slice.at_us.is_some()) else {
        return String::new();
    };
    let wide = width.is_none_or(|width| width >= WIDE_FROM);
    let cells = if wide { WIDE } else { NARROW };
    let mut text = String::from("in use now:\n");
    let mut line = |label: &str, bar: String, figures: String| {
        if wide {
            let _ = writeln!(text, "  {label:<7} {bar} {figures}");
        } else {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<7} {bar}");
            text.push_str(&wrapped("    ", &figures, width));
        }
    };
    let hundredths = info.allocated_cpu.thousandths() / 10;
    let shown = now.or(slice.cpu_minute);
    if let Some(shown) = shown {
        let bar = bar::coloured(shown.count(), 0, hundredths, cells, glyphs);
        let minute = match (now, slice.cpu_minute) {
            (Some(_), Some(minute)) => format!(", {minute} over the last minute"),
            (None, Some(_)) => " over the last minute".to_owned(),
            _ => String::new(),
        };
        line(
            "CPU",
            bar,
            format!("{shown} of {}{minute}", info.allocated_cpu),
        );
    }
    if let Some(used) = slice.mem_used {
        let cache = slice.mem_cache.unwrap_or(MemorySize::ZERO);
        let limit = info.allocated_mem;
        let bar = bar::coloured(used.bytes(), cache.bytes(), limit.bytes(), cells, glyphs);
        let mut figures = format!("{} of {limit} held by programs", used.rounded());
        if cache != MemorySize::ZERO {
            let _ = write!(figures, ", {} cache", cache.rounded());
        }
        line("memory", bar, figures);
    }
    let swap = info.allocated_swap.zip(slice.swap_used);
    if let Some((limit, used)) = swap.filter(|(limit, _)| *limit != MemorySize::ZERO) {
        let bar = bar::coloured(used.bytes(), 0, limit.bytes(), cells, glyphs);
        line("swap", bar, format!("{} of {limit}", used.rounded()));
    }
    if let Some((limit, used)) = info.allocated_tasks.zip(slice.tasks_used) {
        let bar = bar::coloured(used, 0, limit.count(), cells, glyphs);
        line("tasks", bar, format!("{used} of {limit}"));
    }
    for sentence in [throttled(slice), waiting(&slice.pressure)]
        .into_iter()
        .flatten()
    {
        text.push_str(&wrapped("  ", &sentence, width));
    }
    text
}

/// How long the limit on CPU held the user back.
fn throttled(slice: &SliceInfo) -> Option<String> {
    let micros = slice.throttled_us.filter(|micros| *micros > 0)?;
    let tenths = micros / 100_000;
    let length = match tenths {
        0 => "less than 0.1 s".to_owned(),
        1..600 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ => crate::times::length(tenths / 10),
    };
    Some(format!(
        "held back by the limit on CPU for {length} since login"
    ))
}

/// How much of the last ten seconds something waited.
fn waiting(pressure: &Pressure) -> Option<String> {
    let part = |name: &str, figure: Option<Hundredths>| {
        figure.map(|figure| format!("{name} {}%", figure.count() / 100))
    };
    let parts: Vec<String> = [
        part("for CPU", pressure.cpu),
        part("for memory", pressure.mem),
        part("for disks", pressure.io),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        return None;
    }
    Some(format!("waited in the last 10 s: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> StatusInfo {
        serde_json::from_str(
            r#"{"allocated_cpu": 2, "allocated_mem": "8G", "allocated_tasks": 4096,
                "slice": {"unit": "user-1000.slice", "mem_used": "2G", "mem_cache": "5G",
                "tasks_used": 57, "at_us": 9, "cpu_us": 3, "cpu_minute": 0.25,
                "throttled_us": 1250000, "pressure": {"cpu": 12.5, "mem": 0}}}"#,
        )
        .unwrap()
    }

    #[test]
    fn each_limit_has_its_bar_and_cache_is_told_apart() {
        let text = view(&info(), Some(Hundredths::new(150)), Some(80), Glyphs::ASCII);
        let expected = "\
in use now:
  CPU     ##################...... 1.5 of 2, 0.25 over the last minute
  memory  ######===============... 2G of 8G held by programs, 5G cache
  tasks   #....................... 57 of 4096
  held back by the limit on CPU for 1.2 s since login
  waited in the last 10 s: for CPU 12%, for memory 0%
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_narrow_terminal_gets_lines_that_fit() {
        for glyphs in [Glyphs::ASCII, Glyphs::BLOCKS] {
            let text = view(&info(), None, Some(40), glyphs);
            for line in text.lines() {
                assert!(line.chars().count() <= 40, "{line}");
            }
            assert!(text.contains("0.25 of 2 over the last minute"), "{text}");
        }
    }

    #[test]
    fn an_older_daemon_gives_no_bars() {
        let mut old = info();
        old.slice.as_mut().unwrap().at_us = None;
        assert_eq!(view(&old, None, None, Glyphs::ASCII), "");
    }
}
