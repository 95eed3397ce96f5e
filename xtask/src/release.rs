//! What makes a release build the same wherever it is made.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::program;

/// Between flags in cargo's variable, so that a path may have blanks.
const SEPARATOR: char = '\u{1f}';
const ENCODED: &str = "CARGO_ENCODED_RUSTFLAGS";

/// Takes the folders of this machine out of what cargo will build.
///
/// Messages of panics hold the paths of sources. Left alone they would make the packages differ
/// with the folder in which they were built, and tell the world its name.
pub(crate) fn without_own_paths(cargo: &mut Command) -> &mut Command {
    let given = env::var(ENCODED).ok().or_else(|| {
        let plain = env::var("RUSTFLAGS").ok()?;
        let flags: Vec<_> = plain.split_whitespace().collect();
        Some(flags.join(&SEPARATOR.to_string()))
    });
    let mut flags: Vec<_> = given
        .filter(|flags| !flags.is_empty())
        .into_iter()
        .collect();
    flags.extend(
        remapped()
            .into_iter()
            .map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())),
    );
    cargo.env(ENCODED, flags.join(&SEPARATOR.to_string()))
}

/// Folders with the names that stand for them. Where one lies in another, the inner comes later,
/// as rustc wants it.
fn remapped() -> [(PathBuf, &'static str); 3] {
    let home = env::home_dir().unwrap_or_default();
    let cargo = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    [
        (cargo, "/cargo"),
        (program::workspace(), "/fairshare"),
        (program::target(), "/target"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_of_this_machine_gets_another_name() {
        let mut cargo = Command::new("cargo");
        without_own_paths(&mut cargo);
        let variables: Vec<_> = cargo.get_envs().collect();
        let (_, flags) = variables.iter().find(|(name, _)| *name == ENCODED).unwrap();
        let flags = flags.unwrap().to_string_lossy().into_owned();
        let checkout = program::workspace();
        let expected = format!("--remap-path-prefix={}=/fairshare", checkout.display());
        assert!(
            flags.split(SEPARATOR).any(|flag| flag == expected),
            "{flags}"
        );
        assert_eq!(flags.matches("--remap-path-prefix=").count(), 3);
    }
}
