//! A hook as a service of systemd's: as a user who may do nothing, in bounds, with a deadline.
//!
//! Nothing here may imply `NoNewPrivileges`: a mail system's `sendmail` is often setuid or setgid,
//! and could not queue the mail. So no system calls are filtered, and `/var` can be written by whom
//! its modes allow. See `systemd.exec(5)`.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use zbus::{Fd, Variant};

use super::bus::{Bus, CallError};
use super::properties::Property;
use crate::hooks::{DEADLINE, Run, Runner};

/// The user that hooks run as; the package makes it.
const USER: &str = "fairshare-hook";
/// How long a hook has to end by itself when it is told to.
const GRACE: Duration = Duration::from_secs(5);
/// How long is waited for the end of a hook that systemd is to have ended.
const LATEST: Duration = Duration::from_secs(60);
/// The most memory that a hook may take, in bytes.
const MEMORY: u64 = 128 << 20;
/// The most processes and threads that it may have.
const TASKS: u64 = 64;
/// The most CPU time that it may take, in microseconds per second.
const CPU: u64 = 1_000_000;
/// Its weight beside other services, which have 100: there is time.
const CPU_WEIGHT: u64 = 20;

/// Runs hooks by systemd.
#[derive(Debug)]
pub(crate) struct HookServices {
    bus: Bus,
    /// Tells the daemon's runs apart from those of one before it.
    daemon: u32,
    next: AtomicU64,
}

impl HookServices {
    pub(super) fn new(bus: Bus) -> Self {
        Self {
            bus,
            daemon: std::process::id(),
            next: AtomicU64::new(1),
        }
    }
}

impl Runner for HookServices {
    async fn run(&self, run: Run) -> Result<(), String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let unit = format!("fairshare-hook-{}-{number}.service", self.daemon);
        let input =
            input(&run.line).map_err(|error| format!("not run: cannot make its input: {error}"))?;
        let properties = properties(&run.program, input);
        let ended = tokio::time::timeout(LATEST, self.bus.run_once(&unit, &properties)).await;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(CallError::NoBus)) => {
                Err("not run: the system bus cannot be reached".to_owned())
            }
            Ok(Err(CallError::Refused(why))) => Err(format!("not run: systemd refused: {why}")),
            Ok(Err(CallError::Job(_))) => {
                Err(format!("run and failed, see 'journalctl -u {unit}'"))
            }
            Err(_) => {
                self.bus.no_job(&unit);
                Err("run, and systemd did not tell of its end".to_owned())
            }
        }
    }
}

/// What is read from it is the line. Not in the unit itself: systemd shows its units to everybody.
fn input(line: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("incident", MemfdFlags::CLOEXEC)?);
    file.write_all(line.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

fn properties(program: &Path, input: OwnedFd) -> Vec<Property> {
    let path = program.to_string_lossy().into_owned();
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let text = |text: &str| Variant::from(text.to_owned());
    vec![
        ("Description", text("Hook of fairshare")),
        // The job ends with the program, and tells how.
        ("Type", text("oneshot")),
        ("TimeoutStartUSec", Variant::from(micros(DEADLINE))),
        ("TimeoutStopUSec", Variant::from(micros(GRACE))),
        ("CollectMode", text("inactive-or-failed")),
        ("User", text(USER)),
        ("StandardInputFileDescriptor", Variant::Fd(Fd::from(input))),
        ("StandardOutput", text("journal")),
        ("StandardError", text("journal")),
        ("Slice", text("system.slice")),
        ("MemoryMax", Variant::from(MEMORY)),
        ("TasksMax", Variant::from(TASKS)),
        ("CPUQuotaPerSecUSec", Variant::from(CPU)),
        ("CPUWeight", Variant::from(CPU_WEIGHT)),
        ("PrivateTmp", Variant::from(true)),
        ("ProtectSystem", text("full")),
        ("ProtectHome", text("yes")),
        ("UMask", Variant::from(0o077_u32)),
        (
            "ExecStart",
            Variant::from(vec![(path.clone(), vec![path], false)]),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_input_is_the_line() {
        let mut text = String::new();
        let mut file = File::from(input("{\"id\":1}\n").unwrap());
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"id\":1}\n");
    }
}
