//! What the tests load: the module, its panicking twin, and the host.
//!
//! Cargo builds no cdylib for the integration tests of its package, so they build it themselves,
//! in the same profile and the same target folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs, process};

pub(crate) struct Artifacts {
    pub(crate) module: PathBuf,
    pub(crate) panicking: PathBuf,
    pub(crate) host: PathBuf,
}

pub(crate) fn artifacts() -> &'static Artifacts {
    static ARTIFACTS: OnceLock<Artifacts> = OnceLock::new();
    ARTIFACTS.get_or_init(|| {
        let folder = build_modules();
        Artifacts {
            module: existing(folder.join("libpam_fairshare.so")),
            panicking: existing(folder.join("examples/libpanicking.so")),
            host: build_host(),
        }
    })
}

/// The folder of this crate.
pub(crate) fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target_folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// Builds the two modules and gives the folder that they are in.
fn build_modules() -> PathBuf {
    // This program is TARGET/PROFILE/deps/NAME, or TARGET/TRIPLE/PROFILE/deps/NAME.
    let program = env::current_exe().unwrap();
    let name = program.ancestors().nth(2).unwrap().file_name().unwrap();
    let name = name.to_str().unwrap();
    let profile = if name == "debug" { "dev" } else { name };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "pam_fairshare", "--lib"])
        .args(["--example", "panicking", "--profile", profile])
        .arg("--target-dir")
        .arg(target_folder())
        .current_dir(crate_folder())
        .status()
        .unwrap();
    assert!(status.success(), "cannot build the module: {status}");
    target_folder().join(name)
}

fn build_host() -> PathBuf {
    let host = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pam_host");
    // Another run of the tests may be using the one that is there.
    let new = host.with_extension(process::id().to_string());
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(&compiler)
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-rdynamic"])
        .arg(crate_folder().join("tests/host/host.c"))
        .arg("-o")
        .arg(&new)
        .args(["-lpam", "-ldl"])
        .status()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", compiler.display()));
    assert!(
        status.success(),
        "cannot compile the host (it needs the packages gcc and libpam0g-dev): {status}"
    );
    fs::rename(&new, &host).unwrap();
    host
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} was not built", path.display());
    path
}
