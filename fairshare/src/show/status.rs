//! What a user has, and may ask for.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use fairshare_protocol::{
    Allocation, BudgetInfo, Cpus, Enforce, Hundredths, MemorySize, StatusInfo, Tasks, Wish,
    printable,
};
use jiff::Zoned;

use super::live;
use crate::bar::Glyphs;
use crate::layout::{Width, table, wrapped};
use crate::times;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const TYPED: Style = Style::new().bold();

/// The answer to `status`.
pub(super) fn view(info: &StatusInfo, cpu: Option<Hundredths>, width: Width) -> String {
    let now = Wish {
        cpu: Some(info.allocated_cpu),
        mem: Some(info.allocated_mem),
        tasks: info.allocated_tasks,
    };
    let first = match info.grant {
        Some(true) => format!("You hold a grant: {now}."),
        Some(false) => format!("You have the default: {now}."),
        None => format!("You have {now}."),
    };
    let mut text = wrapped("", &first, width);
    text.push('\n');
    text.push_str(&resources(info, width));
    let bars = live::view(info, cpu, width, Glyphs::of_locale());
    if !bars.is_empty() {
        text.push('\n');
        text.push_str(&bars);
    }
    let below: Vec<String> = [place(info), lease(info), queue(info)]
        .into_iter()
        .flatten()
        .chain(info.budget.iter().map(budget))
        .collect();
    if !below.is_empty() {
        text.push('\n');
    }
    for line in below {
        text.push_str(&wrapped("", &line, width));
    }
    let warnings: Vec<String> = watched(info)
        .into_iter()
        .chain(info.differences.iter().map(|sentence| printable(sentence)))
        .collect();
    if !warnings.is_empty() {
        text.push('\n');
    }
    for warning in warnings {
        let line = wrapped("warning: ", &warning, width);
        text.push_str(&line.replacen("warning:", &format!("{WARNING}warning:{WARNING:#}"), 1));
    }
    let hints = hints(info);
    if !hints.is_empty() {
        text.push('\n');
    }
    for (label, command) in hints {
        let fits = width.is_none_or(|width| label.len() + 1 + command.len() <= width);
        let between = if fits { " " } else { "\n  " };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label}{between}{TYPED}{command}{TYPED:#}");
    }
    text
}

/// The table: a row for each resource, a column for each thing that the daemon told.
fn resources(info: &StatusInfo, width: Width) -> String {
    let slice = info.slice.as_ref();
    let used = slice.and_then(|slice| slice.mem_used);
    let cache = slice.and_then(|slice| slice.mem_cache);
    let tasks = slice.and_then(|slice| slice.tasks_used);

    let row = |name: &str, now: Option<String>, used: Option<String>, of: Pick| {
        let min = info.min.and_then(of);
        let default = info.default.and_then(of);
        let max = info.max.and_then(of);
        [Some(name.to_owned()), now, used, min, default, max].map(Option::unwrap_or_default)
    };
    let rows = [
        ["", "now", "in use", "minimum", "default", "maximum"].map(str::to_owned),
        row("CPU", Some(info.allocated_cpu.to_string()), None, |of| {
            Some(of.cpu.to_string())
        }),
        row(
            "memory",
            Some(info.allocated_mem.to_string()),
            used.map(MemorySize::rounded),
            |of| Some(of.mem.to_string()),
        ),
        row(
            "  cache",
            None,
            cache
                .filter(|cache| *cache != MemorySize::ZERO)
                .map(MemorySize::rounded),
            |_| None,
        ),
        row(
            "swap",
            info.allocated_swap.map(|swap| swap.to_string()),
            None,
            |_| None,
        ),
        row(
            "tasks",
            info.allocated_tasks.map(|tasks| tasks.to_string()),
            tasks.map(|tasks| tasks.to_string()),
            |of| Some(of.tasks.to_string()),
        ),
    ];
    table(&rows, width)
}

/// A resource's figure in an allocation, where an allocation has one.
type Pick = fn(Allocation) -> Option<String>;

/// Where the user's processes are and how long a grant lasts.
fn place(info: &StatusInfo) -> Option<String> {
    let sessions = info.sessions.map(|count| match count {
        0 => "no session open".to_owned(),
        1 => "1 session open".to_owned(),
        count => format!("{count} sessions open"),
    });
    let unit = info
        .slice
        .as_ref()
        .map(|slice| format!("in {}", printable(&slice.unit)));
    let parts: Vec<String> = [sessions, unit].into_iter().flatten().collect();
    if parts.is_empty() {
        return None;
    }
    let mut text = parts.join(", ");
    if info.grant == Some(true) && info.lease_left_s.is_none() {
        text.push_str("; the grant ends with your last session");
    }
    Some(text)
}

/// How long the grant's lease lasts, and until when.
fn lease(info: &StatusInfo) -> Option<String> {
    let left = info.lease_left_s?;
    let clock = times::clock(&Zoned::now(), left).map_or_else(String::new, |at| format!(", {at}"));
    Some(format!(
        "the grant ends in {}{clock}, or with your last session",
        times::length(left)
    ))
}

/// Where the user's request stands.
fn queue(info: &StatusInfo) -> Option<String> {
    let position = info.queue_position?;
    Some(format!(
        "a request of yours waits at place {position} in the queue"
    ))
}

/// What the members of a group hold together: `budget of students: 12 of 32 CPUs`.
fn budget(budget: &BudgetInfo) -> String {
    let BudgetInfo { group, limit, held } = budget;
    let of = |held: Option<String>, limit: String| {
        format!("{} of {limit}", held.unwrap_or_else(|| "0".to_owned()))
    };
    let parts: Vec<String> = [
        limit
            .cpu
            .map(|cpu| of(held.cpu.map(|cpu| cpu.to_string()), format!("{cpu} CPUs"))),
        limit
            .mem
            .map(|mem| of(held.mem.map(MemorySize::rounded), format!("{mem} memory"))),
        limit.tasks.map(|tasks| {
            let held = held.tasks.map(|tasks| tasks.to_string());
            of(held, format!("{tasks} tasks"))
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!(
        "budget of {}: {} held by its members",
        printable(group),
        parts.join(", ")
    )
}

/// What a daemon that only watches has to have said of it.
fn watched(info: &StatusInfo) -> Option<String> {
    let watched = info.enforce == Some(Enforce::Watch);
    watched
        .then(|| "policy is in watch mode: these figures are decided and not enforced".to_owned())
}

/// What to type next: the label, and the command as it can be copied.
fn hints(info: &StatusInfo) -> Vec<(&'static str, String)> {
    let mut hints = Vec::new();
    let waits = info.queue_position.is_some();
    if let Some(wish) = info
        .max
        .filter(|_| !waits)
        .and_then(|max| larger(info, max))
    {
        hints.push(("ask for more:", format!("fairshare resize{wish}")));
    }
    if let Some(longer) = info.lease_left_s.and_then(longer) {
        hints.push(("keep it longer:", format!("fairshare renew --for {longer}")));
    }
    if waits {
        hints.push(("see the queue:", "fairshare queue".to_owned()));
    }
    if info.grant == Some(true) {
        hints.push(("give it back:", "fairshare release".to_owned()));
    }
    hints
}

/// An example of a lease that ends later: `renew` counts from now, so it must be longer than what
/// is left. `None` for a lease of days, which nobody needs to renew yet.
fn longer(left: u64) -> Option<&'static str> {
    const HOUR: u64 = 3600;
    [
        (HOUR, "1h"),
        (2 * HOUR, "2h"),
        (4 * HOUR, "4h"),
        (8 * HOUR, "8h"),
        (24 * HOUR, "1d"),
    ]
    .into_iter()
    .find(|(length, _)| *length > left)
    .map(|(_, text)| text)
}

/// An example of a wish as options: twice of what the user has, within the maximum. `None` where
/// there is no more to have.
fn larger(info: &StatusInfo, max: Allocation) -> Option<String> {
    let mut options = String::new();
    let cpu = Cpus::from_thousandths(info.allocated_cpu.thousandths() * 2).unwrap_or(max.cpu);
    if info.allocated_cpu < max.cpu {
        let _ = write!(options, " --cpu {}", cpu.min(max.cpu));
    }
    let mem = MemorySize::saturating_from_bytes(info.allocated_mem.bytes() * 2);
    if info.allocated_mem < max.mem {
        let _ = write!(options, " --mem {}", mem.min(max.mem));
    }
    // Few people run out of tasks; they are named where nothing else is left to name.
    if let Some(tasks) = info.allocated_tasks.filter(|_| options.is_empty())
        && tasks < max.tasks
    {
        let twice = Tasks::new(tasks.count() * 2).unwrap_or(max.tasks);
        let _ = write!(options, " --tasks {}", twice.min(max.tasks));
    }
    (!options.is_empty()).then_some(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(json: &str) -> StatusInfo {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_example_of_a_wish_never_passes_the_maximum() {
        let status = |cpu: &str, mem: &str| {
            info(&format!(
                r#"{{"allocated_cpu": {cpu}, "allocated_mem": "{mem}", "allocated_tasks": 100,
                    "max": {{"cpu": 8, "mem": "32G", "tasks": 150}}}}"#
            ))
        };
        let example = |info: &StatusInfo| larger(info, info.max.unwrap());
        for (cpu, mem, expected) in [
            ("2", "8G", Some(" --cpu 4 --mem 16G")),
            ("6", "20G", Some(" --cpu 8 --mem 32G")),
            ("8", "32G", Some(" --tasks 150")),
            ("8", "8G", Some(" --mem 16G")),
            ("100000", "1048576T", Some(" --tasks 150")),
        ] {
            assert_eq!(
                example(&status(cpu, mem)).as_deref(),
                expected,
                "{cpu} {mem}"
            );
        }
        let mut all = status("8", "32G");
        all.allocated_tasks = Tasks::new(150);
        assert_eq!(example(&all), None);
    }

    #[test]
    fn a_daemon_that_tells_little_gets_a_short_view() {
        let text = view(
            &info(r#"{"allocated_cpu": 4, "allocated_mem": "16G"}"#),
            None,
            None,
        );
        assert!(text.starts_with("You have 4 CPUs, 16G memory.\n"), "{text}");
        assert!(!text.contains("maximum"), "{text}");
    }

    #[test]
    fn a_lease_says_how_long_and_until_when() {
        let held = info(
            r#"{"allocated_cpu": 4, "allocated_mem": "16G", "grant": true, "sessions": 1,
                "lease_left_s": 7140}"#,
        );
        let lease = lease(&held).unwrap();
        let (front, back) = lease.split_once("ends in 1h 59m, ").unwrap();
        assert_eq!(front, "the grant ");
        assert!(back.contains("at "), "{back}");
        assert!(back.ends_with(", or with your last session"), "{back}");
    }

    #[test]
    fn the_example_of_a_renewal_never_shortens_the_lease() {
        for (left, expected) in [
            (0, Some("1h")),
            (3599, Some("1h")),
            (3600, Some("2h")),
            (7140, Some("2h")),
            (80_000, Some("1d")),
            (86_400, None),
        ] {
            assert_eq!(longer(left), expected, "{left}");
        }
    }

    #[test]
    fn a_budget_of_which_nothing_is_held_says_zero() {
        let row: BudgetInfo = serde_json::from_str(
            r#"{"group": "students", "limit": {"cpu": 32, "mem": "128G"}, "held": {"cpu": 12}}"#,
        )
        .unwrap();
        assert_eq!(
            budget(&row),
            "budget of students: 12 of 32 CPUs, 0 of 128G memory held by its members"
        );
    }
}
