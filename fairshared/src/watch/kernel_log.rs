//! Which process the kernel killed for want of memory: its log alone says so.
//!
//! To open `/dev/kmsg` takes a power that the daemon does not have. systemd opens it, as the daemon's
//! standard input. It is read only when a slice's own file tells of a kill: what else the kernel
//! logs wakes nobody.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fairshare_protocol::MemorySize;
use rustix::fs::{FileType, OFlags, SeekFrom, fcntl_getfl, fcntl_setfl, fstat, major, minor, seek};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read};

use crate::finding::Victim;

/// Records that are read at one look. The kernel's buffer of 1 MiB has room for about as many.
const MOST_RECORDS: usize = 8192;
/// Victims that are kept of one look.
const MOST_VICTIMS: usize = 256;
/// Room for a record: the kernel makes none that is longer (`PRINTK_MESSAGE_MAX`).
const ROOM: usize = 8192;
/// `/dev/kmsg`: see the kernel's `devices.txt`.
const DEVICE: (u32, u32) = (1, 11);
/// The first descriptor that a copy may have: those below are the standard ones.
const ABOVE_STANDARD: i32 = 3;
/// Levels of the kernel itself. What programs write to the log has a facility of theirs, above it.
const KERNELS_OWN: u32 = 8;

/// The kernel's log, at the place up to which it is read.
#[derive(Debug)]
pub(super) struct KernelLog(OwnedFd);

/// A process that was killed and the user whose it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Killed {
    pub(super) uid: u32,
    pub(super) victim: Victim,
}

impl KernelLog {
    /// The log that this descriptor is, from its end on.
    ///
    /// # Errors
    /// Where it is another file, or is not to be read.
    pub(super) fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let found = fstat(descriptor)?;
        let is_device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
        if !is_device || (major(found.st_rdev), minor(found.st_rdev)) != DEVICE {
            return Err(io::Error::other("it is not /dev/kmsg"));
        }
        let own = fcntl_dupfd_cloexec(descriptor, ABOVE_STANDARD)?;
        fcntl_setfl(&own, fcntl_getfl(&own)? | OFlags::NONBLOCK)?;
        seek(&own, SeekFrom::End(0))?;
        Ok(Self(own))
    }

    /// The processes that were killed at a limit since the last look.
    pub(super) fn killed(&self) -> Vec<Killed> {
        let mut all = Vec::new();
        let mut record = [0; ROOM];
        for _ in 0..MOST_RECORDS {
            let count = match read(self.0.as_fd(), &mut record) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(count) => count,
                // Overwritten before it was read: the next one that is left follows.
                Err(Errno::PIPE | Errno::INTR) => continue,
                Err(_) => break,
            };
            let text = String::from_utf8_lossy(record.get(..count).unwrap_or_default());
            if all.len() < MOST_VICTIMS {
                all.extend(killed(&text));
            }
        }
        all
    }
}

/// What a record says, where it is of a kill at a cgroup's limit.
///
/// The name of the program is its user's, and may hold anything: also what stands around it. It is at
/// most 15 bytes; so what follows it is looked for from the end.
fn killed(record: &str) -> Option<Killed> {
    let (prefix, message) = record.split_once(';')?;
    let level: u32 = prefix.split(',').next()?.parse().ok()?;
    if level >= KERNELS_OWN {
        return None;
    }
    let line = message.lines().next()?;
    let rest = line.strip_prefix("Memory cgroup out of memory: Killed process ")?;
    let (named, figures) = rest.rsplit_once(") total-vm:")?;
    let (pid, command) = named.split_once(" (")?;
    let figure = |key: &str| -> Option<u64> {
        let words = figures.split([' ', ',']);
        let value = words
            .filter_map(|word| word.strip_prefix(key))
            .next_back()?;
        value.trim_end_matches("kB").parse().ok()
    };
    let sizes = ["anon-rss:", "file-rss:", "shmem-rss:"];
    let kib = sizes.iter().filter_map(|key| figure(key));
    let kib = kib.fold(0, u64::saturating_add);
    Some(Killed {
        uid: u32::try_from(figure("UID:")?).ok()?,
        victim: Victim {
            pid: pid.parse().ok()?,
            command: unescaped(command),
            held: MemorySize::saturating_from_bytes(kib.saturating_mul(1024)),
        },
    })
}

/// The log has `\x1b` for a byte that is not printable, and `\x5c` for a backslash.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let code = behind.get(..2).map(|code| u8::from_str_radix(code, 16));
        if let (Some(Ok(byte)), Some(left)) = (code, behind.get(2..)) {
            bytes.push(byte);
            rest = left;
        } else {
            bytes.extend_from_slice(b"\\x");
            rest = behind;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    const FIGURES: &str = "total-vm:839184kB, anon-rss:301056kB, file-rss:5120kB, \
                           shmem-rss:0kB, UID:1000 pgtables:660kB oom_score_adj:0\n";

    fn record(level: u32, command: &str) -> String {
        format!(
            "{level},612,98765,-;Memory cgroup out of memory: Killed process 4711 ({command}) \
             {FIGURES} SUBSYSTEM=memory\n"
        )
    }

    #[test]
    fn the_kernel_says_which_process_and_what_it_held() {
        let told = killed(&record(3, "python3")).unwrap();
        assert_eq!((told.uid, told.victim.pid), (1000, 4711));
        assert_eq!(told.victim.command, "python3");
        assert_eq!(told.victim.held.bytes(), (301_056 + 5120) * 1024);
    }

    #[test]
    fn a_name_may_look_like_what_is_around_it() {
        for (logged, name) in [
            ("a) total-vm:1k", "a) total-vm:1k"),
            ("1 (x) UID:0", "1 (x) UID:0"),
            (") total-vm:", ") total-vm:"),
            ("x\\x1b[2J\\x5cx41", "x\u{1b}[2J\\x41"),
            ("\\xff\\xc3\\xa4", "\u{fffd}ä"),
            ("\\xzz", "\\xzz"),
            ("", ""),
        ] {
            let told = killed(&record(3, logged)).unwrap();
            assert_eq!(told.victim.command, name);
            assert_eq!((told.uid, told.victim.pid), (1000, 4711), "{name}");
        }
    }

    #[test]
    fn what_a_program_writes_to_the_log_is_not_the_kernels() {
        assert_eq!(killed(&record(11, "python3")), None);
        for other in [
            "",
            ";",
            "3,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG",
            "x;y",
        ] {
            assert_eq!(killed(other), None, "{other}");
        }
        let of_the_machine = record(3, "x").replace("Memory cgroup out", "Out");
        assert_eq!(killed(&of_the_machine), None);
    }

    #[test]
    fn another_file_is_refused() {
        for other in ["/dev/null", "/proc/self/stat"] {
            let file = File::open(other).unwrap();
            assert!(KernelLog::new(file.as_fd()).is_err(), "{other}");
        }
    }
}
