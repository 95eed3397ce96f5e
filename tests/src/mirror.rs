//! From where packages come: the host's own apt configuration, turned to another release.
//!
//! A developer's machine may reach Debian's archive only by a mirror, a proxy or a certificate
//! of its own, and its apt knows all of that. So nothing here names a mirror: the host's sources
//! are read, those of its own release are taken, and the release's name is replaced.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command;
use crate::error::{LabError, Result};
use crate::host;
use crate::release::Release;

/// Where apt's sources lie.
const APT: &str = "/etc/apt";
/// For `apt-config`, which only reads files.
const APT_CONFIG_BOUND: Duration = Duration::from_secs(10);
/// The groups of apt's options that say how to reach a mirror.
const OPTION_PREFIXES: [&str; 6] = [
    "Acquire::http::",
    "Acquire::https::",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::Retries",
    "Acquire::ForceIPv",
];

/// One archive that packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
    /// The keyring that the host checks it with, where the host names one.
    signed_by: Option<String>,
}

impl Source {
    fn line(&self) -> String {
        let options = match &self.signed_by {
            Some(keyring) => format!("[signed-by={keyring}] "),
            None => String::new(),
        };
        format!("deb {options}{} {} main", self.uri, self.suite)
    }
}

/// The lines of a `sources.list` for `release`.
///
/// Empty when the host has no source of its own release (it is no Debian): `mmdebstrap` then
/// takes Debian's usual mirror by itself.
pub fn sources(release: Release) -> Result<String> {
    let Some(own) = own_codename()? else {
        return Ok(String::new());
    };
    let mut all = Vec::new();
    for path in source_files()? {
        let text = host::read(&path)?;
        if path.extension().is_some_and(|ext| ext == "sources") {
            all.extend(parse_paragraphs(&text));
        } else {
            all.extend(parse_lines(&text));
        }
    }
    let lines: Vec<_> = for_release(all, &own, release.codename())
        .iter()
        .map(Source::line)
        .collect();
    Ok(lines.join("\n"))
}

/// The host's apt options on how to reach a mirror, a line each as in `apt.conf`.
pub fn options() -> Result<Vec<String>> {
    let mut command = Command::new("apt-config");
    let output = match command::run(command.arg("dump"), b"", APT_CONFIG_BOUND) {
        Ok(output) => output.ok()?,
        Err(LabError::NoProgram { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(reaching(&output.stdout))
}

fn reaching(dump: &str) -> Vec<String> {
    dump.lines()
        .filter(|line| {
            OPTION_PREFIXES
                .iter()
                .any(|prefix| line.starts_with(prefix))
        })
        .filter(|line| !line.ends_with(" \"\";"))
        .map(str::to_owned)
        .collect()
}

/// The codename of the host's release, when it is a Debian.
fn own_codename() -> Result<Option<String>> {
    let text = host::read(Path::new("/etc/os-release"))?;
    let fields: HashMap<_, _> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    if fields.get("ID") == Some(&"debian") {
        Ok(fields.get("VERSION_CODENAME").map(|&name| name.to_owned()))
    } else {
        Ok(None)
    }
}

fn source_files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let list = Path::new(APT).join("sources.list");
    if list.exists() {
        files.push(list);
    }
    let folder = Path::new(APT).join("sources.list.d");
    if folder.exists() {
        let entries = fs::read_dir(&folder).map_err(LabError::io("read", &folder))?;
        let known = |path: &PathBuf| {
            path.extension()
                .is_some_and(|ext| ext == "list" || ext == "sources")
        };
        files.extend(
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(known),
        );
    }
    files.sort();
    Ok(files)
}

/// Reads the format of one line for each source.
fn parse_lines(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(rest) = line.strip_prefix("deb ") else {
            continue;
        };
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", rest),
        };
        let signed_by = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned);
        let mut words = rest.split_whitespace();
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            sources.push(Source {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
                signed_by,
            });
        }
    }
    sources
}

/// Reads the format of paragraphs with fields.
fn parse_paragraphs(text: &str) -> Vec<Source> {
    let text: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut sources = Vec::new();
    for paragraph in text.split(|line| line.trim().is_empty()) {
        let mut fields: HashMap<String, String> = HashMap::new();
        let mut last = String::new();
        for line in paragraph {
            if line.starts_with([' ', '\t']) {
                let value = fields.entry(last.clone()).or_default();
                value.push(' ');
                value.push_str(line.trim());
            } else if let Some((name, value)) = line.split_once(':') {
                last = name.to_ascii_lowercase();
                fields.insert(last.clone(), value.trim().to_owned());
            }
        }
        let words = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        if words("enabled") == "no" || !words("types").split_whitespace().any(|t| t == "deb") {
            continue;
        }
        // A key that is written into the field itself cannot be named in a line; the keyring
        // that mmdebstrap finds is good for Debian's archive.
        let signed_by = Some(words("signed-by")).filter(|value| value.starts_with('/'));
        for uri in words("uris").split_whitespace() {
            for suite in words("suites").split_whitespace() {
                sources.push(Source {
                    uri: uri.to_owned(),
                    suite: suite.to_owned(),
                    signed_by: signed_by.map(str::to_owned),
                });
            }
        }
    }
    sources
}

/// Takes the sources of the release `own` with its updates and security, as those of `wanted`.
fn for_release(all: Vec<Source>, own: &str, wanted: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for mut source in all {
        let Some(part) = source.suite.strip_prefix(own) else {
            continue;
        };
        if !["", "-updates", "-security"].contains(&part) || source.uri.starts_with("cdrom:") {
            continue;
        }
        source.suite = format!("{wanted}{part}");
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAGRAPHS: &str = "\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/a.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm

Types: deb
URIs: http://other.example/tool
Suites: stable
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
";

    const LINES: &str = "\
deb [arch=amd64 signed-by=/usr/share/keyrings/b.gpg] http://mirror.example/security bookworm-security main # x
#deb http://off.example/debian bookworm main
deb cdrom:[Debian] bookworm main
deb http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib
";

    fn lines_for(sources: Vec<Source>) -> Vec<String> {
        for_release(sources, "bookworm", "trixie")
            .iter()
            .map(Source::line)
            .collect()
    }

    #[test]
    fn paragraphs_are_turned_to_the_release() {
        assert_eq!(
            lines_for(parse_paragraphs(PARAGRAPHS)),
            [
                "deb [signed-by=/usr/share/keyrings/a.gpg] http://mirror.example/debian trixie main",
                "deb [signed-by=/usr/share/keyrings/a.gpg] http://mirror.example/debian \
                 trixie-updates main",
            ]
        );
    }

    #[test]
    fn lines_are_turned_to_the_release() {
        assert_eq!(
            lines_for(parse_lines(LINES)),
            [
                "deb [signed-by=/usr/share/keyrings/b.gpg] http://mirror.example/security \
                 trixie-security main",
                "deb http://mirror.example/debian trixie main",
            ]
        );
    }

    #[test]
    fn only_options_that_reach_a_mirror_are_taken() {
        let dump = "Acquire \"\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\n\
                    Acquire::https::CaInfo \"\";\nDPkg::Post-Invoke:: \"rm x\";\n";
        assert_eq!(
            reaching(dump),
            ["Acquire::http::Proxy \"http://proxy.example:3128\";"]
        );
    }
}
