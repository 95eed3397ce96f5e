//! What the entry points do: tell the daemon that a session begins, and that it ends.

use std::ffi::CStr;
use std::process;

use fairshare_client::{Client, ClientError, Opened};
use fairshare_protocol::{CloseSession, ErrorCode, OpenSession, SessionOpened, is_variable};

use crate::call::{Call, Priority};
use crate::config;
use crate::ffi;
use crate::hook::Failure;
use crate::outcome::Outcome;
use crate::service::{opens_a_login, reaches_a_person};

/// The longest part of a name that goes into a request or a message, in characters.
const LONGEST_NAME: usize = 64;

/// The most lines about what the user has missed.
const MOST_NOTICES: usize = 5;

/// Opens a session: asks the daemon for limits and waits until they hold.
pub(crate) fn open(call: &mut Call<'_>) -> Result<Outcome, Failure> {
    if call.user_is_root() {
        return Ok(Outcome::Root);
    }
    if call
        .service()
        .is_some_and(|service| !opens_a_login(service))
    {
        return Ok(Outcome::NotALogin);
    }
    let (config, warnings) = config::parse(call.args());
    for warning in warnings {
        call.log(Priority::Warning, &warning.to_string());
    }
    let user = call
        .user()
        .ok_or_else(|| Failure::new("no user is named"))?;
    let Some(uid) = uid_of(user)? else {
        return Err(Failure::new(format!("no user '{}'", shown(user))));
    };
    if uid == 0 {
        return Ok(Outcome::Root);
    }
    let request = OpenSession {
        uid,
        // The host's: it lives as long as the session, and logind has it as the leader too.
        pid: process::id(),
        service: call.service().map(shown),
        // The client fills in what is left of the timeout.
        wait_ms: None,
        notices: call.may_inform() && call.service().is_some_and(reaches_a_person),
    };
    let client = Client::new(config.socket, config.timeout);
    let opened = match client
        .open_session(request)
        .map_err(|error| unopened(&error))?
    {
        Opened::Session(opened) => opened,
        Opened::Ignored(reason) => {
            if config.debug {
                call.log(Priority::Debug, &format!("nothing to limit: {reason}"));
            }
            return Ok(Outcome::NotCovered);
        }
    };
    hand_over(call, &opened);
    inform(call, &opened.notices);
    if config.debug {
        let line = format!(
            "session {} of UID {uid} has {}",
            opened.session, opened.allocation
        );
        call.log(Priority::Debug, &line);
    }
    Ok(Outcome::Limited)
}

/// Closes the session that was opened with the same handle.
///
/// Without one there is nothing to do: root's, a service that is no login, an open that failed, or
/// a process in which the open did not happen. The daemon does not depend on this call; it also
/// watches the session's leader.
pub(crate) fn close(call: &mut Call<'_>) -> Result<Outcome, Failure> {
    let Some(session) = call.take_remembered() else {
        return Ok(Outcome::Closed);
    };
    // Opening has warned about the arguments.
    let (config, _) = config::parse(call.args());
    let request = CloseSession {
        session: Some(session),
        ..CloseSession::default()
    };
    Client::new(config.socket, config.timeout)
        .close_session(request)
        .map_err(|error| Failure::new(format!("session {session} is not closed: {error}")))?;
    if config.debug {
        call.log(Priority::Debug, &format!("session {session} is closed"));
    }
    Ok(Outcome::Closed)
}

/// Says that the line stands in the wrong place, and does nothing else.
pub(crate) fn wrong_stack(_: &mut Call<'_>) -> Result<Outcome, Failure> {
    Err(Failure::new("the module belongs into a 'session' line"))
}

/// Gives the figures to the session and the number to the close. Neither is worth a login: what
/// does not work is logged.
fn hand_over(call: &mut Call<'_>, opened: &SessionOpened) {
    let figures = [
        ("FAIRSHARE_CPUS", opened.allocation.cpu.to_string()),
        ("FAIRSHARE_MEMORY", opened.allocation.mem.to_string()),
    ];
    for (name, value) in figures {
        put_env(call, name, &value);
    }
    for (name, value) in &opened.environment {
        // Whoever answers must not choose a login's PATH. What is there already comes from the
        // administrator or the user, who know better.
        if is_variable(name, value) && !call.has_env(name) {
            put_env(call, name, value);
        }
    }
    if let Err(code) = call.remember(opened.session) {
        let line = format!("cannot keep session {}: {code:?}, ignoring", opened.session);
        call.log(Priority::Warning, &line);
    }
}

/// Shows the user what they have missed. The host decides what becomes of it: sshd shows it where a
/// shell on a terminal follows, and to nobody else.
fn inform(call: &Call<'_>, notices: &[String]) {
    for notice in notices.iter().take(MOST_NOTICES) {
        call.inform(notice);
    }
}

fn put_env(call: &mut Call<'_>, name: &str, value: &str) {
    if let Err(code) = call.put_env(name, value) {
        let line = format!("cannot set {name}: {code:?}, ignoring");
        call.log(Priority::Warning, &line);
    }
}

fn uid_of(user: &CStr) -> Result<Option<libc::uid_t>, Failure> {
    ffi::uid_of(user)
        .map_err(|error| Failure::new(format!("cannot look up user '{}': {error}", shown(user))))
}

fn unopened(error: &ClientError) -> Failure {
    let pending = match error {
        // The request may have arrived.
        ClientError::Deadline { .. } | ClientError::Closed { .. } => true,
        ClientError::Refused(reply) => reply.code == Some(ErrorCode::NotEnforced),
        _ => false,
    };
    Failure {
        reason: error.to_string(),
        pending,
    }
}

/// A name for a message, cut; whoever prints it takes the control characters out.
fn shown(name: &CStr) -> String {
    name.to_string_lossy().chars().take(LONGEST_NAME).collect()
}
