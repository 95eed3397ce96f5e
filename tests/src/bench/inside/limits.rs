//! The limits that every way to limit a user sets here, and whether the kernel has them.

use std::fs;
use std::path::{Path, PathBuf};

use fairshare_tests::{LabError, Result};

/// What the kernel's files of a limited slice hold. Policy gives the same: `LOGIN_POLICY` of
/// [`crate::conduct`].
const FILES: [(&str, &str); 4] = [
    ("cpu.max", "200000 100000"),
    ("memory.max", "8589934592"),
    ("memory.swap.max", "0"),
    ("pids.max", "4096"),
];

/// Where the slices of users are.
const USERS: &str = "/sys/fs/cgroup/user.slice";

/// The folder of a user's slice.
pub(super) fn folder(slice: &str) -> PathBuf {
    Path::new(USERS).join(slice)
}

/// Reads the four files; the first that differs is an error.
pub(super) fn read_back(slice: &str) -> Result<()> {
    for (name, expected) in FILES {
        let path = folder(slice).join(name);
        let found = fs::read_to_string(&path).map_err(LabError::io("read", &path))?;
        if found.trim() != expected {
            return Err(LabError::other(format!(
                "'{}' is '{}' and not '{expected}': what was measured did not set the limit",
                path.display(),
                found.trim()
            )));
        }
    }
    Ok(())
}
