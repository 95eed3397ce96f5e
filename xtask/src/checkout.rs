//! What belongs to the source, and when it changed last: as git has it, or where there is no git, as it
//! lies in the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use crate::problem::{Problem, Result};
use crate::program;

/// The files of the source, from the top of the checkout, in the order of their names. What is new and
/// not ignored is among them, and what was removed is not.
pub(crate) fn files() -> Result<Vec<String>> {
    let top = program::workspace();
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let mut files: Vec<String> = match said_by_git(&listing) {
        // One that was removed and not yet committed so is listed all the same.
        Some(listed) => listed
            .lines()
            .map(str::to_owned)
            .filter(|name| top.join(name).exists())
            .collect(),
        None => lying_in(&top)?,
    };
    files.sort();
    Ok(files)
}

/// The time of the last change, in seconds since 1970: the last commit's, or that of the newest file.
pub(crate) fn changed() -> Result<u64> {
    let commit = said_by_git(&["log", "-1", "--format=%ct"]);
    if let Some(time) = commit.and_then(|time| time.trim().parse().ok()) {
        return Ok(time);
    }
    let top = program::workspace();
    let mut newest = 0;
    for name in files()? {
        let path = top.join(name);
        let changed = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let changed = changed.map_err(Problem::io("read", &path))?;
        let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        newest = newest.max(since.as_secs());
    }
    Ok(newest)
}

/// What git answers; nothing where there is none, or where this is no checkout of its own.
fn said_by_git(arguments: &[&str]) -> Option<String> {
    let top = program::workspace();
    if !top.join(".git").exists() {
        // One around this folder would tell of its own files.
        return None;
    }
    let mut git: Command = program::command("git", arguments);
    let output = program::output(&mut git).ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !said.is_empty()).then_some(said)
}

/// Every file below `top` but those of git and those that cargo made.
fn lying_in(top: &Path) -> Result<Vec<String>> {
    let made = [top.join(".git"), top.join("target"), program::target()];
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Problem::io("read", &folder))? {
            let entry = entry.map_err(Problem::io("read", &folder))?;
            let path = entry.path();
            if made.contains(&path) {
                continue;
            }
            let kind = entry.file_type().map_err(Problem::io("read", &path))?;
            if kind.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(top).ok().and_then(Path::to_str) {
                found.push(name.to_owned());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_git_the_source_is_what_lies_there() {
        let mut lying = lying_in(&program::workspace()).unwrap();
        lying.sort();
        let has = |name: &str| lying.iter().any(|file| file == name);
        assert!(has("Cargo.lock") && has("docs/README.md") && has(".ci/run"));
        assert!(
            !lying
                .iter()
                .any(|name| name.starts_with(".git/") || name.starts_with("target/"))
        );
        // Each of git's is among them; what is ignored may lie there besides.
        let listed = files().unwrap();
        let missing: Vec<_> = listed.iter().filter(|name| !has(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_last_change_was_in_this_century() {
        assert!(changed().unwrap() > 946_684_800);
    }
}
