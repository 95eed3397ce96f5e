//! What is made to fail: the daemon, the bus, the disk, the leader. No login may be lost by it.

use std::thread;
use std::time::Duration;

use fairshare_tests::{LabError, Machine, Result};

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, POLICY, POLICY_PATH, SOON, assert_alice_has, assert_nothing_left,
    put_policy,
};

/// A listener in the daemon's place that misbehaves in the way its argument says.
const BAD_LISTENER: &str = r#"
import os, socket, sys, time
path = "/run/fairshare.sock"
if os.path.exists(path): os.unlink(path)
s = socket.socket(socket.AF_UNIX); s.bind(path); os.chmod(path, 0o666)
how = sys.argv[1]
s.listen(0 if how == "full" else 16)
open("/run/bad-listener", "w").close()
fillers = []
if how == "full":
    # Fill the backlog, so that connect itself blocks.
    for _ in range(8):
        c = socket.socket(socket.AF_UNIX); c.setblocking(False)
        try: c.connect(path)
        except BlockingIOError: break
        fillers.append(c)
if how in ("full", "silent"):
    time.sleep(600)
while True:
    c, _ = s.accept()
    c.recv(4096)
    if how == "garbage": c.sendall(b"\xff\xfe no json at all\n"); c.close(); continue
    if how == "closing": c.close(); continue
    try:
        for byte in b'{"type": "session_opened", "session": 1, "cpu": 1, ':
            c.sendall(bytes([byte])); time.sleep(1)
    except OSError: pass
"#;

/// The daemon away: logins work, and the module adds next to nothing.
pub(crate) fn an_absent_daemon_costs_nothing(machine: &Machine) -> Outcome {
    machine.stop_daemon()?;
    let output = machine
        .ssh("alice")
        .ok("echo in; echo \"cpus: $FAIRSHARE_CPUS\"")?;
    assert_eq!(output.text(), "in\ncpus:");
    // Two services that differ by the module alone, in turns. Both begin with pam_unix, which has
    // looked the user up and written to the log before us in every real stack. The least of each
    // counts: what else runs on the host only adds to it. On a busy host it takes more of them
    // until one of each was left alone.
    machine.root(
        "printf 'session required pam_unix.so\\n' > /etc/pam.d/fs-without; \
         printf 'session required pam_unix.so\\nsession required pam_fairshare.so\\n' \
         > /etc/pam.d/fs-with",
    )?;
    let measured = machine.root(
        r#"python3 - <<'END'
import subprocess, time
def once(service):
    start = time.monotonic()
    subprocess.run(["pamtester", service, "alice", "open_session"], check=True,
                   stdout=subprocess.DEVNULL)
    return time.monotonic() - start
pairs = []
def added():
    return min(pair[0] for pair in pairs) - min(pair[1] for pair in pairs)
while len(pairs) < 21 or (added() >= 0.020 and len(pairs) < 150):
    pairs.append((once("fs-with"), once("fs-without")))
print(round(added() * 1000, 1))
END
rm /etc/pam.d/fs-with /etc/pam.d/fs-without"#,
    )?;
    let milliseconds: f64 = measured.text().parse().map_err(|_| measured.to_string())?;
    assert!(milliseconds < 20.0, "the module added {milliseconds} ms");
    println!("the module adds {milliseconds} ms to an emulated login without a daemon");
    Ok(())
}

/// A daemon that is stopped, or listeners that never accept, trickle, talk nonsense or hang up:
/// the login works within the module's deadline.
pub(crate) fn a_hanging_daemon_delays_no_login_past_the_deadline(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.ssh("alice").ok("true")?;
    machine.root("systemctl kill --signal=STOP fairshared.service")?;
    assert_session_time(machine, "stopped")?;
    assert_eq!(machine.ssh("alice").ok("echo in")?.text(), "in");
    machine.root("systemctl kill --signal=CONT fairshared.service")?;
    machine.stop_daemon()?;
    for how in ["full", "silent", "trickling", "garbage", "closing"] {
        start_bad_listener(machine, how)?;
        assert_session_time(machine, how)?;
        assert_eq!(machine.ssh("alice").ok("echo in")?.text(), "in", "{how}");
        stop_bad_listener(machine)?;
    }
    Ok(())
}

/// With `on_failure=deny` a user without a daemon is refused with a message; root gets in.
pub(crate) fn deny_refuses_users_and_never_root(machine: &Machine) -> Outcome {
    machine.add_pam_line("sshd", "on_failure=deny")?;
    machine.root("sed -i '/pam_fairshare.so/s/optional/required/' /etc/pam.d/common-session")?;
    put_policy(machine, POLICY)?;
    assert_eq!(machine.ssh("alice").ok("echo in")?.text(), "in");
    machine.stop_daemon()?;
    let refused = machine.ssh("alice").run("echo in")?;
    assert!(!refused.success(), "{refused}");
    assert!(!refused.stdout.contains("in\n"), "{refused}");
    let told = format!("{}{}", refused.stdout, refused.stderr);
    assert!(
        told.contains("Login refused"),
        "refused without a word: {refused}"
    );
    assert_eq!(machine.ssh("root").ok("echo in")?.text(), "in");
    Ok(())
}

/// The leader killed: no module says goodbye, and the session is closed within a second.
pub(crate) fn a_killed_leader_ends_its_session(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    session.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    // Measured inside the machine, from the kill to the decision in the log.
    let measured = machine.root(
        r#"python3 - <<'END'
import json, os, re, signal, subprocess, time
sessions = subprocess.run(["journalctl", "-u", "fairshared.service", "-o", "cat"],
                          capture_output=True, text=True).stdout
leader = int(re.findall(r"open_session granted: user 1000.* leader (\d+)", sessions)[-1])
cursor = subprocess.run(["journalctl", "-n0", "--show-cursor"], capture_output=True,
                        text=True).stdout.split("cursor: ")[1].strip()
follow = subprocess.Popen(["journalctl", "-f", "-u", "fairshared.service", "-o", "cat",
                           "--after-cursor", cursor], stdout=subprocess.PIPE, text=True)
start = time.monotonic()
os.kill(leader, signal.SIGKILL)
for line in follow.stdout:
    if "close_session granted: user 1000" in line:
        break
print(round(time.monotonic() - start, 3), line.strip())
follow.kill()
END"#,
    )?;
    let (seconds, line) = measured.text().split_once(' ').unwrap_or_default();
    let seconds: f64 = seconds.parse().map_err(|_| measured.to_string())?;
    assert!(seconds < 1.0, "after {seconds} s");
    assert!(line.contains("leader is gone"), "{line}");
    drop(session);
    machine.wait_until(
        "the grant to be back",
        SOON,
        &format!("[ ! -e {ALICE_SLICE} ] || [ \"$(cat {ALICE_SLICE}/memory.max)\" = 314572800 ]"),
    )
}

/// The daemon killed a hundred times under logins and resizes: afterwards ledger, systemd and
/// kernel agree, and nobody lost a login.
pub(crate) fn a_hundred_kills_lose_nothing(machine: &Machine) -> Outcome {
    const KILLS: u32 = 100;
    put_policy(machine, POLICY)?;
    let mut holder = machine
        .ssh("alice")
        .bound(Duration::from_secs(300))
        .open()?;
    holder.run("fairshare resize --mem 512M")?.ok()?;
    holder.type_line(
        "i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); \
         fairshare resize --mem $((400 + i % 100))M >/dev/null 2>&1; done; echo resized",
    )?;
    let kill = format!(
        "for i in $(seq {KILLS}); do \
           pid=$(systemctl show --property MainPID --value fairshared.service); \
           while [ \"$pid\" = 0 ] || ! kill -KILL $pid 2>/dev/null; do sleep 0.02; \
             pid=$(systemctl show --property MainPID --value fairshared.service); done; \
           sleep 0.$((RANDOM % 4))$((RANDOM % 10)); \
         done; touch /tmp/enough"
    );
    let killed = thread::scope(|scope| -> Result<u32> {
        let killer = scope.spawn(|| machine.as_root().bound(Duration::from_secs(400)).ok(&kill));
        let mut logins = 0;
        while !killer.is_finished() {
            let output = machine.ssh("bob").ok("echo in")?;
            assert_eq!(output.text(), "in");
            logins += 1;
        }
        match killer.join() {
            Ok(result) => result.map(|_| logins),
            Err(_) => Err(LabError::other("the killer panicked")),
        }
    })?;
    println!("{killed} logins during {KILLS} kills");
    holder.read_until("resized")?;
    holder.run("fairshare resize --cpu 1.5 --mem 555M")?.ok()?;

    // alice's session and grant are the ledger's, systemd's and the kernel's.
    let status = holder.run("fairshare status --json")?.ok()?;
    for part in ["\"555M\"", "\"grant\": true", "\"sessions\": 1"] {
        assert!(
            status.stdout.replace("\":\"", "\": \"").contains(part),
            "{part}: {status}"
        );
    }
    assert!(!status.stdout.contains("differences"), "{status}");
    let systemd = machine.root(
        "systemctl show --property MemoryMax --property CPUQuotaPerSecUSec --value \
         user-1000.slice | sort | tr '\\n' ' '",
    )?;
    assert_eq!(systemd.text(), "1.500000s 581959680");
    let kernel = machine.root(&format!(
        "cat {ALICE_SLICE}/memory.max {ALICE_SLICE}/cpu.max"
    ))?;
    assert_eq!(kernel.text(), "581959680\n150000 100000");
    holder.close()?;
    assert_nothing_left(machine)
}

/// The bus dies under the daemon: who is logged in stays limited, and who logs in afterwards is.
pub(crate) fn the_bus_may_die_and_come_back(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    machine.root("systemctl kill --signal=KILL dbus.service")?;
    assert_alice_has(machine, DEFAULTS)?;
    // logind does not outlive its bus on Debian, with fairshare or without.
    machine.root("systemctl restart dbus && systemctl restart systemd-logind")?;
    machine.wait_until(
        "the bus and the daemon on it",
        SOON,
        "busctl status org.freedesktop.systemd1 >/dev/null 2>&1 && \
         [ \"$(journalctl --unit fairshared.service --output cat | \
              grep -c 'connected to the system bus')\" -ge 2 ]",
    )?;
    session.run("fairshare resize --mem 512M")?.ok()?;
    let bob = machine
        .ssh("bob")
        .ok("cat /sys/fs/cgroup/user.slice/user-1001.slice/memory.max")?;
    assert_eq!(bob.text(), "314572800");
    session.close()?;
    Ok(())
}

/// A full disk under the snapshot costs the safety of a restart, and no login and no grant.
pub(crate) fn a_full_disk_costs_no_login(machine: &Machine) -> Outcome {
    machine.stop_daemon()?;
    machine.write(POLICY_PATH, POLICY, 0o644)?;
    machine.root(
        "mkdir -p /run/fairshare && mount -t tmpfs -o size=128k,mode=700 tmpfs /run/fairshare",
    )?;
    let result = full_disk(machine);
    machine.stop_daemon()?;
    machine.root("umount /run/fairshare")?;
    result
}

fn full_disk(machine: &Machine) -> Result<()> {
    machine.restart_daemon()?;
    machine.root("dd if=/dev/zero of=/run/fairshare/ballast bs=1k 2>/dev/null; true")?;
    let mut session = machine.ssh("alice").open()?;
    assert_alice_has(machine, DEFAULTS)?;
    session.run("fairshare resize --mem 512M")?.ok()?;
    machine.wait_until(
        "the fault in the log",
        SOON,
        "journalctl --unit fairshared.service --output cat | grep -q 'a restart now would lose'",
    )?;
    machine.root("rm /run/fairshare/ballast")?;
    machine.wait_until(
        "the snapshot",
        SOON,
        "journalctl --unit fairshared.service --output cat | grep -q 'is written again'",
    )?;
    machine.root("systemctl kill --signal=KILL fairshared.service")?;
    let status = session.run("fairshare status --json")?.ok()?;
    assert!(
        status.stdout.contains("512M"),
        "the grant is lost: {status}"
    );
    session.close()?;
    Ok(())
}

/// Ended in order or killed, the daemon leaves limits, sessions and grants as they were.
pub(crate) fn the_end_of_the_daemon_lifts_no_limit(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    session.run("fairshare resize --mem 512M")?.ok()?;
    for signal in ["TERM", "INT"] {
        machine.root(&format!(
            "systemctl stop fairshared.socket; pid=$(pidof fairshared); kill -{signal} $pid; \
             while kill -0 $pid 2>/dev/null; do sleep 0.02; done"
        ))?;
        let limit = machine.root(&format!("cat {ALICE_SLICE}/memory.max"))?;
        assert_eq!(limit.text(), "536870912", "after {signal}");
        machine.restart_daemon()?;
        let status = session.run("fairshare status --json")?.ok()?;
        assert!(status.stdout.contains("512M"), "after {signal}: {status}");
    }
    // Who logs out while the daemon is away is not missed when it comes back.
    machine.stop_daemon()?;
    session.close()?;
    machine.restart_daemon()?;
    assert_nothing_left(machine)
}

/// A missing or wrong policy ends the start with a message and a status of its own.
pub(crate) fn a_wrong_policy_ends_the_start(machine: &Machine) -> Outcome {
    for (policy, part) in [
        (
            "defaults: {cpu: two, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n",
            "Invalid CPU count: two",
        ),
        ("defaults: {cpu: 2, mem: 8G}\n", "section 'max' is missing"),
    ] {
        machine.write("/tmp/policy.yaml", policy, 0o644)?;
        let output = machine
            .as_root()
            .run("fairshared /tmp/policy.yaml /tmp/s.sock")?;
        assert_eq!(output.status, Some(78), "{output}");
        assert!(output.stderr.contains(part), "{output}");
    }
    let output = machine
        .as_root()
        .run("fairshared --policy /nowhere.yaml --socket /tmp/s.sock")?;
    assert_eq!(output.status, Some(78), "{output}");
    assert!(output.stderr.contains("/nowhere.yaml"), "{output}");
    let second = machine
        .as_root()
        .run("fairshared /etc/fairshare/policy.d/default.yaml")?;
    assert_eq!(second.status, Some(1), "{second}");
    assert!(
        second.stderr.contains("another process listens"),
        "{second}"
    );
    Ok(())
}

/// Opens sessions by `pamtester` with the module and without, and checks that the module gave up at
/// its deadline of half a second. The least of three differences counts: what a busy emulator adds
/// differs each time, and what the module waits does not.
pub(crate) fn assert_session_time(machine: &Machine, how: &str) -> Outcome {
    let measured = machine.root(
        r#"printf 'session required pam_permit.so\n' > /etc/pam.d/fs-without
printf 'session required pam_permit.so\nsession required pam_fairshare.so\n' > /etc/pam.d/fs-with
python3 - <<'END'
import subprocess, time
def once(service):
    start = time.monotonic()
    subprocess.run(["pamtester", service, "alice", "open_session"], check=True,
                   stdout=subprocess.DEVNULL)
    return time.monotonic() - start
print(round(min(once("fs-with") - once("fs-without") for _ in range(3)) * 1000))
END
rm /etc/pam.d/fs-with /etc/pam.d/fs-without"#,
    )?;
    let milliseconds: i64 = measured.text().parse().map_err(|_| measured.to_string())?;
    assert!(milliseconds < 700, "{how}: {milliseconds} ms");
    Ok(())
}

fn start_bad_listener(machine: &Machine, how: &str) -> Outcome {
    machine.write("/tmp/bad_listener.py", BAD_LISTENER, 0o644)?;
    machine.root(&format!(
        "rm -f /run/bad-listener; systemd-run --quiet --unit bad-listener \
         python3 /tmp/bad_listener.py {how}"
    ))?;
    machine.wait_until("the listener", SOON, "[ -e /run/bad-listener ]")
}

fn stop_bad_listener(machine: &Machine) -> Outcome {
    machine.root("systemctl stop bad-listener; rm -f /run/fairshare.sock")?;
    Ok(())
}
