//! One thing that was looked at: how it is, and what to do about it.

/// How it is, from well to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Well.
    Ok,
    /// Not looked at; the summary says why.
    Skipped,
    /// It works, with a hole or against a surprise.
    Warning,
    /// Users are not limited, or cannot ask.
    Failed,
}

impl State {
    /// The word for it, which is that of `--json`, too. It is what tells states apart where there is
    /// no colour.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// A name that stays the same from version to version; behind a `.` what of it, such as a PAM
    /// service.
    pub(crate) id: String,
    pub(crate) state: State,
    /// What was found, as a clause.
    pub(crate) summary: String,
    /// What to type, or to do where no command does it.
    pub(crate) remedy: Option<String>,
}

impl Check {
    fn new(id: &str, state: State, summary: impl Into<String>, remedy: Option<String>) -> Self {
        Self {
            id: id.to_owned(),
            state,
            summary: summary.into(),
            remedy,
        }
    }

    pub(crate) fn ok(id: &str, summary: impl Into<String>) -> Self {
        Self::new(id, State::Ok, summary, None)
    }

    pub(crate) fn skipped(id: &str, why: impl Into<String>) -> Self {
        Self::new(id, State::Skipped, why, None)
    }

    pub(crate) fn warning(id: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(id, State::Warning, what, Some(remedy.into()))
    }

    pub(crate) fn failed(id: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(id, State::Failed, what, Some(remedy.into()))
    }
}

/// How many checks are in a state.
pub(crate) fn count(checks: &[Check], state: State) -> usize {
    checks.iter().filter(|check| check.state == state).count()
}

/// The worst state of those that were looked at: what was skipped is no fault.
pub(crate) fn worst_looked_at(checks: &[Check]) -> State {
    let states = checks.iter().map(|check| check.state);
    let looked_at = states.filter(|state| *state != State::Skipped);
    looked_at.max().unwrap_or(State::Ok)
}
