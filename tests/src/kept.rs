//! Machines that are kept up for a developer, found again by a file for each release.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::error::{LabError, Result};
use crate::host;
use crate::machine::{Address, Machine};
use crate::progress::Progress;
use crate::qemu;
use crate::release::Release;
use crate::scratch;

/// Boots a machine and leaves it running; the one that runs already is handed over as it is.
pub fn up(release: Release, progress: Progress) -> Result<Machine> {
    let folder = folder();
    host::make_dir(&folder)?;
    // Two developers may ask at once.
    let path = folder.join(format!("{release}.lock"));
    let lock = File::create(&path).map_err(LabError::io("create", &path))?;
    lock.lock().map_err(LabError::io("lock", &path))?;
    if let Some(machine) = find(release)? {
        return Ok(machine);
    }
    down(release)?;
    let dir = scratch::kept()?;
    let machine = Machine::boot_detached(release, dir.path(), progress)?;
    let text = serde_json::to_string_pretty(machine.address())
        .map_err(|error| LabError::other(error.to_string()))?;
    host::write(&state(release), &text)?;
    // From now on the state file knows the folder.
    let _ = dir.keep();
    Ok(machine)
}

/// The machine of `release` that is up, if one is.
pub fn find(release: Release) -> Result<Option<Machine>> {
    let Some(address) = recall(release)? else {
        return Ok(None);
    };
    let runs = qemu::is_running(address.pid, &address.console);
    Ok(runs.then(|| Machine::attach(address)))
}

/// The machine of `release` that is up; an error says how to get one.
pub fn get(release: Release) -> Result<Machine> {
    find(release)?.ok_or_else(|| {
        LabError::other(format!(
            "no {release} is up: 'cargo lab up {release}' boots one"
        ))
    })
}

/// Ends the machine of `release`, and forgets it; whether there was one.
pub fn down(release: Release) -> Result<bool> {
    let Some(address) = recall(release)? else {
        return Ok(false);
    };
    let ran = qemu::is_running(address.pid, &address.console);
    qemu::end_detached(address.pid, &address.console)?;
    if let Some(dir) = address.console.parent()
        && dir.exists()
    {
        fs::remove_dir_all(dir).map_err(LabError::io("remove", dir))?;
    }
    let path = state(release);
    fs::remove_file(&path).map_err(LabError::io("remove", &path))?;
    Ok(ran)
}

fn recall(release: Release) -> Result<Option<Address>> {
    let path = state(release);
    if !path.exists() {
        return Ok(None);
    }
    serde_json::from_str(&host::read(&path)?)
        .map(Some)
        .map_err(|error| LabError::other(format!("'{}' is damaged: {error}", path.display())))
}

fn folder() -> PathBuf {
    host::lab().join("up")
}

fn state(release: Release) -> PathBuf {
    folder().join(format!("{release}.json"))
}
