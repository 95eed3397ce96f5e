//! What was built, and where each piece goes in a machine that has the packages.
//!
//! Puts a change in place within seconds; what is installed to be tested are the
//! [packages](crate::packages).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command;
use crate::error::{LabError, Result};
use crate::host;

/// The policy that the daemon reads.
pub const POLICY: &str = "/etc/fairshare/policy.d/default.yaml";
/// Where all of `examples/` lies in the machine.
pub const EXAMPLES: &str = "/usr/share/doc/fairshare/examples";
/// The folder of PAM modules, and of libraries above it.
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/security";
/// The folder of systemd's units; the package has it by its other name, which is a link.
const UNITS: &str = "/usr/lib/systemd/system";
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// For packing some 20 MB.
const PACK_BOUND: Duration = Duration::from_secs(60);

/// A file that was built or written, and its place in the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    local: PathBuf,
    remote: String,
    mode: u32,
    /// How a person gets it when it is missing.
    origin: &'static str,
}

/// The pieces to install.
#[derive(Debug, Clone)]
pub struct Artifacts {
    pieces: Vec<Piece>,
    examples: PathBuf,
}

impl Artifacts {
    /// What is there by now, and a line on each thing that is not.
    pub fn present() -> (Self, Vec<String>) {
        let examples = host::workspace().join("examples");
        let (pieces, missing): (Vec<_>, Vec<_>) = pieces(
            &host::target().join("release"),
            &host::workspace().join("packaging"),
        )
        .into_iter()
        .partition(|piece| piece.local.exists());
        let missing = missing
            .iter()
            .map(|piece| format!("'{}' ({})", piece.local.display(), piece.origin))
            .collect();
        (Self { pieces, examples }, missing)
    }

    /// All pieces in one archive, to be unpacked at the machine's root.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let stage = tempfile::tempdir().map_err(LabError::io("create a folder in", "/tmp"))?;
        for piece in &self.pieces {
            copy(
                &piece.local,
                &below(stage.path(), &piece.remote),
                piece.mode,
            )?;
        }
        copy_tree(&self.examples, &below(stage.path(), EXAMPLES))?;
        let archive = stage.path().join("archive.tar");
        let mut tar = Command::new("tar");
        tar.args([
            "--create",
            "--owner=0",
            "--group=0",
            "--exclude=./archive.tar",
            "--file",
        ])
        .arg(&archive)
        .arg("--directory")
        .arg(stage.path())
        .arg(".");
        command::run(&mut tar, b"", PACK_BOUND)?.ok()?;
        fs::read(&archive).map_err(LabError::io("read", &archive))
    }
}

/// The table of all pieces.
fn pieces(release: &Path, packaging: &Path) -> Vec<Piece> {
    let built = |name: &str, remote: String, mode| Piece {
        local: release.join(name),
        remote,
        mode,
        origin: "'cargo build --release' makes it",
    };
    let unit = |name: &str| Piece {
        local: packaging.join("systemd").join(name),
        remote: format!("{UNITS}/{name}"),
        mode: 0o644,
        origin: "it is in the checkout",
    };
    vec![
        built("fairshared", "/usr/sbin/fairshared".into(), 0o755),
        built("fairshare", "/usr/bin/fairshare".into(), 0o755),
        built(
            "fairshare-exporter",
            "/usr/sbin/fairshare-exporter".into(),
            0o755,
        ),
        built(
            "libpam_fairshare.so",
            format!("{MODULES}/pam_fairshare.so"),
            0o644,
        ),
        built(
            "libfairshare.so",
            format!("{LIBRARIES}/libfairshare.so.0"),
            0o644,
        ),
        unit("fairshared.service"),
        unit("fairshared.socket"),
        unit("fairshare-exporter.service"),
        unit("fairshare-exporter.socket"),
    ]
}

fn below(root: &Path, absolute: &str) -> PathBuf {
    root.join(absolute.trim_start_matches('/'))
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(parent) = to.parent() {
        host::make_dir(parent)?;
    }
    fs::copy(from, to).map_err(LabError::io("copy", from))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(LabError::io("chmod", to))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    host::make_dir(to)?;
    for entry in fs::read_dir(from).map_err(LabError::io("read", from))? {
        let path = entry.map_err(LabError::io("read", from))?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        if path.is_dir() {
            copy_tree(&path, &to.join(name))?;
        } else {
            copy(&path, &to.join(name), 0o644)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_origin() {
        let all = pieces(
            Path::new("/nowhere/release"),
            Path::new("/nowhere/packaging"),
        );
        assert!(
            all.iter()
                .any(|piece| piece.remote.ends_with("security/pam_fairshare.so"))
        );
        assert!(
            all.iter()
                .all(|piece| piece.remote.starts_with('/') && !piece.origin.is_empty())
        );
    }

    #[test]
    fn a_tree_is_copied_with_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("sub/file"), "text").unwrap();
        let to = dir.path().join("to");
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("sub/file")).unwrap(), "text");
    }
}
