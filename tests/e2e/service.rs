//! The daemon as a service: how it is shut in, that it is started again when it hangs, and whom it
//! finds when it starts.

use fairshare_tests::{Machine, Result};

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, BOB_SLICE, DEFAULTS, Limits, POLICY, SOON, assert_alice_has, assert_nothing_left,
    put_policy,
};

/// Where the scenarios put what they change of the unit; a reset removes it.
const DROP_IN: &str = "/run/systemd/system/fairshared.service.d/scenario.conf";
/// The highest exposure that systemd may see.
const EXPOSURE: f64 = 2.0;

/// A second on a machine that is not emulated, in seconds.
const AT_ONCE: f64 = 3.0;
/// A condition: alice has the default's memory.
const IS_DEFAULT: &str =
    "[ \"$(cat /sys/fs/cgroup/user.slice/user-1000.slice/memory.max)\" = 314572800 ]";

/// systemd itself rates the unit, and the kernel's files say that its settings hold.
pub(crate) fn the_unit_shuts_the_daemon_in(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let verified =
        machine.root("systemd-analyze verify fairshared.service fairshared.socket 2>&1")?;
    assert!(!verified.stdout.contains("fairshare"), "{verified}");
    let rated = machine.root(
        "systemd-analyze security --no-pager fairshared.service | \
         sed -n 's/.*exposure level for fairshared.service: \\([0-9.]*\\).*/\\1/p'",
    )?;
    let exposure: f64 = rated.text().parse().map_err(|_| rated.to_string())?;
    assert!(exposure <= EXPOSURE, "{exposure}");

    let pid = machine.daemon_pid()?;
    let process = machine.root(&format!(
        "grep -E '^(CapEff|CapPrm|NoNewPrivs|Seccomp):' /proc/{pid}/status; \
         cat /proc/{pid}/oom_score_adj /sys/fs/cgroup/fairshared.service/memory.min"
    ))?;
    // CAP_SYS_PTRACE is 19: linux/capability.h.
    let expected = "CapPrm:\t0000000000080000\nCapEff:\t0000000000080000\nNoNewPrivs:\t1\n\
                    Seccomp:\t2\n-900\n16777216";
    assert_eq!(process.text(), expected);
    // The kernel's log, as which processes were killed is read there, and the history.
    let given = machine.root(&format!(
        "readlink /proc/{pid}/fd/0; stat --format '%U %a' /var/lib/fairshare"
    ))?;
    assert_eq!(given.text(), "/dev/kmsg\nroot 700");

    let order = machine.root("systemctl show --property After,Before fairshared.service")?;
    let units = |name: &str| -> Vec<String> {
        let line = order
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(name));
        let units = line.unwrap_or_default().split_whitespace();
        units.map(str::to_owned).collect()
    };
    for before in ["ssh.service", "systemd-user-sessions.service"] {
        assert!(units("Before=").contains(&before.to_owned()), "{order}");
    }
    for after in ["dbus.socket", "systemd-logind.service"] {
        assert!(units("After=").contains(&after.to_owned()), "{order}");
    }
    Ok(())
}

/// A daemon that answers no more is killed by systemd and started again: users keep what they had.
pub(crate) fn a_hung_daemon_is_started_again(machine: &Machine) -> Outcome {
    let shipped = machine.root("systemctl show --property WatchdogUSec fairshared.service")?;
    assert_eq!(shipped.text(), "WatchdogUSec=1min");
    set_unit(machine, "WatchdogSec=4s\n")?;
    put_policy(machine, POLICY)?;
    let mut alice = machine.ssh("alice").open()?;
    alice.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    let before = machine.daemon_pid()?;
    // Longer than the watchdog waits: one that is well is left alone.
    machine.root("sleep 6")?;
    assert_eq!(machine.daemon_pid()?, before, "killed though it was well");

    machine.root("systemctl kill --signal=STOP fairshared.service")?;
    machine.wait_until(
        "another daemon",
        SOON,
        &format!(
            "pid=$(systemctl show --property MainPID --value fairshared.service); \
             [ $pid != 0 ] && [ $pid != {before} ] && fairshare list"
        ),
    )?;
    let result = machine.root("journalctl --unit fairshared.service --output cat --lines 40")?;
    assert!(result.stdout.contains("Watchdog timeout"), "{result}");
    let granted = Limits {
        cpu: "150000 100000",
        mem: "536870912",
        ..DEFAULTS
    };
    assert_alice_has(machine, granted)?;
    assert_eq!(grant_and_sessions(machine, 1000)?, "True 1");
    alice.run("fairshare release")?.ok()?;
    assert_alice_has(machine, DEFAULTS)
}

/// systemd hears of a reload, however it is asked for; and a host with a newer systemd may have the
/// type of unit that is made for it.
pub(crate) fn a_reload_is_told_to_systemd(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut alice = machine.ssh("alice").open()?;
    alice.run("true")?.ok()?;
    for how in [
        "fairshare policy reload",
        "systemctl kill --kill-whom=main --signal=HUP fairshared.service",
    ] {
        let changed = "systemctl show --property StateChangeTimestampMonotonic fairshared.service";
        let before = machine.root(changed)?;
        machine.root(how)?;
        machine.wait_until(
            &format!("systemd to have heard of '{how}'"),
            SOON,
            &format!(
                "[ \"$({changed})\" != {} ] && systemctl is-active fairshared.service",
                before.text()
            ),
        )?;
    }
    let version = machine.root("systemctl --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p'")?;
    let version: u32 = version.text().parse().map_err(|_| version.to_string())?;
    if version < 253 {
        return Ok(());
    }
    set_unit(machine, "Type=notify-reload\nExecReload=\n")?;
    machine.restart_daemon()?;
    machine.write(
        crate::kernel::POLICY_PATH,
        POLICY.replace("300M", "310M"),
        0o644,
    )?;
    machine.root("systemctl reload fairshared.service")?;
    let expected = Limits {
        mem: "325058560",
        ..DEFAULTS
    };
    machine.wait_until(
        "the new policy to hold",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/memory.max)\" = {} ]", expected.mem),
    )?;
    assert_alice_has(machine, expected)
}

/// With its profile enforced the daemon does all its work, and nothing else.
pub(crate) fn apparmor_lets_it_work_and_no_more(machine: &Machine) -> Outcome {
    let seen = machine.root("journalctl --dmesg --output cat --lines 0 --show-cursor")?;
    let cursor = seen.text().trim_start_matches("-- cursor: ").to_owned();
    // Groups, so that the name service is asked; terminals, disks, the snapshot.
    let policy = format!(
        "{}groups: {{sudo: {{max: {{cpu: 2}}}}}}\nlease: {{longest: 1h}}\n",
        POLICY.replace("tasks: 210", "tasks: 210, io: {/dev/vda: {read: 500M}}")
    );
    put_policy(machine, &policy)?;
    let pid = machine.daemon_pid()?;
    let confined = machine.root(&format!("cat /proc/{pid}/attr/current"))?;
    assert_eq!(confined.text(), "fairshared (enforce)");

    let mut screen = machine.ssh("alice").terminal().open()?;
    let mut alice = machine.ssh("alice").open()?;
    alice
        .run("fairshare resize --cpu 1.5 --mem 512M --for 1m5s && fairshare && fairshare list")?
        .ok()?;
    screen.read_until("fairshare renew --for")?;
    machine.root("fairshare policy explain bob && fairshare list")?;
    machine.root("fairshare set alice --cpu 1.2 && fairshare release alice")?;
    machine.root(
        "systemctl reload fairshared.service && systemctl kill --signal=KILL fairshared.service",
    )?;
    machine.wait_until("the daemon to be back", SOON, "fairshare list")?;
    assert_alice_has(machine, DEFAULTS)?;
    alice.close()?;
    screen.close()?;
    assert_nothing_left(machine)?;
    let denied = format!(
        "journalctl --dmesg --output cat --after-cursor '{cursor}' | \
         grep 'apparmor=\"DENIED\".*fairshared' || true"
    );
    assert_eq!(machine.root(&denied)?.text(), "", "denied");

    // The same program under the same profile, with a file that is none of the daemon's.
    machine.root("cp /etc/fairshare/policy.d/default.yaml /root/policy.yaml")?;
    machine.root("/usr/sbin/fairshared check /root/policy.yaml")?;
    machine.root("aa-exec --profile fairshared /usr/sbin/fairshared check")?;
    let shut_in = "aa-exec --profile fairshared /usr/sbin/fairshared check /root/policy.yaml";
    let refused = machine.as_root().run(shut_in)?;
    assert!(
        !refused.success() && refused.stderr.contains("Permission denied"),
        "{refused}"
    );
    assert!(machine.root(&denied)?.text().contains("/root/policy.yaml"));
    machine.root("rm /root/policy.yaml")?;
    Ok(())
}

/// Whoever is logged in when the daemon first starts is limited by it and has a session; where policy
/// lets somebody be nothing is set. The next login is counted beside it, once.
pub(crate) fn who_was_there_before_is_limited(machine: &Machine) -> Outcome {
    machine.stop_daemon()?;
    let mut alice = machine.ssh("alice").open()?;
    let mut bob = machine.ssh("bob").open()?;
    alice.run("true")?.ok()?;
    bob.run("true")?.ok()?;
    put_policy(machine, &format!("{POLICY}exempt: {{users: [bob]}}\n"))?;
    wait_for(machine, 1000, "False 1")?;
    assert_alice_has(machine, DEFAULTS)?;
    let spared = machine.root(&format!("cat {BOB_SLICE}/memory.max"))?;
    assert_eq!(spared.text(), "max");

    alice.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    let second = machine.ssh("alice").open()?;
    wait_for(machine, 1000, "True 2")?;
    second.close()?;
    wait_for(machine, 1000, "True 1")?;
    // The grant goes with the session that the module did not tell of.
    alice
        .run("setsid sleep 600 </dev/null >/dev/null 2>&1 &")?
        .ok()?;
    alice.close()?;
    wait_for(machine, 1000, "False 0")?;
    machine.wait_until("the grant to be back", SOON, IS_DEFAULT)?;
    machine.root("pkill -KILL -u alice sleep")?;
    assert_nothing_left(machine)
}

/// A user whose programs run without any login is limited, and so is a login by a service without
/// the module, at once; also when logind was started anew before.
pub(crate) fn who_comes_another_way_is_limited(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.root("loginctl enable-linger alice")?;
    machine.wait_until("alice to be limited", SOON, IS_DEFAULT)?;
    assert_alice_has(machine, DEFAULTS)?;

    machine.root("sed -i '/pam_fairshare/d' /etc/pam.d/sshd; systemctl restart systemd-logind")?;
    let bob = machine.ssh("bob").open()?;
    wait_for(machine, 1001, "False 1")?;
    let seconds = seconds_until_limited(machine)?;
    println!("a slice without a login through the module was limited after {seconds} s");
    assert!(seconds < AT_ONCE, "after {seconds} s");
    // A session of somebody who is there already is told of as well.
    let mut alice = machine.ssh("alice").open()?;
    wait_for(machine, 1000, "False 1")?;
    alice.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    alice.close()?;
    wait_for(machine, 1000, "False 0")?;
    bob.close()?;
    machine.root("loginctl disable-linger alice")?;
    assert_nothing_left(machine)
}

/// How long bob's slice was there without limits.
fn seconds_until_limited(machine: &Machine) -> Result<f64> {
    let measured = machine.root(
        r#"python3 - <<'END'
import json, subprocess
def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
began = int(output("systemctl", "show", "--value", "--property", "ActiveEnterTimestampMonotonic",
                   "user-1001.slice"))
told = output("journalctl", "-u", "fairshared", "-o", "json", "--grep", "take_in granted: user 1001")
limited = int(json.loads(told.splitlines()[-1])["__MONOTONIC_TIMESTAMP"])
print((limited - began) / 1e6)
END"#,
    )?;
    let seconds = measured.text().parse();
    Ok(seconds.map_err(|_| measured.to_string())?)
}

fn set_unit(machine: &Machine, lines: &str) -> Result<()> {
    machine.root("mkdir -p /run/systemd/system/fairshared.service.d")?;
    machine.write(DROP_IN, format!("[Service]\n{lines}"), 0o644)?;
    machine.root("systemctl daemon-reload").map(drop)
}

/// A shell command that prints whether a user has a grant, and how many sessions.
fn grant_and_sessions_of(uid: u32) -> String {
    format!(
        "fairshare list --json | python3 -c 'import json,sys; \
         print(*[str(u[\"grant\"]) + \" \" + str(u[\"sessions\"]) \
         for u in json.load(sys.stdin)[\"users\"] if u[\"uid\"] == {uid}])'"
    )
}

fn grant_and_sessions(machine: &Machine, uid: u32) -> Result<String> {
    Ok(machine.root(&grant_and_sessions_of(uid))?.text().to_owned())
}

fn wait_for(machine: &Machine, uid: u32, expected: &str) -> Result<()> {
    machine.wait_until(
        &format!("user {uid} to have '{expected}'"),
        SOON,
        &format!("[ \"$({})\" = '{expected}' ]", grant_and_sessions_of(uid)),
    )
}
