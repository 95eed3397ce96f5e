//! What must be able to carry limits, whatever carries them: one trait, and what it answers.

pub(crate) mod systemd;

use std::fmt;
use std::future::Future;

use fairshare_core::Limits;
use fairshare_core::ledger::{Leader, SessionId};

use crate::cgroup::{Enforced, SliceCgroup};

/// Puts limits on users' slices and reads back what holds.
///
/// The caller holds the user's turn, so two calls for one user never overlap.
pub(crate) trait Enforcement: Send + Sync + 'static {
    /// The name of the slice that carries the user's allocation.
    fn slice(&self, uid: u32) -> String;

    /// The user's slice as it is now; `None` where it is not active.
    fn look(&self, uid: u32) -> Option<SliceCgroup>;

    /// The slice that the users' slices lie in; `None` where it is not active.
    fn look_above(&self) -> Option<SliceCgroup>;

    /// The users whose slices are active.
    fn present(&self) -> Vec<u32>;

    /// The users that logind has, those among them whose slices are not active yet; none where the
    /// users' slices are not logind's.
    fn users(&self) -> impl Future<Output = Result<Vec<u32>, EnforcementError>> + Send;

    /// The logins that logind has; none where the users' slices are not logind's.
    fn logins(&self) -> impl Future<Output = Result<Vec<LoginName>, EnforcementError>> + Send;

    /// What logind knows of one of its logins; `None` where it has ended.
    fn login(
        &self,
        name: &LoginName,
    ) -> impl Future<Output = Result<Option<Login>, EnforcementError>> + Send;

    /// Makes the limits hold on the user's active slice. Memory that is in use above its limit is
    /// not cut off: the limit begins to come down, and [`Applied::lowering`] says so.
    fn limit(
        &self,
        uid: u32,
        limits: &Limits,
    ) -> impl Future<Output = Result<Applied, EnforcementError>> + Send;

    /// Puts processes that are outside of every limit into the user's slice, with the limits on.
    fn adopt(
        &self,
        uid: u32,
        scope: &NewScope,
        limits: &Limits,
    ) -> impl Future<Output = Result<Applied, EnforcementError>> + Send;

    /// Goes one step down on the way that [`Enforcement::limit`] began, to its end where `finish`
    /// is set: there what does not fit is killed.
    fn lower(
        &self,
        uid: u32,
        limits: &Limits,
        finish: bool,
    ) -> impl Future<Output = Result<Applied, EnforcementError>> + Send;

    /// Takes every limit off the user's slice. One that has none is left alone; whether there were
    /// any.
    fn lift(&self, uid: u32) -> impl Future<Output = Result<bool, EnforcementError>> + Send;

    /// Returns when whatever was asked for before has been carried out, a call among it whose
    /// deadline had passed.
    fn caught_up(&self) -> impl Future<Output = Result<(), EnforcementError>> + Send;

    /// The user's slice has gone. With `to_undo`, what was set on it outlives it, and is taken
    /// back.
    fn forget(
        &self,
        uid: u32,
        to_undo: bool,
    ) -> impl Future<Output = Result<(), EnforcementError>> + Send;
}

/// A login as logind names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginName {
    /// Its number, such as `3` or `c1`: its processes are in `session-3.scope`.
    pub(crate) id: String,
    /// Its object on the bus.
    pub(crate) path: String,
    /// Its user, where that was told with the name.
    pub(crate) uid: Option<u32>,
}

/// What logind knows of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// Its user.
    pub(crate) uid: u32,
    /// The process that logged in.
    pub(crate) leader: u32,
    /// The PAM service.
    pub(crate) service: String,
    /// Its class, see `pam_systemd(8)`.
    pub(crate) class: String,
}

impl Login {
    /// Whether a user is at work in it, and not a display manager, a job in the background or the
    /// user's service manager.
    pub(crate) fn is_users(&self) -> bool {
        self.class == "user" || self.class.starts_with("user-")
    }
}

/// A scope that takes a process into a user's slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewScope {
    /// Its name, which no other scope has until the machine boots again.
    pub(crate) unit: String,
    /// What it is, in a few words.
    pub(crate) description: &'static str,
    /// The process.
    pub(crate) pid: u32,
}

impl NewScope {
    /// The scope of a session that nobody placed. The PID keeps it apart from that of a ledger that
    /// was lost, which numbered the same.
    pub(crate) fn of_session(uid: u32, session: SessionId, leader: u32) -> Self {
        Self {
            unit: format!("fairshare-{uid}-{session}-{leader}.scope"),
            description: "Session adopted by fairshare",
            pid: leader,
        }
    }

    /// The scope of a process without a session. Its name is that of the process, which can be in it
    /// when another of the same number comes.
    pub(crate) fn of_stray(uid: u32, process: Leader) -> Self {
        let Leader { pid, start_time } = process;
        Self {
            unit: format!("fairshare-{uid}-stray-{pid}-{start_time}.scope"),
            description: "Process adopted by fairshare",
            pid,
        }
    }
}

/// What came of setting limits.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    /// What the kernel enforces, read back.
    pub(crate) enforced: Enforced,
    /// What it enforces otherwise than was asked, a sentence each. What this kernel cannot do at all
    /// is left to `status`.
    pub(crate) differences: Vec<String>,
    /// Memory is still on its way down.
    pub(crate) lowering: bool,
    /// The slice has a unit file of the administrator's: what was set there outlives the slice and
    /// must be taken back by [`Enforcement::forget`].
    pub(crate) to_undo: bool,
}

/// Why limits could not be set.
#[derive(Debug)]
pub(crate) enum EnforcementError {
    /// The user's slice is not active: there is nothing to limit.
    NoSlice { unit: String },
    /// The system bus could not be reached in time.
    NoBus,
    /// systemd refused a call.
    Refused {
        call: &'static str,
        unit: String,
        reason: String,
    },
    /// systemd did not carry a job out.
    JobFailed { unit: String, result: String },
    /// systemd did not answer in time.
    Deadline { call: &'static str, unit: String },
}

impl fmt::Display for EnforcementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlice { unit } => write!(f, "{unit} is not active"),
            Self::NoBus => f.write_str("the system bus cannot be reached"),
            Self::Refused { call, unit, reason } => {
                write!(f, "systemd refused {call} for {unit}: {reason}")
            }
            Self::JobFailed { unit, result } => {
                write!(f, "systemd could not start {unit}: {result}")
            }
            Self::Deadline { call, unit } => {
                write!(f, "systemd did not answer {call} for {unit} in time")
            }
        }
    }
}

impl std::error::Error for EnforcementError {}
