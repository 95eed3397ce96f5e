//! Programs that speak a protocol over ssh must not see a byte from us; many logins at once must
//! all be limited.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use fairshare_tests::command::{self, Output};
use fairshare_tests::{LabError, Machine, Result, host};

use crate::harness::Outcome;
use crate::kernel::{POLICY, put_policy};

/// For ten megabytes through an emulated machine.
const TRANSFER: Duration = Duration::from_secs(120);
const TEN_MEGABYTES: usize = 10 << 20;
const AT_ONCE: usize = 100;

/// scp, sftp and rsync bring ten megabytes there and back unharmed.
pub(crate) fn files_arrive_unharmed(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    let folder = tempfile::tempdir_in(host::target()).map_err(|error| error.to_string())?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let content: Vec<u8> = (0..TEN_MEGABYTES)
        .map(|at| ((at * 31 + at / 251) % 256).to_le_bytes()[0])
        .collect();
    fs::write(folder.path().join("there"), &content).map_err(|error| error.to_string())?;

    fairshare_tests::machine::scp(machine, "alice", &path("there"), ":/tmp/by-scp")?.ok()?;
    fairshare_tests::machine::scp(machine, "alice", ":/tmp/by-scp", &path("by-scp"))?.ok()?;

    let options = machine.access().options();
    let port = machine.access().port.to_string();
    let batch = format!(
        "put {} /tmp/by-sftp\nget /tmp/by-sftp {}\n",
        path("there"),
        path("by-sftp")
    );
    let mut sftp = Command::new("sftp");
    sftp.args(&options)
        .args(["-b", "-", "-P", &port, "alice@127.0.0.1"]);
    run(&mut sftp, batch.as_bytes())?;

    let shell = fairshare_tests::ssh::as_one_string(machine.access());
    for (from, to) in [
        (path("there"), "alice@127.0.0.1:/tmp/by-rsync".to_owned()),
        ("alice@127.0.0.1:/tmp/by-rsync".to_owned(), path("by-rsync")),
    ] {
        run(
            Command::new("rsync").args(["--archive", "--rsh", &shell, &from, &to]),
            b"",
        )?;
    }
    for name in ["by-scp", "by-sftp", "by-rsync"] {
        let back = fs::read(folder.path().join(name)).map_err(|error| error.to_string())?;
        assert!(back == content, "{name} came back changed");
    }
    Ok(())
}

/// A hundred logins of two users at the same moment: each finds its limits.
pub(crate) fn a_hundred_logins_at_once_are_limited(machine: &Machine) -> Outcome {
    put_policy(
        machine,
        "defaults: {cpu: 2, mem: 900M, tasks: 900}\nmax: {cpu: 2, mem: 1G}\n",
    )?;
    machine.add_pam_line("sshd", "timeout=30000")?;
    let look = "cat /sys/fs/cgroup/user.slice/user-$(id -u).slice/memory.max; \
                cat /proc/self/cgroup; echo \"$FAIRSHARE_MEMORY\"";
    let outputs: Vec<Result<Output>> = thread::scope(|scope| {
        let logins: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let user = if number % 2 == 0 { "alice" } else { "bob" };
                let login = machine.ssh(user).bound(Duration::from_secs(300));
                scope.spawn(move || login.ok(look))
            })
            .collect();
        logins
            .into_iter()
            .map(|login| {
                login
                    .join()
                    .unwrap_or_else(|_| Err(LabError::other("panicked")))
            })
            .collect()
    });
    for output in outputs {
        let output = output?;
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines.first(), Some(&"943718400"), "{output}");
        assert!(
            lines.get(1).is_some_and(|line| line.contains("/session-")),
            "{output}"
        );
        assert_eq!(lines.get(2), Some(&"900M"), "{output}");
    }
    Ok(())
}

fn run(program: &mut Command, input: &[u8]) -> Result<Output> {
    command::run(program, input, TRANSFER)?.ok()
}
