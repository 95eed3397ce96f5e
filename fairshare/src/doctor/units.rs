//! What systemd says of the units that matter, in one question.

use std::collections::BTreeMap;
use std::time::Duration;

use super::program;

pub(crate) const SERVICE: &str = "fairshared.service";
pub(crate) const SOCKET: &str = "fairshared.socket";
pub(crate) const LOGIND: &str = "systemd-logind.service";

/// Properties of units, by the unit's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Units(BTreeMap<String, BTreeMap<String, String>>);

/// Asks systemd.
///
/// # Errors
/// A clause: it did not answer.
pub(crate) fn ask(limit: Duration) -> Result<Units, String> {
    let properties =
        "--property=Id,LoadState,ActiveState,UnitFileState,Result,ExecMainStatus,MainPID";
    let arguments = ["show", "--no-pager", properties, SERVICE, SOCKET, LOGIND];
    let ran = program::run("systemctl", &arguments, &[], limit)?;
    let units = Units::parse(&ran.stdout);
    if units.0.is_empty() {
        let said = ran.stderr.lines().next().unwrap_or("nothing").to_owned();
        return Err(format!("systemd does not answer: {said}"));
    }
    Ok(units)
}

impl Units {
    /// Reads the answer: a block of `Name=value` lines for each unit.
    pub(crate) fn parse(text: &str) -> Self {
        let blocks = text.split("\n\n").map(|block| {
            let pairs = block.lines().filter_map(|line| line.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>()
        });
        let named = blocks.filter_map(|block| Some((block.get("Id")?.clone(), block)));
        Self(named.collect())
    }

    /// A property; empty where it is not told.
    pub(crate) fn get(&self, unit: &str, property: &str) -> &str {
        let value = self.0.get(unit).and_then(|unit| unit.get(property));
        value.map_or("", String::as_str)
    }

    /// The process of the daemon.
    pub(crate) fn daemon_pid(&self) -> Option<u32> {
        let pid = self.get(SERVICE, "MainPID").parse().ok();
        pid.filter(|&pid| pid > 0)
    }
}
