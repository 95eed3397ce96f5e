//! What the built file is: its symbols, what it needs, how it is linked, and how it refuses to be
//! built.

use std::path::Path;
use std::process::Command;

use crate::artifacts::{artifacts, crate_folder};

/// What a program of the compiler's toolchain prints.
fn output(program: &str, args: &[&str], file: &Path) -> String {
    let output = Command::new(program)
        .args(args)
        .arg(file)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program} (package binutils): {error}"));
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_exports_the_hooks_of_pam_and_nothing_else() {
    let symbols = output("nm", &["-D", "--defined-only"], &artifacts().module);
    let mut names: Vec<&str> = symbols
        .lines()
        .map(|line| line.split_whitespace().last().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "pam_sm_acct_mgmt",
            "pam_sm_authenticate",
            "pam_sm_chauthtok",
            "pam_sm_close_session",
            "pam_sm_open_session",
            "pam_sm_setcred",
        ]
    );
}

#[test]
fn it_stays_mapped_has_no_soname_and_needs_only_libpam_and_the_c_library() {
    let dynamic = output("readelf", &["--dynamic", "--wide"], &artifacts().module);
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    assert!(!dynamic.contains("(SONAME)"), "{dynamic}");
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .map(|line| line.split(['[', ']']).nth(1).unwrap())
        .collect();
    assert!(needed.contains(&"libpam.so.0"), "{needed:?}");
    for library in needed {
        let known = ["libpam.so.0", "libc.so.6", "libgcc_s.so.1"].contains(&library)
            || library.starts_with("ld-linux");
        assert!(known, "{library}");
    }
}

#[test]
fn it_cannot_be_built_with_panics_that_abort() {
    // What else the compiler says, it says of crates that it is not given here.
    let refusal = |strategy: &str| {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"))
            .args(["--edition", "2024", "--crate-type", "lib"])
            .args(["--emit", "metadata", "-C", &format!("panic={strategy}")])
            .arg("--out-dir")
            .arg(folder.path())
            .arg(crate_folder().join("src/lib.rs"))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).contains("pam_fairshare stops panics")
    };
    assert!(refusal("abort"));
    assert!(!refusal("unwind"));
}
