//! The requests that wait for their turn.

use fairshare_protocol::QueueEntry;

use crate::layout::{Width, table};
use crate::times;

/// The answer to `queue`.
pub(super) fn view(entries: &[QueueEntry], width: Width) -> String {
    if entries.is_empty() {
        return "no request waits\n".to_owned();
    }
    let heading = [
        "user", "place", "CPU", "memory", "tasks", "waiting", "priority",
    ]
    .map(str::to_owned);
    let rows = entries.iter().map(|entry| {
        [
            super::user(entry.uid, entry.user.as_deref()),
            entry.position.to_string(),
            entry.allocation.cpu.to_string(),
            entry.allocation.mem.to_string(),
            entry.allocation.tasks.to_string(),
            times::length(entry.since_s),
            entry.priority.to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    table(&rows, width)
}
