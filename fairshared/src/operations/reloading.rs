//! Putting another policy in force.

use std::sync::Arc;

use fairshare_core::Policy;
use tracing::warn;

use super::Operations;
use crate::decision::{Decision, Verdict};
use crate::enforcement::Enforcement;

impl<E: Enforcement> Operations<E> {
    /// Puts another policy in force; returns how many users it changes. Their limits follow.
    pub(crate) async fn set_policy(self: &Arc<Self>, policy: Policy) -> usize {
        let before = self.book.with(|book| book.slice_scheme()).await;
        if policy.slice_scheme() != before {
            warn!("policy's 'slice' takes effect when the daemon is restarted");
        }
        let changes = self.book.with(move |book| book.set_policy(policy)).await;
        let users: Vec<u32> = changes.iter().map(|(uid, _)| *uid).collect();
        for (uid, change) in changes {
            Decision::new("reload", Verdict::Granted, uid)
                .by(0)
                .from(change.from)
                .to(change.to())
                .because("policy changed")
                .log();
        }
        let count = users.len();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            for uid in users {
                this.look_at(uid).await;
            }
        });
        count
    }
}
