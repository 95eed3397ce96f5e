//! CPUs in use, made of two readings of a counter.

use fairshare_protocol::{Hundredths, MachineInfo, SliceInfo};

/// A counter of CPU time and when it was read, both in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    at: u64,
    cpu: u64,
}

impl Reading {
    pub(crate) fn of_slice(slice: &SliceInfo) -> Option<Self> {
        Self::new(slice.at_us, slice.cpu_us)
    }

    pub(crate) fn of_machine(machine: &MachineInfo) -> Option<Self> {
        Self::new(machine.at_us, machine.cpu_us)
    }

    fn new(at: Option<u64>, cpu: Option<u64>) -> Option<Self> {
        Some(Self { at: at?, cpu: cpu? })
    }

    /// CPUs in use between an earlier reading and this one. `None` where the counter began anew:
    /// another slice of the same name.
    pub(crate) fn since(self, earlier: Self) -> Option<Hundredths> {
        let past = self.at.checked_sub(earlier.at)?;
        let used = self.cpu.checked_sub(earlier.cpu)?;
        Some(Hundredths::new(used.checked_mul(100)?.checked_div(past)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_one_slice_and_of_some_time() {
        let earlier = Reading {
            at: 1_000_000,
            cpu: 500,
        };
        let rate = |at, cpu| Reading { at, cpu }.since(earlier).map(Hundredths::count);
        assert_eq!(rate(1_250_000, 375_500), Some(150));
        assert_eq!(rate(1_000_000, 600), None, "no time has passed");
        assert_eq!(rate(2_000_000, 400), None, "another slice");
    }
}
