//! Which PAM services open a login.

use std::ffi::CStr;

/// Services whose sessions are not logins.
///
/// * `systemd-user`: the user's service manager, which the first login waits for. It runs inside
///   the user's slice; asking the daemon from it could make the two wait for each other
///   (linux-pam issue 826), and its close may run as the user.
/// * `su`, `su-l`, `sudo`, `sudo-i`, `runuser`, `runuser-l`, `polkit-1`: another user inside
///   somebody's session. The process stays in the slice that it was started in, so a session of
///   the target user would be counted that no slice of theirs holds.
const NOT_A_LOGIN: &[&CStr] = &[
    c"systemd-user",
    c"su",
    c"su-l",
    c"sudo",
    c"sudo-i",
    c"runuser",
    c"runuser-l",
    c"polkit-1",
];

pub(crate) fn opens_a_login(service: &CStr) -> bool {
    !NOT_A_LOGIN.contains(&service)
}

/// Services whose conversation reaches the person who logs in, and nobody else.
///
/// * `sshd` collects what it is told while the session opens, before it knows of a terminal, and
///   shows it only before a login shell, as it does with `pam_motd`'s: not to a command, a subsystem
///   such as sftp, or a user with `~/.hushlogin` (OpenSSH, `session.c`: `check_quietlogin`).
/// * `login` and `remote` are `login(1)`, which has the terminal already.
///
/// A display manager may make a window of each line that has to be clicked away; cron mails what it
/// is told, or nothing. They are not in the list, and neither is what nobody has tried.
const REACHES_A_PERSON: &[&CStr] = &[c"sshd", c"login", c"remote"];

pub(crate) fn reaches_a_person(service: &CStr) -> bool {
    REACHES_A_PERSON.contains(&service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_services_listed_are_no_logins() {
        for service in NOT_A_LOGIN {
            assert!(!opens_a_login(service), "{service:?}");
        }
        for service in [c"sshd", c"login", c"cron", c"gdm-password", c"sudoers", c""] {
            assert!(opens_a_login(service), "{service:?}");
        }
    }

    #[test]
    fn only_the_services_listed_show_what_was_missed() {
        for service in REACHES_A_PERSON {
            assert!(reaches_a_person(service), "{service:?}");
        }
        for service in [
            c"cron",
            c"su",
            c"sudo",
            c"systemd-user",
            c"gdm-password",
            c"",
        ] {
            assert!(!reaches_a_person(service), "{service:?}");
        }
    }
}
