//! Puts the module's line into a PAM configuration file of the machine.
//!
//! For services whose whole file is not among the examples. The line must come after
//! `pam_systemd`, which Debian keeps in `common-session`.

use crate::error::{LabError, Result};
use crate::machine::Machine;

impl Machine {
    /// Adds the module with `arguments` to `/etc/pam.d/SERVICE`, after `pam_systemd`.
    ///
    /// [`Machine::reset`] takes it out again.
    pub fn add_pam_line(&self, service: &str, arguments: &str) -> Result<()> {
        let path = format!("/etc/pam.d/{service}");
        let text = with_module(&self.read(&path)?, arguments)
            .ok_or_else(|| LabError::other(format!("'{path}' includes no session lines")))?;
        self.write(&path, text, 0o644)
    }
}

/// The line that loads the module.
pub fn module_line(arguments: &str) -> String {
    format!("session optional pam_fairshare.so {arguments}")
        .trim_end()
        .to_owned()
}

/// `text` with the module's line after the last line that brings in `pam_systemd`, in place of
/// the lines for the module that it has.
pub fn with_module(text: &str, arguments: &str) -> Option<String> {
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("pam_fairshare.so"))
        .collect();
    let at = lines.iter().rposition(|line| brings_in_systemd(line))?;
    let module = module_line(arguments);
    lines.insert(at + 1, &module);
    Some(lines.join("\n") + "\n")
}

fn brings_in_systemd(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default().trim();
    match line.strip_prefix("@include") {
        Some(name) => name.trim().starts_with("common-session"),
        None => line.contains("session") && line.contains("pam_systemd.so"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRON: &str = "\
@include common-auth
# @include common-session
@include common-session-noninteractive
session required pam_limits.so
";

    #[test]
    fn the_line_comes_after_pam_systemd() {
        let text = with_module(CRON, "timeout=200ms").unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "@include common-session-noninteractive");
        assert_eq!(lines[3], "session optional pam_fairshare.so timeout=200ms");
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn an_older_line_is_replaced() {
        let once = with_module(CRON, "debug").unwrap();
        let twice = with_module(&once, "").unwrap();
        assert_eq!(twice.matches("pam_fairshare").count(), 1);
        assert!(twice.contains("session optional pam_fairshare.so\n"));
    }

    #[test]
    fn a_file_without_sessions_is_refused() {
        assert_eq!(with_module("auth required pam_permit.so\n", ""), None);
    }
}
