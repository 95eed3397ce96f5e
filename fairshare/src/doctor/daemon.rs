//! The socket, the daemon behind it, and which of command and daemon is older.

use std::cmp::Ordering;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use fairshare_client::{Client, ClientError};
use fairshare_protocol::{AboutInfo, Enforce, ErrorCode, printable};

use super::Facts;
use super::check::Check;
use super::module;
use super::tree::text_of;
use super::units::{SERVICE, SOCKET, Units};
use crate::skew::{self, OWN_VERSION};

/// Everybody may ask, so everybody may write.
const OPEN_TO_ALL: u32 = 0o666;
/// The status of a daemon whose policy is missing or wrong, `EX_CONFIG` of `sysexits.h`.
const WRONG_POLICY: &str = "78";
const START: &str = "systemctl enable --now fairshared.socket fairshared.service";

/// What the daemon said when it was asked what it is.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    About(AboutInfo),
    /// It is from before that question; its version where it tells that otherwise.
    Older(Option<String>),
    /// No answer; why, as a clause.
    Nothing(String),
}

impl Heard {
    pub(crate) fn of(client: &Client) -> Self {
        match client.about() {
            Ok(about) => Self::About(about),
            Err(error) if error.code() == Some(ErrorCode::UnknownType) => {
                Self::Older(skew::daemon_version(client))
            }
            Err(error @ ClientError::Refused(_)) => Self::Nothing(format!("it refuses: {error}")),
            Err(error) => Self::Nothing(error.to_string()),
        }
    }

    pub(crate) fn answers(&self) -> bool {
        !matches!(self, Self::Nothing(_))
    }
}

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    let mut checks = vec![socket(facts), daemon(facts)];
    checks.extend(next_boot(facts));
    checks.extend(watching(facts));
    checks
}

fn socket(facts: &Facts<'_>) -> Check {
    let path = text_of(facts.socket);
    let shown = printable(&path);
    let Some(metadata) = facts.tree.metadata(&path) else {
        return no_socket(facts, &format!("{shown} is not there"));
    };
    if !metadata.file_type().is_socket() {
        return Check::failed(
            "socket",
            format!("{shown} is no socket"),
            format!("rm {shown}; systemctl restart {SOCKET}"),
        );
    }
    let mode = metadata.mode() & 0o777;
    if metadata.uid() != facts.root {
        return Check::failed(
            "socket",
            format!(
                "{shown} is UID {}'s, who answers in the daemon's place",
                metadata.uid()
            ),
            format!("rm {shown}; systemctl restart {SOCKET}"),
        );
    }
    if mode & OPEN_TO_ALL != OPEN_TO_ALL {
        return Check::failed(
            "socket",
            format!("{shown} has mode {mode:04o}: not everybody may ask"),
            format!("set SocketMode=0666: systemctl edit {SOCKET}; systemctl restart {SOCKET}"),
        );
    }
    // systemd leaves the file where it stops to listen.
    let listens = |units: &Units| units.get(SOCKET, "ActiveState") == "active";
    if !facts.heard.answers() && !facts.units.as_ref().is_ok_and(listens) {
        return no_socket(facts, &format!("nobody listens on {shown}"));
    }
    Check::ok("socket", format!("{shown}, root's, mode {mode:04o}"))
}

/// Why there is no socket, by what systemd says of it.
fn no_socket(facts: &Facts<'_>, fault: &str) -> Check {
    let (what, remedy) = match &facts.units {
        Err(why) => (why.clone(), START.to_owned()),
        Ok(units) => match state(units, SOCKET) {
            ("masked", _) => (
                format!("{SOCKET} is masked"),
                format!("systemctl unmask {SOCKET} && {START}"),
            ),
            ("not-found", _) => (
                format!("{SOCKET} is not installed"),
                module::reinstall(facts.tree).to_owned(),
            ),
            ("loaded", "active") => (
                format!("{SOCKET} listens elsewhere"),
                format!("systemctl cat {SOCKET}, or give the path: fairshare doctor --socket PATH"),
            ),
            ("loaded", state) => (format!("{SOCKET} is {state}"), START.to_owned()),
            (load, _) => (
                format!("{SOCKET} cannot be loaded ({load})"),
                format!("systemctl status {SOCKET}"),
            ),
        },
    };
    Check::failed(
        "socket",
        format!("{fault}: {what}, and no login is limited"),
        remedy,
    )
}

fn state<'a>(units: &'a Units, unit: &str) -> (&'a str, &'a str) {
    (units.get(unit, "LoadState"), units.get(unit, "ActiveState"))
}

fn daemon(facts: &Facts<'_>) -> Check {
    match &facts.heard {
        Heard::About(about) => version(facts, &printable(&about.version)),
        Heard::Older(known) => {
            let which = known
                .as_ref()
                .map_or_else(String::new, |version| format!(" (version {version})"));
            Check::warning(
                "daemon",
                format!("the one that runs{which} is older than this command ({OWN_VERSION})"),
                "systemctl restart fairshared",
            )
        }
        Heard::Nothing(why) => {
            let (what, remedy) = silent(facts, why);
            Check::failed("daemon", what, remedy)
        }
    }
}

/// Why there is no answer, by what systemd says of the daemon.
fn silent(facts: &Facts<'_>, why: &str) -> (String, String) {
    let Ok(units) = &facts.units else {
        return (why.to_owned(), "fairshared".to_owned());
    };
    let status = units.get(SERVICE, "ExecMainStatus");
    match state(units, SERVICE) {
        ("masked", _) => (
            format!("{SERVICE} is masked"),
            format!("systemctl unmask {SERVICE} && {START}"),
        ),
        ("not-found", _) => (
            format!("{SERVICE} is not installed"),
            module::reinstall(facts.tree).to_owned(),
        ),
        (_, "active") => (
            format!("it runs and does not answer: {why}"),
            "systemctl restart fairshared; journalctl -u fairshared -n 20".to_owned(),
        ),
        // With a socket that activates it, every question starts it once more.
        _ if status == WRONG_POLICY => (
            "it has ended because its policy is missing or wrong".to_owned(),
            "fairshared check, mend the files; systemctl restart fairshared".to_owned(),
        ),
        (_, "inactive") => ("it does not run".to_owned(), START.to_owned()),
        (_, state) => (
            format!("it is {state} (status {status}): {why}"),
            "journalctl -u fairshared -n 20".to_owned(),
        ),
    }
}

fn version(facts: &Facts<'_>, theirs: &str) -> Check {
    let remedy = match compare(theirs, OWN_VERSION) {
        Ordering::Equal => {
            return Check::ok(
                "daemon",
                format!("answers, version {theirs}, as this command"),
            );
        }
        Ordering::Less => "systemctl restart fairshared",
        Ordering::Greater => module::reinstall(facts.tree),
    };
    let older = compare(theirs, OWN_VERSION) == Ordering::Less;
    let (first, second) = if older {
        (format!("the one that runs ({theirs})"), "this command")
    } else {
        ("this command".to_owned(), "the daemon")
    };
    let other = if older { OWN_VERSION } else { theirs };
    Check::warning(
        "daemon",
        format!("{first} is older than {second} ({other})"),
        remedy,
    )
}

/// Compares versions by their numbers; where those are the same, letters make no order.
fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let parts = version.split(|character: char| !character.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    };
    numbers(one).cmp(&numbers(other))
}

/// Whether anything starts the daemon at the next boot.
fn next_boot(facts: &Facts<'_>) -> Option<Check> {
    let units = facts.units.as_ref().ok()?;
    let known = |unit: &&str| !units.get(unit, "UnitFileState").is_empty();
    let starts = |unit: &str| units.get(unit, "UnitFileState").starts_with("enabled");
    let both = [SOCKET, SERVICE];
    let nothing = both.iter().all(|unit| known(unit) && !starts(unit));
    nothing.then(|| {
        Check::warning(
            "boot",
            "neither socket nor daemon is enabled: nobody is limited after the next boot",
            format!("systemctl enable {SOCKET} {SERVICE}"),
        )
    })
}

fn watching(facts: &Facts<'_>) -> Option<Check> {
    let Heard::About(about) = &facts.heard else {
        return None;
    };
    (about.enforce == Some(Enforce::Watch)).then(|| {
        Check::warning(
            "enforce",
            "policy says 'enforce: watch': everything is decided and nothing is set",
            "write 'enforce: on'; fairshare policy reload",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::check::State;
    use super::super::testing::{Fake, found};
    use super::*;

    #[test]
    fn a_daemon_of_the_same_version_is_well() {
        let fake = Fake::healthy();
        let checks = checks(&fake.facts());
        found(&checks, "daemon", State::Ok, OWN_VERSION, "");
        found(&checks, "socket", State::Ok, "mode 0666", "");
    }

    #[test]
    fn a_difference_of_versions_says_who_is_older() {
        let fake = Fake::healthy();
        for (heard, what, remedy) in [
            (
                Heard::About(AboutInfo::of_this_protocol("0.0.9")),
                "the one that runs (0.0.9) is older than this command",
                "systemctl restart fairshared",
            ),
            (
                Heard::About(AboutInfo::of_this_protocol("99.10.0")),
                "this command is older than the daemon (99.10.0)",
                "--reinstall",
            ),
            (
                Heard::Older(Some("0.0.1".to_owned())),
                "(version 0.0.1) is older",
                "systemctl restart fairshared",
            ),
            (
                Heard::Older(None),
                "is older",
                "systemctl restart fairshared",
            ),
        ] {
            let mut facts = fake.facts();
            facts.heard = heard;
            found(&checks(&facts), "daemon", State::Warning, what, remedy);
        }
        assert_eq!(compare("0.10.0", "0.9.9"), Ordering::Greater);
        assert_eq!(compare("1.0.0", "1.0.0-rc1"), Ordering::Less);
    }

    #[test]
    fn a_silent_daemon_is_told_by_what_systemd_says_of_it() {
        let fake = Fake::healthy();
        for (load, active, what, remedy) in [
            ("masked", "inactive", "is masked", "systemctl unmask"),
            ("not-found", "inactive", "not installed", "--reinstall"),
            ("loaded", "active", "does not answer", "systemctl restart"),
            ("loaded", "inactive", "does not run", "enable --now"),
            ("loaded", "failed", "it is failed", "journalctl"),
        ] {
            let mut facts = fake.facts();
            facts.heard = Heard::Nothing("nobody listens".to_owned());
            facts.units = Ok(fake.units(&[(SERVICE, load, active)]));
            found(&checks(&facts), "daemon", State::Failed, what, remedy);
        }
        let mut facts = fake.facts();
        facts.heard = Heard::Nothing("nobody listens".to_owned());
        facts.units = Ok(Units::parse(&format!(
            "Id={SERVICE}\nLoadState=loaded\nActiveState=failed\nExecMainStatus=78\n"
        )));
        found(
            &checks(&facts),
            "daemon",
            State::Failed,
            "policy is missing or wrong",
            "fairshared check",
        );
    }

    #[test]
    fn a_socket_that_is_not_there_or_not_open_is_told() {
        let fake = Fake::healthy();
        let mut facts = fake.facts();
        facts.socket = Path::new("/run/none.sock");
        for (load, active, what, remedy) in [
            ("masked", "inactive", "masked", "systemctl unmask"),
            ("not-found", "inactive", "not installed", "--reinstall"),
            ("loaded", "inactive", "is inactive", "enable --now"),
            ("loaded", "active", "listens elsewhere", "--socket"),
            ("bad-setting", "inactive", "bad-setting", "systemctl status"),
        ] {
            facts.units = Ok(fake.units(&[(SOCKET, load, active)]));
            found(&checks(&facts), "socket", State::Failed, what, remedy);
        }
        fake.write("/run/none.sock", "");
        found(&checks(&facts), "socket", State::Failed, "no socket", "rm ");
        let closed = fake.facts();
        fake.set_mode("/run/fairshare.sock", 0o600);
        let checks = checks(&closed);
        found(
            &checks,
            "socket",
            State::Failed,
            "mode 0600",
            "SocketMode=0666",
        );
    }

    #[test]
    fn a_socket_that_systemd_has_left_is_told() {
        let fake = Fake::healthy();
        let mut facts = fake.facts();
        facts.heard = Heard::Nothing("connection refused".to_owned());
        found(&checks(&facts), "socket", State::Ok, "root's", "");
        facts.units = Ok(fake.units(&[(SOCKET, "masked", "inactive")]));
        found(
            &checks(&facts),
            "socket",
            State::Failed,
            "nobody listens on /run/fairshare.sock: fairshared.socket is masked",
            "systemctl unmask fairshared.socket",
        );
    }

    #[test]
    fn what_is_not_enabled_or_only_watches_is_told() {
        let fake = Fake::healthy();
        let mut facts = fake.facts();
        let unit = |unit: &str| format!("Id={unit}\nUnitFileState=disabled\n\n");
        facts.units = Ok(Units::parse(&(unit(SOCKET) + &unit(SERVICE))));
        facts.heard = Heard::About(AboutInfo {
            enforce: Some(Enforce::Watch),
            ..AboutInfo::of_this_protocol(OWN_VERSION)
        });
        let checks = checks(&facts);
        found(
            &checks,
            "boot",
            State::Warning,
            "next boot",
            "systemctl enable",
        );
        found(&checks, "enforce", State::Warning, "watch", "policy reload");
    }
}
