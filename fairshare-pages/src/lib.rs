//! Manual pages and completions, made from the definition of a command line.
//!
//! They say what `--help` says, because they come from the same definition. They are committed
//! under `packaging`, so that a package needs no run of this; a test of each program compares what
//! is committed with what would be made, and `cargo xtask pages` has the test write them anew.
//! Only tests use this crate: nothing of it is in a program that is installed.

#![forbid(unsafe_code)]

mod completions;
mod folder;
mod page;

use std::path::Path;

use clap::Command;

/// The environment variable that has [`keep`] write instead of compare, with the value `write`.
pub const MODE: &str = "FAIRSHARE_PAGES";

/// A program whose pages are made.
pub struct Program {
    /// The definition of its command line.
    pub command: Command,
    /// The section of the manual: 1 for everybody's commands, 8 for root's.
    pub section: &'static str,
    /// Files that it reads or listens on, each with what it is.
    pub files: &'static [(&'static str, &'static str)],
    /// Other pages to read, as `name(section)`.
    pub see_also: &'static [&'static str],
}

/// Compares the pages and completions under `packaging` with what the definition gives, or writes
/// them where [`MODE`] says so.
///
/// # Errors
/// A sentence for each file that is missing, differs or is of a command that has gone.
pub fn keep(program: &Program, packaging: &Path) -> Result<(), String> {
    let name = program.command.get_name();
    let pages = page::all(program);
    let completions = completions::all(&program.command);
    let write = std::env::var_os(MODE).is_some_and(|mode| mode == "write");
    let visit = if write {
        folder::write
    } else {
        folder::compare
    };
    let mut faults = visit(&packaging.join("man"), &pages, &page::first_line(name));
    faults.extend(visit(&packaging.join("completions"), &completions, ""));
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}
