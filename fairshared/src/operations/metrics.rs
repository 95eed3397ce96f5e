//! The figures for monitoring: what is counted, what the ledger holds, and what the kernel says of
//! the slices.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fairshare_core::ledger::Capacity;
use fairshare_protocol::{
    MAX_METRICS_USERS, Metrics, MetricsInfo, MetricsUse, MetricsUser, Reply, Sums,
};

use super::Operations;
use crate::book::Book;
use crate::cgroup::SliceCgroup;
use crate::counts::COUNTS;
use crate::enforcement::Enforcement;

/// How many slices are looked at before others have their turn: about half a millisecond.
const SLICES_AT_ONCE: usize = 32;

/// The time in which CPU limits held users back. The kernel counts it for each slice and forgets it
/// with the slice; the sum here only rises. Nothing is kept until somebody asks.
#[derive(Debug, Default)]
pub(super) struct Throttled(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    total: u64,
    /// Each user's slice by its inode, and its time when it was last looked at.
    last: BTreeMap<u32, (u64, u64)>,
}

/// What was read of one user's slice.
struct Looked {
    uid: u32,
    inode: u64,
    cpu_us: u64,
    throttled_us: u64,
}

impl<E: Enforcement> Operations<E> {
    /// `metrics`.
    pub(crate) async fn metrics(&self, asked: Metrics) -> Reply {
        let (ledger, users) = self
            .book
            .with(|book| {
                let users: Vec<u32> = book.ledger().accounts().map(|(uid, _)| uid).collect();
                (of_ledger(book), users)
            })
            .await;
        let mut looked = self.look_at_each(&users).await;
        let used = self.enforcement.look_above().as_ref().and_then(used);
        Reply::MetricsInfo(Box::new(MetricsInfo {
            enforces: !self.is_watching(),
            used,
            throttled_us: self.throttled.add_up(&looked),
            strays: self.strays_at_last_look(),
            by_user: self.rows(&mut looked, asked.users.unwrap_or(0)).await,
            ..ledger
        }))
    }

    async fn look_at_each(&self, users: &[u32]) -> Vec<Looked> {
        let mut looked = Vec::with_capacity(users.len());
        for some in users.chunks(SLICES_AT_ONCE) {
            looked.extend(some.iter().filter_map(|&uid| {
                let slice = self.enforcement.look(uid)?;
                let (cpu_us, throttled_us) = slice.cpu_used_and_throttled()?;
                Some(Looked {
                    uid,
                    inode: slice.inode(),
                    cpu_us,
                    throttled_us,
                })
            }));
            tokio::task::yield_now().await;
        }
        looked
    }

    /// The users with the most CPU time.
    async fn rows(&self, looked: &mut Vec<Looked>, most: u32) -> Vec<MetricsUser> {
        let most = usize::try_from(most.min(MAX_METRICS_USERS)).unwrap_or(0);
        looked.sort_by_key(|one| (std::cmp::Reverse(one.cpu_us), one.uid));
        looked.truncate(most);
        let uids: Vec<u32> = looked.iter().map(|one| one.uid).collect();
        if uids.is_empty() {
            return Vec::new();
        }
        let names = self.book.with(move |book| {
            let names = uids.iter().map(|&uid| book.person(uid).name.clone());
            names.collect::<Vec<_>>()
        });
        let mut rows = Vec::with_capacity(looked.len());
        for (one, user) in looked.iter().zip(names.await) {
            if rows.len() % SLICES_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            // One that has gone meanwhile has no use any more.
            let Some(slice) = self.enforcement.look(one.uid) else {
                continue;
            };
            rows.push(MetricsUser {
                uid: one.uid,
                user,
                cpu_us: one.cpu_us,
                mem_bytes: slice.memory().map_or(0, |memory| memory.held().bytes()),
                tasks: slice.tasks().unwrap_or(0),
                throttled_us: one.throttled_us,
            });
        }
        rows
    }
}

impl Throttled {
    /// All that was ever seen, with what has been added since the last look.
    fn add_up(&self, looked: &[Looked]) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = BTreeMap::new();
        for one in looked {
            let before = match seen.last.get(&one.uid) {
                Some((inode, time)) if *inode == one.inode => *time,
                _ => 0,
            };
            let more = one.throttled_us.saturating_sub(before);
            seen.total = seen.total.saturating_add(more);
            last.insert(one.uid, (one.inode, one.throttled_us));
        }
        seen.last = last;
        seen.total
    }
}

/// The counts, and what the ledger holds.
fn of_ledger(book: &Book) -> MetricsInfo {
    let (ledger, now) = (book.ledger(), book.now());
    let mut info = MetricsInfo {
        capacity: sums(ledger.capacity()),
        granted: sums(ledger.granted()),
        ..COUNTS.told()
    };
    for (_, account) in ledger.accounts() {
        let allocation = account.allocation();
        info.users += 1;
        info.sessions += u64::try_from(account.sessions().len()).unwrap_or(0);
        info.grants += u64::from(account.grant().is_some());
        let Sums {
            cpu_thousandths,
            mem_bytes,
        } = &mut info.allocated;
        // What may be allocated has no bound that an unlucky policy could not pass.
        *cpu_thousandths = cpu_thousandths.saturating_add(allocation.cpu.thousandths());
        *mem_bytes = mem_bytes.saturating_add(allocation.mem.bytes());
        info.allocated_tasks = info
            .allocated_tasks
            .saturating_add(allocation.tasks.count());
    }
    let queue = ledger.queue();
    info.queue = u64::try_from(queue.len()).unwrap_or(u64::MAX);
    let waits = queue.iter().map(|(_, waiting)| now.since(waiting.since));
    info.queue_oldest_s = waits.max().unwrap_or_default().as_secs();
    info
}

fn sums(capacity: Capacity) -> Sums {
    Sums {
        cpu_thousandths: capacity.cpu_thousandths,
        mem_bytes: capacity.mem_bytes,
    }
}

/// What the slice above all users' slices uses; `None` where the kernel does not say.
fn used(slice: &SliceCgroup) -> Option<MetricsUse> {
    let memory = slice.memory()?;
    Some(MetricsUse {
        cpu_us: slice.cpu_used()?,
        mem_bytes: memory.held().bytes(),
        cache_bytes: memory.reclaimable,
        tasks: slice.tasks()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(uid: u32, inode: u64, throttled_us: u64) -> Looked {
        Looked {
            uid,
            inode,
            cpu_us: 0,
            throttled_us,
        }
    }

    #[test]
    fn the_time_held_back_never_falls_when_a_slice_goes_or_begins_anew() {
        let throttled = Throttled::default();
        let first = [looked(1000, 1, 500), looked(1001, 2, 50)];
        assert_eq!(throttled.add_up(&first), 550);
        assert_eq!(throttled.add_up(&[looked(1000, 1, 700)]), 750);
        let anew = [looked(1000, 3, 10), looked(1001, 4, 5)];
        assert_eq!(throttled.add_up(&anew), 765);
        assert_eq!(throttled.add_up(&[]), 765);
    }
}
