//! A daemon of our own, with the fake systemd on a bus of its own, and what `/proc` says of it.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fairshare_tests::wait::{self, Look};
use fairshare_tests::{LabError, Result};

use super::fake_systemd;
use super::helper::Helper;

/// For a process to be there.
const START_BOUND: Duration = Duration::from_secs(20);
/// A tick of the times in `/proc`, in milliseconds: `USER_HZ` is 100 on every Linux of today.
const TICK_MS: u64 = 10;
/// A bus that everybody may use.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=@SOCKET@</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*" eavesdrop="true"/>
  </policy>
</busconfig>
"#;

/// The daemon with all that it needs. Everything ends when this is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    // In the order in which they are to end.
    process: Process,
    _systemd: Helper,
    _bus: Process,
    folder: PathBuf,
}

/// What `/proc` says of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) resident_kib: u64,
    pub(super) anonymous_kib: u64,
    pub(super) cpu_ms: u64,
    /// How often its threads were taken off a CPU, to wait or for somebody else's turn.
    pub(super) switches: u64,
}

impl Daemon {
    /// Starts all of it, this program as the daemon, in a folder of its own, which should lie in
    /// memory.
    pub(super) fn start(program: &Path, folder: &Path, policy: &str) -> Result<Self> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(LabError::io("write", &path))?;
            Ok::<_, LabError>(path)
        };
        fs::create_dir_all(folder.join("cgroup")).map_err(LabError::io("create", folder))?;
        write("cgroup/cgroup.controllers", "cpu memory pids\n")?;
        let policy = write("policy.yaml", policy)?;

        let bus_socket = folder.join("bus");
        let config = BUS.replace("@SOCKET@", &bus_socket.to_string_lossy());
        let config = write("bus.conf", &config)?;
        let bus = Process::start(
            Command::new("dbus-daemon")
                .arg("--nofork")
                .arg("--nosyslog")
                .arg(format!("--config-file={}", config.display())),
            &folder.join("bus.log"),
            &bus_socket,
        )?;
        let address = format!("unix:path={}", bus_socket.display());
        let root = folder.join("cgroup");
        let run = folder.join("systemd");
        // The mark of logind, and the folder on which a new time counts.
        for part in ["seats", "system"] {
            let path = run.join(part);
            fs::create_dir_all(&path).map_err(LabError::io("create", &path))?;
        }
        let (tree, units) = (root.to_string_lossy(), run.to_string_lossy());
        let mut systemd = Helper::start_on_bus(&address, &["fake-systemd", &tree, &units])?;
        systemd.answer()?;
        let socket = folder.join("fairshare.sock");
        let process = Process::start(
            Command::new(program)
                .arg(policy)
                .arg(&socket)
                .arg("--cgroup-root")
                .arg(&root)
                .arg("--systemd-dir")
                .arg(&run)
                .arg("--state-dir")
                .arg(folder.join("state"))
                .arg("--history-dir")
                .arg(folder.join("history"))
                .env("DBUS_SYSTEM_BUS_ADDRESS", &address),
            &folder.join("fairshared.log"),
            &socket,
        )?;
        Ok(Self {
            process,
            _systemd: systemd,
            _bus: bus,
            folder: folder.to_owned(),
        })
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("fairshare.sock")
    }

    /// Makes an active slice for a user; its folder.
    pub(super) fn make_slice(&self, uid: u32) -> Result<PathBuf> {
        fake_systemd::make_slice(&self.folder.join("cgroup"), uid)
    }

    /// Makes active slices for these users, all with the files of one that is limited already.
    pub(super) fn share_slice(&self, from: &Path, uids: Range<u32>) -> Result<()> {
        fake_systemd::share_slice(&self.folder.join("cgroup"), from, uids)
    }

    /// What it uses and has used.
    pub(super) fn usage(&self) -> Result<Usage> {
        let pid = self.process.0.id();
        let status = read(&format!("/proc/{pid}/status"))?;
        let stat = read(&format!("/proc/{pid}/stat"))?;
        let mut switches = 0;
        let tasks = format!("/proc/{pid}/task");
        for task in fs::read_dir(&tasks).map_err(LabError::io("read", &tasks))? {
            let path = task.map_err(LabError::io("read", &tasks))?.path();
            let status = read(&path.join("status").to_string_lossy())?;
            switches += field(&status, "voluntary_ctxt_switches")?
                + field(&status, "nonvoluntary_ctxt_switches")?;
        }
        Ok(Usage {
            resident_kib: field(&status, "VmRSS")?,
            anonymous_kib: field(&status, "RssAnon")?,
            cpu_ms: cpu_ticks(&stat)
                .ok_or_else(|| LabError::other(format!("/proc/{pid}/stat is not understood")))?
                * TICK_MS,
            switches,
        })
    }
}

/// A program that runs until it is dropped.
#[derive(Debug)]
struct Process(Child);

impl Process {
    /// Starts it and waits until its socket is there.
    fn start(command: &mut Command, log: &Path, socket: &Path) -> Result<Self> {
        let program = command.get_program().to_owned();
        let file = File::create(log).map_err(LabError::io("create", log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(LabError::io("run", &program))?;
        let mut process = Self(child);
        let what = format!("the socket of {}", program.display());
        wait::until(&what, START_BOUND, || {
            let said = fs::read_to_string(log).unwrap_or_default();
            match process.0.try_wait() {
                Ok(None) if socket.exists() => Ok(Look::Done(())),
                Ok(None) => Ok(Look::NotYet(said)),
                Ok(Some(status)) => Err(LabError::other(format!(
                    "{} has ended ({status}):\n{said}",
                    program.display()
                ))),
                Err(error) => Err(LabError::other(format!("cannot wait: {error}"))),
            }
        })?;
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when the process is gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(LabError::io("read", path))
}

/// The number in a line such as `VmRSS:     5120 kB`.
fn field(status: &str, name: &str) -> Result<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| LabError::other(format!("no {name} in a 'status' of /proc")))
}

/// `utime` and `stime`, fields 14 and 15 of `/proc/PID/stat`: see `proc_pid_stat(5)`. The second
/// field is the program's name in parentheses, so the fields are counted from the last `)`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc_are_found() {
        let status = "Name:\tx\nVmRSS:\t    5120 kB\nvoluntary_ctxt_switches:\t7\n\
                      nonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(field(status, "VmRSS").unwrap(), 5120);
        assert_eq!(field(status, "voluntary_ctxt_switches").unwrap(), 7);
        assert_eq!(field(status, "nonvoluntary_ctxt_switches").unwrap(), 2);
        assert!(field(status, "Vm").is_err());

        let fields: Vec<_> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("7 (a) b) {}", fields.join(" "));
        assert_eq!(cpu_ticks(&stat), Some(14 + 15));
    }
}
