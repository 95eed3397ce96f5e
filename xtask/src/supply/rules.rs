//! The rules of `deny.toml`, as far as they are used.

use spdx::Licensee;
use toml::{Table, Value};

use crate::metadata::{Package, TARGET};

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Licences that everybody may have.
    pub(super) licences: Vec<Licensee>,
    /// Crates with the licences that they may have besides.
    pub(super) exceptions: Vec<(String, Vec<Licensee>)>,
    /// Crates that are not wanted.
    pub(super) banned: Vec<Named>,
    /// Crates that do not count when versions are counted.
    pub(super) skipped: Vec<Named>,
}

/// A crate, or some versions of it, with the reason why it is named.
#[derive(Debug)]
pub(super) struct Named {
    name: String,
    /// The beginning of its version, up to a full stop; all of them when it is missing.
    version: Option<String>,
    pub(super) reason: String,
}

impl Named {
    pub(super) fn names(&self, package: &Package) -> bool {
        self.name == package.name
            && self.version.as_ref().is_none_or(|wanted| {
                let rest = package.version.strip_prefix(wanted.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
            })
    }

    /// As it stands in the file.
    pub(super) fn words(&self) -> String {
        let version = self.version.as_ref();
        let version = version.map(|version| format!("@{version}"));
        format!("{}{}", self.name, version.unwrap_or_default())
    }
}

/// Settings that this check keeps in the one way that the file may ask for.
const FIXED: [(&str, &str, &str); 7] = [
    ("licenses", "unused-allowed-license", "deny"),
    ("bans", "multiple-versions", "deny"),
    ("bans", "multiple-versions-include-dev", "true"),
    ("bans", "wildcards", "deny"),
    ("bans", "allow-wildcard-paths", "true"),
    ("sources", "unknown-registry", "deny"),
    ("sources", "unknown-git", "deny"),
];

/// Lists that are read.
const LISTS: [(&str, &str); 5] = [
    ("graph", "targets"),
    ("licenses", "allow"),
    ("licenses", "exceptions"),
    ("bans", "skip"),
    ("bans", "deny"),
];

type Read<T> = Result<T, String>;

impl Rules {
    /// Reads the text of the file; the error is a sentence.
    pub(super) fn read(text: &str) -> Read<Self> {
        let file: Table = text.parse().map_err(|error| format!("{error}"))?;
        for (section, value) in &file {
            let keys = value
                .as_table()
                .ok_or_else(|| format!("'{section}' is no section"))?;
            for key in keys.keys() {
                let known = FIXED
                    .iter()
                    .any(|(at, name, _)| at == section && name == key)
                    || LISTS.contains(&(section, key));
                if !known {
                    return Err(format!(
                        "this check does not know '{section}.{key}', so it would not be kept"
                    ));
                }
            }
        }
        for (section, key, wanted) in FIXED {
            let found = file.get(section).and_then(|keys| keys.get(key));
            if !found.is_some_and(|found| says(found, wanted)) {
                return Err(format!("'{section}.{key}' is not '{wanted}'"));
            }
        }
        let targets = list(&file, "graph", "targets");
        if !matches!(targets, [target] if target.as_str() == Some(TARGET)) {
            return Err(format!("'graph.targets' is not [\"{TARGET}\"]"));
        }
        let exceptions = list(&file, "licenses", "exceptions").iter();
        Ok(Self {
            licences: licensees(list(&file, "licenses", "allow"))?,
            exceptions: exceptions.map(exception).collect::<Read<_>>()?,
            banned: named(list(&file, "bans", "deny"))?,
            skipped: named(list(&file, "bans", "skip"))?,
        })
    }

    /// What a crate may have besides the usual licences.
    pub(super) fn own_licences(&self, name: &str) -> &[Licensee] {
        let own = self.exceptions.iter().find(|(known, _)| known == name);
        own.map_or(&[], |(_, licences)| licences)
    }
}

/// Whether a value is this word, or this truth.
fn says(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(word) => word == wanted,
        Value::Boolean(truth) => truth.to_string() == wanted,
        _ => false,
    }
}

fn list<'a>(file: &'a Table, section: &str, key: &str) -> &'a [Value] {
    let value = file.get(section).and_then(|keys| keys.get(key));
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn licensees(values: &[Value]) -> Read<Vec<Licensee>> {
    let texts = values.iter().map(|value| text(Some(value), "a licence"));
    texts
        .map(|text| {
            let text = text?;
            Licensee::parse(&text).map_err(|error| format!("'{text}': {}", error.reason))
        })
        .collect()
}

fn exception(value: &Value) -> Read<(String, Vec<Licensee>)> {
    only(value, &["crate", "allow"])?;
    let allowed = value.get("allow").and_then(Value::as_array);
    let allowed = allowed.ok_or("an exception has no 'allow'")?;
    Ok((
        text(value.get("crate"), "an exception's 'crate'")?,
        licensees(allowed)?,
    ))
}

fn named(values: &[Value]) -> Read<Vec<Named>> {
    let one = |value: &Value| {
        only(value, &["crate", "reason"])?;
        let whole = text(value.get("crate"), "a 'crate'")?;
        let (name, version) = match whole.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (whole.as_str(), None),
        };
        Ok(Named {
            name: name.to_owned(),
            version,
            reason: text(value.get("reason"), &format!("the reason for '{whole}'"))?,
        })
    };
    values.iter().map(one).collect()
}

fn only(value: &Value, known: &[&str]) -> Read<()> {
    let keys = value.as_table().into_iter().flat_map(Table::keys);
    let mut strange = keys.filter(|key| !known.contains(&key.as_str()));
    match strange.next() {
        None => Ok(()),
        Some(key) => Err(format!(
            "this check does not know the key '{key}' of an entry"
        )),
    }
}

fn text(value: Option<&Value>, what: &str) -> Read<String> {
    let text = value.and_then(Value::as_str);
    text.map(str::to_owned)
        .ok_or_else(|| format!("{what} is missing or no text"))
}
