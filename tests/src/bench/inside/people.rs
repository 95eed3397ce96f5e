//! Accounts to log in with, as many as are wanted.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::Range;

use fairshare_tests::{LabError, Result};

/// Where accounts are.
const PASSWD: &str = "/etc/passwd";

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) uid: u32,
    pub(super) name: String,
}

impl Person {
    fn new(uid: u32) -> Self {
        Self {
            uid,
            name: format!("bench{uid}"),
        }
    }

    /// The unit that all of their processes are in.
    pub(super) fn slice(&self) -> String {
        format!("user-{}.slice", self.uid)
    }
}

/// Makes accounts without a password, a home or a group of their own.
pub(super) fn create(uids: Range<u32>) -> Result<Vec<Person>> {
    let people: Vec<_> = uids.map(Person::new).collect();
    let mut lines = String::new();
    for Person { uid, name } in &people {
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{name}:x:{uid}:{uid}::/nonexistent:/bin/sh");
    }
    OpenOptions::new()
        .append(true)
        .open(PASSWD)
        .and_then(|mut file| file.write_all(lines.as_bytes()))
        .map_err(LabError::io("write", PASSWD))?;
    Ok(people)
}
