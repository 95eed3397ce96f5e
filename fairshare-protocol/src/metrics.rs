//! The figures that a monitoring system collects: the answer to `metrics`.
//!
//! Whole numbers only: CPUs in thousandths, time in microseconds, memory in bytes. What a reader
//! does not find was not known to the daemon, or to its version.

use serde::{Deserialize, Serialize};

use crate::IncidentKind;

/// The fields of the request `metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// How many users to tell of one by one, at most [`MAX_METRICS_USERS`]; without it none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
}

/// The most users that `metrics` tells of one by one.
pub const MAX_METRICS_USERS: u32 = 100;

/// The fields of `metrics_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsInfo {
    /// The daemon's version.
    pub version: String,
    /// When it was started, in seconds since 1970, UTC. What it counts began then.
    pub started_at: u64,
    /// Whether it sets limits; false where policy says `enforce: watch`.
    pub enforces: bool,
    /// Users in the ledger, those among them who left programs behind and have no session.
    pub users: u64,
    /// Open sessions.
    pub sessions: u64,
    /// What grants may come to together.
    pub capacity: Sums,
    /// What all users have together.
    pub allocated: Sums,
    /// The processes and threads that all users may have together.
    pub allocated_tasks: u64,
    /// Grants that are held.
    pub grants: u64,
    /// What they come to above the defaults.
    pub granted: Sums,
    /// What the slice above all users' slices uses; left out where the kernel does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<MetricsUse>,
    /// The time in which CPU limits held users back, in microseconds, of all CPUs together: as far
    /// as was seen by those who asked.
    pub throttled_us: u64,
    /// Requests that wait.
    pub queue: u64,
    /// How long the oldest of them has waited, in seconds; 0 where none waits.
    pub queue_oldest_s: u64,
    /// Incidents by their kind.
    #[serde(default)]
    pub incidents: Vec<IncidentCount>,
    /// What came of logins.
    #[serde(default)]
    pub logins: Logins,
    /// How long a login waited for the daemon, from its request to the reply, in microseconds.
    /// Those that were ignored are left out.
    #[serde(default)]
    pub login_us: Histogram,
    /// How long calls to systemd and logind took, in microseconds.
    #[serde(default)]
    pub systemd_call_us: Histogram,
    /// What went wrong, by kind.
    #[serde(default)]
    pub errors: Errors,
    /// Processes outside of their users' slices at the last look; left out before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strays: Option<u64>,
    /// The users with the most CPU time, that one first; as many as were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_user: Vec<MetricsUser>,
}

/// Resources added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// CPUs, in thousandths.
    pub cpu_thousandths: u64,
    /// Memory in bytes.
    pub mem_bytes: u64,
}

/// What all users use together: those among them whom policy does not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsUse {
    /// CPU time since the machine was booted, in microseconds.
    pub cpu_us: u64,
    /// Memory that programs hold, in bytes, page cache left out.
    pub mem_bytes: u64,
    /// Page cache and what else the kernel can take back, in bytes.
    pub cache_bytes: u64,
    /// Processes and threads.
    pub tasks: u64,
}

/// Incidents of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentCount {
    /// The kind.
    pub kind: IncidentKind,
    /// How many.
    pub count: u64,
}

/// What came of logins that the daemon was told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// The limits held when the reply was sent.
    pub limited: u64,
    /// There was nothing to limit.
    pub ignored: u64,
    /// The limits did not hold in time.
    pub not_enforced: u64,
    /// The request made no sense, or the daemon was at fault.
    pub failed: u64,
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// The upper bound of each bucket but the last, which has none; they rise.
    pub up_to: Vec<u64>,
    /// How many fell into each bucket, those in the buckets before it not among them.
    pub counts: Vec<u64>,
    /// All that was measured, added up.
    pub sum: u64,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Limits could not be set.
    pub not_enforced: u64,
    /// Calls to systemd or logind that were refused or not answered in time.
    pub systemd_call: u64,
    /// Connections to the system bus that ended.
    pub bus_lost: u64,
    /// The ledger's snapshot could not be written.
    pub snapshot_write: u64,
    /// Records of the history that were given up.
    pub history_drop: u64,
}

/// One user's use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricsUser {
    /// The user.
    pub uid: u32,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// CPU time since the slice began, in microseconds.
    pub cpu_us: u64,
    /// Memory that programs hold, in bytes.
    pub mem_bytes: u64,
    /// Processes and threads.
    pub tasks: u64,
    /// The time in which the CPU limit held the slice back, in microseconds.
    pub throttled_us: u64,
}
