//! What the daemon tells of the ledger and of what is enforced.

use fairshare_core::ledger::Refusal;
use fairshare_protocol::{Allocation, Enforce, Reply, StatusInfo, UserInfo};

use super::{Operations, not_covered};
use crate::cgroup::SliceCgroup;
use crate::enforcement::Enforcement;

impl<E: Enforcement> Operations<E> {
    /// `status`.
    pub(crate) async fn status(&self, uid: u32) -> Reply {
        let account = self
            .book
            .with(move |book| (book.covers(uid), book.ledger().account(uid).cloned()))
            .await;
        let account = match account {
            (false, _) => return not_covered(uid),
            (true, None) => {
                let refusal = Refusal::NoSession;
                return Reply::error(refusal.code(), refusal.to_string());
            }
            (true, Some(account)) => account,
        };
        let limits = account.limits();
        let Allocation { cpu, mem, tasks } = limits.allocation;
        let slice = self.enforcement.look(uid);
        let unit = self.enforcement.slice(uid);
        let enforced = slice.as_ref().map(SliceCgroup::enforced);
        Reply::StatusInfo(Box::new(StatusInfo {
            allocated_cpu: cpu,
            allocated_mem: mem,
            allocated_tasks: Some(tasks),
            allocated_swap: Some(limits.swap),
            grant: Some(account.grant().is_some()),
            lease_left_s: None,
            queue_position: None,
            sessions: u64::try_from(account.sessions().len()).ok(),
            min: None,
            default: Some(account.entitlement().default),
            max: Some(account.entitlement().max),
            budget: Vec::new(),
            slice: slice.map(|slice| slice.info(&unit)),
            differences: match enforced {
                _ if self.is_watching() => Vec::new(),
                Some(enforced) => enforced.differences(&limits),
                None => vec![format!("{unit} is not active: nothing is enforced")],
            },
            enforce: self.is_watching().then_some(Enforce::Watch),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        }))
    }

    /// `list`: everybody, or only this user.
    pub(crate) async fn list(&self, only: Option<u32>) -> Reply {
        let users = self.book.with(move |book| {
            book.ledger()
                .accounts()
                .filter(|(uid, _)| only.is_none_or(|only| only == *uid))
                .map(|(uid, account)| UserInfo {
                    uid,
                    user: None,
                    sessions: u64::try_from(account.sessions().len()).unwrap_or(u64::MAX),
                    grant: account.grant().is_some(),
                    lease_left_s: None,
                    allocation: account.allocation(),
                })
                .collect()
        });
        Reply::ListInfo { users: users.await }
    }
}
