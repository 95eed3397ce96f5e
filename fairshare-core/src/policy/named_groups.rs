//! The groups that policy names by text, which the name service has to turn into numbers.

use std::collections::{BTreeMap, BTreeSet};

use super::Policy;
use super::problem::{Problem, Problems, Severity, quoted};
use super::sections::{Names, Who};
use super::source::{Source, Spot};

impl Policy {
    /// The names of all groups that policy speaks of, except those that it names by number.
    pub fn named_groups(&self) -> BTreeSet<&str> {
        self.places_of_groups().into_keys().collect()
    }

    /// A warning for each of these groups, which do not exist, at the place that names it first.
    /// `sources` are what the policy was read from.
    pub fn missing_groups(&self, sources: &[Source], missing: &BTreeSet<String>) -> Vec<Problem> {
        let mut problems = Problems::new(sources);
        for (name, at) in self.places_of_groups() {
            if missing.contains(name) {
                problems.add(
                    Severity::Warning,
                    Some(at),
                    "",
                    format!("there is no group {}", quoted(name)),
                    Some("what is said for it holds for nobody until there is one".to_owned()),
                );
            }
        }
        problems.into_sorted()
    }

    fn places_of_groups(&self) -> BTreeMap<&str, Spot> {
        let sections = &self.sections;
        let mut places: BTreeMap<&str, Spot> = BTreeMap::new();
        let mut name_at = |name, at| {
            let first = places.entry(name).or_insert(at);
            *first = at.min(*first);
        };
        for (who, index) in &sections.groups.index {
            if let (Who::Name(name), Some(section)) = (who, sections.groups.entries.get(*index)) {
                name_at(name.as_str(), section.at);
            }
        }
        let lists: [&Names; 2] = [&sections.exempt_groups, &sections.administrators_groups];
        for (who, at) in lists.into_iter().flatten() {
            if let Who::Name(name) = who {
                name_at(name.as_str(), *at);
            }
        }
        places
    }
}
