//! The ledger's rules hold after every event of any sequence.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fairshare_core::ledger::{Account, Capacity, Leader, Ledger, Refusal, SavedUser};
use std::sync::Arc;

use fairshare_core::Entitlement;
use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks, Wish};
use proptest::prelude::*;

const CAPACITY: Capacity = Capacity {
    cpu_thousandths: 12_000,
    mem_bytes: 24 << 30,
};

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
        fails: bool,
    },
    Release {
        uid: u32,
        used: MemorySize,
        force: bool,
    },
    Forget {
        uid: u32,
    },
    Policy {
        entitlement: Arc<Entitlement>,
    },
    Restart,
}

fn allocation(cpu: u64, gib: u64, tasks: u64) -> Allocation {
    Allocation {
        cpu: Cpus::from_thousandths(cpu * 500).unwrap(),
        mem: MemorySize::from_bytes(gib << 30).unwrap(),
        tasks: Tasks::new(tasks).unwrap(),
    }
}

fn entitlements() -> impl Strategy<Value = Arc<Entitlement>> {
    (
        1_u64..4,
        1_u64..6,
        1_u64..50,
        0_u64..12,
        0_u64..24,
        0_u64..500,
        0_u64..3,
    )
        .prop_map(|(cpu, mem, tasks, more_cpu, more_mem, more_tasks, swap)| {
            let default = allocation(cpu, mem, tasks);
            let max = allocation(cpu + more_cpu, mem + more_mem, tasks + more_tasks);
            let swap = MemorySize::from_bytes(swap << 30).unwrap();
            Arc::new(Entitlement {
                swap,
                ..Entitlement::between(default, max)
            })
        })
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

fn events() -> impl Strategy<Value = Event> {
    let uid = || 1000_u32..1005;
    let used = || (0_u64..20).prop_map(|gib| MemorySize::from_bytes(gib << 30).unwrap());
    prop_oneof![
        4 => (uid(), 1_u32..40).prop_map(|(uid, pid)| Event::Open { uid, pid }),
        4 => (1_u64..60).prop_map(|session| Event::Close { session }),
        2 => (uid(), wishes(), used())
            .prop_map(|(uid, wish, used)| Event::Request { uid, wish, used }),
        4 => (uid(), wishes(), used(), any::<bool>(), any::<bool>()).prop_map(
            |(uid, wish, used, force, fails)| Event::Resize { uid, wish, used, force, fails }
        ),
        2 => (uid(), used(), any::<bool>())
            .prop_map(|(uid, used, force)| Event::Release { uid, used, force }),
        1 => uid().prop_map(|uid| Event::Forget { uid }),
        1 => entitlements().prop_map(|entitlement| Event::Policy { entitlement }),
        1 => Just(Event::Restart),
    ]
}

/// What grants come to, counted from the accounts and not from the ledger's own sum.
fn granted(ledger: &Ledger) -> (u64, u64) {
    ledger.accounts().fold((0, 0), |(cpu, mem), (_, account)| {
        let (has, default) = (account.allocation(), account.entitlement().default);
        (
            cpu + has.cpu.thousandths() - default.cpu.thousandths(),
            mem + has.mem.bytes() - default.mem.bytes(),
        )
    })
}

fn check_rules(ledger: &Ledger, entitlement: &Entitlement) {
    for (uid, account) in ledger.accounts() {
        let has = account.allocation();
        assert_eq!(account.entitlement(), entitlement, "user {uid}");
        assert_eq!(
            has,
            entitlement.clamp(has),
            "user {uid} is outside of policy"
        );
        assert_eq!(account.limits(), entitlement.limits(has));
        if account.sessions().is_empty() {
            assert_eq!(
                account.grant(),
                None,
                "user {uid} holds a grant without a session"
            );
        }
        for (&session, opened) in account.sessions() {
            assert_eq!(ledger.owner(session), Some(uid));
            assert!(session <= ledger.last_session());
            assert!(ledger.session_of(uid, opened.leader.pid).is_some());
        }
    }
}

/// Carries one event out and checks what it must and must not have changed.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each event, read beside each other"
)]
fn step(ledger: &mut Ledger, entitlement: &mut Arc<Entitlement>, event: &Event) {
    let (cpu_before, mem_before) = granted(ledger);
    let mut admitted = false;
    match *event {
        Event::Open { uid, pid } => {
            let leader = Leader { pid, start_time: 1 };
            let held = ledger
                .account(uid)
                .map_or(entitlement.default, Account::allocation);
            let opened = ledger.open_session(uid, leader, "sshd", entitlement);
            assert_eq!(
                opened.limits.allocation, held,
                "a login changed the allocation"
            );
            assert_eq!(ledger.owner(opened.session), Some(uid));
        }
        Event::Close { session } => {
            if let Some(closed) = ledger.close_session(session) {
                let account = ledger.account(closed.uid).unwrap();
                assert_eq!(closed.last, account.sessions().is_empty());
                if closed.last {
                    assert_eq!(account.allocation(), entitlement.default);
                }
                assert!(ledger.owner(session).is_none());
            }
        }
        Event::Request { uid, wish, used } => {
            let held = ledger.account(uid).and_then(Account::grant);
            admitted = match ledger.request(uid, &wish, used) {
                Ok(_) => {
                    assert!(held.is_none(), "a second first grant");
                    true
                }
                Err(_) => false,
            };
        }
        Event::Resize {
            uid,
            wish,
            used,
            force,
            fails,
        } => {
            let before = ledger.account(uid).cloned();
            match ledger.resize(uid, &wish, used, force) {
                Ok(change) => {
                    admitted = true;
                    let shrinks = change.to().mem < change.from.mem;
                    assert!(force || !shrinks || change.to().mem >= used, "would kill");
                    if fails {
                        ledger.revert(uid, &change);
                        assert_eq!(ledger.account(uid).cloned(), before);
                    }
                }
                Err(_) => assert_eq!(ledger.account(uid).cloned(), before),
            }
        }
        Event::Release { uid, used, force } => {
            let before = ledger.account(uid).cloned();
            match ledger.release(uid, used, force) {
                Ok(change) => assert_eq!(change.to(), entitlement.default),
                Err(Refusal::MemoryInUse { .. }) => assert!(!force),
                Err(_) => assert_eq!(ledger.account(uid).cloned(), before),
            }
        }
        Event::Forget { uid } => {
            ledger.forget(uid);
            assert!(ledger.account(uid).is_none());
        }
        Event::Policy {
            entitlement: ref new,
        } => {
            entitlement.clone_from(new);
            let users: Vec<u32> = ledger.accounts().map(|(uid, _)| uid).collect();
            for uid in users {
                ledger.entitle(uid, new);
            }
        }
        Event::Restart => {
            let mut restored = Ledger::new(CAPACITY);
            for (uid, account) in ledger.accounts() {
                let saved = SavedUser {
                    sessions: account.sessions().clone(),
                    grant: account.grant(),
                };
                restored.restore(uid, saved, entitlement);
            }
            restored.continue_after(ledger.last_session());
            assert!(
                restored.accounts().eq(ledger.accounts()),
                "a restart changed something"
            );
            *ledger = restored;
        }
    }
    if admitted {
        let (cpu, mem) = granted(ledger);
        assert!(
            cpu <= CAPACITY.cpu_thousandths || cpu <= cpu_before,
            "CPU beyond capacity"
        );
        assert!(
            mem <= CAPACITY.mem_bytes || mem <= mem_before,
            "memory beyond capacity"
        );
    }
    check_rules(ledger, entitlement);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn rules_hold_after_every_event(
        first in entitlements(),
        events in prop::collection::vec(events(), 1..120),
    ) {
        let mut entitlement = first;
        let mut ledger = Ledger::new(CAPACITY);
        for event in events {
            step(&mut ledger, &mut entitlement, &event);
        }
    }
}
