//! What a login and a resize cost with 10, 1 000 and 10 000 users in the ledger:
//! `cargo bench -p fairshare-core`. What counts is the ratio.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_core::ledger::{Budget, Capacity, Leader, Ledger, Moment, Terms};
use fairshare_core::{Entitlement, LeaseTerms};
use fairshare_protocol::{Allocation, MemorySize, Wish};

const SIZES: [u32; 3] = [10, 1000, 10_000];
/// How many calls one round times.
const CALLS: u32 = 2000;
/// The best of so many rounds counts: the others were disturbed.
const ROUNDS: u32 = 15;
const NOW: Moment = Moment::from_millis(1_000_000);

fn allocation(cpu: &str, mem: &str) -> Allocation {
    Allocation {
        cpu: cpu.parse().unwrap(),
        mem: mem.parse().unwrap(),
        tasks: "512".parse().unwrap(),
    }
}

fn entitlement() -> Arc<Entitlement> {
    Arc::new(Entitlement {
        lease: LeaseTerms {
            default: Some(Duration::from_secs(8 * 3600)),
            longest: None,
        },
        budgets: vec!["students".to_owned()],
        ..Entitlement::between(allocation("2", "8G"), allocation("8", "32G"))
    })
}

/// A ledger in which so many users have a session and every second one a grant.
fn ledger(users: u32, entitlement: &Arc<Entitlement>) -> Ledger {
    let mut ledger = Ledger::new(Capacity {
        cpu_thousandths: 1 << 40,
        mem_bytes: 1 << 60,
    });
    let budget = Budget {
        cpu_thousandths: Some(1 << 40),
        ..Budget::default()
    };
    ledger.set_budgets([("students".to_owned(), budget)].into(), NOW);
    for uid in 0..users {
        let leader = Leader {
            pid: uid,
            start_time: 1,
        };
        ledger.open_session(uid, leader, "sshd", entitlement);
        if uid.is_multiple_of(2) {
            ledger.resize(uid, &terms("4"), NOW).unwrap();
        }
    }
    ledger.tick(NOW);
    ledger.take_changed();
    ledger
}

fn terms(cpu: &str) -> Terms {
    Terms {
        wish: Wish {
            cpu: cpu.parse().ok(),
            ..Wish::default()
        },
        lease: None,
        used: MemorySize::ZERO,
        force: false,
    }
}

/// The time of one call, in nanoseconds: the best round.
fn best(mut round: impl FnMut() -> Duration) -> u128 {
    (0..ROUNDS).map(|_| round()).min().unwrap().as_nanos() / u128::from(CALLS)
}

/// A user who comes and goes, as a daemon does it: the changes are taken each time.
fn login(users: u32) -> u128 {
    let entitlement = entitlement();
    let mut ledger = ledger(users, &entitlement);
    let leader = Leader {
        pid: 1,
        start_time: 2,
    };
    best(|| {
        let begun = Instant::now();
        for _ in 0..CALLS {
            let opened = ledger.open_session(users, leader, "sshd", &entitlement);
            ledger.close_session(black_box(opened.session), NOW);
            ledger.tick(NOW);
            ledger.take_changed();
        }
        begun.elapsed()
    })
}

fn resize(users: u32) -> u128 {
    let entitlement = entitlement();
    let mut ledger = ledger(users, &entitlement);
    let (small, large) = (terms("3"), terms("6"));
    best(|| {
        let begun = Instant::now();
        for call in 0..CALLS {
            let terms = if call.is_multiple_of(2) {
                &small
            } else {
                &large
            };
            let change = ledger.resize(users / 2, terms, NOW);
            black_box(change).unwrap();
            ledger.tick(NOW);
            ledger.take_changed();
        }
        begun.elapsed()
    })
}

fn main() {
    println!("users in the ledger   login and logout          resize");
    let first = (login(SIZES[0]), resize(SIZES[0]));
    for users in SIZES {
        let (login, resize) = (login(users), resize(users));
        println!(
            "{users:>19} {login:>8} ns  x {} {resize:>8} ns  x {}",
            ratio(login, first.0),
            ratio(resize, first.1)
        );
    }
}

fn ratio(of: u128, to: u128) -> String {
    let hundredths = of * 100 / to.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
