//! A slice is read from a tree of files that looks like the kernel's.

use std::collections::BTreeMap;

use fairshare_core::Limits;
use fairshare_protocol::Allocation;

use super::device::DeviceNumber;
use super::enforced::Ceilings;
use super::*;

fn limits() -> Limits {
    Limits {
        allocation: Allocation {
            cpu: "0.5".parse().unwrap(),
            mem: "256M".parse().unwrap(),
            tasks: "200".parse().unwrap(),
        },
        swap: MemorySize::ZERO,
        shaping: fairshare_core::Shaping::default(),
    }
}

fn tree(unit_path: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(unit_path);
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
    root
}

fn slice(root: &tempfile::TempDir) -> SliceCgroup {
    CgroupTree::new(root.path())
        .slice("user-1000.slice")
        .unwrap()
}

const SLICE: &str = "user.slice/user-1000.slice";
const FILES: [(&str, &str); 6] = [
    ("cpu.max", "50000 100000\n"),
    ("cpu.weight", "50\n"),
    ("memory.max", "268435456\n"),
    ("memory.high", "max\n"),
    ("memory.swap.max", "0\n"),
    ("pids.max", "200\n"),
];

#[test]
fn a_slice_lies_where_its_name_says() {
    let root = tree(SLICE, &FILES);
    let tree = CgroupTree::new(root.path());
    let slice = tree.slice("user-1000.slice").unwrap();
    assert!(slice.enforced().holds(&Wanted::of(&limits())));
    assert!(tree.slice("user-1001.slice").is_none());
    assert!(tree.slice("user-1000.scope").is_none());
}

#[test]
fn every_difference_is_named() {
    let root = tree(
        SLICE,
        &[
            ("cpu.max", "max 100000\n"),
            ("memory.max", "134217728\n"),
            ("memory.high", "67108864\n"),
            ("pids.max", "7\n"),
        ],
    );
    assert_eq!(
        slice(&root).enforced().differences(&limits()),
        [
            "cpu.max: 0.5 CPUs asked for, no limit enforced",
            "cpu.weight: 50 asked for, nothing: the kernel has no such file enforced",
            "memory.max: 256M asked for, 128M enforced",
            "memory.swap.max: 0 asked for, nothing: the kernel has no such file enforced",
            "pids.max: 200 asked for, 7 enforced",
            "memory.high: memory is held at 64M",
        ]
    );
}

#[test]
fn a_memory_limit_counts_in_whole_pages() {
    let root = tree(SLICE, &FILES);
    let mut odd = limits();
    odd.allocation.mem = MemorySize::from_bytes(268_435_456 + 4095).unwrap();
    assert!(slice(&root).enforced().holds(&Wanted::of(&odd)));
}

#[test]
fn page_cache_is_not_held_by_programs() {
    let root = tree(
        SLICE,
        &[
            ("memory.current", "1000\n"),
            (
                "memory.stat",
                "anon 300\nfile 650\nshmem 50\nactive_file 400\ninactive_file 200\n",
            ),
        ],
    );
    assert_eq!(slice(&root).memory().unwrap().held().bytes(), 400);
}

/// With a disk's ceiling, a weight for disks, and memory kept for the user.
const SHAPED: [(&str, &str); 4] = [
    ("memory.low", "67108864\n"),
    ("memory.high", "200000000\n"),
    ("io.weight", "default 300\n"),
    ("io.max", "254:0 rbps=5 wbps=max riops=max wiops=max\n"),
];

#[test]
fn every_file_is_read() {
    let root = tree(SLICE, &FILES);
    let folder = root.path().join(SLICE);
    for (file, text) in SHAPED {
        fs::write(folder.join(file), text).unwrap();
    }
    let device = DeviceNumber {
        major: 254,
        minor: 0,
    };
    let ceilings = Ceilings {
        read: Some(5),
        write: None,
    };
    let enforced = slice(&root).enforced();
    assert_eq!(
        enforced,
        Enforced {
            cpu: Limit::At(500_000),
            cpu_weight: Limit::At(50),
            mem: Limit::At(268_435_456),
            mem_high: Limit::At(200_000_000),
            mem_low: Limit::At(67_108_864),
            mem_low_above: None,
            swap: Limit::At(0),
            tasks: Limit::At(200),
            io_weight: Limit::At(300),
            // Whether the machine that runs the test has a disk with BFQ is its own affair.
            io_weight_heeded: enforced.io_weight_heeded,
            io_max: Some(BTreeMap::from([(device, ceilings)])),
            io_controller: true,
        }
    );
}

#[test]
fn without_files_the_kernel_may_still_have_the_controller() {
    let root = tree(SLICE, &[]);
    let controllers = root.path().join("cgroup.controllers");
    for (list, has) in [("cpu io memory pids\n", true), ("cpuset cpu rdma\n", false)] {
        fs::write(&controllers, list).unwrap();
        let enforced = slice(&root).enforced();
        assert_eq!((enforced.io_controller, enforced.io_max), (has, None));
    }
}

#[test]
fn memory_is_kept_no_further_than_above() {
    let root = tree(SLICE, &[("memory.low", "1000000\n")]);
    let above = root.path().join("user.slice/memory.low");
    let less = || slice(&root).enforced().mem_low_above;
    for (text, expected) in [
        ("0\n", Some(("user.slice".to_owned(), 0))),
        ("999999\n", Some(("user.slice".to_owned(), 999_999))),
        ("1000000\n", None),
        ("max\n", None),
    ] {
        fs::write(&above, text).unwrap();
        assert_eq!(less(), expected, "{text}");
    }
    fs::remove_file(above).unwrap();
    // The root protects everything, whatever lies there.
    fs::write(root.path().join("memory.low"), "0\n").unwrap();
    assert_eq!(less(), None);
}

#[test]
fn weights_are_heeded_by_iocost_or_bfq() {
    let root = tree(SLICE, &[]);
    let disks = tempfile::tempdir().unwrap();
    let heeded = || slice(&root).a_disk_heeds_weights(disks.path());
    let queue = disks.path().join("vda/queue");
    fs::create_dir_all(&queue).unwrap();
    fs::write(queue.join("scheduler"), "[none] mq-deadline bfq\n").unwrap();
    assert!(!heeded());
    fs::write(queue.join("scheduler"), "none mq-deadline [bfq]\n").unwrap();
    assert!(heeded());
    fs::remove_dir_all(queue).unwrap();
    let iocost = root.path().join("io.cost.qos");
    fs::write(&iocost, "254:0 enable=0 ctrl=auto\n").unwrap();
    assert!(!heeded());
    fs::write(&iocost, "254:0 enable=1 ctrl=auto rpct=0.00\n").unwrap();
    assert!(heeded());
}

#[test]
fn a_unit_without_a_process_is_told_from_one_that_is_not_there() {
    let root = tree(SLICE, &[]);
    let tree = CgroupTree::new(root.path());
    let empty = || tree.is_empty_in("user-1000.slice", "x.scope");
    assert!(!empty(), "not there");
    let scope = root.path().join(SLICE).join("x.scope");
    fs::create_dir_all(&scope).unwrap();
    for (events, expected) in [
        ("populated 1\nfrozen 0\n", false),
        ("populated 0\nfrozen 0\n", true),
    ] {
        fs::write(scope.join("cgroup.events"), events).unwrap();
        assert_eq!(empty(), expected, "{events}");
    }
}

/// What a look at everybody costs in reading and making sense of the files. They are plain files
/// here: what the kernel takes to make them up comes on top.
#[test]
#[ignore = "a measurement: cargo test --release -p fairshared cost_of_reading -- --ignored --nocapture"]
fn cost_of_reading_500_slices() {
    let root = tempfile::tempdir().unwrap();
    let stat: String = [
        "anon",
        "file",
        "active_file",
        "inactive_file",
        "slab_reclaimable",
    ]
    .iter()
    .chain(["pgfault"; 55].iter())
    .map(|key| [key, " 123456789\n"].concat())
    .collect();
    let pressure = "some avg10=1.25 avg60=0.00 avg300=0.00 total=5\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
    for uid in 1000..1500 {
        let slice = root.path().join(format!("user.slice/user-{uid}.slice"));
        fs::create_dir_all(&slice).unwrap();
        for (file, text) in [
            ("memory.current", "123456789\n"),
            ("memory.stat", stat.as_str()),
            ("memory.swap.current", "0\n"),
            ("pids.current", "9\n"),
            (
                "cpu.stat",
                "usage_usec 5\nuser_usec 3\nsystem_usec 2\nthrottled_usec 0\n",
            ),
            ("cpu.pressure", pressure),
            ("memory.pressure", pressure),
            ("io.pressure", pressure),
        ] {
            fs::write(slice.join(file), text).unwrap();
        }
    }
    let tree = CgroupTree::new(root.path());
    let begin = std::time::Instant::now();
    for uid in 1000..1500 {
        let unit = format!("user-{uid}.slice");
        let info = tree.slice(&unit).unwrap().info(&unit);
        assert_eq!(info.pressure.io.unwrap().count(), 125);
    }
    println!("500 slices: {:?}", begin.elapsed());
}
