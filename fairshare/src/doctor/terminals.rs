//! Whether the daemon can tell users on their terminals that a grant ends.

use super::Facts;
use super::check::Check;
use super::units::Units;

/// The group that may write to terminals.
const GROUP: &str = "tty";
/// The bit of a process's capabilities that lets it write to any file, `capability.h`.
const DAC_OVERRIDE: u64 = 1 << 1;

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    vec![check(facts)]
}

fn check(facts: &Facts<'_>) -> Check {
    let Some(pid) = facts.units.as_ref().ok().and_then(Units::daemon_pid) else {
        return Check::skipped("terminals", "the daemon does not run as a service");
    };
    let groups = facts.tree.text("/etc/group");
    let line = groups
        .lines()
        .find(|line| line.split(':').next() == Some(GROUP));
    let Some(gid) = line.and_then(|line| line.split(':').nth(2)) else {
        return Check::skipped("terminals", format!("/etc/group has no group {GROUP}"));
    };
    let status = facts.tree.text(&format!("/proc/{pid}/status"));
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let Some(own) = field("Groups") else {
        return Check::skipped("terminals", "the daemon's groups cannot be read");
    };
    let capabilities = field("CapEff").and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let any_file = capabilities.is_some_and(|bits| bits & DAC_OVERRIDE != 0);
    if any_file || own.split_whitespace().any(|one| one == gid) {
        return Check::ok("terminals", "the daemon may write to users' terminals");
    }
    Check::warning(
        "terminals",
        format!("the daemon is not in group {GROUP}: nobody is told that a grant ends"),
        "set SupplementaryGroups=tty: systemctl edit fairshared; systemctl restart fairshared",
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::super::testing::{Fake, PID, found};
    use super::*;

    #[test]
    fn the_group_or_the_capability_will_do() {
        let fake = Fake::healthy();
        found(
            &checks(&fake.facts()),
            "terminals",
            State::Ok,
            "may write",
            "",
        );
        let status = format!("/proc/{PID}/status");
        for (text, state) in [
            ("Groups:\t1 \nCapEff:\t0000000000080004\n", State::Warning),
            ("Groups:\t1 \nCapEff:\t000001ffffffffff\n", State::Ok),
            ("Groups:\t15 55 \n", State::Warning),
            ("Name:\tfairshared\n", State::Skipped),
        ] {
            fake.write(&status, text);
            let check = checks(&fake.facts()).remove(0);
            assert_eq!(check.state, state, "{text}: {check:?}");
        }
        fake.write(&status, "Groups:\t \n");
        found(
            &checks(&fake.facts()),
            "terminals",
            State::Warning,
            "nobody is told",
            "SupplementaryGroups=tty",
        );
    }
}
