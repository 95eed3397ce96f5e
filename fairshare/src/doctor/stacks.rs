//! Which ways to a shell have the module in their PAM stack, and whether it is in the right place.

use super::Facts;
use super::check::Check;
use super::module::NAME;
use super::pam::{self, Entry, Place};
use super::tree::Tree;

/// libpam's module that has logind make the session and the user's slice.
const SYSTEMD: &str = "pam_systemd.so";
/// What Debian's `pam-auth-update` knows of the module.
const DEBIAN_PROFILE: &str = "/usr/share/pam-configs/fairshare";
/// What `authselect` is, where a distribution has it.
const AUTHSELECT: &str = "/usr/bin/authselect";

/// A way to a shell.
struct Way {
    /// Its PAM service.
    service: &'static str,
    /// It is there where one of these is.
    programs: &'static [&'static str],
    /// What comes in by it.
    what: &'static str,
    /// It is how nearly everybody comes in.
    main: bool,
}

const WAYS: [Way; 15] = [
    way("sshd", &["/usr/sbin/sshd"], "ssh logins", true),
    way(
        "login",
        &["/usr/bin/login", "/bin/login"],
        "logins on consoles",
        false,
    ),
    way("cron", &["/usr/sbin/cron"], "cron jobs", false),
    way("crond", &["/usr/sbin/crond"], "cron jobs", false),
    way("atd", &["/usr/sbin/atd"], "at jobs", false),
    way(
        "gdm-password",
        &["/usr/sbin/gdm3", "/usr/sbin/gdm"],
        "graphical logins",
        false,
    ),
    way(
        "gdm-autologin",
        &["/usr/sbin/gdm3", "/usr/sbin/gdm"],
        "graphical logins without a password",
        false,
    ),
    way("lightdm", &["/usr/sbin/lightdm"], "graphical logins", false),
    way("sddm", &["/usr/bin/sddm"], "graphical logins", false),
    way("lxdm", &["/usr/sbin/lxdm"], "graphical logins", false),
    way(
        "xdm",
        &["/usr/bin/xdm", "/usr/sbin/xdm"],
        "graphical logins",
        false,
    ),
    way(
        "greetd",
        &["/usr/sbin/greetd", "/usr/bin/greetd"],
        "graphical logins",
        false,
    ),
    way(
        "cockpit",
        &["/usr/lib/cockpit/cockpit-ws", "/usr/libexec/cockpit-ws"],
        "logins by Cockpit",
        false,
    ),
    way(
        "xrdp-sesman",
        &["/usr/sbin/xrdp-sesman"],
        "remote desktops",
        false,
    ),
    way(
        "remote",
        &["/usr/sbin/in.telnetd", "/usr/sbin/telnetd"],
        "telnet logins",
        false,
    ),
];

const fn way(
    service: &'static str,
    programs: &'static [&'static str],
    what: &'static str,
    main: bool,
) -> Way {
    Way {
        service,
        programs,
        what,
        main,
    }
}

/// How the module is in a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Behind `pam_systemd`, or alone: then the daemon places the login itself.
    Right,
    Missing,
    /// Not as a `session` line, so that it does nothing.
    WrongKind(Place),
    /// Before `pam_systemd`: there is no slice to limit yet.
    BeforeSystemd(Place),
    /// Behind a module at whose success libpam stops.
    Behind(Place, String),
}

fn standing(entries: &[Entry]) -> Standing {
    let session: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.kind == "session")
        .collect();
    let Some(at) = session.iter().position(|entry| entry.loads(NAME)) else {
        let elsewhere = entries.iter().find(|entry| entry.loads(NAME));
        return match elsewhere {
            Some(entry) => Standing::WrongKind(entry.place.clone()),
            None => Standing::Missing,
        };
    };
    let (before, behind) = session.split_at(at);
    let Some(own) = behind.first() else {
        return Standing::Missing;
    };
    if behind.iter().any(|entry| entry.loads(SYSTEMD)) {
        return Standing::BeforeSystemd(own.place.clone());
    }
    match before.iter().find(|entry| entry.ends_the_stack()) {
        Some(end) => Standing::Behind(own.place.clone(), end.module.clone()),
        None => Standing::Right,
    }
}

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    let tree = facts.tree;
    let ways = WAYS
        .iter()
        .filter(|way| way.programs.iter().any(|program| tree.exists(program)));
    let mut well = Vec::new();
    let mut checks = Vec::new();
    for way in ways {
        match pam::stack(tree, way.service).map(|entries| standing(&entries)) {
            Some(Standing::Right) => well.push(way.service),
            Some(found) => checks.push(fault(tree, way, &found)),
            // A program without a stack of its own has that of 'other', which refuses.
            None => {}
        }
    }
    if !well.is_empty() {
        let names = well.join(", ");
        checks.insert(0, Check::ok("pam", format!("in place for {names}")));
    } else if checks.is_empty() {
        checks.push(match anywhere(tree) {
            Some(service) => Check::ok("pam", format!("in place for {service}")),
            None => Check::failed(
                "pam",
                "no PAM stack has the module: nobody is limited at login",
                how_to_add(tree, "sshd"),
            ),
        });
    }
    checks.extend(sshd_runs_pam(facts));
    checks
}

/// Any stack with the module, on a machine that has none of the ways above.
fn anywhere(tree: &Tree) -> Option<String> {
    pam::services(tree).into_iter().find(|service| {
        pam::stack(tree, service).is_some_and(|entries| standing(&entries) == Standing::Right)
    })
}

fn fault(tree: &Tree, way: &Way, standing: &Standing) -> Check {
    let Way {
        service,
        what,
        main,
        ..
    } = way;
    let (found, remedy) = match standing {
        Standing::Right | Standing::Missing => (
            format!("{service}'s stack has no {NAME}: {what} are not limited"),
            how_to_add(tree, service),
        ),
        Standing::WrongKind(place) => (
            format!(
                "{}:{} is no session line, so that {NAME} does nothing: {what} are not limited",
                place.file, place.line
            ),
            format!(
                "write 'session' there: editor +{} {}",
                place.line, place.file
            ),
        ),
        Standing::BeforeSystemd(place) => (
            format!(
                "{}:{} has {NAME} before {SYSTEMD}: {what} have no slice to limit yet",
                place.file, place.line
            ),
            format!(
                "move the line to the end: editor +{} {}",
                place.line, place.file
            ),
        ),
        Standing::Behind(place, module) => (
            format!(
                "{}:{} is not reached where {module} before it succeeds: {what} are not limited",
                place.file, place.line
            ),
            format!(
                "move the line above that: editor +{} {}",
                place.line, place.file
            ),
        ),
    };
    let id = format!("pam.{service}");
    if *main {
        Check::failed(&id, found, remedy)
    } else {
        Check::warning(&id, found, remedy)
    }
}

fn how_to_add(tree: &Tree, service: &str) -> String {
    let file = pam::file_of(tree, service).unwrap_or_else(|| format!("/etc/pam.d/{service}"));
    let common = includes_common(tree, &file);
    if tree.exists(DEBIAN_PROFILE) && common {
        "pam-auth-update --enable fairshare".to_owned()
    } else if tree.exists(AUTHSELECT) {
        "fairshare-authselect enable".to_owned()
    } else {
        format!("echo 'session optional {NAME}' >> {file}")
    }
}

/// Whether the file takes its session lines from what `pam-auth-update` writes.
fn includes_common(tree: &Tree, file: &str) -> bool {
    let text = tree.text(file);
    text.lines()
        .map(str::trim)
        .any(|line| line.starts_with("@include common-session"))
}

/// `UsePAM no`, which is OpenSSH's own default, makes sshd open sessions without any stack.
fn sshd_runs_pam(facts: &Facts<'_>) -> Option<Check> {
    const CONFIG: &str = "/etc/ssh/sshd_config";
    let metadata = facts.tree.metadata(CONFIG)?;
    if facts.tree.read(CONFIG).is_err() && metadata.is_file() {
        let why = format!("only root may read {CONFIG}");
        return Some(Check::skipped("sshd", why));
    }
    let off = || {
        Check::failed(
            "sshd",
            format!("{CONFIG} has no 'UsePAM yes': ssh logins are not limited"),
            format!("write 'UsePAM yes' into it: editor {CONFIG}; systemctl reload ssh"),
        )
    };
    match use_pam(facts.tree, CONFIG, 0) {
        Some(true) => None,
        Some(false) | None => Some(off()),
    }
}

/// The first `UsePAM`, which is the one that counts, `sshd_config(5)`. What is below a `Match` is
/// for some logins only and not looked at.
fn use_pam(tree: &Tree, file: &str, depth: usize) -> Option<bool> {
    const DEEPEST: usize = 16;
    for line in tree.text(file).lines() {
        let line = line.trim().replace('=', " ");
        let mut words = line.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_lowercase();
        match (keyword.as_str(), words.next()) {
            ("usepam", Some(value)) => return Some(value.eq_ignore_ascii_case("yes")),
            ("include", Some(pattern)) if depth < DEEPEST => {
                let files = matching(tree, pattern);
                let found = files.iter().find_map(|file| use_pam(tree, file, depth + 1));
                if found.is_some() {
                    return found;
                }
            }
            ("match", _) => return None,
            _ => {}
        }
    }
    None
}

/// The files of a pattern whose last part may have one `*`.
fn matching(tree: &Tree, pattern: &str) -> Vec<String> {
    let pattern = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("/etc/ssh/{pattern}")
    };
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
    let Some((start, end)) = name.split_once('*') else {
        return vec![pattern];
    };
    let names = tree.list(folder).into_iter();
    names
        .filter(|name| name.starts_with(start) && name.ends_with(end))
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::super::testing::{Fake, found};
    use super::*;

    #[test]
    fn a_healthy_machine_is_well() {
        let fake = Fake::healthy();
        let checks = checks(&fake.facts());
        assert_eq!(checks.len(), 1, "{checks:?}");
        found(&checks, "pam", State::Ok, "sshd, login", "");
    }

    #[test]
    fn only_ways_that_are_installed_are_told() {
        let fake = Fake::healthy();
        fake.write(
            "/etc/pam.d/cron",
            "@include common-session-noninteractive\n",
        );
        assert_eq!(checks(&fake.facts()).len(), 1, "its conffile alone");
        fake.write("/usr/sbin/cron", "");
        let told = checks(&fake.facts());
        found(
            &told,
            "pam.cron",
            State::Warning,
            "cron jobs are not limited",
            "echo 'session optional pam_fairshare.so' >> /etc/pam.d/cron",
        );
        fake.write(DEBIAN_PROFILE, "");
        let told = checks(&fake.facts());
        found(
            &told,
            "pam.cron",
            State::Warning,
            "cron",
            "pam-auth-update --enable fairshare",
        );
        // Without pam_systemd, as on Debian: the daemon adopts.
        fake.write("/etc/pam.d/cron", "session optional pam_fairshare.so\n");
        found(&checks(&fake.facts()), "pam", State::Ok, "cron", "");
    }

    #[test]
    fn what_authselect_owns_is_not_written_by_hand() {
        let fake = Fake::healthy();
        fake.write("/etc/pam.d/sshd", "session optional pam_systemd.so\n");
        fake.write(AUTHSELECT, "");
        found(
            &checks(&fake.facts()),
            "pam.sshd",
            State::Failed,
            "has no pam_fairshare.so",
            "fairshare-authselect enable",
        );
    }

    #[test]
    fn a_line_that_does_nothing_is_told_with_its_place() {
        let fake = Fake::healthy();
        let own = "session optional pam_fairshare.so\n";
        for (text, what, remedy) in [
            (
                "@include common-session\n".to_owned(),
                "has no pam_fairshare.so",
                "echo 'session optional",
            ),
            (
                format!("{own}@include common-session\n"),
                "/etc/pam.d/sshd:1 has pam_fairshare.so before pam_systemd.so",
                "editor +1 /etc/pam.d/sshd",
            ),
            (
                "@include common-session\nauth optional pam_fairshare.so\n".to_owned(),
                "/etc/pam.d/sshd:2 is no session line",
                "editor +2",
            ),
            (
                format!("@include common-session\nsession sufficient pam_x.so\n{own}"),
                "not reached where pam_x.so before it succeeds",
                "editor +3",
            ),
            (
                format!("session [success=done default=ignore] pam_y.so\n{own}"),
                "not reached where pam_y.so",
                "editor +2",
            ),
        ] {
            fake.write("/etc/pam.d/sshd", &text);
            let told = checks(&fake.facts());
            found(&told, "pam.sshd", State::Failed, what, remedy);
        }
    }

    #[test]
    fn sshd_without_pam_is_a_failure_however_it_is_written() {
        let fake = Fake::healthy();
        for text in [
            "UsePAM no\nUsePAM yes\n",
            "usepam=no\n",
            "Port 22\n",
            "Match User bob\n  UsePAM yes\n",
        ] {
            fake.write("/etc/ssh/sshd_config", text);
            let told = checks(&fake.facts());
            found(
                &told,
                "sshd",
                State::Failed,
                "UsePAM yes",
                "systemctl reload ssh",
            );
        }
        fake.write(
            "/etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n",
        );
        assert_eq!(checks(&fake.facts()).len(), 1);
        fake.write("/etc/ssh/sshd_config.d/10-site.conf", "UsePAM no\n");
        found(
            &checks(&fake.facts()),
            "sshd",
            State::Failed,
            "UsePAM",
            "systemctl reload ssh",
        );
    }

    #[test]
    fn no_way_at_all_and_no_module_is_a_failure() {
        let fake = Fake::empty();
        let told = checks(&fake.facts());
        found(
            &told,
            "pam",
            State::Failed,
            "no PAM stack",
            "/etc/pam.d/sshd",
        );
        fake.write("/etc/pam.d/own", "session optional pam_fairshare.so\n");
        found(&checks(&fake.facts()), "pam", State::Ok, "own", "");
    }
}
