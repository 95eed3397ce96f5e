//! From a file's values to sections, key by key.
//!
//! A derived reader would stop at the first fault; this one reports every fault that it finds.
//! Files are read one after the other into the same sections, so that a later one wins in single
//! keys.

use super::history::{self, Keep};
use super::leaf::Reader;
use super::problem::{Problems, cut, quoted};
use super::sections::{Given, Key, Resource, Scope, Sections, Who};
use super::source::Spot;
use super::strays::{self, MAX_ADOPTED, UnitPattern};
use super::value::{self, Hundredths, Value};
use super::yaml::{self, Entry, Node};
use super::{Enforce, SliceScheme};

const ROOT: &[&str] = &[
    "defaults",
    "max",
    "min",
    "reserve",
    "overcommit",
    "lease",
    "idle",
    "priority",
    "environment",
    "groups",
    "users",
    "group_order",
    "exempt",
    "administrators",
    "enforce",
    "show_holders",
    "queue",
    "slice",
    "strays",
    "history",
];
const GROUP: &[&str] = &[
    "defaults",
    "max",
    "min",
    "lease",
    "idle",
    "priority",
    "environment",
    "budget",
];
pub(super) const USER: &[&str] = &[
    "defaults",
    "max",
    "min",
    "lease",
    "idle",
    "priority",
    "environment",
];
pub(super) const DEFAULTS: &[&str] = &[
    "cpu",
    "mem",
    "tasks",
    "swap",
    "cpu_weight",
    "mem_high",
    "mem_guarantee",
    "io_weight",
    "io",
];
pub(super) const RESOURCES: &[&str] = &["cpu", "mem", "tasks"];
const CPU_AND_MEM: &[&str] = &["cpu", "mem"];
const IO: &[&str] = &["read", "write"];
const LEASE: &[&str] = &["default", "longest"];
const IDLE: &[&str] = &["after", "notice"];
const MEMBERS: &[&str] = &["users", "groups"];
const QUEUE: &[&str] = &["half_life", "longest_wait"];
const STRAYS: &[&str] = &["look", "adopt"];
const HISTORY: &[&str] = &["keep"];

/// Reads one file into the sections.
pub(super) fn read(root: &Node, sections: &mut Sections, problems: &mut Problems<'_>) {
    let mut reader = Reader::new(problems);
    let Some(entries) = reader.mapping(root, "", "write the sections 'defaults' and 'max'") else {
        return;
    };
    for entry in entries {
        reader.root(entry, sections);
    }
}

/// Where a section's values go: everybody, a group or a user.
enum Owner<'a> {
    Everybody,
    Group(&'a str, Who, Spot),
    User(&'a str, Who, Spot),
}

impl Owner<'_> {
    fn scope<'s>(&self, sections: &'s mut Sections) -> Option<&'s mut Scope> {
        match self {
            Self::Everybody => Some(&mut sections.everybody),
            Self::Group(name, who, at) => {
                let entry = sections.groups.entry("groups", who.clone(), name, *at)?;
                Some(&mut entry.scope)
            }
            Self::User(name, who, at) => {
                let entry = sections.users.entry("users", who.clone(), name, *at)?;
                Some(&mut entry.scope)
            }
        }
    }
}

impl Reader<'_, '_> {
    fn root(&mut self, entry: &Entry, sections: &mut Sections) {
        let (key, node) = (&*entry.key, &entry.node);
        match key {
            "defaults" => {
                sections.defaults_at.get_or_insert(entry.at);
                self.owned("", entry, &Owner::Everybody, sections);
            }
            "max" => {
                sections.max_at.get_or_insert(entry.at);
                self.owned("", entry, &Owner::Everybody, sections);
            }
            "min" | "lease" | "idle" | "priority" | "environment" => {
                self.owned("", entry, &Owner::Everybody, sections);
            }
            "reserve" => self.reserve(node, sections),
            "overcommit" => self.overcommit(node, sections),
            "groups" | "users" => self.register(key, node, sections),
            "group_order" => {
                if let Some(names) = self.names(key, node, "group") {
                    sections.group_order = names;
                }
            }
            "exempt" | "administrators" => self.members(key, node, sections),
            "enforce" => match self.word(key, node, &["on", "watch"]) {
                Some("on") => sections.enforce = Enforce::On,
                Some(_) => sections.enforce = Enforce::Watch,
                None => {}
            },
            "show_holders" => {
                if let Some(word) = self.word(key, node, &["true", "false"]) {
                    sections.show_holders = word == "true";
                }
            }
            "queue" => self.queue(node, sections),
            "slice" => match self.word(key, node, &["auto", "fairshare"]) {
                Some("auto") => sections.slice = SliceScheme::Auto,
                Some(_) => sections.slice = SliceScheme::Fairshare,
                None => {}
            },
            "strays" => self.strays(node, sections),
            "history" => self.history(node, sections),
            _ => self.unknown("", entry, ROOT),
        }
    }

    /// A section that everybody, groups and users have.
    fn owned(&mut self, prefix: &str, entry: &Entry, owner: &Owner<'_>, sections: &mut Sections) {
        let path = format!("{prefix}{}", entry.key);
        let Some(scope) = owner.scope(sections) else {
            return;
        };
        match &*entry.key {
            "defaults" => self.defaults(&path, &entry.node, scope),
            "max" => self.figures(&path, &entry.node, Key::Max, scope),
            "min" => self.figures(&path, &entry.node, Key::Min, scope),
            "lease" => self.times(&path, &entry.node, LEASE, scope),
            "idle" => self.times(&path, &entry.node, IDLE, scope),
            "environment" => {
                let variables = self.variables(&path, &entry.node);
                give(scope, Key::Environment, variables);
            }
            _ => {
                let priority = self.value(&path, &entry.node, "a number", value::priority);
                give(scope, Key::Priority, priority);
            }
        }
    }

    fn defaults(&mut self, path: &str, node: &Node, scope: &mut Scope) {
        let Some(entries) = self.mapping(node, path, "write for example {cpu: 2, mem: 8G}") else {
            return;
        };
        for entry in entries {
            let (name, node) = (&*entry.key, &entry.node);
            let at = format!("{path}.{}", cut(name));
            let given = match name {
                "cpu" => (
                    Key::Default(Resource::Cpu),
                    self.amount(&at, node, Resource::Cpu, true),
                ),
                "mem" => (
                    Key::Default(Resource::Mem),
                    self.amount(&at, node, Resource::Mem, true),
                ),
                "tasks" => {
                    let tasks = self.amount(&at, node, Resource::Tasks, true);
                    (Key::Default(Resource::Tasks), tasks)
                }
                "swap" => (Key::Swap, self.amount(&at, node, Resource::Mem, false)),
                "mem_guarantee" => {
                    let guarantee = self.amount(&at, node, Resource::Mem, false);
                    (Key::MemGuarantee, guarantee)
                }
                "cpu_weight" => {
                    let weight = |text: &str| value::weight(text, true);
                    (Key::CpuWeight, self.value(&at, node, "a number", weight))
                }
                "io_weight" => {
                    let weight = |text: &str| value::weight(text, false);
                    (Key::IoWeight, self.value(&at, node, "a number", weight))
                }
                "mem_high" => {
                    let high = self.value(&at, node, "a percentage", value::high);
                    (Key::MemHigh, high)
                }
                "io" => {
                    self.devices(&at, node, scope);
                    continue;
                }
                _ => {
                    self.unknown(path, entry, DEFAULTS);
                    continue;
                }
            };
            give(scope, given.0, given.1);
        }
    }

    /// Ceilings for single devices.
    fn devices(&mut self, path: &str, node: &Node, scope: &mut Scope) {
        const HOW: &str = "write for example {/dev/vda: {read: 100M, write: 50M}}";
        let Some(devices) = self.mapping(node, path, HOW) else {
            return;
        };
        for device in devices {
            let path = format!("{path}.{}", cut(&device.key));
            let is_node = device
                .key
                .strip_prefix("/dev/")
                .is_some_and(|name| !name.is_empty());
            if !is_node || device.key.chars().any(char::is_control) {
                let message = format!("{} is no block device", quoted(&device.key));
                let hint = "write the device's node, for example /dev/vda".to_owned();
                self.problems.hinted(device.at, &path, message, hint);
                continue;
            }
            let Some(entries) = self.mapping(&device.node, &path, HOW) else {
                continue;
            };
            for entry in entries {
                let key: fn(String) -> Key = match &*entry.key {
                    "read" => Key::IoRead,
                    "write" => Key::IoWrite,
                    _ => {
                        self.unknown(&path, entry, IO);
                        continue;
                    }
                };
                let at = format!("{path}.{}", entry.key);
                let rate = self.value(&at, &entry.node, "a size such as 100M", value::rate);
                give(scope, key(device.key.to_string()), rate);
            }
        }
    }

    /// `max` and `min`.
    fn figures(&mut self, path: &str, node: &Node, key: fn(Resource) -> Key, scope: &mut Scope) {
        let Some(entries) = self.mapping(node, path, "write for example {cpu: 2, mem: 8G}") else {
            return;
        };
        let least = matches!(key(Resource::Cpu), Key::Min(_));
        for entry in entries {
            match resource(&entry.key) {
                Some(resource) => {
                    let at = format!("{path}.{}", entry.key);
                    let amount = self.amount(&at, &entry.node, resource, least);
                    give(scope, key(resource), amount);
                }
                None => self.unknown(path, entry, RESOURCES),
            }
        }
    }

    /// `lease` and `idle`.
    fn times(&mut self, path: &str, node: &Node, known: &[&str], scope: &mut Scope) {
        let example = if known == LEASE {
            "write for example {default: 8h, longest: 7d}"
        } else {
            "write for example {after: 2h, notice: 15m}"
        };
        let Some(entries) = self.mapping(node, path, example) else {
            return;
        };
        for entry in entries {
            let key = match &*entry.key {
                name if !known.contains(&name) => {
                    self.unknown(path, entry, known);
                    continue;
                }
                "default" => Key::LeaseDefault,
                "longest" => Key::LeaseLongest,
                "after" => Key::IdleAfter,
                _ => Key::IdleNotice,
            };
            let takes_unlimited = key != Key::IdleNotice;
            let read = |text: &str| value::time(text, takes_unlimited);
            let at = format!("{path}.{}", entry.key);
            let time = self.value(&at, &entry.node, "a time such as 8h", read);
            give(scope, key, time);
        }
    }

    fn reserve(&mut self, node: &Node, sections: &mut Sections) {
        let Some(entries) = self.mapping(node, "reserve", "write for example {cpu: 1, mem: 2G}")
        else {
            return;
        };
        for entry in entries {
            let Some(resource) = resource(&entry.key).filter(|key| *key != Resource::Tasks) else {
                self.unknown("reserve", entry, CPU_AND_MEM);
                continue;
            };
            let path = format!("reserve.{}", entry.key);
            let Some(amount) = self.amount(&path, &entry.node, resource, false) else {
                continue;
            };
            if amount.value == Value::Unlimited {
                let hint = "write an amount, or a percentage below 100%".to_owned();
                self.problems
                    .hinted(amount.at, &path, "it would leave nothing to users", hint);
                continue;
            }
            sections.reserve.insert(resource, amount);
        }
    }

    fn overcommit(&mut self, node: &Node, sections: &mut Sections) {
        let Some(entries) = self.mapping(node, "overcommit", "write for example {cpu: 2, mem: 1}")
        else {
            return;
        };
        for entry in entries {
            let Some(resource) = resource(&entry.key).filter(|key| *key != Resource::Tasks) else {
                self.unknown("overcommit", entry, CPU_AND_MEM);
                continue;
            };
            let path = format!("overcommit.{}", entry.key);
            let Some(text) = self.text(&path, &entry.node, "a number") else {
                continue;
            };
            match Hundredths::parse(text) {
                Some(factor) if factor.0 >= 1 && factor <= Hundredths::HUNDRED => {
                    sections.overcommit.insert(resource, factor);
                }
                _ => {
                    let message = format!("{} is no factor", quoted(text));
                    let hint = "write a number from 0.01 to 100, with at most two decimals";
                    self.problems
                        .hinted(entry.node.at, &path, message, hint.to_owned());
                }
            }
        }
    }

    /// `groups` and `users`.
    fn register(&mut self, kind: &str, node: &Node, sections: &mut Sections) {
        let is_group = kind == "groups";
        let Some(entries) = self.mapping(node, kind, "write for example {alice: {max: {cpu: 4}}}")
        else {
            return;
        };
        for section in entries {
            let prefix = format!("{kind}.{}", cut(&section.key));
            let noun = if is_group { "group" } else { "user" };
            let Some(who) = self.who(&prefix, &section.key, section.at, noun) else {
                continue;
            };
            let Some(entries) = self.mapping(
                &section.node,
                &prefix,
                "write sections such as max: {cpu: 4} below it",
            ) else {
                continue;
            };
            let known = if is_group { GROUP } else { USER };
            let owner = if is_group {
                Owner::Group(&section.key, who.clone(), section.at)
            } else {
                Owner::User(&section.key, who.clone(), section.at)
            };
            // An entry without a word in it is one too: it may be named in `group_order`.
            owner.scope(sections);
            for entry in entries {
                if !known.contains(&&*entry.key) {
                    self.unknown(&prefix, entry, known);
                } else if &*entry.key == "budget" {
                    self.budget(&format!("{prefix}.budget"), entry, &who, sections);
                } else {
                    self.owned(&format!("{prefix}."), entry, &owner, sections);
                }
            }
        }
    }

    fn budget(&mut self, path: &str, entry: &Entry, who: &Who, sections: &mut Sections) {
        let Some(entries) = self.mapping(&entry.node, path, "write for example {cpu: 32}") else {
            return;
        };
        for entry in entries {
            let Some(resource) = resource(&entry.key) else {
                self.unknown(path, entry, RESOURCES);
                continue;
            };
            let at = format!("{path}.{}", entry.key);
            let amount = self.amount(&at, &entry.node, resource, true);
            let group = sections.groups.find_mut(who);
            if let Some((amount, group)) = amount.zip(group) {
                group.budget.insert(resource, amount);
            }
        }
    }

    fn members(&mut self, key: &str, node: &Node, sections: &mut Sections) {
        let Some(entries) = self.mapping(node, key, "write for example {groups: [wheel]}") else {
            return;
        };
        for entry in entries {
            let noun = match &*entry.key {
                "users" => "user",
                "groups" => "group",
                _ => {
                    self.unknown(key, entry, MEMBERS);
                    continue;
                }
            };
            let path = format!("{key}.{}", entry.key);
            let Some(names) = self.names(&path, &entry.node, noun) else {
                continue;
            };
            match (key, noun) {
                ("exempt", "user") => sections.exempt_users = names,
                ("exempt", _) => sections.exempt_groups = names,
                (_, "user") => sections.administrators_users = names,
                _ => sections.administrators_groups = names,
            }
        }
    }

    fn queue(&mut self, node: &Node, sections: &mut Sections) {
        let Some(entries) = self.mapping(
            node,
            "queue",
            "write for example {half_life: 7d, longest_wait: 1d}",
        ) else {
            return;
        };
        for entry in entries {
            let endless = match &*entry.key {
                "half_life" => false,
                "longest_wait" => true,
                _ => {
                    self.unknown("queue", entry, QUEUE);
                    continue;
                }
            };
            let path = format!("queue.{}", entry.key);
            let read = |text: &str| value::time(text, endless);
            let time = self.value(&path, &entry.node, "a time such as 7d", read);
            match (endless, time.map(|time| time.value)) {
                (false, Some(Value::Time(time))) => sections.half_life = Some(time),
                (true, time @ Some(_)) => sections.longest_wait = time,
                _ => {}
            }
        }
    }

    fn strays(&mut self, node: &Node, sections: &mut Sections) {
        const HOW: &str = "write for example {look: 5m, adopt: [cron.service]}";
        let Some(entries) = self.mapping(node, "strays", HOW) else {
            return;
        };
        for entry in entries {
            match &*entry.key {
                "look" => {
                    if let Some(text) = self.text("strays.look", &entry.node, "a time such as 5m")
                        && let Some(look) =
                            self.read("strays.look", entry.node.at, || strays::look(text))
                    {
                        sections.strays.look = look;
                    }
                }
                "adopt" => {
                    sections.strays_adopt_at = Some(entry.at);
                    if let Some(units) = self.units("strays.adopt", &entry.node) {
                        sections.strays.adopt = units;
                    }
                }
                _ => self.unknown("strays", entry, STRAYS),
            }
        }
    }

    /// `off`, or for how long.
    fn history(&mut self, node: &Node, sections: &mut Sections) {
        const HOW: &str = "write off, or for example {keep: 90d}";
        if matches!(&node.value, yaml::Value::Scalar { text, .. } if &**text == "off") {
            sections.history = Keep(None);
            return;
        }
        let Some(entries) = self.mapping(node, "history", HOW) else {
            return;
        };
        for entry in entries {
            if &*entry.key != "keep" {
                self.unknown("history", entry, HISTORY);
            } else if let Some(text) = self.text("history.keep", &entry.node, "a time such as 90d")
                && let Some(keep) = self.read("history.keep", entry.node.at, || history::keep(text))
            {
                sections.history = Keep(Some(keep));
            }
        }
    }

    /// A list of units.
    fn units(&mut self, path: &str, node: &Node) -> Option<Vec<UnitPattern>> {
        let items = self.list(path, node, "write the units in brackets: [cron.service]")?;
        if items.len() > MAX_ADOPTED {
            let message = format!("more than {MAX_ADOPTED} units");
            self.problems.error(node.at, path, message);
            return None;
        }
        let mut units = Vec::new();
        for item in items {
            let Some(text) = self.text(path, item, "the name of a unit") else {
                continue;
            };
            units.extend(self.read(path, item.at, || UnitPattern::read(text)));
        }
        Some(units)
    }
}

/// Gives a scope a value. One that was wrong, and has been told of, counts as written.
fn give(scope: &mut Scope, key: Key, given: Option<Given>) {
    scope.settings.entry(key).or_default().extend(given);
}

fn resource(key: &str) -> Option<Resource> {
    Resource::ALL
        .into_iter()
        .find(|resource| resource.name() == key)
}
