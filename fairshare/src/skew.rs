//! A command and a daemon of different versions: what is said where one does not know what the
//! other asks or answers.
//!
//! An upgrade replaces the command at once and the daemon when it is restarted, so for a while they
//! differ. Nearly everything works across that; where it does not, one sentence says who is older.

use std::time::Duration;

use fairshare_client::{Client, ClientError};
use fairshare_protocol::{ErrorCode, Reply, Request, Resize, printable};

/// The version of this command.
pub(crate) const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long the daemon may take to say its version. It has just answered, so it is there; what is
/// said without it is only less exact.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is said in place of an error's own words.
pub(crate) struct Skew {
    pub(crate) sentence: String,
    pub(crate) advice: String,
}

/// What to say of an error that different versions are the cause of; `None` for any other. Asks the
/// daemon for its version.
pub(crate) fn of_error(error: &ClientError, request: &Request, client: &Client) -> Option<Skew> {
    let unknown_request = error.code() == Some(ErrorCode::UnknownType);
    let not_understood = matches!(error, ClientError::Protocol { .. });
    if !unknown_request && !not_understood {
        return None;
    }
    let version = daemon_version(client);
    if unknown_request {
        return Some(older(version.as_deref(), request));
    }
    let version = version.filter(|version| version != OWN_VERSION)?;
    Some(Skew {
        sentence: format!(
            "the daemon (version {version}) gave '{}' an answer that this command ({OWN_VERSION}) \
             does not understand",
            request.name()
        ),
        advice: "install the same version of both, and restart the daemon: \
                 systemctl restart fairshared"
            .to_owned(),
    })
}

fn older(version: Option<&str>, request: &Request) -> Skew {
    let which = version.map_or_else(String::new, |version| format!(" (version {version})"));
    Skew {
        sentence: format!(
            "the daemon{which} is older than this command ({OWN_VERSION}) and does not know '{}'",
            request.name()
        ),
        advice: "restart it, as root: systemctl restart fairshared".to_owned(),
    }
}

/// The version of the daemon that runs, by whatever way it knows to tell it.
pub(crate) fn daemon_version(client: &Client) -> Option<String> {
    let client = Client::new(client.socket(), client.timeout().min(PATIENCE));
    let version = match client.about() {
        Ok(about) => Some(about.version),
        // From before `about`; users who are limited are told it with their status.
        Err(ClientError::Refused(_)) => client.status().ok().and_then(|status| status.version),
        Err(_) => None,
    };
    version.map(|version| printable(&version))
}

/// What to say where a daemon from before leases has carried out a wish for one and has skipped the
/// lease: a grant without an end, of which the caller believes that it has one.
pub(crate) fn of_reply(reply: &Reply, request: &Request, client: &Client) -> Option<String> {
    let Request::Resize(Resize {
        lease: Some(lease), ..
    }) = request
    else {
        return None;
    };
    if !matches!(reply, Reply::Success { .. }) {
        return None;
    }
    let client = Client::new(client.socket(), client.timeout().min(PATIENCE));
    // A daemon that says what it is knows leases: it is newer than they are.
    if !matches!(client.about(), Err(error) if error.code() == Some(ErrorCode::UnknownType)) {
        return None;
    }
    let status = client.status().ok()?;
    (status.grant == Some(true) && status.lease_left_s.is_none()).then(|| {
        format!(
            "the daemon is older than this command and gave no lease: the grant does not end \
             after {lease}; give it back in time: fairshare release"
        )
    })
}
