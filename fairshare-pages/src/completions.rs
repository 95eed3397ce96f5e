//! Completions for the shells that distributions ship.

use clap::Command;
use clap_complete::Shell;
use clap_complete::aot::{Generator, generate};

use crate::folder::File;

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// A file for each shell, named as the shell looks for it.
pub(crate) fn all(command: &Command) -> Vec<File> {
    let name = command.get_name().to_owned();
    SHELLS
        .iter()
        .map(|shell| {
            let mut text = Vec::new();
            generate(*shell, &mut command.clone(), name.clone(), &mut text);
            File {
                name: shell.file_name(&name),
                text: String::from_utf8_lossy(&text).into_owned(),
            }
        })
        .collect()
}
