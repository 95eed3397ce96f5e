//! Builds the RPMs of the same tree as the Debian packages, with Debian's `rpmbuild`.
//!
//! What a package does, and which file belongs to which, is in `packaging/rpm`. See
//! `docs/decisions/0024`.

mod contents;
mod places;

use std::fs;
use std::path::{Path, PathBuf};

use super::{EPOCH_VARIABLE, VERSION, quietly, remove_then_make, selinux, tree};
use crate::problem::{Problem, Result};
use crate::program;

/// The licence's text, which Debian keeps once for all packages and Fedora in each.
const LICENCE_TEXT: &str = "/usr/share/common-licenses/Apache-2.0";

/// Files that have no place in the tree of the Debian packages, with their place and mode.
const OWN: [(&str, &str, u32); 14] = [
    (
        "packaging/rpm/fairshare-authselect",
        "usr/sbin/fairshare-authselect",
        0o755,
    ),
    (
        "packaging/rpm/80-fairshare.preset",
        "usr/lib/systemd/system-preset/80-fairshare.preset",
        0o644,
    ),
    ("LICENSE", "usr/share/licenses/fairshare/LICENSE", 0o644),
    ("LICENSE", "usr/share/licenses/libfairshare/LICENSE", 0o644),
    (
        LICENCE_TEXT,
        "usr/share/licenses/fairshare/Apache-2.0",
        0o644,
    ),
    (
        LICENCE_TEXT,
        "usr/share/licenses/libfairshare/Apache-2.0",
        0o644,
    ),
    (
        "CHANGELOG.md",
        "usr/share/doc/fairshare/CHANGELOG.md",
        0o644,
    ),
    (
        "packaging/systemd/fairshared.service",
        "usr/lib/systemd/system/fairshared.service",
        0o644,
    ),
    (
        "packaging/systemd/fairshared.socket",
        "usr/lib/systemd/system/fairshared.socket",
        0o644,
    ),
    (
        "LICENSE",
        "usr/share/licenses/fairshare-exporter/LICENSE",
        0o644,
    ),
    (
        LICENCE_TEXT,
        "usr/share/licenses/fairshare-exporter/Apache-2.0",
        0o644,
    ),
    (
        "packaging/systemd/fairshare-exporter.service",
        "usr/lib/systemd/system/fairshare-exporter.service",
        0o644,
    ),
    (
        "packaging/systemd/fairshare-exporter.socket",
        "usr/lib/systemd/system/fairshare-exporter.socket",
        0o644,
    ),
    (
        "packaging/sysusers.d/fairshare-exporter.conf",
        "usr/lib/sysusers.d/fairshare-exporter.conf",
        0o644,
    ),
];

/// Makes the RPMs of `debian_root`, the tree of the Debian packages, below `folder`.
///
/// `debs` are those packages: what is in them and not in the RPM, or the other way round, is a
/// fault unless the table of places says why.
pub(super) fn build(
    debian_root: &Path,
    debs: &[PathBuf],
    folder: &Path,
    epoch: &str,
) -> Result<Vec<PathBuf>> {
    remove_then_make(folder)?;
    let root = folder.join("root");
    lay_out(debian_root, &root)?;
    let module = selinux::compile(&folder.join("selinux"))?;
    let place = root.join("usr/share/selinux/packages/targeted/fairshare.pp");
    tree::copy(&module, &place, 0o644)?;
    let sources = program::workspace().join(selinux::SOURCES);
    let documents = root.join("usr/share/doc/fairshare-selinux");
    tree::copy_folder(&sources, &documents)?;
    let lists = folder.join("lists");
    list_pages(&root, &lists)?;

    let spec = program::workspace().join("packaging/rpm/fairshare.spec");
    let mut rpmbuild = program::command("rpmbuild", &["-bb", "--quiet", "--target=x86_64-linux"]);
    for (name, value) in [
        ("_topdir", folder.join("rpmbuild").display().to_string()),
        ("fairshare_version", VERSION.to_owned()),
        ("fairshare_root", root.display().to_string()),
        ("fairshare_lists", lists.display().to_string()),
    ] {
        rpmbuild.args(["--define", &format!("{name} {value}")]);
    }
    quietly(rpmbuild.arg(&spec).env(EPOCH_VARIABLE, epoch))?;

    let mut made = Vec::new();
    for kind in ["noarch", "x86_64"] {
        made.extend(tree::entries(&folder.join("rpmbuild/RPMS").join(kind))?);
    }
    contents::check(&made, debs)?;
    Ok(made)
}

/// Lays out the files where Fedora and RHEL have them.
fn lay_out(debian_root: &Path, root: &Path) -> Result<()> {
    let libraries = tree::libraries()?;
    for path in files(debian_root)? {
        let name = below(debian_root, &path);
        let Some(place) = places::place(&name, &libraries) else {
            continue;
        };
        let place = root.join(place);
        if path.is_symlink() {
            let target = fs::read_link(&path).map_err(Problem::io("read", &path))?;
            let parent = place.parent().unwrap_or(root);
            fs::create_dir_all(parent).map_err(Problem::io("create", parent))?;
            std::os::unix::fs::symlink(target, &place).map_err(Problem::io("create", &place))?;
        } else if name.starts_with("usr/share/man/") {
            compress(&path, &place)?;
        } else if name.contains("/pkgconfig/") {
            // It tells where the library is.
            let text = fs::read_to_string(&path).map_err(Problem::io("read", &path))?;
            let text = text.replace(&libraries, "usr/lib64");
            let parent = place.parent().unwrap_or(root);
            fs::create_dir_all(parent).map_err(Problem::io("create", parent))?;
            fs::write(&place, text).map_err(Problem::io("write", &place))?;
        } else {
            tree::copy(&path, &place, mode(&name))?;
        }
    }
    for (from, place, mode) in OWN {
        tree::copy(&program::workspace().join(from), &root.join(place), mode)?;
    }
    Ok(())
}

/// Fedora has libraries and modules as programs are; all else keeps to what it is.
fn mode(name: &str) -> u32 {
    let library = name.contains(".so");
    let program = ["usr/bin/", "usr/sbin/", "usr/libexec/"]
        .iter()
        .any(|folder| name.starts_with(folder));
    if library || program { 0o755 } else { 0o644 }
}

/// Compresses a page without the name and time of its source.
fn compress(page: &Path, place: &Path) -> Result<()> {
    let parent = place.parent().unwrap_or(place);
    fs::create_dir_all(parent).map_err(Problem::io("create", parent))?;
    let mut gzip = program::command("gzip", &["-9", "--no-name", "--stdout"]);
    let output = program::output(gzip.arg(page))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Problem::new(format!(
            "cannot compress '{}': {text}",
            page.display()
        )));
    }
    fs::write(place, output.stdout).map_err(Problem::io("write", place))
}

/// Writes which pages and completions there are, for the specification to take in.
fn list_pages(root: &Path, lists: &Path) -> Result<()> {
    fs::create_dir_all(lists).map_err(Problem::io("create", lists))?;
    let mut of_fairshare = String::new();
    let mut of_devel = String::new();
    let mut of_exporter = String::new();
    for path in files(root)? {
        let name = below(root, &path);
        let list = if name.starts_with("usr/share/man/man3/") {
            &mut of_devel
        } else if ["man", "bash-completion", "fish", "zsh"]
            .iter()
            .any(|folder| name.starts_with(&format!("usr/share/{folder}/")))
        {
            if name.contains("fairshare-exporter") {
                &mut of_exporter
            } else {
                &mut of_fairshare
            }
        } else {
            continue;
        };
        list.push('/');
        list.push_str(&name);
        list.push('\n');
    }
    for (name, list) in [
        ("fairshare", of_fairshare),
        ("devel", of_devel),
        ("exporter", of_exporter),
    ] {
        let path = lists.join(name);
        fs::write(&path, list).map_err(Problem::io("write", &path))?;
    }
    Ok(())
}

/// Every file and link below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in tree::entries(folder)? {
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

fn below(folder: &Path, path: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path);
    path.display().to_string()
}
