//! Whether a wish may be granted: within policy, within what is free, and not at the cost of
//! somebody who waits.

use std::collections::HashSet;
use std::fmt;

use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks, Wish};

use super::account::Account;
use super::amount::{Amount, Resource, narrow};
use super::pools::{Holder, MOST_HOLDERS, Pools, Share};
use super::refusal::{Refusal, Short, Shortage};
use super::{Ledger, Moment};

/// The allocation that somebody would get, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) uid: u32,
    pub(super) to: Allocation,
    /// `None`: without an end that is known.
    pub(super) end: Option<Moment>,
}

/// Refuses a wish that leaves policy's bounds. `Above` is not asked of administrators.
pub(super) fn check_bounds(account: &Account, wish: &Wish, any_size: bool) -> Result<(), Refusal> {
    let entitlement = &*account.entitlement;
    if !any_size {
        let too_much: Vec<String> = figures(wish)
            .filter(|(resource, figure)| *figure > resource.of(&entitlement.max))
            .map(|(resource, _)| {
                sentence(wish, resource, "exceeds maximum allowed", &entitlement.max)
            })
            .collect();
        if !too_much.is_empty() {
            return Err(Refusal::AboveMaximum(too_much));
        }
    }
    let too_little: Vec<Resource> = figures(wish)
        .filter(|(resource, figure)| *figure < resource.of(&entitlement.min))
        .map(|(resource, _)| resource)
        .collect();
    if too_little.is_empty() {
        return Ok(());
    }
    let is_default =
        |resource: &Resource| resource.of(&entitlement.min) == resource.of(&entitlement.default);
    let sentences = too_little.iter().map(|resource| {
        let verb = if is_default(resource) {
            "is below the default"
        } else {
            "is below the minimum"
        };
        sentence(wish, *resource, verb, &entitlement.min)
    });
    Err(Refusal::BelowMinimum {
        sentences: sentences.collect(),
        is_default: too_little.iter().all(is_default),
    })
}

/// The resources that a wish names, with their figures.
fn figures(wish: &Wish) -> impl Iterator<Item = (Resource, u64)> {
    let figures = [
        wish.cpu.map(|cpu| (Resource::Cpu, cpu.thousandths())),
        wish.mem.map(|mem| (Resource::Memory, mem.bytes())),
        wish.tasks.map(|tasks| (Resource::Tasks, tasks.count())),
    ];
    figures.into_iter().flatten()
}

fn sentence(wish: &Wish, resource: Resource, verb: &str, bound: &Allocation) -> String {
    let (wished, bound): (&dyn fmt::Display, &dyn fmt::Display) = match resource {
        Resource::Cpu => (
            &wish.cpu.map_or_else(String::new, |cpu| cpu.to_string()),
            &bound.cpu,
        ),
        Resource::Memory => (
            &wish.mem.map_or_else(String::new, |mem| mem.to_string()),
            &bound.mem,
        ),
        Resource::Tasks => (
            &wish
                .tasks
                .map_or_else(String::new, |tasks| tasks.to_string()),
            &bound.tasks,
        ),
    };
    format!("Requested {resource} ({wished}) {verb} ({bound})")
}

pub(super) fn check_memory(
    from: Allocation,
    to: Allocation,
    used: MemorySize,
    force: bool,
) -> Result<(), Refusal> {
    if to.mem < from.mem && to.mem < used && !force {
        return Err(Refusal::MemoryInUse {
            used,
            wanted: to.mem,
        });
    }
    Ok(())
}

/// The shares that a user's allocation counts against.
pub(super) fn shares(account: &Account) -> impl Iterator<Item = Share> {
    let budgets = account.entitlement.budgets.iter();
    std::iter::once(Share::Machine).chain(budgets.map(|name| Share::Budget(name.clone())))
}

/// What an allocation of this user takes of a share.
pub(super) fn weight(account: &Account, allocation: &Allocation, share: &Share) -> Amount {
    match share {
        Share::Machine => Amount::above(allocation, &account.entitlement.default),
        Share::Budget(_) => Amount::whole(allocation),
    }
}

impl Pools {
    /// Each resource of which too little is left for this. A resource that does not grow is not
    /// looked at: giving back must always work.
    pub(super) fn short(&self, account: &Account, to: &Allocation) -> Vec<Short> {
        let from = account.allocation();
        let mut short = Vec::new();
        for share in shares(account) {
            let used = self.used(&share);
            let (before, after) = (weight(account, &from, &share), weight(account, to, &share));
            for resource in Resource::ALL {
                let (before, after) = (before.get(resource), after.get(resource));
                let Some(bound) = self.bound(&share, resource) else {
                    continue;
                };
                let left = bound.saturating_sub(used.get(resource).saturating_sub(before));
                if after > before && after > left {
                    let asked = resource.of(to);
                    let possible = u128::from(asked) - (after - left);
                    short.push(Short {
                        share: share.clone(),
                        resource,
                        asked,
                        possible: narrow(possible).max(resource.of(&from)),
                    });
                }
            }
        }
        short
    }

    /// Each resource of which a share would have too little if nobody else held anything.
    pub(super) fn never(&self, account: &Account, to: &Allocation) -> Vec<Short> {
        let mut short = Vec::new();
        for share in shares(account) {
            let needed = weight(account, to, &share);
            for resource in Resource::ALL {
                let needed = needed.get(resource);
                let from = resource.of(&account.allocation());
                let Some(bound) = self.bound(&share, resource) else {
                    continue;
                };
                if needed > bound && resource.of(to) > from {
                    let asked = resource.of(to);
                    let possible = narrow(u128::from(asked) - (needed - bound)).max(from);
                    short.push(Short {
                        share: share.clone(),
                        resource,
                        asked,
                        possible,
                    });
                }
            }
        }
        short
    }
}

impl Ledger {
    /// Refuses what does not fit into what is free now.
    pub(super) fn check_room(
        &self,
        uid: u32,
        account: &Account,
        to: Allocation,
    ) -> Result<(), Refusal> {
        let short = self.pools.short(account, &to);
        if short.is_empty() {
            return Ok(());
        }
        Err(Refusal::NoCapacity(Box::new(
            self.shortage(uid, account, to, short),
        )))
    }

    pub(super) fn shortage(
        &self,
        uid: u32,
        account: &Account,
        to: Allocation,
        short: Vec<Short>,
    ) -> Shortage {
        let mut seen = HashSet::new();
        let mut holders: Vec<Holder> = Vec::new();
        for each in &short {
            let Some(pool) = self.pools.pool(&each.share) else {
                continue;
            };
            for other in pool.largest(each.resource, uid) {
                if let Some(account) = self.accounts.get(&other)
                    && seen.insert(other)
                {
                    holders.push(Holder::new(other, account));
                }
            }
        }
        holders.truncate(MOST_HOLDERS);
        let from = account.allocation();
        Shortage {
            largest: lowered(to, &from, &short),
            holders,
            next_end: self.next_room(uid, &short),
            short,
        }
    }

    /// The first lease of somebody else that ends and gives back some of what is short.
    fn next_room(&self, uid: u32, short: &[Short]) -> Option<(Moment, u32)> {
        let helps = |other: u32| {
            let Some(account) = self.accounts.get(&other).filter(|_| other != uid) else {
                return false;
            };
            let above = account.above();
            short.iter().any(|short| {
                let shared = match &short.share {
                    Share::Machine => true,
                    Share::Budget(name) => account.entitlement.budgets.contains(name),
                };
                shared && above.get(short.resource) > 0
            })
        };
        let mut ends = self.pools.ends.iter().take(super::LONGEST_LOOK);
        ends.find(|(_, other)| helps(*other)).copied()
    }
}

/// The allocation with each short resource at its possible figure, never below what is had.
fn lowered(to: Allocation, from: &Allocation, short: &[Short]) -> Allocation {
    let mut largest = to;
    for each in short {
        match each.resource {
            Resource::Cpu => {
                let possible = Cpus::from_thousandths(each.possible / 10 * 10);
                largest.cpu = largest.cpu.min(possible.unwrap_or(from.cpu)).max(from.cpu);
            }
            Resource::Memory => {
                // Whole MiB: a figure that somebody can type.
                let possible = MemorySize::saturating_from_bytes(each.possible >> 20 << 20);
                largest.mem = largest.mem.min(possible).max(from.mem);
            }
            Resource::Tasks => {
                let possible = Tasks::new(each.possible).unwrap_or(from.tasks);
                largest.tasks = largest.tasks.min(possible).max(from.tasks);
            }
        }
    }
    largest
}
