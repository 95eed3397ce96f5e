//! Hooks: programs that are told of incidents.

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{POLICY, SOON, put_policy};

/// Where the hooks are.
const FOLDER: &str = "/etc/fairshare/hooks.d";
/// Where they write: `/tmp` and `/var/tmp` are their own.
const OUT: &str = "/srv/hooks";

/// A hook that keeps its input and says who it is.
const KEEPS: &str = "#!/bin/sh\n{ id -un; cat; } >/srv/hooks/kept.new && \
    mv /srv/hooks/kept.new /srv/hooks/kept\n";
/// One that never ends by itself.
const HANGS: &str = "#!/bin/sh\necho $$ >/srv/hooks/hangs\nexec sleep 1000\n";
/// In the place of a mail system: keeps what it is given.
const SENDMAIL: &str = "#!/bin/sh\n{ echo \"$*\"; cat; } >/srv/hooks/mail.new && \
    mv /srv/hooks/mail.new /srv/hooks/mail\n";
/// What is to be in the first hook's file: who it was, and the incident.
const CHECK: &str = "import json
lines = open('/srv/hooks/kept').read().splitlines()
assert len(lines) == 2, lines
assert lines[0] == 'fairshare-hook', lines
incident = json.loads(lines[1])
# Her name is there where it has been looked up.
assert incident['uid'] == 1000 and incident.get('user', 'alice') == 'alice', incident
assert incident['kind'] == 'lease_ended', incident
";

/// A lease's end reaches each hook as one line, as a user who may do nothing; one that hangs delays
/// no other, and one that others can write is not run.
pub(crate) fn hooks_are_told_of_incidents(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.root(&format!(
        "install -d -m 777 {OUT}; ls -ld {FOLDER}/README; id fairshare-hook"
    ))?;
    for (name, text, mode) in [
        ("hangs", HANGS, 0o755),
        ("keeps", KEEPS, 0o755),
        ("open", KEEPS, 0o777),
    ] {
        machine.write(&format!("{FOLDER}/{name}"), text, mode)?;
    }
    machine.root(
        "cp /usr/share/doc/fairshare/examples/hooks.d/mail /etc/fairshare/hooks.d/mail && \
         chmod 755 /etc/fairshare/hooks.d/mail",
    )?;
    machine.write("/usr/sbin/sendmail", SENDMAIL, 0o755)?;
    let mark = machine.mark()?;

    let mut alice = machine.ssh("alice").open()?;
    alice.run("fairshare resize --mem 400M --for 1s")?.ok()?;

    machine.wait_until("the hook to be told", SOON, &format!("[ -e {OUT}/kept ]"))?;
    machine.write("/tmp/check.py", CHECK, 0o644)?;
    machine.root("python3 /tmp/check.py")?;
    machine.wait_until("the mail to be sent", SOON, &format!("[ -e {OUT}/mail ]"))?;
    let mail = machine.read(&format!("{OUT}/mail"))?;
    assert!(mail.starts_with("-i -- alice\n"), "{mail}");
    assert!(
        mail.contains("\nSubject: fairshare: lease ended\n"),
        "{mail}"
    );
    // The one that hangs is still there, as a service with a deadline of systemd's.
    let limits = machine.root(
        "systemctl show -p TimeoutStartUSec,User,TasksMax \
         \"$(ps -o unit= -p $(cat /srv/hooks/hangs))\"",
    )?;
    for part in ["TimeoutStartUSec=30s", "User=fairshare-hook", "TasksMax=64"] {
        assert!(limits.stdout.contains(part), "{limits}");
    }
    let log = machine.journal(&mark, "--unit fairshared")?;
    assert!(
        log.contains("hook '/etc/fairshare/hooks.d/open' was not run: writable by everybody"),
        "{log}"
    );
    Ok(())
}
