//! What the daemon does when it is asked or told: each operation from the fact to the reply.
//!
//! An operation takes the user's turn, has the book decide, has the decision enforced and read
//! back, and answers. It runs in a task of its own: a client that goes away half-way changes
//! nothing about what was decided.

mod changes;
mod enforcing;
mod explaining;
mod folds;
mod happening;
mod history;
mod incident_words;
mod incidents;
mod knowing;
mod metrics;
mod notices;
mod present;
mod reloading;
mod reports;
mod sessions;
mod strays;
mod usage;
mod waiting;
mod walks;
mod watching;
mod words;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use fairshare_protocol::{ErrorCode, Reply};
use tracing::debug;

pub(crate) use self::waiting::{News, Outcome, Waiting};
use crate::book::BookHandle;
use crate::clock;
use crate::enforcement::Enforcement;
use crate::history::History;
use crate::hooks::Hooks;
use crate::people::People;
use crate::policy_source::PolicySource;
use crate::strays::Finder;
use crate::terminal::{Terminals, Told};
use crate::turns::Turns;
use crate::watch::Watch;

/// Tells a user, the leaders of whose sessions these are, something where they work.
pub(crate) type Voice = Box<dyn Fn(u32, &[u32], &str) -> Told + Send + Sync>;

/// Everything that operations work on.
pub(crate) struct Operations<E> {
    book: BookHandle,
    enforcement: E,
    turns: Turns,
    people: People,
    source: PolicySource,
    /// Policy says `enforce: watch`: what is decided is not set.
    watching: AtomicBool,
    /// Users who could not be looked up, and are tried again by a task.
    unknown: Mutex<HashSet<u32>>,
    /// Users whose memory is being lowered by a task.
    lowering: Mutex<HashSet<u32>>,
    /// Users whose limits could not be set, and are tried again by a task.
    unlimited: Mutex<HashSet<u32>>,
    /// Logins of logind that have come as sessions lately.
    lately: Mutex<present::Lately>,
    /// Clients who wait for their turn.
    waiters: waiting::Waiters,
    strays: strays::Strays,
    history: History,
    folds: folds::Folds,
    looks: history::Looks,
    walks: walks::Walks,
    /// Programs that are told of incidents; none before the daemon serves, and in tests.
    hooks: OnceLock<Hooks>,
    throttled: metrics::Throttled,
    voice: Voice,
    /// What watches users' slices, once it is there.
    watch: OnceLock<Watch>,
}

/// Who is behind a decision, for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// A process of this UID asked over the socket.
    Asked(u32),
    /// logind has it, and the module did not tell of it.
    Found,
    /// The kernel says that the leader is gone.
    LeaderGone,
    /// systemd says that the slice is gone, or it is not there.
    SliceGone,
}

impl<E: Enforcement> Operations<E> {
    /// Operations that tell users what happens on their terminals. `watching` is whether the policy
    /// in the book says `enforce: watch`.
    pub(crate) fn new(
        book: BookHandle,
        enforcement: E,
        people: People,
        source: PolicySource,
        finder: Finder,
        watching: bool,
        history: History,
    ) -> Arc<Self> {
        let terminals = Terminals::new();
        let voice = move |uid, leaders: &[u32], text: &str| {
            let told = terminals.tell(uid, leaders, text, clock::millis());
            debug!(uid, "{told:?}: {text}");
            told
        };
        let voice = Box::new(voice);
        Self::all_of(
            book,
            enforcement,
            people,
            source,
            finder,
            watching,
            voice,
            history,
        )
    }

    /// Operations that tell users what happens like this, with a history in memory.
    #[cfg(test)]
    pub(crate) fn with_voice(
        book: BookHandle,
        enforcement: E,
        people: People,
        source: PolicySource,
        finder: Finder,
        watching: bool,
        voice: Voice,
    ) -> Arc<Self> {
        Self::all_of(
            book,
            enforcement,
            people,
            source,
            finder,
            watching,
            voice,
            History::default(),
        )
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    fn all_of(
        book: BookHandle,
        enforcement: E,
        people: People,
        source: PolicySource,
        finder: Finder,
        watching: bool,
        voice: Voice,
        history: History,
    ) -> Arc<Self> {
        let turns = Turns::default();
        Arc::new(Self {
            book,
            enforcement,
            turns,
            people,
            source,
            watching: AtomicBool::new(watching),
            unknown: Mutex::default(),
            lowering: Mutex::default(),
            unlimited: Mutex::default(),
            lately: Mutex::default(),
            waiters: waiting::Waiters::default(),
            strays: strays::Strays::new(finder),
            folds: folds::Folds::default(),
            history,
            looks: history::Looks::default(),
            walks: walks::Walks::default(),
            hooks: OnceLock::new(),
            throttled: metrics::Throttled::default(),
            voice,
            watch: OnceLock::new(),
        })
    }

    /// Has these hooks told of incidents. Called once.
    pub(crate) fn tell_hooks(&self, hooks: Hooks) {
        // A second call would change nothing.
        let _ = self.hooks.set(hooks);
    }
}

impl<E: fmt::Debug> fmt::Debug for Operations<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("enforcement", &self.enforcement)
            .finish_non_exhaustive()
    }
}

impl Origin {
    /// The UID that asked, where one did.
    fn by(self) -> Option<u32> {
        match self {
            Self::Asked(uid) => Some(uid),
            Self::Found | Self::LeaderGone | Self::SliceGone => None,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Asked(_) => "asked for",
            Self::Found => "logind has it",
            Self::LeaderGone => "its leader is gone",
            Self::SliceGone => "its slice is gone",
        }
    }
}

fn not_covered(uid: u32) -> Reply {
    Reply::error(
        ErrorCode::NotCovered,
        format!("User {uid} is not covered by policy"),
    )
}

#[cfg(test)]
mod tests;
