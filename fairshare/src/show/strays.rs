//! Processes outside of their user's slice.

use fairshare_protocol::{StrayInfo, StraysInfo, printable};

use crate::layout::{Width, table_with_texts, wrapped};
use crate::times;

/// The columns that hold texts, beside the first.
const TEXTS: &[usize] = &[3, 4, 5];

/// The answer to `strays`.
pub(super) fn view(info: &StraysInfo, width: Width) -> String {
    let mut text = if info.strays.is_empty() && info.more == 0 {
        let none = "none of the processes that you may see runs outside of its user's slice";
        wrapped("", none, width)
    } else {
        listed(info, width)
    };
    if info.cut {
        let cut = "not all of this machine was looked at: it has too many cgroups or processes";
        text.push_str(&wrapped("warning: ", cut, width));
    }
    if info.age_s > 0 {
        let seen = format!("seen {} ago", times::length(info.age_s));
        text.push_str(&wrapped("", &seen, width));
    }
    text
}

fn listed(info: &StraysInfo, width: Width) -> String {
    let heading = ["user", "PID", "running", "program", "in", "policy"].map(str::to_owned);
    let rows = info.strays.iter().map(row);
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    let mut text = table_with_texts(&rows, TEXTS, width);
    if info.more > 0 {
        text.push_str(&wrapped("", &format!("and {} more", info.more), width));
    }
    text.push('\n');
    let note = "They run outside of their users' slices: no limit of theirs holds there.";
    text.push_str(&wrapped("", note, width));
    text
}

fn row(stray: &StrayInfo) -> [String; 6] {
    let place = stray.unit.as_deref().unwrap_or(&stray.cgroup);
    let policy = if stray.adopts { "adopts it" } else { "" };
    [
        super::user(Some(stray.uid), stray.user.as_deref()),
        stray.pid.to_string(),
        times::length(stray.running_s),
        printable(&stray.command),
        printable(place),
        policy.to_owned(),
    ]
}
