//! Which slice a process is in, whatever way it came to be.

use std::time::Duration;

use fairshare_tests::{Machine, Output, Result};

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, LOGOUT, Limits, POLICY, SOON, assert_alice_has, assert_limits,
    assert_nothing_left, put_policy, show_limits,
};

const IN_ALICE: &str = "/user.slice/user-1000.slice/";

fn assert_in(output: &Output, place: &str) {
    let found = output
        .stdout
        .lines()
        .any(|line| line.starts_with("0::") && line.contains(place));
    assert!(found, "not in {place}: {output}");
}

/// `systemctl --user`, `systemd-run --user` and tmux run inside the user's slice.
pub(crate) fn user_managers_and_tmux_stay_inside(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine
        .ssh("alice")
        .bound(Duration::from_secs(120))
        .open()?;
    session
        .run("systemctl --user is-system-running --wait >/dev/null; true")?
        .ok()?;
    let manager = session
        .run("cat /proc/$(pgrep -u alice -x systemd)/cgroup")?
        .ok()?;
    assert_in(&manager, "/user-1000.slice/user@1000.service");

    let run = "systemd-run --user --quiet --pipe --wait cat /proc/self/cgroup </dev/null";
    assert_in(
        &session.run(run)?.ok()?,
        "/user-1000.slice/user@1000.service",
    );

    session
        .run("tmux -L t new-session -d 'cat /proc/self/cgroup > /tmp/in-tmux; sleep 60'")?
        .ok()?;
    let wait = "until [ -s /tmp/in-tmux ]; do sleep 0.05; done; cat /tmp/in-tmux";
    assert_in(&session.run(wait)?.ok()?, IN_ALICE);
    session.close()?;
    Ok(())
}

/// `su` and `sudo` stay in the slice of whoever typed them, and no session is counted for them.
pub(crate) fn su_and_sudo_stay_with_the_caller(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    assert_in(
        &session.run("sudo cat /proc/self/cgroup </dev/null")?.ok()?,
        IN_ALICE,
    );
    assert_in(
        &session
            .run("sudo su bob -c 'cat /proc/self/cgroup' </dev/null")?
            .ok()?,
        IN_ALICE,
    );
    assert_in(
        &session
            .run("sudo su - bob -c 'cat /proc/self/cgroup' </dev/null")?
            .ok()?,
        IN_ALICE,
    );
    let users = machine.root("fairshare list --json")?;
    assert!(!users.stdout.contains("1001"), "bob has a session: {users}");
    // A login as alice that does not come from a session of hers is none of ours either.
    let from_root = machine.root("su alice -c 'cat /proc/self/cgroup'")?;
    assert_in(&from_root, "/user-0.slice/");
    session.close()?;
    Ok(())
}

/// A cron job is a login that logind does not place on Debian: it is adopted, limited, and gone
/// without a trace afterwards.
pub(crate) fn cron_jobs_are_adopted(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.add_pam_line("cron", "timeout=5000")?;
    let job = format!(
        "@reboot cat /proc/self/cgroup > /tmp/cron.new; ({}) >> /tmp/cron.new; \
         mv /tmp/cron.new /tmp/cron; sleep 5\n",
        show_limits(ALICE_SLICE)
    );
    machine.ssh("bob").ok("true")?;
    // cron runs such jobs when it believes that the machine has just started.
    machine.root(&format!(
        "printf '%s' '{job}' | crontab -u alice - && \
         rm -f /run/crond.reboot && systemctl restart cron"
    ))?;
    machine.wait_until("the cron job", Duration::from_secs(90), "[ -e /tmp/cron ]")?;
    machine.root("crontab -u alice -r")?;
    let seen = machine.root("cat /tmp/cron")?;
    assert_in(&seen, "/user-1000.slice/fairshare-1000-");
    let (_, limits) = seen.text().split_once('\n').unwrap_or_default();
    assert_limits(limits, DEFAULTS);
    assert_nothing_left(machine)
}

/// `loginctl terminate-user` ends what it should, and fairshare forgets the user.
pub(crate) fn terminating_a_user_still_works(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let mut session = machine.ssh("alice").open()?;
    session
        .run("sleep 300 </dev/null >/dev/null 2>&1 &")?
        .ok()?;
    session
        .run("setsid sleep 301 </dev/null >/dev/null 2>&1 &")?
        .ok()?;
    machine.root("loginctl terminate-user alice")?;
    session.wait_closed(LOGOUT)?;
    machine.wait_until(
        "alice's processes to end",
        LOGOUT,
        "! pgrep -u alice >/dev/null",
    )?;
    assert_nothing_left(machine)
}

/// A `daemon-reload` while somebody is logged in makes systemd remember the transient slice's file;
/// when the slice is gone, logind must all the same be able to make the next session.
pub(crate) fn a_reload_during_a_session_spoils_no_later_login(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    for daemon_is_away in [false, true] {
        let session = machine.ssh("alice").open()?;
        machine.root("systemctl daemon-reload")?;
        if daemon_is_away {
            machine.stop_daemon()?;
        }
        session.close()?;
        machine.wait_until(
            "the slice to go",
            LOGOUT,
            &format!("[ ! -e {ALICE_SLICE} ]"),
        )?;
        if daemon_is_away {
            machine.restart_daemon()?;
        }
        assert_nothing_left(machine)?;
        let next = machine
            .ssh("alice")
            .ok("cat /proc/self/cgroup; echo \"$XDG_RUNTIME_DIR\"")?;
        assert_in(&next, "/user-1000.slice/session-");
        assert!(next.stdout.contains("/run/user/1000"), "{next}");
        assert_nothing_left(machine)?;
    }
    Ok(())
}

/// Without logind the slice is fairshare's own, and it goes with its last process.
pub(crate) fn without_logind_the_slice_is_our_own(machine: &Machine) -> Outcome {
    machine
        .root("systemctl stop systemd-logind && mv /run/systemd/seats /run/systemd/seats.away")?;
    let result = own_slice(machine);
    machine
        .root("mv /run/systemd/seats.away /run/systemd/seats; systemctl start systemd-logind")?;
    result
}

/// The same where the policy asks for it on a host with logind.
pub(crate) fn policy_can_ask_for_our_own_slice(machine: &Machine) -> Outcome {
    put_policy(machine, &format!("{POLICY}slice: fairshare\n"))?;
    let slice = "/sys/fs/cgroup/fairshare.slice/fairshare-1000.slice";
    let seen = machine
        .ssh("alice")
        .ok(&format!("cat /proc/self/cgroup; {}", show_limits(slice)))?;
    assert_in(
        &seen,
        "/fairshare.slice/fairshare-1000.slice/fairshare-1000-",
    );
    let (_, limits) = seen.text().split_once('\n').unwrap_or_default();
    assert_limits(limits, DEFAULTS);
    machine.wait_until("the slice to go", LOGOUT, &format!("[ ! -e {slice} ]"))
}

fn own_slice(machine: &Machine) -> Result<()> {
    put_policy(machine, POLICY)?;
    // pam_systemd has nobody to ask and says so; the login goes on.
    machine.root("sed -i '/pam_systemd/d' /etc/pam.d/common-session")?;
    let slice = "/sys/fs/cgroup/fairshare.slice/fairshare-1000.slice";
    let mut session = machine.ssh("alice").open()?;
    let place = session.run("cat /proc/self/cgroup")?.ok()?;
    assert_in(
        &place,
        "/fairshare.slice/fairshare-1000.slice/fairshare-1000-",
    );
    let shown = machine.root(&show_limits(slice))?;
    assert_limits(&shown.stdout, DEFAULTS);
    session.run("fairshare resize --cpu 1.5 --mem 512M")?.ok()?;
    let shown = machine.root(&show_limits(slice))?;
    let granted = Limits {
        cpu: "150000 100000",
        mem: "536870912",
        swap: "0",
        tasks: "210",
    };
    assert_limits(&shown.stdout, granted);
    session.close()?;
    machine.wait_until("the slice to go", SOON, &format!("[ ! -e {slice} ]"))?;
    let left = machine.root("ls -d /run/systemd/transient/fairshare-1000* 2>/dev/null; true")?;
    assert_eq!(left.text(), "");
    Ok(())
}

/// A hook of a login program without PAM opens and closes a session for a process it started.
pub(crate) fn a_hook_opens_and_closes_sessions(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let start = "setsid runuser -u alice -- sleep 300 </dev/null >/dev/null 2>&1 & echo $!";
    let pid = machine.root(start)?.text().to_owned();
    machine.root(&format!(
        "fairshare session open --uid 1000 --pid {pid} --service spawner"
    ))?;
    let place = machine.root(&format!("cat /proc/{pid}/cgroup"))?;
    assert_in(&place, "/user-1000.slice/fairshare-1000-");
    assert_alice_has(machine, DEFAULTS)?;
    machine.root(&format!("fairshare session close --uid 1000 --pid {pid}"))?;
    assert_alice_has(machine, DEFAULTS)?;
    let denied = machine
        .ssh("bob")
        .run("fairshare session open --uid 1000 --pid $$")?;
    assert!(!denied.success(), "{denied}");
    assert!(denied.stderr.contains("root"), "{denied}");
    machine.root(&format!("kill {pid}"))?;
    assert_nothing_left(machine)
}
