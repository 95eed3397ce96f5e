//! The demo: what fairshare does, watched in a real machine.
//!
//! Each part shows the commands as they are typed and what they print, and then checks what was
//! seen, so that the demo cannot show something that does not hold.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::artifacts::POLICY;
use crate::command::{self, Output};
use crate::error::{LabError, Result};
use crate::host;
use crate::machine::Machine;
use crate::packages::Packages;
use crate::progress::Progress;
use crate::release::Release;
use crate::session::Session;
use crate::stage::Stage;

/// Alice's files in the kernel, as one command shows them.
const LOOK: &str = "grep . cpu.max memory.max pids.max";
/// Where they lie.
const SLICE: &str = "/sys/fs/cgroup/user.slice/user-1000.slice";
/// What `tests/demo-policy.yaml` gives at login.
const DEFAULT: [&str; 3] = [
    "cpu.max:50000 100000",
    "memory.max:268435456",
    "pids.max:200",
];
/// What alice asks for.
const RESIZE: &str = "fairshare resize --cpu 1.5 --mem 512M";
/// What she has then.
const GRANT: [&str; 3] = [
    "cpu.max:150000 100000",
    "memory.max:536870912",
    "pids.max:200",
];
/// Wants more memory than she has: 400 MiB, each page written to.
const HOG: &str = r#"python3 -c 'x = b"x" * 400 * 2**20'"#;
/// Status of a command that was killed with signal 9.
const KILLED: i32 = 128 + 9;
/// For bob's answer while alice's hog runs, on an emulated machine on a busy host.
const PROMPT: Duration = Duration::from_secs(2);
/// How many answers of bob are timed before the hog starts.
const BEFORE: usize = 10;
/// For the grant to be gone after the logout.
const RELEASE_BOUND: Duration = Duration::from_secs(10);

/// Boots a machine, shows everything, and with `shell` leaves the person in alice's shell.
pub fn run(shell: bool) -> Result<()> {
    let progress = Progress::fitting();
    let stage = Stage::fitting();
    let packages = Packages::built()?;
    let machine = Machine::boot(Release::Debian13, progress)?;
    let step = progress.step("installing fairshare");
    machine.install(&packages)?;
    machine.push(
        &host::workspace().join("tests/demo-policy.yaml"),
        POLICY,
        0o644,
    )?;
    machine.restart_daemon()?;
    step.done();

    let shown = show(&stage, &machine);
    if let Err(error) = shown {
        let logs = machine.keep_logs("demo", None, &error.to_string())?;
        return Err(LabError::other(format!(
            "{error}\nlogs: {}",
            logs.display()
        )));
    }
    if shell {
        stay(&stage, &machine)
    } else {
        Ok(())
    }
}

fn show(stage: &Stage, machine: &Machine) -> Result<()> {
    stage.say(&system(machine)?);
    let mut alice = login(stage, machine)?;
    hog(stage, machine, &mut alice)?;
    resize(stage, &mut alice)?;
    logout(stage, machine, alice)
}

/// What is watched, in a line.
fn system(machine: &Machine) -> Result<String> {
    let output = machine.root("uname -r; systemctl --version; systemd-detect-virt")?;
    let mut lines = output.stdout.lines();
    let kernel = lines.next().unwrap_or_default();
    let systemd = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    let how = if lines.next_back() == Some("kvm") {
        "virtual"
    } else {
        "emulated"
    };
    let title = machine.release().title();
    Ok(format!(
        "{title}, kernel {kernel}, systemd {systemd}, {how} machine"
    ))
}

fn login(stage: &Stage, machine: &Machine) -> Result<Session> {
    stage.part(
        "alice logs in by ssh",
        "Policy gives everyone 0.5 CPU, 256M of memory and 200 tasks at login. The kernel \
         enforces it before the first command runs.",
    );
    let mut alice = machine.ssh("alice").terminal().open()?;
    alice.run(if stage.in_colour() {
        "stty cols 76"
    } else {
        "export NO_COLOR=1"
    })?;
    type_in(stage, &mut alice, &format!("cd {SLICE}"))?;
    let seen = type_in(stage, &mut alice, LOOK)?;
    expect(&seen, &DEFAULT)?;
    type_in(stage, &mut alice, "fairshare")?.ok()?;
    stage.holds("her slice has policy's default");
    Ok(alice)
}

fn hog(stage: &Stage, machine: &Machine, alice: &mut Session) -> Result<()> {
    stage.part(
        "a memory hog of hers dies, and bob does not notice",
        "It asks for 400 MiB. Meanwhile bob runs one command after the other.",
    );
    let mut bob = machine.ssh("bob").open()?;
    // The shell looks for its commands the first time; that is not what is measured.
    bob.run("id -un")?.ok()?;
    let mut before = Vec::new();
    for _ in 0..BEFORE {
        before.push(bob.run("id -un")?.ok()?.elapsed);
    }
    stage.typed("alice", HOG);
    let (done, is_done) = mpsc::channel();
    let (hog, answers) = thread::scope(|scope| {
        let hog = scope.spawn(move || {
            let output = alice.run(HOG);
            // Nobody listens any more only when bob's part has failed.
            let _ = done.send(());
            output
        });
        let answers = bob_works(&mut bob, &is_done);
        (hog.join(), answers)
    });
    let hog = hog.map_err(|_| LabError::other("alice's command could not be followed"))??;
    stage.output(&hog.stdout);
    let mut answers = answers?;
    stage.typed("bob", "id -un");
    stage.output("bob");
    if hog.status != Some(KILLED) {
        return Err(LabError::other(format!("the hog was not killed: {hog}")));
    }
    let worst = answers.iter().max().copied().unwrap_or_default();
    if worst > PROMPT {
        return Err(LabError::other(format!(
            "bob waited {} ms",
            worst.as_millis()
        )));
    }
    stage.holds(&format!(
        "her hog was killed after {:.1} s",
        hog.elapsed.as_secs_f64()
    ));
    stage.holds(&format!(
        "meanwhile bob had {} answers, {} ms each ({} ms before), {} ms at most",
        answers.len(),
        median(&mut answers).as_millis(),
        median(&mut before).as_millis(),
        worst.as_millis()
    ));
    bob.close()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Lets bob run commands until the hog is done; how long each took.
fn bob_works(bob: &mut Session, is_done: &mpsc::Receiver<()>) -> Result<Vec<Duration>> {
    let mut answers = Vec::new();
    loop {
        let output = bob.run("id -un")?.ok()?;
        answers.push(output.elapsed);
        if is_done.try_recv() != Err(mpsc::TryRecvError::Empty) {
            return Ok(answers);
        }
    }
}

fn resize(stage: &Stage, alice: &mut Session) -> Result<()> {
    stage.part(
        "she asks for more, and has it",
        "Policy lets everyone take up to 2 CPUs and 1G. No administrator is asked.",
    );
    type_in(stage, alice, RESIZE)?.ok()?;
    let seen = type_in(stage, alice, LOOK)?;
    expect(&seen, &GRANT)?;
    stage.holds("the kernel's files have changed");
    Ok(())
}

fn logout(stage: &Stage, machine: &Machine, alice: Session) -> Result<()> {
    stage.part(
        "she logs out, and the grant is gone",
        "Root looks at the same files, and at who holds what.",
    );
    stage.typed("alice", "exit");
    alice.close()?;
    let quota = format!("{SLICE}/cpu.max");
    // systemd keeps the slice for some seconds; when it goes, its limits go with it.
    let gone = format!("[ ! -e {quota} ] || grep -q '^50000 100000' {quota}");
    machine.wait_until(
        "the end of alice's grant",
        RELEASE_BOUND,
        &format!("{{ {gone}; }}"),
    )?;
    let seen = type_as_root(stage, machine, &format!("cd {SLICE}\n{LOOK}"))?;
    if seen.success() {
        expect(&seen, &DEFAULT)?;
    }
    let list = type_as_root(stage, machine, "fairshare list")?.ok()?;
    // She is listed until systemd has ended the last of her processes.
    let holds = |line: &str| line.starts_with("alice ") && !line.trim_end().ends_with(" no");
    if list.stdout.lines().any(holds) {
        return Err(LabError::other(format!("alice still has a grant: {list}")));
    }
    stage.holds("nobody has a grant");
    Ok(())
}

/// Leaves the person in alice's shell until they end it.
fn stay(stage: &Stage, machine: &Machine) -> Result<()> {
    stage.part(
        "your turn",
        "This is alice's shell on that machine. Try 'fairshare --help' and 'sudo fairshare \
         list'. 'exit' ends the machine.",
    );
    let mut ssh = machine.ssh("alice").terminal().command()?;
    let mut child = command::spawn(&mut ssh)?;
    child
        .wait()
        .map(drop)
        .map_err(|error| LabError::other(format!("cannot wait: {error}")))
}

/// Types a command in alice's shell and shows what it prints.
fn type_in(stage: &Stage, alice: &mut Session, command: &str) -> Result<Output> {
    stage.typed("alice", command);
    let output = alice.run(command)?;
    stage.output(&output.stdout);
    Ok(output)
}

/// Types commands, a line each, in root's shell and shows what they print.
fn type_as_root(stage: &Stage, machine: &Machine, command: &str) -> Result<Output> {
    for line in command.lines() {
        stage.typed("root", line);
    }
    let output = machine.as_root().run(command)?;
    stage.output(&output.stdout);
    stage.output(&output.stderr);
    Ok(output)
}

/// Fails when a line that is wanted was not printed.
fn expect(seen: &Output, wanted: &[&str]) -> Result<()> {
    for line in wanted {
        if !seen.stdout.lines().any(|seen| seen.trim_end() == *line) {
            return Err(LabError::other(format!("no line '{line}' in: {seen}")));
        }
    }
    Ok(())
}
