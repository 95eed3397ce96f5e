//! What was used over time: looked at now and then, kept, and shown when asked.
//!
//! While anybody uses anything, every user's slice is looked at once a minute. Where nobody does,
//! the next look comes with that for strays, so that an idle daemon wakes up no more than before.
//! Nothing is lost by that: the kernel counts.

use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::Moment;
use fairshare_protocol::{ErrorCode, Period, Reply, Report};
use tokio::sync::Notify;
use tracing::error;

use super::Operations;
use crate::authorise::{Caller, sees_everybody};
use crate::clock::{self, Alarm};
use crate::enforcement::Enforcement;
use crate::history::{Asked, Counted, Reading, Recent};
use crate::people::Person;

/// The time between two looks while anything is used.
const ROUND: Duration = Duration::from_secs(60);
/// The time between two looks where nothing is, and no look for strays comes before: a little more
/// than the built-in time between those.
const LONGEST_ROUND: Duration = Duration::from_secs(6 * 60);
/// CPU time in a round that makes a user one who does something, in microseconds. A user's service
/// manager alone takes less.
const SOMETHING: u64 = 100_000;
/// How long only the CPU time is looked at of a user who does nothing, in milliseconds: what they
/// hold changes little meanwhile.
const LONGEST_LIGHT: u64 = 10 * 60 * 1000;
/// How many readings are handed on together, and how many users are looked at before others run:
/// less than a millisecond of it.
const STEP: usize = 4;
const TOGETHER: usize = 64;
/// How long a report is about where the request does not say: seven days.
const BUILT_IN_SINCE: u64 = 7 * 24 * 3600;

/// What whoever asked is told where the history is silent.
pub(super) const NO_ANSWER: &str =
    "The history does not answer, its disk may be slow; try again later";

/// What is kept between looks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// The daemon is awake anyway.
    awake: Notify,
    /// Users who are not administrators get their reports one after the other.
    reports: tokio::sync::Mutex<()>,
}

/// A user who is looked at.
#[derive(Clone, Debug)]
struct Whose {
    uid: u32,
    /// What the grant has above the default: thousandths of a CPU, and bytes.
    grant: Option<(u64, u64)>,
    person: Option<Arc<Person>>,
}

impl<E: Enforcement> Operations<E> {
    /// Looks at what everybody uses, for as long as the daemon runs.
    pub(crate) async fn follow_use(self: Arc<Self>) {
        let alarm = match Alarm::new() {
            Ok(alarm) => alarm,
            Err(error) => {
                error!("cannot wait for the next look at what is used: {error}");
                return;
            }
        };
        loop {
            let began = clock::now();
            let soon = began.after(ROUND);
            let next = if self.look_at_use().await {
                soon
            } else {
                began.after(LONGEST_ROUND)
            };
            if let Err(error) = self.wait_for_look(&alarm, next, soon).await {
                error!("cannot wait for the next look at what is used: {error}");
                return;
            }
        }
    }

    /// Waits for `next`, or until the daemon is awake anyway, `soon` at the earliest.
    async fn wait_for_look(
        &self,
        alarm: &Alarm,
        next: Moment,
        soon: Moment,
    ) -> std::io::Result<()> {
        alarm.set(Some(next))?;
        loop {
            tokio::select! {
                rang = alarm.rang() => return rang,
                () = self.looks.awake.notified() => {
                    // A round later: whoever has come does something then.
                    alarm.set(Some(next.min(soon)))?;
                }
            }
        }
    }

    /// The daemon is awake, or somebody has come: what is used may be looked at soon.
    pub(super) fn look_at_use_soon(&self) {
        self.looks.awake.notify_one();
    }

    /// Looks at every user's slice. Whether anybody did anything since the last time.
    pub(super) async fn look_at_use(&self) -> bool {
        let everybody = self.book.with(|book| {
            let kept = book.policy().history().is_some();
            let users = book.ledger().accounts().filter(|_| kept);
            users.map(|(uid, _)| uid).collect::<Vec<u32>>()
        });
        let mut used = false;
        for some in everybody.await.chunks(TOGETHER) {
            let mut readings = Vec::new();
            for few in some.chunks(STEP) {
                let few = few.to_vec();
                // Grants and names as they are at this moment.
                let users = self.book.with(move |book| {
                    let users = few.into_iter().filter_map(|uid| whose(book, uid));
                    users.collect::<Vec<Whose>>()
                });
                for whose in users.await {
                    let (reading, did) = self.read_use(&whose, false);
                    readings.extend(reading);
                    used |= did;
                }
                tokio::task::yield_now().await;
            }
            if !readings.is_empty() {
                self.history.keep_readings(readings);
            }
        }
        used
    }

    /// Looks at one user's slice, because it may be gone at the next look.
    pub(super) async fn look_at_use_of(&self, uid: u32) {
        let whose = self.book.with(move |book| {
            let kept = book.policy().history().is_some();
            kept.then(|| whose(book, uid)).flatten()
        });
        if let Some(whose) = whose.await
            && let (Some(reading), _) = self.read_use(&whose, true)
        {
            self.history.keep_readings(vec![reading]);
        }
    }

    /// A look at a user's slice, and whether the user did anything since the last one. Of somebody
    /// who does nothing only the CPU time is looked at, and there is nothing to keep.
    fn read_use(&self, whose: &Whose, wholly: bool) -> (Option<Reading>, bool) {
        let uid = whose.uid;
        let Some(slice) = self.enforcement.look(uid) else {
            return (None, false);
        };
        let at = clock::millis();
        let inode = slice.inode();
        let last = self.history.recently(|recently| recently.last(uid, inode));
        if let Some(((_, before), (whole_at, whole))) = last
            && !wholly
            && at.saturating_sub(whole_at) < LONGEST_LIGHT
            && let Some(cpu) = slice.cpu_used()
            && cpu.saturating_sub(whole) < SOMETHING
        {
            let look = Recent {
                at,
                slice: inode,
                cpu,
            };
            self.history
                .recently(|recently| recently.looked(uid, look, false));
            return (None, cpu.saturating_sub(before) >= SOMETHING);
        }
        let Some(now) = slice.use_so_far() else {
            return (None, false);
        };
        let look = Recent {
            at,
            slice: inode,
            cpu: now.cpu,
        };
        let came = self.history.recently(|recently| {
            recently.looked(uid, look, true);
            recently.when_came(uid)
        });
        let (grant_cpu, grant_mem) = whose.grant.unwrap_or_default();
        let reading = Reading {
            uid,
            slice: inode,
            at,
            wall: clock::unix_time(),
            came,
            counted: Counted {
                cpu: now.cpu,
                throttled: now.throttled,
                stalled: now.stalled,
                held: now.held,
                mem_peak: now.mem_peak,
                tasks_peak: now.tasks_peak,
                grant_cpu,
                grant_mem,
                has_grant: whose.grant.is_some(),
            },
            charged: now.charged,
            tasks: now.tasks,
            person: whose.person.clone(),
        };
        let before = last.map_or(0, |((_, before), _)| before);
        (Some(reading), now.cpu.saturating_sub(before) >= SOMETHING)
    }

    /// `report`.
    pub(crate) async fn report(&self, asked: Report, caller: &Caller) -> Reply {
        let everybody = sees_everybody(caller);
        // Adding up takes the history's thread a while; no user takes all of its time.
        let _one_by_one = if everybody {
            None
        } else {
            Some(self.looks.reports.lock().await)
        };
        let groups = self.book.with(|book| {
            let groups = book.policy().named_groups();
            groups.into_iter().map(str::to_owned).collect()
        });
        // What was used until now.
        match asked.uid.or((!everybody).then_some(caller.uid)) {
            Some(uid) => self.look_at_use_of(uid).await,
            None => drop(self.look_at_use().await),
        }
        let to = clock::unix_time();
        let since = asked.since.map_or(BUILT_IN_SINCE, Period::seconds);
        let question = Asked {
            by: asked.by,
            uid: asked.uid.or((!everybody).then_some(caller.uid)),
            from: to.saturating_sub(since),
            to,
            groups: groups.await,
        };
        match self.history.report(question).await {
            Some(info) => Reply::ReportInfo(info),
            None => Reply::error(ErrorCode::Internal, NO_ANSWER),
        }
    }
}

fn whose(book: &crate::book::Book, uid: u32) -> Option<Whose> {
    let account = book.ledger().account(uid)?;
    let default = account.entitlement().default;
    let grant = account.grant().map(|_| {
        let now = account.allocation();
        let cpu = now
            .cpu
            .thousandths()
            .saturating_sub(default.cpu.thousandths());
        let mem = now.mem.bytes().saturating_sub(default.mem.bytes());
        (cpu, mem)
    });
    Some(Whose {
        uid,
        grant,
        person: Some(book.person(uid)).filter(|person| person.name.is_some()),
    })
}
