//! Where each file is installed: the one table of it, for every kind of package.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::problem::{Problem, Result};
use crate::program;

const PROGRAM: u32 = 0o755;
const DATA: u32 = 0o644;

/// The bill of materials, which is written when everything else is there.
pub(super) const SBOM: &str = "usr/share/doc/fairshare/sbom.spdx.json";

/// What is committed and has one place. The units are not among it: debhelper and rpm each know
/// theirs.
const COMMITTED: [(&str, &str, u32); 8] = [
    (
        "examples/policy.d/default.yaml",
        "etc/fairshare/policy.d/default.yaml",
        DATA,
    ),
    (
        "packaging/hooks.d/README",
        "etc/fairshare/hooks.d/README",
        DATA,
    ),
    (
        "packaging/sysusers.d/fairshare.conf",
        "usr/lib/sysusers.d/fairshare.conf",
        DATA,
    ),
    ("include/fairshare.h", "usr/include/fairshare.h", DATA),
    ("README.md", "usr/share/doc/fairshare/README.md", DATA),
    (
        "ARCHITECTURE.md",
        "usr/share/doc/fairshare/ARCHITECTURE.md",
        DATA,
    ),
    ("SECURITY.md", "usr/share/doc/fairshare/SECURITY.md", DATA),
    (
        "packaging/scripts/lift-limits",
        "usr/libexec/fairshare/lift-limits",
        PROGRAM,
    ),
];

/// Folders of which every file that is there is installed.
const FOLDERS: [(&str, &str); 3] = [
    // Beside what its pages point to.
    ("docs", "usr/share/doc/fairshare/docs"),
    ("examples", "usr/share/doc/fairshare/examples"),
    ("packaging/pam-configs", "usr/share/pam-configs"),
];

/// Folders that a package may name, whether something is in them or not.
const EXPECTED: [&str; 8] = [
    "etc/apparmor.d",
    "usr/share/bash-completion/completions",
    "usr/share/fish/vendor_completions.d",
    "usr/share/man/man1",
    "usr/share/man/man3",
    "usr/share/man/man5",
    "usr/share/man/man8",
    "usr/share/zsh/vendor-completions",
];

/// Lays out everything that is installed below `root`, with what cargo built in `release`.
pub(super) fn lay_out(release: &Path, root: &Path) -> Result<()> {
    let workspace = program::workspace();
    let libraries = libraries()?;
    let modules = format!("{libraries}/security");
    for (name, place, mode) in [
        ("fairshared", "usr/sbin/fairshared".to_owned(), PROGRAM),
        ("fairshare", "usr/bin/fairshare".to_owned(), PROGRAM),
        (
            "fairshare-exporter",
            "usr/sbin/fairshare-exporter".to_owned(),
            PROGRAM,
        ),
        (
            "libpam_fairshare.so",
            format!("{modules}/pam_fairshare.so"),
            DATA,
        ),
        (
            "libfairshare.so",
            format!("{libraries}/libfairshare.so.0"),
            DATA,
        ),
    ] {
        copy(&release.join(name), &root.join(place), mode)?;
    }
    for (from, place, mode) in COMMITTED {
        copy(&workspace.join(from), &root.join(place), mode)?;
    }
    for (from, place) in FOLDERS {
        copy_folder(&workspace.join(from), &root.join(place))?;
    }
    for folder in EXPECTED {
        make(&root.join(folder))?;
    }
    for folder in ["man", "completions", "apparmor"] {
        for path in entries(&workspace.join("packaging").join(folder))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(place) = place(folder, &name) {
                copy(&path, &root.join(place), DATA)?;
            }
        }
    }
    let link = root.join(&libraries).join("libfairshare.so");
    symlink("libfairshare.so.0", &link).map_err(Problem::io("create", &link))?;
    pkg_config(&workspace, root, &libraries)
}

/// Where a page, a completion or a profile goes; `None` for what is none.
fn place(folder: &str, name: &str) -> Option<String> {
    match folder {
        "man" => {
            let (_, section) = name.rsplit_once('.')?;
            let known = matches!(section, "1" | "3" | "5" | "8");
            known.then(|| format!("usr/share/man/man{section}/{name}"))
        }
        "completions" => {
            if let Some(program) = name.strip_suffix(".bash") {
                // bash looks for the bare name of the program.
                Some(format!("usr/share/bash-completion/completions/{program}"))
            } else if name.strip_suffix(".fish").is_some() {
                Some(format!("usr/share/fish/vendor_completions.d/{name}"))
            } else if name.starts_with('_') {
                Some(format!("usr/share/zsh/vendor-completions/{name}"))
            } else {
                None
            }
        }
        // Named by the path of the program, which is what AppArmor's profiles are.
        "apparmor" => name
            .starts_with("usr.")
            .then(|| format!("etc/apparmor.d/{name}")),
        _ => None,
    }
}

/// What `pkg-config fairshare` tells.
fn pkg_config(workspace: &Path, root: &Path, libraries: &str) -> Result<()> {
    let path = workspace.join("libfairshare/fairshare.pc.in");
    let template = fs::read_to_string(&path).map_err(Problem::io("read", &path))?;
    let text = template
        .replace("@PREFIX@", "/usr")
        .replace("@LIBDIR@", &format!("/{libraries}"))
        .replace("@INCLUDEDIR@", "${prefix}/include")
        .replace("@VERSION@", super::VERSION);
    let place = root.join(libraries).join("pkgconfig/fairshare.pc");
    make(place.parent().unwrap_or(root))?;
    fs::write(&place, text).map_err(Problem::io("write", &place))
}

/// Debian's folder of libraries for this kind of machine, without the leading slash.
pub(super) fn libraries() -> Result<String> {
    Ok(format!("usr/lib/{}", multiarch()?))
}

/// Debian's name for this kind of machine, which is a folder of `/usr/lib`.
fn multiarch() -> Result<String> {
    let mut ask = program::command("dpkg-architecture", &["--query", "DEB_HOST_MULTIARCH"]);
    let output = program::output(&mut ask)?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if name.is_empty() {
        Err(Problem::new(
            "dpkg-architecture does not say what kind of machine this is",
        ))
    } else {
        Ok(name)
    }
}

/// The files and folders of a folder by name; none where there is no folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Problem::io("read", folder))? {
        found.push(entry.map_err(Problem::io("read", folder))?.path());
    }
    found.sort();
    Ok(found)
}

/// Copies a folder with those in it. What may be run stays so.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    make(to)?;
    for path in entries(from)? {
        let place = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &place)?;
            continue;
        }
        copy_as_it_is(&path, &place)?;
    }
    Ok(())
}

/// Copies a file. What may be run stays so.
pub(super) fn copy_as_it_is(from: &Path, to: &Path) -> Result<()> {
    let metadata = fs::metadata(from).map_err(Problem::io("read", from))?;
    let runs = metadata.permissions().mode() & 0o100 != 0;
    copy(from, to, if runs { PROGRAM } else { DATA })
}

/// Copies a file and sets its mode, whatever the umask is.
pub(super) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make(to.parent().unwrap_or(to))?;
    fs::copy(from, to).map_err(Problem::io("copy", from))?;
    fs::set_permissions(to, Permissions::from_mode(mode)).map_err(Problem::io("chmod", to))
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Problem::io("create", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_go_where_their_readers_look() {
        for (folder, name, expected) in [
            ("man", "fairshare.1", Some("usr/share/man/man1/fairshare.1")),
            ("man", "README.md", None),
            (
                "completions",
                "fairshare.bash",
                Some("usr/share/bash-completion/completions/fairshare"),
            ),
            (
                "completions",
                "_fairshare",
                Some("usr/share/zsh/vendor-completions/_fairshare"),
            ),
            (
                "completions",
                "fairshare.fish",
                Some("usr/share/fish/vendor_completions.d/fairshare.fish"),
            ),
            (
                "apparmor",
                "usr.sbin.fairshared",
                Some("etc/apparmor.d/usr.sbin.fairshared"),
            ),
        ] {
            assert_eq!(place(folder, name).as_deref(), expected, "{name}");
        }
    }
}
