//! A machine with many users, drawn from a seed: logins, requests with leases, waits in the queue,
//! reloads, changes of capacity, and a daemon that is killed.
//!
//! What happens is carried out on a ledger and checked after each step. It can be kept as a list of
//! steps, each with all its figures, for others to carry out too: the daemon's own tests do.
#![allow(
    dead_code,
    reason = "each of the tests that this is a part of uses some of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::{
    Budget, Capacity, Event, GaveUp, Leader, Ledger, Moment, Place, Refusal, Terms, WARNINGS,
};
use fairshare_core::{Entitlement, IdleTerms, LeaseTerms};
use fairshare_protocol::{Allocation, Cpus, MemorySize, Period, Tasks, Wait, Wish};

use super::ledger_checks as checks;

pub(crate) const FIRST_UID: u32 = 1000;
/// Everything is counted anew after so many steps, and at each restart.
const STEPS_BETWEEN_COUNTS: u64 = 4000;
/// Until half of what somebody has used is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How large a machine, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) users: u32,
    /// CPUs at the least and below what; each has 4 GiB.
    pub(crate) cpus: (u64, u64),
    /// CPUs of the students' budget.
    pub(crate) students: (u64, u64),
    pub(crate) from: Moment,
    pub(crate) span: Duration,
    /// One step in so many is followed by a restart.
    pub(crate) steps_between_restarts: u64,
    /// After so many steps what it has come to is kept with them.
    pub(crate) steps_between_looks: u64,
    /// The process that leads every session; without it each has its own.
    pub(crate) leader: Option<Leader>,
}

/// Something that happens, with all that is to be known to have it happen again.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: Moment,
    pub(crate) call: Call,
}

/// What happens in a step.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// Nothing but that the ledger's next moment has come.
    Pass,
    Login {
        uid: u32,
    },
    /// `gone`: no process is left behind.
    Logout {
        uid: u32,
        session: u64,
        gone: bool,
    },
    Resize {
        uid: u32,
        asked: Terms,
        /// What does not fit waits.
        waits: Option<Wait>,
        /// It cannot be enforced, and is taken back.
        fails: bool,
    },
    Release {
        uid: u32,
        asked: Terms,
    },
    Renew {
        uid: u32,
        lease: Duration,
    },
    /// Who waits goes away.
    Leave {
        uid: u32,
    },
    Set {
        uid: u32,
        asked: Terms,
    },
    /// Programs use more than the default, from now on or no longer.
    Use {
        uid: u32,
        busy: bool,
    },
    /// Another policy.
    Reload(Rules),
    /// Another machine.
    Capacity(Capacity),
    /// The daemon is killed and starts again.
    Restart,
    /// This is what it has come to.
    Look(Box<Ledger>),
}

/// What policy varies in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether maxima are twice as large.
    pub(crate) larger: bool,
    /// CPUs of the students' budget, each with 4 GiB.
    pub(crate) students: u64,
}

/// `SplitMix64`: small, and the same everywhere.
struct Chance {
    state: u64,
}

impl Chance {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn minutes(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_secs(self.between(low * 60, high * 60))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Login(u32),
    Logout(u64),
    Ask(u32),
    Use(u32),
    Reload,
    Capacity,
    Administrator,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    pub(crate) waited: u64,
    pub(crate) served: u64,
    pub(crate) gave_up: u64,
    pub(crate) warned: u64,
    pub(crate) ended: u64,
    pub(crate) idle: u64,
    pub(crate) restarts: u64,
    pub(crate) longest_queue: usize,
    pub(crate) promises: u64,
}

/// The machine with its users.
pub(crate) struct World {
    scale: Scale,
    pub(crate) ledger: Ledger,
    capacity: Capacity,
    pub(crate) budgets: BTreeMap<String, Budget>,
    /// One for each kind of user; replaced at a reload.
    kinds: Vec<Arc<Entitlement>>,
    agenda: BTreeSet<(Moment, u64, Action)>,
    number: u64,
    now: Moment,
    chance: Chance,
    /// When the first in the queue is served at the latest.
    promise: Option<(u64, Moment)>,
    /// The first in the queue after the last step.
    first: Option<Place>,
    /// Somebody who came before the first was served in this step.
    overtaken: bool,
    /// What was last told of a lease's end.
    told: BTreeMap<u32, (Moment, Duration)>,
    /// Who has used more than the default since it was looked at.
    busy: BTreeSet<u32>,
    pub(crate) tally: Tally,
    /// What has happened, where it is kept.
    trace: Option<Vec<Step>>,
}

/// Prints the seed if what it gave fails.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// What `FAIRSHARE_SIM_SEED` says, or else this.
    pub(crate) fn given_or(seed: u64) -> Self {
        let given = std::env::var("FAIRSHARE_SIM_SEED").ok();
        Self(given.map_or(seed, |given| given.parse().unwrap()))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the same again: FAIRSHARE_SIM_SEED={}", self.0);
        }
    }
}

fn allocation(cpu: u64, gib: u64, tasks: u64) -> Allocation {
    Allocation {
        cpu: Cpus::from_thousandths(cpu * 1000).unwrap(),
        mem: MemorySize::from_bytes(gib << 30).unwrap(),
        tasks: Tasks::new(tasks).unwrap(),
    }
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// Staff, students with a budget, guests who may have less than their default, and those whose
/// grants last until the logout.
fn kinds(larger: bool) -> Vec<Arc<Entitlement>> {
    let more = if larger { 2 } else { 1 };
    let default = allocation(2, 4, 512);
    let max = |cpu: u64, gib: u64| allocation(cpu * more, gib * more, 4096);
    let lease = |default, longest| LeaseTerms {
        default: Some(hours(default)),
        longest: Some(hours(longest)),
    };
    let idle = |after, minutes: u64| {
        Some(IdleTerms {
            after: hours(after),
            notice: Duration::from_secs(minutes * 60),
        })
    };
    let staff = Entitlement {
        lease: lease(8, 168),
        priority: 5,
        ..Entitlement::between(default, max(32, 128))
    };
    let students = Entitlement {
        lease: lease(4, 12),
        idle: idle(2, 15),
        budgets: vec!["students".to_owned()],
        ..Entitlement::between(default, max(16, 64))
    };
    let guests = Entitlement {
        min: allocation(1, 1, 64),
        lease: lease(1, 2),
        idle: idle(1, 1),
        priority: -5,
        budgets: vec!["guests".to_owned(), "students".to_owned()],
        ..Entitlement::between(default, max(8, 16))
    };
    let unleased = Entitlement::between(default, max(8, 32));
    [staff, students, guests, unleased].map(Arc::new).to_vec()
}

fn budgets(students: u64) -> BTreeMap<String, Budget> {
    let students = Budget {
        cpu_thousandths: Some(students * 1000),
        mem_bytes: Some((students * 4) << 30),
        tasks: None,
    };
    let guests = Budget {
        tasks: Some(40_000),
        ..Budget::default()
    };
    [
        ("students".to_owned(), students),
        ("guests".to_owned(), guests),
    ]
    .into()
}

fn capacity(cpus: u64) -> Capacity {
    Capacity {
        cpu_thousandths: cpus * 1000,
        mem_bytes: (cpus * 4) << 30,
    }
}

impl World {
    pub(crate) fn new(seed: u64, scale: Scale) -> Self {
        let middle = |(low, high): (u64, u64)| low.midpoint(high);
        let capacity = capacity(middle(scale.cpus));
        let mut world = Self {
            scale,
            ledger: Ledger::new(capacity),
            capacity,
            budgets: budgets(middle(scale.students)),
            kinds: kinds(false),
            agenda: BTreeSet::new(),
            number: 0,
            now: scale.from,
            chance: Chance { state: seed },
            promise: None,
            first: None,
            overtaken: false,
            told: BTreeMap::new(),
            busy: BTreeSet::new(),
            tally: Tally::default(),
            trace: None,
        };
        world.put_in_force();
        for uid in FIRST_UID..FIRST_UID + scale.users {
            world.plan_login(uid);
        }
        world.plan(hours(20), Action::Reload);
        world.plan(hours(10), Action::Capacity);
        world.plan(hours(5), Action::Administrator);
        world
    }

    /// What policy and machine are before anything happens.
    pub(crate) fn begin(scale: &Scale) -> (Rules, Capacity) {
        let middle = |(low, high): (u64, u64)| low.midpoint(high);
        let rules = Rules {
            larger: false,
            students: middle(scale.students),
        };
        (rules, capacity(middle(scale.cpus)))
    }

    /// Keeps what happens from now on.
    pub(crate) fn keep_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    /// What has happened since [`World::keep_trace`].
    pub(crate) fn take_trace(&mut self) -> Vec<Step> {
        self.trace.take().unwrap_or_default()
    }

    fn note(&mut self, call: Call) {
        let at = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(Step { at, call });
        }
    }

    /// Tells the ledger what policy and machine are now.
    fn put_in_force(&mut self) {
        let now = self.now;
        self.ledger.set_capacity(self.capacity, now);
        self.ledger.set_budgets(self.budgets.clone(), now);
        self.ledger.set_half_life(HALF_LIFE, now);
        let known: Vec<u32> = self.ledger.accounts().map(|(uid, _)| uid).collect();
        for uid in known {
            self.ledger.entitle(uid, &self.kind(uid), now);
        }
    }

    fn plan(&mut self, from_now: Duration, action: Action) {
        self.number += 1;
        self.agenda
            .insert((self.now.after(from_now), self.number, action));
    }

    fn plan_login(&mut self, uid: u32) {
        let away = self.chance.minutes(60, 3 * 24 * 60);
        self.plan(away, Action::Login(uid));
    }

    fn kind(&self, uid: u32) -> Arc<Entitlement> {
        Arc::clone(&self.kinds[usize::try_from(uid).unwrap() % self.kinds.len()])
    }

    /// Lets everything happen until the end.
    pub(crate) fn run(&mut self) {
        let end = self.scale.from.after(self.scale.span);
        while let Some(&(planned, number, action)) = self.agenda.first() {
            // The daemon's timer comes first, as it would.
            let due = self.ledger.next_event().filter(|due| *due <= planned);
            self.now = due.unwrap_or(planned);
            if self.now > end {
                return;
            }
            let before = Before::of(self);
            // A promise that does not hold any more through no fault of the queue.
            let mut excused = false;
            let looked_at = self.look_at_use();
            if due.is_none() {
                self.agenda.remove(&(planned, number, action));
                excused = self.carry_out(action);
            } else {
                self.note(Call::Pass);
            }
            for uid in looked_at {
                self.note(Call::Use { uid, busy: false });
            }
            let events = self.ledger.tick(self.now);
            let idle_or_less = self.hear(events);
            self.look(&before, excused || idle_or_less);
        }
    }

    /// Looks at whoever would be told that a grant is not used, or lose it for that.
    fn look_at_use(&mut self) -> Vec<u32> {
        let mut looked_at = Vec::new();
        for uid in self.ledger.idle_by(self.now) {
            if self.busy.remove(&uid) {
                self.ledger.note_use(uid, self.now);
                looked_at.push(uid);
            }
        }
        looked_at
    }

    /// Returns whether the first in the queue may have to wait longer for it.
    fn carry_out(&mut self, action: Action) -> bool {
        let now = self.now;
        match action {
            Action::Login(uid) => {
                let pid = u32::try_from(self.number).unwrap();
                let leader = Leader { pid, start_time: 1 };
                let leader = self.scale.leader.unwrap_or(leader);
                let kind = self.kind(uid);
                self.note(Call::Login { uid });
                self.ledger.entitle(uid, &kind, now);
                let opened = self.ledger.open_session(uid, leader, "sshd", &kind);
                let stay = self.chance.minutes(20, 14 * 60);
                self.plan(stay, Action::Logout(opened.session));
                if self.chance.percent(70) {
                    let soon = self.chance.minutes(1, 60);
                    self.plan(soon, Action::Ask(uid));
                }
                // A login takes its default from the budget, whoever waits for that.
                true
            }
            Action::Logout(session) => {
                if let Some(closed) = self.ledger.close_session(session, now)
                    && closed.last
                {
                    let uid = closed.uid;
                    self.plan_login(uid);
                    let gone = self.chance.percent(90);
                    if gone {
                        self.ledger.forget(uid, now);
                        self.busy.remove(&uid);
                    }
                    self.note(Call::Logout { uid, session, gone });
                }
                false
            }
            Action::Ask(uid) => self.ask(uid),
            Action::Use(uid) => {
                if self
                    .ledger
                    .account(uid)
                    .is_some_and(|account| account.grant().is_some())
                {
                    self.busy.insert(uid);
                    self.note(Call::Use { uid, busy: true });
                    let pause = self.chance.minutes(10, 200);
                    self.plan(pause, Action::Use(uid));
                }
                false
            }
            Action::Reload => {
                let larger = self.chance.percent(50);
                let (low, high) = self.scale.students;
                let students = self.chance.between(low, high);
                self.note(Call::Reload(Rules { larger, students }));
                self.kinds = kinds(larger);
                self.budgets = budgets(students);
                self.put_in_force();
                let later = self.chance.minutes(60, 10 * 24 * 60);
                self.plan(later, Action::Reload);
                true
            }
            Action::Capacity => {
                let (low, high) = self.scale.cpus;
                self.capacity = capacity(self.chance.between(low, high));
                self.note(Call::Capacity(self.capacity));
                self.put_in_force();
                let later = self.chance.minutes(60, 6 * 24 * 60);
                self.plan(later, Action::Capacity);
                true
            }
            Action::Administrator => {
                let uid =
                    FIRST_UID + u32::try_from(self.chance.below(self.scale.users.into())).unwrap();
                let wish = Wish {
                    cpu: Cpus::from_thousandths(self.chance.between(2, 80) * 1000),
                    ..Wish::default()
                };
                let asked = Terms {
                    wish,
                    lease: Some(self.chance.minutes(30, 3000)),
                    used: MemorySize::ZERO,
                    force: true,
                };
                self.note(Call::Set { uid, asked });
                let set = self.ledger.set(uid, &asked, now);
                assert!(!matches!(
                    set,
                    Err(Refusal::AboveMaximum(_) | Refusal::LeaseTooLong { .. })
                ));
                let later = self.chance.minutes(60, 24 * 60);
                self.plan(later, Action::Administrator);
                true
            }
        }
    }

    /// A user asks for something.
    fn ask(&mut self, uid: u32) -> bool {
        let now = self.now;
        if self.chance.percent(60) {
            let again = self.chance.minutes(20, 600);
            self.plan(again, Action::Ask(uid));
        }
        let wish = Wish {
            cpu: Cpus::from_thousandths(self.chance.between(1, 34) * 1000),
            mem: MemorySize::from_bytes(self.chance.between(1, 130) << 30),
            tasks: None,
        };
        let lease = self.chance.percent(50).then_some(());
        let lease = lease.map(|()| self.chance.minutes(2, 800));
        let used = MemorySize::from_bytes(self.chance.between(0, 30) << 30).unwrap();
        let force = self.chance.percent(20);
        let asked = Terms {
            wish,
            lease,
            used,
            force,
        };
        match self.chance.below(10) {
            0 => {
                self.note(Call::Release { uid, asked });
                let released = self.ledger.release(uid, used, force, now);
                return released.is_ok();
            }
            1 => {
                let lease = lease.unwrap_or(hours(1));
                self.note(Call::Renew { uid, lease });
                let first = self.ledger.queue().first().map(|(uid, _)| *uid);
                let _ = self.ledger.renew(uid, Some(lease), now);
                // Behind the call: the order is that of this moment, of which the ledger has heard.
                return first.is_some_and(|first| self.ledger.comes_before(uid, first));
            }
            2 => {
                if let Some(place) = self.ledger.place(uid) {
                    self.note(Call::Leave { uid });
                    self.ledger.leave(place.waiting.ticket, now);
                }
                return false;
            }
            _ => {}
        }
        // Who comes before the first in the queue need not wait for it.
        let first = self.ledger.queue().first().map(|(uid, _)| *uid);
        let (mut waits, mut fails) = (None, false);
        match self.ledger.resize(uid, &asked, now) {
            Ok(change) => {
                self.tally.admitted += 1;
                let soon = self.chance.minutes(5, 100);
                self.plan(soon, Action::Use(uid));
                if self.chance.percent(2) && change.from != change.to() {
                    // systemd did not answer.
                    self.ledger.revert(uid, &change, now);
                    fails = true;
                }
            }
            Err(Refusal::NoCapacity(_) | Refusal::OthersWait { .. }) => {
                self.tally.refused += 1;
                let patience = self.chance.minutes(5, 24 * 60);
                let patience = self.chance.percent(70).then_some(patience);
                let at_most = |patience: Duration| {
                    Wait::AtMost(Period::from_seconds(patience.as_secs()).unwrap())
                };
                waits = Some(patience.map_or(Wait::Allowed, at_most));
                let deadline = patience.map(|patience| now.after(patience));
                if self
                    .ledger
                    .enqueue(uid, &wish, lease, deadline, now)
                    .is_ok()
                {
                    self.tally.waited += 1;
                }
            }
            Err(_) => self.tally.refused += 1,
        }
        self.note(Call::Resize {
            uid,
            asked,
            waits,
            fails,
        });
        fails || first.is_some_and(|first| self.ledger.comes_before(uid, first))
    }

    /// Checks what the ledger says that has happened. Returns whether somebody has more by it that
    /// nobody could refuse.
    fn hear(&mut self, events: Vec<Event>) -> bool {
        let mut excused = false;
        for event in events {
            match event {
                Event::LeaseEnding { uid, end, left } => {
                    self.tally.warned += 1;
                    assert_eq!(end, self.now.after(left));
                    assert!(WARNINGS.contains(&left), "{left:?} before the end");
                    let told = self.told.insert(uid, (end, left));
                    assert!(
                        told.is_none_or(|told| told.0 != end || told.1 > left),
                        "told twice"
                    );
                }
                Event::LeaseEnded { uid, change } | Event::IdleReturned { uid, change } => {
                    self.tally.ended += 1;
                    assert!(change.gentle);
                    // Room that was made may have let the same user in again.
                    let account = self.ledger.account(uid).unwrap();
                    assert!(account.grant().is_none_or(|grant| grant.since == self.now));
                    let (from, to) = (change.from, change.to());
                    excused |= to.cpu > from.cpu || to.mem > from.mem;
                }
                Event::Idle { uid, end } => {
                    self.tally.idle += 1;
                    assert!(end > self.now, "{uid} has no time to react");
                }
                Event::Admitted {
                    uid,
                    ticket,
                    change,
                } => {
                    self.tally.served += 1;
                    self.overtaken |= self.has_overtaken(uid, ticket);
                    assert!(change.to().cpu >= change.from.cpu);
                    let soon = self.chance.minutes(5, 100);
                    self.plan(soon, Action::Use(uid));
                }
                Event::GaveUp { reason, .. } => {
                    self.tally.gave_up += 1;
                    if let GaveUp::Impossible(sentence) = reason {
                        assert!(!sentence.is_empty());
                    }
                }
                Event::QueueChanged => {}
            }
        }
        excused
    }

    /// Whether a request that was served came before the first of the last step. Use fades, so the
    /// order changes with time alone: who came earlier may have caught up by now.
    fn has_overtaken(&self, uid: u32, ticket: u64) -> bool {
        let Some(first) = &self.first else {
            return false;
        };
        let queue = self.ledger.queue();
        let mut queue = queue.iter();
        let first_user = queue.find(|(_, one)| one.ticket == first.waiting.ticket);
        ticket < first.waiting.ticket
            || first_user.is_some_and(|&(first, _)| self.ledger.comes_before(uid, first))
    }

    /// What must hold after every step.
    fn look(&mut self, before: &Before, excused: bool) {
        self.tally.steps += 1;
        if !excused {
            let bound = checks::bounds_of_machine(self.ledger.capacity());
            let granted = checks::bounds_of_machine(self.ledger.granted());
            checks::not_beyond(before.granted, granted, bound, "the machine");
            for (group, budget) in &self.budgets {
                let used = checks::budget_used(&self.ledger, group);
                checks::not_beyond(before.budgets[group], used, checks::bounds(budget), group);
            }
        }
        let overtaken = std::mem::take(&mut self.overtaken);
        self.keep_promise(excused || overtaken);
        if self.tally.steps.is_multiple_of(STEPS_BETWEEN_COUNTS) {
            checks::check(&self.ledger, &self.budgets);
        }
        if self.chance.below(self.scale.steps_between_restarts) == 0 {
            self.restart();
        }
        self.ledger.take_changed();
        if self.trace.is_some()
            && self
                .tally
                .steps
                .is_multiple_of(self.scale.steps_between_looks)
        {
            self.note(Call::Look(Box::new(self.ledger.clone())));
        }
    }

    /// The first in the queue is served when it was said at the latest, unless somebody else is the
    /// first now.
    fn keep_promise(&mut self, excused: bool) {
        let queue = self.ledger.queue();
        self.tally.longest_queue = self.tally.longest_queue.max(queue.len());
        let Some(&(uid, waiting)) = queue.first() else {
            (self.promise, self.first) = (None, None);
            return;
        };
        let ticket = waiting.ticket;
        let place = self.ledger.place(uid).unwrap();
        assert!(!place.short.is_empty(), "the first would fit");
        if let Some((promised, at)) = self.promise
            && promised == ticket
            && !excused
        {
            self.tally.promises += 1;
            let start = place.start.unwrap();
            assert!(start <= at, "ticket {ticket}: {at:?} became {start:?}");
            assert!(self.now < at, "ticket {ticket} waits beyond {at:?}");
        }
        if let Some(before) = self.first.as_ref().filter(|_| !excused) {
            checks::lacks_no_more(before, &place);
        }
        self.promise = place.start.map(|start| (ticket, start));
        self.first = Some(place);
    }

    /// The daemon is killed and starts again. Its clock is told an earlier time, too. Who waited
    /// has lost their connection.
    fn restart(&mut self) {
        self.tally.restarts += 1;
        checks::check(&self.ledger, &self.budgets);
        let mut restored = checks::restarted(&self.ledger, &self.budgets);
        self.ledger.take_changed();
        assert!(restored == self.ledger, "a restart changed something");
        assert!(restored.tick(self.now.before(hours(1))).is_empty());
        assert!(restored == self.ledger, "an earlier time changed something");
        let waited: Vec<u64> = restored.queue().iter().map(|(_, one)| one.ticket).collect();
        for ticket in waited.into_iter().rev() {
            restored.leave(ticket, self.now);
        }
        restored.tick(self.now);
        self.ledger = restored;
        (self.promise, self.first) = (None, None);
        self.note(Call::Restart);
    }
}

/// What was so before a step.
struct Before {
    granted: checks::Figures,
    budgets: BTreeMap<String, checks::Figures>,
}

impl Before {
    fn of(world: &World) -> Self {
        let names = world.budgets.keys();
        Self {
            granted: checks::bounds_of_machine(world.ledger.granted()),
            budgets: names
                .map(|group| (group.clone(), checks::budget_used(&world.ledger, group)))
                .collect(),
        }
    }
}
