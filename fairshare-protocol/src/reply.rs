//! What the daemon answers.

use serde::{Deserialize, Serialize};

use crate::{Allocation, Cpus, ErrorCode, MemorySize, Tasks};

/// A reply, one for each `type` on the wire. A client skips fields that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// The request was carried out.
    Success {
        /// A sentence for people.
        message: String,
    },
    /// The answer to `status`.
    StatusInfo(Box<StatusInfo>),
    /// The answer to `list`.
    ListInfo {
        /// One row for each user, in the order of their UIDs.
        users: Vec<UserInfo>,
    },
    /// The answer to `open_session`: the session is recorded and the limits hold.
    SessionOpened(SessionOpened),
    /// The answer to `open_session` where there is nothing to limit: the user is not covered, or
    /// the process stays in the session of another user.
    SessionIgnored {
        /// Why, as a sentence.
        message: String,
    },
    /// The request was not carried out.
    Error(ErrorReply),
}

/// The fields of `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// A sentence for people.
    pub error: String,
    /// For programs. A daemon of the first version sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
}

/// The fields of `session_opened`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The session's number, for `close_session`. Never 0, never used twice until the machine
    /// boots again.
    pub session: u64,
    /// What the kernel enforces for the user now.
    #[serde(flatten)]
    pub allocation: Allocation,
}

/// The fields of `status_info`. The first two are always there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusInfo {
    /// CPUs that the user has.
    pub allocated_cpu: Cpus,
    /// Memory that the user has.
    pub allocated_mem: MemorySize,
    /// Tasks that the user has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_tasks: Option<Tasks>,
    /// Swap that the user may fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_swap: Option<MemorySize>,
    /// Whether the user holds a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<bool>,
    /// Open sessions of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// What policy gives the user at login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Allocation>,
    /// What policy lets the user hold at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Allocation>,
    /// The user's slice and what is in use of it; left out where the kernel does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<SliceInfo>,
    /// What the kernel enforces otherwise than the allocation says, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// The daemon's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A slice and its use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceInfo {
    /// The unit's name, such as `user-1000.slice`.
    pub unit: String,
    /// Memory in use that cannot be taken back without swap: what programs hold, page cache left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_used: Option<MemorySize>,
    /// Page cache, which the kernel takes back when memory is short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_cache: Option<MemorySize>,
    /// Tasks that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks_used: Option<u64>,
}

/// One row of `list_info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// The user.
    pub uid: u32,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Open sessions. 0 where only left-over processes remain, which stay limited.
    pub sessions: u64,
    /// Whether the user holds a grant.
    pub grant: bool,
    /// What the user has.
    #[serde(flatten)]
    pub allocation: Allocation,
}

impl Reply {
    /// An error reply.
    pub fn error(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Error(ErrorReply {
            error: message.into(),
            code: Some(code),
        })
    }
}

impl StatusInfo {
    /// The allocation, where the daemon told all of it.
    pub fn allocation(&self) -> Option<Allocation> {
        let tasks = self.allocated_tasks?;
        Some(Allocation {
            cpu: self.allocated_cpu,
            mem: self.allocated_mem,
            tasks,
        })
    }
}
