//! What the files say, merged: each value that was given, with its place.
//!
//! Values that a later file replaced are kept behind the one that holds, so that it can be told
//! what was beaten and where.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use super::history::Keep;
use super::source::Spot;
use super::strays::StrayTerms;
use super::value::{Hundredths, Value};
use super::{Enforce, SliceScheme};

/// A resource that a user holds and asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Resource {
    Cpu,
    Mem,
    Tasks,
}

impl Resource {
    pub(super) const ALL: [Self; 3] = [Self::Cpu, Self::Mem, Self::Tasks];

    /// The key in a policy.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Mem => "mem",
            Self::Tasks => "tasks",
        }
    }
}

/// One thing that policy can say about a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Default(Resource),
    Max(Resource),
    Min(Resource),
    Swap,
    CpuWeight,
    MemHigh,
    MemGuarantee,
    IoWeight,
    IoRead(String),
    IoWrite(String),
    LeaseDefault,
    LeaseLongest,
    IdleAfter,
    IdleNotice,
    Priority,
    Environment,
}

/// The path of keys in a policy.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(resource) => write!(f, "defaults.{}", resource.name()),
            Self::Max(resource) => write!(f, "max.{}", resource.name()),
            Self::Min(resource) => write!(f, "min.{}", resource.name()),
            Self::Swap => f.write_str("defaults.swap"),
            Self::CpuWeight => f.write_str("defaults.cpu_weight"),
            Self::MemHigh => f.write_str("defaults.mem_high"),
            Self::MemGuarantee => f.write_str("defaults.mem_guarantee"),
            Self::IoWeight => f.write_str("defaults.io_weight"),
            Self::IoRead(device) => write!(f, "defaults.io.{device}.read"),
            Self::IoWrite(device) => write!(f, "defaults.io.{device}.write"),
            Self::LeaseDefault => f.write_str("lease.default"),
            Self::LeaseLongest => f.write_str("lease.longest"),
            Self::IdleAfter => f.write_str("idle.after"),
            Self::IdleNotice => f.write_str("idle.notice"),
            Self::Priority => f.write_str("priority"),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// A value that a file gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) at: Spot,
}

/// What is said about everybody, about one group or about one user. Of each key the last value
/// holds, and those before it are of earlier files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Which keys stand above these: empty for everybody, else such as `groups.students.`.
    pub(super) prefix: String,
    /// A key without a value is one that was written wrongly.
    pub(super) settings: BTreeMap<Key, Vec<Given>>,
}

impl Scope {
    /// The value that holds.
    pub(super) fn get(&self, key: &Key) -> Option<&Given> {
        self.settings.get(key)?.last()
    }
}

/// A user or group as policy names it: digits are an ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Who {
    Id(u32),
    Name(String),
}

/// One entry of `groups` or `users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// The key of the entry.
    pub(super) name: String,
    /// Where it stands first.
    pub(super) at: Spot,
    pub(super) scope: Scope,
    /// What the members of a group may hold together.
    pub(super) budget: BTreeMap<Resource, Given>,
}

impl Section {
    /// The group's name, if it has a budget.
    pub(super) fn budget_names(&self) -> Vec<String> {
        let has_budget = !self.budget.is_empty();
        has_budget.then(|| self.name.clone()).into_iter().collect()
    }
}

/// The entries of `groups` or of `users`, in the order of their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Register {
    pub(super) entries: Vec<Section>,
    pub(super) index: HashMap<Who, usize>,
}

impl Register {
    /// The entry of that name, made where it is not there yet.
    pub(super) fn entry(
        &mut self,
        kind: &str,
        who: Who,
        name: &str,
        at: Spot,
    ) -> Option<&mut Section> {
        let index = *self.index.entry(who).or_insert_with(|| {
            let index = self.entries.len();
            self.entries.push(Section {
                name: name.to_owned(),
                at,
                scope: Scope {
                    prefix: format!("{kind}.{name}."),
                    settings: BTreeMap::new(),
                },
                budget: BTreeMap::new(),
            });
            index
        });
        self.entries.get_mut(index)
    }

    pub(super) fn find(&self, who: &Who) -> Option<usize> {
        self.index.get(who).copied()
    }

    pub(super) fn find_mut(&mut self, who: &Who) -> Option<&mut Section> {
        let index = self.find(who)?;
        self.entries.get_mut(index)
    }
}

/// A list of users or groups, each with its place.
pub(super) type Names = Vec<(Who, Spot)>;

/// All that the files say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sections {
    pub(super) everybody: Scope,
    pub(super) groups: Register,
    pub(super) users: Register,
    /// Where `defaults` stands first, if at all.
    pub(super) defaults_at: Option<Spot>,
    /// Where `max` stands first, if at all.
    pub(super) max_at: Option<Spot>,
    pub(super) reserve: BTreeMap<Resource, Given>,
    pub(super) overcommit: BTreeMap<Resource, Hundredths>,
    pub(super) group_order: Names,
    pub(super) exempt_users: Names,
    pub(super) exempt_groups: Names,
    pub(super) administrators_users: Names,
    pub(super) administrators_groups: Names,
    pub(super) enforce: Enforce,
    pub(super) show_holders: bool,
    pub(super) half_life: Option<Duration>,
    /// A time or `unlimited`.
    pub(super) longest_wait: Option<Value>,
    pub(super) slice: SliceScheme,
    pub(super) strays: StrayTerms,
    pub(super) history: Keep,
    /// Where the units stand that hold, if there are any.
    pub(super) strays_adopt_at: Option<Spot>,
    /// The entries of `groups` in the order of precedence: the rank of each.
    pub(super) ranks: Vec<usize>,
}

impl Sections {
    /// Settles the order of the groups: those in `group_order` first, then the others in the order
    /// of their text.
    pub(super) fn rank_groups(&mut self) {
        let count = self.groups.entries.len();
        self.ranks = (count..count * 2).collect();
        let ordered = self.group_order.iter();
        for (rank, index) in ordered
            .filter_map(|(who, _)| self.groups.find(who))
            .enumerate()
        {
            if let Some(known) = self.ranks.get_mut(index) {
                *known = rank.min(*known);
            }
        }
    }
}
