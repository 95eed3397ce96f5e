//! What a login gets, and that the kernel keeps it.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, Limits, POLICY, POLICY_PATH, SOON, assert_alice_has, assert_limits,
    assert_nothing_left, own_slice, put_policy,
};

/// The first command of a login finds policy's figures above itself and in its environment.
pub(crate) fn the_first_command_is_limited(machine: &Machine) -> Outcome {
    let variables = "environment: [OMP_NUM_THREADS, MAKEFLAGS]\n";
    put_policy(machine, &format!("{POLICY}{variables}"))?;
    let first = format!(
        "{}; echo \"$FAIRSHARE_CPUS $FAIRSHARE_MEMORY $OMP_NUM_THREADS $MAKEFLAGS\"",
        own_slice()
    );
    let output = machine.ssh("alice").ok(&first)?;
    let (limits, environment) = output
        .text()
        .rsplit_once('\n')
        .ok_or_else(|| output.to_string())?;
    assert_limits(limits, DEFAULTS);
    assert_eq!(environment, "0.9 300M 1 -j1");
    assert_eq!(output.stderr, "", "the login was not silent");
    Ok(())
}

/// Swap is what policy says, not what the machine has; and what policy sets beside the allocation
/// is in the kernel's files, and gone from them when policy does not say so any more.
pub(crate) fn swap_and_shaping_are_policys(machine: &Machine) -> Outcome {
    let disk = machine.root("findmnt --noheadings --output SOURCE,MAJ:MIN /")?;
    let (node, number) = disk
        .text()
        .split_once(char::is_whitespace)
        .map(|(node, number)| (node.to_owned(), number.trim().to_owned()))
        .ok_or_else(|| disk.to_string())?;
    let policy = |shaping: &str| {
        format!(
            "defaults: {{cpu: 0.9, mem: 300M, swap: 64M, tasks: 210{shaping}}}\n\
             max: {{cpu: 1.8, mem: 900M, tasks: 900}}\n"
        )
    };
    let shaping =
        format!(", mem_high: 98%, mem_guarantee: 40M, io: {{{node}: {{read: 30M, write: 20M}}}}");
    put_policy(machine, &policy(&shaping))?;
    let mut session = machine.ssh("alice").open()?;
    assert_alice_has(
        machine,
        Limits {
            swap: "67108864",
            ..DEFAULTS
        },
    )?;
    let status = session.run("fairshare status --json")?.ok()?;
    assert!(status.stdout.contains("64M"), "{status}");
    let shaped = |high: &str, low: &str, io: &str| {
        let files = machine.root(&format!(
            "cd {ALICE_SLICE} && cat memory.high memory.low && grep '^{number} ' io.max || true"
        ))?;
        assert_eq!(files.text(), format!("{high}\n{low}\n{io}").trim_end());
        Ok::<_, fairshare_tests::LabError>(())
    };
    let ceilings = format!("{number} rbps=31457280 wbps=20971520 riops=max wiops=max");
    // 98 % of 300 MiB in whole pages, and 40 MiB.
    shaped("308281344", "41943040", &ceilings)?;
    // It follows the allocation.
    session.run("fairshare resize --mem 600M")?.ok()?;
    shaped("616562688", "41943040", &ceilings)?;

    machine.write(POLICY_PATH, policy(""), 0o644)?;
    machine.root("systemctl reload fairshared")?;
    machine.wait_until(
        "what policy does not say to be lifted",
        SOON,
        &format!(
            "cd {ALICE_SLICE} && [ \"$(cat memory.high memory.low | xargs)\" = 'max 0' ] && \
             ! grep '^{number} ' io.max"
        ),
    )?;
    session.close()?;
    Ok(())
}

/// Four processes that never stop get half a CPU together, within a tenth.
pub(crate) fn cpu_hogs_share_their_quota(machine: &Machine) -> Outcome {
    put_policy(
        machine,
        "defaults: {cpu: 0.5, mem: 300M}\nmax: {cpu: 1, mem: 900M}\n",
    )?;
    let mut session = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    session
        .run("for i in 1 2 3 4; do (while :; do :; done) & done; true")?
        .ok()?;
    let measure = format!(
        "usage() {{ sed -n 's/^usage_usec //p' {ALICE_SLICE}/cpu.stat; }}; \
         now() {{ echo $(($(date +%s%N) / 1000)); }}; \
         u=$(usage); t=$(now); sleep 5; echo $(( ($(usage) - u) * 1000 / ($(now) - t) ))"
    );
    let output = machine.root(&measure)?;
    let thousandths: u32 = output.text().parse().map_err(|_| output.to_string())?;
    assert!(
        (450..=550).contains(&thousandths),
        "{thousandths} thousandths of a CPU"
    );
    session.run("kill $(jobs -p)")?.ok()?;
    session.close()?;
    Ok(())
}

/// A program that takes more memory than its user has is killed; another user does not notice.
pub(crate) fn a_memory_hog_dies_alone(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut alice = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    let mut bob = machine.ssh("bob").open()?;
    alice.type_line(
        "python3 -c 'b = bytearray(800 << 20); b[::4096] = b\"x\" * len(b[::4096]); \
         print(\"survived\")'; echo \"hog ended: $?\"",
    )?;
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let output = bob.run("echo here")?.ok()?;
        slowest = slowest.max(output.elapsed);
    }
    let said = alice.read_until("hog ended: ")?;
    assert!(!said.contains("survived"), "{said}");
    let status = alice.read_until("\n")?;
    assert_eq!(status.trim(), "137", "not killed: {said}{status}");
    assert!(
        slowest < Duration::from_secs(2),
        "bob waited for {slowest:?}"
    );
    let kills = machine.root(&format!(
        "sed -n 's/^oom_kill //p' {ALICE_SLICE}/memory.events"
    ))?;
    assert_ne!(
        kills.text(),
        "0",
        "the kernel killed nothing in alice's slice"
    );
    bob.run("true")?.ok()?;
    Ok(())
}

/// A fork bomb stops at the number of tasks.
pub(crate) fn tasks_end_at_their_number(machine: &Machine) -> Outcome {
    put_policy(
        machine,
        "defaults: {cpu: 0.9, mem: 300M, tasks: 40}\nmax: {cpu: 1, mem: 900M}\n",
    )?;
    let count = "python3 -c 'import os, time\n\
                 n = 0\n\
                 try:\n\
                 \x20   while n < 100:\n\
                 \x20       if os.fork() == 0: time.sleep(60); os._exit(0)\n\
                 \x20       n += 1\n\
                 except BlockingIOError: print(\"refused after\", n)'";
    let mut session = machine.ssh("alice").open()?;
    let output = session.run(count)?.ok()?;
    assert!(output.text().starts_with("refused after"), "{output}");
    Ok(())
}

/// Limits outlive what an administrator does to systemd, logind and the bus.
pub(crate) fn limits_outlive_reloads_and_restarts(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    session
        .run("fairshare resize --cpu 1.25 --mem 512M --tasks 333")?
        .ok()?;
    let granted = Limits {
        cpu: "125000 100000",
        mem: "536870912",
        swap: "0",
        tasks: "333",
    };
    for action in [
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
        "systemctl restart systemd-logind",
        // logind does not outlive its bus on Debian, with fairshare or without.
        "systemctl restart dbus && systemctl restart systemd-logind",
    ] {
        machine.root(action)?;
        assert_alice_has(machine, granted)?;
    }
    // The daemon has lost its bus meanwhile, and finds it again.
    session.run("fairshare release")?.ok()?;
    assert_alice_has(machine, DEFAULTS)?;
    session.close()?;
    Ok(())
}

/// What an administrator puts over a limit is not hidden from anybody.
pub(crate) fn what_wins_over_a_limit_is_told(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    // systemd applies what it has read anew when next something is set on the unit.
    machine.root(
        "mkdir -p /run/systemd/system/user-1000.slice.d && \
         printf '[Slice]\\nMemoryMax=200M\\n' > /run/systemd/system/user-1000.slice.d/90-site.conf \
         && systemctl daemon-reload && \
         systemctl set-property --runtime user-1000.slice CPUWeight=200",
    )?;
    assert_alice_has(
        machine,
        Limits {
            mem: "209715200",
            ..DEFAULTS
        },
    )?;
    let status = session.run("fairshare status")?.ok()?;
    assert!(
        status.stdout.contains("300M asked for, 200M enforced"),
        "{status}"
    );
    session.close()?;
    Ok(())
}

/// A user whose slice has a unit file of the administrator's is limited all the same, and what was
/// set does not wait for the next login.
pub(crate) fn an_administrators_unit_file_is_respected(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.root(
        "printf '[Unit]\\nDescription=Site slice\\n[Slice]\\nMemoryHigh=800M\\n' \
         > /run/systemd/system/user-1000.slice && systemctl daemon-reload",
    )?;
    let mut session = machine.ssh("alice").open()?;
    assert_alice_has(machine, DEFAULTS)?;
    let high = machine.root(&format!("cat {ALICE_SLICE}/memory.high"))?;
    assert_eq!(high.text(), "838860800", "the administrator's own setting");
    session.run("fairshare resize --mem 512M")?.ok()?;
    session.close()?;
    assert_nothing_left(machine)?;
    machine.root("rm /run/systemd/system/user-1000.slice && systemctl daemon-reload")?;
    Ok(())
}
