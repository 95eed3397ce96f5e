//! What a user's limits do to their programs is noticed: a real kill, a real fork bomb, a real busy
//! loop.

use std::time::Duration;

use fairshare_tests::{Machine, Result};

use crate::harness::Outcome;
use crate::kernel::put_policy;

const POLICY: &str = "\
defaults: {cpu: 0.9, mem: 300M, tasks: 60}
max: {cpu: 1, mem: 900M, tasks: 900}
";
/// For what a loaded machine does in seconds.
const BOUND: Duration = Duration::from_secs(120);
/// The daemon compares over a minute; an emulated machine takes its time for it.
const SUSTAINED: Duration = Duration::from_secs(150);

/// A program that takes more memory than its user has is killed, and one that begins more tasks is
/// refused: both are told on the user's terminal at once, and by `why` with the processes of that
/// moment.
pub(crate) fn a_kill_and_a_fork_bomb_are_noticed(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    // A terminal where nothing is typed.
    let mut screen = machine.ssh("alice").terminal().bound(BOUND).open()?;
    let mut alice = machine.ssh("alice").bound(BOUND).open()?;
    let hog = alice.run(
        "python3 -c 'b = bytearray(800 << 20); b[::4096] = b\"x\" * len(b[::4096])'; echo $?",
    )?;
    assert!(hog.text().ends_with("137"), "{hog}");
    let told = screen.read_until("fairshare resize --mem 600M")?;
    assert!(told.contains("fairshare: python3 (pid "), "{told:?}");
    assert!(
        told.contains("reached the memory limit of 300M"),
        "{told:?}"
    );
    let why = alice.run("fairshare why")?.ok()?;
    assert!(why.text().contains("python3 (pid "), "{why}");
    assert!(why.text().contains("Largest then:"), "{why}");
    assert!(!why.text().contains("note:"), "blind: {why}");

    let bomb = "python3 -c 'import os, time\n\
                try:\n\
                \x20   for n in range(100):\n\
                \x20       if os.fork() == 0: time.sleep(5); os._exit(0)\n\
                except BlockingIOError: print(\"refused after\", n); time.sleep(2)'";
    let bomb = alice.run(bomb)?;
    assert!(bomb.text().starts_with("refused after"), "{bomb}");
    let told = screen.read_until("fairshare resize --tasks 120")?;
    assert!(told.contains("reached the limit of 60 tasks"), "{told:?}");
    let seen = incidents(machine, 1000)?;
    let line = seen.lines().find(|line| line.starts_with("tasks_limit"));
    assert!(line.is_some_and(|line| line.contains("python3")), "{seen}");
    // Nobody else's.
    assert_eq!(incidents(machine, 1001)?, "");
    Ok(())
}

/// A busy loop on more threads than its user has CPUs is held back, which is told once it has
/// lasted. It takes the minute that the daemon looks at.
pub(crate) fn a_busy_loop_is_noticed(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut screen = machine.ssh("alice").terminal().bound(SUSTAINED).open()?;
    let mut alice = machine.ssh("alice").bound(BOUND).open()?;
    alice
        .run(
            "for n in 1 2 3 4; do timeout 150 sh -c 'while :; do :; done' \
             >/dev/null 2>&1 </dev/null & done",
        )?
        .ok()?;
    let told = screen.read_until("fairshare resize --cpu 1")?;
    machine.root("pkill -KILL -u alice -x timeout; pkill -KILL -u alice -x sh")?;
    assert!(told.contains("your processes were held back"), "{told:?}");
    assert!(told.contains("the limit of 0.9 CPUs"), "{told:?}");
    let why = alice.run("fairshare why")?.ok()?;
    assert!(why.text().contains("were held back"), "{why}");
    assert!(why.text().contains("sh (pid "), "{why}");
    Ok(())
}

/// A line for each of a user's incidents, with the processes of that moment.
fn incidents(machine: &Machine, uid: u32) -> Result<String> {
    const SHOW: &str = "import json, sys\n\
        for one in json.load(sys.stdin)['incidents']:\n\
        \x20   print(one['kind'], [process['command'] for process in one.get('processes', [])])";
    let show = format!("fairshare why --user {uid} --json | python3 -c \"{SHOW}\"");
    Ok(machine.root(&show)?.text().to_owned())
}
