//! What a user has missed, told at the next login that can show it.
//!
//! When PAM opens a session nobody knows yet whether a person sits behind it: sshd asks for a
//! terminal and a shell later, or for neither. What is told then is shown to a person, and thrown
//! away by sshd where a file is copied. So it counts as told only when the login has been seen to
//! have a terminal.

use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::Leader;
use fairshare_protocol::Incident;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use super::Operations;
use super::incident_words::cut;
use crate::clock;
use crate::enforcement::Enforcement;
use crate::history::Untold;
use crate::leader::Process;

/// The most incidents that a login tells, in a line each.
pub(super) const MOST_NOTICES: usize = 3;
/// The longest line, in characters.
const LONGEST_NOTICE: usize = 240;
/// When it is looked whether the login has a terminal, after the last look. Nothing tells of that,
/// and only a login that was told something is looked at.
const LOOKS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

/// How long a login waits for the history's answer, where half of its client's patience is left. It
/// was asked before the limits were set, so only a login that had nothing to set waits at all.
const ANSWER: Duration = Duration::from_millis(20);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The history's answer to what a user has missed, which may be there or not. Nobody is asked any
/// more when it is dropped.
pub(super) struct Missed {
    asking: JoinSet<Untold>,
    since: Instant,
}

impl<E: Enforcement> Operations<E> {
    /// Begins to ask the history what a user has missed, while the login's limits are set.
    pub(super) fn ask_what_was_missed(&self, uid: u32) -> Missed {
        let history = self.history.clone();
        let mut asking = JoinSet::new();
        asking.spawn(async move { history.untold(uid, MOST_NOTICES).await });
        Missed {
            asking,
            since: Instant::now(),
        }
    }

    /// The lines that tell a user what they have missed; none where nothing was missed, or the
    /// history has not said it in time: then the next login tells it. `patience` is how long the
    /// client waits for everything, where it said so.
    pub(super) async fn notices(
        self: &Arc<Self>,
        uid: u32,
        leader: Leader,
        mut missed: Missed,
        patience: Option<Duration>,
    ) -> Vec<String> {
        let hurried = patience.is_some_and(|patience| missed.since.elapsed() > patience / 2);
        let answer = if hurried {
            missed.asking.try_join_next()
        } else {
            let answer = tokio::time::timeout(ANSWER, missed.asking.join_next()).await;
            answer.ok().flatten()
        };
        let Some(Ok(untold)) = answer else {
            debug!(
                uid,
                "the history has not said in time what was missed, ignoring"
            );
            return Vec::new();
        };
        let Some(newest) = untold.newest.first() else {
            return Vec::new();
        };
        let up_to = newest.id;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if this.has_terminal(uid, leader).await {
                this.history.mark_told(uid, up_to);
            }
        });
        lines(&untold.newest, untold.all, clock::unix_time())
    }

    /// Waits until the login has a terminal; false where it gets none.
    async fn has_terminal(&self, uid: u32, leader: Leader) -> bool {
        for pause in LOOKS {
            tokio::time::sleep(pause).await;
            let Some(process) = Process::find(leader) else {
                return false;
            };
            let slice = self.enforcement.look(uid);
            if slice.is_some_and(|slice| process.has_terminal_in(&slice)) {
                return true;
            }
        }
        false
    }
}

/// The newest first, and how many there are beside them.
fn lines(newest: &[Incident], all: u64, now: u64) -> Vec<String> {
    let mut lines = Vec::with_capacity(newest.len() + 1);
    for (number, incident) in newest.iter().enumerate() {
        let lead = if number == 0 {
            "fairshare: while you were away, "
        } else {
            "fairshare: "
        };
        let times = incident.times.map(|times| format!(" ({times} times)"));
        let text = format!(
            "{lead}{}: {}{}",
            ago(now.saturating_sub(incident.at)),
            incident.text,
            times.unwrap_or_default()
        );
        lines.push(cut(&text, LONGEST_NOTICE));
    }
    let shown = u64::try_from(newest.len()).unwrap_or(u64::MAX);
    lines.push(match all.saturating_sub(shown) {
        0 => "fairshare: more about it: fairshare why".to_owned(),
        more => format!("fairshare: and {more} more: fairshare why"),
    });
    lines
}

/// How long ago, in one unit: the daemon does not know the user's time zone.
fn ago(seconds: u64) -> String {
    match seconds {
        0..MINUTE => "just now".to_owned(),
        MINUTE..HOUR => format!("{}m ago", seconds / MINUTE),
        HOUR..DAY => format!("{}h ago", seconds / HOUR),
        _ => format!("{}d ago", seconds / DAY),
    }
}
