//! Comparing, figure by figure.

use std::io;

use fairshare_core::{CpuWeight, DeviceBandwidth, Shaping};
use fairshare_protocol::Allocation;

use super::*;

const DISK: DeviceNumber = DeviceNumber {
    major: 254,
    minor: 0,
};
const OTHER: DeviceNumber = DeviceNumber { major: 8, minor: 0 };

fn wanted(shaping: Shaping) -> Wanted {
    let limits = Limits {
        allocation: Allocation {
            cpu: "0.5".parse().unwrap(),
            mem: "256M".parse().unwrap(),
            tasks: "200".parse().unwrap(),
        },
        swap: MemorySize::ZERO,
        shaping,
    };
    Wanted::with_disks(&limits, |node| match node {
        "/dev/vda" | "/dev/vda1" => Ok(DISK),
        "/dev/sda" => Ok(OTHER),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    })
}

/// What the kernel has where all that is asked for holds, and nothing is beside it.
fn enforced() -> Enforced {
    Enforced {
        cpu: Limit::At(500_000),
        cpu_weight: Limit::At(50),
        mem: Limit::At(268_435_456),
        mem_high: Limit::Max,
        mem_low: Limit::At(0),
        mem_low_above: None,
        swap: Limit::At(0),
        tasks: Limit::At(200),
        io_weight: Limit::Missing,
        io_weight_heeded: true,
        io_max: None,
        io_controller: true,
    }
}

fn with_ceilings(list: &[(DeviceNumber, Option<u64>, Option<u64>)]) -> Enforced {
    let one = |&(number, read, write)| (number, Ceilings { read, write });
    Enforced {
        io_max: Some(list.iter().map(one).collect()),
        ..enforced()
    }
}

fn ceiling(device: &str, read: Option<u64>, write: Option<u64>) -> DeviceBandwidth {
    DeviceBandwidth {
        device: device.to_owned(),
        read,
        write,
    }
}

fn with_io(io_bandwidth: &[DeviceBandwidth]) -> Wanted {
    wanted(Shaping {
        io_bandwidth: io_bandwidth.to_vec(),
        ..Shaping::default()
    })
}

/// The sentence on the one difference, and whether asking may mend it.
fn only(enforced: &Enforced, wanted: &Wanted) -> (String, bool) {
    let mut found = enforced.differences_from(wanted);
    assert_eq!(found.len(), 1, "{found:?}");
    (found.remove(0), !enforced.holds(wanted))
}

#[test]
fn the_weight_follows_the_allocation_or_is_fixed() {
    assert!(enforced().holds(&wanted(Shaping::default())));
    let fixed = wanted(Shaping {
        cpu_weight: CpuWeight::Fixed(70),
        ..Shaping::default()
    });
    let (sentence, mendable) = only(&enforced(), &fixed);
    assert_eq!(sentence, "cpu.weight: 70 asked for, 50 enforced");
    assert!(mendable);
}

#[test]
fn memory_is_held_below_the_limit_where_policy_says() {
    let high = wanted(Shaping {
        mem_high: Some(50),
        ..Shaping::default()
    });
    let (sentence, mendable) = only(&enforced(), &high);
    assert_eq!(sentence, "memory.high: 128M asked for, no limit enforced");
    assert!(mendable);
    let held = Enforced {
        mem_high: Limit::At(128 << 20),
        ..enforced()
    };
    assert_eq!(held.differences_from(&high), [""; 0]);
    assert_eq!(high.memory_floor(), 128 << 20);

    // An administrator's own, which is not asked away.
    let (sentence, mendable) = only(&held, &wanted(Shaping::default()));
    assert_eq!(sentence, "memory.high: memory is held at 128M");
    assert!(!mendable);
}

#[test]
fn a_guarantee_without_one_above_is_told() {
    let low = wanted(Shaping {
        mem_guarantee: Some("64M".parse().unwrap()),
        ..Shaping::default()
    });
    let (sentence, mendable) = only(&enforced(), &low);
    assert_eq!(sentence, "memory.low: 64M asked for, 0 enforced");
    assert!(mendable);
    let mut kept = Enforced {
        mem_low: Limit::At(64 << 20),
        ..enforced()
    };
    assert_eq!(kept.differences_from(&low), [""; 0]);
    kept.mem_low_above = Some(("user.slice".to_owned(), 0));
    let (sentence, mendable) = only(&kept, &low);
    assert_eq!(
        sentence,
        "memory.low: 64M asked for, 0 enforced: user.slice is protected no further"
    );
    assert!(!mendable);
    // Nobody asked for the guarantee that an administrator gave.
    assert_eq!(kept.differences_from(&wanted(Shaping::default())), [""; 0]);
}

#[test]
fn a_weight_that_nothing_heeds_is_told() {
    let weighted = wanted(Shaping {
        io_weight: Some(300),
        ..Shaping::default()
    });
    let no_file = "io.weight: 300 asked for, nothing: the kernel has no such file enforced";
    // The controller is not on yet, or the kernel has none, or it is on and has no such file.
    for (io_controller, io_max, mendable) in [
        (true, None, true),
        (false, None, false),
        (true, Some(BTreeMap::new()), false),
    ] {
        let enforced = Enforced {
            io_max,
            io_controller,
            ..enforced()
        };
        assert_eq!(only(&enforced, &weighted), (no_file.to_owned(), mendable));
    }
    let mut set = Enforced {
        io_weight: Limit::At(300),
        ..enforced()
    };
    assert_eq!(set.differences_from(&weighted), [""; 0]);
    set.io_weight_heeded = false;
    let (sentence, mendable) = only(&set, &weighted);
    assert_eq!(
        sentence,
        "io.weight: 300 asked for, nothing enforced: no disk has iocost or BFQ on"
    );
    assert!(!mendable);
}

#[test]
fn ceilings_are_compared_by_disk_and_direction() {
    let asked = with_io(&[ceiling("/dev/vda1", Some(100 << 20), Some(50 << 20))]);
    let right = with_ceilings(&[(DISK, Some(100 << 20), Some(50 << 20))]);
    assert_eq!(right.differences_from(&asked), [""; 0]);

    let wrong = with_ceilings(&[(DISK, Some(1 << 20), None)]);
    assert!(!wrong.holds(&asked));
    assert_eq!(
        wrong.differences_from(&asked),
        [
            "io.max: /dev/vda1: reading: 100M per second asked for, 1M per second enforced",
            "io.max: /dev/vda1: writing: 50M per second asked for, no limit enforced",
        ]
    );
    let mut none = enforced();
    assert!(!none.holds(&asked));
    none.io_controller = false;
    assert!(none.holds(&asked), "there is no way to mend it");
    assert_eq!(
        none.differences_from(&asked).first().unwrap(),
        "io.max: /dev/vda1: reading: 100M per second asked for, \
         nothing: the kernel has no such file enforced"
    );
    // Told where somebody looks, and not each time.
    assert_eq!(none.shortfalls(&asked), [""; 0]);
    assert_eq!(wrong.shortfalls(&asked), wrong.differences_from(&asked));
}

#[test]
fn a_ceiling_that_policy_has_dropped_is_a_difference_where_it_has_others() {
    let both = with_ceilings(&[(DISK, Some(5), None), (OTHER, Some(7), Some(9))]);
    let asked = with_io(&[ceiling("/dev/vda", Some(5), None)]);
    let (sentence, mendable) = only(&both, &asked);
    assert_eq!(
        sentence,
        "io.max: 8:0: reading: no limit asked for, 7 per second enforced"
    );
    assert!(mendable);
    assert_eq!(both.differences_from(&with_io(&[])), [""; 0]);
}

#[test]
fn a_device_that_is_not_there_is_a_sentence() {
    let asked = with_io(&[
        ceiling("/dev/vda", Some(5), None),
        ceiling("/dev/vda1", Some(6), None),
        ceiling("/dev/sdz", Some(7), None),
    ]);
    let right = with_ceilings(&[(DISK, Some(5), None)]);
    assert!(right.holds(&asked));
    assert_eq!(
        right.differences_from(&asked),
        [
            "io.max: /dev/vda1: nothing set: policy names its disk 254:0 before",
            "io.max: /dev/sdz: nothing set: entity not found",
        ]
    );
}
