//! Strays: looking for processes outside of their user's slice, telling of them, and taking those
//! that policy names into the slice.
//!
//! A look is made every so often, and when somebody asks. Only the former adopts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fairshare_core::Limits;
use fairshare_core::ledger::Moment;
use fairshare_core::policy::{self, StrayTerms};
use fairshare_protocol::{ErrorCode, Reply, StrayInfo, StraysInfo, printable};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Operations;
use super::knowing::REQUEST_PATIENCE;
use crate::authorise::{Caller, sees_everybody};
use crate::clock::{self, Alarm};
use crate::decision::{Decision, Verdict};
use crate::enforcement::{Enforcement, EnforcementError, NewScope};
use crate::leader::{Place, Process};
use crate::people::Person;
use crate::strays::{Finder, Found, Stray, Whom, unit};

/// How long a look is good for those who ask next, at the least.
const LEAST_REST: Duration = Duration::from_secs(1);
/// How many times as long as a look has taken it is good: so looking takes a twentieth of the
/// daemon's time at the most, however often somebody asks.
const REST: u32 = 19;
/// How often one looks again for what was begun while others were adopted.
const ROUNDS: usize = 3;
/// How many users whom the ledger does not have are looked up for one look.
const MAX_LOOKED_UP: usize = 64;

/// What is kept between looks.
pub(super) struct Strays {
    finder: Finder,
    last: tokio::sync::Mutex<Option<Arc<Seen>>>,
    /// Whose strays, in which unit, the log has told of.
    told: std::sync::Mutex<BTreeSet<(u32, Option<String>)>>,
    /// Policy may want something else, or can be followed again.
    soon: Notify,
}

/// A look, without those who are nobody's or whom policy lets be.
#[derive(Debug)]
struct Seen {
    at: Instant,
    took: Duration,
    found: Found,
    people: BTreeMap<u32, Whose>,
}

/// Whose processes they are.
#[derive(Clone, Debug)]
enum Whose {
    /// A user whom policy covers.
    Covered(Arc<Person>),
    /// Somebody whom the name service has not told of in time. They may be exempt.
    Unknown,
}

impl Strays {
    pub(super) fn new(finder: Finder) -> Self {
        Self {
            finder,
            last: tokio::sync::Mutex::default(),
            told: std::sync::Mutex::default(),
            soon: Notify::new(),
        }
    }
}

impl Seen {
    /// Whether whoever asks now is told this.
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < (self.took * REST).max(LEAST_REST)
    }
}

impl<E: Enforcement> Operations<E> {
    /// `strays`: those of everybody, or only the caller's.
    pub(crate) async fn strays(&self, caller: &Caller) -> Reply {
        let seen = match self.look_for_strays(false).await {
            Ok(seen) => seen,
            Err(error) => {
                error!("cannot look for strays: {error}");
                return Reply::error(ErrorCode::Internal, format!("Cannot look: {error}"));
            }
        };
        let shown = |uid: u32| sees_everybody(caller) || uid == caller.uid;
        let terms = self.stray_terms().await;
        let adopting = terms.look.is_some() && !self.is_watching();
        let now = clock::now();
        let Found {
            strays,
            left_out,
            cut,
            ..
        } = &seen.found;
        let mut rows: Vec<StrayInfo> = strays
            .iter()
            .filter(|stray| shown(stray.uid))
            .map(|stray| StrayInfo {
                adopts: adopting && seen.adopts(stray, &terms),
                ..seen.row(stray, now)
            })
            .collect();
        rows.sort_by_key(|row| (row.uid, row.pid));
        let left_out = left_out.iter().filter(|(uid, _)| shown(**uid));
        Reply::StraysInfo(StraysInfo {
            strays: rows,
            more: left_out.map(|(_, count)| count).sum(),
            cut: *cut,
            age_s: seen.at.elapsed().as_secs(),
        })
    }

    /// How many there were when it was last looked; `None` before the first look, and while one is
    /// made.
    pub(super) fn strays_at_last_look(&self) -> Option<u64> {
        let last = self.strays.last.try_lock().ok()?;
        let Found {
            strays, left_out, ..
        } = &last.as_ref()?.found;
        let more: u64 = left_out.values().sum();
        u64::try_from(strays.len()).ok()?.checked_add(more)
    }

    /// Looks as often as policy says, and adopts what it names.
    pub(crate) async fn follow_strays(self: Arc<Self>) {
        let alarm = match Alarm::new() {
            Ok(alarm) => alarm,
            Err(error) => {
                error!("cannot wait for the next look for strays: {error}");
                return;
            }
        };
        loop {
            let look = self.stray_terms().await.look;
            let next = look.map(|look| clock::now().after(look));
            let rang = async {
                alarm.set(next)?;
                alarm.rang().await
            };
            let on_time = tokio::select! {
                rang = rang => match rang {
                    Ok(()) => true,
                    Err(error) => {
                        error!("cannot wait for the next look for strays: {error}");
                        return;
                    }
                },
                () = self.strays.soon.notified() => false,
            };
            let terms = self.stray_terms().await;
            if terms.look.is_some() && (on_time || !terms.adopt.is_empty()) {
                self.look_and_adopt(&terms).await;
                self.look_at_use_soon();
            }
        }
    }

    /// Has the next look made at once where it adopts.
    pub(super) fn look_for_strays_soon(&self) {
        self.strays.soon.notify_one();
    }

    /// Looks, and adopts what policy names. What adopted processes have begun meanwhile is found
    /// by the next look, which follows at once.
    pub(super) async fn look_and_adopt(self: &Arc<Self>, terms: &StrayTerms) {
        for _ in 0..ROUNDS {
            let seen = match self.look_for_strays(true).await {
                Ok(seen) => seen,
                Err(error) => {
                    warn!("cannot look for strays: {error}, ignoring");
                    return;
                }
            };
            self.tell_of_new(&seen, terms);
            if self.is_watching() || !self.adopt_strays(&seen, terms).await {
                return;
            }
            // What was adopted is a stray no more.
            *self.strays.last.lock().await = None;
        }
    }

    async fn stray_terms(&self) -> StrayTerms {
        self.book.with(|book| book.policy().strays().clone()).await
    }

    /// A look; the last one where it is fresh enough.
    async fn look_for_strays(&self, anew: bool) -> io::Result<Arc<Seen>> {
        // Who asks while a look is made waits for it.
        let mut last = self.strays.last.lock().await;
        if let Some(seen) = last.as_ref().filter(|seen| !anew && seen.is_fresh()) {
            return Ok(Arc::clone(seen));
        }
        let begun = Instant::now();
        let uid_min = self.book.with(|book| book.uid_min()).await;
        let whom = Whom {
            covers: &|uid| policy::covers(uid, uid_min),
            slice: &|uid| self.enforcement.slice(uid),
        };
        let mut found = self.strays.finder.look(&whom).await?;
        let took = begun.elapsed();
        let people = self.whose(&found).await;
        found.strays.retain(|one| people.contains_key(&one.uid));
        found.left_out.retain(|uid, _| people.contains_key(uid));
        let seen = Arc::new(Seen {
            at: Instant::now(),
            took,
            found,
            people,
        });
        *last = Some(Arc::clone(&seen));
        Ok(seen)
    }

    /// Whose the strays are. A UID without a user is a container's, and left out.
    async fn whose(&self, found: &Found) -> BTreeMap<u32, Whose> {
        let mut uids: BTreeSet<u32> = found.strays.iter().map(|stray| stray.uid).collect();
        uids.extend(found.left_out.keys());
        let (policy, known) = self
            .book
            .with(move |book| {
                let known: Vec<_> = uids
                    .into_iter()
                    .map(|uid| {
                        let present = book.ledger().account(uid).is_some();
                        (uid, present.then(|| (book.person(uid), book.exempts(uid))))
                    })
                    .collect();
                (book.policy().clone(), known)
            })
            .await;
        let deadline = Instant::now() + REQUEST_PATIENCE;
        let mut people = BTreeMap::new();
        let mut looked_up = 0;
        for (uid, known) in known {
            let whose = match known {
                Some((_, true)) => continue,
                Some((person, false)) => Whose::Covered(person),
                None if looked_up == MAX_LOOKED_UP => Whose::Unknown,
                None => {
                    looked_up += 1;
                    let left = deadline.saturating_duration_since(Instant::now());
                    match self.people.find(uid, &policy, left).await {
                        Ok(person) if person.name.is_none() => continue,
                        Ok(person) if policy.exempts(&person.subject()) => continue,
                        Ok(person) if person.complete => Whose::Covered(person),
                        Ok(_) | Err(_) => Whose::Unknown,
                    }
                }
            };
            people.insert(uid, whose);
        }
        people
    }

    /// One line in the log for each user and unit, when it is seen for the first time by a look
    /// that was not asked for, and again after it was seen no more.
    fn tell_of_new(&self, seen: &Seen, terms: &StrayTerms) {
        let told = self.strays.told.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for ((uid, unit), strays) in by_unit(&seen.found.strays) {
            if unit.is_some_and(|unit| terms.adopts(unit)) && !self.is_watching() {
                continue;
            }
            let key = (uid, unit.map(str::to_owned));
            if !told.contains(&key) {
                let place = printable(unit.unwrap_or("no unit"));
                let strays = Told(&strays);
                info!(
                    uid,
                    "user {uid} has {strays} in {place}, outside of the slice"
                );
            }
            now.insert(key);
        }
        *told = now;
    }

    /// Adopts what policy names; whether there was any.
    async fn adopt_strays(self: &Arc<Self>, seen: &Seen, terms: &StrayTerms) -> bool {
        let mut any = false;
        for ((uid, unit), strays) in by_unit(&seen.found.strays) {
            let Some(Whose::Covered(person)) = seen.people.get(&uid) else {
                continue;
            };
            if let Some(unit) = unit.filter(|unit| terms.adopts(unit)) {
                any |= self.adopt(Arc::clone(person), unit, &strays).await;
            }
        }
        any
    }

    /// Takes processes of one user and unit into the user's slice, the oldest first; whether one was
    /// taken.
    ///
    /// Each gets a scope of its own. Where one of several ends while they are moved, systemd 257
    /// refuses them all, and 252 lets the scope fail and leaves the others in a slice that it has
    /// dropped. In between, other changes of the user have their turn.
    async fn adopt(self: &Arc<Self>, person: Arc<Person>, from: &str, strays: &[&Stray]) -> bool {
        let uid = person.uid;
        let mut oldest_first = strays.to_vec();
        oldest_first.sort_by_key(|stray| stray.process.start_time);
        let mut taken = Vec::new();
        let mut given = None;
        for stray in oldest_first {
            match self.adopt_one(&person, from, stray).await {
                Ok(None) => {}
                Ok(Some(limits)) => {
                    taken.push(stray);
                    given = Some(limits);
                }
                Err(fault) => {
                    let reason = format!("{} of {from}: {fault}", Told(&[stray]));
                    let decision = Decision::new("adopt", Verdict::NotEnforced, uid);
                    decision.because(reason).log();
                    // Limits are tried again where the slice is there; else the user is forgotten.
                    self.try_again(uid);
                    // What systemd says of one process is no reason to leave the others.
                    if matches!(
                        fault,
                        EnforcementError::NoBus | EnforcementError::Deadline { .. }
                    ) {
                        break;
                    }
                }
            }
        }
        if let Some(limits) = given {
            let decision = Decision::new("adopt", Verdict::Granted, uid).to(limits.allocation);
            decision
                .because(format!("{} of {from}", Told(&taken)))
                .log();
        }
        !taken.is_empty()
    }

    /// Takes one process in, and returns the limits that hold for it then; `None` where there is
    /// nothing to be done for it any more.
    async fn adopt_one(
        self: &Arc<Self>,
        person: &Arc<Person>,
        from: &str,
        stray: &Stray,
    ) -> Result<Option<Limits>, EnforcementError> {
        let uid = person.uid;
        let _turn = self.turns.take(uid).await;
        // The look was a while ago.
        if !self.is_still_there(uid, from, stray) || self.lets_be(uid).await {
            return Ok(None);
        }
        let person = Arc::clone(person);
        let limits = self.book.with(move |book| book.hold(person)).await;
        let scope = NewScope::of_stray(uid, stray.process);
        let adopted = self.enforcement.adopt(uid, &scope, &limits).await;
        match self.applied(uid, adopted).await {
            Ok(_) => Ok(Some(limits)),
            Err(_) if Process::find(stray.process).is_none() => {
                // It has ended meanwhile. Somebody else of the user's may be in the slice.
                self.forget_if_gone(uid).await;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Whether it is still a stray of this user and unit. A pidfd is open while that is read, so it
    /// is read of the process that was seen.
    fn is_still_there(&self, uid: u32, from: &str, stray: &Stray) -> bool {
        Process::find(stray.process).is_some_and(|process| {
            process.place(uid, &self.enforcement.slice(uid)) == Place::Elsewhere
                && unit(&process.cgroup) == Some(from)
                && self.strays.finder.is_of(uid, stray.process.pid)
        })
    }
}

impl Seen {
    fn adopts(&self, stray: &Stray, terms: &StrayTerms) -> bool {
        matches!(self.people.get(&stray.uid), Some(Whose::Covered(_)))
            && stray.unit.as_ref().is_some_and(|unit| terms.adopts(unit))
    }

    fn row(&self, stray: &Stray, now: Moment) -> StrayInfo {
        let person = match self.people.get(&stray.uid) {
            Some(Whose::Covered(person)) => Some(person),
            Some(Whose::Unknown) | None => None,
        };
        let ticks = u128::from(stray.process.start_time);
        let started = ticks * 1000 / u128::from(rustix::param::clock_ticks_per_second().max(1));
        let running = u128::from(now.millis()).saturating_sub(started) / 1000;
        StrayInfo {
            uid: stray.uid,
            user: person.and_then(|person| person.name.clone()),
            pid: stray.process.pid,
            command: printable(&stray.command),
            unit: stray.unit.as_deref().map(printable),
            cgroup: printable(&stray.cgroup),
            running_s: u64::try_from(running).unwrap_or(u64::MAX),
            adopts: false,
        }
    }
}

fn by_unit(strays: &[Stray]) -> BTreeMap<(u32, Option<&str>), Vec<&Stray>> {
    let mut units: BTreeMap<_, Vec<&Stray>> = BTreeMap::new();
    for stray in strays {
        let key = (stray.uid, stray.unit.as_deref());
        units.entry(key).or_default().push(stray);
    }
    units
}

/// `1 process, 4711 (sleep)`, or how many and one of them.
struct Told<'a>(&'a [&'a Stray]);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else {
            return f.write_str("no process");
        };
        let (pid, command) = (first.process.pid, printable(&first.command));
        match self.0.len() {
            1 => write!(f, "process {pid} ({command})"),
            count => write!(f, "{count} processes, such as {pid} ({command})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::tests::{Setup, UID, caller};
    use fairshare_core::ledger::Leader;

    /// A process that there cannot be.
    fn stray(uid: u32, pid: u32, unit: Option<&str>) -> Stray {
        Stray {
            uid,
            process: Leader {
                pid,
                start_time: 100,
            },
            command: "job\u{1b}[2J".to_owned(),
            cgroup: format!("/system.slice/{}", unit.unwrap_or_default()),
            unit: unit.map(str::to_owned),
        }
    }

    fn seen(strays: Vec<Stray>) -> Seen {
        let whose = |uid| match uid {
            UID => Whose::Covered(Arc::new(Person::of_uid(UID))),
            _ => Whose::Unknown,
        };
        let people = strays.iter().map(|stray| (stray.uid, whose(stray.uid)));
        Seen {
            at: Instant::now(),
            took: Duration::from_millis(1),
            people: people.collect(),
            found: Found {
                strays,
                left_out: BTreeMap::from([(UID, 3), (UID + 1, 4)]),
                ..Found::default()
            },
        }
    }

    fn adopting(units: &str) -> StrayTerms {
        let text = format!(
            "defaults: {{cpu: 1, mem: 1G}}\nmax: {{cpu: 1, mem: 1G}}\n\
             strays: {{adopt: [{units}]}}\n"
        );
        crate::operations::tests::policy_of(&text).strays().clone()
    }

    #[tokio::test]
    async fn users_see_their_own_and_administrators_all() {
        let setup = Setup::new();
        let strays = vec![
            stray(UID + 1, 7, Some("box.scope")),
            stray(UID, 9, Some("cron.service")),
            stray(UID, 8, None),
        ];
        *setup.operations.strays.last.lock().await = Some(Arc::new(seen(strays)));
        for (asking, pids, more) in [
            (caller(UID), vec![8, 9], 3),
            (caller(UID + 2), vec![], 0),
            (caller(0), vec![8, 9, 7], 7),
        ] {
            let Reply::StraysInfo(info) = setup.operations.strays(&asking).await else {
                panic!("no strays");
            };
            let told: Vec<u32> = info.strays.iter().map(|stray| stray.pid).collect();
            assert_eq!((told, info.more), (pids, more), "{asking:?}");
            assert!(
                info.strays
                    .iter()
                    .all(|stray| !stray.command.contains('\u{1b}'))
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_again_and_again_has_one_look_in_a_while() {
        let setup = Setup::new();
        let seen = Seen {
            took: Duration::from_secs(1),
            ..seen(vec![stray(UID, 9, None)])
        };
        *setup.operations.strays.last.lock().await = Some(Arc::new(seen));
        for (after, fresh) in [(18, true), (2, false)] {
            tokio::time::advance(Duration::from_secs(after)).await;
            let Reply::StraysInfo(info) = setup.operations.strays(&caller(UID)).await else {
                panic!("no strays");
            };
            // There is no cgroup tree here: a new look finds nobody.
            assert_eq!(info.strays.len(), usize::from(fresh));
            assert_eq!(info.age_s, if fresh { after } else { 0 });
        }
    }

    #[test]
    fn only_what_policy_names_of_users_that_are_known_is_adopted() {
        let terms = adopting("cron.service");
        let strays = vec![
            stray(UID, 7, Some("cron.service")),
            stray(UID, 8, Some("box.scope")),
            stray(UID, 9, None),
            stray(UID + 1, 10, Some("cron.service")),
        ];
        let seen = seen(strays);
        let adopts: Vec<bool> = seen
            .found
            .strays
            .iter()
            .map(|one| seen.adopts(one, &terms))
            .collect();
        assert_eq!(adopts, [true, false, false, false]);
    }

    #[tokio::test]
    async fn a_process_that_has_gone_is_not_adopted() {
        let setup = Setup::new();
        let gone = seen(vec![stray(UID, u32::MAX, Some("cron.service"))]);
        let terms = adopting("cron.service");
        assert!(!setup.operations.adopt_strays(&gone, &terms).await);
        assert_eq!(setup.has().await, None, "nobody is held for it");
        assert_eq!(*setup.operations.enforcement.adopted.lock().unwrap(), []);
    }

    #[test]
    fn what_is_told_names_one_of_many() {
        let strays = [stray(UID, 7, None), stray(UID, 8, None)];
        let all: Vec<&Stray> = strays.iter().collect();
        assert_eq!(
            Told(&all).to_string(),
            "2 processes, such as 7 (job\u{fffd}[2J)"
        );
        assert_eq!(Told(&all[..1]).to_string(), "process 7 (job\u{fffd}[2J)");
    }
}
