//! What it costs to read a policy and to resolve it for one user, with 10 and 5 000 users named in
//! it, and with a user in 10 and in 500 groups that are all named too:
//! `cargo bench -p fairshare-core`. No name service and no daemon are in it.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use fairshare_core::Policy;
use fairshare_core::policy::{Group, Machine, Source, Subject};

/// Users that policy names, and groups, in all of which the one is who is resolved.
const SIZES: [(u32, u32); 3] = [(10, 10), (5000, 10), (5000, 500)];
/// How many times one round resolves.
const CALLS: u32 = 2000;
/// The best of so many rounds counts: the others were disturbed.
const ROUNDS: u32 = 15;
const FIRST_GID: u32 = 70_001;
const MACHINE: Machine = Machine {
    cpu_thousandths: 64_000,
    mem_bytes: 256 << 30,
    tasks: 4_194_304,
};

fn policy_text(users: u32, groups: u32) -> String {
    let mut text = "defaults: {cpu: 2, mem: 4G}\nmax: {cpu: 8, mem: 32G}\ngroups:\n".to_owned();
    for number in 0..groups {
        writeln!(text, "  group{number}: {{max: {{mem: 40G}}}}").unwrap();
    }
    text.push_str("users:\n");
    for number in 0..users {
        writeln!(text, "  user{number}: {{max: {{mem: 48G}}}}").unwrap();
    }
    text
}

/// The time of one call: the best round.
fn best(calls: u32, mut call: impl FnMut()) -> Duration {
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..calls {
            call();
        }
        begun.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap() / calls
}

fn main() {
    println!("users  groups        read       resolve      explain");
    for (users, groups) in SIZES {
        let source = [Source {
            name: "policy.yaml".to_owned(),
            text: policy_text(users, groups),
        }];
        let read = || Policy::read(&source, &MACHINE).unwrap().0;
        let mut member_of: Vec<Group> = Vec::new();
        for number in 0..groups {
            member_of.push(Group {
                gid: FIRST_GID + number,
                name: Some(format!("group{number}")),
            });
        }
        let subject = Subject {
            uid: 46_001,
            name: Some("user7"),
            groups: &member_of,
        };
        let reading = best(1, || drop(black_box(read())));
        let policy = read();
        let resolving = best(CALLS, || drop(black_box(policy.entitlement(&subject))));
        let explain = best(10, || drop(black_box(policy.explain(&subject))));
        println!(
            "{users:>5} {groups:>7} {:>8} us {:>10} ns {:>9} us",
            reading.as_micros(),
            resolving.as_nanos(),
            explain.as_micros()
        );
    }
}
