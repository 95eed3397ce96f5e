//! A machine that is made up: a folder of files, and what programs and the daemon would say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use fairshare_protocol::AboutInfo;
use tempfile::TempDir;

use super::Facts;
use super::check::{Check, State};
use super::daemon::Heard;
use super::program::Ran;
use super::tree::Tree;
use super::units::{LOGIND, SERVICE, SOCKET, Units};
use crate::skew::OWN_VERSION;

/// Where this machine's PAM modules are.
pub(super) const MODULES: &str = "/usr/lib/x86_64-linux-gnu/security";
/// The daemon's process.
pub(super) const PID: u32 = 4711;
const GOOD: &str = "The policy is good: 1 file, with sections for 0 groups and 0 users.\n";

pub(super) struct Fake {
    _folder: TempDir,
    pub(super) tree: Tree,
}

impl Fake {
    /// A machine without a file.
    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::at(folder.path());
        Self {
            _folder: folder,
            tree,
        }
    }

    /// A machine on which nothing is wrong.
    pub(super) fn healthy() -> Self {
        let fake = Self::empty();
        let session = "session required pam_unix.so\nsession optional pam_systemd.so\n";
        let stack = "@include common-session\nsession optional pam_fairshare.so\n";
        for (path, text) in [
            ("/proc/sys/kernel/osrelease", "6.12.38+deb13-amd64\n"),
            ("/proc/cmdline", "quiet\n"),
            ("/proc/pressure/cpu", "some avg10=0.00\n"),
            (
                "/sys/fs/cgroup/cgroup.controllers",
                "cpuset cpu io memory hugetlb pids rdma misc\n",
            ),
            ("/etc/group", "root:x:0:\ntty:x:5:\n"),
            ("/etc/pam.d/common-session", session),
            ("/etc/pam.d/sshd", stack),
            ("/etc/pam.d/login", stack),
            ("/etc/ssh/sshd_config", "Port 22\nUsePAM yes\n"),
            ("/usr/sbin/sshd", ""),
            ("/usr/bin/login", ""),
        ] {
            fake.write(path, text);
        }
        fake.write(&format!("/proc/{PID}/status"), "Groups:\t5 \n");
        for module in ["pam_unix.so", super::module::NAME] {
            fake.write_bytes(&format!("{MODULES}/{module}"), &elf(62));
        }
        fs::create_dir_all(fake.place("/run")).unwrap();
        // The file stays when the listener goes.
        UnixListener::bind(fake.place("/run/fairshare.sock")).unwrap();
        fake.set_mode("/run/fairshare.sock", 0o666);
        fake
    }

    fn place(&self, path: &str) -> std::path::PathBuf {
        self.tree.root().join(path.trim_start_matches('/'))
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub(super) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let place = self.place(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, bytes).unwrap();
        fs::set_permissions(&place, PermissionsExt::from_mode(0o644)).unwrap();
    }

    pub(super) fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.place(path), PermissionsExt::from_mode(mode)).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.place(path)).unwrap();
    }

    /// What a program says that is well.
    #[expect(clippy::unused_self, reason = "reads as the machine's answer")]
    pub(super) fn ran(&self, stdout: &str) -> Ran {
        Ran {
            status: Some(0),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    /// Units with how they are loaded and how active they are.
    #[expect(clippy::unused_self, reason = "reads as the machine's answer")]
    pub(super) fn units(&self, units: &[(&str, &str, &str)]) -> Units {
        let blocks: Vec<String> = units
            .iter()
            .map(|(unit, load, active)| {
                format!("Id={unit}\nLoadState={load}\nActiveState={active}\nMainPID={PID}\n")
            })
            .collect();
        Units::parse(&blocks.join("\n"))
    }

    /// The facts of this machine, with everything well that is no file.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            tree: &self.tree,
            socket: Path::new("/run/fairshare.sock"),
            root: nix::unistd::Uid::effective().as_raw(),
            by_root: true,
            systemd: Ok(self.ran("systemd 257 (257.7-1)\n+PAM\n")),
            units: Ok(self.units(&[
                (SERVICE, "loaded", "active"),
                (SOCKET, "loaded", "active"),
                (LOGIND, "loaded", "active"),
            ])),
            heard: Heard::About(AboutInfo::of_this_protocol(OWN_VERSION)),
            policy: Ok(self.ran(GOOD)),
            not_in_force: None,
            loading: Some(Ok(self.ran(""))),
        }
    }
}

/// The beginning of a shared library for a processor, `elf(5)`.
pub(super) fn elf(processor: u8) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([3, 0, processor, 0]);
    bytes
}

/// There is a check of this name in this state that says so.
#[track_caller]
pub(super) fn found(checks: &[Check], id: &str, state: State, summary: &str, remedy: &str) {
    let mut named = checks.iter().filter(|check| check.id == id);
    let told = named.any(|check| {
        check.state == state
            && check.summary.contains(summary)
            && check.remedy.as_deref().unwrap_or_default().contains(remedy)
    });
    assert!(
        told,
        "no {id}: {state:?}, '{summary}', '{remedy}' in {checks:#?}"
    );
}
