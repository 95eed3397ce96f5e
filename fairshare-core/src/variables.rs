//! Which variables a login is given, so that programs start as many threads as they have CPUs.

use std::collections::BTreeMap;
use std::fmt;

use fairshare_protocol::{Cpus, VARIABLES, variable_for};

/// A choice of [`VARIABLES`]: a bit for each. Every user's entitlement has one, so it is small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variables(u16);

// Each variable has its bit.
const _: () = assert!(VARIABLES.len() <= 16);

impl Variables {
    /// None of them: what holds unless policy says otherwise.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << VARIABLES.len()) - 1);

    /// This choice with one more; `None` where there is no variable of that name.
    #[must_use]
    pub fn with(self, name: &str) -> Option<Self> {
        let index = VARIABLES.iter().position(|known| *known == name)?;
        Some(Self(self.0 | 1 << index))
    }

    /// The names, in their order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        VARIABLES
            .into_iter()
            .enumerate()
            .filter_map(move |(index, name)| (self.0 & 1 << index != 0).then_some(name))
    }

    /// The variables for whoever has so many CPUs: rounded down, for a thread too many waits, and at
    /// least one.
    pub fn values(self, cpu: Cpus) -> BTreeMap<String, String> {
        let cpus = cpu.thousandths() / 1000;
        self.names()
            .filter_map(|name| Some((name.to_owned(), variable_for(name, cpus)?)))
            .collect()
    }
}

/// As policy has it: `off`, `all`, or the names in brackets.
impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("off"),
            Self::ALL => f.write_str("all"),
            some => write!(f, "[{}]", some.names().collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_rounded_down_and_one_at_the_least() {
        let some = Variables::NONE.with("MAKEFLAGS").unwrap();
        let some = some.with("OMP_NUM_THREADS").unwrap();
        for (cpu, number) in [("0.5", "1"), ("1.99", "1"), ("2", "2"), ("12.75", "12")] {
            let values = some.values(cpu.parse().unwrap());
            assert_eq!(values.len(), 2);
            assert_eq!(values["OMP_NUM_THREADS"], number, "{cpu}");
            assert_eq!(values["MAKEFLAGS"], format!("-j{number}"), "{cpu}");
        }
        assert_eq!(some.to_string(), "[MAKEFLAGS, OMP_NUM_THREADS]");
        assert_eq!(Variables::NONE.with("PATH"), None);
        assert_eq!(Variables::ALL.names().count(), VARIABLES.len());
    }
}
