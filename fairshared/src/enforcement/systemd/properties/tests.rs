//! What goes over D-Bus, to the letter.

use std::collections::BTreeMap;

use fairshare_core::{CpuWeight, DeviceBandwidth, Shaping};
use fairshare_protocol::Allocation;

use super::*;
use crate::cgroup::{Ceilings, DeviceNumber};

const DISK: DeviceNumber = DeviceNumber {
    major: 254,
    minor: 0,
};

fn limits(shaping: Shaping) -> Limits {
    Limits {
        allocation: Allocation {
            cpu: "1.5".parse().unwrap(),
            mem: "256M".parse().unwrap(),
            tasks: "200".parse().unwrap(),
        },
        swap: "64M".parse().unwrap(),
        shaping,
    }
}

fn wanted(limits: &Limits) -> Wanted {
    Wanted::with_disks(limits, |node| match node {
        "/dev/vda" => Ok(DISK),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    })
}

fn all(shaping: Shaping, taken_back: &[Optional]) -> Vec<Property> {
    let limits = limits(shaping);
    Properties::all(&limits, &wanted(&limits), taken_back).list
}

fn number(name: &'static str, value: u64) -> Property {
    (name, Variant::from(value))
}

fn rates(name: &'static str, list: &[(&str, u64)]) -> Property {
    let owned = |(node, rate): &(&str, u64)| ((*node).to_owned(), *rate);
    let list: Vec<(String, u64)> = list.iter().map(owned).collect();
    (name, Variant::from(list))
}

fn everything() -> Shaping {
    let ceiling = |device: &str, write| DeviceBandwidth {
        device: device.to_owned(),
        read: Some(104_857_600),
        write,
    };
    Shaping {
        cpu_weight: CpuWeight::Fixed(70),
        mem_high: Some(95),
        mem_guarantee: Some("32M".parse().unwrap()),
        io_weight: Some(300),
        io_bandwidth: vec![ceiling("/dev/vda", None), ceiling("/dev/sdz", Some(1))],
    }
}

#[test]
fn hard_limits_and_the_weight_are_always_sent() {
    assert_eq!(
        all(Shaping::default(), &[]),
        [
            number("CPUQuotaPerSecUSec", 1_500_000),
            number("CPUWeight", 150),
            number("MemorySwapMax", 67_108_864),
            number("TasksMax", 200),
            number("MemoryMax", 268_435_456),
        ]
    );
}

#[test]
fn what_policy_asks_for_is_sent_without_devices_that_are_not_there() {
    assert_eq!(
        all(everything(), &[]),
        [
            number("CPUQuotaPerSecUSec", 1_500_000),
            number("CPUWeight", 70),
            number("MemorySwapMax", 67_108_864),
            number("TasksMax", 200),
            number("MemoryLow", 33_554_432),
            number("IOWeight", 300),
            rates("IOReadBandwidthMax", &[]),
            rates("IOReadBandwidthMax", &[("/dev/vda", 104_857_600)]),
            rates("IOWriteBandwidthMax", &[]),
            number("MemoryMax", 268_435_456),
            number("MemoryHigh", 255_012_864),
        ]
    );
}

#[test]
fn what_is_taken_back_is_as_if_nobody_had_set_it() {
    let sent = all(Shaping::default(), &Optional::ALL);
    assert_eq!(
        sent.split_at(5).1,
        [
            number("MemoryHigh", 18_446_744_073_709_551_615),
            number("MemoryLow", 0),
            number("IOWeight", 18_446_744_073_709_551_615),
            rates("IOReadBandwidthMax", &[]),
            rates("IOWriteBandwidthMax", &[]),
        ]
    );
}

#[test]
fn a_step_down_leaves_the_limit_and_holds_memory() {
    let limits = limits(everything());
    let sent = Properties::lowering(&limits, &wanted(&limits), 300 << 20).list;
    assert!(sent.contains(&number("MemoryHigh", 314_572_800)));
    assert!(sent.contains(&number("MemoryLow", 33_554_432)));
    assert!(sent.iter().all(|(name, _)| *name != "MemoryMax"));
    let highs = sent.iter().filter(|(name, _)| *name == "MemoryHigh");
    assert_eq!(highs.count(), 1);
}

#[test]
fn each_setting_can_be_undone() {
    for (name, _) in all(everything(), &[]) {
        // The one property that systemd keeps under another name.
        let setting = name.strip_suffix("PerSecUSec").unwrap_or(name);
        assert!(Properties::SETTINGS.contains(&setting), "{name}");
    }
    for setting in Optional::ALL {
        assert!(Properties::SETTINGS.contains(&setting.name()));
    }
}

#[test]
fn only_what_is_enforced_and_not_asked_for_is_left() {
    let ceilings = Ceilings {
        read: Some(5),
        write: None,
    };
    let enforced = Enforced {
        mem_high: Limit::At(255_012_864),
        mem_low: Limit::At(33_554_432),
        io_weight: Limit::At(300),
        io_max: Some(BTreeMap::from([(DISK, ceilings)])),
        ..Enforced::plain(&wanted(&limits(Shaping::default())))
    };
    let left = |enforced: &Enforced, shaping: Shaping| {
        let wanted = wanted(&limits(shaping));
        let is_left = |setting: &Optional| setting.is_left(enforced, &wanted);
        Optional::ALL
            .into_iter()
            .filter(is_left)
            .collect::<Vec<_>>()
    };
    assert_eq!(left(&enforced, everything()), []);
    assert_eq!(
        left(&enforced, Shaping::default()),
        [
            Optional::MemoryHigh,
            Optional::MemoryLow,
            Optional::IoWeight,
            Optional::ReadBandwidth,
        ]
    );
    let nothing = Enforced {
        mem_high: Limit::Max,
        mem_low: Limit::At(0),
        io_weight: Limit::At(100),
        io_max: None,
        ..enforced
    };
    assert_eq!(left(&nothing, Shaping::default()), []);
}

#[test]
fn the_script_that_lifts_limits_for_a_removal_knows_every_setting() {
    let script = include_str!("../../../../../packaging/scripts/lift-limits");
    let list = |name: &str| {
        let (_, rest) = script.split_once(&format!("\n{name}='")).unwrap();
        let (list, _) = rest.split_once('\'').unwrap();
        list.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(list("settings"), Properties::SETTINGS);
    let on_the_bus = |setting: &str| setting.replace("CPUQuota", "CPUQuotaPerSecUSec");
    assert_eq!(
        list("properties"),
        Properties::SETTINGS.map(on_the_bus).to_vec()
    );
}
