//! What a user may try, and what becomes of it. SECURITY.md names these scenarios.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{ALICE_SLICE, DEFAULTS, POLICY, assert_alice_has, put_policy};

/// Each way out of the slice, or to other limits, that does not go through the daemon. A line is
/// a name and what is tried; it must fail.
const REFUSED: [(&str, &str); 8] = [
    (
        "write the kernel's file",
        "echo max > /sys/fs/cgroup/user.slice/user-1000.slice/memory.max",
    ),
    (
        "move to the root of the tree",
        "echo $$ > /sys/fs/cgroup/cgroup.procs",
    ),
    (
        "move to the slice above",
        "echo $$ > /sys/fs/cgroup/user.slice/cgroup.procs",
    ),
    (
        "set the slice's properties",
        "systemctl set-property --runtime user-1000.slice MemoryMax=infinity </dev/null",
    ),
    (
        "start a unit elsewhere",
        "systemd-run --quiet --wait --slice=system.slice true </dev/null",
    ),
    (
        "stop the daemon",
        "systemctl stop fairshared.service </dev/null",
    ),
    ("read the ledger", "ls /run/fairshare"),
    (
        "put another socket in its place",
        "rm -f /run/fairshare.sock || mv /run/fairshare.sock /tmp/",
    ),
];

/// Only the daemon moves a user's limits: what a user can do with the kernel's files, with systemd
/// and with the user's own service manager neither leaves the slice nor changes them.
pub(crate) fn no_user_leaves_the_slice_or_lifts_its_limits(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    for (name, tried) in REFUSED {
        let output = session.run(&format!("( {tried} ) 2>&1"))?;
        assert_ne!(output.status, Some(0), "{name}: {output}");
    }
    // What is a user's own may be used, and stays below.
    let output = session
        .run(
            "systemd-run --user --scope --quiet -p MemoryMax=infinity -p CPUQuota= \
             cat /proc/self/cgroup </dev/null",
        )?
        .ok()?;
    assert!(output.stdout.contains("/user-1000.slice/"), "{output}");
    assert_alice_has(machine, DEFAULTS)?;
    let inside = machine.root(&format!("cat {ALICE_SLICE}/pids.current"))?;
    assert_ne!(inside.text(), "0", "{inside}");
    session.close()?;
    Ok(())
}

/// The daemon has no socket of the network, and cannot make one.
pub(crate) fn the_daemon_has_no_network(machine: &Machine) -> Outcome {
    let pid = machine.daemon_pid()?;
    let sockets = machine.root(&format!(
        "for net in tcp tcp6 udp udp6 raw raw6; do cat /proc/{pid}/net/$net; done \
         | awk '$10 ~ /^[0-9]+$/ {{ print $10 }}' | sort > /tmp/network-inodes; \
         find /proc/{pid}/fd -lname 'socket:*' -printf '%l\\n' | tr -dc '0-9\\n' | sort \
         > /tmp/daemon-inodes; wc -l < /tmp/daemon-inodes; \
         comm -12 /tmp/network-inodes /tmp/daemon-inodes"
    ))?;
    let mut lines = sockets.stdout.lines();
    let own = lines.next().map(str::trim);
    assert_ne!(own, Some("0"), "the daemon's own are not seen: {sockets}");
    assert_eq!(lines.next(), None, "{sockets}");
    let families =
        machine.root("systemctl show fairshared.service -p RestrictAddressFamilies --value")?;
    assert_eq!(families.text(), "AF_UNIX", "{families}");
    Ok(())
}
