//! Which glibc the built files need, and the check that it stays an old one.
//!
//! A library that was linked against a new glibc does not load on an older one, and a PAM module
//! that does not load is a login without limits. The linker decides it by the symbols that happen
//! to be used, so it creeps up unseen: with the machine that builds, with a dependency, with the
//! standard library.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::problem::{Problem, Result};
use crate::program;

/// The newest glibc that a built file may need: Debian 12's.
pub(crate) const NEWEST: Version = Version {
    major: 2,
    minor: 36,
};

/// The only thing beside plain versions that a glibc of [`NEWEST`] offers by such a name.
///
/// From glibc's `elf/Versions`: relative relocations in their short form, since 2.36.
const OFFERED_BESIDES: [&str; 1] = ["ABI_DT_RELR"];

/// What is installed and loaded by glibc, with its name in cargo's folder.
pub(crate) const BUILT: [&str; 5] = [
    "fairshared",
    "fairshare",
    "fairshare-exporter",
    "libpam_fairshare.so",
    "libfairshare.so",
];

/// A version of glibc, without the third number that a few old symbols have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Reads what stands behind `GLIBC_`, such as `2.34` or `2.2.5`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        Some(Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What one file needs of glibc.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The newest version that it cannot do without.
    newest: Option<Version>,
    /// What a glibc of [`NEWEST`] does not offer, a few words each.
    too_new: Vec<String>,
}

/// Fails when a built file in `folder` needs a newer glibc than [`NEWEST`], naming file and symbol.
///
/// Prints for each file what it really needs.
pub(crate) fn check(folder: &Path) -> Result<()> {
    let mut found = Vec::new();
    for name in BUILT {
        let needs = needs(&listing(&folder.join(name))?);
        let Some(newest) = needs.newest else {
            // Each of them calls libc. A listing that was not understood must not pass.
            return Err(Problem::new(format!(
                "cannot tell which glibc '{name}' needs: readelf named none"
            )));
        };
        println!("{name:20} needs glibc {newest} (at most {NEWEST})");
        found.extend(
            needs
                .too_new
                .iter()
                .map(|what| format!("'{name}' needs {what}")),
        );
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "newer than glibc {NEWEST}, which is what the packages promise:\n  {}",
            found.join("\n  ")
        )))
    }
}

/// What `readelf` tells of the dynamic symbols of a file and of the versions that it needs.
fn listing(file: &Path) -> Result<String> {
    let mut command = program::command("readelf", &["--wide", "--dyn-syms", "--version-info"]);
    // Its words must be the ones that are looked for below, whatever the developer's language.
    let output = program::output(command.arg(file).env("LC_ALL", "C"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Problem::new(format!(
            "cannot read '{}': {text}",
            file.display()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads the listing of one file.
///
/// The table of needed versions is complete; the symbols tell why a version is in it.
fn needs(listing: &str) -> Needs {
    let mut needs = Needs::default();
    let mut told = BTreeSet::new();
    for line in listing.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        // `5: 0000000000000000  0 FUNC  GLOBAL DEFAULT  UND gnu_get_libc_version@GLIBC_2.2.5 (2)`
        let Some(place) = words.iter().position(|word| *word == "UND") else {
            continue;
        };
        let symbol = words.get(place.saturating_add(1)).unwrap_or(&"");
        if let Some((name, wanted)) = symbol.split_once("@GLIBC_")
            && is_too_new(wanted)
        {
            told.insert(wanted.to_owned());
            needs
                .too_new
                .push(format!("symbol '{name}' of glibc {wanted}"));
        }
    }
    for line in listing.lines() {
        // `0x0070:   Name: GLIBC_2.29  Flags: none  Version: 6`
        let mut words = line.split_whitespace().skip_while(|word| *word != "Name:");
        let name = words.nth(1).unwrap_or("");
        let Some(wanted) = name.strip_prefix("GLIBC_") else {
            continue;
        };
        needs.newest = needs.newest.max(Version::parse(wanted));
        if is_too_new(wanted) && told.insert(wanted.to_owned()) {
            needs.too_new.push(format!("glibc's {wanted}"));
        }
    }
    needs
}

fn is_too_new(wanted: &str) -> bool {
    match Version::parse(wanted) {
        Some(version) => version > NEWEST,
        // `GLIBC_PRIVATE` too: what it offers changes without notice.
        None => !OFFERED_BESIDES.contains(&wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD_ENOUGH: &str = "\
     5: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND gnu_get_libc_version@GLIBC_2.2.5 (2)
     6: 0000000000000000     0 FUNC    WEAK   DEFAULT  UND __cxa_finalize@GLIBC_2.36 (3)
     7: 0000000000000000     0 NOTYPE  WEAK   DEFAULT  UND __gmon_start__
     8: 0000000000012340    12 FUNC    GLOBAL DEFAULT   12 fairshare_open@@FAIRSHARE_9.9
  0x0010:   Name: GLIBC_2.2.5  Flags: none  Version: 2
  0x0020:   Name: GLIBC_2.36  Flags: none  Version: 3
  0x0030:   Name: GLIBC_ABI_DT_RELR  Flags: none  Version: 4
  0x0040:   Name: GCC_3.0  Flags: none  Version: 5
";

    #[test]
    fn what_debian_12_offers_passes() {
        let expected = Needs {
            newest: Some(NEWEST),
            too_new: Vec::new(),
        };
        assert_eq!(needs(OLD_ENOUGH), expected);
    }

    #[test]
    fn a_newer_symbol_is_named_once() {
        let listing = format!(
            "{OLD_ENOUGH}
     9: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND strlcpy@GLIBC_2.38 (6)
  0x0050:   Name: GLIBC_2.38  Flags: none  Version: 6
"
        );
        let needs = needs(&listing);
        assert_eq!(needs.too_new, ["symbol 'strlcpy' of glibc 2.38"]);
        assert_eq!(
            needs.newest,
            Some(Version {
                major: 2,
                minor: 38
            })
        );
    }

    #[test]
    fn a_need_without_a_symbol_is_found() {
        let listing =
            format!("{OLD_ENOUGH}  0x0050:   Name: GLIBC_ABI_GNU2_TLS  Flags: none  Version: 6\n");
        assert_eq!(needs(&listing).too_new, ["glibc's ABI_GNU2_TLS"]);
    }

    #[test]
    fn a_number_counts_as_a_number() {
        assert!(!is_too_new("2.4") && !is_too_new("2.9") && is_too_new("2.100"));
        assert!(is_too_new("PRIVATE"));
    }

    #[test]
    fn a_listing_that_names_no_glibc_is_no_pass() {
        assert_eq!(needs("nothing known").newest, None);
    }
}
