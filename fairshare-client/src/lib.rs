//! A blocking client of the fairshare daemon.
//!
//! It runs inside other people's processes: a login program that has loaded the PAM module, a
//! spawner that uses the C library. So it never waits past its deadline, starts no thread, touches
//! no signal, prints nothing and leaves no descriptor behind.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use fairshare_client::{Client, ClientError};
//! let client = Client::new(fairshare_protocol::DEFAULT_SOCKET, Duration::from_secs(5));
//! match client.status() {
//!     Ok(status) => println!("{} CPUs", status.allocated_cpu),
//!     Err(ClientError::NoDaemon { .. }) => println!("this machine has no fairshare"),
//!     Err(error) => println!("{error}"),
//! }
//! ```
//!
//! # The deadline
//!
//! A call has one deadline, on the monotonic clock, for connecting, sending, waiting and each
//! further attempt together. A peer that sends one byte a second does not extend it, nor does a
//! signal. The kernel counts a socket's timeout in its ticks, so a call may end one tick late: at
//! most 10 ms.
//!
//! A `resize` that waits for its turn has that deadline up to the first line of the daemon's. While
//! it is in the queue each further line has one of its own: the timeout, and the time after which
//! the daemon repeats itself. A process that ends, or a call that returns, closes the connection
//! and so leaves the queue.
//!
//! # Further attempts
//!
//! When the connection ends before a byte of the reply has come, the daemon was probably killed,
//! and the next one sits behind the same listener if systemd holds that. A request which may be
//! carried out twice is then sent again, within the same deadline: whatever only asks, `resize` and
//! `set` (their figures are absolute), `renew` (it counts from now), `reload`, `open_session` (the
//! same leader has the same session) and `close_session` by UID and leader. A `resize` that was in
//! the queue is not: its place is gone.
//!
//! The others are not. Had the first one been carried out, the second would be refused:
//! `request_resources` with `grant_held`, `release` with `no_grant`, `close_session` by number
//! with `no_session`. The caller would read a refusal of what was in fact done. They get
//! [`ClientError::Closed`], after which only they can know whether to ask again.

mod call;
mod deadline;
mod error;
mod socket;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fairshare_protocol::{
    AboutInfo, CloseSession, Explain, ExplainInfo, OpenSession, PolicyDiffInfo, QueueEntry, Queued,
    Release, Renew, Reply, Request, Resize, SessionOpened, Set, StatusInfo, UserInfo, Wish,
};

pub use error::ClientError;
/// The types of requests and replies, for a crate that depends on the client alone.
pub use fairshare_protocol as protocol;

/// A timeout for a person at a terminal, who rather waits for a busy daemon than asks twice.
/// Programs that hold somebody up choose a shorter one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the daemon listens and how long a call may take. Each call makes a connection of its own,
/// so a client holds no descriptor, and may be cloned and shared between threads.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

/// The answer to [`Client::open_session`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The session is recorded and the limits hold.
    Session(SessionOpened),
    /// There is nothing to limit; why, as a sentence.
    Ignored(String),
}

impl Client {
    /// A client for the daemon behind `socket`. Connects to nothing yet.
    pub fn new(socket: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self {
            socket: socket.into(),
            timeout,
        }
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How long a call may take, from its first system call to its last.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends one request and waits for its reply. [`Reply::Error`] is never returned: it is
    /// [`ClientError::Refused`].
    ///
    /// The `wait_ms` of an `open_session` is lowered to the time that is left when it is sent, and
    /// set to that where the caller left it out: the daemon cannot know the deadline otherwise.
    ///
    /// A `resize` that waits returns when its turn has come or its time has passed.
    pub fn call(&self, request: &Request) -> Result<Reply, ClientError> {
        self.call_waiting(request, |_| {})
    }

    /// [`Client::call`], and hears of each `queued` while a `resize` waits. The daemon repeats
    /// itself to show that it is there, so two of them may be the same.
    pub fn call_waiting(
        &self,
        request: &Request,
        mut on_queued: impl FnMut(&Queued),
    ) -> Result<Reply, ClientError> {
        call::call(&self.socket, self.timeout, request, &mut on_queued)
    }

    /// Asks for a first grant. Answers with the daemon's sentence.
    pub fn request_resources(&self, wish: Wish) -> Result<String, ClientError> {
        self.sentence(&Request::RequestResources(wish))
    }

    /// Asks for a grant or changes the one that is held. Answers with the daemon's sentence.
    pub fn resize(&self, resize: Resize) -> Result<String, ClientError> {
        self.sentence(&Request::Resize(resize))
    }

    /// [`Client::resize`], and hears of each `queued` while it waits.
    pub fn resize_waiting(
        &self,
        resize: Resize,
        on_queued: impl FnMut(&Queued),
    ) -> Result<String, ClientError> {
        match self.call_waiting(&Request::Resize(resize), on_queued)? {
            Reply::Success { message } => Ok(message),
            _ => Err(self.mismatch("success")),
        }
    }

    /// Has the grant's lease end so long from now. Answers with the daemon's sentence.
    pub fn renew(&self, renew: Renew) -> Result<String, ClientError> {
        self.sentence(&Request::Renew(renew))
    }

    /// For administrators: sets a user's grant. Answers with the daemon's sentence.
    pub fn set(&self, set: Set) -> Result<String, ClientError> {
        self.sentence(&Request::Set(set))
    }

    /// Gives the grant back. Answers with the daemon's sentence.
    pub fn release(&self, release: Release) -> Result<String, ClientError> {
        self.sentence(&Request::Release(release))
    }

    /// What the caller has.
    pub fn status(&self) -> Result<StatusInfo, ClientError> {
        match self.call(&Request::Status)? {
            Reply::StatusInfo(status) => Ok(*status),
            _ => Err(self.mismatch("status_info")),
        }
    }

    /// Who holds what.
    pub fn list(&self) -> Result<Vec<UserInfo>, ClientError> {
        match self.call(&Request::List)? {
            Reply::ListInfo { users } => Ok(users),
            _ => Err(self.mismatch("list_info")),
        }
    }

    /// Which requests wait, the next one first.
    pub fn queue(&self) -> Result<Vec<QueueEntry>, ClientError> {
        match self.call(&Request::Queue)? {
            Reply::QueueInfo { entries } => Ok(entries),
            _ => Err(self.mismatch("queue_info")),
        }
    }

    /// What policy comes to for a user, and why.
    pub fn explain(&self, explain: Explain) -> Result<ExplainInfo, ClientError> {
        match self.call(&Request::Explain(explain))? {
            Reply::ExplainInfo(info) => Ok(info),
            _ => Err(self.mismatch("explain_info")),
        }
    }

    /// For administrators: what a reload of the policy files would change.
    pub fn policy_diff(&self) -> Result<PolicyDiffInfo, ClientError> {
        match self.call(&Request::PolicyDiff)? {
            Reply::PolicyDiffInfo(info) => Ok(info),
            _ => Err(self.mismatch("policy_diff_info")),
        }
    }

    /// What the daemon is. One from before this request answers `unknown_type`.
    pub fn about(&self) -> Result<AboutInfo, ClientError> {
        match self.call(&Request::About)? {
            Reply::AboutInfo(about) => Ok(about),
            _ => Err(self.mismatch("about_info")),
        }
    }

    /// Root's: has the policy files read again. Answers with the daemon's sentence.
    pub fn reload(&self) -> Result<String, ClientError> {
        self.sentence(&Request::Reload)
    }

    /// Root's: tells the daemon that a user has logged in, and waits until the limits hold.
    pub fn open_session(&self, session: OpenSession) -> Result<Opened, ClientError> {
        match self.call(&Request::OpenSession(session))? {
            Reply::SessionOpened(session) => Ok(Opened::Session(session)),
            Reply::SessionIgnored { message } => Ok(Opened::Ignored(message)),
            _ => Err(self.mismatch("session_opened")),
        }
    }

    /// Root's: tells the daemon that a session has ended. Answers with the daemon's sentence.
    pub fn close_session(&self, session: CloseSession) -> Result<String, ClientError> {
        self.sentence(&Request::CloseSession(session))
    }

    fn sentence(&self, request: &Request) -> Result<String, ClientError> {
        match self.call(request)? {
            Reply::Success { message } => Ok(message),
            _ => Err(self.mismatch("success")),
        }
    }

    fn mismatch(&self, expected: &str) -> ClientError {
        ClientError::Protocol {
            path: self.socket.clone(),
            reason: format!("its type is not '{expected}'"),
        }
    }
}
