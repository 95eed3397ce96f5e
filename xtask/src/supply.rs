//! Whether what comes from others is what `deny.toml` allows: licences, crates, sources.
//!
//! The file is cargo-deny's own, and this is a second, small reader of the part that is used here:
//! see `docs/decisions/0025`. A key that it does not know is a failure, so that no rule is written
//! down and not kept.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use spdx::{Expression, ParseMode};

use crate::metadata::{self, Package};
use crate::problem::{Problem, Result};
use crate::program;
use rules::Rules;

/// How the registry begins that cargo takes by itself, as it stands in `Cargo.lock`: an index of the
/// Rust project's.
const REGISTRY: &str = "registry+https://github.com/rust-lang/";

/// Fails when a package is not as `deny.toml` wants it, with every fault.
pub(crate) fn check() -> Result<()> {
    let path = program::workspace().join("deny.toml");
    let text = fs::read_to_string(&path).map_err(Problem::io("read", &path))?;
    let rules = Rules::read(&text)
        .map_err(|error| Problem::new(format!("cannot use '{}': {error}", path.display())))?;
    let packages = metadata::packages()?;
    let found = faults(&rules, &packages);
    if found.is_empty() {
        println!(
            "{} packages have licences, versions and sources that deny.toml allows",
            packages.len()
        );
        Ok(())
    } else {
        Err(Problem::new(format!(
            "not as deny.toml wants it:\n  {}",
            found.join("\n  ")
        )))
    }
}

/// Every fault, a sentence each.
fn faults(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut found = licences(rules, packages);
    found.extend(banned(rules, packages));
    found.extend(twice(rules, packages));
    found.extend(anything_will_do(packages));
    found.extend(sources(packages));
    found
}

/// Packages whose licence is not allowed, and licences that are allowed for nobody.
fn licences(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    let mut exempt = BTreeSet::new();
    for package in packages {
        let Some(text) = &package.licence else {
            found.push(format!("{} names no licence", full_name(package)));
            continue;
        };
        // Some authors still write `MIT/Apache-2.0`.
        let expression = match Expression::parse_mode(text, ParseMode::LAX) {
            Ok(expression) => expression,
            Err(error) => {
                let why = error.reason;
                found.push(format!(
                    "{} has a licence that cannot be read, '{text}': {why}",
                    full_name(package)
                ));
                continue;
            }
        };
        let own = rules.own_licences(&package.name);
        let passes = expression.evaluate(|wanted| {
            let usual = rules.licences.iter().filter(|one| one.satisfies(wanted));
            let own = own.iter().filter(|one| one.satisfies(wanted));
            let usual: Vec<_> = usual.map(ToString::to_string).collect();
            let by_exception = own.count() > 0;
            if by_exception {
                exempt.insert(package.name.clone());
            }
            let passes = by_exception || !usual.is_empty();
            used.extend(usual);
            passes
        });
        if !passes {
            found.push(format!(
                "{} is under '{text}', which is not allowed",
                full_name(package)
            ));
        }
    }
    let idle = rules.licences.iter().map(ToString::to_string);
    let idle = idle.filter(|licence| !used.contains(licence));
    found.extend(idle.map(|licence| format!("licence '{licence}' is allowed and nobody has it")));
    let idle = rules.exceptions.iter().map(|(name, _)| name);
    let idle = idle.filter(|name| !exempt.contains(*name));
    found.extend(idle.map(|name| format!("the exception for '{name}' is not needed")));
    found
}

fn banned(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        for ban in rules.banned.iter().filter(|ban| ban.names(package)) {
            found.push(format!(
                "{} is not wanted: {}",
                full_name(package),
                ban.reason
            ));
        }
    }
    found
}

/// Crates that are there in more than one version, and leave given to such that are not.
fn twice(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        if !rules.skipped.iter().any(|skip| skip.names(package)) {
            let of_name = versions.entry(&package.name).or_default();
            of_name.push(&package.version);
        }
    }
    let twice = versions.iter().filter(|(_, versions)| versions.len() > 1);
    let mut found: Vec<_> = twice
        .map(|(name, versions)| format!("'{name}' is there as {}", versions.join(" and as ")))
        .collect();
    let idle = rules.skipped.iter();
    let idle = idle.filter(|skip| !packages.iter().any(|package| skip.names(package)));
    found.extend(idle.map(|skip| format!("'{}' is skipped and not there", skip.words())));
    found
}

/// Packages of this workspace that take any version of something.
fn anything_will_do(packages: &[Package]) -> Vec<String> {
    let own = packages.iter().filter(|package| package.source.is_none());
    own.flat_map(|package| {
        let loose = package.dependencies.iter();
        let loose = loose.filter(|wanted| wanted.requirement == "*" && !wanted.by_path);
        loose.map(|wanted| {
            format!(
                "{} takes any version of '{}'",
                full_name(package),
                wanted.name
            )
        })
    })
    .collect()
}

fn sources(packages: &[Package]) -> Vec<String> {
    let foreign = packages.iter().filter_map(|package| {
        let source = package.source.as_deref()?;
        (!source.starts_with(REGISTRY))
            .then(|| format!("{} comes from '{source}'", full_name(package)))
    });
    foreign.collect()
}

fn full_name(package: &Package) -> String {
    format!("'{} {}'", package.name, package.version)
}

#[cfg(test)]
mod tests;
