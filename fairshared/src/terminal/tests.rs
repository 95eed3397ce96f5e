//! Real pseudoterminals, in the `/dev/pts` of the machine.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use rustix::fs::{AtFlags, OFlags, Timespec, Timestamps, Uid, chmodat, chownat, utimensat};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

use super::*;

/// A terminal with both its ends.
struct Pty {
    screen: OwnedFd,
    /// The end that programs have.
    line: OwnedFd,
    name: CString,
    folder: Arc<OwnedFd>,
}

impl Pty {
    fn new(mode: u32) -> Self {
        let screen =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        rustix::io::ioctl_fionbio(&screen, true).unwrap();
        unlockpt(&screen).unwrap();
        let path = ptsname(&screen, Vec::new()).unwrap();
        let line = open(
            path.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let name = Path::new(path.to_str().unwrap()).file_name().unwrap();
        let name = CString::new(name.as_bytes()).unwrap();
        let folder = open_folder(Path::new("/dev/pts")).unwrap();
        let pty = Self {
            screen,
            line,
            name,
            folder,
        };
        pty.set_mode(mode);
        pty
    }

    fn set_mode(&self, mode: u32) {
        let mode = Mode::from_raw_mode(mode);
        chmodat(self.folder.as_fd(), &self.name, mode, AtFlags::empty()).unwrap();
    }

    fn look(&self, uid: u32) -> Option<Seen> {
        device::look(&self.folder, &self.name, &Expected::pts(uid))
    }

    /// What is on the screen now. The kernel hands it over in a work queue, so it may take a
    /// moment.
    fn shown(&self, bytes: usize) -> Vec<u8> {
        let mut shown = Vec::new();
        for _ in 0..1000 {
            let mut buffer = [0; 4096];
            match rustix::io::read(&self.screen, &mut buffer) {
                Ok(read) => shown.extend_from_slice(&buffer[..read]),
                Err(Errno::AGAIN) => {
                    if shown.len() >= bytes {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("{error}"),
            }
        }
        shown
    }
}

fn me() -> u32 {
    rustix::process::getuid().as_raw()
}

#[test]
fn a_line_arrives_cleaned_and_bounded() {
    let pty = Pty::new(0o620);
    let text = format!("your lease\x1b[2J ends {}", "x".repeat(1000));
    let line = line(&text);
    pty.look(me()).unwrap().write(me(), &line).unwrap();
    let shown = String::from_utf8(pty.shown(line.len())).unwrap();
    // The terminal itself makes `\r\n` of `\n`.
    let shown = shown.replace("\r\r\n", "\r\n");
    assert!(
        shown.starts_with("\r\nyour lease\u{fffd}[2J ends xxx"),
        "{shown:?}"
    );
    assert!(shown.ends_with("xxx\r\n"), "{shown:?}");
    assert_eq!(shown.trim().chars().count(), MAX_TEXT);
    assert_eq!(shown.matches('\n').count(), 2);
}

#[test]
fn mesg_n_is_respected_also_at_the_last_moment() {
    let pty = Pty::new(0o600);
    assert!(pty.look(me()).is_none());
    pty.set_mode(0o620);
    let seen = pty.look(me()).unwrap();
    pty.set_mode(0o600);
    assert_eq!(seen.write(me(), b"x"), Err(Errno::PERM));
    assert!(pty.shown(0).is_empty());
}

#[test]
fn another_users_terminal_is_left_alone() {
    let pty = Pty::new(0o620);
    assert!(pty.look(me() + 1).is_none());
    let seen = pty.look(me()).unwrap();
    assert_eq!(seen.write(me() + 1, b"x"), Err(Errno::PERM));
}

#[test]
fn a_terminal_that_takes_nothing_does_not_block() {
    // Nobody reads from it, so it fills up. The kernel carries what was written to the other side
    // in its own time, and has room again until that is full, too.
    let pty = Pty::new(0o620);
    let seen = pty.look(me()).unwrap();
    let refused = (0..10_000).any(|_| {
        let full = loop {
            match rustix::io::write(&pty.line, &[b'x'; 4096]) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(full, Errno::AGAIN);
        seen.write(me(), &line("your lease ends")) == Err(Errno::AGAIN)
    });
    assert!(refused);
}

#[test]
fn output_stopped_with_ctrl_s_does_not_block() {
    let pty = Pty::new(0o620);
    // What a terminal emulator sends when the user types Ctrl-S.
    rustix::io::write(&pty.screen, b"\x13").unwrap();
    let seen = pty.look(me()).unwrap();
    // The kernel takes the key up in a work queue.
    let outcome = (0..1000)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(2));
            seen.write(me(), b"x")
        })
        .find(Result::is_err);
    assert_eq!(outcome, Some(Err(Errno::AGAIN)));
}

/// A UID that nobody has, so that no line gets onto the terminals of whoever runs the test.
const STRANGER: u32 = 3_999_999_000;

#[test]
fn a_line_goes_to_the_terminals_with_the_latest_input_and_to_no_more_than_so_many() {
    if me() != 0 {
        eprintln!("not run: only root can give terminals to a user that nobody is");
        return;
    }
    let terminals = Terminals::new();
    assert_eq!(terminals.tell(STRANGER, &[], "hello", 0), Told::On(0));
    let many: Vec<Pty> = (0..MAX_TERMINALS + 8).map(|_| Pty::new(0o620)).collect();
    for (age, pty) in (0_i64..).zip(&many) {
        let owner = Some(Uid::from_raw(STRANGER));
        chownat(&pty.folder, &pty.name, owner, None, AtFlags::empty()).unwrap();
        let at = Timespec {
            tv_sec: 1_000_000 - age,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: at,
            last_modification: at,
        };
        utimensat(&pty.folder, &pty.name, &times, AtFlags::empty()).unwrap();
    }
    let told = terminals.tell(STRANGER, &[], "hello", 0);
    assert_eq!(told, Told::On(MAX_TERMINALS));
    let (latest, others) = many.split_at(MAX_TERMINALS);
    assert!(latest.iter().all(|pty| !pty.shown(1).is_empty()));
    assert!(others.iter().all(|pty| pty.shown(0).is_empty()));

    for pty in &many[1..] {
        pty.set_mode(0o600);
    }
    let told = terminals.tell(STRANGER, &[], "hello", 0);
    assert_eq!(told, Told::On(1), "mesg n");
}

#[test]
fn what_is_no_terminal_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let nodes = root.path().join("pts");
    fs::create_dir(&nodes).unwrap();
    fs::write(nodes.join("0"), "").unwrap();
    let pty = Pty::new(0o620);
    let device = Path::new("/dev/pts").join(pty.name.to_str().unwrap());
    symlink(device, nodes.join("1")).unwrap();
    symlink("/dev/null", nodes.join("2")).unwrap();
    let terminals = Terminals::under(root.path(), "/proc");
    assert_eq!(terminals.tell(me(), &[], "hello", 0), Told::On(0));
    assert_eq!(fs::read(nodes.join("0")).unwrap(), b"");
    assert!(pty.shown(0).is_empty());
    // No such folder is no fault.
    let nowhere = Terminals::under("/nonexistent", "/nonexistent");
    assert_eq!(nowhere.tell(me(), &[1], "hello", 0), Told::On(0));
}

#[test]
fn a_user_is_not_told_too_often() {
    let root = tempfile::tempdir().unwrap();
    let terminals = Terminals::under(root.path(), root.path());
    for _ in 0..BURST {
        assert_eq!(terminals.tell(1000, &[], "hello", 0), Told::On(0));
    }
    assert_eq!(terminals.tell(1000, &[], "hello", 0), Told::TooOften);
    assert_eq!(terminals.tell(1001, &[], "hello", 0), Told::On(0));
}
