//! What the daemon tells of its policy: what it comes to for a user, and what a reload would
//! change.

use serde::{Deserialize, Serialize};

/// What the daemon does with what it decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforce {
    /// It is set and enforced.
    #[default]
    On,
    /// It is logged and shown, and nothing is set.
    Watch,
    /// A word that this version does not know: the daemon is newer.
    #[serde(other)]
    Unknown,
}

/// The fields of `explain_info`: what policy comes to for one user, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainInfo {
    /// The user.
    pub uid: u32,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Each key of policy that says something for the user.
    pub entries: Vec<ExplainEntry>,
    /// What the daemon does with it.
    pub enforce: Enforce,
}

/// What one key of policy comes to, and which line said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainEntry {
    /// What it is about, such as `max.cpu`.
    pub key: String,
    /// What it comes to, as policy would write it.
    pub value: String,
    /// The line that won.
    pub winner: Origin,
    /// The lines that it beat, the strongest of them first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beaten: Vec<Candidate>,
}

/// Where policy says something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// File, line and column, such as `/etc/fairshare/policy.d/20-groups.yaml:7:16`; `built in`
    /// where no file says it.
    pub place: String,
    /// The keys that lead there, such as `groups.students.max.cpu`.
    pub path: String,
}

/// A line of policy that another one beat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it is.
    #[serde(flatten)]
    pub origin: Origin,
    /// What it would have come to.
    pub value: String,
}

/// The fields of `policy_diff_info`: what a reload would change, for the users whom the daemon
/// knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDiffInfo {
    /// Each change, in the order of the UIDs.
    pub users: Vec<PolicyChange>,
    /// What is wrong with the files, as `fairshared check` prints it; several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<String>,
}

/// What one key would come to instead for one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// The user.
    pub uid: u32,
    /// The user's name, where the name service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it is about, such as `max.cpu`.
    pub key: String,
    /// What it comes to now.
    pub from: String,
    /// What it would come to.
    pub to: String,
}
