//! Gives the module arguments in the PAM configuration of the machine.
//!
//! The module's line is in the files that `pam-auth-update` writes and services include. What an
//! administrator adds to it there is kept by `pam-auth-update`.

use crate::error::{LabError, Result};
use crate::machine::Machine;

const MODULE: &str = "pam_fairshare.so";

impl Machine {
    /// Gives the module `arguments` where `/etc/pam.d/SERVICE` brings it in; all services that
    /// include the same file have them too.
    ///
    /// [`Machine::reset`] takes them out again.
    pub fn add_pam_line(&self, service: &str, arguments: &str) -> Result<()> {
        let path = format!("/etc/pam.d/{service}");
        let text = self.read(&path)?;
        let included = text.lines().rev().find_map(sessions_of);
        let included = included
            .ok_or_else(|| LabError::other(format!("'{path}' includes no session lines")))?;
        let path = format!("/etc/pam.d/{included}");
        let text = with_arguments(&self.read(&path)?, arguments)
            .ok_or_else(|| LabError::other(format!("'{path}' has no line for the module")))?;
        self.write(&path, text, 0o644)
    }
}

/// `text` with these arguments on the module's line, which must be there. The rest of the line stays
/// as it is: `pam-auth-update` knows it by each blank.
fn with_arguments(text: &str, arguments: &str) -> Option<String> {
    let mut found = false;
    let lines = text.lines().map(|line| match line.split_once(MODULE) {
        Some((before, _)) => {
            found = true;
            format!("{before}{MODULE} {arguments}")
                .trim_end()
                .to_owned()
        }
        None => line.to_owned(),
    });
    let lines: Vec<_> = lines.collect();
    found.then(|| lines.join("\n") + "\n")
}

/// The file with session lines that a line includes.
fn sessions_of(line: &str) -> Option<&str> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let name = line.strip_prefix("@include")?.trim();
    name.starts_with("common-session").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_on_the_one_line() {
        let text = "session optional pam_systemd.so\nsession\toptional\tpam_fairshare.so\n# end\n";
        let text = with_arguments(text, "timeout=200").unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "session\toptional\tpam_fairshare.so timeout=200");
        assert_eq!(lines.len(), 3);
        let plain = with_arguments(&text, "").unwrap();
        assert!(plain.contains("optional\tpam_fairshare.so\n"));
    }

    #[test]
    fn a_file_without_the_module_is_refused() {
        assert_eq!(with_arguments("session required pam_unix.so\n", ""), None);
    }

    #[test]
    fn the_file_with_sessions_is_the_one_that_is_included() {
        assert_eq!(
            sessions_of("@include common-session-noninteractive"),
            Some("common-session-noninteractive")
        );
        assert_eq!(sessions_of("# @include common-session"), None);
        assert_eq!(sessions_of("@include common-auth"), None);
    }
}
