//! Finds out whether KVM can be used: by using it.
//!
//! `/dev/kvm` can be there, and openable, and still hang every guest (nested virtualisation that
//! the outer host does not support). So a kernel is booted under KVM until it stops for want of a
//! root file system, which takes two seconds where KVM works.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command;
use crate::error::{LabError, Result};
use crate::host;
use crate::image::Image;
use crate::progress::Progress;

/// For a kernel to boot and panic under a KVM that works.
const TRIAL_BOUND: Duration = Duration::from_secs(8);
/// What a kernel without a root file system says last.
const TRIAL_END: &str = "Kernel panic - not syncing: VFS";
/// Set it to `kvm` or `tcg` to decide without a trial.
const VARIABLE: &str = "FAIRSHARE_LAB_ACCEL";

/// How the guest's instructions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// By the processor.
    Kvm,
    /// By translation.
    Tcg,
}

/// What the last trial showed, and on which boot of this host.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    boot: String,
    accel: Accel,
}

impl Accel {
    /// The best that works here; the outcome of the trial is remembered until the host reboots.
    pub fn probe(image: &Image, progress: Progress) -> Result<Self> {
        match std::env::var(VARIABLE).as_deref() {
            Ok("kvm") => return Ok(Self::Kvm),
            Ok("tcg") => return Ok(Self::Tcg),
            Ok(other) => {
                return Err(LabError::other(format!(
                    "{VARIABLE} is '{other}', not kvm or tcg"
                )));
            }
            Err(_) => {}
        }
        if !Path::new("/dev/kvm").exists() {
            return Ok(Self::Tcg);
        }
        let boot = host::read(Path::new("/proc/sys/kernel/random/boot_id"))?
            .trim()
            .to_owned();
        let path = host::lab().join("accel.json");
        if let Some(memory) = recall(&path)
            && memory.boot == boot
        {
            return Ok(memory.accel);
        }
        let step = progress.step("trying whether KVM works here");
        let accel = if trial(image)? { Self::Kvm } else { Self::Tcg };
        step.done();
        let memory = serde_json::to_string(&Memory { boot, accel })
            .map_err(|error| LabError::other(error.to_string()))?;
        host::write(&path, &memory)?;
        Ok(accel)
    }

    /// qemu's name for it.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }
}

fn recall(path: &Path) -> Option<Memory> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Whether a kernel boots under KVM.
fn trial(image: &Image) -> Result<bool> {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
            "-accel",
            "kvm",
            "-cpu",
            "max",
        ])
        .args([
            "-m",
            "256",
            "-serial",
            "stdio",
            "-append",
            "console=ttyS0 panic=-1",
            "-kernel",
        ])
        .arg(image.kernel())
        .stdin(Stdio::null());
    match command::run(&mut command, b"", TRIAL_BOUND) {
        Ok(output) => Ok(output.success() && output.stdout.contains(TRIAL_END)),
        // It hangs: that is the answer.
        Err(LabError::Deadline { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
