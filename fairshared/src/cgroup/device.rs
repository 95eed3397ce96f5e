//! Which block device a node is, as systemd and the kernel number them.
//!
//! `io.max` knows devices by number. systemd takes a node, and sets the ceiling on the whole disk
//! that is behind a partition or an encrypted volume; so does this, or nothing would ever agree.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The machine's file system as systemd sees it. The daemon's own `/dev` has no disks in it
/// (`PrivateDevices=yes`), and it is systemd that will look for the node.
const ROOT_OF_SYSTEMD: &str = "/proc/1/root";
/// Every block device by number.
const DEVICES: &str = "/sys/dev/block";
/// How many volumes may lie over each other.
const DEEPEST: usize = 16;

/// A block device's major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeviceNumber {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl DeviceNumber {
    /// Reads `MAJOR:MINOR`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

/// The number of the whole disk that this node is, or that a partition lies on.
pub(super) fn disk_of(node: &str) -> io::Result<DeviceNumber> {
    let number = number_of(Path::new(ROOT_OF_SYSTEMD), node)?;
    Ok(whole_disk(Path::new(DEVICES), number))
}

/// systemd refuses a whole call for one path that is not written plainly, so such a path is not
/// handed on to it.
fn is_plain(node: &str) -> bool {
    let mut parts = node.split('/');
    parts.next() == Some("")
        && parts.next() == Some("dev")
        && parts.all(|part| !part.is_empty() && part != "." && part != "..")
}

fn number_of(root: &Path, node: &str) -> io::Result<DeviceNumber> {
    if !is_plain(node) {
        return Err(io::Error::other("not the path of a device"));
    }
    let metadata = fs::metadata(root.join(node.trim_start_matches('/')))?;
    if !metadata.file_type().is_block_device() {
        return Err(io::Error::other("not a block device"));
    }
    let number = metadata.rdev();
    Ok(DeviceNumber {
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
    })
}

/// Follows a volume to the one device under it, and a partition to its disk.
fn whole_disk(devices: &Path, number: DeviceNumber) -> DeviceNumber {
    let mut found = number;
    for _ in 0..DEEPEST {
        match only_one_in(&devices.join(found.to_string()).join("slaves")) {
            Some(below) => match number_in(&below) {
                Some(number) => found = number,
                None => break,
            },
            None => break,
        }
    }
    let folder = devices.join(found.to_string());
    if folder.join("partition").exists() {
        // The link leads to the partition's folder, which lies in that of its disk.
        return number_in(&folder.join("..")).unwrap_or(found);
    }
    found
}

fn number_in(folder: &Path) -> Option<DeviceNumber> {
    DeviceNumber::parse(&fs::read_to_string(folder.join("dev")).ok()?)
}

fn only_one_in(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?;
    let only = entries.next()?.ok()?.path();
    entries.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn number(text: &str) -> DeviceNumber {
        DeviceNumber::parse(text).unwrap()
    }

    /// A disk 254:0 with partition 254:1, an encrypted volume 253:0 on that, and a volume 253:1
    /// over two disks.
    fn devices() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let device = |path: &str, number: &str| {
            let folder = root.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("dev"), format!("{number}\n")).unwrap();
            symlink(&folder, root.path().join(number)).unwrap();
            folder
        };
        let disk = device("disks/vda", "254:0");
        let partition = device("disks/vda/vda1", "254:1");
        fs::write(partition.join("partition"), "1\n").unwrap();
        let volume = device("disks/dm-0", "253:0");
        fs::create_dir(volume.join("slaves")).unwrap();
        symlink(&partition, volume.join("slaves/vda1")).unwrap();
        let wide = device("disks/dm-1", "253:1");
        fs::create_dir(wide.join("slaves")).unwrap();
        symlink(&partition, wide.join("slaves/vda1")).unwrap();
        symlink(&disk, wide.join("slaves/vda")).unwrap();
        root
    }

    #[test]
    fn a_ceiling_lies_on_the_whole_disk() {
        let devices = devices();
        for (node, disk) in [
            ("254:0", "254:0"),
            ("254:1", "254:0"),
            ("253:0", "254:0"),
            ("253:1", "253:1"),
            ("7:7", "7:7"),
        ] {
            let found = whole_disk(devices.path(), number(node));
            assert_eq!(found, number(disk), "{node}");
        }
    }

    #[test]
    fn what_is_no_block_device_is_told() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        fs::write(root.path().join("dev/vda"), "").unwrap();
        let why = |node| number_of(root.path(), node).unwrap_err().to_string();
        assert_eq!(why("/dev/vda"), "not a block device");
        assert!(
            why("/dev/vdb").contains("No such file"),
            "{}",
            why("/dev/vdb")
        );
        for node in [
            "/dev/../etc",
            "/dev//vda",
            "vda",
            "/etc/passwd",
            "/dev/./vda",
            "/dev/vda/",
        ] {
            assert_eq!(why(node), "not the path of a device", "{node}");
        }
    }
}
