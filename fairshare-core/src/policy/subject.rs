//! Whom policy is asked about.

use super::sections::{Names, Who};

/// A user, with what is known of them. Names are a fact from outside: where they are not known,
/// entries by name do not apply.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The user's ID.
    pub uid: u32,
    /// The user's name, where it is known.
    pub name: Option<&'a str>,
    /// The groups that the user is in.
    pub groups: &'a [Group],
}

/// A group that a user is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// The group's ID.
    pub gid: u32,
    /// The group's name, where it is known.
    pub name: Option<String>,
}

impl<'a> Subject<'a> {
    /// A user of whom nothing else is known.
    pub fn of_uid(uid: u32) -> Self {
        Self {
            uid,
            name: None,
            groups: &[],
        }
    }

    /// Both ways in which policy may name the user, the name first.
    pub(super) fn called(&self) -> impl Iterator<Item = Who> + use<'a> {
        let name = self.name.map(|name| Who::Name(name.to_owned()));
        name.into_iter().chain([Who::Id(self.uid)])
    }
}

impl Group {
    /// Both ways in which policy may name the group.
    pub(super) fn called(&self) -> impl Iterator<Item = Who> + use<> {
        let name = self.name.clone().map(Who::Name);
        name.into_iter().chain([Who::Id(self.gid)])
    }
}

/// Users and groups that policy lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    users: std::collections::HashSet<Who>,
    groups: std::collections::HashSet<Who>,
}

impl Members {
    pub(super) fn new(users: &Names, groups: &Names) -> Self {
        let set = |names: &Names| names.iter().map(|(who, _)| who.clone()).collect();
        Self {
            users: set(users),
            groups: set(groups),
        }
    }

    /// Whether the user is listed, or one of their groups is.
    pub fn contains(&self, subject: &Subject<'_>) -> bool {
        let mut groups = subject.groups.iter();
        subject.called().any(|who| self.users.contains(&who))
            || groups.any(|group| group.called().any(|who| self.groups.contains(&who)))
    }

    /// Whether nobody is listed.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Whether more than the UID must be known to tell who is listed.
    pub fn needs_names(&self) -> bool {
        let named = |who: &Who| matches!(who, Who::Name(_));
        !self.groups.is_empty() || self.users.iter().any(named)
    }
}
