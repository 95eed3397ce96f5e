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

fn terms(wish: &Wish, used: MemorySize, force: bool, lease: Option<Duration>) -> Terms {
    Terms {
        wish: *wish,
        lease,
        used,
        force,
    }
}

#[test]
fn the_grant_stays_with_one_of_two_sessions_and_goes_with_the_last() {
    let mut ledger = ledger();
    let first = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    let second = ledger.open_session(1000, leader(2), "sshd", &entitlement());
    let change = ledger
        .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
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
        .resize(1000, &terms(&wish("2", "32G"), NONE, false, None), NOW)
        .unwrap();
    let used = "20G".parse().unwrap();
    let refusal = ledger
        .resize(1000, &terms(&wish("2", "16G"), used, false, None), NOW)
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
            .resize(1000, &terms(&wish("4", ""), used, false, None), NOW)
            .is_ok(),
        "memory stays"
    );
    assert!(
        ledger
            .resize(1000, &terms(&wish("2", "16G"), used, true, None), NOW)
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
        .resize(1000, &terms(&wish("1", "4G"), NONE, false, None), NOW)
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
        .resize(1000, &terms(&wish("4", "8G"), NONE, false, None), NOW)
        .unwrap();
    ledger
        .resize(1000, &terms(&wish("2", "8G"), NONE, false, None), NOW)
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
        .resize(1000, &terms(&wish("8", "32G"), NONE, false, None), NOW)
        .unwrap();
    let refusal = ledger
        .resize(1001, &terms(&wish("4", "16G"), NONE, false, None), NOW)
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "The machine has too little left: CPU: 4 asked for, 3 possible now; \
         memory: 16G asked for, 14G possible now"
    );
    ledger
        .resize(1001, &terms(&wish("3", "14G"), NONE, false, None), NOW)
        .unwrap();
    ledger.release(1000, NONE, false, NOW).unwrap();
    ledger
        .resize(1001, &terms(&wish("8", "32G"), NONE, false, None), NOW)
        .unwrap();
}

#[test]
fn no_session_no_grant() {
    let mut ledger = ledger();
    assert_eq!(
        ledger.resize(1000, &terms(&wish("4", ""), NONE, false, None), NOW),
        Err(Refusal::NoSession)
    );
    let opened = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    ledger.close_session(opened.session, NOW);
    assert_eq!(
        ledger.resize(1000, &terms(&wish("4", ""), NONE, false, None), NOW),
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
        .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
        .unwrap();
    ledger.revert(1000, &first, NOW);
    assert_eq!(ledger.account(1000).unwrap().grant(), None);

    let first = ledger
        .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
        .unwrap();
    let second = ledger
        .resize(1000, &terms(&wish("6", "24G"), NONE, false, None), NOW)
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
        .resize(1000, &terms(&wish("8", "32G"), NONE, false, None), NOW)
        .unwrap();
    let tighter = Arc::new(Entitlement::between(
        allocation("1", "4G"),
        allocation("4", "16G"),
    ));
    let cut = ledger.entitle(1000, &tighter, NOW).unwrap();
    assert_eq!(cut.to(), allocation("4", "16G"));
    let moved = ledger.entitle(1001, &tighter, NOW).unwrap();
    assert_eq!(moved.to(), allocation("1", "4G"));
    // Neither has asked for it: memory in use is no reason to kill.
    assert!(cut.gentle && moved.gentle);
    assert_eq!(ledger.entitle(1001, &tighter, NOW), None);
    let wider = Arc::new(Entitlement::between(
        allocation("2", "8G"),
        allocation("8", "32G"),
    ));
    ledger.close_session(1, NOW);
    assert!(!ledger.entitle(1000, &wider, NOW).unwrap().gentle);
}

#[test]
fn what_was_saved_comes_back() {
    let mut before = ledger();
    let opened = before.open_session(1000, leader(1), "sshd", &entitlement());
    before
        .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
        .unwrap();
    let mut after = ledger();
    after.restore(before.save(), |_| entitlement());
    before.take_changed();
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
        .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
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
fn who_is_taken_in_has_the_default_and_asks_for_more_in_a_session() {
    let mut ledger = ledger();
    let limits = ledger.take_in(1000, &entitlement(), true).unwrap();
    assert_eq!(limits.allocation, allocation("2", "8G"));
    assert!(ledger.account(1000).unwrap().is_gentle());
    assert_eq!(ledger.take_changed(), BTreeSet::from([1000]));
    assert_eq!(
        ledger.take_in(1000, &entitlement(), true),
        None,
        "known by now"
    );
    let refused = ledger.resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW);
    assert_eq!(refused, Err(Refusal::NoSession));

    let opened = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    assert!(
        ledger
            .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
            .is_ok()
    );
    let closed = ledger.close_session(opened.session, NOW).unwrap();
    assert!(closed.last && closed.returned.is_some());
    assert_eq!(ledger.granted(), Capacity::default());
    assert_eq!(ledger.forget(1000, NOW), Vec::<SessionId>::new());

    // Who has only just come keeps nothing above the default.
    ledger.take_in(1000, &entitlement(), false);
    assert!(!ledger.account(1000).unwrap().is_gentle());
}

#[test]
fn forgetting_a_user_ends_what_was_open() {
    let mut ledger = ledger();
    let opened = ledger.open_session(1000, leader(1), "sshd", &entitlement());
    ledger
        .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
        .unwrap();
    assert_eq!(ledger.forget(1000, NOW), [opened.session]);
    assert!(ledger.account(1000).is_none() && ledger.owner(opened.session).is_none());
    assert_eq!(ledger.granted(), Capacity::default());
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

fn leased(default: u64, longest: u64) -> Arc<Entitlement> {
    let mut entitlement = Entitlement::clone(&entitlement());
    entitlement.lease.default = Some(minutes(default));
    entitlement.lease.longest = Some(minutes(longest));
    Arc::new(entitlement)
}

/// Users with a session on a machine that has 6 CPUs beside the defaults.
fn small(users: &[(u32, &Arc<Entitlement>)]) -> Ledger {
    let mut ledger = Ledger::new(Capacity {
        cpu_thousandths: 6000,
        mem_bytes: 64 << 30,
    });
    for (uid, entitlement) in users {
        ledger.open_session(*uid, leader(*uid), "sshd", entitlement);
    }
    ledger.tick(NOW);
    ledger
}

fn cpu(cpu: &str) -> Wish {
    wish(cpu, "")
}

#[test]
fn a_lease_warns_three_times_and_ends_gently_at_the_default() {
    let mut ledger = small(&[(1000, &leased(60, 120))]);
    let change = ledger
        .resize(1000, &terms(&wish("4", "16G"), NONE, false, None), NOW)
        .unwrap();
    let end = NOW.after(minutes(60));
    assert_eq!(change.after.unwrap().lease_end, Some(end));
    for left in [15, 5, 1].map(minutes) {
        assert_eq!(ledger.next_event(), Some(end.before(left)));
        let events = ledger.tick(end.before(left));
        assert_eq!(
            events,
            [Event::LeaseEnding {
                uid: 1000,
                end,
                left
            }]
        );
        assert_eq!(ledger.tick(end.before(left)), []);
    }
    assert_eq!(ledger.next_event(), Some(end));
    let events = ledger.tick(end);
    let [Event::LeaseEnded { uid: 1000, change }] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(change.gentle);
    assert_eq!(change.to(), entitlement().default);
    assert_eq!(ledger.granted(), Capacity::default());
    assert!(ledger.account(1000).unwrap().is_gentle());
    assert_eq!(ledger.next_event(), None);
    // A new grant is somebody's wish again.
    ledger
        .resize(1000, &terms(&cpu("4"), NONE, false, None), end)
        .unwrap();
    assert!(!ledger.account(1000).unwrap().is_gentle());
}

#[test]
fn a_lease_of_three_minutes_warns_once() {
    let mut ledger = small(&[(1000, &entitlement())]);
    let lease = Some(minutes(3));
    ledger
        .resize(1000, &terms(&cpu("4"), NONE, false, lease), NOW)
        .unwrap();
    let end = NOW.after(minutes(3));
    assert_eq!(ledger.next_event(), Some(end.before(minutes(1))));
}

#[test]
fn a_lease_is_renewed_from_now_and_not_beyond_the_longest() {
    let mut ledger = small(&[(1000, &leased(60, 120)), (1001, &entitlement())]);
    assert_eq!(ledger.renew(1000, None, NOW), Err(Refusal::NoGrant));
    ledger
        .resize(1000, &terms(&cpu("4"), NONE, false, None), NOW)
        .unwrap();
    let later = NOW.after(minutes(50));
    assert_eq!(ledger.tick(later).len(), 1);
    let refusal = ledger.renew(1000, Some(minutes(150)), later).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Request validation failed: Requested time (2h 30m) exceeds maximum allowed (2h)"
    );
    let end = later.after(minutes(120));
    assert_eq!(ledger.renew(1000, Some(minutes(120)), later), Ok(Some(end)));
    assert_eq!(ledger.next_event(), Some(end.before(minutes(15))));
    ledger
        .resize(1001, &terms(&cpu("3"), NONE, false, None), later)
        .unwrap();
    assert_eq!(ledger.renew(1001, None, later), Err(Refusal::NoLease));
}

#[test]
fn below_the_minimum_and_below_the_default_are_told_apart() {
    let mut low = Entitlement::clone(&entitlement());
    low.min.cpu = "0.5".parse().unwrap();
    let mut ledger = small(&[(1000, &Arc::new(low))]);
    let refusal = ledger
        .resize(1000, &terms(&cpu("0.2"), NONE, false, None), NOW)
        .unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::BelowMinimum);
    assert_eq!(
        refusal.to_string(),
        "Request validation failed: Requested CPU (0.2) is below the minimum (0.5)"
    );
    let refusal = ledger
        .resize(1000, &terms(&wish("0.2", "1G"), NONE, false, None), NOW)
        .unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::BelowMinimum);
    ledger
        .resize(1000, &terms(&cpu("1"), NONE, false, None), NOW)
        .unwrap();
    assert!(ledger.account(1000).unwrap().grant().is_some());
    assert_eq!(ledger.granted(), Capacity::default());
}

#[test]
fn a_refusal_says_who_holds_how_much_and_what_makes_room() {
    let mut ledger = small(&[
        (1000, &leased(60, 90)),
        (1001, &entitlement()),
        (1002, &entitlement()),
    ]);
    ledger
        .resize(1000, &terms(&cpu("4"), NONE, false, None), NOW)
        .unwrap();
    ledger
        .resize(1001, &terms(&cpu("5"), NONE, false, None), NOW)
        .unwrap();
    let Err(Refusal::NoCapacity(shortage)) =
        ledger.resize(1002, &terms(&cpu("8"), NONE, false, None), NOW)
    else {
        panic!("it does not fit");
    };
    let holders: Vec<(u32, u64)> = shortage
        .holders
        .iter()
        .map(|holder| (holder.uid, holder.cpu_thousandths))
        .collect();
    assert_eq!(holders, [(1001, 3000), (1000, 2000)]);
    assert_eq!(shortage.largest, allocation("3", "8G"));
    assert_eq!(shortage.next_end, Some((NOW.after(minutes(60)), 1000)));
}

#[test]
fn a_budget_counts_whole_allocations_and_refuses_no_login() {
    let mut member = Entitlement::clone(&entitlement());
    member.budgets = vec!["students".to_owned()];
    let member = Arc::new(member);
    let mut ledger = small(&[(1000, &member), (1001, &member), (1002, &entitlement())]);
    let budget = Budget {
        cpu_thousandths: Some(5000),
        ..Budget::default()
    };
    ledger.set_budgets([("students".to_owned(), budget)].into(), NOW);
    let refusal = ledger
        .resize(1000, &terms(&cpu("4"), NONE, false, None), NOW)
        .unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::OverBudget);
    assert_eq!(
        refusal.to_string(),
        "The budget of group 'students' has too little left: CPU: 4 asked for, 3 possible now"
    );
    ledger
        .resize(1000, &terms(&cpu("3"), NONE, false, None), NOW)
        .unwrap();
    ledger
        .resize(1002, &terms(&cpu("7"), NONE, false, None), NOW)
        .unwrap();
    let opened = ledger.open_session(1003, leader(3), "sshd", &member);
    assert_eq!(opened.limits.allocation, member.default);
    assert_eq!(ledger.budget_used("students").cpu_thousandths, Some(7000));
}

#[test]
fn the_first_is_held_and_only_who_does_not_delay_it_passes() {
    let users: Vec<u32> = (1000..1005).collect();
    let entitlement = entitlement();
    let users: Vec<(u32, &Arc<Entitlement>)> =
        users.into_iter().map(|uid| (uid, &entitlement)).collect();
    let mut ledger = small(&users);
    let hour = Some(minutes(60));
    // 4 of 6 are taken for an hour; the first in the queue needs 5.
    ledger
        .resize(1000, &terms(&cpu("6"), NONE, false, hour), NOW)
        .unwrap();
    let first = ledger.enqueue(1001, &cpu("7"), None, None, NOW).unwrap();
    let place = ledger.place(1001).unwrap();
    assert_eq!(
        (place.position, place.start),
        (1, Some(NOW.after(minutes(60))))
    );
    // Two for longer would leave 4 when the first is to be served; one leaves enough.
    let refusal = ledger
        .resize(1002, &terms(&cpu("4"), NONE, false, Some(minutes(61))), NOW)
        .unwrap_err();
    assert!(matches!(refusal, Refusal::OthersWait { ahead: 1, .. }));
    ledger
        .enqueue(1002, &cpu("4"), Some(minutes(61)), None, NOW)
        .unwrap();
    ledger.enqueue(1003, &cpu("3"), None, None, NOW).unwrap();
    let events = ledger.tick(NOW);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Admitted { uid: 1003, .. }))
    );
    assert_eq!(ledger.place(1002).unwrap().ahead, [1001]);
    // Shorter than the wait is let through; the holder may not keep it for longer.
    ledger
        .resize(1004, &terms(&cpu("3"), NONE, false, Some(minutes(59))), NOW)
        .unwrap();
    assert!(matches!(
        ledger.renew(1000, Some(minutes(61)), NOW),
        Err(Refusal::OthersWait { .. })
    ));
    let events = ledger.tick(NOW.after(minutes(60)));
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Admitted { ticket, .. } if *ticket == first))
    );
}

#[test]
fn priority_comes_before_recent_use_and_recent_use_before_the_order_of_arrival() {
    let mut high = Entitlement::clone(&entitlement());
    high.priority = 1;
    let (high, plain) = (Arc::new(high), entitlement());
    let mut ledger = small(&[
        (1000, &plain),
        (1001, &plain),
        (1002, &plain),
        (1003, &high),
    ]);
    ledger
        .resize(1000, &terms(&cpu("8"), NONE, false, None), NOW)
        .unwrap();
    let later = NOW.after(minutes(300));
    ledger.release(1000, NONE, false, later).unwrap();
    ledger
        .resize(1002, &terms(&cpu("8"), NONE, false, None), later)
        .unwrap();
    for uid in [1000, 1001, 1003] {
        ledger.enqueue(uid, &cpu("8"), None, None, later).unwrap();
    }
    let order: Vec<u32> = ledger.queue().iter().map(|(uid, _)| *uid).collect();
    assert_eq!(order, [1003, 1001, 1000]);
    // Half of it is forgotten after the half-life.
    let used = |ledger: &Ledger, at| ledger.uses.minutes(1000, at);
    assert_eq!(
        used(&ledger, later),
        296,
        "five hours of the whole machine, decaying"
    );
    assert_eq!(used(&ledger, later.after(HALF_LIFE)), 148);
}

#[test]
fn a_wait_ends_with_its_time_with_the_last_session_and_when_it_is_in_vain() {
    let plain = entitlement();
    let mut ledger = small(&[
        (1000, &plain),
        (1001, &plain),
        (1002, &plain),
        (1003, &plain),
    ]);
    ledger
        .resize(1000, &terms(&cpu("8"), NONE, false, None), NOW)
        .unwrap();
    let deadline = NOW.after(minutes(10));
    ledger
        .enqueue(1001, &cpu("4"), None, Some(deadline), NOW)
        .unwrap();
    assert_eq!(
        ledger.enqueue(1001, &cpu("4"), None, None, NOW),
        Err(Refusal::AlreadyWaiting)
    );
    ledger.enqueue(1002, &cpu("4"), None, None, NOW).unwrap();
    ledger.enqueue(1003, &cpu("8"), None, None, NOW).unwrap();
    ledger.tick(NOW);
    assert_eq!(ledger.next_event(), Some(deadline));
    let gave_up = |events: Vec<Event>| -> Vec<(u32, GaveUp)> {
        let each = events.into_iter().filter_map(|event| match event {
            Event::GaveUp { uid, reason, .. } => Some((uid, reason)),
            _ => None,
        });
        each.collect()
    };
    assert_eq!(gave_up(ledger.tick(deadline)), [(1001, GaveUp::TimedOut)]);
    let session = ledger.session_of(1002, 1002).unwrap();
    ledger.close_session(session, deadline);
    assert_eq!(gave_up(ledger.tick(deadline)), [(1002, GaveUp::LoggedOut)]);
    let smaller = Capacity {
        cpu_thousandths: 5000,
        ..ledger.capacity()
    };
    ledger.set_capacity(smaller, deadline);
    let gone = gave_up(ledger.tick(deadline));
    let [(1003, GaveUp::Impossible(sentence))] = &gone[..] else {
        panic!("{gone:?}");
    };
    assert_eq!(
        sentence,
        "The machine will never have that much left: CPU: 8 asked for, 7 possible"
    );
    let refusal = ledger.enqueue(1003, &cpu("8"), None, None, deadline);
    assert!(matches!(refusal, Err(Refusal::NeverFits(_))));
}

#[test]
fn the_queue_has_an_end() {
    let plain = entitlement();
    let mut ledger = small(&[(1, &plain)]);
    ledger
        .resize(1, &terms(&cpu("8"), NONE, false, None), NOW)
        .unwrap();
    for uid in (2..).take(MOST_WAITING + 1) {
        ledger.open_session(uid, leader(uid), "sshd", &plain);
        let ticket = ledger.enqueue(uid, &cpu("3"), None, None, NOW);
        let last = ledger.queue().len() < MOST_WAITING || ticket.is_ok();
        assert!(last || ticket == Err(Refusal::QueueFull));
    }
    assert_eq!(ledger.queue().len(), MOST_WAITING);
}

#[test]
fn an_idle_grant_is_asked_back_and_then_taken() {
    let mut idle = Entitlement::clone(&entitlement());
    idle.idle = Some(crate::IdleTerms {
        after: minutes(120),
        notice: minutes(15),
    });
    let mut ledger = small(&[(1000, &Arc::new(idle))]);
    ledger
        .resize(1000, &terms(&cpu("4"), NONE, false, None), NOW)
        .unwrap();
    let used = NOW.after(minutes(30));
    ledger.note_use(1000, used);
    let end = used.after(minutes(120));
    assert_eq!(ledger.next_event(), Some(used.after(minutes(105))));
    // The daemon was away: the user has the whole notice all the same.
    let events = ledger.tick(end);
    let end = end.after(minutes(15));
    assert_eq!(events, [Event::Idle { uid: 1000, end }]);
    assert_eq!(ledger.next_event(), Some(end));
    let events = ledger.tick(end);
    assert!(matches!(&events[..], [Event::IdleReturned { uid: 1000, change }] if change.gentle));
}

#[test]
fn a_grant_that_is_seen_in_use_when_it_would_be_asked_back_is_not() {
    let mut idle = Entitlement::clone(&entitlement());
    idle.idle = Some(crate::IdleTerms {
        after: minutes(60),
        notice: minutes(20),
    });
    let mut ledger = small(&[(1000, &Arc::new(idle))]);
    let began = NOW;
    ledger
        .resize(
            1000,
            &terms(&cpu("3"), MemorySize::ZERO, false, None),
            began,
        )
        .unwrap();
    let early = began.after(minutes(39));
    assert!(ledger.idle_by(early).is_empty());
    let due = began.after(minutes(40));
    assert_eq!(ledger.next_event(), Some(due));
    assert_eq!(ledger.idle_by(due), [1000]);
    // The caller has looked, and it is in use.
    ledger.note_use(1000, due);
    assert!(ledger.idle_by(due).is_empty());
    assert_eq!(ledger.tick(due), []);
    assert_eq!(ledger.next_event(), Some(due.after(minutes(40))));

    // The same before it is taken back.
    let noticed = due.after(minutes(40));
    assert!(matches!(
        ledger.tick(noticed).as_slice(),
        [Event::Idle { uid: 1000, .. }]
    ));
    let end = due.after(minutes(60));
    assert_eq!(ledger.idle_by(end), [1000]);
    ledger.note_use(1000, end);
    assert_eq!(ledger.tick(end), []);
    assert!(ledger.account(1000).unwrap().grant().is_some());
}

#[test]
fn an_administrator_goes_beyond_the_maximum_but_not_beyond_the_capacity() {
    let mut ledger = ledger();
    ledger.open_session(1000, leader(1), "sshd", &leased(60, 60));
    let lease = Some(minutes(6000));
    let set = ledger
        .set(1000, &terms(&cpu("12"), NONE, false, lease), NOW)
        .unwrap();
    assert!(set.after.unwrap().beyond_max);
    assert!(matches!(
        ledger.set(1000, &terms(&cpu("19"), NONE, false, lease), NOW),
        Err(Refusal::NoCapacity(_))
    ));
    // A reload does not take it back, and the user may give some back.
    assert_eq!(ledger.entitle(1000, &leased(60, 90), NOW), None);
    let change = ledger
        .resize(1000, &terms(&cpu("8"), NONE, false, None), NOW)
        .unwrap();
    assert!(!change.after.unwrap().beyond_max);
    assert_eq!(
        ledger.set(1001, &terms(&cpu("4"), NONE, false, None), NOW),
        Err(Refusal::NoSession)
    );
}

#[test]
fn an_earlier_time_is_taken_for_the_latest() {
    let mut ledger = small(&[(1000, &leased(60, 90))]);
    ledger
        .resize(1000, &terms(&cpu("4"), NONE, false, None), NOW)
        .unwrap();
    let later = NOW.after(minutes(30));
    ledger.tick(later);
    let before = ledger.clone();
    assert_eq!(ledger.tick(Moment::ZERO), []);
    assert_eq!(ledger, before);
    assert_eq!(
        ledger.renew(1000, None, NOW),
        Ok(Some(later.after(minutes(60))))
    );
}

#[test]
fn where_no_lease_ends_nobody_takes_what_the_first_lacks() {
    let plain = entitlement();
    let mut ledger = small(&[(1000, &plain), (1001, &plain), (1002, &plain)]);
    ledger
        .resize(1000, &terms(&cpu("5"), NONE, false, None), NOW)
        .unwrap();
    ledger.enqueue(1001, &cpu("6"), None, None, NOW).unwrap();
    assert_eq!(ledger.place(1001).unwrap().start, None);
    // Two CPUs are free, but held; of memory there is enough.
    assert!(matches!(
        ledger.resize(1002, &terms(&cpu("3"), NONE, false, Some(minutes(1))), NOW),
        Err(Refusal::OthersWait {
            ahead: 1,
            start: None
        })
    ));
    ledger
        .resize(1002, &terms(&wish("", "16G"), NONE, false, None), NOW)
        .unwrap();
    // Room that is made is given in the same step.
    ledger.release(1000, NONE, false, NOW).unwrap();
    assert!(ledger.place(1001).is_none());
    assert_eq!(
        ledger.account(1001).unwrap().allocation(),
        allocation("6", "8G")
    );
}

#[test]
fn who_is_held_without_a_session_has_the_default_and_may_ask_for_nothing() {
    let mut ledger = ledger();
    let limits = ledger.hold(1000, &entitlement());
    assert_eq!(limits.allocation, allocation("2", "8G"));
    assert_eq!(ledger.take_changed(), BTreeSet::from([1000]));
    let refusal = ledger.request(1000, &wish("4", "16G"), NONE, NOW);
    assert_eq!(refusal.unwrap_err(), Refusal::NoSession);
    assert_eq!(ledger.granted(), Capacity::default());

    // A login finds them known, and what they hold then stays theirs.
    ledger.open_session(1000, leader(1), "sshd", &entitlement());
    ledger.request(1000, &wish("4", "16G"), NONE, NOW).unwrap();
    let limits = ledger.hold(1000, &entitlement());
    assert_eq!(limits.allocation, allocation("4", "16G"));
    ledger.forget(1000, NOW);
    assert!(ledger.account(1000).is_none());
}
