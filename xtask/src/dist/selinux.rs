//! Compiles the `SELinux` policy, so that a mistake in it is seen here and not on a server.

use std::fs;
use std::path::{Path, PathBuf};

use super::tree;
use crate::problem::{Problem, Result};
use crate::program;

/// What the policy's source lies under, below the top of the checkout.
pub(super) const SOURCES: &str = "packaging/selinux";
/// Of a compiled module: the newest one would keep systems out that are older than the build.
const FORMAT: &str = "19";

/// Compiles the policy in `folder`, and tells where the module is.
pub(super) fn compile(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).map_err(Problem::io("create", folder))?;
    for name in ["fairshare.te", "fairshare.fc"] {
        let source = program::workspace().join(SOURCES).join(name);
        tree::copy(&source, &folder.join(name), 0o644)?;
    }
    // Both take file names as they are typed, and the first wants its output to be named so.
    let mut check = program::command("checkmodule", &["-E", "-M", "-m", "-c", FORMAT]);
    check.args(["-o", "fairshare.mod", "fairshare.te"]);
    program::run(check.current_dir(folder))?;
    let mut package = program::command("semodule_package", &["-o", "fairshare.pp"]);
    package.args(["-m", "fairshare.mod", "-f", "fairshare.fc"]);
    program::run(package.current_dir(folder))?;
    Ok(folder.join("fairshare.pp"))
}
