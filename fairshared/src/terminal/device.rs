//! One terminal's device node: whether it is what it should be, and one write to it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dev, FileType, Mode, OFlags, Stat, fstat, major, makedev, minor, openat, statat,
};
use rustix::io::Errno;

/// The majors of pseudoterminals, `Documentation/admin-guide/devices.txt` of the kernel.
const PTS_MAJORS: std::ops::RangeInclusive<u32> = 136..=143;

/// Whether a device number is a pseudoterminal's.
pub(super) fn is_pts(number: Dev) -> bool {
    PTS_MAJORS.contains(&major(number))
}

/// Which nodes are meant.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    uid: u32,
    /// These terminals; `None` for every pseudoterminal.
    numbers: Option<&'a [Dev]>,
}

impl<'a> Expected<'a> {
    /// Every pseudoterminal of this user.
    pub(super) fn pts(uid: u32) -> Self {
        Self { uid, numbers: None }
    }

    /// Those of these terminals that are this user's.
    pub(super) fn one_of(uid: u32, numbers: &'a [Dev]) -> Self {
        Self {
            uid,
            numbers: Some(numbers),
        }
    }

    fn is(&self, stat: &Stat) -> bool {
        let right_number = match self.numbers {
            Some(numbers) => numbers.contains(&stat.st_rdev),
            None => is_pts(stat.st_rdev),
        };
        right_number && takes_messages(stat, self.uid)
    }
}

/// A character device of the user whose group may write: what `mesg y` sets and `mesg n` takes.
fn takes_messages(stat: &Stat, uid: u32) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_uid == uid
        && Mode::from_raw_mode(stat.st_mode).contains(Mode::WGRP)
}

/// A node that was as expected when it was looked at.
#[derive(Debug)]
pub(super) struct Seen {
    folder: Arc<OwnedFd>,
    name: CString,
    number: Dev,
    /// When somebody last typed there, in seconds. The kernel keeps it as the node's access time,
    /// to about eight seconds.
    pub(super) last_input: i64,
}

/// Looks at a node, without opening it.
pub(super) fn look(folder: &Arc<OwnedFd>, name: &CStr, expected: &Expected<'_>) -> Option<Seen> {
    let stat = statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    expected.is(&stat).then(|| Seen {
        folder: Arc::clone(folder),
        name: name.to_owned(),
        number: stat.st_rdev,
        last_input: stat.st_atime,
    })
}

impl Seen {
    /// Writes once, as much as the terminal takes now.
    ///
    /// # Errors
    /// `PERM` where the node is no longer what it was; `AGAIN` where the terminal takes nothing;
    /// else what the kernel says.
    pub(super) fn write(&self, uid: u32, line: &[u8]) -> Result<(), Errno> {
        let flags =
            OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let terminal = openat(self.folder.as_fd(), &self.name, flags, Mode::empty())?;
        // The user may have logged out, and somebody else have got the number.
        let stat = fstat(&terminal)?;
        if stat.st_rdev != self.number || !takes_messages(&stat, uid) {
            return Err(Errno::PERM);
        }
        rustix::io::write(&terminal, line).map(drop)
    }
}

/// Field 7 of `/proc/PID/stat`, counted from the last `)` because a program's name may hold
/// anything. The kernel packs it as major and minor in 32 bits: `proc_pid_stat(5)`.
pub(super) fn controlling_terminal(stat: &str) -> Option<Dev> {
    let (_, fields) = stat.rsplit_once(')')?;
    let packed: i32 = fields.split_whitespace().nth(4)?.parse().ok()?;
    let packed = packed.cast_unsigned();
    let number = makedev(
        (packed >> 8) & 0xfff,
        (packed & 0xff) | ((packed >> 12) & 0xf_ff00),
    );
    (major(number) != 0 || minor(number) != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_terminal_number_is_unpacked() {
        let of = |packed: i64| controlling_terminal(&format!("7 (a) S 1) S 1 1 1 {packed} 1"));
        assert_eq!(of(0), None);
        assert_eq!(of(1025), Some(makedev(4, 1)), "tty1");
        assert_eq!(of(34816), Some(makedev(136, 0)), "pts/0");
        assert_eq!(of(34816 + 255), Some(makedev(136, 255)));
        assert_eq!(of(34816 + (1 << 20) + 44), Some(makedev(136, 300)));
        assert_eq!(controlling_terminal("7 (a"), None);
        assert_eq!(controlling_terminal("7 (a) S"), None);
    }

    #[test]
    fn pseudoterminals_are_known_by_their_major() {
        for (major, expected) in [
            (135, false),
            (136, true),
            (143, true),
            (144, false),
            (4, false),
        ] {
            assert_eq!(is_pts(makedev(major, 0)), expected, "{major}");
        }
    }
}
