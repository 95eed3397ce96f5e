//! Processes outside of their user's slice: found, told of, and taken in where policy says so.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, POLICY, POLICY_PATH, SOON, assert_alice_has, assert_nothing_left,
    put_policy,
};

/// How long cron may take to begin the jobs of its start.
const CRON: Duration = Duration::from_secs(30);

/// Takes the module out of the stack of cron and its like.
const WITHOUT_MODULE: &str = "sed -i '/pam_fairshare/d' /etc/pam.d/common-session-noninteractive";

/// A job that goes on beginning processes, and a service of the administrator's that runs as alice
/// and forbids others to look into it. cron runs `@reboot` jobs when it believes that the machine
/// has just started.
const BEGIN: &str = "\
echo '@reboot while :; do sleep 0.2; done & sleep 301' | crontab -u alice - && \
rm -f /run/crond.reboot && systemctl restart cron && \
systemd-run --quiet --unit for-alice --uid alice python3 -c \
'import ctypes, time; ctypes.CDLL(None).prctl(4, 0); time.sleep(302)'";

/// A shell command that succeeds when the command's answer has a stray of this unit.
fn told(unit: &str) -> String {
    format!("fairshare strays --json | grep -q '\"unit\": \"{unit}\"'")
}

/// A shell command that succeeds when cron's service has no process of alice's any more.
const NONE_IN_CRON: &str = "! stat -c %u $(sed 's,^,/proc/,' \
    /sys/fs/cgroup/system.slice/cron.service/cgroup.procs) 2>/dev/null | grep -qx 1000";

fn reload(machine: &Machine, policy: &str) -> Outcome {
    machine.write(POLICY_PATH, policy, 0o644)?;
    machine.root("fairshare policy reload")?;
    Ok(())
}

/// A cron job whose stack lacks the module is told of, and adopted where policy names its service;
/// what a service of the administrator's runs as a user stays where it is.
pub(crate) fn a_cron_job_is_adopted_and_a_service_is_not(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.root(WITHOUT_MODULE)?;
    machine.root(BEGIN)?;
    machine.wait_until("the cron job to be told of", CRON, &told("cron.service"))?;
    machine.wait_until(
        "the service to be told of",
        SOON,
        &told("for-alice.service"),
    )?;
    let shown = machine.root("fairshare strays")?;
    assert!(shown.stdout.contains("alice"), "{shown}");
    assert!(!shown.stdout.contains("adopts it"), "{shown}");
    machine.root(&format!("[ ! -e {ALICE_SLICE} ]"))?;
    let others = machine.ssh("bob").ok("fairshare strays")?;
    assert!(others.stdout.starts_with("none of"), "{others}");

    // Not while policy only watches.
    let mark = machine.mark()?;
    let adopting = format!("{POLICY}strays: {{look: 10s, adopt: [cron.service]}}\n");
    reload(machine, &format!("{adopting}enforce: watch\n"))?;
    machine.root(&told("cron.service"))?;
    machine.root(&format!("[ ! -e {ALICE_SLICE} ]"))?;

    reload(machine, &adopting)?;
    machine.wait_until("the job to be adopted", SOON, NONE_IN_CRON)?;
    assert_alice_has(machine, DEFAULTS)?;
    let place = machine.root("cat /proc/$(pgrep -u alice -f 'sleep 301' | head -1)/cgroup")?;
    assert!(
        place
            .stdout
            .contains("/user-1000.slice/fairshare-1000-stray-"),
        "{place}"
    );
    // The answer may be of a look that was made just before.
    let no_more = format!("! ({})", told("cron.service"));
    machine.wait_until("the job to be told of no more", SOON, &no_more)?;
    let service = machine.root("systemctl is-active for-alice && fairshare strays --json")?;
    assert!(service.stdout.contains("for-alice.service"), "{service}");
    let users = machine.root("fairshare list")?;
    let alice = users.stdout.lines().find(|line| line.starts_with("alice"));
    let words = alice.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
    assert_eq!(words, Some(vec!["alice", "0"]), "{users}");
    let log = machine.journal(&mark, "--unit fairshared.service --output cat")?;
    assert!(log.contains("adopt granted: user 1000"), "{log}");
    assert!(
        log.contains("(python3) in for-alice.service, outside"),
        "{log}"
    );
    assert!(!log.contains("adopt not enforced"), "{log}");

    // What was adopted stays so over a restart, and nothing is left when it ends.
    machine.restart_daemon()?;
    assert_alice_has(machine, DEFAULTS)?;
    machine.root(
        "crontab -u alice -r; systemctl stop for-alice; pkill -KILL -u alice; \
         systemctl restart cron",
    )?;
    assert_nothing_left(machine)
}
