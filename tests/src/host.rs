//! The developer's own machine: where things lie and which package has which program.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{LabError, Result};

/// The top of the checkout.
pub fn workspace() -> PathBuf {
    // Cargo tells at run time where the package lies now; else where it lay when it was built.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.join("image/after-packages.sh").exists())
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    package
        .parent()
        .map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Where the lab keeps images, logs and the state of machines.
pub fn lab() -> PathBuf {
    target().join("lab")
}

/// Makes a folder and those above it.
pub fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(LabError::io("create", path))
}

/// Reads a file as text.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(LabError::io("read", path))
}

/// Writes a file.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(LabError::io("write", path))
}

/// The Debian package that has a program which the lab runs.
pub fn package_of(program: &str) -> &'static str {
    match program {
        "qemu-system-x86_64" => "qemu-system-x86",
        "mmdebstrap" => "mmdebstrap",
        "mkfs.ext4" => "e2fsprogs",
        "ssh" | "ssh-keygen" | "scp" | "sftp" => "openssh-client",
        "setpriv" | "setsid" => "util-linux",
        "rsync" => "rsync",
        "fakeroot" => "fakeroot",
        "tar" => "tar",
        "apt-config" => "apt",
        "cargo" => "cargo",
        _ => "(unknown)",
    }
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    // The owner of this process's own folder in /proc is its effective user.
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
