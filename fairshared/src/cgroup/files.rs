//! The texts of cgroup files, as `cgroup-v2` of the kernel's guide describes them.

use std::collections::BTreeMap;

use fairshare_protocol::Hundredths;

use super::device::DeviceNumber;
use super::enforced::{Ceilings, Limit};

pub(super) fn limit(text: &str) -> Limit {
    match text.trim() {
        "max" => Limit::Max,
        number => number.parse().map_or(Limit::Missing, Limit::At),
    }
}

/// `cpu.max` is `QUOTA PERIOD` in microseconds, `max` for no quota.
pub(super) fn cpu_max(text: &str) -> Limit {
    let mut words = text.split_whitespace();
    let (quota, period) = (
        words.next(),
        words.next().and_then(|word| word.parse::<u64>().ok()),
    );
    match (quota, period) {
        (Some("max"), _) => Limit::Max,
        (Some(quota), Some(period)) if period > 0 => quota
            .parse::<u64>()
            .ok()
            .and_then(|quota| quota.checked_mul(1_000_000))
            .map_or(Limit::Missing, |scaled| Limit::At(scaled / period)),
        _ => Limit::Missing,
    }
}

/// Page cache without shared memory, and the part of the kernel's own memory that it can free.
/// `memory.stat` counts shared memory among `file`, but keeps it on the lists of anonymous memory,
/// so the two lists of files are exactly what can go.
pub(super) fn reclaimable(memory_stat: &str) -> u64 {
    memory_stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(key, _)| matches!(*key, "active_file" | "inactive_file" | "slab_reclaimable"))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .sum()
}

/// The figure behind a key, of a file with a pair on each line. In `cpu.stat` `usage_usec` is the CPU time of everything that ever ran in the cgroup,
/// `throttled_usec` how long its limit held it back, each CPU on its own.
pub(crate) fn figure(text: &str, key: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// `total` of the line `some` of `memory.pressure`: the time in which at least one task waited, in
/// microseconds. See `psi` of the kernel's guide.
pub(crate) fn stalled(pressure: &str) -> Option<u64> {
    let some = pressure
        .lines()
        .find_map(|line| line.strip_prefix("some "))?;
    let total = some
        .split_whitespace()
        .find_map(|word| word.strip_prefix("total="))?;
    total.parse().ok()
}

/// The `some avg10` of a pressure file, in hundredths of a percent.
pub(super) fn some_pressure(text: &str) -> Option<Hundredths> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let mut words = line.split_whitespace();
    let (whole, rest) = words
        .find_map(|word| word.strip_prefix("avg10="))?
        .split_once('.')?;
    // The kernel writes two decimals.
    let (whole, rest): (u64, u64) = (whole.parse().ok()?, rest.get(..2)?.parse().ok()?);
    Some(Hundredths::new(whole.checked_mul(100)?.checked_add(rest)?))
}

/// The weight for all devices that have none of their own: `default 100`, or the number alone.
pub(super) fn io_weight(text: &str) -> Limit {
    let line = text.lines().next().unwrap_or_default();
    limit(line.strip_prefix("default ").unwrap_or(line))
}

/// A line for each device with a ceiling, `254:0 rbps=1048576 wbps=max riops=max wiops=max`. What
/// is not understood is not there.
pub(super) fn io_max(text: &str) -> BTreeMap<DeviceNumber, Ceilings> {
    let device = |line: &str| {
        let (number, ceilings) = line.split_once(' ')?;
        let ceiling = |kind: &str| {
            ceilings
                .split_whitespace()
                .find_map(|word| word.strip_prefix(kind)?.strip_prefix('='))
                .and_then(|value| value.parse().ok())
        };
        let (read, write) = (ceiling("rbps"), ceiling("wbps"));
        Some((DeviceNumber::parse(number)?, Ceilings { read, write }))
    };
    text.lines().filter_map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_in_any_period_are_read() {
        assert_eq!(cpu_max("50000 100000\n"), Limit::At(500_000));
        assert_eq!(cpu_max("20000 10000\n"), Limit::At(2_000_000));
        assert_eq!(cpu_max("max 100000\n"), Limit::Max);
        for wrong in ["", "x 5", "5", "5 0", "18446744073709551615 100000"] {
            assert_eq!(cpu_max(wrong), Limit::Missing, "{wrong}");
        }
    }

    #[test]
    fn times_of_waiting_are_read() {
        let pressure = "some avg10=0.00 avg60=1.00 avg300=0.00 total=1234\n\
                        full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        assert_eq!(stalled(pressure), Some(1234));
        assert_eq!(stalled(""), None);
    }

    #[test]
    fn weights_are_read_with_and_without_single_devices() {
        assert_eq!(io_weight("default 200\n"), Limit::At(200));
        assert_eq!(io_weight("default 100\n254:0 300\n"), Limit::At(100));
        assert_eq!(io_weight("50\n"), Limit::At(50));
        assert_eq!(io_weight(""), Limit::Missing);
    }

    #[test]
    fn pressure_is_that_of_the_last_ten_seconds_for_some() {
        let text = "some avg10=12.34 avg60=0.00 avg300=0.00 total=5\n\
                    full avg10=1.00 avg60=0.00 avg300=0.00 total=4\n";
        assert_eq!(some_pressure(text), Some(Hundredths::new(1234)));
        for wrong in [
            "",
            "full avg10=1.00\n",
            "some avg10=x.00\n",
            "some avg10=1\n",
        ] {
            assert_eq!(some_pressure(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn figures_are_told_apart_by_their_whole_name() {
        let text = "usage_usec 75\nuser_usec 50\nthrottled_usec 9\n";
        assert_eq!(figure(text, "usage_usec"), Some(75));
        assert_eq!(figure(text, "throttled_usec"), Some(9));
        assert_eq!(figure(text, "throttled"), None);
        assert_eq!(figure("max many\n", "max"), None);
    }

    #[test]
    fn ceilings_are_read_for_each_device() {
        let text = "254:0 rbps=1048576 wbps=max riops=max wiops=max\n\
                    8:16 rbps=max wbps=5 riops=7 wiops=max\nnonsense\n";
        let of =
            |major, minor, read, write| (DeviceNumber { major, minor }, Ceilings { read, write });
        let expected = [of(254, 0, Some(1_048_576), None), of(8, 16, None, Some(5))];
        assert_eq!(io_max(text), BTreeMap::from(expected));
        assert_eq!(io_max(""), BTreeMap::new());
    }
}
