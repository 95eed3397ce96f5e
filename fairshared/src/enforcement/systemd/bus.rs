//! The connection to the system bus, and the calls to systemd that go over it.
//!
//! The bus can be restarted under a running daemon and zbus does not connect again by itself. A
//! task of its own keeps the connection: it connects, subscribes, says that the bus is there, and
//! starts over when it ends. Signals are taken from the connection by tasks that never wait for
//! anything else, because a full queue would hold up the replies behind it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};
use zbus::export::futures_core::Stream;

use zbus::{
    Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant, proxy,
};

use super::properties::{Properties, Property};
use super::{NewScope, logind};
use crate::counts::{COUNTS, Wrong};
use crate::enforcement::{Login, LoginName};
use crate::leader::slice_user;

/// How long to wait for the bus where it is gone, before the caller is told.
const BUS_DEADLINE: Duration = Duration::from_secs(2);
/// The first pause before connecting again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause before connecting again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long connecting and subscribing may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How many signals zbus may hold for the task that reads them.
const SIGNAL_QUEUE: usize = 1024;

/// systemd on the bus.
const SYSTEMD: &str = "org.freedesktop.systemd1";
/// Its manager object.
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";

/// What systemd answers to a second subscription.
const ALREADY_SUBSCRIBED: &str = "org.freedesktop.systemd1.AlreadySubscribed";

/// What the bus tells the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BusEvent {
    /// Look at every user: the bus is there, for the first time or again, and what happened before
    /// was not heard.
    LookAtAll,
    /// The slice of this user has gone.
    SliceGone(u32),
    /// logind has a user whom it did not have.
    UserCame(u32),
    /// logind has a login that it did not have.
    LoginCame(LoginName),
    /// logind is there again: what happened before was not heard.
    LogindIsBack,
}

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// There is no connection, or it ended during the call.
    NoBus,
    /// systemd answered with an error.
    Refused(String),
    /// The job that the call queued ended with this result.
    Job(String),
}

/// Where systemd is reached.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    /// On the system bus.
    SystemBus,
    /// On a socket of its own, without a bus between.
    #[cfg(test)]
    Socket(std::path::PathBuf),
}

/// Those who wait for a job, by the name of its unit.
type Jobs = Arc<Mutex<HashMap<String, oneshot::Sender<String>>>>;

/// The connection, or the wait for one.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    connection: watch::Receiver<Option<Connection>>,
    jobs: Jobs,
    scopes_have_oom_policy: Arc<AtomicBool>,
}

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    #[zbus(property)]
    fn version(&self) -> zbus::Result<String>;
    fn set_unit_properties(
        &self,
        name: &str,
        runtime: bool,
        properties: &[Property],
    ) -> zbus::Result<()>;
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: &[Property],
        aux: &[(&str, &[Property])],
    ) -> zbus::Result<OwnedObjectPath>;
    #[zbus(name = "StartTransientUnit", no_reply)]
    fn start_transient_unit_unanswered(
        &self,
        name: &str,
        mode: &str,
        properties: &[Property],
        aux: &[(&str, &[Property])],
    ) -> zbus::Result<()>;
}

impl Bus {
    /// Starts to connect.
    pub(super) fn start(wire: Wire, events: mpsc::Sender<BusEvent>) -> Self {
        let (sender, connection) = watch::channel(None);
        let bus = Self {
            connection,
            jobs: Jobs::default(),
            scopes_have_oom_policy: Arc::default(),
        };
        let (jobs, oom_policy) = (
            Arc::clone(&bus.jobs),
            Arc::clone(&bus.scopes_have_oom_policy),
        );
        tokio::spawn(keep_connected(wire, sender, jobs, oom_policy, events));
        bus
    }

    /// Sets properties on a unit until it goes, or until the machine boots again.
    pub(super) async fn set_unit_properties(
        &self,
        unit: &str,
        properties: &Properties,
    ) -> Result<(), CallError> {
        let manager = self.manager().await?;
        Ok(manager
            .set_unit_properties(unit, true, properties.as_slice())
            .await?)
    }

    /// Asks for an active slice to be made transient. systemd's answer is not waited for: its unit
    /// file tells what came of it, when whatever is asked next has been answered.
    pub(super) async fn make_transient(
        &self,
        unit: &str,
        properties: &Properties,
    ) -> Result<(), CallError> {
        let manager = self.manager().await?;
        Ok(manager
            .start_transient_unit_unanswered(unit, "fail", properties.as_slice(), &[])
            .await?)
    }

    /// Starts a scope in the slice, which begins with the properties of `new_slice` where they are
    /// given. Returns when the process has been moved.
    pub(super) async fn start_scope(
        &self,
        scope: &NewScope,
        slice: &str,
        new_slice: Option<&Properties>,
    ) -> Result<(), CallError> {
        let manager = self.manager().await?;
        let mut properties = vec![
            ("Description", Variant::from(scope.description)),
            ("Slice", Variant::from(slice.to_owned())),
            ("PIDs", Variant::from(vec![scope.pid])),
            ("CollectMode", Variant::from("inactive-or-failed")),
            ("SendSIGHUP", Variant::from(true)),
        ];
        if self.scopes_have_oom_policy.load(Ordering::Relaxed) {
            // One program that runs out of memory must not take the whole session with it.
            properties.push(("OOMPolicy", Variant::from("continue")));
        }
        let aux: Vec<_> = new_slice
            .iter()
            .map(|new| (slice, new.as_slice()))
            .collect();
        // Asked for before the call: the job may end before its reply is read.
        let done = self.wait_for_job(&scope.unit);
        let started = manager
            .start_transient_unit(&scope.unit, "fail", &properties, &aux)
            .await;
        if let Err(error) = started {
            self.no_job(&scope.unit);
            return Err(error.into());
        }
        end_of(done).await
    }

    /// Runs a program once, as a service that goes when it ends. Returns when it has ended, with
    /// its success.
    pub(super) async fn run_once(
        &self,
        unit: &str,
        properties: &[Property],
    ) -> Result<(), CallError> {
        let manager = self.manager().await?;
        // Asked for before the call: the job may end before its reply is read.
        let done = self.wait_for_job(unit);
        let started = manager
            .start_transient_unit(unit, "fail", properties, &[])
            .await;
        if let Err(error) = started {
            self.no_job(unit);
            return Err(error.into());
        }
        end_of(done).await
    }

    /// Asks for a unit to be stopped, and does not wait until it is.
    pub(super) async fn stop(&self, unit: &str) -> Result<(), CallError> {
        let manager = self.manager().await?;
        manager.stop_unit(unit, "replace").await?;
        Ok(())
    }

    /// Whether systemd can load a unit: whether it finds what it believes to be there.
    pub(super) async fn is_loaded(&self, unit: &str) -> Result<bool, CallError> {
        let value = self.unit_property(unit, "LoadState").await?;
        let state = String::try_from(value);
        Ok(state.map_err(|error| CallError::Refused(error.to_string()))? == "loaded")
    }

    async fn unit_property(&self, unit: &str, name: &str) -> Result<OwnedVariant, CallError> {
        let connection = self.connection().await?;
        let path = ManagerProxy::new(&connection)
            .await?
            .load_unit(unit)
            .await?;
        let properties = Some("org.freedesktop.DBus.Properties");
        let which = ("org.freedesktop.systemd1.Unit", name);
        let reply = connection
            .call_method(Some(SYSTEMD), path, properties, "Get", &which)
            .await?;
        Ok(reply.body().deserialize()?)
    }

    /// Makes systemd read its unit files again.
    pub(super) async fn reload(&self) -> Result<(), CallError> {
        Ok(self.manager().await?.reload().await?)
    }

    /// A round trip to systemd: when it returns, what was asked before has been carried out.
    pub(super) async fn ping(&self) -> Result<(), CallError> {
        let connection = self.connection().await?;
        let peer = Some("org.freedesktop.DBus.Peer");
        connection
            .call_method(Some(SYSTEMD), MANAGER_PATH, peer, "Ping", &())
            .await?;
        Ok(())
    }

    /// The users that logind has.
    pub(super) async fn users(&self) -> Result<Vec<u32>, CallError> {
        Ok(logind::users(&self.connection().await?).await?)
    }

    /// The logins that logind has.
    pub(super) async fn logins(&self) -> Result<Vec<LoginName>, CallError> {
        Ok(logind::logins(&self.connection().await?).await?)
    }

    /// What logind knows of the login with this object; `None` where it has ended.
    pub(super) async fn login(&self, path: &str) -> Result<Option<Login>, CallError> {
        Ok(logind::login(&self.connection().await?, path).await?)
    }

    fn wait_for_job(&self, unit: &str) -> oneshot::Receiver<String> {
        let (sender, receiver) = oneshot::channel();
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.insert(unit.to_owned(), sender);
        receiver
    }

    /// Nobody waits for a unit's job any more.
    pub(super) fn no_job(&self, unit: &str) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.remove(unit);
    }

    async fn manager(&self) -> Result<ManagerProxy<'static>, CallError> {
        Ok(ManagerProxy::new(&self.connection().await?).await?)
    }

    async fn connection(&self) -> Result<Connection, CallError> {
        let mut connection = self.connection.clone();
        let wait = connection.wait_for(Option::is_some);
        match tokio::time::timeout(BUS_DEADLINE, wait).await {
            Ok(Ok(found)) => found.clone().ok_or(CallError::NoBus),
            _ => Err(CallError::NoBus),
        }
    }
}

/// Waits for the end of a job.
async fn end_of(job: oneshot::Receiver<String>) -> Result<(), CallError> {
    match job.await {
        Ok(result) if result == "done" => Ok(()),
        Ok(result) => Err(CallError::Job(result)),
        Err(_) => Err(CallError::NoBus),
    }
}

impl From<zbus::Error> for CallError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, text, _) => {
                Self::Refused(text.unwrap_or_else(|| name.to_string()))
            }
            zbus::Error::InputOutput(_) => Self::NoBus,
            other => Self::Refused(other.to_string()),
        }
    }
}

impl Wire {
    async fn connect(&self) -> zbus::Result<Connection> {
        match self {
            Self::SystemBus => Connection::system().await,
            #[cfg(test)]
            Self::Socket(path) => {
                let address = format!("unix:path={}", path.display());
                let builder = zbus::connection::Builder::address(address.as_str());
                builder.p2p().build().await
            }
        }
    }
}

async fn keep_connected(
    wire: Wire,
    sender: watch::Sender<Option<Connection>>,
    jobs: Jobs,
    oom_policy: Arc<AtomicBool>,
    events: mpsc::Sender<BusEvent>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match tokio::time::timeout(CONNECT_DEADLINE, connect(&wire, &jobs, &events)).await {
            Ok(Ok(connection)) => {
                info!("connected to the system bus");
                pause = FIRST_PAUSE;
                oom_policy.store(scopes_have_oom_policy(&connection).await, Ordering::Relaxed);
                sender.send_replace(Some(connection.clone()));
                if events.send(BusEvent::LookAtAll).await.is_err() {
                    return;
                }
                connection.closed().await;
                sender.send_replace(None);
                COUNTS.error(Wrong::BusLost);
                // Nobody will hear the end of a job that was begun on it.
                jobs.lock().unwrap_or_else(PoisonError::into_inner).clear();
                warn!("the connection to the system bus ended, connecting again");
            }
            Ok(Err(error)) => warn!("cannot connect to the system bus: {error}, trying again"),
            Err(_) => warn!("the system bus does not answer, trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(
    wire: &Wire,
    jobs: &Jobs,
    events: &mpsc::Sender<BusEvent>,
) -> zbus::Result<Connection> {
    let connection = wire.connect().await?;
    // Listening begins before the subscription, so that nothing is missed; the tasks begin behind
    // it, because a task that listens keeps a connection open that nobody uses.
    let job_removed = signals(&connection, of_systemd("JobRemoved")?).await?;
    let unit_removed = signals(&connection, of_systemd("UnitRemoved")?).await?;
    let logind = logind::Signals::of(&connection).await?;
    match ManagerProxy::new(&connection).await?.subscribe().await {
        // After a restart of the bus we may have the name again that systemd still remembers.
        Err(zbus::Error::MethodError(name, ..)) if name.as_str() == ALREADY_SUBSCRIBED => {}
        result => result?,
    }
    tokio::spawn(hear_jobs(job_removed, Arc::clone(jobs)));
    tokio::spawn(hear_slices(unit_removed, events.clone()));
    logind.hear(events);
    Ok(connection)
}

/// Scopes take `OOMPolicy` from systemd 253 on.
async fn scopes_have_oom_policy(connection: &Connection) -> bool {
    let Ok(manager) = ManagerProxy::new(connection).await else {
        return false;
    };
    let version = tokio::time::timeout(CONNECT_DEADLINE, manager.version()).await;
    version.is_ok_and(|version| version.is_ok_and(|version| major(&version) >= Some(253)))
}

/// The number that a version such as `252.39-1~deb12u1` or `v257` begins with.
fn major(version: &str) -> Option<u32> {
    let digits = version.trim_start_matches('v');
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn of_systemd(member: &'static str) -> zbus::Result<MatchRule<'static>> {
    MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(SYSTEMD)
        .path(MANAGER_PATH)
        .interface("org.freedesktop.systemd1.Manager")
        .member(member)
        .build()
}

/// The signals that fit a rule, from now on.
pub(super) async fn signals(
    connection: &Connection,
    rule: MatchRule<'static>,
) -> zbus::Result<MessageStream> {
    MessageStream::for_match_rule(rule, connection, SIGNAL_QUEUE.try_into().ok()).await
}

/// The next signal; `None` when the connection has ended.
pub(super) async fn next(stream: &mut MessageStream) -> Option<Message> {
    loop {
        match poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await {
            Some(Ok(message)) => return Some(message),
            Some(Err(error)) => warn!("cannot read a signal: {error}, ignoring"),
            None => return None,
        }
    }
}

async fn hear_jobs(mut stream: MessageStream, jobs: Jobs) {
    while let Some(message) = next(&mut stream).await {
        let body = message.body();
        let job = body.deserialize::<(u32, OwnedObjectPath, String, String)>();
        let Ok((_, _, unit, result)) = job else {
            continue;
        };
        let waiting = jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&unit);
        if let Some(waiting) = waiting {
            // Nobody may wait any more: the deadline has passed.
            let _ = waiting.send(result);
        }
    }
}

async fn hear_slices(mut stream: MessageStream, events: mpsc::Sender<BusEvent>) {
    while let Some(message) = next(&mut stream).await {
        let body = message.body();
        let Ok((unit, _)) = body.deserialize::<(String, OwnedObjectPath)>() else {
            continue;
        };
        let Some(uid) = slice_user(&unit) else {
            continue;
        };
        if events.send(BusEvent::SliceGone(uid)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(major("252.39-1~deb12u1"), Some(252));
        assert_eq!(major("v257"), Some(257));
        assert_eq!(major("257~rc1-3"), Some(257));
        assert_eq!(major(""), None);
    }
}
