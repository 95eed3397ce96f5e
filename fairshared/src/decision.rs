//! One log line for each decision: who asked, for whom, what, from what to what, and why not.
//!
//! The line is whole in its text, for whoever reads the log at night, and in its fields, for
//! programs: in the journal they are `F_DECISION`, `F_REQUEST` and so on.

use crate::counts::{COUNTS, Wrong};
use std::fmt::Write;

use fairshare_core::ledger::SessionId;
use fairshare_protocol::Allocation;
use tracing::{error, info};

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As asked for.
    Granted,
    /// Not.
    Refused,
    /// Not yet: it waits for its turn.
    Queued,
    /// The end of a grant is told to its user.
    Announced,
    /// A grant has ended by itself.
    Ended,
    /// There was nothing to do.
    Ignored,
    /// Granted, but the kernel does not enforce it yet: somebody should look.
    NotEnforced,
}

/// A decision on its way to the log.
#[derive(Debug)]
pub(crate) struct Decision {
    request: &'static str,
    verdict: Verdict,
    uid: u32,
    by: Option<u32>,
    session: Option<SessionId>,
    leader: Option<u32>,
    service: Option<String>,
    wish: Option<String>,
    from: Option<Allocation>,
    to: Option<Allocation>,
    reason: Option<String>,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Queued => "queued",
            Self::Announced => "announced",
            Self::Ended => "ended",
            Self::Ignored => "ignored",
            Self::NotEnforced => "not enforced",
        }
    }
}

impl Decision {
    /// A decision on a request that concerns this user.
    pub(crate) fn new(request: &'static str, verdict: Verdict, uid: u32) -> Self {
        Self {
            request,
            verdict,
            uid,
            by: None,
            session: None,
            leader: None,
            service: None,
            wish: None,
            from: None,
            to: None,
            reason: None,
        }
    }

    /// The UID that asked. Left out where nobody did.
    pub(crate) fn by(mut self, uid: impl Into<Option<u32>>) -> Self {
        self.by = uid.into();
        self
    }

    /// The session that it is about.
    pub(crate) fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// The session's leader and the service that opened it.
    pub(crate) fn leader(mut self, pid: u32, service: &str) -> Self {
        self.leader = Some(pid);
        self.service = (!service.is_empty()).then(|| service.to_owned());
        self
    }

    /// What was asked for.
    pub(crate) fn wish(mut self, wish: &str) -> Self {
        self.wish = (!wish.is_empty()).then(|| wish.to_owned());
        self
    }

    /// The allocation before.
    pub(crate) fn from(mut self, allocation: impl Into<Option<Allocation>>) -> Self {
        self.from = allocation.into();
        self
    }

    /// The allocation from now on.
    pub(crate) fn to(mut self, allocation: impl Into<Option<Allocation>>) -> Self {
        self.to = allocation.into();
        self
    }

    /// Why, or why not.
    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Writes the line.
    pub(crate) fn log(self) {
        let text = self.text();
        let Self {
            request,
            uid,
            by,
            session,
            leader,
            ..
        } = self;
        if self.verdict == Verdict::NotEnforced {
            COUNTS.error(Wrong::NotEnforced);
        }
        let decision = self.verdict.as_str();
        let (service, wish, reason) = (
            self.service.as_deref(),
            self.wish.as_deref(),
            self.reason.as_deref(),
        );
        let from = self.from.map(|allocation| allocation.to_string());
        let to = self.to.map(|allocation| allocation.to_string());
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    decision, request, uid, by, session, leader, service, wish, from, to, reason,
                    "{text}"
                )
            };
        }
        if self.verdict == Verdict::NotEnforced {
            line!(error);
        } else {
            line!(info);
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} {}: user {}",
            self.request,
            self.verdict.as_str(),
            self.uid
        );
        let mut add = |part: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            let _ = text.write_fmt(part);
        };
        if let Some(by) = self.by.filter(|by| *by != self.uid) {
            add(format_args!(", asked by {by}"));
        }
        if let Some(session) = self.session {
            add(format_args!(", session {session}"));
        }
        if let Some(leader) = self.leader {
            add(format_args!(", leader {leader}"));
        }
        if let Some(service) = &self.service {
            add(format_args!(", service {service}"));
        }
        if let Some(wish) = &self.wish {
            add(format_args!(", wish [{wish}]"));
        }
        if let Some(from) = self.from {
            add(format_args!(", from [{from}]"));
        }
        if let Some(to) = self.to {
            add(format_args!(", to [{to}]"));
        }
        if let Some(reason) = &self.reason {
            add(format_args!(": {reason}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_whole_in_its_text() {
        let allocation = |cpu: &str, mem: &str| Allocation {
            cpu: cpu.parse().unwrap(),
            mem: mem.parse().unwrap(),
            tasks: "200".parse().unwrap(),
        };
        let granted = Decision::new("resize", Verdict::Granted, 1000)
            .by(1000)
            .wish("1.5 CPUs")
            .from(allocation("0.5", "256M"))
            .to(allocation("1.5", "256M"));
        assert_eq!(
            granted.text(),
            "resize granted: user 1000, wish [1.5 CPUs], \
             from [0.5 CPUs, 256M memory, 200 tasks], to [1.5 CPUs, 256M memory, 200 tasks]"
        );
        let refused = Decision::new("open_session", Verdict::Refused, 1001)
            .by(1000)
            .because("Only root opens and closes sessions");
        assert_eq!(
            refused.text(),
            "open_session refused: user 1001, asked by 1000: Only root opens and closes sessions"
        );
        let opened = Decision::new("open_session", Verdict::NotEnforced, 1000)
            .by(0)
            .session(7)
            .leader(4711, "sshd")
            .because("no bus");
        assert_eq!(
            opened.text(),
            "open_session not enforced: user 1000, asked by 0, session 7, leader 4711, \
             service sshd: no bus"
        );
    }
}
