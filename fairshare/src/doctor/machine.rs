//! The ground that everything stands on: kernel, cgroup v2, systemd, logind.

use super::Facts;
use super::check::Check;
use super::drop_ins;
use super::units::LOGIND;

/// The kernel that has `pidfd_open(2)`, by which the end of a session's leader is seen.
const OLDEST_KERNEL: (u32, u32) = (5, 3);
/// The systemd that has `user-.slice.d`, on which the way to limit a user's slice rests.
const OLDEST_SYSTEMD: u32 = 239;
/// The oldest systemd that this is tried on.
const OLDEST_SYSTEMD_TRIED: u32 = 252;
/// Without these users are not limited.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];
/// Without this what policy says of disks does nothing.
const WANTED: &str = "io";
const CONTROLLERS: &str = "/sys/fs/cgroup/cgroup.controllers";

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    let mut checks = vec![kernel(facts)];
    checks.extend(cgroup(facts));
    checks.extend([pressure(facts), systemd(facts), logind(facts)]);
    checks
}

fn kernel(facts: &Facts<'_>) -> Check {
    let release = facts.tree.text("/proc/sys/kernel/osrelease");
    let release = release.trim();
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST_KERNEL => {
            Check::ok("kernel", release)
        }
        (Some(Ok(_)), Some(Ok(_))) => Check::failed(
            "kernel",
            format!("{release} is too old: the end of a session cannot be seen"),
            format!(
                "boot Linux {}.{} or later",
                OLDEST_KERNEL.0, OLDEST_KERNEL.1
            ),
        ),
        _ => Check::skipped("kernel", "its version cannot be read"),
    }
}

fn cgroup(facts: &Facts<'_>) -> Vec<Check> {
    let Ok(list) = facts.tree.read(CONTROLLERS) else {
        return vec![Check::failed(
            "cgroup",
            "version 2 is not what is mounted on /sys/fs/cgroup: nothing can be limited",
            "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
        )];
    };
    let has = |controller: &str| list.split_whitespace().any(|one| one == controller);
    let mut faults = Vec::new();
    for controller in NEEDED.into_iter().chain([WANTED]) {
        let id = format!("cgroup.{controller}");
        let (what, remedy) = if !has(controller) {
            (
                format!("the kernel has no {controller} controller"),
                boot_with(facts, controller),
            )
        } else if let Some(file) = drop_ins::withholding(facts.tree, controller) {
            (
                format!("{controller} is withheld from users' slices by {file}"),
                format!("take DisableControllers out: editor {file}; systemctl daemon-reload"),
            )
        } else {
            continue;
        };
        faults.push(if controller == WANTED {
            let what = format!("{what}: what policy says of disks does nothing");
            Check::warning(&id, what, remedy)
        } else {
            Check::failed(&id, format!("{what}: that is not limited"), remedy)
        });
    }
    if faults.is_empty() {
        let all = NEEDED.join(", ");
        return vec![Check::ok(
            "cgroup",
            format!("version 2 with {all}, {WANTED} for users' slices"),
        )];
    }
    faults
}

/// How the kernel comes to have a controller at the next boot.
fn boot_with(facts: &Facts<'_>, controller: &str) -> String {
    let line = facts.tree.text("/proc/cmdline");
    let off = line
        .split_whitespace()
        .find(|word| word.starts_with("cgroup_disable=") && word.contains(controller));
    match off {
        Some(word) => format!("boot without {word} on the kernel's command line"),
        None => format!(
            "boot with cgroup_enable={controller} on the kernel's command line, or another kernel"
        ),
    }
}

/// Pressure is not used for limits, so that its lack is told and is no fault.
fn pressure(facts: &Facts<'_>) -> Check {
    // Where it is compiled in and off, the file is there and cannot be read.
    let on = facts.tree.read("/proc/pressure/cpu").is_ok();
    Check::ok(
        "psi",
        if on {
            "on"
        } else {
            "off, and not needed (psi=1 on the kernel's command line switches it on)"
        },
    )
}

fn systemd(facts: &Facts<'_>) -> Check {
    let ran = match &facts.systemd {
        Ok(ran) => ran,
        Err(why) => {
            return Check::failed(
                "systemd",
                format!("{why}: limits are set by systemd"),
                "fairshare works where systemd is process 1",
            );
        }
    };
    let version = ran.stdout.split_whitespace().nth(1).unwrap_or_default();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(number) if number >= OLDEST_SYSTEMD_TRIED => Check::ok("systemd", version),
        Ok(number) if number >= OLDEST_SYSTEMD => Check::warning(
            "systemd",
            format!("{version} is older than what fairshare is tried on"),
            format!("use systemd {OLDEST_SYSTEMD_TRIED} or later, or trust the session below"),
        ),
        Ok(_) => Check::failed(
            "systemd",
            format!("{version} is too old"),
            format!("use systemd {OLDEST_SYSTEMD_TRIED} or later"),
        ),
        Err(_) => Check::skipped("systemd", "its version cannot be read"),
    }
}

fn logind(facts: &Facts<'_>) -> Check {
    let units = match &facts.units {
        Ok(units) => units,
        Err(why) => return Check::skipped("logind", why.clone()),
    };
    match (
        units.get(LOGIND, "LoadState"),
        units.get(LOGIND, "ActiveState"),
    ) {
        (_, "active") => Check::ok("logind", "running"),
        ("not-found", _) => Check::ok(
            "logind",
            "not installed: users' slices are fairshare-UID.slice",
        ),
        ("masked", _) => Check::failed(
            "logind",
            "masked: no login gets a slice or a session",
            "systemctl unmask systemd-logind && systemctl start systemd-logind",
        ),
        (_, state) => Check::failed(
            "logind",
            format!("{state}: no login gets a slice or a session"),
            "systemctl restart systemd-logind",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::super::testing::{Fake, found};
    use super::*;

    #[test]
    fn a_machine_as_it_should_be_has_no_fault() {
        let fake = Fake::healthy();
        let checks = checks(&fake.facts());
        assert!(
            checks.iter().all(|check| check.state == State::Ok),
            "{checks:?}"
        );
    }

    #[test]
    fn each_fault_of_the_ground_is_named() {
        let fake = Fake::healthy();
        fake.write("/proc/sys/kernel/osrelease", "4.18.0-553.el8.x86_64\n");
        fake.write("/proc/cmdline", "quiet cgroup_disable=memory\n");
        fake.write(CONTROLLERS, "cpuset cpu pids\n");
        fake.write(
            "/etc/systemd/system/user.slice.d/no.conf",
            "[Slice]\nDisableControllers=pids\n",
        );
        fake.remove("/proc/pressure/cpu");
        let mut facts = fake.facts();
        facts.systemd = Ok(fake.ran("systemd 219\n"));
        facts.units = Ok(fake.units(&[(LOGIND, "loaded", "failed")]));
        let checks = checks(&facts);
        found(&checks, "kernel", State::Failed, "too old", "5.3");
        found(
            &checks,
            "cgroup.memory",
            State::Failed,
            "no memory controller",
            "without cgroup_disable=memory",
        );
        found(
            &checks,
            "cgroup.pids",
            State::Failed,
            "withheld",
            "editor /etc/systemd/system/user.slice.d/no.conf; systemctl daemon-reload",
        );
        found(
            &checks,
            "cgroup.io",
            State::Warning,
            "disks",
            "cgroup_enable=io",
        );
        found(&checks, "psi", State::Ok, "off", "");
        found(&checks, "systemd", State::Failed, "219", "252");
        found(&checks, "logind", State::Failed, "failed", "restart");
    }

    #[test]
    fn cgroup_v1_is_one_failure() {
        let fake = Fake::healthy();
        fake.remove(CONTROLLERS);
        let checks = checks(&fake.facts());
        found(
            &checks,
            "cgroup",
            State::Failed,
            "version 2 is not",
            "systemd.unified_cgroup_hierarchy=1",
        );
    }

    #[test]
    fn without_logind_nothing_is_wrong() {
        let fake = Fake::healthy();
        let mut facts = fake.facts();
        facts.units = Ok(fake.units(&[(LOGIND, "not-found", "inactive")]));
        found(
            &checks(&facts),
            "logind",
            State::Ok,
            "fairshare-UID.slice",
            "",
        );
    }
}
