//! A year of a machine with 500 users: logins, requests with leases, waits in the queue, reloads,
//! changes of capacity, and a daemon that is killed after every kind of step.
//!
//! `FAIRSHARE_SIM_SEED` chooses another year; one that fails prints its seed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

mod ledger_checks;
mod simulated_machine;

use std::time::{Duration, Instant};

use fairshare_core::ledger::Moment;

use ledger_checks as checks;
use simulated_machine::{Scale, Seed, Tally, World};

const SEED: u64 = 0x5eed;
const YEAR: Scale = Scale {
    users: 500,
    cpus: (128, 256),
    students: (300, 500),
    from: Moment::ZERO,
    span: Duration::from_secs(365 * 24 * 60 * 60),
    steps_between_restarts: 1000,
    steps_between_looks: u64::MAX,
    leader: None,
};

#[test]
fn a_year_of_a_machine_with_500_users() {
    let seed = Seed::given_or(SEED);
    let begun = Instant::now();
    let mut world = World::new(seed.0, YEAR);
    world.run();
    checks::check(&world.ledger, &world.budgets);
    println!(
        "seed {}: {:?} in {:.1?}",
        seed.0,
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
