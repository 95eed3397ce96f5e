//! Changes that a user asks for: decided, enforced, read back, or taken back.

use std::sync::Arc;

use fairshare_core::ledger::{Change, Refusal};
use fairshare_protocol::{Allocation, ErrorCode, MemorySize, Release, Reply, Resize, Wish};

use super::{Operations, not_covered};
use crate::book::Book;
use crate::cgroup::MemoryUse;
use crate::decision::{Decision, Verdict};
use crate::enforcement::Enforcement;

impl<E: Enforcement> Operations<E> {
    /// `request_resources`.
    pub(crate) async fn request(self: Arc<Self>, uid: u32, wish: Wish) -> Reply {
        let decide = move |book: &mut Book, used| book.request(uid, &wish, used);
        let asked = Asked {
            uid,
            request: "request_resources",
            wish: wish.to_string(),
        };
        self.change(asked, decide, move |change| {
            let Allocation { cpu, mem, tasks } = change.to();
            let tasks = wish.tasks.map(|_| tasks);
            let first = Wish {
                cpu: Some(cpu),
                mem: Some(mem),
                tasks,
            };
            format!("Resources allocated: {first}")
        })
        .await
    }

    /// `resize`.
    pub(crate) async fn resize(self: Arc<Self>, uid: u32, resize: Resize) -> Reply {
        let Resize { wish, force, .. } = resize;
        let decide = move |book: &mut Book, used| book.resize(uid, &wish, used, force);
        let asked = Asked {
            uid,
            request: "resize",
            wish: wish.to_string(),
        };
        self.change(asked, decide, |change| {
            format!("Resources allocated: {}", change.to())
        })
        .await
    }

    /// `release`.
    pub(crate) async fn release(self: Arc<Self>, uid: u32, release: Release) -> Reply {
        let decide = move |book: &mut Book, used| book.release(uid, used, release.force);
        let asked = Asked {
            uid,
            request: "release",
            wish: String::new(),
        };
        self.change(asked, decide, |change| {
            format!("Grant returned; allocation is the default: {}", change.to())
        })
        .await
    }

    /// A change that a user asks for: decided, enforced, read back, or taken back.
    async fn change(
        self: Arc<Self>,
        asked: Asked,
        decide: impl FnOnce(&mut Book, MemorySize) -> Result<Change, Refusal> + Send + 'static,
        sentence: impl FnOnce(&Change) -> String,
    ) -> Reply {
        let uid = asked.uid;
        if !self.book.with(move |book| book.covers(uid)).await {
            return not_covered(uid);
        }
        self.follow_machine().await;
        let Ok(_turn) = self.turns.take_or_refuse(uid).await else {
            return Reply::error(ErrorCode::Busy, "Too many changes of this user are waiting");
        };
        let used = self.memory(uid).map_or(MemorySize::ZERO, MemoryUse::held);
        let change = match self.book.with(move |book| decide(book, used)).await {
            Ok(change) => change,
            Err(refusal) => {
                asked.log_refusal(&refusal.to_string());
                return Reply::error(refusal.code(), refusal.to_string());
            }
        };
        match self.limit(uid, &change.limits).await {
            Ok(applied) => {
                asked.log_grant(&change);
                let mut message = sentence(&change);
                if applied.lowering {
                    message.push_str("; memory comes down to it step by step");
                } else if !applied.differences.is_empty() {
                    message.push_str("; but enforced is: ");
                    message.push_str(&applied.differences.join("; "));
                }
                Reply::Success { message }
            }
            Err(fault) => {
                self.book.with(move |book| book.revert(uid, &change)).await;
                // systemd may carry out later what it did not answer in time.
                self.try_again(uid);
                asked.log_refusal(&fault.to_string());
                let message = format!("The allocation stays as it was: {fault}");
                Reply::error(ErrorCode::NotEnforced, message)
            }
        }
    }

    fn memory(&self, uid: u32) -> Option<MemoryUse> {
        self.enforcement.look(uid)?.memory()
    }
}

/// A user's request, for the log.
struct Asked {
    uid: u32,
    request: &'static str,
    wish: String,
}

impl Asked {
    fn log_grant(&self, change: &Change) {
        self.decision(Verdict::Granted)
            .from(change.from)
            .to(change.to())
            .log();
    }

    fn log_refusal(&self, why_not: &str) {
        self.decision(Verdict::Refused).because(why_not).log();
    }

    fn decision(&self, verdict: Verdict) -> Decision {
        Decision::new(self.request, verdict, self.uid)
            .by(self.uid)
            .wish(&self.wish)
    }
}
