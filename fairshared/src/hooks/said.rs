//! What was said of a hook is not said again for an hour: one that is broken is so at each incident.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// How long nothing more is said of the same hook.
const SILENCE: Duration = Duration::from_secs(60 * 60);
/// Of how many hooks it is remembered that something was said. Beyond them nothing is said.
const REMEMBERED: usize = 32;

/// What was said, of what, and when.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<Lately>);

#[derive(Debug, Default)]
struct Lately {
    last: HashMap<PathBuf, Instant>,
    /// Incidents that no longer fitted, since it was last said.
    dropped: u64,
    told_of_drops: Option<Instant>,
}

impl Said {
    /// Says it of a hook, unless something was said of it within the hour.
    pub(super) fn warn(&self, hook: &Path, what: &str) {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lately.may_say(hook) {
            warn!("hook '{}' was {what}", hook.display());
        }
    }

    /// Counts an incident that a hook, or the folder, had no place for.
    pub(super) fn dropped(&self, hook: &Path) {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lately.dropped = lately.dropped.saturating_add(1);
        let recent = lately
            .told_of_drops
            .is_some_and(|told| told.elapsed() < SILENCE);
        if !recent {
            lately.told_of_drops = Some(Instant::now());
            let count = std::mem::take(&mut lately.dropped);
            let hook = hook.display();
            warn!(
                "'{hook}' cannot keep up: {count} incidents were not told, more are not logged for an hour"
            );
        }
    }
}

impl Lately {
    fn may_say(&mut self, hook: &Path) -> bool {
        self.last.retain(|_, said| said.elapsed() < SILENCE);
        if self.last.contains_key(hook) || self.last.len() >= REMEMBERED {
            return false;
        }
        self.last.insert(hook.to_owned(), Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_is_said_once_an_hour_and_memory_is_bounded() {
        let mut lately = Lately::default();
        assert!(lately.may_say(Path::new("a")));
        assert!(!lately.may_say(Path::new("a")));
        assert!(lately.may_say(Path::new("b")));
        tokio::time::advance(SILENCE).await;
        assert!(lately.may_say(Path::new("a")));
        for number in 0..=REMEMBERED {
            lately.may_say(Path::new(&number.to_string()));
        }
        assert_eq!(lately.last.len(), REMEMBERED);
    }
}
