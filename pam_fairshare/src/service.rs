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
}
