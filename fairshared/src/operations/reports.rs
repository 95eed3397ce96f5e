//! What the daemon tells of the ledger and of what is enforced.

use fairshare_core::ledger::{Account, Moment, Refusal};
use fairshare_core::{Entitlement, Limits};
use fairshare_protocol::{
    AboutInfo, Allocation, BudgetInfo, Cpus, Enforce, MemorySize, QueueEntry, Reply, StatusInfo,
    Tasks, UserInfo, Wish,
};

use super::{Operations, not_covered};
use crate::authorise::{Caller, sees_everybody};
use crate::book::Book;
use crate::cgroup::{Enforced, Limit, SliceCgroup};
use crate::enforcement::Enforcement;

impl<E: Enforcement> Operations<E> {
    /// `status`.
    pub(crate) async fn status(&self, uid: u32) -> Reply {
        let seen = self
            .book
            .with(move |book| (book.covers(uid), Seen::of(book, uid)))
            .await;
        let Seen {
            account,
            lease_left_s,
            queue_position,
            budget,
        } = match seen {
            (false, _) => return not_covered(uid),
            (true, None) => {
                let refusal = Refusal::NoSession;
                return Reply::error(refusal.code(), refusal.to_string());
            }
            (true, Some(seen)) => seen,
        };
        let Entitlement {
            min, default, max, ..
        } = *account.entitlement();
        let limits = account.limits();
        let Allocation { cpu, mem, tasks } = limits.allocation;
        let slice = self.enforcement.look(uid);
        let unit = self.enforcement.slice(uid);
        let enforced = slice.as_ref().map(SliceCgroup::enforced);
        Reply::StatusInfo(Box::new(StatusInfo {
            allocated_cpu: cpu,
            allocated_mem: mem,
            allocated_tasks: Some(tasks),
            allocated_swap: Some(limits.swap),
            grant: Some(account.grant().is_some()),
            lease_left_s,
            queue_position,
            sessions: u64::try_from(account.sessions().len()).ok(),
            min: (min != default).then_some(min),
            default: Some(default),
            max: Some(max),
            budget,
            slice: slice.map(|slice| self.slice_info(uid, &unit, &slice)),
            differences: match enforced {
                _ if self.is_watching() => Vec::new(),
                Some(enforced) if account.is_gentle() => following(&enforced, &limits),
                Some(enforced) => enforced.differences(&limits),
                None => vec![format!("{unit} is not active: nothing is enforced")],
            },
            enforce: self.is_watching().then_some(Enforce::Watch),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        }))
    }

    /// `about`: from memory, so that it is answered whatever else hangs.
    pub(crate) fn about(&self) -> Reply {
        Reply::AboutInfo(AboutInfo {
            enforce: self.is_watching().then_some(Enforce::Watch),
            ..AboutInfo::of_this_protocol(env!("CARGO_PKG_VERSION"))
        })
    }

    /// `list`: everybody, or only this user.
    pub(crate) async fn list(&self, only: Option<u32>) -> Reply {
        let users = self.book.with(move |book| rows(book, only).collect());
        Reply::ListInfo { users: users.await }
    }

    /// `queue`: who waits is for those who see everybody, and for all where policy says so.
    pub(crate) async fn queue(&self, caller: &Caller) -> Reply {
        let (own, all) = (caller.uid, sees_everybody(caller));
        let entries = self.book.with(move |book| {
            let (ledger, now) = (book.ledger(), book.now());
            let named = all || book.policy().show_holders();
            (1_u64..)
                .zip(ledger.queue())
                .filter_map(|(position, (uid, waiting))| {
                    let account = ledger.account(uid)?;
                    let shown = named || uid == own;
                    let person = shown.then(|| book.person(uid));
                    Some(QueueEntry {
                        position,
                        uid: shown.then_some(uid),
                        user: person.and_then(|person| person.name.clone()),
                        allocation: account.raised(&waiting.wish),
                        since_s: now.since(waiting.since).as_secs(),
                        priority: account.entitlement().priority,
                    })
                })
                .collect()
        });
        Reply::QueueInfo {
            entries: entries.await,
        }
    }
}

/// What the book knows of a user, at one moment.
struct Seen {
    account: Account,
    lease_left_s: Option<u64>,
    queue_position: Option<u64>,
    budget: Vec<BudgetInfo>,
}

impl Seen {
    fn of(book: &Book, uid: u32) -> Option<Self> {
        let ledger = book.ledger();
        let account = ledger.account(uid)?.clone();
        let place = ledger.place(uid);
        let limits = book.policy().budgets();
        let budgets = account.entitlement().budgets.iter();
        let budget = budgets.filter_map(|group| {
            let limit = limits.get(group)?;
            let held = ledger.budget_used(group);
            let mem = held.mem_bytes.and_then(MemorySize::from_bytes);
            Some(BudgetInfo {
                group: group.clone(),
                limit: Wish {
                    cpu: limit.cpu,
                    mem: limit.mem,
                    tasks: limit.tasks,
                },
                held: Wish {
                    cpu: held.cpu_thousandths.and_then(Cpus::from_thousandths),
                    mem: mem.filter(|mem| mem.bytes() > 0),
                    tasks: held.tasks.and_then(Tasks::new),
                },
            })
        });
        Some(Self {
            budget: budget.collect(),
            lease_left_s: lease_left(&account, book.now()),
            queue_position: place.and_then(|place| u64::try_from(place.position).ok()),
            account,
        })
    }
}

/// The differences where memory comes down as programs give it back, which is as it should be. Where
/// it is at the limit or below, there is nothing to wait for.
fn following(enforced: &Enforced, limits: &Limits) -> Vec<String> {
    let wanted = limits.allocation.mem;
    let bytes = match enforced.mem {
        Limit::At(bytes) if bytes > wanted.bytes() => bytes,
        _ => return enforced.differences(limits),
    };
    let mut memory_follows = limits.clone();
    memory_follows.allocation.mem = MemorySize::saturating_from_bytes(bytes);
    let mut told = enforced.differences(&memory_follows);
    told.push(format!(
        "memory comes down to {wanted} as your programs give it back: the limit is {} now",
        memory_follows.allocation.mem.rounded()
    ));
    told
}

/// Seconds until the lease of a user's grant ends.
/// A row for everybody whom policy covers, or only for this user.
pub(super) fn rows(book: &Book, only: Option<u32>) -> impl Iterator<Item = UserInfo> {
    book.ledger()
        .accounts()
        .filter(move |(uid, _)| only.is_none_or(|only| only == *uid) && !book.exempts(*uid))
        .map(|(uid, account)| UserInfo {
            uid,
            user: book.person(uid).name.clone(),
            sessions: u64::try_from(account.sessions().len()).unwrap_or(u64::MAX),
            grant: account.grant().is_some(),
            lease_left_s: lease_left(account, book.now()),
            allocation: account.allocation(),
        })
}

fn lease_left(account: &Account, now: Moment) -> Option<u64> {
    let end = account.grant()?.lease_end?;
    Some(end.since(now).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Wanted;

    #[test]
    fn memory_that_follows_what_is_given_back_is_no_fault() {
        let allocation = |mem: &str| Allocation {
            cpu: "1".parse().unwrap(),
            mem: mem.parse().unwrap(),
            tasks: "100".parse().unwrap(),
        };
        let entitlement = Entitlement::between(allocation("256M"), allocation("1G"));
        let held = entitlement.limits(allocation("600M"));
        let mut enforced = Enforced::plain(&Wanted::of(&held));
        let limits = entitlement.limits(allocation("256M"));
        assert_eq!(
            following(&enforced, &limits),
            ["memory comes down to 256M as your programs give it back: the limit is 600M now"]
        );
        enforced.tasks = Limit::Max;
        assert_eq!(
            following(&enforced, &limits).len(),
            2,
            "what is a fault is told"
        );
        enforced = Enforced::plain(&Wanted::of(&limits));
        assert_eq!(following(&enforced, &limits), [""; 0]);
        enforced.mem = Limit::At(100 << 20);
        let told = following(&enforced, &limits);
        assert_eq!(told.len(), 1, "an administrator's lower limit: {told:?}");
    }
}
