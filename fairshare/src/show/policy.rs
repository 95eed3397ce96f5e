//! What policy comes to for a user, and what a reload would change.

use fairshare_protocol::{Enforce, ExplainEntry, ExplainInfo, Origin, PolicyDiffInfo, printable};

use crate::layout::{Width, wrapped};

/// The answer to `explain`: each key with its value, the line that says so, and those it beat.
pub(super) fn explained(info: &ExplainInfo, width: Width) -> String {
    let who = match &info.user {
        Some(name) => format!("{} (UID {})", printable(name), info.uid),
        None => format!("UID {}", info.uid),
    };
    let mut text = wrapped("", &format!("What policy says for {who}:"), width);
    for entry in &info.entries {
        text.push('\n');
        text.push_str(&explained_key(entry, width));
    }
    if info.enforce == Enforce::Watch {
        text.push('\n');
        let note = "Policy is in watch mode: this is decided and not enforced.";
        text.push_str(&wrapped("", note, width));
    }
    text
}

fn explained_key(entry: &ExplainEntry, width: Width) -> String {
    let title = format!("{}: {}", printable(&entry.key), printable(&entry.value));
    let mut text = wrapped("", &title, width);
    text.push_str(&wrapped("  by ", &origin(&entry.winner), width));
    for beaten in &entry.beaten {
        let line = format!("{} by {}", printable(&beaten.value), origin(&beaten.origin));
        text.push_str(&wrapped("  not ", &line, width));
    }
    text
}

fn origin(origin: &Origin) -> String {
    format!("{}, {}", printable(&origin.path), printable(&origin.place))
}

/// The answer to `policy_diff`: a block for each user, and what is wrong with the files.
pub(super) fn difference(info: &PolicyDiffInfo, width: Width) -> String {
    let mut text = info
        .problems
        .as_deref()
        .map(super::lines)
        .unwrap_or_default();
    if info.users.is_empty() {
        text.push_str("a reload would change nothing\n");
        return text;
    }
    let mut last = None;
    for change in &info.users {
        if last != Some(change.uid) {
            if !text.is_empty() {
                text.push('\n');
            }
            let who = super::user(Some(change.uid), change.user.as_deref());
            text.push_str(&wrapped("", &who, width));
            last = Some(change.uid);
        }
        let line = format!(
            "{}: {} -> {}",
            printable(&change.key),
            printable(&change.from),
            printable(&change.to)
        );
        text.push_str(&wrapped("  ", &line, width));
    }
    text
}
