//! Processes outside of their user's slice: the answer to `strays`.

use serde::{Deserialize, Serialize};

/// The fields of `strays_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StraysInfo {
    /// The processes, in the order of their users and numbers.
    pub strays: Vec<StrayInfo>,
    /// How many more there are: a reply names only so many of one user in one unit, and altogether.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more: u64,
    /// Whether the machine has more cgroups or processes than are looked at: then there may be
    /// more strays.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
    /// How long ago the daemon has looked, in seconds. It looks when it is asked, and not again
    /// where it has only just done so.
    pub age_s: u64,
}

/// One process outside of its user's slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayInfo {
    /// The user whose process it is.
    pub uid: u32,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The process.
    pub pid: u32,
    /// The name of its program, at most 15 bytes: the user may have made it anything.
    pub command: String,
    /// The system's service or scope that it runs in; left out where it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The path of its cgroup, such as `/system.slice/cron.service`.
    pub cgroup: String,
    /// How long it has been running, in seconds.
    pub running_s: u64,
    /// Whether policy has it moved into the user's slice at the next look that the daemon makes by
    /// itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub adopts: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_none(more: &u64) -> bool {
    *more == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
