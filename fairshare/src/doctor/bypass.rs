//! Ways to processes outside of one's slice that no PAM stack stands before.

use super::Facts;
use super::check::Check;
use super::tree::Tree;

/// A daemon that starts what members of its group tell it to, in its own cgroup.
struct Runner {
    group: &'static str,
    programs: &'static [&'static str],
    name: &'static str,
}

const RUNNERS: [Runner; 3] = [
    Runner {
        group: "docker",
        programs: &["/usr/bin/dockerd", "/usr/sbin/dockerd"],
        name: "Docker",
    },
    Runner {
        group: "incus-admin",
        programs: &["/usr/bin/incusd", "/usr/libexec/incus/incusd"],
        name: "Incus",
    },
    Runner {
        group: "lxd",
        programs: &["/usr/sbin/lxd", "/snap/bin/lxd"],
        name: "LXD",
    },
];
/// How many members are named.
const MOST_NAMED: usize = 3;
/// An sshd of its own, which knows no sessions of PAM.
const DROPBEAR: &str = "/etc/systemd/system/multi-user.target.wants/dropbear.service";

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    let tree = facts.tree;
    let mut checks: Vec<Check> = RUNNERS
        .iter()
        .filter(|runner| runner.programs.iter().any(|program| tree.exists(program)))
        .filter_map(|runner| by_group(tree, runner))
        .collect();
    if tree.exists(DROPBEAR) {
        checks.push(Check::warning(
            "bypass.dropbear",
            "Dropbear opens no PAM session: who logs in by it is not limited",
            "systemctl disable --now dropbear, and let OpenSSH serve",
        ));
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            "bypass",
            "no container daemon's group has members, no sshd without PAM",
        ));
    }
    checks
}

fn by_group(tree: &Tree, runner: &Runner) -> Option<Check> {
    let groups = tree.text("/etc/group");
    let members = members(&groups, runner.group);
    let first = members.first()?;
    let mut named = members
        .iter()
        .take(MOST_NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = members
        .len()
        .checked_sub(MOST_NAMED)
        .filter(|&more| more > 0)
    {
        named = format!("{named} and {more} more");
    }
    let Runner { group, name, .. } = runner;
    Some(Check::warning(
        &format!("bypass.{group}"),
        format!("{named} of group {group}: what they run in {name} is outside their slice"),
        format!("use rootless containers; then: gpasswd --delete {first} {group}"),
    ))
}

/// The members that `/etc/group` names.
fn members<'a>(groups: &'a str, group: &str) -> Vec<&'a str> {
    let line = groups
        .lines()
        .find(|line| line.split(':').next() == Some(group));
    let list = line.and_then(|line| line.split(':').nth(3));
    let names = list.unwrap_or_default().split(',');
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::super::testing::{Fake, found};
    use super::*;

    #[test]
    fn members_of_a_container_daemons_group_are_named() {
        let fake = Fake::healthy();
        fake.write(
            "/etc/group",
            "root:x:0:\ndocker:x:996:alice,bob,carol,dave\n",
        );
        found(
            &checks(&fake.facts()),
            "bypass",
            State::Ok,
            "no container",
            "",
        );
        fake.write("/usr/bin/dockerd", "");
        found(
            &checks(&fake.facts()),
            "bypass.docker",
            State::Warning,
            "alice, bob, carol and 1 more of group docker",
            "gpasswd --delete alice docker",
        );
    }

    #[test]
    fn a_group_without_members_is_well_and_dropbear_is_not() {
        let fake = Fake::healthy();
        fake.write("/usr/bin/dockerd", "");
        fake.write("/etc/group", "docker:x:996:\n");
        found(
            &checks(&fake.facts()),
            "bypass",
            State::Ok,
            "no container",
            "",
        );
        fake.write(DROPBEAR, "");
        found(
            &checks(&fake.facts()),
            "bypass.dropbear",
            State::Warning,
            "not limited",
            "systemctl disable",
        );
    }
}
