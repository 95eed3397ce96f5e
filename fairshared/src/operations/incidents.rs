//! What happens to users because of their limits: told in words, kept, and shown when asked.

use fairshare_protocol::{
    ErrorCode, Incident, IncidentKind, IncidentProcess, Incidents, IncidentsInfo, MAX_INCIDENTS,
    Reply,
};
use tracing::{debug, info};

use super::Operations;
use super::folds::{Again, Like, goes_on};
use super::history::NO_ANSWER;
use super::incident_words::Words;
use crate::clock;
use crate::counts::COUNTS;
use crate::enforcement::Enforcement;
use crate::finding::{Finding, What};
use crate::history::Happened;
use crate::processes;
use crate::terminal::Told;
use crate::watch::Watch;

/// The most processes that an incident names.
const MOST_PROCESSES: usize = 5;

impl<E: Enforcement> Operations<E> {
    /// Something has happened to a user: it is put into words, told and kept.
    pub(crate) async fn found(&self, finding: Finding) {
        self.digest(finding, None).await;
    }

    /// The same where the user has been told already, or it was tried.
    pub(super) async fn found_and_told(&self, finding: Finding, told: Told) {
        self.digest(finding, Some(told)).await;
    }

    async fn digest(&self, finding: Finding, told: Option<Told>) {
        let (uid, kind) = (finding.uid, kind(&finding.what));
        COUNTS.incident(kind);
        // Before anything is asked for: of a storm nearly all ends here.
        if goes_on(kind) {
            let like = Like::new(uid, kind, "");
            if let Some(again) = self.folds.again(like, clock::millis(), true) {
                self.count(uid, again, false);
                return;
            }
        }
        let looked_up = self.book.with(move |book| {
            let account = book.ledger().account(uid).cloned();
            (account, book.person(uid).name.clone())
        });
        let (account, name) = looked_up.await;
        let words = Words::of(&finding, account.as_ref());
        let like = Like::new(uid, kind, &words.text);
        let again = self.folds.again(like, clock::millis(), false);
        let told = match (told, again) {
            (Some(told), _) => told,
            (None, Some(Again { tell: false, .. })) => Told::TooOften,
            (None, again) => {
                let text = words.line(again.map_or(1, |again| again.times));
                match &account {
                    Some(account) => self.tell(account, uid, &text),
                    None => self.tell_leaders(uid, &[], &text),
                }
            }
        };
        if let Some(again) = again {
            self.count(uid, again, is_seen(told));
            return;
        }
        let incident = Incident {
            id: 0,
            uid,
            user: name,
            at: clock::unix_time(),
            kind,
            text: words.text,
            advice: words.advice,
            limit: words.limit,
            processes: self.to_blame(uid, kind).await,
            times: None,
        };
        self.keep(incident, like, told);
    }

    /// A user's busiest processes where CPU is short, their largest else, where they say something
    /// about it. Asked for only where an incident begins: it is by far the longest part of it.
    async fn to_blame(&self, uid: u32, kind: IncidentKind) -> Vec<IncidentProcess> {
        let slice = self.enforcement.look(uid).filter(|_| goes_on(kind));
        match (slice, kind) {
            (None, _) => Vec::new(),
            (Some(slice), IncidentKind::CpuThrottled) => {
                processes::busiest(&slice, MOST_PROCESSES).await
            }
            (Some(slice), _) => processes::largest(&slice, MOST_PROCESSES).await,
        }
    }

    fn keep(&self, mut incident: Incident, like: Like, told: Told) {
        let (uid, incident_kind) = (incident.uid, incident.kind.name());
        let terminals = match told {
            Told::On(terminals) => terminals,
            Told::TooOften => 0,
        };
        let text = incident.text.clone();
        // Of the daemon's own decisions the log has a line already.
        if goes_on(incident.kind) {
            info!(
                incident = incident_kind,
                uid, terminals, "incident {incident_kind}: user {uid}: {text}"
            );
        } else {
            debug!(
                incident = incident_kind,
                uid, terminals, "incident {incident_kind}: user {uid}: {text}"
            );
        }
        let id = self.history.record(incident.clone(), is_seen(told));
        if let Some(hooks) = self.hooks.get() {
            incident.id = id;
            hooks.tell(&incident);
        }
        self.folds.begin(like, id, clock::millis());
    }

    fn count(&self, uid: u32, again: Again, told: bool) {
        if again.write {
            debug!(uid, times = again.times, "incident {} again", again.id);
            self.history.again(uid, again.id, again.times, told);
        }
    }

    /// `incidents`. Whoever asks for their own knows of them from then on.
    pub(crate) async fn incidents(&self, asked: Incidents, caller: u32) -> Reply {
        let most = asked.limit.unwrap_or(MAX_INCIDENTS).min(MAX_INCIDENTS);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let uid = asked.uid.unwrap_or(caller);
        let since = asked.since.map_or(0, |since| {
            clock::unix_time().saturating_sub(since.seconds())
        });
        for (id, times) in self.folds.unwritten(uid) {
            self.history.again(uid, id, times, false);
        }
        let happened = self.history.incidents(uid, since, most).await;
        let Some(Happened { incidents, gap }) = happened else {
            return Reply::error(ErrorCode::Internal, NO_ANSWER);
        };
        if let Some(newest) = incidents.first().filter(|_| uid == caller) {
            self.history.mark_told(uid, newest.id);
        }
        let mut blind = self.watch.get().map(Watch::blind).unwrap_or_default();
        blind.extend(gap.map(str::to_owned));
        Reply::IncidentsInfo(IncidentsInfo { incidents, blind })
    }
}

/// Whether it is on a terminal of the user's.
fn is_seen(told: Told) -> bool {
    matches!(told, Told::On(1..))
}

fn kind(what: &What) -> IncidentKind {
    match what {
        What::OomKill { .. } => IncidentKind::OomKill,
        What::CpuThrottled { .. } => IncidentKind::CpuThrottled,
        What::TasksLimit { .. } => IncidentKind::TasksLimit,
        What::MemoryPressure { .. } => IncidentKind::MemoryPressure,
        What::Refused { .. } => IncidentKind::RequestRefused,
        What::LeaseEnded { .. } => IncidentKind::LeaseEnded,
        What::Reclaimed { .. } => IncidentKind::GrantReclaimed,
        What::PolicyChanged { .. } => IncidentKind::PolicyChanged,
    }
}
