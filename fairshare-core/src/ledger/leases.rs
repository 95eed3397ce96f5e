//! How long a grant lasts, and when the user is told that it ends.

use std::time::Duration;

use super::account::{Account, Grant};
use super::admission::Ask;
use super::refusal::Refusal;
use super::timers::Timer;
use super::{Event, Ledger, Moment};

/// How long before the end of a lease the user is told, farthest first.
pub const WARNINGS: [Duration; 3] = [
    Duration::from_secs(15 * 60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(60),
];

/// When the grant's lease is to be looked at next: at the next warning, else at its end.
pub(super) fn lease_timer(grant: &Grant) -> Option<(Moment, Timer)> {
    let end = grant.lease_end?;
    let warnings = WARNINGS.into_iter().map(|ahead| end.before(ahead));
    let next = warnings.into_iter().find(|at| *at > grant.warned);
    Some(next.map_or((end, Timer::LeaseEnd), |at| (at, Timer::LeaseWarning)))
}

/// The end of a grant that begins or changes now. Where the user does not say, an end that is
/// known stays, and a new grant gets policy's default. An administrator may go beyond the longest.
pub(super) fn lease_end(
    account: &Account,
    lease: Option<Duration>,
    any_length: bool,
    now: Moment,
) -> Result<Option<Moment>, Refusal> {
    let held = account.grant.as_ref();
    let terms = account.entitlement.lease;
    match (lease, held) {
        (
            None,
            Some(Grant {
                lease_end: Some(end),
                ..
            }),
        ) => Ok(Some(*end)),
        (None, Some(_)) if terms.longest.is_none() => Ok(None),
        _ => new_end(account, lease, any_length, now),
    }
}

/// The end of a lease that begins now.
fn new_end(
    account: &Account,
    lease: Option<Duration>,
    any_length: bool,
    now: Moment,
) -> Result<Option<Moment>, Refusal> {
    let terms = account.entitlement.lease;
    if let (Some(asked), Some(longest)) = (lease, terms.longest)
        && asked > longest
        && !any_length
    {
        return Err(Refusal::LeaseTooLong { asked, longest });
    }
    let default = match (terms.default, terms.longest) {
        (Some(default), Some(longest)) => Some(default.min(longest)),
        (default, longest) => default.or(longest),
    };
    Ok(lease.or(default).map(|span| now.after(span)))
}

impl Ledger {
    /// Lets the lease of a grant begin anew: it ends so long from now, policy's default where the
    /// user does not say. Returns its end.
    ///
    /// # Errors
    /// Without a grant or a lease, beyond the longest, and where somebody waits who would be served
    /// later for it.
    pub fn renew(
        &mut self,
        uid: u32,
        lease: Option<Duration>,
        now: Moment,
    ) -> Result<Option<Moment>, Refusal> {
        let now = self.advance(now);
        let account = self.with_session(uid)?;
        let grant = account.grant.ok_or(Refusal::NoGrant)?;
        if grant.lease_end.is_none() {
            return Err(Refusal::NoLease);
        }
        let end = new_end(account, lease, false, now)?;
        self.check_waiting(&Ask {
            uid,
            to: grant.allocation,
            end,
        })?;
        let renewed = Grant {
            lease_end: end,
            warned: now,
            last_use: now,
            noticed: None,
            ..grant
        };
        self.edit(uid, |account| account.grant = Some(renewed));
        self.serve_queue();
        Ok(end)
    }

    /// Whose grant would be told of or taken back by [`Ledger::tick`] at this moment because it is
    /// not used. To be asked before any other call at that moment: who uses the grant after all is
    /// told by [`Ledger::note_use`], and keeps it.
    pub fn idle_by(&self, now: Moment) -> Vec<u32> {
        self.timers.idle_by(now).collect()
    }

    /// The user has been seen using the grant. Without one it means nothing.
    ///
    /// What is due at this moment for want of use is not carried out for this user, so it takes no
    /// note of the time.
    pub fn note_use(&mut self, uid: u32, now: Moment) {
        let now = self.now.max(now);
        let held = self.accounts.get(&uid).and_then(|account| account.grant);
        if held.is_some_and(|grant| grant.last_use < now || grant.noticed.is_some()) {
            self.edit(uid, |account| {
                if let Some(grant) = &mut account.grant {
                    grant.last_use = now;
                    grant.noticed = None;
                }
            });
        }
    }

    /// Carries out what is due for a grant.
    pub(super) fn grant_due(&mut self, uid: u32, timer: Timer) {
        let now = self.now;
        let Some(account) = self.accounts.get(&uid) else {
            return;
        };
        let (Some(grant), idle) = (account.grant, account.entitlement.idle) else {
            return;
        };
        match timer {
            Timer::LeaseWarning => {
                self.edit(uid, |account| {
                    account.grant = Some(Grant {
                        warned: now,
                        ..grant
                    });
                });
                // After a time away the end may have come as well; it is told then.
                if let Some(end) = grant.lease_end.filter(|end| *end > now) {
                    let left = end.since(now);
                    self.tell(Event::LeaseEnding { uid, end, left });
                }
            }
            Timer::LeaseEnd => {
                if let Some(change) = self.put_grant(uid, None, true) {
                    self.tell(Event::LeaseEnded { uid, change });
                }
            }
            Timer::IdleNotice => {
                self.edit(uid, |account| {
                    account.grant = Some(Grant {
                        noticed: Some(now),
                        ..grant
                    });
                });
                if let Some(idle) = idle {
                    let end = grant.last_use.after(idle.after).max(now.after(idle.notice));
                    self.tell(Event::Idle { uid, end });
                }
            }
            Timer::IdleReturn => {
                if let Some(change) = self.put_grant(uid, None, true) {
                    self.tell(Event::IdleReturned { uid, change });
                }
            }
            Timer::WaitEnd => {}
        }
    }
}
