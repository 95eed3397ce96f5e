//! What was used over time: the answer to `report`.

use serde::{Deserialize, Serialize};

use crate::{MemorySize, Period};

/// The fields of the request `report`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Only this user; without it everybody for administrators, and the caller for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// What a row is.
    #[serde(default)]
    pub by: ReportBy,
    /// The last so long; without it seven days.
    #[serde(default, rename = "since", skip_serializing_if = "Option::is_none")]
    pub since: Option<Period>,
}

/// What a row of a report is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBy {
    /// A user.
    #[default]
    User,
    /// The users of a group that policy names, and a row for those in none. A user in several
    /// groups is in several rows.
    Group,
    /// A day, in UTC.
    Day,
}

/// The fields of `report_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportInfo {
    /// What a row is.
    pub by: ReportBy,
    /// Where it begins, in seconds since 1970, UTC. Later than asked for where the history is
    /// shorter.
    pub from: u64,
    /// Where it ends: now.
    pub to: u64,
    /// The rows, the one that used most CPU first; days in their order.
    pub rows: Vec<ReportRow>,
    /// The same over time, for charts: those of the largest rows, at most [`MAX_SERIES`], and one
    /// named `other` of the rest. By day there is one, named `all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<ReportSeries>,
    /// Why it may not be whole, as sentences: no history is kept, or some was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

/// The most series of a report, `other` left out.
pub const MAX_SERIES: usize = 6;
/// The most points of one series.
pub const MAX_POINTS: usize = 400;

/// One row of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// The name of the user or group, or the day as `2026-11-24`. The UID where no name is known.
    pub key: String,
    /// The user, where a row is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// CPU time used, in seconds.
    pub cpu_s: u64,
    /// Memory held over time, page cache left out: mebibytes times seconds.
    pub mem_mib_s: u64,
    /// The most memory that was charged at once, page cache included; of several users the
    /// largest of them.
    pub mem_peak: MemorySize,
    /// The most tasks at once, likewise, so far as was looked at.
    pub tasks_peak: u64,
    /// The time in which the CPU limit held something back, in seconds, of all CPUs together.
    pub throttled_s: u64,
    /// The time in which something waited for memory, in seconds.
    pub stalled_s: u64,
    /// The time in which a grant was held, in seconds.
    pub grant_s: u64,
    /// What grants came to above the default, in CPUs times seconds.
    pub grant_cpu_s: u64,
    /// The same for memory, in mebibytes times seconds.
    pub grant_mem_mib_s: u64,
    /// Incidents, as `incidents` tells them.
    pub incidents: u64,
}

/// What one row of a report used over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSeries {
    /// The key of the row.
    pub key: String,
    /// The points, in their order; times of which nothing is known are left out.
    pub points: Vec<ReportPoint>,
}

/// What was used in one piece of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportPoint {
    /// Where it begins, in seconds since 1970, UTC.
    pub at: u64,
    /// How long it is, in seconds.
    pub span_s: u64,
    /// CPU time used in it, in seconds.
    pub cpu_s: u64,
    /// Memory held over it, in mebibytes times seconds.
    pub mem_mib_s: u64,
    /// The time in which the CPU limit held something back, in seconds.
    pub throttled_s: u64,
}
