//! Starts, stops and restarts the daemon in a machine, and puts another in its place.

use std::time::Duration;

use crate::artifacts::Artifacts;
use crate::error::Result;
use crate::machine::Machine;

/// For unpacking.
const INSTALL_BOUND: Duration = Duration::from_secs(120);
/// For starting or stopping the daemon.
const DAEMON_BOUND: Duration = Duration::from_secs(60);

/// What is put in place of what the packages installed.
const REPLACE: &str = r"
set -e
tar --extract --no-overwrite-dir --keep-directory-symlink --directory /
ldconfig
systemctl daemon-reload
";

/// Stops the daemon and its socket, if they run.
const STOP: &str = "systemctl stop fairshared.socket fairshared.service\n";

/// Starts the daemon where it is installed, and shows why when that fails.
pub(crate) const START: &str = r"
[ -e /usr/sbin/fairshared ] && [ -e /lib/systemd/system/fairshared.service ] || exit 0
systemctl start fairshared.service && exit 0
systemctl status --no-pager --lines=0 fairshared.service
journalctl --no-pager --unit fairshared.service --lines 40 --output cat
exit 1
";

impl Machine {
    /// Puts what was built in the place of what is installed, and restarts the daemon.
    pub fn replace(&self, artifacts: &Artifacts) -> Result<()> {
        self.as_root()
            .bound(INSTALL_BOUND)
            .input(artifacts.pack()?)
            .ok(REPLACE)?;
        self.restart_daemon()
    }

    /// Stops the daemon and its socket, and starts them again.
    pub fn restart_daemon(&self) -> Result<()> {
        let forget = "systemctl reset-failed fairshared.socket fairshared.service";
        let script = format!("{{ {STOP}{forget}; }} 2>/dev/null\n{START}");
        self.as_root().bound(DAEMON_BOUND).ok(&script).map(drop)
    }

    /// Stops the daemon and its socket, as an administrator would.
    pub fn stop_daemon(&self) -> Result<()> {
        self.as_root().bound(DAEMON_BOUND).ok(STOP).map(drop)
    }

    /// The daemon's process id; 0 when it does not run.
    pub fn daemon_pid(&self) -> Result<u32> {
        let output = self.root("systemctl show --property MainPID --value fairshared.service")?;
        output
            .text()
            .parse()
            .map_err(|_| format!("no process id in: {output}").into())
    }
}
