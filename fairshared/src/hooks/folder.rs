//! Which files of the folder are hooks, and which are not to be run.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::policy_file::distrust;

/// How many entries of the folder are looked at.
const MOST_ENTRIES: usize = 256;
/// The bits of a mode that let somebody execute.
const EXECUTABLE: u32 = 0o111;
/// Why a link is not followed, be it a hook or the folder: whoever owns a folder on the way to what
/// it leads to could put something else there.
const LINK: &str = "a link; put what it leads to in its place";

/// What is in the folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// To be run, in the order of their names.
    pub(super) hooks: Vec<PathBuf>,
    /// Not to be run, each with the reason.
    pub(super) refused: Vec<(PathBuf, String)>,
}

/// Looks for hooks, at most so many. A folder that is missing has none.
pub(super) fn look(folder: &Path, most: usize) -> Found {
    let mut found = Found::default();
    if let Err(why) = list(folder, most, &mut found) {
        found.refused.push((folder.to_owned(), why));
    }
    found
}

fn list(folder: &Path, most: usize, found: &mut Found) -> Result<(), String> {
    let unreadable = |error| format!("cannot read it: {error}");
    let metadata = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(unreadable)?,
    };
    if metadata.is_symlink() {
        return Err(LINK.to_owned());
    }
    trusted(folder, &metadata)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)?.take(MOST_ENTRIES) {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name().to_str().is_some_and(is_name) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    for path in paths {
        match fs::symlink_metadata(&path) {
            Ok(file) if file.is_symlink() => found.refused.push((path, LINK.to_owned())),
            // What cannot be executed is not meant to be run: its administrator has turned it off.
            Ok(file) if file.is_dir() || file.mode() & EXECUTABLE == 0 => {}
            Ok(file) if !file.is_file() => {
                found.refused.push((path, "not a regular file".to_owned()));
            }
            Ok(file) => match trusted(&path, &file) {
                Ok(()) if found.hooks.len() < most => found.hooks.push(path),
                Ok(()) => {
                    let why = format!("there are more than {most}");
                    found.refused.push((path, why));
                }
                Err(why) => found.refused.push((path, why)),
            },
            Err(error) => found.refused.push((path, unreadable(error))),
        }
    }
    Ok(())
}

/// As `run-parts(8)` takes names: no `mail.dpkg-old`, `mail~` and `README.txt`.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(allowed)
}

/// Whether only root, or the user that the daemon runs as, can change it.
fn trusted(path: &Path, metadata: &Metadata) -> Result<(), String> {
    let facts = (metadata.uid(), metadata.gid(), metadata.mode());
    match distrust(facts, geteuid().as_raw()) {
        Some((why, mend)) => Err(format!("{why}, mend it with '{mend} {}'", path.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn put(folder: &tempfile::TempDir, name: &str, mode: u32) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn what_run_parts_would_take_is_run_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let second = put(&folder, "20-mail", 0o755);
        let first = put(&folder, "10_chat", 0o700);
        put(&folder, "README", 0o644);
        put(&folder, "mail.dpkg-old", 0o755);
        put(&folder, "mail~", 0o755);
        fs::create_dir(folder.path().join("more")).unwrap();

        let found = look(folder.path(), 8);

        assert_eq!(found.hooks, [first.clone(), second]);
        assert!(found.refused.is_empty(), "{found:?}");
        let one = look(folder.path(), 1);
        assert_eq!(one.hooks, [first]);
        assert_eq!(one.refused[0].1, "there are more than 1");
    }

    #[test]
    fn what_others_can_change_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let open = put(&folder, "open", 0o757);
        let found = look(folder.path(), 8);
        assert_eq!(found.hooks, Vec::<PathBuf>::new());
        let why = format!(
            "writable by everybody, mend it with 'chmod go-w {}'",
            open.display()
        );
        assert_eq!(found.refused, [(open, why)]);

        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        put(&folder, "good", 0o755);
        let found = look(folder.path(), 8);
        assert!(found.hooks.is_empty(), "{found:?}");
        assert_eq!(found.refused[0].0, folder.path());
    }

    #[test]
    fn a_link_is_not_run_wherever_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let good = put(&elsewhere, "good", 0o755);
        let hook = folder.path().join("hook");
        std::os::unix::fs::symlink(good, &hook).unwrap();
        let found = look(folder.path(), 8);
        assert!(found.hooks.is_empty(), "{found:?}");
        assert_eq!(found.refused, [(hook, LINK.to_owned())]);

        let hooks = folder.path().join("hooks.d");
        std::os::unix::fs::symlink(elsewhere.path(), &hooks).unwrap();
        let found = look(&hooks, 8);
        assert!(found.hooks.is_empty(), "{found:?}");
        assert_eq!(found.refused, [(hooks, LINK.to_owned())]);
    }

    #[test]
    fn a_missing_folder_has_none() {
        assert_eq!(look(Path::new("/nonexistent/hooks.d"), 8), Found::default());
    }
}
