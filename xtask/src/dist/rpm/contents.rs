//! Looks at the RPMs that were built: files, modes, owners, flags, scripts, and what they need.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::places;
use crate::dist::tree;
use crate::glibc;
use crate::problem::{Problem, Result};
use crate::program;

/// Each RPM with the Debian package that has the same content.
const PAIRS: [(&str, &str); 4] = [
    ("fairshare", "fairshare"),
    ("fairshare-exporter", "fairshare-exporter"),
    ("libfairshare", "libfairshare0"),
    ("libfairshare-devel", "libfairshare-dev"),
];

/// The RPM that no Debian package stands beside.
const SELINUX: &str = "fairshare-selinux";

/// Files that must be there as they stand here: package, path, mode in octal, flags of rpm
/// (`c` configuration, `n` kept when it was changed, `d` documentation, `l` licence).
const EXPECTED: [(&str, &str, &str, &str); 18] = [
    ("fairshare", "/usr/sbin/fairshared", "100755", ""),
    ("fairshare", "/usr/bin/fairshare", "100755", ""),
    (
        "fairshare",
        "/usr/libexec/fairshare/lift-limits",
        "100755",
        "",
    ),
    ("fairshare", "/usr/sbin/fairshare-authselect", "100755", ""),
    (
        "fairshare",
        "/usr/lib64/security/pam_fairshare.so",
        "100755",
        "",
    ),
    (
        "fairshare",
        "/usr/lib/systemd/system/fairshared.service",
        "100644",
        "",
    ),
    (
        "fairshare",
        "/usr/lib/systemd/system/fairshared.socket",
        "100644",
        "",
    ),
    ("fairshare", "/etc/fairshare/policy.d", "40755", ""),
    (
        "fairshare",
        "/etc/fairshare/policy.d/default.yaml",
        "100644",
        "cn",
    ),
    (
        "fairshare",
        "/usr/share/doc/fairshare/sbom.spdx.json",
        "100644",
        "d",
    ),
    (
        "fairshare",
        "/usr/share/licenses/fairshare/LICENSE",
        "100644",
        "l",
    ),
    (
        "fairshare-exporter",
        "/usr/sbin/fairshare-exporter",
        "100755",
        "",
    ),
    (
        "fairshare-exporter",
        "/usr/lib/sysusers.d/fairshare-exporter.conf",
        "100644",
        "",
    ),
    ("libfairshare", "/usr/lib64/libfairshare.so.0", "100755", ""),
    (
        "libfairshare-devel",
        "/usr/lib64/libfairshare.so",
        "120777",
        "",
    ),
    (
        "libfairshare-devel",
        "/usr/include/fairshare.h",
        "100644",
        "",
    ),
    (
        SELINUX,
        "/usr/share/selinux/packages/targeted/fairshare.pp",
        "100644",
        "",
    ),
    (
        SELINUX,
        "/usr/share/doc/fairshare-selinux/fairshare.te",
        "100644",
        "d",
    ),
];

/// What a package must need, or provide.
const NEEDED: [(&str, &str); 7] = [
    ("fairshare", "systemd"),
    ("fairshare", "pam"),
    ("fairshare", "dbus"),
    ("fairshare", "libpam.so.0()(64bit)"),
    ("fairshare", "(fairshare-selinux = "),
    ("libfairshare-devel", "libfairshare = "),
    (SELINUX, "policycoreutils"),
];
const PROVIDED: [(&str, &str); 1] = [("libfairshare", "libfairshare.so.0()(64bit)")];

/// Scripts of a package, with words that must stand in them: rpm drops none, but an `%if` or a
/// wrong section may.
const SCRIPTS: [(&str, &str, &str); 10] = [
    (
        "fairshare",
        "POSTIN",
        "preset fairshared.socket fairshared.service",
    ),
    ("fairshare", "POSTIN", "fairshare-authselect enable"),
    ("fairshare", "PREUN", "fairshare-authselect disable"),
    ("fairshare", "PREUN", "/usr/libexec/fairshare/lift-limits"),
    ("fairshare", "POSTUN", "try-restart fairshared.service"),
    (
        "fairshare",
        "TRIGGERSCRIPTS",
        "fairshare-authselect refresh",
    ),
    (
        "fairshare-exporter",
        "POSTIN",
        "systemd-sysusers fairshare-exporter.conf",
    ),
    (
        "fairshare-exporter",
        "PREUN",
        "disable --now fairshare-exporter.socket",
    ),
    (SELINUX, "POSTIN", "--install="),
    (SELINUX, "POSTUN", "--remove="),
];

/// Every kind of script that rpm can run.
const KINDS: [&str; 8] = [
    "PREIN",
    "POSTIN",
    "PREUN",
    "POSTUN",
    "PRETRANS",
    "POSTTRANS",
    "VERIFYSCRIPT",
    "TRIGGERSCRIPTS",
];

/// What no script may do: these files are authselect's, and an administrator's.
const FORBIDDEN: [&str; 3] = ["/etc/pam.d", "sed ", "/etc/authselect"];

/// What `rpm` tells of one package.
#[derive(Debug, Default)]
struct Content {
    /// Each path with mode, owner with group, and flags.
    files: BTreeMap<String, (String, String, String)>,
    needs: String,
    provides: String,
    scripts: BTreeMap<&'static str, String>,
}

/// Fails when the RPMs are not as the tables say, or differ from the Debian packages.
pub(super) fn check(rpms: &[PathBuf], debs: &[PathBuf]) -> Result<()> {
    let mut packages = BTreeMap::new();
    for rpm in rpms {
        let name = ask(rpm, "%{NAME}")?;
        if packages.insert(name.clone(), content(rpm)?).is_some() {
            return Err(Problem::new(format!("there are two RPMs '{name}'")));
        }
    }
    let mut found = faults(&packages);
    for (name, content) in &packages {
        for (kind, script) in &content.scripts {
            if let Err(problem) = parses(script) {
                found.push(format!("{name}: {kind} is no script: {problem}"));
            }
        }
    }
    let libraries = tree::libraries()?;
    for (rpm, debian) in PAIRS {
        let listed = listed(debs, debian)?;
        let ours = packages.get(rpm).map(|content| &content.files);
        let ours: BTreeSet<_> = ours
            .into_iter()
            .flatten()
            .filter(|(_, (mode, _, _))| !mode.starts_with("40"))
            .map(|(path, _)| path.trim_start_matches('/').to_owned())
            .collect();
        found.extend(differences(rpm, &ours, &listed, &libraries));
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "the RPMs are not as they should be:\n  {}",
            found.join("\n  ")
        )))
    }
}

/// Where the packages differ from the tables, a sentence each.
fn faults(packages: &BTreeMap<String, Content>) -> Vec<String> {
    let mut found = Vec::new();
    let known: BTreeSet<_> = PAIRS.iter().map(|(rpm, _)| *rpm).chain([SELINUX]).collect();
    let there: BTreeSet<_> = packages.keys().map(String::as_str).collect();
    if known != there {
        found.push(format!("there are {there:?} and not {known:?}"));
    }
    let empty = Content::default();
    let of = |name: &str| packages.get(name).unwrap_or(&empty);
    for (name, path, mode, flags) in EXPECTED {
        match of(name).files.get(path) {
            None => found.push(format!("{name}: '{path}' is missing")),
            Some((is, _, has)) if is != mode || has != flags => found.push(format!(
                "{name}: '{path}' has mode {is} and flags '{has}', not {mode} and '{flags}'"
            )),
            Some(_) => {}
        }
    }
    for (name, content) in packages {
        for (path, (mode, owner, _)) in &content.files {
            if owner != "root:root" {
                found.push(format!("{name}: '{path}' belongs to {owner}"));
            }
            let link = mode.starts_with("12");
            // Nobody but root writes to what root runs and reads, and nothing runs as another.
            let plain = ["40755", "100755", "100644"].contains(&mode.as_str());
            if !link && !plain {
                found.push(format!("{name}: '{path}' has mode {mode}"));
            }
        }
        for line in content.needs.lines() {
            let newest = line.split_once("(GLIBC_").and_then(|(_, rest)| {
                let (version, _) = rest.split_once(')')?;
                glibc::Version::parse(version)
            });
            if newest.is_some_and(|version| version > glibc::NEWEST) {
                found.push(format!("{name} needs '{line}'"));
            }
        }
        for (kind, script) in &content.scripts {
            for word in FORBIDDEN.iter().filter(|word| script.contains(**word)) {
                found.push(format!("{name}: {kind} has '{word}' in it"));
            }
        }
    }
    for (name, need) in NEEDED {
        if !has_line(&of(name).needs, need) {
            found.push(format!("{name} does not need '{need}'"));
        }
    }
    for (name, provided) in PROVIDED {
        if !has_line(&of(name).provides, provided) {
            found.push(format!("{name} does not provide '{provided}'"));
        }
    }
    for (name, kind, words) in SCRIPTS {
        let script = of(name).scripts.get(kind);
        if !script.is_some_and(|script| script.contains(words)) {
            found.push(format!("{name}: {kind} does not have '{words}' in it"));
        }
    }
    found
}

/// Whether a line is this, or goes on from it where it ends in a blank.
fn has_line(text: &str, wanted: &str) -> bool {
    text.lines()
        .any(|line| line == wanted || (wanted.ends_with(' ') && line.starts_with(wanted)))
}

/// Files that one kind of package has and the other has not.
fn differences(
    name: &str,
    rpm: &BTreeSet<String>,
    debian: &BTreeSet<String>,
    libraries: &str,
) -> Vec<String> {
    let wanted: BTreeSet<_> = debian
        .iter()
        .filter_map(|path| places::place(path, libraries))
        .collect();
    let missing = wanted.difference(rpm);
    let mut found: Vec<_> = missing
        .map(|path| format!("{name}: '/{path}' is in the Debian package alone"))
        .collect();
    let more = rpm.difference(&wanted);
    let more = more.filter(|path| !places::is_rpm_only(path));
    found.extend(more.map(|path| format!("{name}: '/{path}' is in the RPM alone")));
    found
}

/// The files and links of a Debian package, without the leading slash.
fn listed(debs: &[PathBuf], name: &str) -> Result<BTreeSet<String>> {
    let prefix = format!("{name}_");
    let mut matching = debs.iter().filter(|deb| {
        let file = deb.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&prefix)
    });
    let deb = matching
        .next()
        .ok_or_else(|| Problem::new(format!("there is no Debian package '{name}'")))?;
    let mut command = program::command("sh", &["-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -t"]);
    let text = said(command.arg("list").arg(deb))?;
    let files = text.lines().filter(|line| !line.ends_with('/'));
    Ok(files
        .map(|line| line.trim_start_matches("./").to_owned())
        .collect())
}

fn content(rpm: &Path) -> Result<Content> {
    let mut content = Content {
        needs: list(rpm, "--requires")?,
        provides: list(rpm, "--provides")?,
        ..Content::default()
    };
    let files = ask(
        rpm,
        "[%{FILENAMES}|%{FILEMODES:octal}|%{FILEUSERNAME}:%{FILEGROUPNAME}|%{FILEFLAGS:fflags}\n]",
    )?;
    for line in files.lines() {
        let mut words = line.split('|').map(str::to_owned);
        let mut next = || {
            words
                .next()
                .ok_or_else(|| Problem::new(format!("rpm said '{line}'")))
        };
        let path = next()?;
        let entry = (next()?, next()?, next()?);
        content.files.insert(path, entry);
    }
    for kind in KINDS {
        let script = ask(rpm, &format!("[%{{{kind}}}\n]"))?;
        if script != "(none)" && !script.is_empty() {
            content.scripts.insert(kind, script);
        }
    }
    Ok(content)
}

fn ask(rpm: &Path, format: &str) -> Result<String> {
    let mut command = program::command("rpm", &["--query", "--package", "--queryformat", format]);
    said(command.arg(rpm))
}

fn list(rpm: &Path, what: &str) -> Result<String> {
    said(program::command("rpm", &["--query", "--package", what]).arg(rpm))
}

fn said(command: &mut std::process::Command) -> Result<String> {
    let output = program::output(command.env("LC_ALL", "C"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(Problem::new(format!(
            "'{}' failed: {}",
            command.get_program().display(),
            String::from_utf8_lossy(&output.stderr).trim()
        )))
    }
}

/// Whether a shell can read a script to its end.
fn parses(script: &str) -> Result<()> {
    let mut command = program::command("sh", &["-n"]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let cannot = |error| Problem::new(format!("cannot run 'sh -n': {error}"));
    let mut shell = command.spawn().map_err(cannot)?;
    if let Some(mut input) = shell.stdin.take() {
        input.write_all(script.as_bytes()).map_err(cannot)?;
    }
    let output = shell.wait_with_output().map_err(cannot)?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(Problem::new(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests;
