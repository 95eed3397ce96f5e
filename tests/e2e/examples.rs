//! The examples, used as they are against the real daemon.

use fairshare_tests::{Machine, host};

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, Limits, POLICY, assert_alice_has, assert_nothing_left, put_policy,
};

/// Where the lab puts the examples.
const EXAMPLES: &str = "/usr/share/doc/fairshare/examples";

/// The Python example shows, resizes and releases as a user, and opens sessions as root.
pub(crate) fn the_python_example_works(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let example = format!("python3 {EXAMPLES}/python/fairshare_ctypes.py");
    let mut alice = machine.ssh("alice").open()?;
    let help = alice.run(&format!("{example} --help"))?.ok()?;
    assert!(help.stdout.contains("open-session"), "{help}");
    let status = alice.run(&format!("{example} status"))?.ok()?;
    assert!(status.stdout.contains("0.9"), "{status}");
    alice
        .run(&format!("{example} resize --cpu 1.5 --mem-gib 0.5"))?
        .ok()?;
    let granted = Limits {
        cpu: "150000 100000",
        mem: "536870912",
        ..DEFAULTS
    };
    assert_alice_has(machine, granted)?;
    alice.run(&format!("{example} release"))?.ok()?;
    assert_alice_has(machine, DEFAULTS)?;
    let refused = alice.run(&format!("{example} open-session 1001 1"))?;
    assert_eq!(refused.status, Some(1), "{refused}");
    alice.close()?;
    assert_nothing_left(machine)
}

/// The C example is compiled here, against the header and the library that are installed there,
/// and opens and closes a session for a process of alice's.
pub(crate) fn the_c_example_works(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let folder = tempfile::tempdir_in(host::target()).map_err(|error| error.to_string())?;
    let program = folder.path().join("session");
    let workspace = host::workspace();
    let mut compiler = std::process::Command::new("cc");
    compiler
        .arg(workspace.join("examples/c/session.c"))
        .arg("-I")
        .arg(workspace.join("include"))
        .arg("-L")
        .arg(host::target().join("release"))
        .args(["-lfairshare", "-o"])
        .arg(&program);
    fairshare_tests::command::run(&mut compiler, b"", std::time::Duration::from_secs(60))?.ok()?;
    machine.push(&program, "/tmp/session", 0o755)?;
    let start = "setsid runuser -u alice -- sleep 300 </dev/null >/dev/null 2>&1 & echo $!";
    let pid = machine.root(start)?.text().to_owned();
    let output = machine.root(&format!("/tmp/session 1000 {pid}"))?;
    assert!(output.stdout.contains("0.9"), "{output}");
    assert_alice_has(machine, DEFAULTS)?;
    machine.root(&format!("kill {pid}"))?;
    assert_nothing_left(machine)
}

/// The greeting speaks to a person at a terminal, and to nobody else.
pub(crate) fn the_greeting_speaks_on_a_terminal_only(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.root(&format!(
        "install -m 644 {EXAMPLES}/profile.d/fairshare.sh /etc/profile.d/"
    ))?;
    let result = greeting(machine);
    machine.root("rm /etc/profile.d/fairshare.sh")?;
    result
}

fn greeting(machine: &Machine) -> Outcome {
    let silent = machine.ssh("alice").ok("true")?;
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", ""));
    let person = machine
        .ssh("alice")
        .terminal()
        .input("exit\n")
        .ok("bash -li")?;
    assert!(
        person.stdout.contains("0.9 CPUs and 300M memory"),
        "{person}"
    );
    let limits = machine.root(&format!("ls {ALICE_SLICE}/memory.max"))?;
    assert!(limits.success());
    Ok(())
}

/// The policy for a small machine is one that the daemon takes.
pub(crate) fn the_policy_for_a_small_machine_works(machine: &Machine) -> Outcome {
    let policy = machine.read(&format!("{EXAMPLES}/policy.d/small-machine.yaml"))?;
    put_policy(machine, &policy)?;
    let status = machine.ssh("alice").ok("fairshare status --json")?;
    assert!(status.stdout.contains("\"512M\""), "{status}");
    Ok(())
}
