//! systemd's files at run time: what tells of its units without asking it.
//!
//! See `systemd.unit(5)` for the folders. The root is given, so that tests and the benchmark have
//! one of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{debug, warn};

/// Unit files at run time, of the administrator's.
const UNITS: &str = "system";
/// Where systemd keeps transient units.
const TRANSIENT: &str = "transient";
/// Where systemd keeps what is set at run time on a unit that is not transient.
const CONTROL: &str = "system.control";
/// logind makes this folder when it starts and leaves it when it stops: the test that systemd's
/// own library uses to see whether logind is there.
const LOGIND_MARK: &str = "seats";

/// The folders below `/run/systemd`.
#[derive(Clone, Debug)]
pub(super) struct UnitFiles {
    root: PathBuf,
}

impl UnitFiles {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Whether logind has ever run since the machine booted.
    pub(super) fn has_logind(&self) -> bool {
        self.root.join(LOGIND_MARK).exists()
    }

    /// Whether a unit is transient, as soon as systemd has carried out what made it so.
    pub(super) fn is_transient(&self, unit: &str) -> bool {
        self.root.join(TRANSIENT).join(unit).exists()
    }

    /// Whether this setting was made over D-Bus on this unit.
    pub(super) fn has_setting(&self, unit: &str, setting: &str) -> bool {
        let exists = |folder| {
            let drop_in = self.drop_ins(folder, unit).join(drop_in(setting));
            drop_in.exists()
        };
        exists(TRANSIENT) || exists(CONTROL)
    }

    /// Removes what was set over D-Bus on a unit that is not transient.
    pub(super) fn remove_settings(&self, unit: &str, settings: &[&str]) {
        let folder = self.drop_ins(CONTROL, unit);
        for setting in settings {
            remove(&folder.join(drop_in(setting)));
        }
        // Only when nothing of the administrator's is left in it.
        let _ = fs::remove_dir(&folder);
    }

    /// Has systemd read its unit folders anew when it next looks for a unit.
    ///
    /// systemd remembers which unit files there are, and looks again when one of its folders has
    /// changed. Changes in the folder of transient units do not count, because they are its own. So
    /// after a `daemon-reload` while a transient slice is up, it believes in the slice's file for
    /// good: once the slice is gone, the user's next login finds "Unit user-1000.slice not found",
    /// and logind makes no session. A new time stamp on any other folder ends that.
    pub(super) fn let_systemd_look_again(&self, unit: &str) {
        debug!(unit, "having systemd look for unit files again");
        let folder = self.root.join(UNITS);
        let stamped = fs::File::open(&folder)
            .and_then(|folder| folder.set_modified(std::time::SystemTime::now()));
        if let Err(error) = stamped {
            warn!(
                "cannot set the time of {}: {error}, ignoring",
                folder.display()
            );
        }
    }

    /// The folder of a unit's drop-ins.
    fn drop_ins(&self, folder: &str, unit: &str) -> PathBuf {
        self.root.join(folder).join(format!("{unit}.d"))
    }
}

/// The file that systemd writes for a setting that was made over D-Bus.
fn drop_in(setting: &str) -> String {
    format!("50-{setting}.conf")
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!("cannot remove {}: {error}, ignoring", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "user-1000.slice";

    #[test]
    fn settings_are_found_and_only_named_ones_removed() {
        let root = tempfile::tempdir().unwrap();
        let files = UnitFiles::new(root.path());
        let folder = root.path().join("system.control/user-1000.slice.d");
        fs::create_dir_all(&folder).unwrap();
        for setting in ["MemoryMax", "IOWeight"] {
            fs::write(folder.join(format!("50-{setting}.conf")), "").unwrap();
            assert!(files.has_setting(UNIT, setting));
        }
        assert!(!files.has_setting(UNIT, "TasksMax"));

        files.remove_settings(UNIT, &["MemoryMax", "TasksMax"]);
        assert!(!files.has_setting(UNIT, "MemoryMax"));
        assert!(
            files.has_setting(UNIT, "IOWeight"),
            "the administrator's own stays"
        );
        files.remove_settings(UNIT, &["IOWeight"]);
        assert!(!folder.exists());
    }

    #[test]
    fn a_transient_unit_has_its_file_and_logind_its_mark() {
        let root = tempfile::tempdir().unwrap();
        let files = UnitFiles::new(root.path());
        assert!(!files.is_transient(UNIT) && !files.has_logind());
        fs::create_dir(root.path().join("transient")).unwrap();
        fs::write(root.path().join("transient").join(UNIT), "").unwrap();
        fs::create_dir(root.path().join("seats")).unwrap();
        assert!(files.is_transient(UNIT) && files.has_logind());
    }

    #[test]
    fn looking_again_sets_a_new_time_on_the_folder_that_counts() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("system");
        fs::create_dir(&folder).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::open(&folder)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        UnitFiles::new(root.path()).let_systemd_look_again(UNIT);
        assert!(fs::metadata(&folder).unwrap().modified().unwrap() > long_ago);
    }
}
