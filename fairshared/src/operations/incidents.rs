//! What happens to users because of their limits: told in words, kept, and shown when asked.

use fairshare_protocol::{
    Incident, IncidentKind, Incidents, IncidentsInfo, MAX_INCIDENTS, Reply, Wish,
};

use super::Operations;
use crate::enforcement::Enforcement;
use crate::finding::{Finding, What};

impl<E: Enforcement> Operations<E> {
    /// Something has happened to a user: it is put into words, kept and told.
    #[expect(dead_code, reason = "nothing is found yet")]
    pub(crate) async fn found(&self, finding: Finding) {
        let uid = finding.uid;
        let user = self.book.with(move |book| book.person(uid).name.clone());
        let incident = Incident {
            id: 0,
            uid,
            user: user.await,
            at: 0,
            kind: kind(&finding.what),
            text: String::new(),
            advice: None,
            limit: Wish::default(),
            processes: finding.processes,
            times: None,
        };
        self.history.record(incident, false);
    }

    /// `incidents`.
    pub(crate) async fn incidents(&self, asked: Incidents, caller: u32) -> Reply {
        let most = asked.limit.unwrap_or(MAX_INCIDENTS).min(MAX_INCIDENTS);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let uid = asked.uid.unwrap_or(caller);
        Reply::IncidentsInfo(IncidentsInfo {
            incidents: self.history.incidents(uid, 0, most).await,
            blind: Vec::new(),
        })
    }
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
