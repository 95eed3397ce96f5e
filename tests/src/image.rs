//! Builds the disk that a machine boots from, once for each release and recipe.
//!
//! An image is a folder: the disk, kernel and initrd taken out of it, and the ssh keys that open
//! it. The folder's name carries a hash of the recipe, so that a changed recipe makes another
//! image. It is built under another name and renamed, so that a half-built one is never used.

use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, quoted};
use crate::error::{LabError, Result};
use crate::host;
use crate::mirror;
use crate::progress::{Progress, Step};
use crate::release::Release;

/// What is in the image besides the essential packages.
const PACKAGES: [&str; 27] = [
    // The system itself.
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "openssh-server",
    "linux-image-cloud-amd64",
    "udev",
    "iproute2",
    "kmod",
    // Ways into the machine and out of a session, which the tests try.
    "sudo",
    "cron",
    "tmux",
    "rsync",
    "login",
    // What the tests look with.
    "procps",
    "psmisc",
    "python3",
    "pamtester",
    "util-linux",
    "strace",
    "libc-bin",
    // Users and groups from a directory.
    "slapd",
    "nslcd",
    "libnss-ldapd",
    "apparmor",
    // Collects figures, and checks them.
    "prometheus",
];
/// Left out of the image.
const EXCLUDED: [&str; 3] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
];
const BEFORE_PACKAGES: &str = include_str!("../image/before-packages.sh");
const AFTER_PACKAGES: &str = include_str!("../image/after-packages.sh");
const LDAP: &str = include_str!("../image/ldap.sh");
/// Size of the disk; the file is sparse.
const DISK_SIZE: &str = "4G";
/// Options of the file system: no journal, as no machine writes to the image itself.
const MKFS: [&str; 6] = ["-q", "-F", "-L", "fairshare", "-O", "^has_journal"];
/// Counts what the lists above do not show: raise it when this file builds differently.
const GENERATION: u32 = 2;

/// For fetching and unpacking some 200 packages over a slow line.
const BUILD_BOUND: Duration = Duration::from_secs(20 * 60);
/// For unpacking the tar and making the file system.
const DISK_BOUND: Duration = Duration::from_secs(5 * 60);
/// For a key pair.
const KEY_BOUND: Duration = Duration::from_secs(30);

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    release: Release,
    dir: PathBuf,
}

impl Image {
    /// The image of `release`: from the cache, else built, which takes a minute.
    pub fn get(release: Release, progress: Progress) -> Result<Self> {
        let images = host::lab().join("images");
        host::make_dir(&images)?;
        let image = Self {
            release,
            dir: images.join(format!("{release}-{:016x}", hash(release))),
        };
        if image.dir.exists() {
            return Ok(image);
        }
        // Another process may be building the same image: wait for it, then look again.
        let lock_path = images.join(format!("{release}.lock"));
        let lock = File::create(&lock_path).map_err(LabError::io("create", &lock_path))?;
        lock.lock().map_err(LabError::io("lock", &lock_path))?;
        if !image.dir.exists() {
            image.build(&images, progress)?;
        }
        Ok(image)
    }

    /// Which release it holds.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The pristine disk; machines write to a layer of their own above it.
    pub fn disk(&self) -> PathBuf {
        self.dir.join("disk.img")
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// The initial RAM disk.
    pub fn initrd(&self) -> PathBuf {
        self.dir.join("initrd.img")
    }

    /// The private key that every account of the machine accepts.
    pub fn key(&self) -> PathBuf {
        self.dir.join("id_ed25519")
    }

    /// Knows the machine's host key under [`crate::ssh::HOST_ALIAS`].
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    fn build(&self, images: &Path, progress: Progress) -> Result<()> {
        let title = self.release.title();
        let step = progress.step(format!("building the {title} image (kept for next time)"));
        remove_leftovers(images, self.release)?;
        let build = tempfile::Builder::new()
            .prefix(&format!(".{}-", self.release))
            .tempdir_in(images)
            .map_err(LabError::io("create a folder in", images))?;
        let dir = build.path();
        // mmdebstrap without root reads it as another user.
        fs::set_permissions(dir, Permissions::from_mode(0o755))
            .map_err(LabError::io("open up", dir))?;

        make_key(dir)?;
        self.make_tar(dir, &step)?;
        step.detail("making the file system");
        make_disk(dir)?;
        remove_older(images, self.release)?;
        fs::rename(dir, &self.dir).map_err(LabError::io("rename", dir))?;
        step.done();
        Ok(())
    }

    /// Lets mmdebstrap fetch and install the packages and run the scripts of `image/`.
    fn make_tar(&self, dir: &Path, step: &Step) -> Result<()> {
        host::write(&dir.join("before-packages.sh"), BEFORE_PACKAGES)?;
        host::write(&dir.join("after-packages.sh"), AFTER_PACKAGES)?;
        host::write(&dir.join("ldap.sh"), LDAP)?;
        let public_key = host::read(&dir.join("id_ed25519.pub"))?;
        let upload = |script: &str| {
            format!(
                "upload {} /{script}",
                quoted(&dir.join(script).to_string_lossy())
            )
        };

        let mut command = Command::new("mmdebstrap");
        command
            .arg("--variant=minbase")
            .arg(format!("--include={}", PACKAGES.join(",")));
        for path in EXCLUDED {
            command.arg(format!("--dpkgopt=path-exclude={path}"));
        }
        for option in mirror::options()? {
            command.arg(format!("--aptopt={option}"));
        }
        command
            .arg(format!("--essential-hook={}", upload("before-packages.sh")))
            .arg("--essential-hook=chroot \"$1\" sh /before-packages.sh")
            .arg(format!("--customize-hook={}", upload("after-packages.sh")))
            .arg(format!(
                "--customize-hook=chroot \"$1\" sh /after-packages.sh {} {}",
                self.release,
                quoted(public_key.trim())
            ))
            .arg(format!("--customize-hook={}", upload("ldap.sh")))
            .arg(format!(
                "--customize-hook=chroot \"$1\" sh /ldap.sh {}",
                quoted(public_key.trim())
            ))
            .arg("--customize-hook=cd \"$1\" && rm -f before-packages.sh after-packages.sh ldap.sh")
            .arg(self.release.codename())
            .arg(dir.join("root.tar"));
        let sources = mirror::sources(self.release)?;
        if !sources.is_empty() {
            let path = dir.join("sources.list");
            host::write(&path, &(sources + "\n"))?;
            command.arg(path);
        }
        let mut watch = |_, piece: &[u8]| {
            if let Some(line) = String::from_utf8_lossy(piece).lines().last() {
                step.detail(line.trim_start_matches("I: "));
            }
        };
        command::run_watched(&mut command, b"", BUILD_BOUND, &mut watch)?.ok()?;
        Ok(())
    }
}

/// Turns the tar into a disk, and takes out what qemu and ssh need of it.
fn make_disk(dir: &Path) -> Result<()> {
    let script = format!(
        "set -e
         mkdir root
         tar -x --numeric-owner -f root.tar -C root
         cp root/boot/vmlinuz-* vmlinuz
         cp root/boot/initrd.img-* initrd.img
         printf '%s ' {alias} > known_hosts
         cut -d ' ' -f 1,2 root/etc/ssh/ssh_host_ed25519_key.pub >> known_hosts
         PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 {options} -d root disk.img {DISK_SIZE}
         rm -rf root root.tar",
        alias = crate::ssh::HOST_ALIAS,
        options = MKFS.join(" "),
    );
    // Without root, fakeroot remembers who owns what between tar and mkfs.
    let mut command = if host::is_root() {
        Command::new("sh")
    } else {
        let mut command = Command::new("fakeroot");
        command.arg("sh");
        command
    };
    command.arg("-c").arg(script).current_dir(dir);
    command::run(&mut command, b"", DISK_BOUND)?.ok()?;
    Ok(())
}

fn make_key(dir: &Path) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "fairshare-lab", "-f"]);
    command::run(command.arg(dir.join("id_ed25519")), b"", KEY_BOUND)?.ok()?;
    Ok(())
}

/// Removes what a build left behind that was killed; the caller holds the lock.
fn remove_leftovers(images: &Path, release: Release) -> Result<()> {
    remove_with_prefix(images, &format!(".{release}-"))
}

/// Removes images of older recipes. A machine that runs from one keeps its open files.
fn remove_older(images: &Path, release: Release) -> Result<()> {
    remove_with_prefix(images, &format!("{release}-"))
}

fn remove_with_prefix(images: &Path, prefix: &str) -> Result<()> {
    let entries = fs::read_dir(images).map_err(LabError::io("read", images))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(LabError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Names a recipe. Whether the mirror has newer packages does not count: `rm -r` the image to
/// have them.
fn hash(release: Release) -> u64 {
    let recipe = format!(
        "{GENERATION} {release} {PACKAGES:?} {EXCLUDED:?} {BEFORE_PACKAGES} {AFTER_PACKAGES} \
         {LDAP} {MKFS:?} {DISK_SIZE} {}",
        env::consts::ARCH
    );
    fnv1a(recipe.as_bytes())
}

/// FNV-1a: short, and the same with every version of Rust.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn each_release_has_an_image_of_its_own() {
        assert_ne!(hash(Release::Debian12), hash(Release::Debian13));
    }
}
