//! Keeps the manual pages and completions under `packaging` the same as what `--help` says.
//!
//! The crates of the programs hold the definitions; a test of each makes the pages from them and
//! compares, or writes where the environment says so. Pages written by hand stand beside them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::problem::{Problem, Result};
use crate::program;

/// The test of each program that makes its pages.
const TEST: &str = "the_pages_say_what_the_help_says";

/// What has the tests write instead of compare: name and value of an environment variable.
const WRITE: (&str, &str) = ("FAIRSHARE_PAGES", "write");

/// Fails when a page or completion is not what the definition says now, or groff has a warning.
pub(crate) fn check() -> Result<()> {
    program::run(&mut tests())?;
    let mut told = String::new();
    for page in pages()? {
        let path = page.display().to_string();
        // Every warning; nothing is printed but those.
        let arguments = ["-man", "-ww", "-z", "-Tutf8", path.as_str()];
        let output = program::output(&mut program::command("groff", &arguments))?;
        told.push_str(&String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            told.extend(["groff cannot read '", &path, "'\n"]);
        }
    }
    if told.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!("groff has warnings\n{told}")))
    }
}

/// Writes the pages and completions anew.
pub(crate) fn write() -> Result<()> {
    let (name, value) = WRITE;
    program::run(tests().env(name, value))
}

fn tests() -> Command {
    let packages = [
        "test",
        "--quiet",
        "--package=fairshare",
        "--package=fairshared",
        "--package=fairshare-exporter",
        "--bins",
    ];
    let mut command = program::cargo(&packages);
    command.args(["--", TEST]);
    command
}

/// Every manual page, in the order of their names.
fn pages() -> Result<Vec<PathBuf>> {
    let folder = program::workspace().join("packaging/man");
    let entries = fs::read_dir(&folder).map_err(Problem::io("read", &folder))?;
    let mut pages = Vec::new();
    for entry in entries {
        pages.push(entry.map_err(Problem::io("read", &folder))?.path());
    }
    pages.sort();
    Ok(pages)
}
