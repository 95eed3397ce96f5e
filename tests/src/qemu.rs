//! Starts the emulator, and makes sure that it ends with whoever needs it.
//!
//! Changes to the disk go to an unnamed temporary layer (`snapshot=on`) that the kernel frees
//! with the process, so that the pristine image is never written and nothing is left behind,
//! however a machine ends.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::accel::Accel;
use crate::command;
use crate::error::{LabError, Result};
use crate::host;
use crate::image::Image;
use crate::wait::{self, Look};

/// Name of the emulator.
const PROGRAM: &str = "qemu-system-x86_64";
/// Kernel command line: console on the serial port, nothing that only costs time in emulation.
const KERNEL: &str = "console=ttyS0 root=/dev/vda rw quiet panic=-1 mitigations=off \
                      net.ifnames=0 systemd.show_status=no";
/// How often the keeper looks whether the emulator has ended by itself.
const KEEPER_STEP: Duration = Duration::from_millis(200);

/// For an emulator to end that was killed.
const END_BOUND: Duration = Duration::from_secs(10);

/// The virtual hardware.
#[derive(Debug, Clone, Copy)]
pub struct Hardware {
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            cpus: 2,
            memory_mib: 2048,
        }
    }
}

/// A port of this host that nothing listens on now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| LabError::other(format!("cannot find a free port: {error}")))?;
    Ok(listener.port())
}

/// The arguments for a machine whose ssh is at `port` and whose console is written to `console`.
fn arguments(
    image: &Image,
    hardware: Hardware,
    accel: Accel,
    port: u16,
    console: &Path,
) -> Vec<String> {
    let path = |path: PathBuf| path.to_string_lossy().replace(',', ",,");
    vec![
        "-nodefaults".into(),
        "-no-user-config".into(),
        "-display".into(),
        "none".into(),
        // A guest that panics or reboots ends the emulator, which the lab notices.
        "-no-reboot".into(),
        "-accel".into(),
        accel.argument().into(),
        "-cpu".into(),
        "max".into(),
        "-smp".into(),
        hardware.cpus.to_string(),
        "-m".into(),
        hardware.memory_mib.to_string(),
        "-kernel".into(),
        image.kernel().to_string_lossy().into_owned(),
        "-initrd".into(),
        image.initrd().to_string_lossy().into_owned(),
        "-append".into(),
        KERNEL.into(),
        "-drive".into(),
        format!(
            "file={},if=virtio,format=raw,snapshot=on",
            path(image.disk())
        ),
        "-nic".into(),
        format!("user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        "-device".into(),
        "virtio-rng-pci".into(),
        "-serial".into(),
        format!("file:{}", path(console.to_path_buf())),
    ]
}

/// The emulator of a machine, ready to be started.
pub fn command(
    image: &Image,
    hardware: Hardware,
    accel: Accel,
    port: u16,
    console: &Path,
) -> Result<Command> {
    let layers = host::lab().join("tmp");
    host::make_dir(&layers)?;
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments(image, hardware, accel, port, console))
        // The temporary layers go there: /var/tmp may be small.
        .env("TMPDIR", layers);
    Ok(command)
}

/// Puts `program` with its arguments before `command`, with what it says written to `log`.
fn wrapped(program: &str, arguments: &[&str], command: &Command, log: &Path) -> Result<Command> {
    let log = File::create(log).map_err(LabError::io("create", log))?;
    let mut wrapper = Command::new(program);
    wrapper
        .args(arguments)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapper.env(name, value);
        }
    }
    wrapper
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(wrapper)
}

/// An emulator that ends with the value, and with this process however that ends.
#[derive(Debug)]
pub struct Kept {
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
    ended: Arc<OnceLock<String>>,
}

impl Kept {
    /// Starts `command`.
    ///
    /// The kernel kills it (`PR_SET_PDEATHSIG`, set by `setpriv`) when the thread that started
    /// it ends, so a thread is kept for nothing else.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        let mut command = wrapped("setpriv", &["--pdeathsig", "KILL", "--"], command, log)?;
        let (stop, stopped) = mpsc::channel();
        let (report, started) = mpsc::channel();
        let ended = Arc::new(OnceLock::new());
        let end = Arc::clone(&ended);
        let keeper = thread::spawn(move || match command::spawn(&mut command) {
            Ok(child) => {
                let _ = report.send(Ok(()));
                keep(child, &stopped, &end);
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        });
        started
            .recv()
            .map_err(|_| LabError::other("the keeper of the emulator has ended"))??;
        Ok(Self {
            stop: Some(stop),
            keeper: Some(keeper),
            ended,
        })
    }

    /// How the emulator ended, if it did by itself.
    pub fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

fn keep(mut child: Child, stopped: &mpsc::Receiver<()>, ended: &OnceLock<String>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(KEEPER_STEP) {
        if let Ok(Some(status)) = child.try_wait() {
            let _ = ended.set(status.to_string());
            return;
        }
    }
    command::end(&mut child);
}

/// Starts `command` so that it outlives this process; returns its process id.
pub fn start_detached(command: &Command, log: &Path) -> Result<u32> {
    let mut command = wrapped("setsid", &[], command, log)?;
    Ok(command::spawn(&mut command)?.id())
}

/// Ends an emulator that was started by [`start_detached`], if it still runs.
pub fn end_detached(pid: u32, console: &Path) -> Result<()> {
    if !is_running(pid, console) {
        return Ok(());
    }
    let mut kill = Command::new("kill");
    command::run(kill.args(["-KILL", &pid.to_string()]), b"", END_BOUND)?.ok()?;
    wait::until("the end of the emulator", END_BOUND, || {
        Ok(if is_running(pid, console) {
            Look::NotYet(format!("process {pid} still runs"))
        } else {
            Look::Done(())
        })
    })
}

/// Whether process `pid` is an emulator that writes to `console`, and not another process that
/// got its number.
pub fn is_running(pid: u32, console: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    if line.is_empty() {
        // Either it has ended and waits to be reaped, or it is just being replaced by exec.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        return status.contains("State:") && !status.contains("State:\tZ");
    }
    let line = String::from_utf8_lossy(&line);
    line.contains(PROGRAM) && line.contains(&*console.to_string_lossy())
}
