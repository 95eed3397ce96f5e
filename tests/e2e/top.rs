//! The whole screen on a real terminal: tmux in the machine, of 80 columns and 24 lines.

use std::time::Duration;

use fairshare_tests::{Machine, Result};

use crate::harness::Outcome;
use crate::kernel::{POLICY, put_policy};

/// For the screen to change.
const BOUND: Duration = Duration::from_secs(30);
/// Where an administrator looks.
const TMUX: &str = "tmux -L top -f /dev/null";

/// An administrator sees who is there, their processes, and a daemon that goes and comes; at the end,
/// and at a signal, the terminal is as it was.
pub(crate) fn the_screen_shows_everybody_and_is_given_back(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut alice = machine.ssh("alice").open()?;
    let bob = machine.ssh("bob").open()?;
    alice.run("sleep 1000 </dev/null >/dev/null 2>&1 &")?.ok()?;
    machine.root(&format!(
        "{TMUX} kill-server 2>/dev/null; {TMUX} new-session -d -x 80 -y 24"
    ))?;
    let run = "stty -a >/tmp/before; fairshare top --every 1; echo ended $?; stty -a >/tmp/after";
    press(machine, &format!("'{run}' Enter"))?;
    shows(machine, "2 users, by CPU")?;
    shows(machine, "^alice  *1 .*/0.9 .*/300M .*/210 ")?;
    shows(machine, "^bob  *1 .*/0.9 .*/300M .*/210 ")?;

    press(machine, "/ ali Enter")?;
    shows(machine, "1 user, by CPU, with 'ali'")?;
    press(machine, "Enter")?;
    shows(machine, "[0-9] sleep  *S ")?;
    press(machine, "Escape")?;
    shows(machine, "^alice  *1 ")?;
    press(machine, "Escape")?;
    shows(machine, "2 users, by CPU")?;

    machine.root("systemctl stop fairshared.socket fairshared.service")?;
    shows(machine, "^trying again: ")?;
    machine.root("systemctl start fairshared.socket fairshared.service")?;
    shows(machine, "2 users, by CPU")?;

    press(machine, "q")?;
    shows(machine, "^ended 0")?;
    let same = "until [ -s /tmp/after ]; do sleep 0.1; done; cmp /tmp/before /tmp/after";
    machine.root(same)?;
    press(machine, &format!("'clear; rm /tmp/after; {run}' Enter"))?;
    shows(machine, "2 users, by CPU")?;
    machine.root("pkill -TERM -x fairshare")?;
    shows(machine, "^ended 143")?;
    machine.root(same)?;
    machine.root(&format!("{TMUX} kill-server"))?;
    alice.close()?;
    bob.close()
}

fn press(machine: &Machine, keys: &str) -> Result<()> {
    machine.root(&format!("{TMUX} send-keys {keys}")).map(drop)
}

/// Waits until a line of the screen matches.
fn shows(machine: &Machine, line: &str) -> Result<()> {
    let wait = machine.wait_until(
        &format!("a line '{line}' on the screen"),
        BOUND,
        &format!("{TMUX} capture-pane -p | grep -q \"{line}\""),
    );
    if wait.is_err() {
        let screen = machine.root(&format!("{TMUX} capture-pane -p"))?;
        eprintln!("{}", screen.stdout);
    }
    wait
}
