//! What must hold between the values of a policy.

use super::leaf::nearest;
use super::problem::{Problems, Severity, quoted};
use super::resolve::{Adjustment, Base, amount, resolve, shown};
use super::sections::{Key, Resource, Scope, Sections, Who};
use super::value::Value;
use super::{LEAST_CPU, LEAST_MEMORY, Machine};

/// Checks that `defaults` and `max` are there, with CPU and memory.
pub(super) fn complete(sections: &Sections, problems: &mut Problems<'_>) {
    let defaults = ("defaults", sections.defaults_at);
    for (name, at) in [defaults, ("max", sections.max_at)] {
        let key = if name == "max" {
            Key::Max
        } else {
            Key::Default
        };
        let Some(at) = at else {
            problems.without_place(
                format!("section '{name}' is missing"),
                Some(format!("write for example {name}: {{cpu: 2, mem: 8G}}")),
            );
            continue;
        };
        for resource in [Resource::Cpu, Resource::Mem] {
            if !sections.everybody.settings.contains_key(&key(resource)) {
                problems.error(at, name, format!("'{}' is missing", resource.name()));
            }
        }
    }
}

/// Checks that the reserve leaves something.
pub(super) fn reserve(sections: &Sections, machine: &Machine, problems: &mut Problems<'_>) {
    let whole = Base {
        whole: *machine,
        left: *machine,
    };
    for (resource, given) in &sections.reserve {
        let (has, least) = match resource {
            Resource::Cpu => (machine.cpu_thousandths, LEAST_CPU),
            _ => (machine.mem_bytes, LEAST_MEMORY),
        };
        let reserved = amount(*resource, given.value, &whole);
        if has.saturating_sub(reserved) < least {
            let message = format!(
                "{} leaves less than {} to users: the machine has {}",
                given.value,
                shown(*resource, least),
                shown(*resource, has)
            );
            problems.error(given.at, &format!("reserve.{}", resource.name()), message);
        }
    }
}

/// Checks that what is to be adopted is looked for.
pub(super) fn strays(sections: &Sections, problems: &mut Problems<'_>) {
    let Some(at) = sections.strays_adopt_at else {
        return;
    };
    if sections.strays.look.is_none() && !sections.strays.adopt.is_empty() {
        let message = "nothing is adopted where strays.look is off".to_owned();
        let path = "strays.adopt";
        problems.add(Severity::Warning, Some(at), path, message, None);
    }
}

/// Checks each section against what everybody has, so that no user of one section gets figures
/// that contradict each other.
pub(super) fn sections(sections: &Sections, base: &Base, problems: &mut Problems<'_>) {
    let everybody = &sections.everybody;
    let (_, adjustments) = resolve(&[everybody], Vec::new(), base);
    for adjustment in first_causes(&adjustments) {
        report(adjustment, everybody, everybody, problems);
    }
    let entries = sections.groups.entries.iter();
    for section in entries.chain(&sections.users.entries) {
        let scope = &section.scope;
        let (_, adjustments) = resolve(&[scope, everybody], Vec::new(), base);
        for adjustment in first_causes(&adjustments) {
            report(adjustment, scope, everybody, problems);
        }
    }
}

/// Leaves out what only follows: a minimum above a default that is itself brought down.
fn first_causes(adjustments: &[Adjustment]) -> impl Iterator<Item = &Adjustment> {
    let lowered = |key: &Key| {
        let mut others = adjustments.iter();
        others.any(|other| other.key == *key && other.against.is_some())
    };
    adjustments
        .iter()
        .filter(move |one| !one.against.as_ref().is_some_and(lowered))
}

/// Tells of a contradiction, unless everybody has it anyway. One between absolute figures is an
/// error. One that depends on the size of the machine is a warning: it must not keep the daemon
/// from starting when memory or CPUs were taken out.
fn report(adjustment: &Adjustment, scope: &Scope, everybody: &Scope, problems: &mut Problems<'_>) {
    let find = |key: &Key| scope.get(key).or_else(|| everybody.get(key));
    let is_own = |key: &Key| scope.get(key).is_some();
    let path = |key: &Key| format!("{}{key}", scope.prefix);
    let Some(given) = find(&adjustment.key) else {
        return;
    };
    let wanted = match written(given.value, &adjustment.given) {
        Some(written) => format!("{written} ({})", adjustment.given),
        None => adjustment.given.clone(),
    };
    let Some(against) = &adjustment.against else {
        if is_own(&adjustment.key) {
            let message = format!("{wanted} is too little to log in with on this machine");
            let hint = format!("{} holds instead", adjustment.holds);
            let key = path(&adjustment.key);
            problems.add(Severity::Warning, Some(given.at), &key, message, Some(hint));
        }
        return;
    };
    let other = find(against);
    let scaled = |value: Value| matches!(value, Value::Share(_) | Value::Unlimited);
    let is_time = matches!(adjustment.key, Key::LeaseDefault | Key::IdleNotice);
    let machine_decides =
        !is_time && (scaled(given.value) || other.is_some_and(|other| scaled(other.value)));
    let severity = if machine_decides {
        Severity::Warning
    } else {
        Severity::Error
    };
    let bound = match other.and_then(|other| written(other.value, &adjustment.holds)) {
        Some(written) => format!("{written}, {}", adjustment.holds),
        None => adjustment.holds.clone(),
    };
    let hint = machine_decides.then(|| format!("{} holds on this machine", adjustment.holds));
    if is_own(&adjustment.key) {
        let message = format!("{wanted} is above {against} ({bound})");
        let key = path(&adjustment.key);
        problems.add(severity, Some(given.at), &key, message, hint);
    } else if let Some(other) = other.filter(|_| is_own(against)) {
        let message = format!("{bound} is below {} ({wanted})", adjustment.key);
        problems.add(severity, Some(other.at), &path(against), message, hint);
    }
}

/// What is written for a figure, where that says something else.
fn written(value: Value, figure: &str) -> Option<String> {
    let written = value.to_string();
    let scaled = matches!(value, Value::Share(_) | Value::Unlimited);
    (scaled && written != figure).then_some(written)
}

/// Warns of names in `group_order` that stand for no section.
pub(super) fn group_order(sections: &Sections, problems: &mut Problems<'_>) {
    let known: Vec<&str> = sections
        .groups
        .entries
        .iter()
        .map(|group| &*group.name)
        .collect();
    for (who, at) in &sections.group_order {
        if sections.groups.find(who).is_some() {
            continue;
        }
        let name = match who {
            Who::Id(id) => id.to_string(),
            Who::Name(name) => name.clone(),
        };
        let message = format!("{} has no section in 'groups', ignoring it", quoted(&name));
        let hint = nearest(&name, &known).map(|near| format!("did you mean '{near}'?"));
        problems.add(Severity::Warning, Some(*at), "group_order", message, hint);
    }
}
