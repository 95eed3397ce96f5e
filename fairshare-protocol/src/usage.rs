//! What is in use now: the answers to `usage` and `processes`.

use serde::{Deserialize, Serialize};

use crate::{Hundredths, MemorySize, SliceInfo, UserInfo, Wish};

/// How long tasks waited for something, in percent of the last ten seconds: the `some avg10` of the
/// kernel's pressure stall information. What the kernel does not measure is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressure {
    /// For a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Hundredths>,
    /// For memory to be freed or read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<Hundredths>,
    /// For a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io: Option<Hundredths>,
}

impl Pressure {
    /// Whether the kernel measures none of it.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// The fields of `usage_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageInfo {
    /// One row for each user, in the order of their UIDs.
    pub users: Vec<UserUsage>,
    /// The machine that they share.
    #[serde(default)]
    pub machine: MachineInfo,
    /// Whether the caller is an administrator, and sees every user.
    #[serde(default)]
    pub everybody: bool,
}

/// One row of `usage_info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUsage {
    /// The user's row of `list_info`.
    #[serde(flatten)]
    pub row: UserInfo,
    /// The slice and what is in use of it; left out where it is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<SliceInfo>,
}

/// The machine, as far as users share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineInfo {
    /// What it has.
    #[serde(default, skip_serializing_if = "Wish::is_empty")]
    pub total: Wish,
    /// What grants may come to together.
    #[serde(default, skip_serializing_if = "Wish::is_empty")]
    pub capacity: Wish,
    /// What they do come to; a resource of which nothing is granted is left out.
    #[serde(default, skip_serializing_if = "Wish::is_empty")]
    pub granted: Wish,
    /// When the figures were read, in microseconds since the machine was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// CPU time that everything on the machine has used, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Memory that is not available to programs, as the kernel estimates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_used: Option<MemorySize>,
    /// How long tasks wait.
    #[serde(default, skip_serializing_if = "Pressure::is_unknown")]
    pub pressure: Pressure,
}

/// The fields of the request `processes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// The user; without it the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// The most processes that one reply names.
pub const MAX_PROCESSES: usize = 200;

/// The fields of `processes_info`: the processes as they are, or were when somebody asked a moment ago.
/// The daemon looks once a second at the most, and more seldom where a look takes long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessesInfo {
    /// The user.
    pub uid: u32,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The processes that hold most memory, the largest first: at most [`MAX_PROCESSES`].
    pub processes: Vec<ProcessInfo>,
    /// How many there are; those that were not looked at are not counted.
    pub total: u64,
    /// Set where there were too many to look at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// One process of a user's slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// The process.
    pub pid: u32,
    /// The name of its program, at most 15 bytes: the user may have made it anything.
    pub command: String,
    /// The kernel's letter for what it does: `R` runs, `S` sleeps, `D` waits for a device, and so
    /// on, see `proc_pid_stat(5)`.
    pub state: char,
    /// Memory that it holds: its resident set.
    pub mem: MemorySize,
    /// CPU time that it has used, in milliseconds.
    pub cpu_ms: u64,
    /// How long ago it began, in seconds.
    pub running_s: u64,
}
