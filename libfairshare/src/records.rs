//! The structures that cross the boundary, and what they mean in Rust.
//!
//! Each begins with its size and consists of 64-bit numbers behind that, so that it has no padding
//! and grows at its end, in the way of the kernel's `openat2(2)` and `sched_getattr(2)`.

use fairshare_client::protocol::{
    Allocation, Cpus, MemorySize, SessionOpened, StatusInfo, Tasks, Wish as ProtocolWish,
};

use crate::handle::Failure;

/// A figure that the daemon does not tell, and every figure that a later header has and this
/// library does not.
pub const FAIRSHARE_UNKNOWN: u64 = u64::MAX;

/// Shrink memory even below what is in use: processes may be killed.
pub const FAIRSHARE_FORCE: u32 = 1;

/// What to ask for. A resource that is 0 stays as it is; at least one must not be 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// sizeof(struct fairshare_wish).
    pub size: usize,
    /// CPU time, in thousandths of a CPU: 10 to 100000000.
    pub cpu: u64,
    /// Memory, in bytes.
    pub mem: u64,
    /// Processes and threads.
    pub tasks: u64,
}

/// A session as the daemon opened it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// sizeof(struct fairshare_session), set before the call.
    pub size: usize,
    /// The session's number, for fairshare_close_session. 0 where there is nothing to limit: the
    /// user is not covered by policy, or the process stays in the session of another user. The
    /// figures are FAIRSHARE_UNKNOWN then.
    pub session: u64,
    /// CPU time that the user has now, in thousandths of a CPU.
    pub cpu: u64,
    /// Memory that the user has now, in bytes.
    pub mem: u64,
    /// Processes and threads that the user may have now.
    pub tasks: u64,
}

/// What the calling user has, uses and may ask for. A figure is FAIRSHARE_UNKNOWN where the daemon
/// does not tell it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// sizeof(struct fairshare_status), set before the call.
    pub size: usize,
    /// CPU time that the user has, in thousandths of a CPU. Always told.
    pub cpu: u64,
    /// Memory that the user has, in bytes. Always told.
    pub mem: u64,
    /// Processes and threads that the user may have.
    pub tasks: u64,
    /// Swap that the user may fill, in bytes.
    pub swap: u64,
    /// What policy gives at login: CPU time, in thousandths of a CPU.
    pub default_cpu: u64,
    /// What policy gives at login: memory, in bytes.
    pub default_mem: u64,
    /// What policy gives at login: processes and threads.
    pub default_tasks: u64,
    /// The most that policy lets the user hold: CPU time, in thousandths of a CPU.
    pub max_cpu: u64,
    /// The most that policy lets the user hold: memory, in bytes.
    pub max_mem: u64,
    /// The most that policy lets the user hold: processes and threads.
    pub max_tasks: u64,
    /// Memory in use that cannot be taken back without swap, in bytes; page cache is left out.
    pub mem_used: u64,
    /// Page cache, in bytes, which the kernel takes back when memory is short.
    pub mem_cache: u64,
    /// Processes and threads that exist.
    pub tasks_used: u64,
    /// Open sessions of the user.
    pub sessions: u64,
    /// 1 where the user holds a grant, 0 where not.
    pub grant: u64,
    /// In how many points the kernel enforces something else than the figures above say. The
    /// command `fairshare status` tells which.
    pub differences: u64,
}

impl Wish {
    /// The wish in the protocol's words.
    pub(crate) fn read(self) -> Result<ProtocolWish, Failure> {
        let invalid = |figure: u64, what: &str| {
            Failure::invalid_argument(format!("{figure} is out of range for {what}"))
        };
        let given = |figure: u64| (figure != 0).then_some(figure);
        let wish = ProtocolWish {
            cpu: given(self.cpu)
                .map(|cpu| {
                    Cpus::from_thousandths(cpu).ok_or_else(|| invalid(cpu, "cpu in thousandths"))
                })
                .transpose()?,
            mem: given(self.mem)
                .map(|mem| MemorySize::from_bytes(mem).ok_or_else(|| invalid(mem, "mem in bytes")))
                .transpose()?,
            tasks: given(self.tasks)
                .map(|tasks| Tasks::new(tasks).ok_or_else(|| invalid(tasks, "tasks")))
                .transpose()?,
        };
        if wish.is_empty() {
            return Err(Failure::invalid_argument(
                "the wish names nothing: set cpu, mem or tasks".to_owned(),
            ));
        }
        Ok(wish)
    }
}

impl From<SessionOpened> for Session {
    fn from(opened: SessionOpened) -> Self {
        Self {
            size: size_of::<Self>(),
            session: opened.session,
            cpu: opened.allocation.cpu.thousandths(),
            mem: opened.allocation.mem.bytes(),
            tasks: opened.allocation.tasks.count(),
        }
    }
}

impl Session {
    /// Nothing to limit.
    pub(crate) fn ignored() -> Self {
        Self {
            size: size_of::<Self>(),
            session: 0,
            cpu: FAIRSHARE_UNKNOWN,
            mem: FAIRSHARE_UNKNOWN,
            tasks: FAIRSHARE_UNKNOWN,
        }
    }
}

impl From<StatusInfo> for Status {
    fn from(info: StatusInfo) -> Self {
        let (default_cpu, default_mem, default_tasks) = figures(info.default);
        let (max_cpu, max_mem, max_tasks) = figures(info.max);
        let slice = info.slice.as_ref();
        Self {
            size: size_of::<Self>(),
            cpu: info.allocated_cpu.thousandths(),
            mem: info.allocated_mem.bytes(),
            tasks: told(info.allocated_tasks.map(Tasks::count)),
            swap: told(info.allocated_swap.map(MemorySize::bytes)),
            default_cpu,
            default_mem,
            default_tasks,
            max_cpu,
            max_mem,
            max_tasks,
            mem_used: told(
                slice
                    .and_then(|slice| slice.mem_used)
                    .map(MemorySize::bytes),
            ),
            mem_cache: told(
                slice
                    .and_then(|slice| slice.mem_cache)
                    .map(MemorySize::bytes),
            ),
            tasks_used: told(slice.and_then(|slice| slice.tasks_used)),
            sessions: told(info.sessions),
            grant: told(info.grant.map(u64::from)),
            differences: u64::try_from(info.differences.len()).unwrap_or(FAIRSHARE_UNKNOWN),
        }
    }
}

fn told(figure: Option<u64>) -> u64 {
    figure.unwrap_or(FAIRSHARE_UNKNOWN)
}

fn figures(allocation: Option<Allocation>) -> (u64, u64, u64) {
    (
        told(allocation.map(|allocation| allocation.cpu.thousandths())),
        told(allocation.map(|allocation| allocation.mem.bytes())),
        told(allocation.map(|allocation| allocation.tasks.count())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::ResultCode;

    #[test]
    fn a_wish_leaves_out_what_is_zero_and_refuses_what_no_machine_has() {
        let wish = Wish {
            cpu: 1500,
            mem: 1 << 30,
            ..Wish::default()
        };
        assert_eq!(wish.read().unwrap().to_string(), "1.5 CPUs, 1G memory");
        for wish in [
            Wish::default(),
            Wish { cpu: 9, ..wish },
            Wish {
                mem: u64::MAX,
                ..wish
            },
            Wish {
                tasks: 4_194_305,
                ..wish
            },
        ] {
            assert_eq!(wish.read().unwrap_err().code, ResultCode::InvalidArgument);
        }
    }

    #[test]
    fn what_the_daemon_does_not_tell_is_unknown_and_never_zero() {
        let mut info = StatusInfo::new("0.5".parse().unwrap(), "8G".parse().unwrap());
        info.differences = vec!["one".to_owned()];
        let status = Status::from(info);
        assert_eq!((status.cpu, status.mem), (500, 8 << 30));
        assert_eq!(status.differences, 1);
        for figure in [
            status.tasks,
            status.swap,
            status.default_cpu,
            status.max_tasks,
            status.mem_used,
            status.tasks_used,
            status.sessions,
            status.grant,
        ] {
            assert_eq!(figure, FAIRSHARE_UNKNOWN);
        }
    }
}
