//! Reading the policy file and the facts beside it from disk.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fairshare_core::policy::{MAX_TEXT, Policy, Problem};

/// The first UID of a person where `/etc/login.defs` does not say: `login.defs(5)`.
const DEFAULT_UID_MIN: u32 = 1000;
/// Where the system says it.
const LOGIN_DEFS: &str = "/etc/login.defs";

/// Why there is no policy.
#[derive(Debug)]
pub(crate) enum PolicyFault {
    /// The file could not be read.
    Unreadable { path: PathBuf, error: io::Error },
    /// The file is wrong.
    Wrong {
        path: PathBuf,
        problems: Vec<Problem>,
    },
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "cannot read policy {}: {error}", path.display())
            }
            Self::Wrong { path, problems } => {
                write!(f, "policy {} is wrong", path.display())?;
                for problem in problems {
                    write!(f, "\n  {problem}")?;
                }
                Ok(())
            }
        }
    }
}

/// Reads a policy file.
pub(crate) fn read(path: &Path) -> Result<Policy, PolicyFault> {
    let text = read_text(path).map_err(|error| PolicyFault::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    Policy::parse(&text).map_err(|problems| PolicyFault::Wrong {
        path: path.to_owned(),
        problems,
    })
}

/// Reads at most one byte more than policy takes, so that a file that grows for ever is refused
/// by the parser and not held in memory.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_TEXT)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// The first UID of a person on this system.
pub(crate) fn uid_min() -> u32 {
    std::fs::read_to_string(LOGIN_DEFS)
        .ok()
        .and_then(|text| parse_uid_min(&text))
        .unwrap_or(DEFAULT_UID_MIN)
}

fn parse_uid_min(login_defs: &str) -> Option<u32> {
    login_defs.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("UID_MIN"))
            .then(|| words.next()?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uid_min_is_read_from_login_defs() {
        assert_eq!(
            parse_uid_min("# UID_MIN 5\nUID_MIN\t\t 500\nUID_MAX 60000\n"),
            Some(500)
        );
        assert_eq!(parse_uid_min("SYS_UID_MIN 101\n"), None);
        assert_eq!(parse_uid_min("UID_MIN\n"), None);
    }

    #[test]
    fn a_missing_file_is_named() {
        let fault = read(Path::new("/nonexistent/policy.yaml")).unwrap_err();
        let text = fault.to_string();
        assert!(
            text.starts_with("cannot read policy /nonexistent/policy.yaml: "),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_file_is_told_problem_by_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "defaults: {cpu: 9, mem: 1G}\nmax: {cpu: 8, mem: 0.5G}\n",
        )
        .unwrap();
        let text = read(file.path()).unwrap_err().to_string();
        assert!(
            text.contains("\n  defaults.cpu: 9 is above max.cpu (8)"),
            "{text}"
        );
        assert!(
            text.contains("\n  defaults.mem: 1G is above max.mem (512M)"),
            "{text}"
        );
    }

    #[test]
    fn an_endless_file_is_refused() {
        let fault = read(Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(fault, PolicyFault::Wrong { .. }), "{fault}");
    }
}
