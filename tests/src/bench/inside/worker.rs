//! Helper: logs people in, timed, from within the slice that it has been put into.

use std::process::{Command, Stdio};
use std::time::Instant;

use fairshare_tests::{LabError, Result};

use super::helper;

/// Reads `SERVICE USER` and answers how many nanoseconds the login and the logout took, together
/// with pamtester's own start and end.
pub(super) fn run() -> Result<()> {
    helper::serve(|line| {
        let Some((service, user)) = line.split_once(' ') else {
            return Err(LabError::other(format!("no user in '{line}'")));
        };
        let mut pamtester = Command::new("pamtester");
        pamtester
            .args([service, user, "open_session", "close_session"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let start = Instant::now();
        let status = pamtester.status();
        let elapsed = start.elapsed();
        match status {
            Ok(status) if status.success() => Ok(elapsed.as_nanos().to_string()),
            Ok(status) => Err(LabError::other(format!(
                "pamtester {line}: {status}; 'journalctl -t pamtester' in the machine may say why"
            ))),
            Err(error) => Err(LabError::io("run", "pamtester")(error)),
        }
    })
}
