//! What the linker made: the name, the flags and the symbols of the shared library, and what
//! pkg-config says of it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::installed::{Installed, Language, Linking, built, source, succeed};

/// The dynamic section, as text.
fn dynamic(file: &std::path::Path) -> String {
    succeed(
        Command::new("readelf")
            .args(["--dynamic", "--wide"])
            .arg(file),
    )
}

#[test]
fn the_shared_library_has_a_soname_and_stays_loaded() {
    let section = dynamic(built("libfairshare.so"));
    assert!(section.contains("soname: [libfairshare.so.0]"), "{section}");
    assert!(section.contains("NODELETE"), "{section}");
}

#[test]
fn the_shared_library_needs_nothing_but_the_c_library() {
    let section = dynamic(built("libfairshare.so"));
    let needed: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.split_once("Shared library: [")?.1.strip_suffix(']'))
        .collect();
    for library in needed {
        let known = ["libc.so.6", "libgcc_s.so.1", "ld-linux"];
        assert!(
            known.iter().any(|name| library.starts_with(name)),
            "{library}"
        );
    }
}

#[test]
fn the_exported_symbols_are_exactly_the_functions_of_the_header() {
    let symbols = succeed(
        Command::new("nm")
            .args(["--dynamic", "--defined-only", "--format=posix"])
            .arg(built("libfairshare.so")),
    );
    let exported: BTreeSet<&str> = symbols
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let header = fs::read_to_string(source("include/fairshare.h")).unwrap();
    let code = without_comments(&header);
    let declared: BTreeSet<&str> = code
        .split(|c: char| !c.is_alphanumeric() && !"_(".contains(c))
        .filter_map(|word| word.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("fairshare_"))
        .collect();
    assert_eq!(exported, declared);
    assert!(declared.contains("fairshare_open_session"));
}

fn without_comments(code: &str) -> String {
    let mut parts = code.split("/*");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |code, part| {
        code + part.split_once("*/").expect("a comment ends").1
    })
}

#[test]
fn pkg_config_takes_the_file_and_gives_version_and_flags() {
    let installed = Installed::linked(Linking::Shared);
    installed.pkg_config(&["--validate"]);
    let version = installed.pkg_config(&["--modversion"]);
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    let lib = installed.lib().display().to_string();
    let flags = installed.pkg_config(&["--libs"]);
    assert_eq!(flags.trim(), format!("-L{lib} -lfairshare"));
}

#[test]
fn a_program_records_the_soname_or_holds_the_library() {
    let example = source("examples/c/session.c");
    for (linking, recorded) in [(Linking::Shared, true), (Linking::Static, false)] {
        let program = Installed::linked(linking).compile(&example, Language::C11);
        let section = dynamic(std::path::Path::new(program.get_program()));
        assert_eq!(
            section.contains("[libfairshare.so.0]"),
            recorded,
            "{section}"
        );
    }
}
