//! Between two tests: everybody out, configuration as it was, a fresh daemon.

use std::time::Duration;

use crate::daemon::START;
use crate::error::Result;
use crate::machine::Machine;

/// What is run in the machine.
const SCRIPT: &str = include_str!("reset.sh");
/// For ending all processes of the users and their slices, and for the daemon to start.
const RESET_BOUND: Duration = Duration::from_secs(90);

impl Machine {
    /// Logs alice and bob out, ends what they left running, restores policy, PAM and unit files
    /// as they were installed, and starts the daemon with an empty ledger.
    pub fn reset(&self) -> Result<()> {
        let script = format!("{SCRIPT}{START}");
        self.as_root()
            .bound(RESET_BOUND)
            .input(script)
            .ok("sh -s")
            .map(drop)
    }
}
