//! What grants share: the machine's capacity, and the budgets of groups.
//!
//! Each is kept as a running sum with its holders in order, so that no decision counts users.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::amount::{Amount, Resource, narrow};
use super::{Capacity, Moment};

/// The most holders that a refusal names.
pub const MOST_HOLDERS: usize = 5;

/// What the members of a group may have together: whole allocations, defaults included, of those
/// with a session. `None`: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// CPUs, in thousandths.
    pub cpu_thousandths: Option<u64>,
    /// Memory in bytes.
    pub mem_bytes: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
}

/// What a grant may be too large for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    /// The capacity of the machine.
    Machine,
    /// The budget of the group of this name.
    Budget(String),
}

/// Somebody who holds more than the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Whose.
    pub uid: u32,
    /// CPUs above the default, in thousandths.
    pub cpu_thousandths: u64,
    /// Bytes above the default.
    pub mem_bytes: u64,
    /// Tasks above the default.
    pub tasks: u64,
}

/// One thing that is shared: what is taken of it, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pool {
    pub(super) used: Amount,
    members: u64,
    by_cpu: BTreeSet<(u128, u32)>,
    by_mem: BTreeSet<(u128, u32)>,
    by_tasks: BTreeSet<(u128, u32)>,
}

/// Everything that is shared, with its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pools {
    pub(super) capacity: Capacity,
    pub(super) bounds: BTreeMap<String, Budget>,
    pub(super) machine: Pool,
    pub(super) budgets: BTreeMap<String, Pool>,
    /// Grants above the default by the end of their lease: what makes room, in order.
    pub(super) ends: BTreeSet<(Moment, u32)>,
}

impl Pool {
    fn index(&mut self, resource: Resource) -> &mut BTreeSet<(u128, u32)> {
        match resource {
            Resource::Cpu => &mut self.by_cpu,
            Resource::Memory => &mut self.by_mem,
            Resource::Tasks => &mut self.by_tasks,
        }
    }

    fn add(&mut self, uid: u32, counted: Amount, above: Amount) {
        self.used = self.used.plus(counted);
        self.members += 1;
        for resource in Resource::ALL {
            let held = above.get(resource);
            if held > 0 {
                self.index(resource).insert((held, uid));
            }
        }
    }

    fn remove(&mut self, uid: u32, counted: Amount, above: Amount) {
        self.used = self.used.less(counted);
        self.members = self.members.saturating_sub(1);
        for resource in Resource::ALL {
            self.index(resource).remove(&(above.get(resource), uid));
        }
    }

    /// Who holds most of a resource, the asker left out.
    pub(super) fn largest(&self, resource: Resource, asker: u32) -> impl Iterator<Item = u32> {
        let index = match resource {
            Resource::Cpu => &self.by_cpu,
            Resource::Memory => &self.by_mem,
            Resource::Tasks => &self.by_tasks,
        };
        let others = index.iter().rev().filter(move |(_, uid)| *uid != asker);
        others.take(MOST_HOLDERS).map(|(_, uid)| *uid)
    }
}

impl Pools {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            bounds: BTreeMap::new(),
            machine: Pool::default(),
            budgets: BTreeMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Counts a user. One without a session holds nothing and is in nobody's budget.
    pub(super) fn add(&mut self, uid: u32, account: &Account) {
        if account.sessions.is_empty() {
            return;
        }
        let (above, whole) = (account.above(), Amount::whole(&account.allocation()));
        self.machine.add(uid, above, above);
        for name in &account.entitlement.budgets {
            // A name is copied for its first member only.
            if let Some(pool) = self.budgets.get_mut(name) {
                pool.add(uid, whole, above);
            } else {
                let pool = self.budgets.entry(name.clone()).or_default();
                pool.add(uid, whole, above);
            }
        }
        if let Some(end) = room_at(account) {
            self.ends.insert((end, uid));
        }
    }

    /// Counts a user no longer. The account must be as it was when it was added.
    pub(super) fn remove(&mut self, uid: u32, account: &Account) {
        if account.sessions.is_empty() {
            return;
        }
        let (above, whole) = (account.above(), Amount::whole(&account.allocation()));
        self.machine.remove(uid, above, above);
        for name in &account.entitlement.budgets {
            if let Some(pool) = self.budgets.get_mut(name) {
                pool.remove(uid, whole, above);
                if pool.members == 0 {
                    self.budgets.remove(name);
                }
            }
        }
        if let Some(end) = room_at(account) {
            self.ends.remove(&(end, uid));
        }
    }

    /// What a share has in all; `None` where it has no bound.
    pub(super) fn bound(&self, share: &Share, resource: Resource) -> Option<u128> {
        let bound = match share {
            Share::Machine => match resource {
                Resource::Cpu => Some(self.capacity.cpu_thousandths),
                Resource::Memory => Some(self.capacity.mem_bytes),
                Resource::Tasks => None,
            },
            Share::Budget(name) => {
                let budget = self.bounds.get(name)?;
                match resource {
                    Resource::Cpu => budget.cpu_thousandths,
                    Resource::Memory => budget.mem_bytes,
                    Resource::Tasks => budget.tasks,
                }
            }
        };
        bound.map(u128::from)
    }

    /// The pool behind a share; `None` for a budget that nobody is in.
    pub(super) fn pool(&self, share: &Share) -> Option<&Pool> {
        match share {
            Share::Machine => Some(&self.machine),
            Share::Budget(name) => self.budgets.get(name),
        }
    }

    pub(super) fn used(&self, share: &Share) -> Amount {
        self.pool(share).map_or(Amount::default(), |pool| pool.used)
    }
}

impl Holder {
    pub(super) fn new(uid: u32, account: &Account) -> Self {
        let above = account.above();
        Self {
            uid,
            cpu_thousandths: narrow(above.cpu),
            mem_bytes: narrow(above.mem),
            tasks: narrow(above.tasks),
        }
    }
}

/// When a user's grant makes room by itself.
fn room_at(account: &Account) -> Option<Moment> {
    let end = account.grant?.lease_end?;
    (account.above() != Amount::default()).then_some(end)
}
