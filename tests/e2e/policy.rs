//! Policy for groups, its files, and changing it on a running server.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fairshare_tests::{Machine, Result};

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, BOB_SLICE, DEFAULTS, Limits, POLICY, POLICY_PATH, SOON, assert_alice_has,
    assert_limits, look_up, own_slice, put_policy, show_limits,
};

/// A second file, read after the one that [`put_policy`] writes.
const GROUPS_PATH: &str = "/etc/fairshare/policy.d/20-groups.yaml";
/// alice is made a member of this group.
const GROUPS: &str = "\
groups:
  staff:
    defaults: {cpu: 1.2, mem: 400M}
    max: {mem: 1G}
";
/// What [`GROUPS`] comes to over [`POLICY`].
const STAFF: Limits<'_> = Limits {
    cpu: "120000 100000",
    mem: "419430400",
    ..DEFAULTS
};
/// Logins while policy is read again and again.
const LOGINS: usize = 30;
/// Of these at a time.
const AT_ONCE: usize = 3;
/// How often policy is read again meanwhile.
const RELOADS: u32 = 10;

/// Puts alice into `staff`, and the policy for it in force.
fn put_group_policy(machine: &Machine) -> Outcome {
    machine.root("usermod --append --groups staff alice")?;
    machine.write(GROUPS_PATH, GROUPS, 0o644)?;
    put_policy(machine, POLICY)?;
    look_up(machine, &["alice", "bob"])
}

/// A member of a group finds the group's limits at the first command of a login, others what
/// everybody has. `explain` names the line that says so, and `diff` shows who would get what instead
/// before a reload makes it so.
pub(crate) fn a_group_decides_from_the_first_command_on(machine: &Machine) -> Outcome {
    put_group_policy(machine)?;
    let mut alice = machine.ssh("alice").open()?;
    assert_limits(&alice.run(&own_slice())?.ok()?.stdout, STAFF);
    let mut bob = machine.ssh("bob").open()?;
    assert_limits(&bob.run(&own_slice())?.ok()?.stdout, DEFAULTS);

    let explained = alice.run("fairshare policy explain")?.ok()?;
    for part in [
        "defaults.cpu: 1.2\n",
        "groups.staff.defaults.cpu, /etc/fairshare/policy.d/20-groups.yaml:3:21",
        "not 0.9 by defaults.cpu, /etc/fairshare/policy.d/default.yaml:1:17",
        "max.mem: 1G\n",
        "groups.staff.max.mem, /etc/fairshare/policy.d/20-groups.yaml:4:16",
        "max.cpu: 1.8\n",
    ] {
        assert!(
            explained.stdout.contains(part),
            "no '{part}' in {explained}"
        );
    }
    // What policy says for others is not everybody's to see.
    let refused = alice.run("fairshare policy explain bob")?;
    assert_eq!(refused.status, Some(4), "{refused}");
    let of_bob = machine.root("fairshare policy explain bob")?;
    assert!(of_bob.stdout.contains("defaults.cpu: 0.9\n"), "{of_bob}");

    let same = machine.root("fairshare policy diff")?;
    assert!(same.stdout.contains("change nothing"), "{same}");
    machine.write(GROUPS_PATH, GROUPS.replace("1.2", "1.4"), 0o644)?;
    let differs = machine.root("fairshare policy diff")?;
    assert!(
        differs.stdout.contains("alice\n  defaults.cpu: 1.2 -> 1.4"),
        "{differs}"
    );
    assert!(!differs.stdout.contains("bob"), "{differs}");
    assert_alice_has(machine, STAFF)?;
    machine.root("fairshare policy reload")?;
    machine.wait_until(
        "the new default",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/cpu.max)\" = '140000 100000' ]"),
    )?;
    let others = machine.root(&show_limits(BOB_SLICE))?;
    assert_limits(&others.stdout, DEFAULTS);

    // The group's maximum, too, is hers and not bob's.
    alice.run("fairshare resize --mem 1G")?.ok()?;
    assert_alice_has(
        machine,
        Limits {
            cpu: "140000 100000",
            mem: "1073741824",
            ..STAFF
        },
    )?;
    let refused = bob.run("fairshare resize --mem 1G")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    assert!(refused.stderr.contains("900M"), "{refused}");
    Ok(())
}

/// A wrong file is shown with file, line, column and caret to whoever asks for a reload, in the log,
/// and by `fairshared check`; and nothing changes.
pub(crate) fn a_wrong_file_is_shown_and_changes_nothing(machine: &Machine) -> Outcome {
    put_group_policy(machine)?;
    let mut alice = machine.ssh("alice").open()?;
    machine.root("fairshared check")?;

    // Two faults, and both are told.
    let wrong = GROUPS.replace("defaults", "default").replace("1G", "1X");
    machine.write(GROUPS_PATH, wrong, 0o644)?;
    let parts = [
        "/etc/fairshare/policy.d/20-groups.yaml:3:5\n",
        "3 |     default: {cpu: 1.2, mem: 400M}\n",
        "  |     ^^^^^^^\n",
        "did you mean 'defaults'?",
        "/etc/fairshare/policy.d/20-groups.yaml:4:16\n",
        "  |                ^^\n",
    ];
    let reload = machine.as_root().run("fairshare policy reload")?;
    assert_eq!(reload.status, Some(1), "{reload}");
    let check = machine.as_root().run("fairshared check")?;
    assert_eq!(check.status, Some(78), "{check}");
    let mark = machine.mark()?;
    let by_systemd = machine.as_root().run("systemctl reload fairshared")?;
    assert!(!by_systemd.success(), "{by_systemd}");
    machine.wait_until(
        "the fault in the log",
        SOON,
        "journalctl --unit fairshared.service --output cat | grep -q 'the policy before'",
    )?;
    let log = machine.journal(&mark, "--unit fairshared.service --output cat")?;
    for part in parts {
        assert!(reload.stderr.contains(part), "no '{part}' in {reload}");
        assert!(check.stderr.contains(part), "no '{part}' in {check}");
        assert!(log.contains(part), "no '{part}' in {log}");
    }
    assert_alice_has(machine, STAFF)?;

    // A file that anybody can write is nobody's policy.
    machine.write(GROUPS_PATH, GROUPS.replace("1.2", "1.4"), 0o666)?;
    for (command, status) in [("fairshare policy reload", 1), ("fairshared check", 78)] {
        let refused = machine.as_root().run(command)?;
        assert_eq!(refused.status, Some(status), "{refused}");
        assert!(refused.stderr.contains("20-groups.yaml"), "{refused}");
        assert!(refused.stderr.contains("writ"), "{refused}");
    }
    assert_alice_has(machine, STAFF)?;

    // Only root has policy read again.
    machine.root(&format!("chmod 644 {GROUPS_PATH}"))?;
    let refused = alice.run("fairshare policy reload")?;
    assert_eq!(refused.status, Some(4), "{refused}");
    assert_alice_has(machine, STAFF)?;
    machine.root("systemctl reload fairshared")?;
    machine.wait_until(
        "the new default",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/cpu.max)\" = '140000 100000' ]"),
    )?;
    alice.close()
}

/// Thirty logins while policy is read again ten times: each works, and in the end everybody has what
/// the last policy says.
pub(crate) fn a_reload_under_load_reaches_everybody(machine: &Machine) -> Outcome {
    put_group_policy(machine)?;
    let mut alice = machine.ssh("alice").open()?;
    let mut bob = machine.ssh("bob").open()?;
    let (sender, logins) = mpsc::channel();
    let round = thread::scope(|scope| -> Result<u32> {
        for worker in 0..AT_ONCE {
            let sender = sender.clone();
            scope.spawn(move || {
                for login in 0..LOGINS / AT_ONCE {
                    let user = if (worker + login) % 2 == 0 {
                        "alice"
                    } else {
                        "bob"
                    };
                    // Where nobody receives any more, another login has failed.
                    let _ = sender.send(machine.ssh(user).ok("echo in"));
                }
            });
        }
        drop(sender);
        let mut round = 0;
        for (number, login) in logins.iter().enumerate() {
            assert_eq!(login?.text(), "in");
            // The others are under way.
            if number % AT_ONCE == 0 {
                round += 1;
                let policy = round_policy(round);
                machine.write("/etc/fairshare/policy.d/zz-round.yaml", policy, 0o644)?;
                machine.root("fairshare policy reload")?;
            }
        }
        Ok(round)
    })?;
    assert_eq!(round, RELOADS);
    for (session, slice, mem) in [
        (&mut alice, ALICE_SLICE, 500 + round),
        (&mut bob, BOB_SLICE, 300 + round),
    ] {
        machine.wait_until(
            "the last policy's memory",
            SOON,
            &format!("[ \"$(cat {slice}/memory.max)\" = $(({mem} << 20)) ]"),
        )?;
        let status = session.run("fairshare status")?.ok()?;
        assert!(status.stdout.contains(&format!("{mem}M")), "{status}");
        assert!(!status.stdout.contains("enforced"), "{status}");
    }
    Ok(())
}

/// Another default for everybody, and another one for alice's group.
fn round_policy(round: u32) -> String {
    format!(
        "defaults: {{mem: {}M}}\ngroups: {{staff: {{defaults: {{mem: {}M}}}}}}\n",
        300 + round,
        500 + round
    )
}

/// In watch mode everything is decided and shown, and the kernel's files are left alone until policy
/// says otherwise.
pub(crate) fn watch_mode_decides_and_sets_nothing(machine: &Machine) -> Outcome {
    let watch = format!("{POLICY}enforce: watch\n");
    put_policy(machine, &watch)?;
    let mut alice = machine.ssh("alice").open()?;
    let untouched = |machine: &Machine| -> Outcome {
        let files = machine.root(&format!(
            "cd {ALICE_SLICE} && cat cpu.max memory.max memory.high memory.swap.max cpu.weight; \
             cat pids.max; ls -d /run/systemd/transient/user-1000* 2>/dev/null; true"
        ))?;
        let lines: Vec<&str> = files.stdout.lines().collect();
        assert_eq!(
            lines.get(..5),
            Some(&["max 100000", "max", "max", "max", "100"][..]),
            "{files}"
        );
        // The last is systemd's own share of the machine.
        assert_eq!(lines.len(), 6, "{files}");
        assert_ne!(lines.get(5), Some(&"210"), "{files}");
        Ok(())
    };
    untouched(machine)?;
    let said = alice.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    assert!(said.stdout.contains("1.5 CPUs, 512M memory"), "{said}");
    untouched(machine)?;
    let status = alice.run("fairshare")?.ok()?;
    assert!(status.stdout.contains("1.5"), "{status}");
    assert!(status.stdout.contains("watch mode"), "{status}");
    let explained = alice.run("fairshare policy explain")?.ok()?;
    assert!(explained.stdout.contains("watch mode"), "{explained}");
    let refused = alice.run("fairshare resize --mem 2G")?;
    assert_eq!(refused.status, Some(1), "{refused}");
    let listed = machine.root("fairshare list --json")?;
    assert!(listed.stdout.contains("512M"), "{listed}");
    let log = machine.root("journalctl --unit fairshared.service --output cat --lines 20")?;
    assert!(log.stdout.contains("resize granted: user 1000"), "{log}");

    machine.write(POLICY_PATH, POLICY, 0o644)?;
    machine.root("fairshare policy reload")?;
    machine.wait_until(
        "the limits to be set",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max)\" = 536870912 ]"),
    )?;
    assert_alice_has(
        machine,
        Limits {
            cpu: "150000 100000",
            mem: "536870912",
            ..DEFAULTS
        },
    )?;

    // And back: the limits are lifted.
    machine.write(POLICY_PATH, watch, 0o644)?;
    machine.root("fairshare policy reload")?;
    machine.wait_until(
        "the limits to be lifted",
        Duration::from_secs(30),
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max {ALICE_SLICE}/cpu.max | tr '\\n' ' ')\" = 'max max 100000 ' ]"),
    )?;
    alice.close()
}
