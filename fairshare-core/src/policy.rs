//! The policy file: parsing, checking, and what it comes to for a user.
//!
//! The text becomes a YAML value first and is then read key by key. A derived reader would stop at
//! the first fault and let the last of two equal keys win; this one reports every fault it finds.

use std::fmt;
use std::sync::Arc;

use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks};
use serde_yaml::Value;

use crate::Entitlement;

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
/// memory; the parser bounds that, and this bounds the text.
pub const MAX_TEXT: usize = 1024 * 1024;

/// A policy that was read and found without fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    everyone: Arc<Entitlement>,
    slice: SliceScheme,
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

/// A fault in a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file: a path of keys such as `defaults.cpu`, or a line and column.
    pub place: Option<String>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
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
    /// Reads the text of a policy file.
    ///
    /// # Errors
    /// Every problem found, in the order of the keys above: at least one.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader {
            problems: Vec::new(),
        };
        let policy = reader.policy(text);
        match policy {
            Some(policy) if reader.problems.is_empty() => Ok(policy),
            _ => Err(reader.problems),
        }
    }

    /// What policy gives a user that it [covers].
    pub fn entitlement(&self, _uid: u32) -> Arc<Entitlement> {
        Arc::clone(&self.everyone)
    }

    /// Which slice carries an allocation.
    pub fn slice_scheme(&self) -> SliceScheme {
        self.slice
    }
}

/// Reads values and collects what is wrong with them.
struct Reader {
    problems: Vec<Problem>,
}

/// One of the sections `defaults` and `max`, as far as the file gives it.
#[derive(Default)]
struct Section {
    cpu: Option<Cpus>,
    mem: Option<MemorySize>,
    tasks: Option<Tasks>,
    swap: Option<MemorySize>,
}

impl Reader {
    fn problem(&mut self, place: &str, message: impl Into<String>) {
        let place = (!place.is_empty()).then(|| place.to_owned());
        self.problems.push(Problem {
            place,
            message: message.into(),
        });
    }

    fn policy(&mut self, text: &str) -> Option<Policy> {
        if text.len() > MAX_TEXT {
            self.problem("", format!("larger than {MAX_TEXT} bytes"));
            return None;
        }
        let root: Value = match serde_yaml::from_str(text) {
            Ok(root) => root,
            Err(error) => {
                self.problem("", error.to_string());
                return None;
            }
        };
        let Value::Mapping(root) = root else {
            self.problem("", "not a mapping: write the sections 'defaults' and 'max'");
            return None;
        };
        let (mut defaults, mut max, mut slice) = (None, None, SliceScheme::Auto);
        for (key, value) in &root {
            match key.as_str() {
                Some("defaults") => defaults = self.section("defaults", value, true),
                Some("max") => max = self.section("max", value, false),
                Some("slice") => slice = self.slice(value),
                _ => {
                    let key = shown(key);
                    self.problem(&key, "unknown key (known: defaults, max, slice)");
                }
            }
        }
        for section in ["defaults", "max"] {
            if !root.contains_key(section) {
                self.problem("", format!("section '{section}' is missing"));
            }
        }
        let everyone = Arc::new(self.entitlement(&defaults?, &max?)?);
        Some(Policy { everyone, slice })
    }

    fn section(&mut self, name: &str, value: &Value, takes_swap: bool) -> Option<Section> {
        let Value::Mapping(entries) = value else {
            self.problem(name, "not a mapping: write for example {cpu: 2, mem: 8G}");
            return None;
        };
        let mut section = Section::default();
        for (key, value) in entries {
            let key = shown(key);
            let place = format!("{name}.{key}");
            match key.as_str() {
                "cpu" => section.cpu = self.number(&place, value),
                "mem" => section.mem = self.size(&place, value),
                "tasks" => section.tasks = self.number(&place, value),
                "swap" if takes_swap => section.swap = self.size(&place, value),
                _ => {
                    let known = if takes_swap {
                        "cpu, mem, tasks, swap"
                    } else {
                        "cpu, mem, tasks"
                    };
                    self.problem(&place, format!("unknown key (known: {known})"));
                }
            }
        }
        for key in ["cpu", "mem"] {
            if !entries.contains_key(key) {
                self.problem(name, format!("'{key}' is missing"));
            }
        }
        if takes_swap {
            self.room_to_log_in(name, &section);
        }
        Some(section)
    }

    /// Less than this and nobody but root could log in to mend it.
    fn room_to_log_in(&mut self, name: &str, section: &Section) {
        let mut check = |key: &str, given: Option<u64>, least: u64, shown: String| {
            if given.is_some_and(|given| given < least) {
                self.problem(
                    &format!("{name}.{key}"),
                    format!("too little to log in with (at least {shown})"),
                );
            }
        };
        check(
            "cpu",
            section.cpu.map(Cpus::thousandths),
            LEAST_CPU,
            "0.05".to_owned(),
        );
        check(
            "mem",
            section.mem.map(MemorySize::bytes),
            LEAST_MEMORY,
            "64M".to_owned(),
        );
        check(
            "tasks",
            section.tasks.map(Tasks::count),
            LEAST_TASKS,
            LEAST_TASKS.to_string(),
        );
    }

    fn number<T>(&mut self, place: &str, value: &Value) -> Option<T>
    where
        T: std::str::FromStr<Err: fmt::Display>,
    {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            other => {
                self.problem(place, format!("a number is expected, not {}", kind(other)));
                return None;
            }
        };
        match text.parse() {
            Ok(number) => Some(number),
            Err(error) => {
                self.problem(place, error.to_string());
                None
            }
        }
    }

    fn size(&mut self, place: &str, value: &Value) -> Option<MemorySize> {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            other => {
                let message = format!("a size such as 8G is expected, not {}", kind(other));
                self.problem(place, message);
                return None;
            }
        };
        match text.parse() {
            Ok(size) => Some(size),
            Err(error) => {
                let error: fairshare_protocol::InvalidMemorySize = error;
                self.problem(place, format!("{error} (write for example 8G or 512M)"));
                None
            }
        }
    }

    fn slice(&mut self, value: &Value) -> SliceScheme {
        match value.as_str() {
            Some("auto") => SliceScheme::Auto,
            Some("fairshare") => SliceScheme::Fairshare,
            _ => {
                self.problem("slice", "write 'auto' or 'fairshare'");
                SliceScheme::Auto
            }
        }
    }

    fn entitlement(&mut self, defaults: &Section, max: &Section) -> Option<Entitlement> {
        let (default_tasks, max_tasks) = tasks(defaults.tasks, max.tasks)?;
        let default = Allocation {
            cpu: defaults.cpu?,
            mem: defaults.mem?,
            tasks: default_tasks,
        };
        let max = Allocation {
            cpu: max.cpu?,
            mem: max.mem?,
            tasks: max_tasks,
        };
        let mut above = |key: &str, default: String, max: String| {
            self.problem(
                &format!("defaults.{key}"),
                format!("{default} is above max.{key} ({max})"),
            );
        };
        if default.cpu > max.cpu {
            above("cpu", default.cpu.to_string(), max.cpu.to_string());
        }
        if default.mem > max.mem {
            above("mem", default.mem.to_string(), max.mem.to_string());
        }
        if default.tasks > max.tasks {
            above("tasks", default.tasks.to_string(), max.tasks.to_string());
        }
        Some(Entitlement {
            swap: defaults.swap.unwrap_or(MemorySize::ZERO),
            ..Entitlement::between(default, max)
        })
    }
}

/// The two task counts; one that is not written gives way to the one that is.
fn tasks(default: Option<Tasks>, max: Option<Tasks>) -> Option<(Tasks, Tasks)> {
    let built_in = Tasks::new(BUILT_IN_TASKS)?;
    let built_in_max = Tasks::new(BUILT_IN_MAX_TASKS)?;
    let default_or_built_in =
        default.unwrap_or_else(|| max.map_or(built_in, |max| built_in.min(max)));
    let max = max.unwrap_or_else(|| built_in_max.max(default_or_built_in));
    Some((default_or_built_in, max))
}

fn shown(key: &Value) -> String {
    match key {
        Value::String(text) => fairshare_protocol::printable(text),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        other => kind(other).to_owned(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tagged value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_VERSION: &str = "defaults: {cpu: 2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n";

    fn problems(text: &str) -> Vec<String> {
        Policy::parse(text)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_file_of_the_first_version_loads() {
        let entitlement = Policy::parse(FIRST_VERSION).unwrap().entitlement(1000);
        assert_eq!(
            entitlement.default.to_string(),
            "2 CPUs, 8G memory, 4096 tasks"
        );
        assert_eq!(
            entitlement.max.to_string(),
            "8 CPUs, 32G memory, 16384 tasks"
        );
        assert_eq!(entitlement.swap, MemorySize::ZERO);
    }

    #[test]
    fn fractions_tasks_swap_and_plain_bytes_are_read() {
        let text = "defaults: {cpu: 0.5, mem: 1073741824, tasks: 200, swap: 1GiB}\n\
                    max: {cpu: '1.5', mem: 2 GB, tasks: 300}\nslice: fairshare\n";
        let policy = Policy::parse(text).unwrap();
        let entitlement = policy.entitlement(1000);
        assert_eq!(
            entitlement.default.to_string(),
            "0.5 CPUs, 1G memory, 200 tasks"
        );
        assert_eq!(
            entitlement.max.to_string(),
            "1.5 CPUs, 2G memory, 300 tasks"
        );
        assert_eq!(entitlement.swap.to_string(), "1G");
        assert_eq!(policy.slice_scheme(), SliceScheme::Fairshare);
    }

    #[test]
    fn a_task_count_that_is_not_written_gives_way_to_the_one_that_is() {
        let low_max = "defaults: {cpu: 1, mem: 1G}\nmax: {cpu: 1, mem: 1G, tasks: 100}";
        let entitlement = Policy::parse(low_max).unwrap().entitlement(1000);
        assert_eq!(entitlement.default.tasks.count(), 100);
        let high = "defaults: {cpu: 1, mem: 1G, tasks: 20000}\nmax: {cpu: 1, mem: 1G}";
        let entitlement = Policy::parse(high).unwrap().entitlement(1000);
        assert_eq!(entitlement.max.tasks.count(), 20_000);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = "defaults: {cpu: -1, mem: 8Q, colour: red}\nmax: {cpu: 8, swap: 1G}\nspeed: 3\n";
        let found = problems(text).join("\n");
        for part in [
            "defaults.cpu: Invalid CPU count: -1",
            "defaults.mem: Invalid memory size format: 8Q",
            "defaults.colour: unknown key",
            "max.swap: unknown key",
            "max: 'mem' is missing",
            "speed: unknown key",
        ] {
            assert!(found.contains(part), "{part} not in\n{found}");
        }
    }

    #[test]
    fn a_default_that_would_lock_everybody_out_is_refused() {
        let found = problems("defaults: {cpu: 0.01, mem: 1M, tasks: 1}\nmax: {cpu: 1, mem: 1G}");
        assert_eq!(
            found,
            [
                "defaults.cpu: too little to log in with (at least 0.05)",
                "defaults.mem: too little to log in with (at least 64M)",
                "defaults.tasks: too little to log in with (at least 32)",
            ]
        );
    }

    #[test]
    fn a_default_above_the_maximum_is_refused() {
        let found = problems("defaults: {cpu: 9, mem: 64G}\nmax: {cpu: 8, mem: 32G}");
        assert_eq!(
            found,
            [
                "defaults.cpu: 9 is above max.cpu (8)",
                "defaults.mem: 64G is above max.mem (32G)"
            ]
        );
    }

    #[test]
    fn a_key_written_twice_is_refused_with_its_place() {
        let found = problems("defaults: {cpu: 1, mem: 1G, cpu: 8}\nmax: {cpu: 8, mem: 32G}");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("duplicate") && found[0].contains("cpu"),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_no_policy_is_refused_with_a_reason() {
        for text in [
            "",
            "~",
            "[]",
            "5",
            "defaults: 5\nmax: 5",
            "defaults: {cpu: 2, mem: 8G}",
            "a: b: c",
        ] {
            assert!(!problems(text).is_empty(), "{text}");
        }
        let found = problems("defaults: {cpu: ~, mem: [8G]}\nmax: {cpu: 8, mem: true}").join("\n");
        assert!(
            found.contains("defaults.cpu: a number is expected, not nothing"),
            "{found}"
        );
        assert!(
            found.contains("defaults.mem: a size such as 8G is expected, not a list"),
            "{found}"
        );
    }

    #[test]
    fn aliases_that_explode_are_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            let inner = vec![format!("*a{}", level - 1); 9].join(", ");
            text = format!("{text}a{level}: &a{level} [{inner}]\n");
        }
        assert!(!problems(&text).is_empty());
    }

    #[test]
    fn root_system_accounts_and_nobody_are_not_covered() {
        for uid in [0, 1, 999, 65_534, 65_535, u32::MAX] {
            assert!(!covers(uid, 1000), "{uid}");
        }
        for uid in [1000, 60_000, 100_000, 1_234_567_890] {
            assert!(covers(uid, 1000), "{uid}");
        }
        assert!(!covers(0, 0));
    }
}
