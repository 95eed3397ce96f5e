//! logind on the bus: who is logged in, by whatever way.
//!
//! The module tells of a login, where it is in the stack of the service. logind knows of the others,
//! of those before the daemon was there, and of users whose programs run without a login. Where it
//! is absent nothing is heard of it. See `org.freedesktop.login1(5)`.

use std::collections::HashMap;

use tokio::sync::mpsc;
use tracing::warn;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, proxy};

use super::bus::{BusEvent, next, signals};
use crate::enforcement::{Login, LoginName};

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/login1";
const SESSION: &str = "org.freedesktop.login1.Session";

/// What logind, and the bus in its place, answer where there is no such login any more.
const GONE: [&str; 2] = [
    "org.freedesktop.login1.NoSuchSession",
    "org.freedesktop.DBus.Error.UnknownObject",
];

#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Logind {
    fn list_users(&self) -> zbus::Result<Vec<(u32, String, OwnedObjectPath)>>;
    fn list_sessions(&self) -> zbus::Result<Vec<(String, u32, String, String, OwnedObjectPath)>>;
}

/// What logind tells from now on.
#[derive(Debug)]
pub(super) struct Signals {
    users: MessageStream,
    logins: MessageStream,
    owners: MessageStream,
}

impl Signals {
    /// Begins to listen.
    pub(super) async fn of(connection: &Connection) -> zbus::Result<Self> {
        let of_logind = |member| {
            MatchRule::builder()
                .msg_type(zbus::message::Type::Signal)
                .sender(LOGIND)
                .path(MANAGER_PATH)
                .interface(MANAGER)
                .member(member)
                .build()
        };
        let owner_changed = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender("org.freedesktop.DBus")
            .path("/org/freedesktop/DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .arg(0, LOGIND)
            .build()?;
        Ok(Self {
            users: signals(connection, of_logind("UserNew")?).await?,
            logins: signals(connection, of_logind("SessionNew")?).await?,
            owners: signals(connection, owner_changed).await?,
        })
    }

    /// Hands on what is heard, in tasks that end with the connection.
    pub(super) fn hear(self, events: &mpsc::Sender<BusEvent>) {
        tokio::spawn(hear(self.users, events.clone(), |message| {
            let (uid, _): (u32, OwnedObjectPath) = message.body().deserialize().ok()?;
            Some(BusEvent::UserCame(uid))
        }));
        tokio::spawn(hear(self.logins, events.clone(), |message| {
            let (id, path): (String, OwnedObjectPath) = message.body().deserialize().ok()?;
            let path = path.as_str().to_owned();
            let uid = None;
            Some(BusEvent::LoginCame(LoginName { id, path, uid }))
        }));
        tokio::spawn(hear(self.owners, events.clone(), |message| {
            let (_, _, owner): (String, String, String) = message.body().deserialize().ok()?;
            (!owner.is_empty()).then_some(BusEvent::LogindIsBack)
        }));
    }
}

async fn hear(
    mut stream: MessageStream,
    events: mpsc::Sender<BusEvent>,
    event_of: fn(&zbus::Message) -> Option<BusEvent>,
) {
    while let Some(message) = next(&mut stream).await {
        let Some(event) = event_of(&message) else {
            continue;
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The users that logind has.
pub(super) async fn users(connection: &Connection) -> zbus::Result<Vec<u32>> {
    let users = LogindProxy::new(connection).await?.list_users().await?;
    Ok(users.into_iter().map(|(uid, _, _)| uid).collect())
}

/// The logins that logind has.
pub(super) async fn logins(connection: &Connection) -> zbus::Result<Vec<LoginName>> {
    let sessions = LogindProxy::new(connection).await?.list_sessions().await?;
    let names = sessions.into_iter().map(|(id, uid, _, _, path)| LoginName {
        id,
        path: path.as_str().to_owned(),
        uid: Some(uid),
    });
    Ok(names.collect())
}

/// What logind knows of the login with this object; `None` where it has ended.
pub(super) async fn login(connection: &Connection, path: &str) -> zbus::Result<Option<Login>> {
    let properties = Some("org.freedesktop.DBus.Properties");
    let reply = connection
        .call_method(Some(LOGIND), path, properties, "GetAll", &SESSION)
        .await;
    let reply = match reply {
        Err(zbus::Error::MethodError(name, ..)) if GONE.contains(&name.as_str()) => {
            return Ok(None);
        }
        reply => reply?,
    };
    let mut found: HashMap<String, OwnedVariant> = reply.body().deserialize()?;
    // Its leader has gone, and the number may be another's by now.
    let state = found
        .remove("State")
        .and_then(|state| String::try_from(state).ok());
    if state.is_some_and(|state| state == "closing") {
        return Ok(None);
    }
    let login = read(found);
    if login.is_none() {
        warn!("what logind tells of {path} is not understood, ignoring");
    }
    Ok(login)
}

fn read(mut found: HashMap<String, OwnedVariant>) -> Option<Login> {
    let (uid, _) = <(u32, OwnedObjectPath)>::try_from(found.remove("User")?).ok()?;
    let mut text = |name| String::try_from(found.remove(name)?).ok();
    let (service, class) = (text("Service")?, text("Class")?);
    Some(Login {
        uid,
        leader: u32::try_from(found.remove("Leader")?).ok()?,
        service,
        class,
    })
}
