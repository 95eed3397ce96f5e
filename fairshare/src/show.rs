//! The answers as people read them: calm, in 80 columns and fewer, and plain when they go into a
//! pipe.
//!
//! Everything that comes from the daemon as text passes through
//! [`printable`](fairshare_protocol::printable), so that no user's name and no sentence can send
//! an escape sequence to somebody's terminal.

mod live;
mod policy;
mod queue;
pub(crate) mod report;
mod status;
mod strays;
mod why;

use fairshare_protocol::{Hundredths, Reply, SessionOpened, StatusInfo, UserInfo, printable};

use crate::layout::{Width, table, wrapped};
use crate::times;

/// A reply, for people.
pub(crate) fn reply(reply: &Reply, width: Width) -> String {
    match reply {
        Reply::Success { message } | Reply::SessionIgnored { message } => message
            .lines()
            .map(|line| wrapped("", &printable(line), width))
            .collect(),
        Reply::StatusInfo(info) => status::view(info, None, width),
        Reply::ListInfo { users } => list(users, width),
        Reply::QueueInfo { entries } => queue::view(entries, width),
        Reply::StraysInfo(info) => strays::view(info, width),
        Reply::IncidentsInfo(info) => why::view(info, width),
        Reply::ReportInfo(info) => report::view(info, width),
        Reply::ExplainInfo(info) => policy::explained(info, width),
        Reply::PolicyDiffInfo(info) => policy::difference(info, width),
        Reply::SessionOpened(session) => opened(session, width),
        Reply::AboutInfo(about) => {
            let text = format!("fairshared {}", printable(&about.version));
            wrapped("", &text, width)
        }
        Reply::Error(error) => wrapped("", &printable(&error.error), width),
        _ => "the daemon gave an answer that this version cannot show; see it with --json\n"
            .to_owned(),
    }
}

/// The answer to `status`, with CPUs in use now.
pub(crate) fn status(info: &StatusInfo, cpu: Option<Hundredths>, width: Width) -> String {
    status::view(info, cpu, width)
}

/// Text of several lines, each made fit for a terminal and ended.
pub(crate) fn lines(text: &str) -> String {
    text.lines()
        .flat_map(|line| [printable(line), "\n".to_owned()])
        .collect()
}

/// A user by name, else by UID, else as somebody.
pub(crate) fn user(uid: Option<u32>, name: Option<&str>) -> String {
    match (name, uid) {
        (Some(name), _) => printable(name),
        (None, Some(uid)) => uid.to_string(),
        (None, None) => "another user".to_owned(),
    }
}

fn list(users: &[UserInfo], width: Width) -> String {
    if users.is_empty() {
        return "nobody has an allocation\n".to_owned();
    }
    let heading = [
        "user", "sessions", "CPU", "memory", "tasks", "grant", "lease",
    ]
    .map(str::to_owned);
    let rows = users.iter().map(|user| {
        [
            self::user(Some(user.uid), user.user.as_deref()),
            user.sessions.to_string(),
            user.allocation.cpu.to_string(),
            user.allocation.mem.to_string(),
            user.allocation.tasks.to_string(),
            if user.grant { "yes" } else { "no" }.to_owned(),
            user.lease_left_s.map(times::length).unwrap_or_default(),
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

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        for line in [
            r#"{"type": "success", "message": "\u001b[2J"}"#,
            r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "16G",
                "differences": ["\u001b[2J"],
                "budget": [{"group": "\u001b[2J", "limit": {"cpu": 1}, "held": {}}]}"#,
            r#"{"type": "list_info", "users": [{"uid": 1, "user": "\u001b[2J", "sessions": 1,
                "grant": false, "cpu": 1, "mem": "1G", "tasks": 1}]}"#,
            r#"{"type": "queue_info", "entries": [{"position": 1, "uid": 1, "user": "\u001b[2J",
                "cpu": 1, "mem": "1G", "tasks": 1, "since_s": 1, "priority": 0}]}"#,
            r#"{"type": "strays_info", "age_s": 0, "strays": [{"uid": 1, "user": "\u001b[2J",
                "pid": 1, "command": "\u001b[2J", "unit": "\u001b[2J", "cgroup": "/",
                "running_s": 1}, {"uid": 1, "pid": 1, "command": "a", "cgroup": "\u001b[2J",
                "running_s": 1}]}"#,
            r#"{"type": "incidents_info", "incidents": [{"id": 1, "uid": 1, "user": "\u001b[2J",
                "at": 1, "kind": "oom_kill", "text": "\u001b[2J", "advice": "\u001b[2J",
                "processes": [{"pid": 1, "command": "\u001b[2J", "mem": "1G", "cpu_s": 1}]}],
                "blind": ["\u001b[2J"]}"#,
            r#"{"type": "explain_info", "uid": 1, "user": "\u001b[2J", "enforce": "on",
                "entries": [{"key": "\u001b[2J", "value": "\u001b[2J",
                    "winner": {"place": "\u001b[2J", "path": "\u001b[2J"},
                    "beaten": [{"place": "\u001b[2J", "path": "\u001b[2J",
                        "value": "\u001b[2J"}]}]}"#,
            r#"{"type": "report_info", "by": "user", "from": 0, "to": 1, "gaps": ["\u001b[2J"],
                "rows": [{"key": "\u001b[2J", "cpu_s": 1, "mem_mib_s": 1, "mem_peak": "1G",
                    "tasks_peak": 1, "throttled_s": 1, "stalled_s": 1, "grant_s": 1,
                    "grant_cpu_s": 1, "grant_mem_mib_s": 1, "incidents": 1}]}"#,
            r#"{"type": "policy_diff_info", "problems": "\u001b[2J", "users": [{"uid": 1,
                "user": "\u001b[2J", "key": "\u001b[2J", "from": "\u001b[2J",
                "to": "\u001b[2J"}]}"#,
        ] {
            let text = reply(&serde_json::from_str(line).unwrap(), None);
            assert!(text.contains("[2J"), "{line}");
            assert!(!text.contains("\x1b[2J"), "{line}");
        }
    }
}
