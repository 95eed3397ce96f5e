//! A year of a machine with 500 users: logins, requests with leases, waits in the queue, reloads,
//! changes of capacity, and a daemon that is killed after every kind of step.
//!
//! `FAIRSHARE_SIM_SEED` chooses another year; one that fails prints its seed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod ledger_checks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_core::ledger::{
    Budget, Capacity, Event, GaveUp, Leader, Ledger, Moment, Place, Refusal, WARNINGS,
};
use fairshare_core::{Entitlement, IdleTerms, LeaseTerms};
use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks, Wish};
use ledger_checks as checks;

const USERS: u32 = 500;
const FIRST_UID: u32 = 1000;
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Everything is counted anew after so many steps, and at each restart.
const STEPS_BETWEEN_COUNTS: u64 = 4000;
/// One step in so many is followed by a restart.
const STEPS_BETWEEN_RESTARTS: u64 = 1000;
const SEED: u64 = 0x5eed;

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
        Duration::from_millis(self.between(low * 60_000, high * 60_000))
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

#[derive(Debug, Default)]
struct Tally {
    steps: u64,
    admitted: u64,
    refused: u64,
    waited: u64,
    served: u64,
    gave_up: u64,
    warned: u64,
    ended: u64,
    idle: u64,
    restarts: u64,
    longest_queue: usize,
    promises: u64,
}

struct World {
    ledger: Ledger,
    budgets: BTreeMap<String, Budget>,
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
    /// What was last told of a lease's end.
    told: BTreeMap<u32, (Moment, Duration)>,
    tally: Tally,
}

/// Prints the seed if the year fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("this year again: FAIRSHARE_SIM_SEED={}", self.0);
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
        idle: idle(1, 0),
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
    fn new(seed: u64) -> Self {
        let mut ledger = Ledger::new(capacity(192));
        ledger.set_budgets(budgets(400), Moment::ZERO);
        let mut world = Self {
            ledger,
            budgets: budgets(400),
            kinds: kinds(false),
            agenda: BTreeSet::new(),
            number: 0,
            now: Moment::ZERO,
            chance: Chance { state: seed },
            promise: None,
            first: None,
            told: BTreeMap::new(),
            tally: Tally::default(),
        };
        for uid in FIRST_UID..FIRST_UID + USERS {
            world.plan_login(uid);
        }
        world.plan(hours(20), Action::Reload);
        world.plan(hours(10), Action::Capacity);
        world.plan(hours(5), Action::Administrator);
        world
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

    fn run(&mut self) {
        let end = Moment::ZERO.after(YEAR);
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
            if due.is_none() {
                self.agenda.remove(&(planned, number, action));
                excused = self.carry_out(action);
            }
            let events = self.ledger.tick(self.now);
            let idle_or_less = self.hear(events);
            self.look(&before, excused || idle_or_less);
        }
    }

    /// Returns whether the first in the queue may have to wait longer for it.
    fn carry_out(&mut self, action: Action) -> bool {
        let now = self.now;
        match action {
            Action::Login(uid) => {
                let pid = u32::try_from(self.number).unwrap();
                let leader = Leader { pid, start_time: 1 };
                let opened = self
                    .ledger
                    .open_session(uid, leader, "sshd", &self.kind(uid));
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
                    self.plan_login(closed.uid);
                    if self.chance.percent(90) {
                        self.ledger.forget(closed.uid, now);
                    }
                }
                false
            }
            Action::Ask(uid) => self.ask(uid),
            Action::Use(uid) => {
                self.ledger.note_use(uid, now);
                if self
                    .ledger
                    .account(uid)
                    .is_some_and(|account| account.grant().is_some())
                {
                    let pause = self.chance.minutes(10, 200);
                    self.plan(pause, Action::Use(uid));
                }
                false
            }
            Action::Reload => {
                let larger = self.chance.percent(50);
                self.kinds = kinds(larger);
                let students = self.chance.between(300, 500);
                self.budgets = budgets(students);
                self.ledger.set_budgets(self.budgets.clone(), now);
                let known: Vec<u32> = self.ledger.accounts().map(|(uid, _)| uid).collect();
                for uid in known {
                    self.ledger.entitle(uid, &self.kind(uid), now);
                }
                let later = self.chance.minutes(60, 10 * 24 * 60);
                self.plan(later, Action::Reload);
                true
            }
            Action::Capacity => {
                let cpus = self.chance.between(128, 256);
                self.ledger.set_capacity(capacity(cpus), now);
                let later = self.chance.minutes(60, 6 * 24 * 60);
                self.plan(later, Action::Capacity);
                true
            }
            Action::Administrator => {
                let uid = FIRST_UID + u32::try_from(self.chance.below(USERS.into())).unwrap();
                let wish = Wish {
                    cpu: Cpus::from_thousandths(self.chance.between(2, 80) * 1000),
                    ..Wish::default()
                };
                let lease = Some(self.chance.minutes(30, 3000));
                let set = self
                    .ledger
                    .set(uid, &wish, lease, MemorySize::ZERO, true, now);
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
        match self.chance.below(10) {
            0 => {
                let released = self.ledger.release(uid, used, force, now);
                return released.is_ok();
            }
            1 => {
                let first = self.ledger.queue().first().map(|(uid, _)| *uid);
                let _ = self.ledger.renew(uid, lease, now);
                return first.is_some_and(|first| self.ledger.comes_before(uid, first));
            }
            2 => {
                if let Some(place) = self.ledger.place(uid) {
                    self.ledger.leave(place.waiting.ticket, now);
                }
                return false;
            }
            _ => {}
        }
        // Who comes before the first in the queue need not wait for it.
        let first = self.ledger.queue().first().map(|(uid, _)| *uid);
        let goes_first = first.is_some_and(|first| self.ledger.comes_before(uid, first));
        match self.ledger.resize(uid, &wish, used, force, lease, now) {
            Ok(change) => {
                self.tally.admitted += 1;
                let soon = self.chance.minutes(5, 100);
                self.plan(soon, Action::Use(uid));
                if self.chance.percent(2) {
                    // systemd did not answer.
                    self.ledger.revert(uid, &change, now);
                    return true;
                }
            }
            Err(Refusal::NoCapacity(_) | Refusal::OthersWait { .. }) => {
                self.tally.refused += 1;
                let patience = self.chance.minutes(5, 24 * 60);
                let deadline = self.chance.percent(70).then(|| now.after(patience));
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
        goes_first
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
                Event::Admitted { uid, change, .. } => {
                    self.tally.served += 1;
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
        self.keep_promise(excused);
        if self.tally.steps.is_multiple_of(STEPS_BETWEEN_COUNTS) {
            checks::check(&self.ledger, &self.budgets);
        }
        if self.chance.below(STEPS_BETWEEN_RESTARTS) == 0 {
            self.restart();
        }
        self.ledger.take_changed();
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

    /// The daemon is killed and starts again. Its clock is told an earlier time, too.
    fn restart(&mut self) {
        self.tally.restarts += 1;
        checks::check(&self.ledger, &self.budgets);
        let mut restored = checks::restarted(&self.ledger, &self.budgets);
        self.ledger.take_changed();
        assert!(restored == self.ledger, "a restart changed something");
        assert!(restored.tick(self.now.before(hours(1))).is_empty());
        assert!(restored == self.ledger, "an earlier time changed something");
        self.ledger = restored;
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

#[test]
fn a_year_of_a_machine_with_500_users() {
    let seed = std::env::var("FAIRSHARE_SIM_SEED").ok();
    let seed = seed.map_or(SEED, |seed| seed.parse().unwrap());
    let shown = Seed(seed);
    let begun = Instant::now();
    let mut world = World::new(seed);
    world.run();
    checks::check(&world.ledger, &world.budgets);
    println!(
        "seed {}: {:?} in {:.1?}",
        shown.0,
        world.tally,
        begun.elapsed()
    );
    let Tally {
        served,
        promises,
        restarts,
        warned,
        idle,
        ..
    } = world.tally;
    // A year in which nothing waits shows nothing.
    assert!(served > 100 && promises > 100 && restarts > 100 && warned > 100 && idle > 100);
}
