//! What must be so of every ledger after every event, counted anew and not by the ledger's own
//! sums.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairshare_core::Entitlement;
use fairshare_core::ledger::{Account, Budget, Capacity, Ledger, Moment, Place, Resource, Short};

/// Figures of each resource in the order of [`Resource::ALL`].
pub(crate) type Figures = [u128; 3];

/// What grants come to, and what the members of each group have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) above: Figures,
    pub(crate) groups: BTreeMap<String, Figures>,
}

/// Counts the accounts.
pub(crate) fn count(ledger: &Ledger) -> Counted {
    let mut counted = Counted {
        above: [0; 3],
        groups: BTreeMap::new(),
    };
    for (_, account) in ledger.accounts() {
        if account.sessions().is_empty() {
            continue;
        }
        let (has, entitlement) = (account.allocation(), account.entitlement());
        for (slot, resource) in Resource::ALL.into_iter().enumerate() {
            let (held, default) = (resource.of(&has), resource.of(&entitlement.default));
            counted.above[slot] += u128::from(held.saturating_sub(default));
            for group in &entitlement.budgets {
                let figures = counted.groups.entry(group.clone()).or_default();
                figures[slot] += u128::from(held);
            }
        }
    }
    counted
}

/// Every rule, with everything counted.
pub(crate) fn check(ledger: &Ledger, budgets: &BTreeMap<String, Budget>) {
    let counted = count(ledger);
    let granted = ledger.granted();
    assert_eq!(u128::from(granted.cpu_thousandths), counted.above[0]);
    assert_eq!(u128::from(granted.mem_bytes), counted.above[1]);
    for group in budgets.keys() {
        let figures = counted.groups.get(group).copied().unwrap_or_default();
        assert_eq!(budget_used(ledger, group), figures, "group {group}");
    }
    for (uid, account) in ledger.accounts() {
        check_account(ledger, uid, account);
    }
    check_queue(ledger);
}

fn check_account(ledger: &Ledger, uid: u32, account: &Account) {
    let (has, entitlement) = (account.allocation(), account.entitlement());
    let beyond = account.grant().is_some_and(|grant| grant.beyond_max);
    for resource in Resource::ALL {
        let figure = resource.of(&has);
        assert!(
            figure >= resource.of(&entitlement.min),
            "{uid} is below min"
        );
        assert!(
            beyond || figure <= resource.of(&entitlement.max),
            "{uid} is above max"
        );
    }
    if let Some(grant) = account.grant() {
        assert_ne!(grant.allocation, entitlement.default);
        assert!(!account.sessions().is_empty(), "{uid} has no session");
        if let Some(end) = grant.lease_end {
            let now = ledger.numbers().now;
            assert!(end > now, "the lease of {uid} has ended");
            let next = ledger.next_event();
            assert!(next.is_some_and(|next| next <= end), "{uid} is missed");
        }
    }
    for (&session, opened) in account.sessions() {
        assert_eq!(ledger.owner(session), Some(uid));
        assert!(session <= ledger.numbers().last_session);
        assert!(ledger.session_of(uid, opened.leader.pid).is_some());
    }
    assert_eq!(account.limits(), entitlement.limits(has));
}

/// Who waits has a session; what fits for the first is not left lying.
pub(crate) fn check_queue(ledger: &Ledger) {
    let order: Vec<u32> = ledger.queue().into_iter().map(|(uid, _)| uid).collect();
    for (index, uid) in order.iter().enumerate() {
        let place = ledger.place(*uid).unwrap();
        assert_eq!((place.position, place.ahead.len()), (index + 1, index));
        assert!(!ledger.account(*uid).unwrap().sessions().is_empty());
        assert!(index > 0 || !place.short.is_empty(), "the first would fit");
        let now = ledger.numbers().now;
        let deadline = place.waiting.deadline;
        assert!(deadline.is_none_or(|deadline| deadline > now));
    }
}

pub(crate) fn budget_used(ledger: &Ledger, group: &str) -> Figures {
    let used = ledger.budget_used(group);
    [used.cpu_thousandths, used.mem_bytes, used.tasks].map(|figure| figure.unwrap().into())
}

/// The figures of a budget; what has no bound is as large as can be.
pub(crate) fn bounds(budget: &Budget) -> Figures {
    [budget.cpu_thousandths, budget.mem_bytes, budget.tasks]
        .map(|figure| figure.map_or(u128::MAX, u128::from))
}

pub(crate) fn bounds_of_machine(capacity: Capacity) -> Figures {
    [
        capacity.cpu_thousandths.into(),
        capacity.mem_bytes.into(),
        u128::MAX,
    ]
}

/// What was granted did not grow beyond its bound.
pub(crate) fn not_beyond(before: Figures, after: Figures, bound: Figures, what: &str) {
    for slot in 0..3 {
        assert!(
            after[slot] <= bound[slot] || after[slot] <= before[slot],
            "{what}: {before:?} became {after:?} of {bound:?}"
        );
    }
}

/// The same ledger, as it comes back after the daemon was killed.
pub(crate) fn restarted(ledger: &Ledger, budgets: &BTreeMap<String, Budget>) -> Ledger {
    let entitlements: BTreeMap<u32, Arc<Entitlement>> = ledger
        .accounts()
        .map(|(uid, account)| (uid, Arc::new(account.entitlement().clone())))
        .collect();
    let mut restored = Ledger::new(ledger.capacity());
    restored.set_budgets(budgets.clone(), Moment::ZERO);
    restored.restore(ledger.save(), |uid| Arc::clone(&entitlements[&uid]));
    restored
}

/// Where nobody knows when the first is served, nobody takes what it lacks.
pub(crate) fn lacks_no_more(before: &Place, after: &Place) {
    if before.waiting.ticket != after.waiting.ticket || before.start.or(after.start).is_some() {
        return;
    }
    for short in &before.short {
        let same =
            |other: &&Short| (&other.share, other.resource) == (&short.share, short.resource);
        let now = after.short.iter().find(same);
        assert!(
            now.is_none_or(|now| now.possible >= short.possible),
            "{short:?} became {now:?}"
        );
    }
}
