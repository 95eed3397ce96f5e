//! Installs what building and testing need from Debian.

use crate::problem::{Problem, Result};
use crate::program;

/// The packages, with what needs them.
const PACKAGES: [(&str, &str); 23] = [
    // To build.
    ("gcc", "links, and builds SQLite and the C examples"),
    ("g++", "the C header is tried from C++ too"),
    (
        "binutils",
        "the tests look into the libraries that were built",
    ),
    ("libc6-dev", "headers for gcc"),
    ("libpam0g-dev", "the module links to libpam"),
    ("pkg-config", "tells the C example the flags"),
    ("dpkg-dev", "makes the Debian packages"),
    ("debhelper", "knows what each Debian package has to do"),
    ("lintian", "looks at the Debian packages"),
    ("rpm", "makes the RPMs and looks at them"),
    ("checkpolicy", "compiles the SELinux policy"),
    ("semodule-utils", "packs the SELinux policy"),
    // To try.
    ("mmdebstrap", "builds the image of a machine"),
    (
        "debian-archive-keyring",
        "the image's packages are checked against it",
    ),
    ("e2fsprogs", "makes the image's file system"),
    ("qemu-system-x86", "runs the machine"),
    ("util-linux", "setpriv ends the machine with the test"),
    ("openssh-client", "logs in to the machine"),
    ("rsync", "one of the transfers that the tests try"),
    ("python3", "runs an example"),
    (
        "chromium",
        "the page of fairshare report is looked at in a browser",
    ),
    ("groff-base", "the manual pages are checked with it"),
    ("bsdutils", "script gives the greeting's test a terminal"),
];

/// What the lab needs besides where root is not at hand.
const WITHOUT_ROOT: [(&str, &str); 2] = [
    ("uidmap", "lets mmdebstrap work without root"),
    ("fakeroot", "keeps the owners of the image's files"),
];

/// Sees to it that all packages are installed.
///
/// When that takes rights which this process has not, the problem is the line for a person to run.
pub(crate) fn run() -> Result<()> {
    let root = is_root();
    let mut packages = PACKAGES.to_vec();
    if !root {
        packages.extend(WITHOUT_ROOT);
    }
    let names: Vec<_> = packages.iter().map(|&(name, _)| name).collect();
    let query = program::output(
        program::command(
            "dpkg-query",
            &["--show", "--showformat=${Package} ${db:Status-Status}\n"],
        )
        .args(&names),
    )
    .map_err(|_| {
        Problem::new(format!(
            "this is no Debian; it needs what Debian has as: {}",
            names.join(" ")
        ))
    })?;
    let missing = missing(&names, &String::from_utf8_lossy(&query.stdout));
    if missing.is_empty() {
        return Ok(());
    }
    for &(name, reason) in packages.iter().filter(|(name, _)| missing.contains(name)) {
        eprintln!("missing: {name} ({reason})");
    }
    let Some(prefix) = privilege(root) else {
        return Err(Problem::new(format!(
            "run this once as root, then try again:\n\n    {}\n",
            line(&missing)
        )));
    };
    install(prefix, &missing)
}

/// Installs from the package lists that are there, and fetches new ones only when that fails.
fn install(prefix: &[&str], missing: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut words = prefix.to_vec();
        words.extend([
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-y",
        ]);
        words.extend(arguments);
        let (program, rest) = words.split_first().unwrap_or((&"apt-get", &[]));
        program::run(program::command(program, rest).stdin(std::process::Stdio::null()))
    };
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(missing);
    if apt(&arguments).is_ok() {
        return Ok(());
    }
    eprintln!("the package lists may be old, fetching them");
    apt(&["update"])?;
    apt(&arguments)
}

/// What goes before a command to run it as root: nothing for root, `sudo` where it asks no
/// password.
fn privilege(root: bool) -> Option<&'static [&'static str]> {
    if root {
        return Some(&[]);
    }
    program::succeeds(&mut program::command("sudo", &["-n", "true"])).then_some(&["sudo", "-n"])
}

fn is_root() -> bool {
    program::output(&mut program::command("id", &["-u"]))
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn line(missing: &[&str]) -> String {
    format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    )
}

/// Those of `names` that `dpkg-query` does not show as installed.
fn missing<'a>(names: &[&'a str], shown: &str) -> Vec<&'a str> {
    let installed: Vec<_> = shown
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    names
        .iter()
        .copied()
        .filter(|name| !installed.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_counts() {
        let shown = "gcc installed\nrsync config-files\npython3 not-installed\n";
        assert_eq!(
            missing(&["gcc", "rsync", "python3", "uidmap"], shown),
            ["rsync", "python3", "uidmap"]
        );
    }

    #[test]
    fn the_line_to_run_is_one() {
        let line = line(&["gcc", "rsync"]);
        assert!(line.ends_with("--no-install-recommends gcc rsync") && !line.contains('\n'));
    }
}
