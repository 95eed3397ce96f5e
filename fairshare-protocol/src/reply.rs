//! What the daemon answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AboutInfo, Allocation, ErrorCode, ExplainInfo, IncidentsInfo, MetricsInfo, PolicyDiffInfo,
    ProcessesInfo, QueueEntry, Queued, ReportInfo, StatusInfo, StraysInfo, UsageInfo, Wish,
};

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
    /// The answer to `usage`.
    UsageInfo(UsageInfo),
    /// The answer to `processes`.
    ProcessesInfo(ProcessesInfo),
    /// The answer to `open_session`: the session is recorded and the limits hold.
    SessionOpened(SessionOpened),
    /// The answer to `open_session` where there is nothing to limit: the user is not covered, or
    /// the process stays in the session of another user.
    SessionIgnored {
        /// Why, as a sentence.
        message: String,
    },
    /// A `resize` waits for its turn. It comes again each time something changes and at least
    /// every [`KEEP_ALIVE`] seconds; the reply that ends the request follows.
    Queued(Queued),
    /// The answer to `queue`.
    QueueInfo {
        /// One row for each request that waits, the next one first.
        entries: Vec<QueueEntry>,
    },
    /// The answer to `strays`.
    StraysInfo(StraysInfo),
    /// The answer to `explain`.
    ExplainInfo(ExplainInfo),
    /// The answer to `policy_diff`.
    PolicyDiffInfo(PolicyDiffInfo),
    /// The answer to `incidents`.
    IncidentsInfo(IncidentsInfo),
    /// The answer to `report`.
    ReportInfo(ReportInfo),
    /// The answer to `metrics`.
    MetricsInfo(Box<MetricsInfo>),
    /// The answer to `about`.
    AboutInfo(AboutInfo),
    /// The request was not carried out.
    Error(ErrorReply),
}

/// While a `resize` waits, the daemon sends a `queued` at least this often, in seconds. A client
/// that hears nothing for much longer may take the daemon to be gone.
pub const KEEP_ALIVE: u64 = 30;

/// The fields of `error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// A sentence for people.
    pub error: String,
    /// For programs. A daemon of the first version sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// The largest wish of this kind that would be carried out now; with `no_capacity` and
    /// `over_budget`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest: Option<Wish>,
    /// Who holds what was asked for; with `no_capacity` and `over_budget`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Holder>,
}

/// One grant that stands in the way of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who holds it; left out where policy does not let the caller know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the grant comes to above the default; what it does not raise is left out.
    #[serde(flatten)]
    pub held: Wish,
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
    /// What the user has missed, a line each; where the request can show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// Variables for the environment of the session that policy asks for, beside those that every
    /// session gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
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
    /// Seconds until the grant's lease ends; left out where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_left_s: Option<u64>,
    /// What the user has.
    #[serde(flatten)]
    pub allocation: Allocation,
}

/// Why a line is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidReply {
    /// Its type is none of this version's: whoever sent it is newer. Cut to what an error may
    /// repeat.
    UnknownType(String),
    /// It is no reply of any version's, or a field has a value that it cannot have.
    Faulty(String),
}

impl std::fmt::Display for InvalidReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownType(name) => write!(f, "its type '{name}' is not known to this version"),
            Self::Faulty(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for InvalidReply {}

impl Reply {
    /// The words of `type`.
    pub const NAMES: &[&str] = &[
        "success",
        "status_info",
        "list_info",
        "usage_info",
        "processes_info",
        "session_opened",
        "session_ignored",
        "queued",
        "queue_info",
        "explain_info",
        "policy_diff_info",
        "strays_info",
        "incidents_info",
        "report_info",
        "metrics_info",
        "about_info",
        "error",
    ];

    /// Reads a line without its newline. Unknown fields are ignored.
    ///
    /// # Errors
    /// A type that is not known is told apart from a line that makes no sense.
    pub fn from_line(line: &[u8]) -> Result<Self, InvalidReply> {
        let error = match serde_json::from_slice(line) {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        let value: Option<serde_json::Value> = serde_json::from_slice(line).ok();
        let name = value.as_ref().and_then(|value| value.get("type")?.as_str());
        Err(match name {
            Some(name) if !Self::NAMES.contains(&name) => {
                InvalidReply::UnknownType(crate::text::quote(name))
            }
            _ => InvalidReply::Faulty(error.to_string()),
        })
    }

    /// An error reply.
    pub fn error(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Error(ErrorReply::new(code, message))
    }
}

impl ErrorReply {
    /// A code and its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            error: message.into(),
            code: Some(code),
            largest: None,
            holders: Vec::new(),
        }
    }
}
