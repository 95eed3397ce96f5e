//! Names of users, for the list.
//!
//! The daemon knows UIDs only, so that a name service that hangs does not hang it. Here it can hang
//! nobody but whoever typed the command.

use fairshare_protocol::{Reply, UserInfo};
use nix::unistd::{Uid, User};

/// The reply with the names that the name service has for its users.
pub(crate) fn filled_in(reply: Reply) -> Reply {
    match reply {
        Reply::ListInfo { users } => Reply::ListInfo {
            users: users.into_iter().map(with_name).collect(),
        },
        other => other,
    }
}

fn with_name(user: UserInfo) -> UserInfo {
    if user.user.is_some() {
        return user;
    }
    // No such user and a name service that does not answer look the same here: the UID is shown.
    let found = User::from_uid(Uid::from_raw(user.uid)).ok().flatten();
    UserInfo {
        user: found.map(|found| found.name),
        ..user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_gets_its_name_and_an_unknown_one_none() {
        let users: Vec<UserInfo> = serde_json::from_str(
            r#"[{"uid": 0, "sessions": 1, "grant": false, "cpu": 1, "mem": "1G", "tasks": 1},
                {"uid": 4294967294, "sessions": 1, "grant": false, "cpu": 1, "mem": "1G",
                 "tasks": 1}]"#,
        )
        .unwrap();
        let Reply::ListInfo { users } = filled_in(Reply::ListInfo { users }) else {
            panic!("not a list")
        };
        assert_eq!(users[0].user.as_deref(), Some("root"));
        assert_eq!(users[1].user, None);
    }
}
