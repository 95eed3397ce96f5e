//! The bill of materials: what is linked into each binary, for those who have to know whether a
//! fault found in a library is in their machines.
//!
//! SPDX 2.3 in JSON. It has what cargo really links for the packages' target, features counted,
//! and what no lock file tells: the standard library, and the `SQLite` that is compiled in from C.
//! Nothing in it depends on when or where it is written: see `docs/decisions/0025`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use toml::Table;

use crate::machines::INSTALLED;
use crate::metadata::{self, Package, TARGET};
use crate::problem::{Problem, Result};
use crate::program;

/// The crate that holds `SQLite`'s own source.
const SQLITE_CRATE: &str = "libsqlite3-sys";

/// Name and version, as cargo tells two of the same name apart.
type Key = (String, String);

/// What goes into the bill.
#[derive(Debug, Default)]
struct Materials {
    /// Each installed package with all that is linked into it.
    linked: BTreeMap<Key, BTreeSet<Key>>,
    /// What is known of each of them.
    parts: BTreeMap<Key, Part>,
}

/// One entry of the bill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Part {
    licence: String,
    /// As the registry has it; nothing for what does not come from there.
    sha256: Option<String>,
    origin: Origin,
}

/// Where a part comes from, in the words of package URLs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Origin {
    /// This repository.
    #[default]
    Own,
    /// The registry of crates.
    Registry,
    /// Neither: source that came inside something else.
    Generic,
}

/// Writes the bill for the state of the checkout that was committed at `epoch`, in seconds.
pub(crate) fn write(path: &Path, epoch: &str) -> Result<()> {
    let materials = materials()?;
    let bill = bill(&materials, &written_at(epoch)?, epoch)?;
    let text = serde_json::to_string_pretty(&bill)
        .map_err(|error| Problem::new(format!("cannot write the bill of materials: {error}")))?;
    fs::write(path, text + "\n").map_err(Problem::io("write", path))
}

fn materials() -> Result<Materials> {
    let path = program::workspace().join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(Problem::io("read", &path))?;
    let sums = checksums(&lock)
        .ok_or_else(|| Problem::new(format!("cannot read '{}'", path.display())))?;
    let packages = metadata::packages()?;
    let standard_library = (
        "rust-std".to_owned(),
        said("rustc", &["--version"])?
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned(),
    );

    let mut materials = Materials::default();
    materials.parts.insert(
        standard_library.clone(),
        Part {
            licence: "MIT OR Apache-2.0".to_owned(),
            sha256: None,
            origin: Origin::Generic,
        },
    );
    for (root, mut linked) in trees(&cargo_tree()?)? {
        for key in linked.clone().iter().chain([&root]) {
            let package = find(&packages, key)?;
            materials
                .parts
                .insert(key.clone(), part(package, sums.get(key)));
            if package.name == SQLITE_CRATE {
                let sqlite = ("sqlite".to_owned(), sqlite_version(&package.folder)?);
                let part = Part {
                    // SPDX's name for SQLite's dedication to the public.
                    licence: "blessing".to_owned(),
                    sha256: None,
                    origin: Origin::Generic,
                };
                materials.parts.insert(sqlite.clone(), part);
                linked.insert(sqlite);
            }
        }
        linked.insert(standard_library.clone());
        materials.linked.insert(root, linked);
    }
    Ok(materials)
}

fn find<'a>(packages: &'a [Package], (name, version): &Key) -> Result<&'a Package> {
    let mut matching = packages
        .iter()
        .filter(|package| package.name == *name && package.version == *version);
    matching.next().ok_or_else(|| {
        Problem::new(format!(
            "cargo tree names '{name} {version}', which cargo metadata does not have"
        ))
    })
}

fn part(package: &Package, sum: Option<&String>) -> Part {
    // `MIT/Apache-2.0` is how it was written before there were expressions.
    let licence = package.licence.as_deref().unwrap_or("NOASSERTION");
    Part {
        licence: licence.replace('/', " OR "),
        sha256: sum.cloned(),
        origin: match package.source {
            None => Origin::Own,
            Some(_) => Origin::Registry,
        },
    }
}

/// What is linked into the installed packages when they are built together, as the packages are.
///
/// Procedural macros run in the compiler and are left out.
fn cargo_tree() -> Result<String> {
    let mut arguments = vec!["tree", "--locked", "--target", TARGET];
    arguments.extend(["--edges", "normal,no-proc-macro"]);
    arguments.extend(["--prefix", "depth", "--no-dedupe", "--format", " {p}"]);
    for name in INSTALLED {
        arguments.extend(["--package", name]);
    }
    said_by(&mut program::cargo(&arguments))
}

/// Reads lines such as `0 fairshare v0.1.0 (/checkout)` and `1 serde v1.0.2`.
fn trees(text: &str) -> Result<BTreeMap<Key, BTreeSet<Key>>> {
    let mut trees: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    let mut root = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(depth), Some(name), Some(version)) = (words.next(), words.next(), words.next())
        else {
            return Err(Problem::new(format!("cargo tree said '{line}'")));
        };
        let version = version.strip_prefix('v').unwrap_or(version);
        let key = (name.to_owned(), version.to_owned());
        if depth == "0" {
            trees.entry(key.clone()).or_default();
            root = Some(key);
        } else if let Some(linked) = root.as_ref().and_then(|root| trees.get_mut(root)) {
            linked.insert(key);
        }
    }
    let roots: Vec<_> = trees.keys().map(|(name, _)| name.as_str()).collect();
    if roots == INSTALLED {
        Ok(trees)
    } else {
        Err(Problem::new(format!(
            "cargo tree told of {roots:?} instead of the installed packages"
        )))
    }
}

/// The checksums of `Cargo.lock`.
fn checksums(lock: &str) -> Option<BTreeMap<Key, String>> {
    let lock: Table = lock.parse().ok()?;
    let packages = lock.get("package")?.as_array()?.iter();
    let sums = packages.filter_map(|package| {
        let text = |key| package.get(key)?.as_str().map(str::to_owned);
        Some(((text("name")?, text("version")?), text("checksum")?))
    });
    Some(sums.collect())
}

/// The version of the `SQLite` in the crate that brings it.
fn sqlite_version(folder: &Path) -> Result<String> {
    let path = folder.join("sqlite3/sqlite3.h");
    let text = fs::read_to_string(&path).map_err(Problem::io("read", &path))?;
    let mut lines = text.lines();
    let version = lines.find_map(|line| {
        let rest = line.strip_prefix("#define SQLITE_VERSION ")?;
        rest.trim().strip_prefix('"')?.strip_suffix('"')
    });
    version.map(str::to_owned).ok_or_else(|| {
        Problem::new(format!(
            "cannot find SQLite's version in '{}'",
            path.display()
        ))
    })
}

/// The document.
fn bill(materials: &Materials, written: &str, epoch: &str) -> Result<Value> {
    let version = materials
        .linked
        .keys()
        .next()
        .map(|(_, version)| version.as_str())
        .ok_or_else(|| Problem::new("cannot write a bill of materials for no package"))?;
    let packages: Vec<_> = materials
        .parts
        .iter()
        .map(|(key, part)| entry(key, part))
        .collect();
    let mut relations = Vec::new();
    for (root, linked) in &materials.linked {
        relations.push(relation("SPDXRef-DOCUMENT", "DESCRIBES", &id(root)));
        for key in linked {
            relations.push(relation(&id(root), "STATIC_LINK", &id(key)));
        }
    }
    Ok(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("fairshare-{version}"),
        // Has to differ from every other document's; nothing is served there.
        "documentNamespace":
            format!("https://spdx.org/spdxdocs/fairshare-{version}-{TARGET}-{epoch}"),
        "creationInfo": {"created": written, "creators": ["Tool: fairshare-xtask"]},
        "packages": packages,
        "relationships": relations,
    }))
}

fn entry(key: &Key, part: &Part) -> Value {
    let (name, version) = key;
    let kind = match part.origin {
        Origin::Own | Origin::Generic => "generic",
        Origin::Registry => "cargo",
    };
    // `+` has a meaning of its own in some readers of URLs.
    let purl = format!("pkg:{kind}/{name}@{}", version.replace('+', "%2B"));
    let sums = part.sha256.iter();
    let sums: Vec<_> = sums
        .map(|sum| json!({"algorithm": "SHA256", "checksumValue": sum}))
        .collect();
    json!({
        "SPDXID": id(key),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": part.licence,
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }],
        "checksums": sums,
    })
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

/// An identifier of SPDX has letters, digits, full stops and hyphens alone.
fn id((name, version): &Key) -> String {
    let plain = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' => character,
        _ => '-',
    };
    let text = format!("{name}-{version}");
    format!("SPDXRef-{}", text.chars().map(plain).collect::<String>())
}

/// A moment as SPDX writes it.
fn written_at(epoch: &str) -> Result<String> {
    let moment = format!("@{epoch}");
    said("date", &["-u", "-d", &moment, "+%Y-%m-%dT%H:%M:%SZ"])
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    said_by(&mut program::command(program, arguments))
}

fn said_by(command: &mut std::process::Command) -> Result<String> {
    let output = program::output(command)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(Problem::new(format!(
            "'{}' failed\n{}",
            command.get_program().display(),
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
0 fairshare v0.1.0 (/checkout/fairshare)
1 serde v1.0.2
2 serde_core v1.0.2

0 fairshare-exporter v0.1.0 (/checkout/fairshare-exporter)
1 serde v1.0.2

0 fairshared v0.1.0 (/checkout/fairshared)
1 toml v0.9.1+spec-1.1.0
1 serde_core v1.0.2

0 libfairshare v0.1.0 (/checkout/libfairshare)

0 pam_fairshare v0.1.0 (/checkout/pam_fairshare)
";

    fn key(name: &str, version: &str) -> Key {
        (name.to_owned(), version.to_owned())
    }

    #[test]
    fn each_binary_has_its_own_parts() {
        let trees = trees(TREE).unwrap();
        assert_eq!(
            trees[&key("fairshare", "0.1.0")],
            BTreeSet::from([key("serde", "1.0.2"), key("serde_core", "1.0.2")])
        );
        assert_eq!(
            trees[&key("fairshared", "0.1.0")],
            BTreeSet::from([key("toml", "0.9.1+spec-1.1.0"), key("serde_core", "1.0.2")])
        );
    }

    #[test]
    fn a_tree_that_lacks_a_binary_is_refused() {
        let problem = trees("0 fairshare v0.1.0\n").unwrap_err().to_string();
        assert!(
            problem.contains("instead of the installed packages"),
            "{problem}"
        );
    }

    #[test]
    fn an_entry_can_be_looked_up_by_a_scanner() {
        let part = Part {
            licence: "MIT".to_owned(),
            sha256: Some("abc".to_owned()),
            origin: Origin::Registry,
        };
        let entry = entry(&key("toml_edit", "0.9.1+spec-1.1.0"), &part);
        assert_eq!(entry["SPDXID"], "SPDXRef-toml-edit-0.9.1-spec-1.1.0");
        assert_eq!(
            entry["externalRefs"][0]["referenceLocator"],
            "pkg:cargo/toml_edit@0.9.1%2Bspec-1.1.0"
        );
        assert_eq!(entry["checksums"][0]["checksumValue"], "abc");
    }

    /// Asks cargo, so that it is the real graph: the bill has what can have faults.
    #[test]
    fn the_daemon_has_sqlite_and_the_module_has_neither_that_nor_a_runtime() {
        let materials = materials().unwrap();
        let has = |root: &str, part: &str| {
            let mut roots = materials.linked.iter();
            let (_, linked) = roots.find(|((name, _), _)| name == root).unwrap();
            linked.iter().any(|(name, _)| name == part)
        };
        for part in ["sqlite", "tokio", "rust-std", "fairshare-core"] {
            assert!(has("fairshared", part), "{part}");
        }
        for part in ["libc", "rust-std", "fairshare-protocol"] {
            assert!(has("pam_fairshare", part), "{part}");
        }
        for part in ["sqlite", "tokio", "serde_derive", "tempfile"] {
            assert!(!has("pam_fairshare", part), "{part}");
        }
        let bill = bill(&materials, &written_at("0").unwrap(), "0").unwrap();
        assert_eq!(bill["creationInfo"]["created"], "1970-01-01T00:00:00Z");
        let packages = bill["packages"].as_array().unwrap();
        let ids: BTreeSet<_> = packages.iter().map(|one| one["SPDXID"].as_str()).collect();
        assert_eq!(ids.len(), packages.len(), "an identifier stands for two");
        for package in packages {
            assert_ne!(package["licenseDeclared"], "NOASSERTION", "{package}");
        }
    }
}
