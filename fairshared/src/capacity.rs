//! What the machine has.

use std::fs;
use std::io;

use fairshare_core::ledger::Capacity;

/// The kernel's list of the CPUs that are online, such as `0-3,8`.
const ONLINE_CPUS: &str = "/sys/devices/system/cpu/online";
/// The kernel's figures on memory.
const MEMINFO: &str = "/proc/meminfo";

/// The CPUs that are online and the memory that the kernel manages.
pub(crate) fn of_machine() -> io::Result<Capacity> {
    let cpus = read(ONLINE_CPUS, parse_cpu_list)?;
    let mem_bytes = read(MEMINFO, parse_mem_total)?;
    Ok(Capacity {
        cpu_thousandths: cpus * 1000,
        mem_bytes,
    })
}

fn read(path: &str, parse: fn(&str) -> Option<u64>) -> io::Result<u64> {
    let text = fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("read {path}: {error}")))?;
    parse(&text).ok_or_else(|| io::Error::other(format!("{path} is not understood")))
}

fn parse_cpu_list(list: &str) -> Option<u64> {
    list.trim().split(',').try_fold(0, |sum, range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        Some(sum + to.checked_sub(from)? + 1)
    })
}

fn parse_mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(parse_cpu_list("0-3,8\n"), Some(5));
        assert_eq!(parse_cpu_list("0\n"), Some(1));
        assert_eq!(parse_cpu_list("3-1"), None);
        assert_eq!(parse_cpu_list(""), None);
        assert_eq!(
            parse_mem_total("MemTotal:  2014264 kB\nMemFree: 1 kB\n"),
            Some(2_062_606_336)
        );
        assert_eq!(parse_mem_total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn this_machine_has_something() {
        let capacity = of_machine().unwrap();
        assert!(capacity.cpu_thousandths >= 1000 && capacity.mem_bytes > 1 << 20);
    }
}
