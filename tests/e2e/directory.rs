//! Users and groups from a directory server, and one that does not answer.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::failure::assert_session_time;
use crate::harness::Outcome;
use crate::kernel::{
    ALICE_SLICE, DEFAULTS, LOGOUT, Limits, POLICY, SOON, assert_alice_has, assert_limits, look_up,
    own_slice, put_policy,
};

/// carol, who is known to the directory alone, and alice, who is local, belong to this group.
const CHEMISTS: &str = "groups: {chemists: {defaults: {cpu: 1.2, mem: 400M}}}\n";
/// What [`CHEMISTS`] comes to over [`POLICY`].
const CHEMIST: Limits<'_> = Limits {
    cpu: "120000 100000",
    mem: "419430400",
    ..DEFAULTS
};
/// Has the name service ask the directory after the files.
const ASK_DIRECTORY: &str = "sed -i -E 's/^(passwd|group):.*/& ldap/' /etc/nsswitch.conf";
/// Listens in the place of the name service's daemon, and never answers.
const HUNG: &str = r#"
import os, signal, socket
os.makedirs("/run/nslcd", exist_ok=True)
s = socket.socket(socket.AF_UNIX); s.bind("/run/nslcd/socket"); os.chmod("/run/nslcd/socket", 0o666)
s.listen(64)
signal.pause()
"#;
/// How much longer a login of a member of a large group may take than one of a small one.
const LARGEST_RATIO: f64 = 1.3;
/// Opens a first session for each of some members of either group, in turns. Prints for each group
/// the least of the times in milliseconds: what else runs on the host only adds to it.
const LARGE_AND_SMALL: &str = r#"
import json, socket, subprocess, time
GROUPS, EACH = {"few": 3200, "crowd": 3300}, 10
times = {group: [] for group in GROUPS}
processes = []
s = socket.socket(socket.AF_UNIX); s.connect("/run/fairshare.sock")
f = s.makefile("rw")
try:
    # The first of each is there to warm up what is slow once.
    for number in range(EACH + 1):
        # Each goes first as often as the other.
        for group, first in sorted(GROUPS.items(), reverse=number % 2 == 1):
            uid = first + number
            process = subprocess.Popen(["sleep", "300"], user=uid, group=3101, extra_groups=[])
            processes.append(process)
            start = time.monotonic()
            f.write(json.dumps({"type": "open_session", "uid": uid, "pid": process.pid}) + "\n")
            f.flush()
            reply = json.loads(f.readline())
            elapsed = time.monotonic() - start
            assert reply["type"] == "session_opened", reply
            if number:
                times[group].append(elapsed * 1000)
    # Each has the group's limits; with a slow name service a little after the login.
    def missing():
        listed = json.loads(subprocess.check_output(["fairshare", "list", "--json"]))["users"]
        return [user for user in listed if user["cpu"] != (1.1 if user["uid"] >= 3300 else 0.7)]
    end = time.monotonic() + 20
    while missing() and time.monotonic() < end: time.sleep(0.1)
    assert not missing(), missing()
finally:
    for process in processes: process.kill()
for group, all in times.items(): print(group, round(min(all), 1))
"#;

/// Starts the directory and the name service that asks it.
fn start_directory(machine: &Machine) -> Outcome {
    machine.root("systemctl start lab-nslcd.service")?;
    machine.wait_until(
        "the directory",
        SOON,
        "getent --service=passwd:ldap passwd carol >/dev/null",
    )
}

/// Groups of the directory count for its own users and for local ones.
pub(crate) fn groups_come_from_a_directory(machine: &Machine) -> Outcome {
    machine.root(ASK_DIRECTORY)?;
    start_directory(machine)?;
    put_policy(machine, &format!("{POLICY}{CHEMISTS}"))?;
    look_up(machine, &["alice", "bob", "carol"])?;
    let carol = machine.ssh("carol").ok(&own_slice())?;
    assert_limits(&carol.stdout, CHEMIST);
    let mut alice = machine.ssh("alice").open()?;
    assert_alice_has(machine, CHEMIST)?;
    let bob = machine.ssh("bob").ok(&own_slice())?;
    assert_limits(&bob.stdout, DEFAULTS);
    let explained = alice.run("fairshare policy explain")?.ok()?;
    assert!(
        explained.stdout.contains("groups.chemists.defaults.cpu"),
        "{explained}"
    );
    alice.close()
}

/// A group is never asked for its members: twenty thousand of them cost a login no more than twenty.
pub(crate) fn a_large_group_slows_no_login(machine: &Machine) -> Outcome {
    machine.root(ASK_DIRECTORY)?;
    start_directory(machine)?;
    put_policy(
        machine,
        "defaults: {cpu: 0.9, mem: 100M, tasks: 210}\nmax: {cpu: 1.8, mem: 900M}\n\
         groups: {few: {defaults: {cpu: 0.7}}, crowd: {defaults: {cpu: 1.1}}}\n",
    )?;
    // Turning a group's name into its number does fetch its members, once: that is not measured.
    for member in ["few19", "crowd19"] {
        machine.wait_until(
            "the groups' numbers",
            Duration::from_secs(60),
            &format!("fairshare policy explain {member} | grep -q 'by groups'"),
        )?;
    }
    let login = machine.as_root().bound(Duration::from_secs(120));
    let output = login.input(LARGE_AND_SMALL).ok("python3 -")?;
    let mut times = output.stdout.lines().map(|line| {
        let figure = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        figure.ok_or_else(|| output.to_string())
    });
    let mut next = || -> Result<f64, String> { times.next().ok_or("a line is missing")? };
    let (few, crowd) = (next()?, next()?);
    let ratio = crowd / few;
    println!(
        "a first session opens in {few} ms for a member of 20 and in {crowd} ms for one of \
         20000: {ratio:.2} times"
    );
    assert!(ratio < LARGEST_RATIO, "{output}");
    machine.wait_until(
        "the members' slices to go",
        LOGOUT,
        "! ls -d /sys/fs/cgroup/user.slice/user-3[23]*.slice 2>/dev/null",
    )
}

/// A name service that does not answer holds up no login: it has what everybody has, and its groups'
/// limits when the service is back.
pub(crate) fn a_hung_name_service_delays_no_login(machine: &Machine) -> Outcome {
    // sshd and systemd ask for groups too, at each login and at each command of root's, and would
    // wait for a minute. So only the daemon has such a name service.
    machine.root(
        "sed -E 's/^(passwd|group):.*/& ldap/' /etc/nsswitch.conf > /run/nslcd-nsswitch.conf && \
         mkdir -p /run/systemd/system/fairshared.service.d && \
         printf '[Service]\\nBindReadOnlyPaths=/run/nslcd-nsswitch.conf:/etc/nsswitch.conf\\n' \
         > /run/systemd/system/fairshared.service.d/names.conf && systemctl daemon-reload",
    )?;
    machine.write("/tmp/hung.py", HUNG, 0o644)?;
    machine
        .root("rm -rf /run/nslcd; systemd-run --quiet --unit hung-names python3 /tmp/hung.py")?;
    machine.wait_until(
        "the listener",
        SOON,
        "ss -Hlx src /run/nslcd/socket | grep -q .",
    )?;
    put_policy(machine, &format!("{POLICY}{CHEMISTS}"))?;
    assert_session_time(machine, "a hung name service")?;
    let first = machine.ssh("alice").ok(&own_slice())?;
    assert_limits(&first.stdout, DEFAULTS);
    let mut alice = machine.ssh("alice").open()?;
    let status = alice.run("fairshare resize --mem 350M")?.ok()?;
    assert!(
        status.elapsed < Duration::from_secs(5),
        "{:?}",
        status.elapsed
    );
    alice.run("fairshare release")?.ok()?;

    machine.root("systemctl stop hung-names.service; rm -rf /run/nslcd")?;
    start_directory(machine)?;
    machine.root("fairshare policy reload")?;
    machine.wait_until(
        "the group's default",
        SOON,
        &format!("[ \"$(cat {ALICE_SLICE}/cpu.max)\" = '120000 100000' ]"),
    )?;
    assert_alice_has(machine, CHEMIST)?;
    alice.close()
}
