//! What a client may ask.

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, Incidents, Metrics, Period, Processes, Report, Wait, Wish, frame, wait};

/// A request, one for each `type` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Asks for a first grant. Refused with `grant_held` while one is held.
    RequestResources(Wish),
    /// Asks for a grant or changes the one that is held, in place.
    Resize(Resize),
    /// Has the grant last longer: its lease ends so long from now.
    Renew(Renew),
    /// Gives the grant back: the allocation is the default again.
    Release(Release),
    /// Root's and administrators': sets a user's grant, as `resize` by the user would.
    Set(Set),
    /// Asks for the caller's allocation.
    Status,
    /// Asks who holds what. Root sees every user; another caller sees only their own row.
    List,
    /// Asks what is in use now. Administrators see every user; another caller sees only their own
    /// row.
    Usage,
    /// Asks for the processes in a user's slice.
    Processes(Processes),
    /// Asks which requests wait, in their order.
    Queue,
    /// Asks which processes run outside of their user's slice. Administrators see those of every
    /// user; another caller sees only their own.
    Strays,
    /// Asks what policy comes to for a user, and which lines say so.
    Explain(Explain),
    /// Asks what a reload of the policy files would change.
    PolicyDiff,
    /// Root's: reads the policy files again.
    Reload,
    /// Asks what has happened to a user because of their limits.
    Incidents(Incidents),
    /// Asks what was used over time.
    Report(Report),
    /// The exporter's and administrators': asks for the figures that a monitoring system collects.
    Metrics(Metrics),
    /// Asks what the daemon is: its version, and which requests it knows.
    About,
    /// Root's: a user has logged in.
    OpenSession(OpenSession),
    /// Root's: a session has ended.
    CloseSession(CloseSession),
}

/// The fields of `resize`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// The new allocation; what is not named stays as it is.
    #[serde(flatten)]
    pub wish: Wish,
    /// How long the grant lasts, from when it is given. Without it policy's default lease for a
    /// new grant, and the lease as it is for one that is held.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lease: Option<Period>,
    /// How long to wait for a turn where it does not fit now; without it the request is refused.
    #[serde(
        default,
        deserialize_with = "wait::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub wait: Option<Wait>,
    /// Shrink memory even below what is in use: processes may be killed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
}

/// The fields of `renew`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// How long the grant lasts, from now.
    #[serde(rename = "for")]
    pub lease: Period,
}

/// The fields of `set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// The user whose grant is set.
    pub uid: u32,
    /// The new allocation; what is not named stays as it is.
    #[serde(flatten)]
    pub wish: Wish,
    /// How long the grant lasts, from now; without it as for [`Resize`].
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lease: Option<Period>,
    /// Shrink memory even below what is in use: processes may be killed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
}

/// The fields of `explain`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explain {
    /// The user; without it the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// The fields of `release`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The user whose grant is given back; without it the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Shrink memory even below what is in use: processes may be killed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
}

/// The fields of `open_session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// The user who has logged in.
    pub uid: u32,
    /// The session's leader: the process whose end ends the session. Opening again with the same
    /// leader answers with the same session.
    pub pid: u32,
    /// The service that opened it, such as `sshd`; for the log and for `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How long the caller will wait for the reply, in milliseconds. The daemon answers before
    /// that, with `not_enforced` where the limits are not set yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Whether the caller can show the user what they have missed: then the reply has it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub notices: bool,
}

/// The fields of `close_session`: `session`, or `uid` and `pid` as they were opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseSession {
    /// The number that `session_opened` gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// The user whose session it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The session's leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// Why a line is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    /// What kind of fault.
    pub code: ErrorCode,
    /// The sentence for people.
    pub message: String,
}

impl Request {
    /// The words of `type`, in the order of the specification.
    pub const NAMES: &[&str] = &[
        "request_resources",
        "resize",
        "renew",
        "release",
        "set",
        "status",
        "list",
        "usage",
        "processes",
        "queue",
        "strays",
        "explain",
        "policy_diff",
        "reload",
        "incidents",
        "report",
        "metrics",
        "about",
        "open_session",
        "close_session",
    ];

    /// The word of the request's `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RequestResources(_) => "request_resources",
            Self::Resize(_) => "resize",
            Self::Renew(_) => "renew",
            Self::Release(_) => "release",
            Self::Set(_) => "set",
            Self::Status => "status",
            Self::List => "list",
            Self::Usage => "usage",
            Self::Processes(_) => "processes",
            Self::Queue => "queue",
            Self::Strays => "strays",
            Self::Explain(_) => "explain",
            Self::PolicyDiff => "policy_diff",
            Self::Reload => "reload",
            Self::Incidents(_) => "incidents",
            Self::Report(_) => "report",
            Self::Metrics(_) => "metrics",
            Self::About => "about",
            Self::OpenSession(_) => "open_session",
            Self::CloseSession(_) => "close_session",
        }
    }

    /// The longest line that may answer the request, in bytes without its newline. Only what has
    /// a row for each user or process, or the problems of a policy, can be long, so that no other caller, a
    /// login among them, has to hold more than a little of what a peer sends.
    pub fn longest_reply(&self) -> usize {
        match self {
            Self::List
            | Self::Usage
            | Self::Processes(_)
            | Self::Queue
            | Self::Strays
            | Self::Explain(_)
            | Self::PolicyDiff
            | Self::Incidents(_)
            | Self::Report(_)
            | Self::Metrics(_)
            | Self::Reload => frame::MAX_LIST_LINE,
            _ => frame::MAX_LINE,
        }
    }

    /// Reads a line without its newline. Unknown fields are ignored.
    ///
    /// # Errors
    /// `bad_request`, `unknown_type` or `invalid_value`, with a sentence that says what to send.
    pub fn from_line(line: &[u8]) -> Result<Self, InvalidRequest> {
        let bad = |message: String| InvalidRequest {
            code: ErrorCode::BadRequest,
            message,
        };
        let text = std::str::from_utf8(line).map_err(|error| {
            bad(format!(
                "Request is not UTF-8 (byte {})",
                error.valid_up_to()
            ))
        })?;
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| bad(format!("Request is not one line of JSON: {error}")))?;
        let name = value
            .get("type")
            .and_then(serde_json::Value::as_str)
            .ok_or_else(|| bad("Request has no \"type\"".to_owned()))?;
        if !Self::NAMES.contains(&name) {
            return Err(InvalidRequest {
                code: ErrorCode::UnknownType,
                message: format!(
                    "Unknown request type: {} (known: {})",
                    crate::text::quote(name),
                    Self::NAMES.join(", ")
                ),
            });
        }
        let request = serde_json::from_value(value).map_err(|error| invalid_value(&error))?;
        match request {
            Self::RequestResources(wish)
            | Self::Resize(Resize { wish, .. })
            | Self::Set(Set { wish, .. })
                if wish.is_empty() =>
            {
                Err(invalid_value(&"Nothing asked for: give cpu, mem or tasks"))
            }
            Self::CloseSession(CloseSession {
                session: None,
                uid,
                pid,
            }) if uid.is_none() || pid.is_none() => Err(invalid_value(
                &"Session not named: give session, or uid and pid",
            )),
            request => Ok(request),
        }
    }
}

fn invalid_value(reason: &dyn std::fmt::Display) -> InvalidRequest {
    InvalidRequest {
        code: ErrorCode::InvalidValue,
        message: format!("Request validation failed: {reason}"),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
