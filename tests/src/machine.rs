//! A booted machine: what a test holds in its hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::accel::Accel;
use crate::command::{self, Output, quoted};
use crate::error::{LabError, Result};
use crate::host;
use crate::image::Image;
use crate::progress::{Progress, Step};
use crate::qemu::{self, Hardware, Kept};
use crate::release::Release;
use crate::scratch;
use crate::ssh::{self, Access, Login};
use crate::wait::{self, Look};

/// From power on to an ssh that answers; emulated, on a busy host.
const BOOT_BOUND: Duration = Duration::from_secs(180);
/// From an ssh that answers to all units started.
const SETTLE_BOUND: Duration = Duration::from_secs(90);
/// For a command of root.
const ROOT_BOUND: Duration = Duration::from_secs(60);
/// For a file that is copied into the machine.
const PUSH_BOUND: Duration = Duration::from_secs(60);
/// How often another port is tried when somebody took it first.
const PORT_TRIES: u32 = 3;
/// How much of the console is shown when a machine does not boot.
const CONSOLE_TAIL: usize = 40;

/// Where a machine's state lies, and how to reach it; enough to find it from another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// What it runs.
    pub release: Release,
    /// How to log in.
    pub access: Access,
    /// What it wrote to its console.
    pub console: PathBuf,
    /// The emulator's process id; 0 for a machine that ends with its owner.
    pub pid: u32,
}

/// A booted Debian with its own kernel, systemd, logind and sshd.
#[derive(Debug)]
pub struct Machine {
    address: Address,
    /// Held for a machine that ends with its owner: emulator first, then its files.
    owned: Option<(Kept, TempDir)>,
}

impl Machine {
    /// Boots a machine that lives as long as the returned value.
    pub fn boot(release: Release, progress: Progress) -> Result<Self> {
        Self::boot_with(release, Hardware::default(), progress)
    }

    /// Like [`Machine::boot`], with other hardware.
    pub fn boot_with(release: Release, hardware: Hardware, progress: Progress) -> Result<Self> {
        let image = Image::get(release, progress)?;
        let accel = Accel::probe(&image, progress)?;
        let step = progress.step(format!("booting {}", release.title()));
        let mut tries = 1;
        loop {
            let dir = scratch::owned()?;
            let mut address = prepare(&image, dir.path())?;
            let log = dir.path().join("qemu.log");
            address.access.port = qemu::free_port()?;
            let command = qemu::command(
                &image,
                hardware,
                accel,
                address.access.port,
                &address.console,
            )?;
            let kept = Kept::start(&command, &log)?;
            let machine = Self {
                address,
                owned: Some((kept, dir)),
            };
            match machine.settle(&log, &step) {
                Ok(()) => {
                    step.done();
                    return Ok(machine);
                }
                Err(_) if tries < PORT_TRIES && port_was_taken(&log) => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Boots a machine that outlives this process; its files are in `dir`.
    pub fn boot_detached(release: Release, dir: &Path, progress: Progress) -> Result<Self> {
        let image = Image::get(release, progress)?;
        let accel = Accel::probe(&image, progress)?;
        let step = progress.step(format!("booting {}", release.title()));
        let mut address = prepare(&image, dir)?;
        let log = dir.join("qemu.log");
        address.access.port = qemu::free_port()?;
        let command = qemu::command(
            &image,
            Hardware::default(),
            accel,
            address.access.port,
            &address.console,
        )?;
        address.pid = qemu::start_detached(&command, &log)?;
        let machine = Self {
            address,
            owned: None,
        };
        if let Err(error) = machine.settle(&log, &step) {
            qemu::end_detached(machine.address.pid, &machine.address.console)?;
            return Err(error);
        }
        step.done();
        Ok(machine)
    }

    /// Takes hold of a machine that another process keeps up.
    pub fn attach(address: Address) -> Self {
        Self {
            address,
            owned: None,
        }
    }

    /// What it runs.
    pub fn release(&self) -> Release {
        self.address.release
    }

    /// How to find it from another process.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How to reach its accounts; for `scp` and its kind.
    pub fn access(&self) -> &Access {
        &self.address.access
    }

    /// A login of `user`, each run a real one.
    pub fn ssh(&self, user: &str) -> Login {
        Login::new(&self.address.access, user)
    }

    /// Root over a connection that is open already: not a login, but quick.
    pub fn as_root(&self) -> Login {
        Login::shared_root(&self.address.access).bound(ROOT_BOUND)
    }

    /// Runs a command as root; another exit status than 0 is an error.
    pub fn root(&self, command: &str) -> Result<Output> {
        self.as_root().ok(command)
    }

    /// Copies a file of this host into the machine, as root, with `mode` (octal: `0o644`).
    ///
    /// The file appears whole, under a new inode, so that a running program or a loaded library
    /// is not written over.
    pub fn push(&self, local: &Path, remote: &str, mode: u32) -> Result<()> {
        let bytes = fs::read(local).map_err(LabError::io("read", local))?;
        self.write(remote, bytes, mode)
    }

    /// Writes a file in the machine, as root, with `mode`; the folders above it are made.
    pub fn write(&self, remote: &str, content: impl Into<Vec<u8>>, mode: u32) -> Result<()> {
        let (file, part) = (quoted(remote), quoted(&format!("{remote}.part")));
        self.as_root()
            .bound(PUSH_BOUND)
            .input(content)
            .ok(&format!(
                "mkdir -p -- \"$(dirname -- {file})\" && cat > {part} && chmod {mode:o} {part} && \
                 mv -f -- {part} {file}"
            ))
            .map(drop)
    }

    /// Reads a file of the machine, as root.
    pub fn read(&self, remote: &str) -> Result<String> {
        Ok(self.root(&format!("cat -- {}", quoted(remote)))?.stdout)
    }

    /// Waits for what `look` is looking for; see [`wait::until`].
    pub fn wait_for<T>(
        &self,
        what: &str,
        bound: Duration,
        mut look: impl FnMut(&Self) -> Result<Look<T>>,
    ) -> Result<T> {
        wait::until(what, bound, || look(self))
    }

    /// Waits until a shell condition holds for root, looking from inside the machine, so that a
    /// look costs no connection.
    pub fn wait_until(&self, what: &str, bound: Duration, condition: &str) -> Result<()> {
        let script = format!(
            "end=$(($(date +%s%N) + {}))
             until {condition}; do
               [ \"$(date +%s%N)\" -lt $end ] || exit 99
               sleep 0.02
             done",
            bound.as_nanos()
        );
        let output = self.as_root().bound(bound + ROOT_BOUND).run(&script)?;
        match output.status {
            Some(0) => Ok(()),
            Some(99) => Err(LabError::Deadline {
                what: format!("{what} (until {condition})"),
                bound,
                seen: format!("{}{}", output.stdout, output.stderr),
            }),
            _ => Err(LabError::Command(Box::new(output))),
        }
    }

    /// The console's last lines.
    pub fn console_tail(&self) -> String {
        tail(&self.address.console, CONSOLE_TAIL)
    }

    /// Waits until all of the machine is up.
    fn settle(&self, log: &Path, step: &Step) -> Result<()> {
        step.detail("waiting for ssh");
        wait::until("an answer from the machine's sshd", BOOT_BOUND, || {
            if let Some(end) = self.ended() {
                return Err(LabError::other(format!(
                    "the emulator has ended: {end}\n{}{}",
                    tail(log, CONSOLE_TAIL),
                    self.console_tail()
                )));
            }
            Ok(if ssh::answers(self.address.access.port) {
                Look::Done(())
            } else {
                Look::NotYet(self.console_tail())
            })
        })?;
        step.detail("waiting for all units");
        let output = self
            .as_root()
            .bound(SETTLE_BOUND)
            .run("systemctl is-system-running --wait; systemctl --failed --no-legend --plain")?;
        if output.stdout.trim() == "running" {
            return Ok(());
        }
        Err(LabError::other(format!(
            "the machine is not well: {output}"
        )))
    }

    /// How the emulator ended, if it did.
    fn ended(&self) -> Option<String> {
        match &self.owned {
            Some((kept, _)) => kept.ended().map(str::to_owned),
            None if qemu::is_running(self.address.pid, &self.address.console) => None,
            None => Some("no such process".to_owned()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.owned.is_some() {
            self.address.access.close_master();
        }
    }
}

/// Puts the files of a machine that has not booted yet into `dir`; its port is not known yet.
fn prepare(image: &Image, dir: &Path) -> Result<Address> {
    // Copies, as a changed recipe removes the image while the machine may still run.
    let copy = |from: PathBuf, name: &str| {
        let to = dir.join(name);
        fs::copy(&from, &to).map_err(LabError::io("copy", &from))?;
        Ok::<_, LabError>(to)
    };
    Ok(Address {
        release: image.release(),
        access: Access {
            port: 0,
            key: copy(image.key(), "id_ed25519")?,
            known_hosts: copy(image.known_hosts(), "known_hosts")?,
            control: dir.join("root.sock"),
        },
        console: dir.join("console.log"),
        pid: 0,
    })
}

fn port_was_taken(log: &Path) -> bool {
    host::read(log).is_ok_and(|text| text.contains("Could not set up host forwarding rule"))
}

/// The last lines of a file of this host.
fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// Copies a file or folder with `scp` as `user`, in either direction: the remote side is written
/// `:path`.
pub fn scp(machine: &Machine, user: &str, from: &str, to: &str) -> Result<Output> {
    let side = |path: &str| match path.strip_prefix(':') {
        Some(path) => format!("{user}@127.0.0.1:{path}"),
        None => path.to_owned(),
    };
    let mut command = Command::new("scp");
    command
        .arg("-r")
        .args(machine.access().options())
        .args([side(from), side(to)]);
    command::run(&mut command, b"", PUSH_BOUND)
}
