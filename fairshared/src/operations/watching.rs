//! Users' slices are watched while they are limited, and what is found in them is an incident.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Operations;
use crate::enforcement::Enforcement;
use crate::finding::Finding;
use crate::watch::Watch;

impl<E: Enforcement> Operations<E> {
    /// Has slices watched from now on: called once, before any user's limits are set.
    pub(crate) fn watch_with(&self, watch: Watch) {
        // A second one would watch nothing.
        let _ = self.watch.set(watch);
    }

    /// Takes what is found, for as long as something is.
    pub(crate) async fn follow_findings(self: Arc<Self>, mut findings: mpsc::Receiver<Finding>) {
        while let Some(finding) = findings.recv().await {
            self.found(finding).await;
        }
    }

    /// A user's limits were set.
    pub(super) fn watch_slice(&self, uid: u32) {
        if let Some(watch) = self.watch.get()
            && let Some(slice) = self.enforcement.look(uid)
        {
            watch.begin(uid, slice);
        }
    }

    /// A user's slice has gone, or has no limits any more.
    pub(super) fn watch_no_more(&self, uid: u32) {
        if let Some(watch) = self.watch.get() {
            watch.end(uid);
        }
    }
}
