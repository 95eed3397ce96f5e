//! Processes of users outside of their slice: how often they are looked for, and which of them may
//! be moved into it.

use std::time::Duration;

use super::problem::quoted;
use super::value::{self, Invalid};

/// How often strays are looked for where policy does not say. One look costs a part of
/// one `ps`; what runs for less than minutes harms nobody for long.
pub const BUILT_IN_LOOK: Duration = Duration::from_secs(5 * 60);
/// The shortest time between two looks that policy takes.
pub const SHORTEST_LOOK: Duration = Duration::from_secs(10);
/// The most units that `adopt` takes.
pub const MAX_ADOPTED: usize = 64;
/// The longest name of a unit that systemd takes: `UNIT_NAME_MAX`, in bytes.
const LONGEST_UNIT: usize = 255;

/// What policy says about strays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayTerms {
    /// The time between two looks; `None`: only when somebody asks.
    pub look: Option<Duration>,
    /// The units whose strays are moved into their users' slices.
    pub adopt: Vec<UnitPattern>,
}

/// The name of a service or a scope, in which `*` stands for any characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitPattern(String);

impl Default for StrayTerms {
    fn default() -> Self {
        Self {
            look: Some(BUILT_IN_LOOK),
            adopt: Vec::new(),
        }
    }
}

impl StrayTerms {
    /// Whether the strays of this unit are moved. A user's service manager is not, whatever policy
    /// says: systemd loses the services of a manager whose processes are moved.
    pub fn adopts(&self, unit: &str) -> bool {
        !is_manager(unit) && self.adopt.iter().any(|pattern| pattern.matches(unit))
    }
}

impl UnitPattern {
    /// Reads a pattern. It must name a service or a scope, and may not begin with a wildcard: what
    /// an administrator has not thought of must not be moved.
    pub(super) fn read(text: &str) -> Result<Self, Invalid> {
        const HINT: &str = "write a service or a scope, for example cron.service";
        let known =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
        let wild = |c: char| matches!(c, '*' | '?');
        let named = [".service", ".scope"]
            .iter()
            .any(|end| text.strip_suffix(end).is_some_and(|stem| !stem.is_empty()));
        if !named || text.len() > LONGEST_UNIT || !text.chars().all(|c| known(c) || wild(c)) {
            return Err(Invalid::new(format!("{} is no unit", quoted(text))).hint(HINT));
        }
        if text.starts_with(wild) {
            let message = format!("{} does not say which units", quoted(text));
            return Err(Invalid::new(message).hint(HINT));
        }
        if is_manager(text) {
            let message = format!("{} is a user's service manager", quoted(text));
            let hint = "it stays where it is: systemd loses services that are moved away from it";
            return Err(Invalid::new(message).hint(hint));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether a unit's name is of this form. Takes no longer than the product of both lengths.
    fn matches(&self, unit: &str) -> bool {
        let (pattern, unit) = (self.0.as_bytes(), unit.as_bytes());
        let (mut at, mut next) = (0, 0);
        // Where the last `*` stands, and up to where of the name it reaches so far.
        let mut star: Option<(usize, usize)> = None;
        while next < unit.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, next));
                    at += 1;
                }
                Some(wanted) if *wanted == b'?' || Some(wanted) == unit.get(next) => {
                    at += 1;
                    next += 1;
                }
                _ => {
                    let Some((place, reached)) = &mut star else {
                        return false;
                    };
                    *reached += 1;
                    (at, next) = (*place + 1, *reached);
                }
            }
        }
        let rest = pattern.get(at..).unwrap_or_default();
        rest.iter().all(|byte| *byte == b'*')
    }
}

fn is_manager(unit: &str) -> bool {
    unit.starts_with("user@")
}

/// Reads the time between two looks, or `off`.
pub(super) fn look(text: &str) -> Result<Option<Duration>, Invalid> {
    if text == "off" {
        return Ok(None);
    }
    let hint = "write a time from 10s on, for example 5m, or off";
    match value::time(text, false) {
        Ok(value::Value::Time(time)) if time >= SHORTEST_LOOK => Ok(Some(time)),
        Ok(_) => Err(Invalid::new(format!("{} is less than 10s", quoted(text))).hint(hint)),
        Err(invalid) => Err(invalid.hint(hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(patterns: &[&str]) -> StrayTerms {
        let read = |text: &&str| UnitPattern::read(text).unwrap_or_else(|_| panic!("{text}"));
        StrayTerms {
            look: None,
            adopt: patterns.iter().map(read).collect(),
        }
    }

    #[test]
    fn a_unit_is_adopted_where_a_pattern_names_it() {
        let terms = terms(&[
            "cron.service",
            "docker-*.scope",
            "job@?.service",
            "a*b*c.scope",
        ]);
        for unit in [
            "cron.service",
            "docker-.scope",
            "docker-0a1b.scope",
            "job@7.service",
            "abc.scope",
            "axxbxbxc.scope",
        ] {
            assert!(terms.adopts(unit), "{unit}");
        }
        for unit in [
            "",
            "cron.service2",
            "acron.service",
            "cron.servic",
            "docker-0a1b.scope.d",
            "docker.scope",
            "job@.service",
            "job@77.service",
            "acb.scope",
        ] {
            assert!(!terms.adopts(unit), "{unit}");
        }
        assert!(!StrayTerms::default().adopts("cron.service"));
    }

    #[test]
    fn a_users_manager_is_never_adopted() {
        assert!(UnitPattern::read("user@*.service").is_err());
        assert!(!terms(&["u*.service"]).adopts("user@1000.service"));
    }

    #[test]
    fn a_long_pattern_takes_no_long_time() {
        let pattern = format!("a{}.scope", "*a".repeat(120));
        let unit = format!("{}.scopf", "a".repeat(249));
        assert!(!terms(&[&pattern]).adopts(&unit));
    }
}
