//! `fairshare doctor`: a machine that is well, and one on which much is not.

use fairshare_tests::{Machine, Output, Result};
use serde_json::Value;

use crate::harness::Outcome;
use crate::kernel::{POLICY, POLICY_PATH, SOON, put_policy};

/// The slice of the UID that nobody has, which the doctor tries first.
const NOBODYS_SLICE: &str = "/sys/fs/cgroup/user.slice/user-59999.slice";

/// Puts the module where it should be on this machine, and the daemon into the next boot.
fn complete(machine: &Machine) -> Result<()> {
    machine.root("systemctl enable --quiet fairshared.socket fairshared.service")?;
    for service in ["sshd", "login"] {
        machine.add_pam_line(service, "")?;
    }
    machine.root(
        "grep -qs pam_fairshare /etc/pam.d/cron /etc/pam.d/common-session-noninteractive || \
         echo 'session optional pam_fairshare.so' >> /etc/pam.d/cron",
    )?;
    put_policy(machine, POLICY)
}

/// Nothing to complain of: one screen, status 0, and a session that was tried leaves nothing, also
/// where the doctor is killed within it.
pub(crate) fn a_healthy_machine_is_well(machine: &Machine) -> Outcome {
    complete(machine)?;
    let well = machine.root("COLUMNS=80 fairshare doctor")?;
    assert!(well.stdout.contains(": all is well\n"), "{well}");
    assert!(
        well.stdout
            .contains("0.9 CPUs, 300M memory, 210 tasks, read back"),
        "{well}"
    );
    let lines = well.stdout.lines().count();
    assert!(lines <= 24, "{lines} lines: {well}");
    let fits = |line: &str| line.chars().count() <= 80;
    assert!(well.stdout.lines().all(fits), "{well}");
    machine.root(&format!("[ ! -e {NOBODYS_SLICE} ]"))?;

    let alice = machine.ssh("alice").ok("fairshare doctor")?;
    assert!(alice.stdout.contains("only root may open one"), "{alice}");

    // By Ctrl-C it closes the session first; by the other it cannot, and the session ends without it.
    for signal in ["TERM", "KILL"] {
        machine.root(&format!(
            "fairshare doctor & until [ -e {NOBODYS_SLICE} ]; do :; done; kill -{signal} $!; \
             wait $!; true"
        ))?;
        machine.wait_until(
            &format!("the session of a doctor to end who had {signal}"),
            SOON,
            &format!("[ ! -e {NOBODYS_SLICE} ]"),
        )?;
    }
    machine.wait_until(
        "the daemon to forget it",
        SOON,
        "fairshare list --json | grep -q '\"users\": \\[\\]'",
    )
}

/// Each fault is named with its remedy, however many there are.
pub(crate) fn each_fault_is_named_with_its_remedy(machine: &Machine) -> Outcome {
    complete(machine)?;
    machine.root(
        "cd /etc/systemd/system
         mkdir -p fairshared.service.d user.slice.d user-.slice.d
         printf '[Service]\\nSupplementaryGroups=\\n' > fairshared.service.d/90-test.conf
         printf '[Slice]\\nDisableControllers=pids\\n' > user.slice.d/90-test.conf
         printf '[Slice]\\nMemoryMax=90%%\\n' > user-.slice.d/90-test.conf
         systemctl daemon-reload
         cd /etc/pam.d
         printf 'auth required pam_deny.so\\naccount required pam_permit.so\\n\
         session optional pam_fairshare.so\\nsession optional pam_systemd.so\\n' > sshd
         printf 'session required pam_permit.so\\n' > cron",
    )?;
    machine.restart_daemon()?;
    machine.write(
        POLICY_PATH,
        format!("{POLICY}defualts: {{cpu: 1}}\n"),
        0o644,
    )?;
    let told = machine.as_root().run("fairshare doctor --json")?;
    assert_eq!(told.status, Some(2), "{told}");
    for (id, state, summary, remedy) in [
        (
            "cgroup.pids",
            "failed",
            "user.slice.d/90-test.conf",
            "take DisableControllers out",
        ),
        (
            "pam.sshd",
            "failed",
            "/etc/pam.d/sshd:3 has pam_fairshare.so before pam_systemd.so",
            "editor +3 /etc/pam.d/sshd",
        ),
        (
            "pam.cron",
            "warning",
            "cron jobs are not limited",
            "/etc/pam.d/cron",
        ),
        ("policy", "failed", "unknown key", "fairshared check"),
        (
            "drop-ins",
            "warning",
            "MemoryMax=90%",
            "editor /etc/systemd/system/user-.slice.d/90-test.conf",
        ),
        (
            "terminals",
            "warning",
            "not in group tty",
            "SupplementaryGroups=tty",
        ),
        (
            "session",
            "failed",
            // The file may be there still, without a limit, or not any more.
            "where policy gives 210",
            "journalctl -u fairshared",
        ),
    ] {
        assert_told(&told, [id, state, summary, remedy]);
    }

    machine.stop_daemon()?;
    let stopped = machine.as_root().run("fairshare doctor --json")?;
    assert_eq!(stopped.status, Some(2), "{stopped}");
    let start = "systemctl enable --now fairshared.socket fairshared.service";
    assert_told(&stopped, ["daemon", "failed", "does not run", start]);
    assert_told(&stopped, ["session", "skipped", "no daemon answers", ""]);
    machine.root(
        "rm -r /etc/systemd/system/{fairshared.service,user.slice,user-.slice}.d && \
         systemctl daemon-reload",
    )?;
    Ok(())
}

/// There is a check of this name in this state that says so, and has this remedy.
fn assert_told(told: &Output, [id, state, summary, remedy]: [&str; 4]) {
    let report: Value = serde_json::from_str(&told.stdout).unwrap_or_default();
    let checks = report.get("checks").and_then(Value::as_array);
    let is = |check: &Value, member: &str, part: &str| {
        let text = check.get(member).and_then(Value::as_str);
        text.unwrap_or_default().contains(part)
    };
    let found = checks.into_iter().flatten().any(|check| {
        is(check, "id", id)
            && is(check, "state", state)
            && is(check, "summary", summary)
            && is(check, "remedy", remedy)
    });
    assert!(
        found,
        "no {id} that is {state}: '{summary}', '{remedy}' in {told}"
    );
}
