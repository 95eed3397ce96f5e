//! From what was typed to what is asked of the daemon.

use std::time::Duration;

use fairshare_protocol::{
    CloseSession, Explain, Incidents, OpenSession, Release, Renew, Request, Resize, Set, Wait, Wish,
};

use super::{Cli, Command, DoctorArgs, PolicyAction, ReportArgs, SessionAction, WishArgs};

/// Between two views, unless told otherwise.
const EVERY: Duration = Duration::from_secs(2);

impl Cli {
    /// Whether the machine is to be looked at, instead of a question to the daemon.
    pub(crate) fn doctor(&self) -> Option<&DoctorArgs> {
        match &self.command {
            Some(Command::Doctor(args)) => Some(args),
            _ => None,
        }
    }

    /// How often to show the whole machine, where that is asked for.
    pub(crate) fn top(&self) -> Option<Duration> {
        match &self.command {
            Some(Command::Top { every }) => Some(*every),
            _ => None,
        }
    }

    /// How often to show the status again, where that is asked for.
    pub(crate) fn watch(&self) -> Option<Duration> {
        match &self.command {
            Some(Command::Status(args)) => args.watch.map(|time| time.unwrap_or(EVERY)),
            _ => None,
        }
    }

    /// How a report is to be shown.
    pub(crate) fn report(&self) -> Option<&ReportArgs> {
        match &self.command {
            Some(Command::Report(args)) => Some(args),
            _ => None,
        }
    }

    /// What to ask the daemon.
    pub(crate) fn request(&self) -> Request {
        match &self.command {
            Some(Command::Doctor(_)) => Request::About,
            Some(Command::Why(args)) => Request::Incidents(Incidents {
                uid: args.user,
                since: args.since,
                limit: Some(args.number),
            }),
            None | Some(Command::Status(_)) => Request::Status,
            Some(Command::Top { .. }) => Request::Usage,
            Some(Command::Resize(args)) => Request::Resize(Resize {
                wish: args.wish.read(),
                lease: args.lease.lease,
                wait: args
                    .wait
                    .map(|time| time.map_or(Wait::Allowed, Wait::AtMost)),
                force: args.force,
            }),
            Some(Command::Renew { lease }) => Request::Renew(Renew { lease: *lease }),
            Some(Command::Release(args)) => Request::Release(Release {
                uid: args.user,
                force: args.force,
            }),
            Some(Command::List) => Request::List,
            Some(Command::Queue) => Request::Queue,
            Some(Command::Strays) => Request::Strays,
            Some(Command::Report(args)) => Request::Report(args.request()),
            Some(Command::Policy { action }) => match action {
                PolicyAction::Explain { user } => Request::Explain(Explain { uid: *user }),
                PolicyAction::Diff => Request::PolicyDiff,
                PolicyAction::Reload => Request::Reload,
            },
            Some(Command::Set(args)) => Request::Set(Set {
                uid: args.user,
                wish: args.wish.read(),
                lease: args.lease.lease,
                force: args.force,
            }),
            Some(Command::Session { action }) => match action {
                SessionAction::Open { uid, pid, service } => Request::OpenSession(OpenSession {
                    uid: *uid,
                    pid: *pid,
                    service: service.clone(),
                    wait_ms: None,
                    notices: false,
                }),
                SessionAction::Close(args) => Request::CloseSession(CloseSession {
                    session: args.session,
                    uid: args.uid,
                    pid: args.pid,
                }),
            },
        }
    }
}

impl WishArgs {
    fn read(&self) -> Wish {
        Wish {
            cpu: self.cpu,
            mem: self.mem,
            tasks: self.tasks,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli;

    fn request(line: &str) -> Request {
        cli::parse(line.split(' ').map(OsString::from))
            .unwrap()
            .request()
    }

    #[test]
    fn each_command_asks_its_request() {
        for (line, json) in [
            ("fairshare", r#"{"type":"status"}"#),
            ("fairshare status", r#"{"type":"status"}"#),
            ("fairshare list", r#"{"type":"list"}"#),
            ("fairshare queue", r#"{"type":"queue"}"#),
            ("fairshare strays", r#"{"type":"strays"}"#),
            ("fairshare why", r#"{"type":"incidents","limit":10}"#),
            (
                "fairshare why --since 1d --user root -n 3",
                r#"{"type":"incidents","uid":0,"since":"1d","limit":3}"#,
            ),
            (
                "fairshare resize --cpu 1.5 --mem 512M --tasks 300",
                r#"{"type":"resize","cpu":1.5,"mem":"512M","tasks":300}"#,
            ),
            (
                "fairshare resize --mem 1G --force",
                r#"{"type":"resize","mem":"1G","force":true}"#,
            ),
            (
                "fairshare resize --cpu 8 --for 120m --wait",
                r#"{"type":"resize","cpu":8,"for":"2h","wait":true}"#,
            ),
            (
                "fairshare resize --wait --cpu 8",
                r#"{"type":"resize","cpu":8,"wait":true}"#,
            ),
            (
                "fairshare resize --cpu 8 --wait=30m",
                r#"{"type":"resize","cpu":8,"wait":"30m"}"#,
            ),
            (
                "fairshare resize --wait 1h30m --cpu 8",
                r#"{"type":"resize","cpu":8,"wait":"1h30m"}"#,
            ),
            ("fairshare renew --for 1h", r#"{"type":"renew","for":"1h"}"#),
            ("fairshare release", r#"{"type":"release"}"#),
            (
                "fairshare release --force",
                r#"{"type":"release","force":true}"#,
            ),
            ("fairshare release root", r#"{"type":"release","uid":0}"#),
            (
                "fairshare set 1000 --cpu 8 --for 1d12h --force",
                r#"{"type":"set","uid":1000,"cpu":8,"for":"1d12h","force":true}"#,
            ),
            ("fairshare report", r#"{"type":"report","by":"user"}"#),
            (
                "fairshare report --user root --since 30d --by day --html",
                r#"{"type":"report","uid":0,"by":"day","since":"30d"}"#,
            ),
            ("fairshare policy explain", r#"{"type":"explain"}"#),
            (
                "fairshare policy explain root",
                r#"{"type":"explain","uid":0}"#,
            ),
            ("fairshare policy diff", r#"{"type":"policy_diff"}"#),
            ("fairshare policy reload", r#"{"type":"reload"}"#),
            (
                "fairshare session open --uid 1000 --pid 4711 --service jupyterhub",
                r#"{"type":"open_session","uid":1000,"pid":4711,"service":"jupyterhub"}"#,
            ),
            (
                "fairshare session close --uid 1000 --pid 4711",
                r#"{"type":"close_session","uid":1000,"pid":4711}"#,
            ),
            (
                "fairshare session close --session 7",
                r#"{"type":"close_session","session":7}"#,
            ),
        ] {
            assert_eq!(
                serde_json::to_string(&request(line)).unwrap(),
                json,
                "{line}"
            );
        }
    }
}
