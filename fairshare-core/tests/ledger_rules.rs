//! The ledger's rules hold after every event of any sequence.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod ledger_checks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairshare_core::Entitlement;
use fairshare_core::IdleTerms;
use fairshare_core::LeaseTerms;
use fairshare_core::ledger::{
    Account, Budget, Capacity, Event as Happened, Leader, Ledger, Moment, Place, Refusal, Terms,
};
use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks, Wish};
use ledger_checks as checks;
use proptest::prelude::*;

const GROUPS: [&str; 2] = ["students", "staff"];

#[derive(Clone, Debug)]
enum Event {
    Open {
        uid: u32,
        pid: u32,
    },
    Close {
        session: u64,
    },
    Request {
        uid: u32,
        wish: Wish,
        used: MemorySize,
    },
    Resize {
        uid: u32,
        wish: Wish,
        used: MemorySize,
        force: bool,
        lease: Option<Duration>,
        fails: bool,
    },
    Set {
        uid: u32,
        wish: Wish,
        lease: Option<Duration>,
    },
    Renew {
        uid: u32,
        lease: Option<Duration>,
    },
    Release {
        uid: u32,
        used: MemorySize,
        force: bool,
    },
    Enqueue {
        uid: u32,
        wish: Wish,
        lease: Option<Duration>,
        wait: Option<Duration>,
    },
    Leave {
        ticket: u64,
    },
    Use {
        uid: u32,
    },
    Forget {
        uid: u32,
    },
    Policy {
        uid: u32,
        entitlement: Arc<Entitlement>,
    },
    Capacity {
        capacity: Capacity,
    },
    Budgets {
        budgets: BTreeMap<String, Budget>,
    },
    Later {
        by: Duration,
    },
    ClockWentBack {
        by: Duration,
    },
    Restart,
}

fn terms(wish: &Wish, used: MemorySize, force: bool, lease: Option<Duration>) -> Terms {
    Terms {
        wish: *wish,
        lease,
        used,
        force,
    }
}

fn allocation(cpu: u64, gib: u64, tasks: u64) -> Allocation {
    Allocation {
        cpu: Cpus::from_thousandths(cpu * 500).unwrap(),
        mem: MemorySize::from_bytes(gib << 30).unwrap(),
        tasks: Tasks::new(tasks).unwrap(),
    }
}

fn minutes(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(|minutes| Duration::from_secs(minutes * 60))
}

fn entitlements() -> impl Strategy<Value = Arc<Entitlement>> {
    let sizes = (
        1_u64..4,
        1_u64..6,
        1_u64..50,
        0_u64..12,
        0_u64..24,
        0_u64..500,
    );
    let terms = (
        any::<bool>(),
        prop::option::of(minutes(1..600)),
        prop::option::of(minutes(60..900)),
        prop::option::of((minutes(5..300), minutes(0..30))),
        -1_i32..2,
        prop::sample::subsequence(GROUPS.to_vec(), 0..=2),
    );
    (sizes, terms).prop_map(
        |(sizes, (low, default_lease, longest, idle, priority, groups))| {
            let (cpu, mem, tasks, more_cpu, more_mem, more_tasks) = sizes;
            let default = allocation(cpu, mem, tasks);
            let max = allocation(cpu + more_cpu, mem + more_mem, tasks + more_tasks);
            Arc::new(Entitlement {
                min: if low { allocation(1, 1, 1) } else { default },
                lease: LeaseTerms {
                    default: default_lease,
                    longest,
                },
                idle: idle.map(|(after, notice)| IdleTerms { after, notice }),
                priority,
                budgets: groups.into_iter().map(str::to_owned).collect(),
                ..Entitlement::between(default, max)
            })
        },
    )
}

fn wishes() -> impl Strategy<Value = Wish> {
    let cpu = prop::option::of(1_u64..20);
    let mem = prop::option::of(0_u64..40);
    let tasks = prop::option::of(1_u64..600);
    (cpu, mem, tasks).prop_map(|(cpu, mem, tasks)| Wish {
        cpu: cpu.and_then(|halves| Cpus::from_thousandths(halves * 500)),
        mem: mem.and_then(|gib| MemorySize::from_bytes(gib << 30)),
        tasks: tasks.and_then(Tasks::new),
    })
}

fn capacities() -> impl Strategy<Value = Capacity> {
    (1_u64..24, 1_u64..48).prop_map(|(halves, gib)| Capacity {
        cpu_thousandths: halves * 500,
        mem_bytes: gib << 30,
    })
}

fn budgets() -> impl Strategy<Value = BTreeMap<String, Budget>> {
    let budget = (
        prop::option::of(1_u64..20),
        prop::option::of(1_u64..40),
        prop::option::of(1_u64..900),
    );
    let budget = budget.prop_map(|(halves, gib, tasks)| Budget {
        cpu_thousandths: halves.map(|halves| halves * 500),
        mem_bytes: gib.map(|gib| gib << 30),
        tasks,
    });
    prop::collection::btree_map(
        prop::sample::select(&GROUPS).prop_map(str::to_owned),
        budget,
        0..3,
    )
}

fn events() -> impl Strategy<Value = Event> {
    let uid = || 1000_u32..1006;
    let used = || (0_u64..20).prop_map(|gib| MemorySize::from_bytes(gib << 30).unwrap());
    let lease = || prop::option::of(minutes(1..700));
    prop_oneof![
        6 => (uid(), 1_u32..40).prop_map(|(uid, pid)| Event::Open { uid, pid }),
        3 => (1_u64..60).prop_map(|session| Event::Close { session }),
        2 => (uid(), wishes(), used())
            .prop_map(|(uid, wish, used)| Event::Request { uid, wish, used }),
        5 => (uid(), wishes(), used(), any::<bool>(), lease(), any::<bool>()).prop_map(
            |(uid, wish, used, force, lease, fails)| Event::Resize { uid, wish, used, force, lease, fails }
        ),
        1 => (uid(), wishes(), lease()).prop_map(|(uid, wish, lease)| Event::Set { uid, wish, lease }),
        2 => (uid(), lease()).prop_map(|(uid, lease)| Event::Renew { uid, lease }),
        2 => (uid(), used(), any::<bool>())
            .prop_map(|(uid, used, force)| Event::Release { uid, used, force }),
        5 => (uid(), wishes(), lease(), lease())
            .prop_map(|(uid, wish, lease, wait)| Event::Enqueue { uid, wish, lease, wait }),
        1 => (1_u64..30).prop_map(|ticket| Event::Leave { ticket }),
        1 => uid().prop_map(|uid| Event::Use { uid }),
        1 => uid().prop_map(|uid| Event::Forget { uid }),
        1 => (uid(), entitlements()).prop_map(|(uid, entitlement)| Event::Policy { uid, entitlement }),
        1 => capacities().prop_map(|capacity| Event::Capacity { capacity }),
        1 => budgets().prop_map(|budgets| Event::Budgets { budgets }),
        4 => minutes(1..200).prop_map(|by| Event::Later { by }),
        1 => minutes(1..200).prop_map(|by| Event::ClockWentBack { by }),
        1 => Just(Event::Restart),
    ]
}

/// A ledger with what surrounds it.
struct World {
    ledger: Ledger,
    budgets: BTreeMap<String, Budget>,
    entitlements: BTreeMap<u32, Arc<Entitlement>>,
    fallback: Arc<Entitlement>,
    now: Moment,
}

/// What an event may do to the rules on growing.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Grants are admitted, or something goes back.
    Decides,
    /// A default is had that nobody can refuse, or the rules themselves have changed.
    Moves,
}

impl World {
    fn entitlement(&self, uid: u32) -> Arc<Entitlement> {
        Arc::clone(self.entitlements.get(&uid).unwrap_or(&self.fallback))
    }

    /// The first in the queue with the moment at which it can be served.
    fn head(&self) -> Option<(u64, Option<Moment>)> {
        let place = self.first()?;
        Some((place.waiting.ticket, place.start))
    }

    fn first(&self) -> Option<Place> {
        let (uid, _) = *self.ledger.queue().first()?;
        self.ledger.place(uid)
    }

    /// Whether this is asked by somebody who comes before the first in the queue.
    fn goes_first(&self, event: &Event) -> bool {
        let first = self.ledger.queue().first().map(|(uid, _)| *uid);
        match (event, first) {
            (
                Event::Request { uid, .. }
                | Event::Resize { uid, .. }
                | Event::Renew { uid, .. }
                | Event::Enqueue { uid, .. },
                Some(first),
            ) => self.ledger.comes_before(*uid, first),
            _ => false,
        }
    }

    fn unchanged(&self, before: &Ledger) {
        let mut after = self.ledger.clone();
        let mut before = before.clone();
        // What was due by now is carried out in any case.
        before.tick(self.now);
        after.tick(self.now);
        before.take_changed();
        after.take_changed();
        assert_eq!(after, before, "a refusal changed something");
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each event, read beside each other"
    )]
    fn carry_out(&mut self, event: &Event) -> Kind {
        let now = self.now;
        let before = self.ledger.clone();
        match *event {
            Event::Open { uid, pid } => {
                let leader = Leader { pid, start_time: 1 };
                let entitlement = self.entitlement(uid);
                let held = before
                    .account(uid)
                    .map_or(entitlement.default, Account::allocation);
                let opened = self.ledger.open_session(uid, leader, "sshd", &entitlement);
                assert_eq!(
                    opened.limits.allocation, held,
                    "a login changed the allocation"
                );
                return Kind::Moves;
            }
            Event::Close { session } => {
                if let Some(closed) = self.ledger.close_session(session, now) {
                    let account = self.ledger.account(closed.uid).unwrap();
                    assert_eq!(closed.last, account.sessions().is_empty());
                    assert!(!closed.last || self.ledger.place(closed.uid).is_none());
                    assert!(!closed.last || account.grant().is_none());
                }
                return Kind::Moves;
            }
            Event::Request { uid, wish, used } => {
                match self.ledger.request(uid, &wish, used, now) {
                    Ok(change) => assert!(change.before.is_none(), "a second first grant"),
                    Err(_) => self.unchanged(&before),
                }
            }
            Event::Resize {
                uid,
                wish,
                used,
                force,
                lease,
                fails,
            } => match self
                .ledger
                .resize(uid, &terms(&wish, used, force, lease), now)
            {
                Ok(change) => {
                    let shrinks = change.to().mem < change.from.mem;
                    assert!(force || !shrinks || change.to().mem >= used, "would kill");
                    if let (Some(grant), Some(lease)) = (change.after, lease) {
                        assert_eq!(grant.lease_end, Some(now.after(lease)));
                    }
                    if fails {
                        self.ledger.revert(uid, &change, now);
                        return Kind::Moves;
                    }
                }
                Err(refusal) => {
                    self.unchanged(&before);
                    self.check_refusal(uid, &refusal, force, lease);
                }
            },
            Event::Set { uid, wish, lease } => {
                if self
                    .ledger
                    .set(uid, &terms(&wish, MemorySize::ZERO, true, lease), now)
                    .is_err()
                {
                    self.unchanged(&before);
                }
                return Kind::Moves;
            }
            Event::Renew { uid, lease } => match self.ledger.renew(uid, lease, now) {
                Ok(end) => {
                    let grant = self.ledger.account(uid).unwrap().grant();
                    assert!(grant.is_none_or(|grant| grant.lease_end == end));
                }
                Err(_) => self.unchanged(&before),
            },
            Event::Release { uid, used, force } => {
                match self.ledger.release(uid, used, force, now) {
                    Ok(change) => assert!(change.after.is_none()),
                    Err(refusal) => {
                        assert!(!force || !matches!(refusal, Refusal::MemoryInUse { .. }));
                        self.unchanged(&before);
                    }
                }
                return Kind::Moves;
            }
            Event::Enqueue {
                uid,
                wish,
                lease,
                wait,
            } => {
                let deadline = wait.map(|wait| now.after(wait));
                if self
                    .ledger
                    .enqueue(uid, &wish, lease, deadline, now)
                    .is_err()
                {
                    self.unchanged(&before);
                }
            }
            Event::Leave { ticket } => {
                if let Some(uid) = self.ledger.leave(ticket, now) {
                    assert!(self.ledger.place(uid).is_none());
                }
            }
            Event::Use { uid } => self.ledger.note_use(uid, now),
            Event::Forget { uid } => {
                self.ledger.forget(uid, now);
                assert!(self.ledger.account(uid).is_none() && self.ledger.place(uid).is_none());
            }
            Event::Policy {
                uid,
                ref entitlement,
            } => {
                self.entitlements.insert(uid, Arc::clone(entitlement));
                self.ledger.entitle(uid, entitlement, now);
                return Kind::Moves;
            }
            Event::Capacity { capacity } => {
                self.ledger.set_capacity(capacity, now);
                return Kind::Moves;
            }
            Event::Budgets { ref budgets } => {
                self.budgets.clone_from(budgets);
                self.ledger.set_budgets(budgets.clone(), now);
                return Kind::Moves;
            }
            Event::Later { by } => self.now = now.after(by),
            Event::ClockWentBack { by } => {
                assert!(self.ledger.tick(now.before(by)).is_empty());
                self.unchanged(&before);
            }
            Event::Restart => {
                let restored = checks::restarted(&self.ledger, &self.budgets);
                self.ledger.take_changed();
                assert_eq!(restored, self.ledger, "a restart changed something");
                self.ledger = restored;
            }
        }
        Kind::Decides
    }

    /// The largest that would be admitted is admitted, and nothing larger.
    fn check_refusal(&self, uid: u32, refusal: &Refusal, force: bool, lease: Option<Duration>) {
        if let Refusal::NoCapacity(shortage) = refusal
            && self.ledger.queue().is_empty()
        {
            assert!(!shortage.short.is_empty());
            let Allocation { cpu, mem, tasks } = shortage.largest;
            let entitlement = self.ledger.account(uid).unwrap().entitlement().clone();
            let (min, max) = (entitlement.min, entitlement.max);
            if shortage.largest != entitlement.clamp(shortage.largest) {
                // Held by an administrator's leave.
                assert!(
                    cpu > max.cpu || mem > max.mem || tasks > max.tasks,
                    "{min:?}"
                );
                return;
            }
            let wish = Wish {
                cpu: Some(cpu),
                mem: Some(mem),
                tasks: Some(tasks),
            };
            let mut other = self.ledger.clone();
            let again = other.resize(uid, &terms(&wish, MemorySize::ZERO, force, lease), self.now);
            assert!(again.is_ok(), "{shortage:?}: {again:?}");
        }
    }

    fn step(&mut self, event: &Event) {
        let (before, head) = (checks::count(&self.ledger), self.head());
        let (goes_first, first) = (self.goes_first(event), self.first());
        let kind = self.carry_out(event);
        let happened = self.ledger.tick(self.now);
        let mut moved = kind == Kind::Moves;
        let waits_first = self.ledger.queue().first().map(|(uid, _)| *uid);
        let mut own_grant_ended = false;
        for event in &happened {
            if let Happened::LeaseEnded { uid, change } | Happened::IdleReturned { uid, change } =
                event
            {
                // What is possible is never less than what one has: it falls with one's own grant.
                own_grant_ended |= waits_first == Some(*uid);
                assert!(change.gentle && change.after.is_none());
                // The default is more than what was held: no budget refuses it.
                let (from, to) = (change.from, change.to());
                moved |= to.cpu > from.cpu || to.mem > from.mem || to.tasks > from.tasks;
            }
        }
        if !moved {
            let after = checks::count(&self.ledger);
            let machine = checks::bounds_of_machine(self.ledger.capacity());
            checks::not_beyond(before.above, after.above, machine, "the machine");
            for (group, budget) in &self.budgets {
                let figures = |counted: &checks::Counted| {
                    counted.groups.get(group).copied().unwrap_or_default()
                };
                let bounds = checks::bounds(budget);
                checks::not_beyond(figures(&before), figures(&after), bounds, group);
            }
            if !goes_first
                && !own_grant_ended
                && let (Some(before), Some(after)) = (&first, &self.first())
            {
                checks::lacks_no_more(before, after);
            }
            // Nobody passed at the cost of the first.
            if !goes_first
                && let (Some((first, promised)), Some((still, start))) = (head, self.head())
                && first == still
                && let Some(promised) = promised
            {
                let start = start.unwrap();
                assert!(
                    start <= promised.max(self.now),
                    "{promised:?} became {start:?}"
                );
            }
        }
        checks::check(&self.ledger, &self.budgets);
        self.ledger.take_changed();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn rules_hold_after_every_event(
        first in entitlements(),
        capacity in capacities(),
        budgets in budgets(),
        events in prop::collection::vec(events(), 1..120),
    ) {
        let mut ledger = Ledger::new(capacity);
        ledger.set_budgets(budgets.clone(), Moment::ZERO);
        let mut world = World {
            ledger,
            budgets,
            entitlements: BTreeMap::new(),
            fallback: first,
            now: Moment::from_millis(60_000_000),
        };
        world.ledger.tick(world.now);
        for event in events {
            world.step(&event);
        }
    }
}
