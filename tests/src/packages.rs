//! The packages that `cargo xtask dist` built, and a machine with them installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::command::{self, Output};
use crate::error::{LabError, Result};
use crate::host;
use crate::machine::Machine;

/// All of them, as an administrator has them on the command line.
const NAMES: [&str; 4] = [
    "fairshare",
    "fairshare-exporter",
    "libfairshare0",
    "libfairshare-dev",
];
/// What they are made of, by which it is seen whether they are of an older build.
const MADE_OF: [&str; 5] = [
    "fairshared",
    "fairshare",
    "fairshare-exporter",
    "libpam_fairshare.so",
    "libfairshare.so",
];
/// How a person gets them.
const ORIGIN: &str = "'cargo xtask dist' makes the packages";
/// Where packages lie in the machine while they are installed.
pub const FOLDER: &str = "/var/tmp/fairshare-packages";
/// For unpacking and repacking on this machine.
const PACK_BOUND: Duration = Duration::from_secs(60);
/// For `dpkg --install` in an emulated machine on a busy host.
const INSTALL_BOUND: Duration = Duration::from_secs(240);

/// Shows which files there are, and what PAM's say. Not those that come and go by themselves, nor what
/// dpkg keeps of each package.
const INVENTORY: &str = r"
find /etc /usr /lib /var/lib /run \( -path /run/user -o -path /run/udev -o -path /run/log \
    -o -path /run/systemd/sessions -o -path /run/systemd/users -o -path /run/systemd/inhibit \
    -o -path '/run/systemd/namespace-*' -o -path /run/systemd/journal -o -path /run/systemd/units -o -path /run/systemd/netif \
    -o -path /run/systemd/dynamic-uid -o -path '/run/systemd/transient/session-*' -o -path /run/credentials \
    -o -path '/var/lib/dpkg/*-old' -o -path /var/lib/fairshare-lab -o -path /run/sudo \
    -o -path /usr/share/doc -o -path /usr/share/man -o -path /run/sshd.pid \) -prune -o -print
find /etc/pam.d /var/lib/pam -type f -exec md5sum {} +
";

/// What is run in the machine. The pristine configuration is kept for
/// [`Machine::reset`](crate::Machine::reset).
const INSTALL: &str = r"
set -e
lab=/var/lib/fairshare-lab
mkdir -p $lab
[ -e $lab/without ] || { INVENTORY } > $lab/without
# The image was made without documentation; of these packages it is wanted.
rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap
export DEBIAN_FRONTEND=noninteractive
dpkg --install /var/tmp/fairshare-packages/*.deb
# An emulated machine beside another one is slower than the default has patience with. What the
# module does when it waits for too long is tried with arguments of its own.
sed -i 's/pam_fairshare[.]so$/& timeout=5000/' /etc/pam.d/common-session*
pristine=$lab/pristine
rm -rf $pristine
mkdir -p $pristine/systemd
cp -a /etc/pam.d /etc/fairshare /etc/group /etc/gshadow /etc/nsswitch.conf $pristine
cp -a /etc/systemd/system $pristine/systemd
";

/// The built packages.
#[derive(Debug, Clone)]
pub struct Packages {
    files: Vec<PathBuf>,
}

impl Packages {
    /// Those of the last build; an error says when they are missing or older than what was built.
    pub fn built() -> Result<Self> {
        let dist = host::target().join("dist");
        let mut files = Vec::new();
        for name in NAMES {
            files.push(find(&dist, name)?);
        }
        for name in MADE_OF {
            let program = host::target().join("release").join(name);
            if let Some(file) = files.first()
                && changed(&program)? > changed(file)?
            {
                return Err(LabError::other(format!(
                    "'{}' is newer than '{}': {ORIGIN}",
                    program.display(),
                    file.display()
                )));
            }
        }
        Ok(Self { files })
    }

    /// The same with another version, made in `folder`: an older release to upgrade from.
    pub fn with_version(&self, version: &str, folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for file in &self.files {
            let name = file.file_name().unwrap_or_default();
            let made = folder.join(name);
            let tree = folder.join("tree");
            dpkg_deb(&["--raw-extract"], &[file, &tree])?;
            let control = tree.join("DEBIAN/control");
            let text = host::read(&control)?;
            let lines: Vec<_> = text
                .lines()
                .map(|line| match line.strip_prefix("Version: ") {
                    Some(_) => format!("Version: {version}"),
                    // The development package asks for the library of its own version.
                    None if line.starts_with("Depends: libfairshare0 (= ") => {
                        format!("Depends: libfairshare0 (= {version})")
                    }
                    None => line.to_owned(),
                })
                .collect();
            host::write(&control, &(lines.join("\n") + "\n"))?;
            // Nothing of it is kept: packing it tightly would only take time.
            dpkg_deb(
                &["--root-owner-group", "-Zgzip", "-z1", "--build"],
                &[&tree, &made],
            )?;
            fs::remove_dir_all(&tree).map_err(LabError::io("remove", &tree))?;
            files.push(made);
        }
        Ok(Self { files })
    }
}

impl Machine {
    /// Puts the packages into the machine, in [`FOLDER`], without installing them.
    pub fn put_packages(&self, packages: &Packages) -> Result<()> {
        let folder = tempfile::tempdir().map_err(LabError::io("create a folder in", "/tmp"))?;
        let archive = folder.path().join("packages.tar");
        let mut tar = Command::new("tar");
        tar.args(["--create", "--owner=0", "--group=0", "--file"])
            .arg(&archive);
        for file in &packages.files {
            tar.arg("--directory")
                .arg(file.parent().unwrap_or(Path::new("/")))
                .arg(file.file_name().unwrap_or_default());
        }
        command::run(&mut tar, b"", PACK_BOUND)?.ok()?;
        let archive = fs::read(&archive).map_err(LabError::io("read", &archive))?;
        let unpack = format!(
            "rm -rf {FOLDER} && mkdir -p {FOLDER} && tar --extract --file=- --directory {FOLDER}"
        );
        self.as_root()
            .bound(INSTALL_BOUND)
            .input(archive)
            .ok(&unpack)
            .map(drop)
    }

    /// Installs the packages as an administrator would, and keeps the configuration as it is then.
    pub fn install(&self, packages: &Packages) -> Result<()> {
        self.put_packages(packages)?;
        let script = INSTALL.replace("INVENTORY", INVENTORY);
        self.as_root().bound(INSTALL_BOUND).ok(&script)?;
        self.restart_daemon()
    }

    /// What is there beyond what was there before the first installation, a line each.
    pub fn left_behind(&self) -> Result<Vec<String>> {
        let script = format!(
            "{{ {INVENTORY} }} | sort > /tmp/now
             sort /var/lib/fairshare-lab/without | comm -13 - /tmp/now; rm /tmp/now"
        );
        let shown = self.as_root().bound(INSTALL_BOUND).ok(&script)?;
        Ok(shown.stdout.lines().map(str::to_owned).collect())
    }

    /// Has dpkg do something, as an administrator would.
    pub fn dpkg(&self, arguments: &str) -> Result<Output> {
        let line = format!("DEBIAN_FRONTEND=noninteractive dpkg {arguments}");
        self.as_root().bound(INSTALL_BOUND).ok(&line)
    }

    /// Whether the packages are installed.
    pub fn has_packages(&self) -> Result<bool> {
        let query = "dpkg-query --show --showformat='${db:Status-Status}' fairshare 2>/dev/null";
        Ok(self.as_root().run(query)?.text() == "installed")
    }
}

/// The package of that name; the version in the name may be any.
fn find(dist: &Path, name: &str) -> Result<PathBuf> {
    let begin = format!("{name}_");
    let mut found = Vec::new();
    if dist.exists() {
        for entry in fs::read_dir(dist).map_err(LabError::io("read", dist))? {
            let entry = entry.map_err(LabError::io("read", dist))?;
            let file = entry.file_name().to_string_lossy().into_owned();
            let kind = Path::new(&file).extension();
            if file.starts_with(&begin) && kind.is_some_and(|kind| kind == "deb") {
                found.push(entry.path());
            }
        }
    }
    found.pop().ok_or_else(|| {
        LabError::other(format!(
            "'{}' has no package '{name}': {ORIGIN}",
            dist.display()
        ))
    })
}

fn changed(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).map_err(LabError::io("read", path))?;
    metadata.modified().map_err(LabError::io("read", path))
}

fn dpkg_deb(options: &[&str], paths: &[&Path]) -> Result<()> {
    let mut program = Command::new("dpkg-deb");
    program.args(options).args(paths);
    command::run(&mut program, b"", PACK_BOUND)?.ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_by_its_whole_name() {
        let dir = tempfile::tempdir().unwrap();
        assert!(find(dir.path(), "fairshare").is_err());
        for name in ["fairshare-dbg_1_amd64.deb", "fairshare_1_amd64.changes"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert!(find(dir.path(), "fairshare").is_err());
        let package = dir.path().join("fairshare_1_amd64.deb");
        fs::write(&package, "").unwrap();
        assert_eq!(find(dir.path(), "fairshare").unwrap(), package);
    }
}
