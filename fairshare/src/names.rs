//! Names of users: of UIDs in a reply, and of whom the command line names.
//!
//! The daemon knows UIDs only, so that a name service that hangs does not hang it. Here it can hang
//! nobody but whoever typed the command.

use std::collections::HashMap;

use fairshare_client::ClientError;
use fairshare_protocol::{Reply, ReportInfo, UserUsage};
use nix::unistd::{Uid, User};

/// The UID of a user given by name or by number. A number is a UID, as in policy.
///
/// # Errors
/// A sentence: there is no such user, or the name service does not say.
pub(crate) fn uid(text: &str) -> Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err("there is no user of this name; give a name or a UID".to_owned()),
        Err(error) => Err(format!("cannot look up the name: {error}; give the UID")),
    }
}

/// The reply with the names that the name service has for its users.
pub(crate) fn filled_in(mut reply: Reply) -> Reply {
    let mut names = Names::default();
    match &mut reply {
        Reply::ListInfo { users } => {
            for user in users {
                names.fill(Some(user.uid), &mut user.user);
            }
        }
        Reply::UsageInfo(info) => {
            for UserUsage { row, .. } in &mut info.users {
                names.fill(Some(row.uid), &mut row.user);
            }
        }
        Reply::ProcessesInfo(info) => names.fill(Some(info.uid), &mut info.user),
        Reply::QueueInfo { entries } => {
            for entry in entries {
                names.fill(entry.uid, &mut entry.user);
            }
        }
        Reply::StraysInfo(info) => {
            for stray in &mut info.strays {
                names.fill(Some(stray.uid), &mut stray.user);
            }
        }
        Reply::IncidentsInfo(info) => {
            for incident in &mut info.incidents {
                names.fill(Some(incident.uid), &mut incident.user);
            }
        }
        Reply::ExplainInfo(info) => names.fill(Some(info.uid), &mut info.user),
        Reply::PolicyDiffInfo(info) => {
            for change in &mut info.users {
                names.fill(Some(change.uid), &mut change.user);
            }
        }
        Reply::ReportInfo(info) => names.fill_report(info),
        _ => {}
    }
    reply
}

/// The error with the names of those who hold what was asked for.
pub(crate) fn filled_in_error(mut error: ClientError) -> ClientError {
    if let ClientError::Refused(reply) = &mut error {
        let mut names = Names::default();
        for holder in &mut reply.holders {
            names.fill(holder.uid, &mut holder.user);
        }
    }
    error
}

/// What the name service said. It is asked once for each user.
#[derive(Default)]
pub(crate) struct Names(HashMap<u32, Option<String>>);

impl Names {
    pub(crate) fn fill(&mut self, uid: Option<u32>, name: &mut Option<String>) {
        let (Some(uid), None) = (uid, &name) else {
            return;
        };
        let look_up = || User::from_uid(Uid::from_raw(uid)).ok().flatten();
        // No such user and a name service that does not answer look the same here: the UID is
        // shown.
        let found = self
            .0
            .entry(uid)
            .or_insert_with(|| look_up().map(|user| user.name));
        name.clone_from(found);
    }

    /// A report names a user by the UID where the daemon knows no name.
    fn fill_report(&mut self, info: &mut ReportInfo) {
        for row in &mut info.rows {
            let Some(uid) = row.uid.filter(|uid| row.key == uid.to_string()) else {
                continue;
            };
            let mut name = None;
            self.fill(Some(uid), &mut name);
            let Some(name) = name else { continue };
            for series in info
                .series
                .iter_mut()
                .filter(|series| series.key == row.key)
            {
                series.key.clone_from(&name);
            }
            row.key = name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str) -> String {
        let reply = filled_in(serde_json::from_str(line).unwrap());
        serde_json::to_string(&reply).unwrap()
    }

    #[test]
    fn a_uid_gets_its_name_and_an_unknown_one_none() {
        let text = filled(
            r#"{"type": "list_info", "users": [
                {"uid": 0, "sessions": 1, "grant": false, "cpu": 1, "mem": "1G", "tasks": 1},
                {"uid": 4294967294, "sessions": 1, "grant": false, "cpu": 1, "mem": "1G",
                 "tasks": 1}]}"#,
        );
        assert!(text.contains(r#""uid":0,"user":"root""#), "{text}");
        assert!(text.contains(r#""uid":4294967294,"sessions""#), "{text}");
    }

    #[test]
    fn every_reply_with_users_gets_their_names() {
        for line in [
            r#"{"type": "queue_info", "entries": [{"position": 1, "uid": 0, "cpu": 1,
                "mem": "1G", "tasks": 1, "since_s": 1, "priority": 0}]}"#,
            r#"{"type": "strays_info", "age_s": 0, "strays": [{"uid": 0, "pid": 1,
                "command": "a", "cgroup": "/", "running_s": 1}]}"#,
            r#"{"type": "incidents_info", "incidents": [{"id": 1, "uid": 0, "at": 0,
                "kind": "lease_ended", "text": ""}]}"#,
            r#"{"type": "explain_info", "uid": 0, "entries": [], "enforce": "on"}"#,
            r#"{"type": "policy_diff_info", "users": [
                {"uid": 0, "key": "max.cpu", "from": "1", "to": "2"}]}"#,
        ] {
            assert!(filled(line).contains(r#""user":"root""#), "{line}");
        }
        let error: Reply = serde_json::from_str(
            r#"{"type": "error", "error": "full", "holders": [{"uid": 0, "cpu": 1}, {"cpu": 2}]}"#,
        )
        .unwrap();
        let Reply::Error(error) = error else {
            panic!("not an error")
        };
        let ClientError::Refused(error) = filled_in_error(ClientError::Refused(error)) else {
            panic!("not a refusal")
        };
        assert_eq!(error.holders[0].user.as_deref(), Some("root"));
        assert_eq!(error.holders[1].user, None);
    }

    #[test]
    fn a_report_gets_the_names_in_its_rows_and_its_series() {
        let text = filled(
            r#"{"type": "report_info", "by": "user", "from": 0, "to": 1, "rows": [{"key": "0",
                "uid": 0, "cpu_s": 1, "mem_mib_s": 1, "mem_peak": "1G", "tasks_peak": 1,
                "throttled_s": 1, "stalled_s": 1, "grant_s": 1, "grant_cpu_s": 1,
                "grant_mem_mib_s": 1, "incidents": 1}], "series": [{"key": "0", "points": []}]}"#,
        );
        assert_eq!(text.matches(r#""key":"root""#).count(), 2, "{text}");
    }

    #[test]
    fn a_user_is_named_by_name_or_by_number() {
        assert_eq!(uid("root"), Ok(0));
        assert_eq!(uid("4294967294"), Ok(4_294_967_294));
        assert!(uid("no such user").unwrap_err().contains("no user"));
        assert!(uid("-1").is_err());
    }
}
