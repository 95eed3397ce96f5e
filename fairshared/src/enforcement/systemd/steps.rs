//! How memory comes down: in which steps, and to where.
//!
//! Reclaim happens in whoever writes the file, which is systemd: one large step would keep it from
//! everybody else.

use crate::cgroup::{Enforced, Limit, Wanted};

/// The least by which memory comes down in one step, in bytes.
const SMALLEST_STEP: u64 = 64 << 20;

/// Whether what is charged is above where it is to be held in the end, and is not held there yet.
/// Where it is, programs may well stay a little above it for good, and nothing remains to be done.
pub(super) fn are_needed(charged: u64, enforced: &Enforced, wanted: &Wanted) -> bool {
    let held = |high| enforced.mem_high == Limit::At(high);
    let above = charged > wanted.memory_floor();
    charged > wanted.mem || (above && !wanted.mem_high.is_some_and(held))
}

/// What `memory.high` is next: an eighth of the way down. The way ends where policy holds memory,
/// or at the limit.
pub(super) fn next(charged: u64, wanted: &Wanted) -> u64 {
    let floor = wanted.memory_floor();
    let step = (charged.saturating_sub(floor) / 8).max(SMALLEST_STEP);
    charged.saturating_sub(step).max(floor)
}

#[cfg(test)]
mod tests {
    use fairshare_core::{Limits, Shaping};
    use fairshare_protocol::{Allocation, MemorySize};

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A limit of 1000 MiB.
    fn wanted(mem_high: Option<u8>) -> Wanted {
        let allocation = Allocation {
            cpu: "1".parse().unwrap(),
            mem: "1000M".parse().unwrap(),
            tasks: "100".parse().unwrap(),
        };
        Wanted::of(&Limits {
            allocation,
            swap: MemorySize::ZERO,
            shaping: Shaping {
                mem_high,
                ..Shaping::default()
            },
        })
    }

    fn held_at(mem_high: Limit) -> Enforced {
        Enforced {
            mem_high,
            ..Enforced::plain(&wanted(None))
        }
    }

    #[test]
    fn steps_are_needed_until_memory_is_where_policy_holds_it() {
        let (free, held) = (held_at(Limit::Max), held_at(Limit::At(900 * MIB)));
        for (charged, enforced, mem_high, needed) in [
            (1000, &free, None, false),
            (1001, &free, None, true),
            (900, &free, Some(90), false),
            (901, &free, Some(90), true),
            // It is held there already, and goes a little over.
            (910, &held, Some(90), false),
            (1001, &held, Some(90), true),
            // Held at another place than policy says.
            (910, &held, Some(80), true),
        ] {
            assert_eq!(
                are_needed(charged * MIB, enforced, &wanted(mem_high)),
                needed,
                "{charged} MiB, {mem_high:?}"
            );
        }
    }

    #[test]
    fn each_step_is_an_eighth_of_the_way_and_the_last_ends_it() {
        for (charged, mem_high, high) in [
            (9000, None, 8000),
            (1128, None, 1064),
            (1010, None, 1000),
            (8900, Some(90), 7900),
            (1010, Some(90), 946),
            (920, Some(90), 900),
        ] {
            let next = next(charged * MIB, &wanted(mem_high));

            assert_eq!(next, high * MIB, "{charged} MiB, {mem_high:?}");
        }
    }
}
