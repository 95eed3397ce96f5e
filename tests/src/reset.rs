//! Between two tests: everybody out, configuration as it was, a fresh daemon.

use std::time::Duration;

use crate::daemon::START;
use crate::error::Result;
use crate::machine::Machine;

/// What is run in the machine.
const SCRIPT: &str = include_str!("reset.sh");
/// For ending all processes of the users and their slices, and for the daemon to start.
const RESET_BOUND: Duration = Duration::from_secs(90);

/// `ssh`'s own status where the connection breaks.
const CONNECTION_LOST: i32 = 255;

impl Machine {
    /// Logs all users out, ends what they left running, restores policy, PAM and unit files, groups
    /// and name services as they were installed, and starts the daemon with an empty ledger.
    pub fn reset(&self) -> Result<()> {
        let script = format!("{SCRIPT}{START}");
        let run = || {
            let login = self.as_root().bound(RESET_BOUND).input(script.clone());
            login.run("sh -s")
        };
        let output = run()?;
        if output.status == Some(CONNECTION_LOST) {
            // A scenario that stops logind makes it forget root's session too, and when it is back
            // it ends what it does not know: the connection among it. The next one is new.
            self.access().close_master();
            return run()?.ok().map(drop);
        }
        output.ok().map(drop)
    }
}
