//! Installs fairshare in a machine, and starts, stops and restarts its daemon.

use std::time::Duration;

use crate::artifacts::Artifacts;
use crate::error::Result;
use crate::machine::Machine;

/// For unpacking, and for the daemon to say that it is ready.
const INSTALL_BOUND: Duration = Duration::from_secs(120);
/// For starting or stopping the daemon.
const DAEMON_BOUND: Duration = Duration::from_secs(60);

/// What is put in place once all files are there. The pristine configuration is kept for
/// [`Machine::reset`].
const INSTALL: &str = r"
set -e
tar --extract --no-overwrite-dir --directory /
if [ -e /usr/lib/x86_64-linux-gnu/libfairshare.so.0 ]; then
    ln -sf libfairshare.so.0 /usr/lib/x86_64-linux-gnu/libfairshare.so
fi
ldconfig
systemctl daemon-reload
mkdir -p /etc/fairshare
pristine=/var/lib/fairshare-lab/pristine
rm -rf $pristine
mkdir -p $pristine/systemd
cp -a /etc/pam.d /etc/fairshare /etc/group /etc/gshadow /etc/nsswitch.conf $pristine
cp -a /etc/systemd/system $pristine/systemd
";

/// Stops the daemon and its socket, if they run.
const STOP: &str = "systemctl stop fairshared.socket fairshared.service\n";

/// Starts the daemon where it is installed, and shows why when that fails.
pub(crate) const START: &str = r"
[ -e /usr/sbin/fairshared ] && [ -e /etc/systemd/system/fairshared.service ] || exit 0
systemctl start fairshared.service && exit 0
systemctl status --no-pager --lines=0 fairshared.service
journalctl --no-pager --unit fairshared.service --lines 40 --output cat
exit 1
";

impl Machine {
    /// Puts the pieces in place and starts the daemon with them, if it is one of them.
    ///
    /// Also puts newer pieces in the place of older ones.
    pub fn install(&self, artifacts: &Artifacts) -> Result<()> {
        self.as_root()
            .bound(INSTALL_BOUND)
            .input(artifacts.pack()?)
            .ok(INSTALL)?;
        let there = "test -e /etc/systemd/system/fairshared.service -a -e /usr/sbin/fairshared";
        if self.as_root().run(there)?.success() {
            self.restart_daemon()?;
        }
        Ok(())
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
