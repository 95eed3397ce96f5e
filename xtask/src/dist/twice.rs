//! Builds the packages a second time, elsewhere, and compares them byte for byte.
//!
//! Who gets a package can then find out by building it that it was made of the source that it
//! names, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{EPOCH_VARIABLE, epoch, made_before, remove_then_make, tree};
use crate::checkout;
use crate::problem::{Problem, Result};
use crate::program::{self, target};

/// Fails when a second build, of a copy of the checkout with a target folder of its own, gives
/// other packages than those in `target/dist`.
pub(crate) fn compare() -> Result<()> {
    let first = target().join("dist");
    let elsewhere = target().join("dist-again");
    // Another depth too: a path that got in somewhere gives a different length.
    let checkout = elsewhere.join("somewhere/else/fairshare");
    let built = elsewhere.join("built");
    remove_then_make(&elsewhere)?;
    copy_checkout(&checkout)?;

    // This program as it runs: the steps before this one may have built it anew.
    let mut again = program::command("/proc/self/exe", &["dist"]);
    again
        // By this the task finds the top of the checkout.
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"))
        .env("CARGO_TARGET_DIR", &built)
        .env(EPOCH_VARIABLE, epoch()?);
    program::run(again.current_dir(&checkout))?;
    let found = differences(&contents(&first)?, &contents(&built.join("dist"))?);
    if found.is_empty() {
        println!("the packages are the same, byte for byte");
        fs::remove_dir_all(&elsewhere).map_err(Problem::io("remove", &elsewhere))
    } else {
        Err(Problem::new(format!(
            "a second build in '{}' gives something else:\n  {}\n'diffoscope' shows what differs",
            built.display(),
            found.join("\n  ")
        )))
    }
}

/// Copies the source as it is now.
fn copy_checkout(to: &Path) -> Result<()> {
    for name in checkout::files()? {
        tree::copy_as_it_is(&program::workspace().join(&name), &to.join(&name))?;
    }
    Ok(())
}

type Contents = BTreeMap<String, Vec<u8>>;

/// The packages in a folder, by name.
fn contents(dist: &Path) -> Result<Contents> {
    let mut contents = BTreeMap::new();
    for package in made_before(dist)? {
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(&package).map_err(Problem::io("read", &package))?;
        contents.insert(name.into_owned(), bytes);
    }
    Ok(contents)
}

/// Packages that only one side has, or that differ.
fn differences(first: &Contents, second: &Contents) -> Vec<String> {
    let mut found = Vec::new();
    if first.is_empty() {
        found.push("there are no packages to compare with".to_owned());
    }
    for (name, bytes) in first {
        match second.get(name) {
            None => found.push(format!("'{name}' is missing")),
            Some(other) if other != bytes => {
                let at = bytes.iter().zip(other).position(|(one, two)| one != two);
                let at = at.unwrap_or_else(|| bytes.len().min(other.len()));
                found.push(format!("'{name}' differs from byte {at} on"));
            }
            Some(_) => {}
        }
    }
    let more = second.keys().filter(|name| !first.contains_key(*name));
    found.extend(more.map(|name| format!("'{name}' is new")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(of: &[(&str, &[u8])]) -> Contents {
        of.iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
            .collect()
    }

    #[test]
    fn the_same_bytes_are_no_difference() {
        let packages = packages(&[("a.deb", b"12"), ("b.rpm", b"3")]);
        assert_eq!(differences(&packages, &packages), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        let first = packages(&[("a.deb", b"123"), ("b.deb", b"12"), ("c.rpm", b"1")]);
        let second = packages(&[("a.deb", b"1x3"), ("b.deb", b"123"), ("d.rpm", b"1")]);
        assert_eq!(
            differences(&first, &second),
            [
                "'a.deb' differs from byte 1 on",
                "'b.deb' differs from byte 2 on",
                "'c.rpm' is missing",
                "'d.rpm' is new",
            ]
        );
    }

    #[test]
    fn nothing_is_not_the_same_as_nothing() {
        let none = packages(&[]);
        assert_eq!(
            differences(&none, &none),
            ["there are no packages to compare with"]
        );
    }
}
