//! Logging in.

use fairshare_tests::Machine;

use crate::harness::Outcome;

/// The machine itself is sound: every account gets in, and logind places its session.
pub(crate) fn each_account_can_log_in(machine: &Machine) -> Outcome {
    for user in ["root", "alice", "bob"] {
        let output = machine.ssh(user).ok("id -un; cat /proc/self/cgroup")?;
        let uid = machine.root(&format!("id -u {user}"))?;
        assert!(output.stdout.starts_with(user), "{output}");
        assert!(
            output
                .stdout
                .contains(&format!("/user-{}.slice/session-", uid.text())),
            "{output}"
        );
    }
    let versions = machine.root("systemctl --version | head -n 1; uname -r")?;
    println!("{}", versions.text());
    Ok(())
}
