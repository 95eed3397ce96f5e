//! What a daemon says of itself, so that two sides of different ages can tell who is older.

use serde::{Deserialize, Serialize};

use crate::{Enforce, Request};

/// The answer to `about`. A daemon from before this request answers `unknown_type`, which says as
/// much: it is older than whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutInfo {
    /// The version of the daemon that runs, such as `0.1.0`. After an upgrade it may be another
    /// than that of the file from which it was started.
    pub version: String,
    /// The words of `type` that it knows as requests.
    #[serde(default)]
    pub requests: Vec<String>,
    /// `watch` where policy has everything decided and nothing set; left out otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<Enforce>,
}

impl AboutInfo {
    /// What a daemon of this version of the protocol says.
    pub fn of_this_protocol(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            requests: Request::NAMES.iter().map(|&name| name.to_owned()).collect(),
            enforce: None,
        }
    }

    /// Whether the daemon knows a type of request.
    pub fn knows(&self, request: &str) -> bool {
        self.requests.iter().any(|known| known == request)
    }
}
