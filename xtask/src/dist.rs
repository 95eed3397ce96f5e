//! Builds what an administrator installs.
//!
//! [`tree`] lays everything out in the places where it is installed; debhelper makes the packages
//! of that, and lintian looks at them. What a package does, and which file belongs to which, is in
//! `packaging/debian`.

mod changelog;
mod rpm;
mod selinux;
mod tree;
mod twice;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout;
use crate::glibc;
use crate::machines;
use crate::problem::{Problem, Result};
use crate::program::{self, target};
use crate::sbom;
use crate::setup;
pub(crate) use twice::compare;

/// The version of all crates, and so of the packages.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Reproducible builds' name for the time that a build goes by.
const EPOCH_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Builds fairshare, and from it the packages in `target/dist`.
///
/// With `twice`, it does so again elsewhere and fails when something differs.
pub(crate) fn run(twice: bool) -> Result<()> {
    setup::run()?;
    machines::build()?;
    checked_packages()?;
    if twice { compare() } else { Ok(()) }
}

/// Makes the packages of what is built, of either kind, and has them looked at.
pub(crate) fn checked_packages() -> Result<()> {
    packages()?;
    let dist = target().join("dist");
    let debs = debs(&dist)?;
    lint(&debs)?;
    let root = stage(&dist).join("root");
    for rpm in rpm::build(&root, &debs, &dist.join("build/rpm"), &epoch()?)? {
        let package = dist.join(rpm.file_name().unwrap_or_default());
        fs::rename(&rpm, &package).map_err(Problem::io("rename", &rpm))?;
    }
    for package in made_before(&dist)? {
        println!("{}", package.display());
    }
    Ok(())
}

/// Makes the Debian packages of what is built.
pub(crate) fn packages() -> Result<()> {
    let epoch = epoch()?;
    let dist = target().join("dist");
    let staged = remove_then_make(&stage(&dist))?;
    let release = target().join("release");
    glibc::check(&release)?;
    let root = staged.join("root");
    tree::lay_out(&release, &root)?;
    sbom::write(&root.join(tree::SBOM), &epoch)?;
    debianise(&staged.join("debian"), &epoch)?;

    let mut build = program::command("dpkg-buildpackage", &BUILD);
    quietly(build.current_dir(&staged).env(EPOCH_VARIABLE, &epoch))?;
    let made = debs(&dist.join("build"))?;
    for old in made_before(&dist)? {
        fs::remove_file(&old).map_err(Problem::io("remove", &old))?;
    }
    for deb in made {
        let package = dist.join(deb.file_name().unwrap_or_default());
        fs::rename(&deb, &package).map_err(Problem::io("rename", &deb))?;
    }
    Ok(())
}

/// Runs a program that says much, which is shown when it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let output = program::output(command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Problem::new(format!(
        "'{}' failed: {}\n{}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&said)
    )))
}

/// Only packages, unsigned, of the folder as it is.
const BUILD: [&str; 4] = [
    "--build=binary",
    "--no-sign",
    "--no-pre-clean",
    "--no-check-builddeps",
];

/// Fails where lintian has something to say that no override explains.
fn lint(packages: &[PathBuf]) -> Result<()> {
    let mut lintian = program::command("lintian", &["--fail-on=error,warning", "--allow-root"]);
    program::run(lintian.args(packages))
}

/// The folder `debian` of the source package.
fn debianise(debian: &Path, epoch: &str) -> Result<()> {
    let packaging = program::workspace().join("packaging");
    tree::copy_folder(&packaging.join("debian"), debian)?;
    let units = packaging.join("systemd");
    for kind in ["service", "socket"] {
        // debhelper's name for the unit 'fairshared' in the package 'fairshare'.
        let unit = debian.join(format!("fairshare.fairshared.{kind}"));
        tree::copy(&units.join(format!("fairshared.{kind}")), &unit, 0o644)?;
        let unit = format!("fairshare-exporter.{kind}");
        tree::copy(&units.join(&unit), &debian.join(&unit), 0o644)?;
    }
    tree::copy(
        &packaging.join("sysusers.d/fairshare-exporter.conf"),
        &debian.join("fairshare-exporter.sysusers"),
        0o644,
    )?;
    let path = program::workspace().join("CHANGELOG.md");
    let text = fs::read_to_string(&path).map_err(Problem::io("read", &path))?;
    let entry = changelog::entry(&text, VERSION, &mail_date(epoch)?)?;
    let path = debian.join("changelog");
    fs::write(&path, entry).map_err(Problem::io("write", &path))
}

/// The time that all of a package's files have: that of the source's last change, unless the environment
/// has one.
fn epoch() -> Result<String> {
    match env::var(EPOCH_VARIABLE) {
        Ok(epoch) => Ok(epoch),
        Err(_) => Ok(checkout::changed()?.to_string()),
    }
}

/// As a changelog of Debian has it.
fn mail_date(epoch: &str) -> Result<String> {
    let mut date = program::command("date", &["--utc", "--rfc-email", "--date"]);
    let output = program::output(date.arg(format!("@{epoch}")).env("LC_ALL", "C"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(Problem::new(format!(
            "{EPOCH_VARIABLE} is '{epoch}', which is no number of seconds"
        )))
    }
}

/// Where the tree is laid out that every package is made of.
fn stage(dist: &Path) -> PathBuf {
    dist.join(format!("build/fairshare-{VERSION}"))
}

fn remove_then_make(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Problem::io("remove", folder))?;
    }
    fs::create_dir_all(folder).map_err(Problem::io("create", folder))?;
    Ok(folder.to_owned())
}

/// Packages of either kind that lie in a folder.
fn made_before(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = tree::entries(folder)?;
    found.retain(|path| {
        let extension = path.extension();
        extension.is_some_and(|extension| extension == "deb" || extension == "rpm")
    });
    Ok(found)
}

/// The Debian packages that lie in a folder, by name.
fn debs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = tree::entries(folder)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    Ok(found)
}
