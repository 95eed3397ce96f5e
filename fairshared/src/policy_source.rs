//! Where the policy comes from: its files, on the machine as it is now.

use std::io;
use std::path::{Path, PathBuf};

use fairshare_core::policy::{Machine, Policy, SliceScheme};
use fairshare_protocol::MachineInfo;
use tracing::warn;

use crate::capacity::Meter;
use crate::cgroup::CgroupTree;
use crate::enforcement::systemd::users_slice;
use crate::policy_file::{self, Loaded, PolicyFault};

/// The policy's files and the machine that percentages in them are of.
#[derive(Debug)]
pub(crate) struct PolicySource {
    path: PathBuf,
    meter: Meter,
}

impl PolicySource {
    /// For the policy at `path`, on a machine whose slices follow `scheme`. `systemd` is the folder
    /// of systemd's files at run time.
    pub(crate) fn new(
        path: &Path,
        cgroups: CgroupTree,
        scheme: SliceScheme,
        systemd: &Path,
    ) -> Self {
        Self::on(path, Meter::new(cgroups, users_slice(scheme, systemd)))
    }

    /// For the policy at `path`, on the machine that the meter reads.
    pub(crate) fn on(path: &Path, meter: Meter) -> Self {
        Self {
            path: path.to_owned(),
            meter,
        }
    }

    /// Reads the files.
    pub(crate) fn read(&self) -> Result<Loaded, PolicyFault> {
        let machine = self.machine().map_err(PolicyFault::Machine)?;
        policy_file::read(&[&self.path], &machine)
    }

    /// What the machine has now.
    pub(crate) fn machine(&self) -> io::Result<Machine> {
        self.meter.read()
    }

    /// What is in use of the machine now.
    pub(crate) fn in_use(&self) -> MachineInfo {
        self.meter.in_use()
    }

    /// The policy on the machine as it is now; `None` where it is on that already. What cannot be
    /// read has not changed.
    pub(crate) fn follow_machine(&self, policy: &Policy) -> Option<Policy> {
        match self.machine() {
            Ok(machine) => (machine != *policy.machine()).then(|| policy.with_machine(&machine)),
            Err(error) => {
                warn!("cannot learn what the machine has: {error}, ignoring");
                None
            }
        }
    }
}
