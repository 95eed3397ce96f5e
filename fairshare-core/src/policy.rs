//! Policy: what files say, whether it makes sense, and what it comes to for a user.
//!
//! Texts become values that know their place (`yaml`), values become sections (`sections`), merged
//! file by file, and sections are checked against each other. Everything that is wrong is found at
//! once, each with file, line and column. Percentages stay what they are until they meet the
//! machine, so a policy can be put on a machine that has changed without reading it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::{Cpus, MemorySize, Tasks};

use crate::Entitlement;
use crate::ledger::Capacity;

mod checks;
mod explain;
mod history;
mod leaf;
mod named_groups;
mod problem;
mod reading;
mod resolve;
mod sections;
mod source;
mod strays;
mod subject;
mod value;
mod yaml;

pub use explain::{Candidate, Difference, Explained};
pub use history::{BUILT_IN_KEEP, SHORTEST_KEEP};
pub use problem::{Excerpt, Look, MAX_PROBLEMS, Problem, Severity, report};
pub use source::{Place, Source};
pub use strays::{BUILT_IN_LOOK, MAX_ADOPTED, SHORTEST_LOOK, StrayTerms, UnitPattern};
pub use subject::{Group, Members, Subject};
pub use value::{LONGEST_TIME, MAX_PRIORITY, MAX_WEIGHT, SHORTEST_TIME};
pub use yaml::{MAX_DEPTH, MAX_VALUES};

use problem::Problems;
use resolve::Base;
use sections::{Resource, Scope, Section, Sections};
use value::{Hundredths, Value};

/// The tasks that a user gets where policy does not say: room for a desktop's worth of programs,
/// far from what freezes a machine.
pub const BUILT_IN_TASKS: u64 = 4096;
/// The largest number of tasks where policy does not say.
pub const BUILT_IN_MAX_TASKS: u64 = 16_384;
/// The least CPU that a default may give, in thousandths: a login below it takes minutes.
pub const LEAST_CPU: u64 = 50;
/// The least memory that a default may give, in bytes. sshd's own process for the session counts.
pub const LEAST_MEMORY: u64 = 64 << 20;
/// The least tasks that a default may give: a login by ssh with `systemd --user` takes ten.
pub const LEAST_TASKS: u64 = 32;
/// The largest policy text that is read, in bytes. YAML aliases can make a short text long in
/// memory; [`MAX_VALUES`] bounds that, and this bounds the text.
pub const MAX_TEXT: usize = 1024 * 1024;
/// The most files that are read together.
pub const MAX_SOURCES: usize = 256;
/// Where the kernel begins to reclaim where policy does not say, in percent of the memory limit.
pub const DEFAULT_MEM_HIGH: Option<u8> = None;
/// How long before an idle grant is taken back its user is told, where policy does not say.
pub const BUILT_IN_NOTICE: Duration = Duration::from_secs(15 * 60);
/// The half-life of recent use where policy does not say.
pub const BUILT_IN_HALF_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a request may wait where policy does not say.
pub const BUILT_IN_LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// A policy that was read and found without fault, on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    files: Arc<[String]>,
    sections: Arc<Sections>,
    exempt: Arc<Members>,
    administrators: Arc<Members>,
    machine: Machine,
    /// What a user gets whom no group and no user section is for.
    everyone: Arc<Entitlement>,
    /// What a user gets whom one group section is for, in the order of the sections.
    one_group: Arc<[Arc<Entitlement>]>,
}

/// What a machine has: the facts that percentages are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// CPUs that are online, in thousandths.
    pub cpu_thousandths: u64,
    /// Memory in bytes.
    pub mem_bytes: u64,
    /// How many tasks there can be: `kernel.pid_max`, or less where something else bounds them.
    pub tasks: u64,
}

/// Which slice carries a user's allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SliceScheme {
    /// logind's `user-UID.slice` where logind runs, `fairshare-UID.slice` where it does not.
    #[default]
    Auto,
    /// Always `fairshare-UID.slice`. On a host with logind, `systemd --user` stays outside of it.
    Fairshare,
}

/// Whether what is decided is also set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforce {
    /// It is.
    #[default]
    On,
    /// It is decided, logged and shown, and nothing is set.
    Watch,
}

/// What the members of a group may hold together. `None`: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// CPUs.
    pub cpu: Option<Cpus>,
    /// Memory.
    pub mem: Option<MemorySize>,
    /// Processes and threads.
    pub tasks: Option<Tasks>,
}

/// How the queue orders requests and how long they may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTerms {
    /// After which time recent use counts half.
    pub half_life: Duration,
    /// The longest that a request may wait; `None`: as long as its user likes.
    pub longest_wait: Option<Duration>,
}

/// Whether policy covers a user: root, system accounts and `nobody` are not covered.
///
/// `uid_min` is the first UID of a person, `UID_MIN` of `login.defs(5)`.
pub fn covers(uid: u32, uid_min: u32) -> bool {
    /// The UID of `nobody`, and the one that means "no UID" in 16 bits: see `UIDS-GIDS` of systemd.
    const NOBODY: [u32; 3] = [65_534, 65_535, u32::MAX];
    uid != 0 && uid >= uid_min && !NOBODY.contains(&uid)
}

impl Policy {
    /// Reads policy files, the later ones winning over the earlier in each single key. Returns
    /// the policy and what is odd about it.
    ///
    /// # Errors
    /// Every problem found, warnings too, in the order of the files: at least one error.
    pub fn read(
        sources: &[Source],
        machine: &Machine,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut problems = Problems::new(sources);
        let mut sections = Sections::default();
        let mut all_understood = true;
        if sources.len() > MAX_SOURCES {
            problems.without_place(format!("more than {MAX_SOURCES} files"), None);
        }
        for (index, source) in (0_u32..).zip(sources).take(MAX_SOURCES) {
            if source.text.len() > MAX_TEXT {
                problems.whole_file(index, format!("larger than {MAX_TEXT} bytes"));
                all_understood = false;
                continue;
            }
            match yaml::read(&source.text, index, &mut problems) {
                Ok(Some(root)) => reading::read(&root, &mut sections, &mut problems),
                Ok(None) => {}
                Err(yaml::Unreadable) => all_understood = false,
            }
        }
        // What is missing may stand in the file that was not understood.
        if all_understood {
            checks::complete(&sections, &mut problems);
        }
        checks::reserve(&sections, machine, &mut problems);
        checks::group_order(&sections, &mut problems);
        checks::strays(&sections, &mut problems);
        sections.rank_groups();
        let base = base(&sections, machine);
        checks::sections(&sections, &base, &mut problems);
        if problems.has_errors() {
            return Err(problems.into_sorted());
        }
        let files = sources.iter().map(|source| source.name.clone()).collect();
        let policy = Self::new(files, Arc::new(sections), *machine);
        Ok((policy, problems.into_sorted()))
    }

    fn new(files: Arc<[String]>, sections: Arc<Sections>, machine: Machine) -> Self {
        let base = base(&sections, &machine);
        let everybody = &sections.everybody;
        let resolved = |chain: &[&Scope], budgets| {
            let (entitlement, _) = resolve::resolve(chain, budgets, &base);
            Arc::new(entitlement)
        };
        let everyone = resolved(&[everybody], Vec::new());
        let groups = sections.groups.entries.iter();
        let one_group = groups
            .map(|group| resolved(&[&group.scope, everybody], group.budget_names()))
            .collect();
        let members = |users, groups| Arc::new(Members::new(users, groups));
        Self {
            exempt: members(&sections.exempt_users, &sections.exempt_groups),
            administrators: members(
                &sections.administrators_users,
                &sections.administrators_groups,
            ),
            files,
            sections,
            machine,
            everyone,
            one_group,
        }
    }

    /// The same policy on a machine that has changed: percentages follow.
    #[must_use]
    pub fn with_machine(&self, machine: &Machine) -> Self {
        Self::new(
            Arc::clone(&self.files),
            Arc::clone(&self.sections),
            *machine,
        )
    }

    /// What policy gives a user that it [covers]. All users whom no section is for share one
    /// entitlement, and so do all whom only the same group's section is for.
    ///
    /// The cost grows with the number of the subject's groups and not with that of sections.
    pub fn entitlement(&self, subject: &Subject<'_>) -> Arc<Entitlement> {
        let (users, groups) = self.sections_for(subject);
        match (users.as_slice(), groups.as_slice()) {
            ([], []) => return Arc::clone(&self.everyone),
            ([], [only]) => {
                if let Some(entitlement) = self.one_group.get(*only) {
                    return Arc::clone(entitlement);
                }
            }
            _ => {}
        }
        let (chain, budgets) = self.chain_of(&users, &groups);
        let (entitlement, _) = resolve::resolve(&chain, budgets, &self.base());
        Arc::new(entitlement)
    }

    /// The scopes that are for a user, the most specific first, and the budgets they count
    /// against.
    fn chain(&self, subject: &Subject<'_>) -> (Vec<&Scope>, Vec<String>) {
        let (users, groups) = self.sections_for(subject);
        self.chain_of(&users, &groups)
    }

    /// The positions of the sections that are for a user, in the order of precedence.
    fn sections_for(&self, subject: &Subject<'_>) -> (Vec<usize>, Vec<usize>) {
        let sections = &self.sections;
        let users = subject
            .called()
            .filter_map(|who| sections.users.find(&who))
            .collect();
        let mut groups: Vec<usize> = Vec::new();
        if !sections.groups.entries.is_empty() {
            let called = subject.groups.iter().flat_map(Group::called);
            groups.extend(called.filter_map(|who| sections.groups.find(&who)));
        }
        groups.sort_by_key(|index| sections.ranks.get(*index).copied());
        groups.dedup();
        (users, groups)
    }

    fn chain_of(&self, users: &[usize], groups: &[usize]) -> (Vec<&Scope>, Vec<String>) {
        let sections = &self.sections;
        let users = users
            .iter()
            .filter_map(|index| sections.users.entries.get(*index));
        let groups = groups
            .iter()
            .filter_map(|index| sections.groups.entries.get(*index));
        let budgets = groups.clone().flat_map(Section::budget_names).collect();
        let scopes = users.chain(groups).map(|section| &section.scope);
        (scopes.chain([&sections.everybody]).collect(), budgets)
    }

    /// Whether policy lets a user be, by name or by group.
    pub fn exempts(&self, subject: &Subject<'_>) -> bool {
        self.exempt.contains(subject)
    }

    /// Whether it lets the same users be as another policy.
    pub fn exempts_as(&self, other: &Self) -> bool {
        self.exempt == other.exempt
    }

    /// Whether more than the UID of a user must be known to say what they get. Where it is not
    /// so, no name service need be asked at a login. For administrators see
    /// [`Members::needs_names`].
    pub fn needs_names(&self) -> bool {
        let named = |who: &sections::Who| matches!(who, sections::Who::Name(_));
        !self.sections.groups.entries.is_empty()
            || self.sections.users.index.keys().any(named)
            || self.exempt.needs_names()
    }

    /// What grants may come to together: what the machine has, less the reserve, times overcommit.
    pub fn capacity(&self) -> Capacity {
        let left = self.base().left;
        let factor = |resource| {
            let factor = self.sections.overcommit.get(&resource);
            factor.copied().unwrap_or(Hundredths::ONE)
        };
        Capacity {
            cpu_thousandths: factor(Resource::Cpu).times(left.cpu_thousandths),
            mem_bytes: factor(Resource::Mem).times(left.mem_bytes),
        }
    }

    /// The budgets of groups, by the name of their section.
    pub fn budgets(&self) -> BTreeMap<String, Budget> {
        let base = self.base();
        let groups = self.sections.groups.entries.iter();
        let with_budget = groups.filter(|group| !group.budget.is_empty());
        let budget = |group: &Section| {
            let amount = |resource| {
                let given = group.budget.get(&resource)?;
                Some(resolve::amount(resource, given.value, &base))
            };
            Budget {
                cpu: amount(Resource::Cpu).map(resolve::cpus),
                mem: amount(Resource::Mem).map(MemorySize::saturating_from_bytes),
                tasks: amount(Resource::Tasks).map(resolve::tasks),
            }
        };
        with_budget
            .map(|group| (group.name.clone(), budget(group)))
            .collect()
    }

    /// Who may change what others hold.
    pub fn administrators(&self) -> &Members {
        &self.administrators
    }

    /// Whether what is decided is also set.
    pub fn enforce(&self) -> Enforce {
        self.sections.enforce
    }

    /// Whether a refusal names who holds how much.
    pub fn show_holders(&self) -> bool {
        self.sections.show_holders
    }

    /// How the queue works.
    pub fn queue(&self) -> QueueTerms {
        QueueTerms {
            half_life: self.sections.half_life.unwrap_or(BUILT_IN_HALF_LIFE),
            longest_wait: match self.sections.longest_wait {
                Some(Value::Time(time)) => Some(time),
                Some(_) => None,
                None => Some(BUILT_IN_LONGEST_WAIT),
            },
        }
    }

    /// What is done about processes outside of their user's slice.
    pub fn strays(&self) -> &StrayTerms {
        &self.sections.strays
    }

    /// For how long history is kept; `None`: there is none.
    pub fn history(&self) -> Option<Duration> {
        self.sections.history.0
    }

    /// Which slice carries an allocation.
    pub fn slice_scheme(&self) -> SliceScheme {
        self.sections.slice
    }

    /// The machine that percentages are of.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What a user gets whom no group and no user section is for.
    pub fn everyone(&self) -> &Entitlement {
        &self.everyone
    }

    /// How many groups and how many users have a section of their own.
    pub fn section_counts(&self) -> (usize, usize) {
        let sections = &self.sections;
        (sections.groups.entries.len(), sections.users.entries.len())
    }

    fn base(&self) -> Base {
        base(&self.sections, &self.machine)
    }
}

/// What percentages are of: the machine less the reserve, and never nothing.
fn base(sections: &Sections, machine: &Machine) -> Base {
    let whole = Base {
        whole: *machine,
        left: *machine,
    };
    let left = |resource, has: u64, least: u64| {
        let given = sections.reserve.get(&resource);
        let reserved = given.map_or(0, |given| resolve::amount(resource, given.value, &whole));
        has.saturating_sub(reserved).max(least)
    };
    Base {
        whole: *machine,
        left: Machine {
            cpu_thousandths: left(Resource::Cpu, machine.cpu_thousandths, LEAST_CPU),
            mem_bytes: left(Resource::Mem, machine.mem_bytes, LEAST_MEMORY),
            tasks: machine.tasks,
        },
    }
}

#[cfg(test)]
mod tests;
