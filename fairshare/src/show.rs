//! The answers as people read them: calm, in 80 columns and fewer, and plain when they go into a
//! pipe.
//!
//! Everything that comes from the daemon as text passes through
//! [`printable`](fairshare_protocol::printable), so that no user's name and no sentence can send
//! an escape sequence to somebody's terminal.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use fairshare_protocol::{
    Allocation, Cpus, MemorySize, Reply, SessionOpened, StatusInfo, Tasks, UserInfo, Wish,
    printable,
};

use crate::layout::{Width, table, wrapped};

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const TYPED: Style = Style::new().bold();

/// A reply, for people.
pub(crate) fn reply(reply: &Reply, width: Width) -> String {
    match reply {
        Reply::Success { message } | Reply::SessionIgnored { message } => {
            wrapped("", &printable(message), width)
        }
        Reply::StatusInfo(info) => status(info, width),
        Reply::ListInfo { users } => list(users, width),
        Reply::SessionOpened(session) => opened(session, width),
        Reply::Error(error) => wrapped("", &printable(&error.error), width),
        _ => "the daemon gave an answer that this version cannot show; see it with --json\n"
            .to_owned(),
    }
}

fn status(info: &StatusInfo, width: Width) -> String {
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
    if let Some(place) = place(info) {
        text.push('\n');
        text.push_str(&wrapped("", &place, width));
    }
    if !info.differences.is_empty() {
        text.push('\n');
    }
    for difference in &info.differences {
        let line = wrapped("warning: ", &printable(difference), width);
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
        let default = info.default.and_then(of);
        let max = info.max.and_then(of);
        [Some(name.to_owned()), now, used, default, max].map(Option::unwrap_or_default)
    };
    let rows = [
        ["", "now", "in use", "default", "maximum"].map(str::to_owned),
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
    if info.grant == Some(true) {
        text.push_str("; the grant ends with your last session");
    }
    Some(text)
}

/// What to type next: the label, and the command as it can be copied.
fn hints(info: &StatusInfo) -> Vec<(&'static str, String)> {
    let mut hints = Vec::new();
    if let Some(wish) = info.max.and_then(|max| larger(info, max)) {
        hints.push(("ask for more:", format!("fairshare resize{wish}")));
    }
    if info.grant == Some(true) {
        hints.push(("give it back:", "fairshare release".to_owned()));
    }
    hints
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

fn list(users: &[UserInfo], width: Width) -> String {
    if users.is_empty() {
        return "nobody has an allocation\n".to_owned();
    }
    let heading = ["user", "sessions", "CPU", "memory", "tasks", "grant"].map(str::to_owned);
    let rows = users.iter().map(|user| {
        let name = user.user.as_deref().map(printable);
        [
            name.unwrap_or_else(|| user.uid.to_string()),
            user.sessions.to_string(),
            user.allocation.cpu.to_string(),
            user.allocation.mem.to_string(),
            user.allocation.tasks.to_string(),
            if user.grant { "yes" } else { "no" }.to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    table(&rows, width)
}

fn opened(session: &SessionOpened, width: Width) -> String {
    let text = format!("session {} open: {}", session.session, session.allocation);
    wrapped("", &text, width)
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
        let text = status(
            &info(r#"{"allocated_cpu": 4, "allocated_mem": "16G"}"#),
            None,
        );
        assert!(text.starts_with("You have 4 CPUs, 16G memory.\n"), "{text}");
        assert!(!text.contains("maximum"), "{text}");
    }

    #[test]
    fn an_escape_sequence_in_a_name_or_a_sentence_does_not_reach_the_terminal() {
        let mut bad = info(r#"{"allocated_cpu": 4, "allocated_mem": "16G"}"#);
        bad.differences = vec!["\x1b]0;owned\x07".to_owned()];
        assert!(!status(&bad, None).contains("\x1b]0"));
        let users: Vec<UserInfo> = serde_json::from_str(
            r#"[{"uid": 1, "user": "\u001b[2J", "sessions": 1, "grant": false,
                 "cpu": 1, "mem": "1G", "tasks": 1}]"#,
        )
        .unwrap();
        assert!(!list(&users, None).contains("\x1b[2J"));
    }
}
