//! Putting another policy in force.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fairshare_core::Policy;
use fairshare_core::policy::{Enforce, Look, Source};
use fairshare_protocol::{ErrorCode, Reply};
use tracing::{error, info, warn};

use super::Operations;
use crate::decision::{Decision, Verdict};
use crate::enforcement::Enforcement;
use crate::finding::{Finding, What};
use crate::policy_file::{Loaded, PolicyFault};
use crate::service_manager;

impl<E: Enforcement> Operations<E> {
    /// Reads the policy files again and puts them in force. Files that are wrong change nothing.
    /// Logs what came of it; returns how many users it changes, and how many warnings there were.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<(usize, usize), PolicyFault> {
        service_manager::reloading();
        let result = self.read_again().await;
        service_manager::serving(match result {
            Ok(_) => "Serving",
            Err(_) => "Serving; the policy files are wrong, those before are in force",
        });
        result
    }

    async fn read_again(self: &Arc<Self>) -> Result<(usize, usize), PolicyFault> {
        let Loaded {
            policy,
            warnings,
            sources,
            ..
        } = self
            .source
            .read()
            .inspect_err(|fault| error!("the policy before stays in force: {fault}"))?;
        let mut odd = warnings.len();
        for warning in warnings {
            warn!("{}", warning.text(Look::Plain));
        }
        // Groups may have changed, too: that is what a reload is for.
        self.people.forget_all();
        odd += self.warn_of_missing_groups(&policy, &sources).await;
        let users = self.set_policy(policy).await;
        info!(users, "policy read again");
        Ok((users, odd))
    }

    /// Looks up the groups that the policy in force names, so that the first login finds them known,
    /// and warns of those that do not exist. `sources` are what that policy was read from.
    pub(crate) async fn look_for_groups(self: Arc<Self>, sources: Vec<Source>) {
        let policy = self.book.with(|book| book.policy().clone()).await;
        self.warn_of_missing_groups(&policy, &sources).await;
    }

    /// Returns how many there are.
    async fn warn_of_missing_groups(&self, policy: &Policy, sources: &[Source]) -> usize {
        let missing = self.people.missing_groups(policy).await;
        let warnings = policy.missing_groups(sources, &missing);
        for warning in &warnings {
            warn!("{}", warning.text(Look::Plain));
        }
        warnings.len()
    }

    /// `reload`.
    pub(crate) async fn answer_reload(self: Arc<Self>) -> Reply {
        let watched = self.is_watching();
        match self.reload().await {
            Ok((users, odd)) => {
                let enforce = match (watched, self.is_watching()) {
                    (false, true) => "; enforce is 'watch' now: all limits are lifted",
                    (true, false) => "; enforce is 'on' now: all limits are set",
                    _ => "",
                };
                let changes = match users {
                    0 => "nobody's allocation changes".to_owned(),
                    1 => "1 user's allocation changes".to_owned(),
                    users => format!("{users} users' allocations change"),
                };
                let odd = match odd {
                    0 => String::new(),
                    1 => "; 1 warning: fairshared check".to_owned(),
                    odd => format!("; {odd} warnings: fairshared check"),
                };
                Reply::Success {
                    message: format!("Policy read again; {changes}{enforce}{odd}"),
                }
            }
            Err(fault) => Reply::error(ErrorCode::PolicyWrong, fault.to_string()),
        }
    }

    /// The machine may have more or less than at the last look; percentages and the capacity
    /// follow.
    pub(crate) async fn follow_machine(self: &Arc<Self>) {
        let policy = self.book.with(|book| book.policy().clone()).await;
        if let Some(policy) = self.source.follow_machine(&policy) {
            let capacity = policy.capacity();
            info!(
                cpu_thousandths = capacity.cpu_thousandths,
                mem_bytes = capacity.mem_bytes,
                "the machine has changed"
            );
            self.set_policy(policy).await;
        }
    }

    /// Puts another policy in force; returns how many users it changes. Their limits follow.
    async fn set_policy(self: &Arc<Self>, policy: Policy) -> usize {
        let before = self.book.with(|book| book.policy().clone()).await;
        if policy.slice_scheme() != before.slice_scheme() {
            warn!("policy's 'slice' takes effect when the daemon is restarted");
        }
        let watching = policy.enforce() == Enforce::Watch;
        let needs_names = policy.needs_names();
        let policy_exempts_otherwise = !policy.exempts_as(&before);
        let strays_otherwise = policy.strays() != before.strays();
        self.history.keep_for(policy.history());
        let changes = self.book.with(move |book| book.set_policy(policy)).await;
        let mut users: BTreeSet<u32> = changes.iter().map(|(uid, _)| *uid).collect();
        let count = users.len();
        let mut findings = Vec::with_capacity(count);
        for (uid, change) in changes {
            let (from, to) = (change.from, change.to());
            findings.push(Finding::new(uid, What::PolicyChanged { from, to }));
            Decision::new("reload", Verdict::Granted, uid)
                .by(0)
                .from(change.from)
                .to(change.to())
                .because("policy changed")
                .log();
        }
        let watched = self.watching.swap(watching, Ordering::Relaxed);
        if strays_otherwise || watched != watching {
            self.look_for_strays_soon();
        }
        let everybody: Vec<u32> = self
            .book
            .with(|book| book.ledger().accounts().map(|(uid, _)| uid).collect())
            .await;
        // Whom policy lets be now, or no longer, has no other figures than before.
        if watched != watching || policy_exempts_otherwise {
            users.extend(&everybody);
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            for uid in users {
                this.look_at(uid).await;
            }
            // When what they are told holds. Where nothing is set, nothing has changed for them.
            for finding in findings {
                if !this.lets_be(finding.uid).await {
                    this.found(finding).await;
                }
            }
            // Who is in which group, and who is exempt, is asked anew, one after the other: this is
            // nobody's login.
            if needs_names {
                for uid in everybody {
                    this.look_up_again(uid).await;
                }
            }
        });
        count
    }
}
