//! What has happened to a user: the answer to `incidents`, and what hooks are told.

use serde::{Deserialize, Serialize};

use crate::{MemorySize, Period, Wish};

/// The fields of the request `incidents`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incidents {
    /// The user; without it the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Only those of the last so long; without it as far back as the daemon remembers.
    #[serde(default, rename = "since", skip_serializing_if = "Option::is_none")]
    pub since: Option<Period>,
    /// At most so many, the newest; without it, and above it, [`MAX_INCIDENTS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The most incidents that one reply names.
pub const MAX_INCIDENTS: u32 = 100;

/// The fields of `incidents_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentsInfo {
    /// The incidents, the newest first.
    pub incidents: Vec<Incident>,
    /// What cannot be noticed on this machine, and why: a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<String>,
}

/// One thing that has happened to a user because of their limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number: later ones have higher ones.
    pub id: u64,
    /// Whom it happened to.
    pub uid: u32,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When, in seconds since 1970, UTC.
    pub at: u64,
    /// What kind.
    pub kind: IncidentKind,
    /// What happened, as sentences, with the limit and the figures.
    pub text: String,
    /// The command that helps, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The limit that it is about; only the resources that it concerns.
    #[serde(default, skip_serializing_if = "Wish::is_empty")]
    pub limit: Wish,
    /// The user's processes at that moment that say most about it, at most five: those that had used
    /// most CPU time where CPU was short, else those that held most memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<IncidentProcess>,
    /// How often it happened, where that is more than once: alike ones in a row are told as one,
    /// with the time of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// What kind of incident. The set only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// The kernel killed a process because the slice had reached its memory limit.
    OomKill,
    /// The slice was held back by its CPU limit for long.
    CpuThrottled,
    /// A process or thread was not started because the slice had reached its number of tasks.
    TasksLimit,
    /// The slice waited for memory for long.
    MemoryPressure,
    /// A request was refused.
    RequestRefused,
    /// The lease of a grant has ended.
    LeaseEnded,
    /// A grant was taken back: it was not used, or an administrator took it.
    GrantReclaimed,
    /// Policy has changed what the user has.
    PolicyChanged,
    /// A kind that this version does not know: the daemon is newer.
    #[serde(other)]
    Unknown,
}

impl IncidentKind {
    /// The kind as it is on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OomKill => "oom_kill",
            Self::CpuThrottled => "cpu_throttled",
            Self::TasksLimit => "tasks_limit",
            Self::MemoryPressure => "memory_pressure",
            Self::RequestRefused => "request_refused",
            Self::LeaseEnded => "lease_ended",
            Self::GrantReclaimed => "grant_reclaimed",
            Self::PolicyChanged => "policy_changed",
            Self::Unknown => "unknown",
        }
    }
}

/// A process at the moment of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentProcess {
    /// The process.
    pub pid: u32,
    /// The name of its program, at most 15 bytes: the user may have made it anything.
    pub command: String,
    /// Memory that it held: its resident set.
    pub mem: MemorySize,
    /// CPU time that it had used, in seconds.
    pub cpu_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kinds_name_is_what_is_on_the_wire() {
        for kind in [
            IncidentKind::OomKill,
            IncidentKind::CpuThrottled,
            IncidentKind::TasksLimit,
            IncidentKind::MemoryPressure,
            IncidentKind::RequestRefused,
            IncidentKind::LeaseEnded,
            IncidentKind::GrantReclaimed,
            IncidentKind::PolicyChanged,
            IncidentKind::Unknown,
        ] {
            let name = format!("\"{}\"", kind.name());
            assert_eq!(serde_json::to_string(&kind).unwrap(), name);
        }
    }
}
