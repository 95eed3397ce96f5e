//! What a user's limits do to their programs is noticed: a real kill, a real fork bomb, a real busy
//! loop.

use std::time::Duration;

use fairshare_tests::{Machine, Result};

use crate::harness::Outcome;
use crate::kernel::{SOON, put_policy};

const POLICY: &str = "\
defaults: {cpu: 0.9, mem: 300M, tasks: 60}
max: {cpu: 1, mem: 900M, tasks: 900}
";
/// The daemon compares over a minute; an emulated machine takes its time for it.
const SUSTAINED: Duration = Duration::from_secs(150);

/// Prints a line for each of a user's incidents, with the largest processes, as the daemon has them.
const ASK: &str = r#"python3 - <<'END'
import json, socket
daemon = socket.socket(socket.AF_UNIX)
daemon.connect("/run/fairshare.sock")
daemon.sendall(b'{"type": "incidents", "uid": UID}\n')
info = json.loads(daemon.makefile().readline())
for one in info["incidents"]:
    print(one["kind"], one["text"], [process["command"] for process in one.get("processes", [])])
for one in info.get("blind", []):
    print("blind:", one)
END"#;

/// A program that takes more memory than its user has is killed, and one that begins more tasks is
/// refused: both are noticed, with the processes of that moment.
pub(crate) fn a_kill_and_a_fork_bomb_are_noticed(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut alice = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    let hog = alice.run(
        "python3 -c 'b = bytearray(800 << 20); b[::4096] = b\"x\" * len(b[::4096])'; echo $?",
    )?;
    assert!(hog.text().ends_with("137"), "{hog}");
    let seen = wait_for(machine, 1000, "oom_kill", SOON)?;
    assert!(!seen.contains("blind:"), "{seen}");

    let bomb = "python3 -c 'import os, time\n\
                try:\n\
                \x20   for n in range(100):\n\
                \x20       if os.fork() == 0: time.sleep(5); os._exit(0)\n\
                except BlockingIOError: print(\"refused after\", n); time.sleep(2)'";
    let bomb = alice.run(bomb)?;
    assert!(bomb.text().starts_with("refused after"), "{bomb}");
    let seen = wait_for(machine, 1000, "tasks_limit", SOON)?;
    let line = seen.lines().find(|line| line.starts_with("tasks_limit"));
    assert!(line.is_some_and(|line| line.contains("python3")), "{seen}");
    // Nobody else's.
    assert_eq!(machine.root(&ask(1001))?.text(), "");
    Ok(())
}

/// A busy loop on more threads than its user has CPUs is held back, which is noticed once it has
/// lasted.
pub(crate) fn a_busy_loop_is_noticed(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut alice = machine.ssh("alice").open()?;
    alice
        .run(
            "for n in 1 2 3 4; do timeout 150 sh -c 'while :; do :; done' \
             >/dev/null 2>&1 </dev/null & done",
        )?
        .ok()?;
    wait_for(machine, 1000, "cpu_throttled", SUSTAINED)?;
    machine.root("pkill -KILL -u alice timeout; pkill -KILL -u alice sh || true")?;
    Ok(())
}

fn ask(uid: u32) -> String {
    ASK.replace("UID", &uid.to_string())
}

/// The user's incidents, once there is one of this kind.
fn wait_for(machine: &Machine, uid: u32, kind: &str, bound: Duration) -> Result<String> {
    machine.wait_until(
        &format!("{kind} of user {uid}"),
        bound,
        &format!("out=$({}\n); echo \"$out\" | grep '^{kind} '", ask(uid)),
    )?;
    Ok(machine.root(&ask(uid))?.text().to_owned())
}
