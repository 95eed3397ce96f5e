//! The figures in the kernel's texts that events are about, as `cgroup-v2` and `psi` of the
//! kernel's guide describe them.

use std::time::Duration;

use crate::cgroup::figure;

/// The period of a CPU limit where the kernel does not say another, in microseconds.
const USUAL_PERIOD: u64 = 100_000;

/// How long a CPU limit has held a cgroup back, in microseconds: the periods of `cpu.stat` in which
/// it did, in the period of `cpu.max`. `throttled_usec` adds up what several CPUs waited at once,
/// and is no part of the time.
pub(super) fn throttled(cpu_stat: &str, cpu_max: &str) -> Option<u64> {
    let mut words = cpu_max.split_whitespace().skip(1);
    let period = words.next().and_then(|word| word.parse().ok());
    let periods = figure(cpu_stat, "nr_throttled")?;
    Some(periods.saturating_mul(period.unwrap_or(USUAL_PERIOD)))
}

/// A part of a time in hundredths of a percent, at most all of it.
pub(super) fn share(micros: u64, over: Duration) -> u32 {
    let whole = over.as_micros().max(1);
    let part = u128::from(micros).saturating_mul(10_000) / whole;
    u32::try_from(part.min(10_000)).unwrap_or(10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_counted_in_the_length_that_the_limit_has() {
        let stat = "usage_usec 9\nnr_periods 40\nnr_throttled 30\nthrottled_usec 99999999\n";
        assert_eq!(throttled(stat, "200000 100000\n"), Some(3_000_000));
        assert_eq!(throttled(stat, "5000 10000\n"), Some(300_000));
        assert_eq!(throttled(stat, ""), Some(3_000_000));
        assert_eq!(throttled("usage_usec 9\n", "max 100000\n"), None);
    }

    #[test]
    fn a_share_is_never_above_the_whole() {
        let minute = Duration::from_secs(60);
        assert_eq!(share(30_000_000, minute), 5000);
        assert_eq!(share(u64::MAX, minute), 10_000);
        assert_eq!(share(1, Duration::ZERO), 10_000);
    }
}
