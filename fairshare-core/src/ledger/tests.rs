//! Single rules, each by an example.

use fairshare_protocol::{Allocation, ErrorCode};

use super::*;

fn allocation(cpu: &str, mem: &str) -> Allocation {
    Allocation {
        cpu: cpu.parse().unwrap(),
        mem: mem.parse().unwrap(),
        tasks: "100".parse().unwrap(),
    }
}

fn entitlement() -> Arc<Entitlement> {
    Arc::new(Entitlement::between(
        allocation("2", "8G"),
        allocation("8", "32G"),
    ))
}

fn ledger() -> Ledger {
    Ledger::new(Capacity {
        cpu_thousandths: 16_000,
        mem_bytes: 64 << 30,
    })
}

fn leader(pid: u32) -> Leader {
    Leader { pid, start_time: 5 }
}

fn wish(cpu: &str, mem: &str) -> Wish {
    Wish {
        cpu: cpu.parse().ok(),
        mem: mem.parse().ok(),
        tasks: None,
    }
}

const NONE: MemorySize = MemorySize::ZERO;
const NOW: Moment = Moment::from_millis(1_000_000);

#[test]
fn the_grant_stays_with_one_of_two_sessions_and_goes_with_the_last() {
    let mut ledger = ledger();
    let first = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    let second = ledger.open_session(1000, leader(2), "sshd", &entitlement());
    let change = ledger
        .resize(1000, &wish("4", "16G"), NONE, false, None, NOW)
        .unwrap();
    assert_eq!(change.to(), allocation("4", "16G"));

    let closed = ledger.close_session(first.session, NOW).unwrap();
    assert!(!closed.last && closed.returned.is_none());
    assert_eq!(
        ledger.account(1000).unwrap().allocation(),
        allocation("4", "16G")
    );

    let closed = ledger.close_session(second.session, NOW).unwrap();
    assert_eq!(closed.returned.unwrap().to(), allocation("2", "8G"));
    assert_eq!(
        ledger.account(1000).unwrap().allocation(),
        allocation("2", "8G")
    );
    assert_eq!(ledger.close_session(second.session, NOW), None);
}

#[test]
fn the_same_leader_again_is_the_same_session() {
    let mut ledger = ledger();
    let first = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    let again = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    assert_eq!((again.session, again.again), (first.session, true));
    let reused = Leader {
        pid: 1,
        start_time: 6,
    };
    assert!(
        !ledger
            .open_session(1000, reused, "sshd", &entitlement())
            .again
    );
}

#[test]
fn sentences_of_the_first_version_stand_word_for_word() {
    let mut ledger = ledger();
    ledger.open_session(1000, leader(1), "sshd", &entitlement());
    let refusal = ledger
        .request(1000, &wish("16", "16G"), NONE, NOW)
        .unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::AboveMaximum);
    assert_eq!(
        refusal.to_string(),
        "Request validation failed: Requested CPU (16) exceeds maximum allowed (8)"
    );
    ledger.request(1000, &wish("4", "16G"), NONE, NOW).unwrap();
    let refusal = ledger
        .request(1000, &wish("4", "16G"), NONE, NOW)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "User already has an active resource allocation. Release it first."
    );
}

#[test]
fn shrinking_below_what_is_in_use_needs_force() {
    let mut ledger = ledger();
    ledger.open_session(1000, leader(1), "sshd", &entitlement());
    ledger
        .resize(1000, &wish("2", "32G"), NONE, false, None, NOW)
        .unwrap();
    let used = "20G".parse().unwrap();
    let refusal = ledger
        .resize(1000, &wish("2", "16G"), used, false, None, NOW)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Memory in use (20G) is more than 16G: processes would be killed"
    );
    assert!(matches!(
        ledger.release(1000, used, false, NOW),
        Err(Refusal::MemoryInUse { .. })
    ));
    assert!(
        ledger
            .resize(1000, &wish("4", ""), used, false, None, NOW)
            .is_ok(),
        "memory stays"
    );
    assert!(
        ledger
            .resize(1000, &wish("2", "16G"), used, true, None, NOW)
            .is_ok()
    );
    assert!(ledger.release(1000, used, true, NOW).is_ok());
    assert_eq!(
        ledger.release(1000, NONE, false, NOW),
        Err(Refusal::NoGrant)
    );
}

#[test]
fn a_grant_lies_above_the_default() {
    let mut ledger = ledger();
    ledger.open_session(1000, leader(1), "sshd", &entitlement());
    let refusal = ledger
        .resize(1000, &wish("1", "4G"), NONE, false, None, NOW)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Request validation failed: Requested CPU (1) is below the default (2); \
         Requested memory (4G) is below the default (8G)"
    );
}

#[test]
fn a_resize_to_the_default_gives_the_grant_back() {
    let mut ledger = ledger();
    ledger.open_session(1000, leader(1), "sshd", &entitlement());
    ledger
        .resize(1000, &wish("4", "8G"), NONE, false, None, NOW)
        .unwrap();
    ledger
        .resize(1000, &wish("2", "8G"), NONE, false, None, NOW)
        .unwrap();
    assert_eq!(ledger.account(1000).unwrap().grant(), None);
}

#[test]
fn grants_end_where_the_capacity_ends_and_logins_do_not() {
    let mut ledger = Ledger::new(Capacity {
        cpu_thousandths: 7000,
        mem_bytes: 30 << 30,
    });
    for uid in 1000..1003 {
        ledger.open_session(uid, leader(uid), "sshd", &entitlement());
    }
    ledger
        .resize(1000, &wish("8", "32G"), NONE, false, None, NOW)
        .unwrap();
    let refusal = ledger
        .resize(1001, &wish("4", "16G"), NONE, false, None, NOW)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "The machine has too little left: CPU: 4 asked for, 3 possible now; \
         memory: 16G asked for, 14G possible now"
    );
    ledger
        .resize(1001, &wish("3", "14G"), NONE, false, None, NOW)
        .unwrap();
    ledger.release(1000, NONE, false, NOW).unwrap();
    ledger
        .resize(1001, &wish("8", "32G"), NONE, false, None, NOW)
        .unwrap();
}

#[test]
fn no_session_no_grant() {
    let mut ledger = ledger();
    assert_eq!(
        ledger.resize(1000, &wish("4", ""), NONE, false, None, NOW),
        Err(Refusal::NoSession)
    );
    let opened = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    ledger.close_session(opened.session, NOW);
    assert_eq!(
        ledger.resize(1000, &wish("4", ""), NONE, false, None, NOW),
        Err(Refusal::NoSession)
    );
    assert_eq!(
        ledger.release(1000, NONE, false, NOW),
        Err(Refusal::NoSession)
    );
}

#[test]
fn a_change_that_failed_is_taken_back_unless_another_came_after_it() {
    let mut ledger = ledger();
    ledger.open_session(1000, leader(1), "sshd", &entitlement());
    let first = ledger
        .resize(1000, &wish("4", "16G"), NONE, false, None, NOW)
        .unwrap();
    ledger.revert(1000, &first, NOW);
    assert_eq!(ledger.account(1000).unwrap().grant(), None);

    let first = ledger
        .resize(1000, &wish("4", "16G"), NONE, false, None, NOW)
        .unwrap();
    let second = ledger
        .resize(1000, &wish("6", "24G"), NONE, false, None, NOW)
        .unwrap();
    ledger.revert(1000, &first, NOW);
    assert_eq!(
        ledger.account(1000).unwrap().allocation(),
        allocation("6", "24G")
    );
    ledger.revert(1000, &second, NOW);
    assert_eq!(
        ledger.account(1000).unwrap().allocation(),
        allocation("4", "16G")
    );
}

#[test]
fn a_new_policy_moves_defaults_and_brings_grants_within_its_bounds() {
    let mut ledger = ledger();
    for uid in [1000, 1001] {
        ledger.open_session(uid, leader(uid), "sshd", &entitlement());
    }
    ledger
        .resize(1000, &wish("8", "32G"), NONE, false, None, NOW)
        .unwrap();
    let tighter = Arc::new(Entitlement::between(
        allocation("1", "4G"),
        allocation("4", "16G"),
    ));
    assert_eq!(
        ledger.entitle(1000, &tighter, NOW).unwrap().to(),
        allocation("4", "16G")
    );
    assert_eq!(
        ledger.entitle(1001, &tighter, NOW).unwrap().to(),
        allocation("1", "4G")
    );
    assert_eq!(ledger.entitle(1001, &tighter, NOW), None);
}

#[test]
fn what_was_saved_comes_back() {
    let mut before = ledger();
    let opened = before.open_session(1000, leader(1), "sshd", &entitlement());
    before
        .resize(1000, &wish("4", "16G"), NONE, false, None, NOW)
        .unwrap();
    let mut after = ledger();
    after.restore(before.save(), |_| entitlement());
    assert_eq!(after, before);
    assert_eq!(after.owner(opened.session), Some(1000));
    assert_eq!(after.session_of(1000, 1), Some(opened.session));
    let next = after.open_session(1001, leader(2), "sshd", &entitlement());
    assert_eq!(next.session, opened.session + 1);
}

#[test]
fn a_saved_grant_that_policy_has_overtaken_is_none() {
    let mut before = ledger();
    before.open_session(1000, leader(1), "sshd", &entitlement());
    before
        .resize(1000, &wish("4", "16G"), NONE, false, None, NOW)
        .unwrap();
    let all = Arc::new(Entitlement::between(
        allocation("8", "32G"),
        allocation("8", "32G"),
    ));
    let mut after = ledger();
    after.restore(before.save(), |_| Arc::clone(&all));
    assert_eq!(after.account(1000).unwrap().grant(), None);
    assert_eq!(after.granted(), Capacity::default());
    assert_eq!(after.recent_use(1000), None);
}

#[test]
fn forgetting_a_user_ends_what_was_open() {
    let mut ledger = ledger();
    let opened = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    ledger
        .resize(1000, &wish("4", "16G"), NONE, false, None, NOW)
        .unwrap();
    assert_eq!(ledger.forget(1000, NOW), [opened.session]);
    assert!(ledger.account(1000).is_none() && ledger.owner(opened.session).is_none());
    assert_eq!(ledger.granted(), Capacity::default());
}
