//! What is in use now: of everybody's slices, and the processes in one.
//!
//! Nothing is measured unless somebody asks, and then by reading the kernel's own counters: see
//! `docs/decisions/0039-live-figures-are-asked-for.md`.

use fairshare_protocol::{
    Cpus, ErrorCode, Hundredths, MachineInfo, MemorySize, ProcessInfo, ProcessesInfo, Reply,
    SliceInfo, Tasks, UsageInfo, UserUsage, Wish,
};

use super::Operations;
use super::reports::rows;
use crate::authorise::{Caller, sees_everybody};
use crate::cgroup::SliceCgroup;
use crate::clock;
use crate::enforcement::Enforcement;
use crate::history::Recent;

/// Slices that are read before others run: each is a handful of small files.
const SLICES_AT_ONCE: usize = 8;

impl<E: Enforcement> Operations<E> {
    /// `usage`: everybody, or only the caller.
    pub(crate) async fn usage(&self, caller: &Caller) -> Reply {
        let everybody = sees_everybody(caller);
        let only = (!everybody).then_some(caller.uid);
        let (mut users, capacity, granted) = self
            .book
            .with(move |book| {
                let users: Vec<UserUsage> = rows(book, only)
                    .map(|row| UserUsage { row, slice: None })
                    .collect();
                (users, book.ledger().capacity(), book.ledger().granted())
            })
            .await;
        for some in users.chunks_mut(SLICES_AT_ONCE) {
            for user in some {
                let slice = self.enforcement.look(user.row.uid);
                let unit = self.enforcement.slice(user.row.uid);
                user.slice = slice.map(|slice| self.slice_info(user.row.uid, &unit, &slice));
            }
            tokio::task::yield_now().await;
        }
        let together = |cpu, mem| Wish {
            cpu: Cpus::from_thousandths(cpu),
            mem: MemorySize::from_bytes(mem).filter(|mem| *mem != MemorySize::ZERO),
            tasks: None,
        };
        // What cannot be learnt of the machine is left out; the log says why where it matters.
        let total = self.source.machine().ok().map(|machine| Wish {
            tasks: Tasks::new(machine.tasks),
            ..together(machine.cpu_thousandths, machine.mem_bytes)
        });
        Reply::UsageInfo(UsageInfo {
            users,
            machine: MachineInfo {
                total: total.unwrap_or_default(),
                capacity: together(capacity.cpu_thousandths, capacity.mem_bytes),
                granted: together(granted.cpu_thousandths, granted.mem_bytes),
                ..self.source.in_use()
            },
            everybody,
        })
    }

    /// `processes`: the largest of a user's slice.
    pub(crate) async fn processes(&self, uid: u32, caller: &Caller) -> Reply {
        let Some(slice) = self.enforcement.look(uid) else {
            let unit = self.enforcement.slice(uid);
            let message = format!("User {uid} has no processes: {unit} is not active");
            return Reply::error(ErrorCode::NoSession, message);
        };
        let user = self
            .book
            .with(move |book| book.person(uid).name.clone())
            .await;
        let everybody = sees_everybody(caller);
        let found = self.walks.look(uid, &slice, everybody).await;
        let now = clock::millis();
        let processes = found.processes.iter().map(|process| ProcessInfo {
            pid: process.pid,
            command: process.command.clone(),
            state: process.state,
            mem: MemorySize::saturating_from_bytes(process.mem),
            cpu_ms: process.cpu_ms,
            running_s: now.saturating_sub(process.started_ms) / 1000,
        });
        Reply::ProcessesInfo(ProcessesInfo {
            uid,
            user,
            processes: processes.collect(),
            total: found.total,
            cut: found.cut,
        })
    }

    /// A slice and its use, also over the last minute.
    pub(super) fn slice_info(&self, uid: u32, unit: &str, slice: &SliceCgroup) -> SliceInfo {
        let mut info = slice.info(unit);
        let earlier = self.history.a_minute_ago(uid);
        info.cpu_minute = earlier.and_then(|earlier| average(&earlier, slice.inode(), &info));
        info
    }
}

/// CPUs in use on average between two readings of the same slice.
fn average(earlier: &Recent, inode: u64, now: &SliceInfo) -> Option<Hundredths> {
    if earlier.slice != inode {
        return None;
    }
    let used = now.cpu_us?.checked_sub(earlier.cpu)?;
    let past = now.at_us?.checked_sub(earlier.at.checked_mul(1000)?)?;
    Some(Hundredths::new(used.checked_mul(100)?.checked_div(past)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_is_of_one_slice() {
        let now = SliceInfo {
            at_us: Some(90_000_000),
            cpu_us: Some(100_000_000),
            ..SliceInfo::default()
        };
        let earlier = Recent {
            at: 30_000,
            slice: 7,
            cpu: 10_000_000,
        };
        let used = |earlier: Recent| average(&earlier, 7, &now).map(Hundredths::count);
        assert_eq!(used(earlier), Some(150), "90 s of CPU time in a minute");
        assert_eq!(
            used(Recent {
                slice: 8,
                ..earlier
            }),
            None,
            "another slice"
        );
        assert_eq!(
            used(Recent {
                at: 90_000,
                ..earlier
            }),
            None,
            "no time has passed"
        );
        let cpu = u64::MAX;
        assert_eq!(used(Recent { cpu, ..earlier }), None, "it never goes back");
    }
}
