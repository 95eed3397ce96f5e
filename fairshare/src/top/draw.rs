//! The screen as it looks.

use fairshare_protocol::{Hundredths, MemorySize, Pressure, printable};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::keys::HELP;
use super::state::{Mode, Order, REMEMBERED, Row, State};
use crate::bar::{self, Glyphs};
use crate::times;

/// A smaller terminal is told so.
const LEAST_COLUMNS: u16 = 40;
const LEAST_ROWS: u16 = 8;
/// Lines above the rows, and below them.
const HEADER: u16 = 4;
const FOOTER: u16 = 1;
const NAME: usize = 12;

/// Draws it all.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let area = frame.area();
    if area.width < LEAST_COLUMNS || area.height < LEAST_ROWS {
        let text = format!("too small: {LEAST_COLUMNS}x{LEAST_ROWS} is needed, q ends");
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let room = area.height.saturating_sub(HEADER + FOOTER);
    state.page = usize::from(room).max(1);
    let width = usize::from(area.width);
    let mut lines = header(state, width);
    match &state.mode {
        Mode::Processes { uid, from } => lines.extend(processes(state, *uid, *from)),
        _ => lines.extend(users(state, width)),
    }
    lines.truncate(usize::from(HEADER + room));
    frame.render_widget(
        Paragraph::new(lines),
        Rect {
            height: HEADER + room,
            ..area
        },
    );
    let last = Rect {
        y: area.y + area.height.saturating_sub(FOOTER),
        height: FOOTER,
        ..area
    };
    frame.render_widget(Paragraph::new(footer(state)), last);
    if state.mode == Mode::Help {
        help(frame, area);
    }
}

fn header(state: &State, width: usize) -> Vec<Line<'static>> {
    let machine = &state.figures;
    let shown = state.shown().len();
    let order = match state.order {
        Order::Cpu => "CPU",
        Order::Memory => "memory",
        Order::Tasks => "tasks",
        Order::Pressure => "pressure",
        Order::Name => "name",
    };
    let users = match shown {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    };
    let first = match &state.lost {
        Some(why) => Line::styled(format!("trying again: {why}"), alarm()),
        None if !state.asked => Line::raw("asking the daemon"),
        None => {
            let whose = if state.everybody { "" } else { " (you)" };
            let mut text = format!("{users}{whose}, by {order}");
            if !state.filter.is_empty() || state.mode == Mode::Filter {
                text = format!("{text}, with '{}'", printable(&state.filter));
            }
            Line::raw(format!("{text}   pressure: {}", waiting(&machine.pressure)))
        }
    };
    let cells = if width >= 72 { 20 } else { 8 };
    let mut lines = vec![first];
    let total = machine.total;
    let cpus = total
        .cpu
        .map(|cpu| cpu.thousandths() / 10)
        .unwrap_or_default();
    let cpu = state.machine_cpu.unwrap_or_default().count();
    let granted = |held: Option<String>, capacity: Option<String>| match capacity {
        Some(capacity) => format!(
            ", grants {} of {capacity}",
            held.unwrap_or_else(|| "0".to_owned())
        ),
        None => String::new(),
    };
    let text = |value: Option<fairshare_protocol::Cpus>| value.map(|value| value.to_string());
    let size = |value: Option<MemorySize>| value.map(MemorySize::rounded);
    lines.push(bar_line(
        "CPU",
        cpu,
        cpus,
        cells,
        state.glyphs,
        &format!(
            "{} of {}{}",
            state
                .machine_cpu
                .map_or_else(|| "-".to_owned(), |cpu| cpu.to_string()),
            text(total.cpu).unwrap_or_else(|| "?".to_owned()),
            granted(text(machine.granted.cpu), text(machine.capacity.cpu)),
        ),
    ));
    let used = machine.mem_used.map_or(0, MemorySize::bytes);
    lines.push(bar_line(
        "memory",
        used,
        total.mem.map_or(0, MemorySize::bytes),
        cells,
        state.glyphs,
        &format!(
            "{} of {}{}",
            size(machine.mem_used).unwrap_or_else(|| "?".to_owned()),
            size(total.mem).unwrap_or_else(|| "?".to_owned()),
            granted(size(machine.granted.mem), size(machine.capacity.mem)),
        ),
    ));
    lines
}

fn bar_line(
    label: &str,
    used: u64,
    limit: u64,
    cells: usize,
    glyphs: Glyphs,
    text: &str,
) -> Line<'static> {
    let bar = bar::cells(used, 0, limit, cells, glyphs);
    Line::from(vec![
        Span::raw(format!("{label:<7}")),
        Span::styled(bar, level(used, limit)),
        Span::raw(format!(" {text}")),
    ])
}

fn users(state: &State, width: usize) -> Vec<Line<'static>> {
    let wide = width >= 80;
    let heading = if wide {
        format!(
            "{:<NAME$} {:>4} {:>10} {:<REMEMBERED$} {:>11} {:>6} {:>9} {:>5} {:>6}",
            "user", "sess", "CPU", "", "memory", "cache", "tasks", "wait", "grant"
        )
    } else {
        format!(
            "{:<NAME$} {:>10} {:>11} {:>4}",
            "user", "CPU", "memory", "wait"
        )
    };
    let mut lines = vec![Line::styled(
        heading,
        Style::new().add_modifier(Modifier::BOLD),
    )];
    let shown = state.shown();
    if shown.is_empty() && state.asked {
        lines.push(Line::raw("nobody"));
    }
    let place = state.place().unwrap_or(0);
    let room = state.page;
    // The chosen row stays in sight.
    let from = (place + 1).saturating_sub(room.saturating_sub(1).max(1));
    for row in shown.into_iter().skip(from) {
        let chosen = state.selected == Some(row.usage.row.uid);
        lines.push(user(state, row, wide, chosen));
        if lines.len() > room {
            break;
        }
    }
    lines
}

fn user(state: &State, row: &Row, wide: bool, chosen: bool) -> Line<'static> {
    let usage = &row.usage;
    let limit = usage.row.allocation;
    let slice = usage.slice.as_ref();
    let cpu = format!(
        "{}/{}",
        row.cpu
            .map_or_else(|| "-".to_owned(), |cpu| cpu.to_string()),
        limit.cpu
    );
    let mem = format!(
        "{}/{}",
        MemorySize::saturating_from_bytes(row.mem()).rounded(),
        limit.mem.rounded()
    );
    let base = if chosen {
        Style::new().add_modifier(Modifier::REVERSED)
    } else {
        Style::new()
    };
    let cpu_style = base.patch(level(
        row.cpu.map_or(0, Hundredths::count),
        limit.cpu.thousandths() / 10,
    ));
    let mem_style = base.patch(level(row.mem(), limit.mem.bytes()));
    let wait = format!("{}%", row.pressure().count() / 100);
    let name = Span::styled(format!("{:<NAME$} ", cut(&row.name, NAME)), base);
    if !wide {
        return Line::from(vec![
            name,
            Span::styled(format!("{cpu:>10} "), cpu_style),
            Span::styled(format!("{mem:>11} "), mem_style),
            Span::styled(format!("{wait:>4}"), base),
        ]);
    }
    let cache = slice
        .and_then(|slice| slice.mem_cache)
        .map(MemorySize::rounded)
        .unwrap_or_default();
    let tasks = format!("{}/{}", row.tasks(), limit.tasks);
    let grant = match (usage.row.grant, usage.row.lease_left_s) {
        (false, _) => String::new(),
        (true, None) => "yes".to_owned(),
        (true, Some(left)) => times::length(left).replace(' ', ""),
    };
    Line::from(vec![
        name,
        Span::styled(format!("{:>4} ", usage.row.sessions), base),
        Span::styled(format!("{cpu:>10} "), cpu_style),
        Span::styled(format!("{:>REMEMBERED$} ", spark(state, row)), base),
        Span::styled(format!("{mem:>11} "), mem_style),
        Span::styled(format!("{cache:>6} {tasks:>9} {wait:>5} {grant:>6}"), base),
    ])
}

/// CPU use of late, each figure a character: high is the whole allocation.
fn spark(state: &State, row: &Row) -> String {
    let levels = if state.glyphs == Glyphs::ASCII {
        ['.', '.', '-', '-', '=', '=', '#', '#']
    } else {
        ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    };
    let limit = (row.usage.row.allocation.cpu.thousandths() / 10).max(1);
    let level = |used: u64| {
        let level = usize::try_from(used.saturating_mul(8) / limit)
            .unwrap_or(7)
            .min(7);
        levels.get(level).copied().unwrap_or(' ')
    };
    state.past(row.usage.row.uid).map(level).collect()
}

fn processes(state: &State, uid: u32, from: usize) -> Vec<Line<'static>> {
    let name = state.name_of(uid);
    let Some(info) = state.processes.as_ref().filter(|info| info.uid == uid) else {
        return vec![Line::raw(format!("processes of {name}"))];
    };
    let more = if info.cut { "more than " } else { "" };
    let heading = format!(
        "{:>8} {:<15} S {:>7} {:>8} {:>7}  {name}: {more}{}",
        "pid", "command", "memory", "CPU", "age", info.total
    );
    let rows = info.processes.iter().skip(from).map(|one| {
        Line::raw(format!(
            "{:>8} {:<15} {} {:>7} {:>8} {:>7}",
            one.pid,
            cut(&printable(&one.command), 15),
            printable(&one.state.to_string()),
            one.mem.rounded(),
            times::length(one.cpu_ms / 1000),
            times::length(one.running_s),
        ))
    });
    let heading = Line::styled(heading, Style::new().add_modifier(Modifier::BOLD));
    std::iter::once(heading).chain(rows).collect()
}

fn footer(state: &State) -> Line<'static> {
    match (&state.mode, &state.message) {
        (Mode::Confirm { question, .. }, _) => Line::styled(
            format!("{question} y/n"),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        (Mode::Resize { uid, text }, message) => {
            let why = message
                .as_ref()
                .map_or_else(String::new, |why| format!("  ({})", printable(why)));
            Line::raw(format!(
                "CPUs, memory, time for {} (4 16G 2h): {}_{why}",
                state.name_of(*uid),
                printable(text)
            ))
        }
        (Mode::Filter, _) => Line::raw(format!("names with: {}_", printable(&state.filter))),
        (_, Some(message)) => Line::raw(printable(message)),
        (Mode::Processes { .. }, None) => Line::raw("Esc back  arrows go"),
        _ => Line::raw("? keys  Enter processes  / filter  r resize  x release  q end"),
    }
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(key, what)| {
            if area.width >= 76 {
                Line::raw(format!(" {key:<22} {what}"))
            } else {
                Line::raw(format!(" {key}: {what}"))
            }
        })
        .collect();
    let height = u16::try_from(lines.len())
        .unwrap_or(area.height)
        .min(area.height);
    let box_area = Rect { height, ..area };
    frame.render_widget(Clear, box_area);
    frame.render_widget(Paragraph::new(lines), box_area);
}

/// In percent, with the letter of what is waited for.
fn waiting(pressure: &Pressure) -> String {
    if pressure.is_unknown() {
        return "not measured by this kernel".to_owned();
    }
    let part = |name, figure: Option<Hundredths>| {
        figure.map(|figure| format!("{name} {}%", figure.count() / 100))
    };
    let parts = [
        part("CPU", pressure.cpu),
        part("memory", pressure.mem),
        part("disks", pressure.io),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn level(used: u64, limit: u64) -> Style {
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Style::new();
    }
    match bar::percent(used, limit) {
        bar::FULL_FROM.. => Style::new().fg(Color::Red),
        bar::HIGH_FROM.. => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

fn alarm() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}~")
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn reading(at: u64, cpu: u64) -> String {
        format!(
            r#"{{"everybody": true, "users": [
            {{"uid": 1000, "user": "alice", "sessions": 2, "grant": true, "lease_left_s": 7140,
              "cpu": 4, "mem": "16G", "tasks": 4096, "slice": {{"unit": "user-1000.slice",
              "mem_used": "3G", "mem_cache": "700M", "tasks_used": 57, "at_us": {at},
              "cpu_us": {cpu}, "pressure": {{"cpu": 12.5}}}}}},
            {{"uid": 1001, "user": "\u001b[2Jbob", "sessions": 0, "grant": false, "cpu": 0.5,
              "mem": "512M", "tasks": 500}}],
            "machine": {{"total": {{"cpu": 16, "mem": "64G"}}, "capacity": {{"cpu": 14, "mem": "60G"}},
              "granted": {{"cpu": 2}}, "at_us": {at}, "cpu_us": {cpu}, "mem_used": "16G",
              "pressure": {{"cpu": 3, "mem": 0}}}}}}"#
        )
    }

    fn state() -> State {
        let mut state = State::new(0, Glyphs::ASCII);
        state.take(serde_json::from_str(&reading(1_000_000, 0)).unwrap());
        state.take(serde_json::from_str(&reading(3_000_000, 4_000_000)).unwrap());
        state
    }

    fn screen(state: &mut State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |y| -> String {
            let cells = (0..width).map(|x| buffer[(x, y)].symbol().to_owned());
            cells.collect::<String>().trim_end().to_owned()
        };
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn all_of_it_at_80_columns() {
        let expected = "\
2 users, by CPU   pressure: CPU 3%, memory 0%
CPU    ##.................. 2 of 16, grants 2 of 14
memory #####............... 16G of 64G, grants 0 of 60G
user         sess        CPU                memory  cache     tasks  wait  grant
alice           2        2/4         =      3G/16G   700M   57/4096   12%  1h59m
\u{fffd}[2Jbob         0      -/0.5                0/512M            0/500    0%

? keys  Enter processes  / filter  r resize  x release  q end";
        let text = screen(&mut state(), 80, 8);
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn a_narrow_one_has_less_and_a_tiny_one_says_so() {
        let text = screen(&mut state(), 40, 10);
        assert!(
            text.contains("alice               2/4      3G/16G  12%"),
            "{text}"
        );
        assert!(screen(&mut state(), 39, 10).starts_with("too small: 40x8"));
    }

    #[test]
    fn a_lost_daemon_is_told_and_the_last_figures_stay() {
        let mut state = state();
        state.lose("no daemon".to_owned());
        let text = screen(&mut state, 80, 10);
        assert!(text.starts_with("trying again: no daemon"), "{text}");
        assert!(text.contains("alice"), "{text}");
    }

    #[test]
    fn processes_and_help_are_drawn_and_no_name_sends_a_sequence() {
        let mut state = state();
        state.mode = Mode::Processes { uid: 1000, from: 0 };
        state.take_processes(
            serde_json::from_str(
                r#"{"uid": 1000, "total": 2, "processes": [{"pid": 4711, "state": "R",
                    "command": "\u001b[2Jpython", "mem": "1G", "cpu_ms": 75000, "running_s": 90}]}"#,
            )
            .unwrap(),
        );
        let text = screen(&mut state, 80, 12);
        assert!(text.contains("4711") && text.contains("1m 15s"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        state.mode = Mode::Help;
        assert!(screen(&mut state, 80, 20).contains("sort by CPU"));
        assert!(screen(&mut state, 40, 20).contains("Enter: the user's"));
    }
}
