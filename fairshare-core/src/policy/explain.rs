//! Which line of which file said so.

use std::collections::BTreeSet;

use super::Policy;
use super::resolve::{Adjustment, resolve};
use super::sections::{Key, Resource, Scope};
use super::source::Place;
use super::subject::Subject;
use super::value::{Value, time_text};
use crate::entitlement::{CpuWeight, Entitlement};

/// What one key comes to for a user, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The path of keys as for everybody, such as `max.cpu`.
    pub key: String,
    /// What it comes to.
    pub value: String,
    /// What said so; `None`: no file does, and it is built in.
    pub winner: Option<Candidate>,
    /// What would have said otherwise, the nearest first.
    pub beaten: Vec<Candidate>,
    /// Why the value is another than the winner's, where it is.
    pub note: Option<String>,
}

/// A value that a file gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The value as it is written.
    pub value: String,
    /// The full path of keys, such as `groups.students.max.cpu`.
    pub path: String,
    /// Where it is written.
    pub place: Place,
}

/// What another policy would change for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path of keys.
    pub key: String,
    /// What it comes to now.
    pub before: String,
    /// What it would come to.
    pub after: String,
}

impl Policy {
    /// What each key comes to for a user, with the winner and the beaten, in the order of the
    /// sections.
    pub fn explain(&self, subject: &Subject<'_>) -> Vec<Explained> {
        let (chain, budgets) = self.chain(subject);
        let (entitlement, adjustments) = resolve(&chain, budgets, &self.base());
        let mut explained: Vec<Explained> = keys(&chain)
            .into_iter()
            .map(|key| self.explain_key(&key, &chain, &entitlement, &adjustments))
            .collect();
        if !entitlement.budgets.is_empty() {
            explained.push(Explained {
                key: "budgets".to_owned(),
                value: entitlement.budgets.join(", "),
                winner: None,
                beaten: Vec::new(),
                note: Some("the user's allocation counts against these groups' budgets".to_owned()),
            });
        }
        explained
    }

    fn explain_key(
        &self,
        key: &Key,
        chain: &[&Scope],
        entitlement: &Entitlement,
        adjustments: &[Adjustment],
    ) -> Explained {
        let mut candidates = chain.iter().flat_map(|scope| {
            let given = scope.settings.get(key).into_iter().flatten().rev();
            given.map(|given| Candidate {
                value: given.value.to_string(),
                path: format!("{}{key}", scope.prefix),
                place: given.at.place(&self.files),
            })
        });
        let adjustment = adjustments.iter().find(|adjustment| adjustment.key == *key);
        Explained {
            key: key.to_string(),
            value: effective(entitlement, key),
            winner: candidates.next(),
            beaten: candidates.collect(),
            note: adjustment.map(|adjustment| match &adjustment.against {
                Some(against) => format!(
                    "{} is brought to {against}, which is {}",
                    adjustment.given, adjustment.holds
                ),
                None => format!(
                    "{} is too little to log in with, so it is {}",
                    adjustment.given, adjustment.holds
                ),
            }),
        }
    }

    /// What changes for a user if `other` takes the place of this policy.
    pub fn diff(&self, other: &Self, subject: &Subject<'_>) -> Vec<Difference> {
        let side = |policy: &Self| {
            let (chain, budgets) = policy.chain(subject);
            let (entitlement, _) = resolve(&chain, budgets, &policy.base());
            (keys(&chain), entitlement, policy.exempts(subject))
        };
        let (mut keys, before, exempt) = side(self);
        let (other_keys, after, other_exempt) = side(other);
        keys.extend(other_keys);
        let yes_or_no = |value: bool| if value { "yes" } else { "no" }.to_owned();
        let exempt = (
            "exempt".to_owned(),
            yes_or_no(exempt),
            yes_or_no(other_exempt),
        );
        let budgets = |entitlement: &Entitlement| match entitlement.budgets.as_slice() {
            [] => "none".to_owned(),
            groups => groups.join(", "),
        };
        let budgets = ("budgets".to_owned(), budgets(&before), budgets(&after));
        let figures = keys.into_iter().map(|key| {
            let (before, after) = (effective(&before, &key), effective(&after, &key));
            (key.to_string(), before, after)
        });
        std::iter::once(exempt)
            .chain(figures)
            .chain([budgets])
            .filter(|(_, before, after)| before != after)
            .map(|(key, before, after)| Difference { key, before, after })
            .collect()
    }
}

/// The keys that are told of: all but devices, and the devices that somebody named.
fn keys(chain: &[&Scope]) -> BTreeSet<Key> {
    let figures = [Key::Default, Key::Max, Key::Min]
        .into_iter()
        .flat_map(|key: fn(Resource) -> Key| Resource::ALL.map(key));
    let others = [
        Key::Swap,
        Key::CpuWeight,
        Key::MemHigh,
        Key::MemGuarantee,
        Key::IoWeight,
        Key::LeaseDefault,
        Key::LeaseLongest,
        Key::IdleAfter,
        Key::IdleNotice,
        Key::Priority,
        Key::Environment,
    ];
    let named = chain
        .iter()
        .flat_map(|scope| scope.settings.keys().cloned());
    figures.chain(others).chain(named).collect()
}

/// What a key comes to in an entitlement.
fn effective(entitlement: &Entitlement, key: &Key) -> String {
    let figure = |allocation: &fairshare_protocol::Allocation, resource| match resource {
        Resource::Cpu => allocation.cpu.to_string(),
        Resource::Mem => allocation.mem.to_string(),
        Resource::Tasks => allocation.tasks.to_string(),
    };
    let shaping = &entitlement.shaping;
    let rate = |device: &str, write: bool| {
        let bandwidth = shaping
            .io_bandwidth
            .iter()
            .find(|known| known.device == device);
        let rate = bandwidth.and_then(|known| if write { known.write } else { known.read });
        rate.map_or("unlimited".to_owned(), |rate| Value::Rate(rate).to_string())
    };
    match key {
        Key::Default(resource) => figure(&entitlement.default, *resource),
        Key::Max(resource) => figure(&entitlement.max, *resource),
        Key::Min(resource) => figure(&entitlement.min, *resource),
        Key::Swap => entitlement.swap.to_string(),
        Key::CpuWeight => match shaping.cpu_weight {
            CpuWeight::FollowsAllocation => "auto".to_owned(),
            CpuWeight::Fixed(weight) => weight.to_string(),
        },
        Key::MemHigh => shaping
            .mem_high
            .map_or("unlimited".to_owned(), |percent| format!("{percent}%")),
        Key::MemGuarantee => shaping
            .mem_guarantee
            .map_or("0".to_owned(), |size| size.to_string()),
        Key::IoWeight => shaping
            .io_weight
            .map_or("not set".to_owned(), |weight| weight.to_string()),
        Key::IoRead(device) => rate(device, false),
        Key::IoWrite(device) => rate(device, true),
        Key::LeaseDefault => entitlement
            .lease
            .default
            .map_or("unlimited".to_owned(), time_text),
        Key::LeaseLongest => entitlement
            .lease
            .longest
            .map_or("unlimited".to_owned(), time_text),
        Key::IdleAfter => entitlement
            .idle
            .map_or("unlimited".to_owned(), |idle| time_text(idle.after)),
        Key::IdleNotice => entitlement
            .idle
            .map_or("unlimited".to_owned(), |idle| time_text(idle.notice)),
        Key::Priority => entitlement.priority.to_string(),
        Key::Environment => entitlement.environment.to_string(),
    }
}
