//! What the sections come to for one user on one machine.

use std::collections::{BTreeMap, HashMap};

use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks};

use super::sections::{Given, Key, Resource, Scope};
use super::value::{Value, time_text};
use super::{
    BUILT_IN_MAX_TASKS, BUILT_IN_NOTICE, BUILT_IN_TASKS, DEFAULT_MEM_HIGH, LEAST_CPU, LEAST_MEMORY,
    LEAST_TASKS, Machine,
};
use crate::entitlement::{CpuWeight, DeviceBandwidth, Entitlement, IdleTerms, LeaseTerms, Shaping};
use crate::variables::Variables;

/// A percentage of memory is rounded down to a multiple of this, where it is as much.
const MEMORY_STEP: u64 = 1 << 20;
/// CPUs have two decimals.
const CPU_STEP: u64 = 10;

/// What percentages are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// All that the machine has.
    pub(super) whole: Machine,
    /// What is left of it for users.
    pub(super) left: Machine,
}

/// A figure that policy gives and that does not hold as it is, because of another or because it
/// is too little to log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Adjustment {
    /// What is adjusted.
    pub(super) key: Key,
    /// What it was adjusted to.
    pub(super) against: Option<Key>,
    /// What policy says, as a figure.
    pub(super) given: String,
    /// What holds.
    pub(super) holds: String,
}

/// The values that win for one user.
pub(super) struct Picked<'a> {
    values: HashMap<&'a Key, &'a Given>,
    adjustments: Vec<Adjustment>,
    base: &'a Base,
}

/// Resolves a chain of scopes, the most specific first.
pub(super) fn resolve(
    chain: &[&Scope],
    budgets: Vec<String>,
    base: &Base,
) -> (Entitlement, Vec<Adjustment>) {
    let mut values = HashMap::new();
    for scope in chain {
        for (key, given) in &scope.settings {
            if let Some(given) = given.last() {
                values.entry(key).or_insert(given);
            }
        }
    }
    let mut picked = Picked {
        values,
        adjustments: Vec::new(),
        base,
    };
    let entitlement = picked.entitlement(budgets);
    (entitlement, picked.adjustments)
}

/// A figure as people read it.
pub(super) fn shown(resource: Resource, figure: u64) -> String {
    match resource {
        Resource::Cpu => cpus(figure).to_string(),
        Resource::Mem => MemorySize::saturating_from_bytes(figure).to_string(),
        Resource::Tasks => figure.to_string(),
    }
}

/// What a written amount comes to: thousandths, bytes or a count.
pub(super) fn amount(resource: Resource, value: Value, base: &Base) -> u64 {
    match value {
        Value::Cpu(cpus) => cpus.thousandths(),
        Value::Size(size) => size.bytes(),
        Value::Tasks(tasks) => tasks.count(),
        Value::Share(share) => {
            let part = share.percent_of(resource_of(&base.left, resource));
            match resource {
                Resource::Cpu => part - part % CPU_STEP,
                Resource::Mem if part >= MEMORY_STEP => part - part % MEMORY_STEP,
                Resource::Mem | Resource::Tasks => part,
            }
        }
        _ => resource_of(&base.whole, resource),
    }
}

fn resource_of(machine: &Machine, resource: Resource) -> u64 {
    match resource {
        Resource::Cpu => machine.cpu_thousandths,
        Resource::Mem => machine.mem_bytes,
        Resource::Tasks => machine.tasks,
    }
}

/// The count of CPUs, brought within what CPUs can be.
pub(super) fn cpus(thousandths: u64) -> Cpus {
    let (min, max) = (Cpus::MIN.thousandths(), Cpus::MAX.thousandths());
    let stepped = (thousandths - thousandths % CPU_STEP).clamp(min, max);
    Cpus::from_thousandths(stepped).unwrap_or(Cpus::MIN)
}

/// The count of tasks, brought within what tasks can be.
pub(super) fn tasks(count: u64) -> Tasks {
    Tasks::new(count.max(1)).unwrap_or(Tasks::MAX)
}

/// The three figures of one resource.
struct Figures {
    min: u64,
    default: u64,
    max: u64,
}

impl Picked<'_> {
    fn get(&self, key: &Key) -> Option<Value> {
        self.values.get(key).map(|given| given.value)
    }

    fn entitlement(&mut self, budgets: Vec<String>) -> Entitlement {
        let [cpu, mem, task] = Resource::ALL.map(|resource| self.figures(resource));
        let allocation = |pick: fn(&Figures) -> u64| Allocation {
            cpu: cpus(pick(&cpu)),
            mem: MemorySize::saturating_from_bytes(pick(&mem)),
            tasks: tasks(pick(&task)),
        };
        let default = allocation(|figures| figures.default);
        let swap = self.memory(&Key::Swap).unwrap_or(0);
        Entitlement {
            min: allocation(|figures| figures.min),
            default,
            max: allocation(|figures| figures.max),
            swap: MemorySize::saturating_from_bytes(swap),
            shaping: self.shaping(default.mem),
            lease: self.lease(),
            idle: self.idle(),
            priority: match self.get(&Key::Priority) {
                Some(Value::Priority(priority)) => priority,
                _ => 0,
            },
            environment: match self.get(&Key::Environment) {
                Some(Value::Variables(variables)) => variables,
                _ => Variables::NONE,
            },
            budgets,
        }
    }

    /// The three figures of a resource, in order whatever policy says.
    fn figures(&mut self, resource: Resource) -> Figures {
        let default = self.figure(resource, Key::Default(resource));
        let max = self.figure(resource, Key::Max(resource));
        // Only for tasks may both be missing; one that is not written gives way to the other.
        let (built_in, built_in_max) = match resource {
            Resource::Cpu => (LEAST_CPU, LEAST_CPU),
            Resource::Mem => (LEAST_MEMORY, LEAST_MEMORY),
            Resource::Tasks => (BUILT_IN_TASKS, BUILT_IN_MAX_TASKS),
        };
        let wanted = default.unwrap_or_else(|| max.map_or(built_in, |max| built_in.min(max)));
        let max = max.unwrap_or_else(|| built_in_max.max(wanted));
        let default = wanted.min(max);
        if default < wanted {
            self.adjusted(resource, Key::Default, Key::Max, wanted, default);
        }
        let wanted = self.figure(resource, Key::Min(resource)).unwrap_or(default);
        let min = wanted.min(default);
        if min < wanted {
            self.adjusted(resource, Key::Min, Key::Default, wanted, min);
        }
        Figures { min, default, max }
    }

    fn adjusted(
        &mut self,
        resource: Resource,
        key: fn(Resource) -> Key,
        against: fn(Resource) -> Key,
        given: u64,
        holds: u64,
    ) {
        self.adjustments.push(Adjustment {
            key: key(resource),
            against: Some(against(resource)),
            given: shown(resource, given),
            holds: shown(resource, holds),
        });
    }

    /// One figure, never too little to log in with: a percentage of a small machine could be.
    fn figure(&mut self, resource: Resource, key: Key) -> Option<u64> {
        let least = match resource {
            Resource::Cpu => LEAST_CPU,
            Resource::Mem => LEAST_MEMORY,
            Resource::Tasks => LEAST_TASKS,
        };
        let value = self.get(&key)?;
        let figure = amount(resource, value, self.base);
        // An absolute maximum that is lower is an error at reading or below the default anyway.
        let scaled = matches!(value, Value::Share(_) | Value::Unlimited);
        if scaled && figure < least {
            self.adjustments.push(Adjustment {
                key,
                against: None,
                given: shown(resource, figure),
                holds: shown(resource, least),
            });
            return Some(least);
        }
        // What the wire cannot carry is brought within it here, so that the order holds there too.
        Some(match resource {
            Resource::Cpu => cpus(figure).thousandths(),
            Resource::Mem => MemorySize::saturating_from_bytes(figure).bytes(),
            Resource::Tasks => tasks(figure).count(),
        })
    }

    fn memory(&self, key: &Key) -> Option<u64> {
        let value = self.get(key)?;
        Some(amount(Resource::Mem, value, self.base))
    }

    fn shaping(&mut self, default: MemorySize) -> Shaping {
        let wanted = self.memory(&Key::MemGuarantee).unwrap_or(0);
        let guarantee = wanted.min(default.bytes());
        if guarantee < wanted {
            self.adjustments.push(Adjustment {
                key: Key::MemGuarantee,
                against: Some(Key::Default(Resource::Mem)),
                given: shown(Resource::Mem, wanted),
                holds: shown(Resource::Mem, guarantee),
            });
        }
        Shaping {
            cpu_weight: match self.get(&Key::CpuWeight) {
                Some(Value::Weight(weight)) => CpuWeight::Fixed(weight),
                _ => CpuWeight::FollowsAllocation,
            },
            mem_high: match self.get(&Key::MemHigh) {
                Some(Value::Percent(percent)) => Some(percent),
                Some(_) => None,
                None => DEFAULT_MEM_HIGH,
            },
            mem_guarantee: MemorySize::from_bytes(guarantee).filter(|size| size.bytes() > 0),
            io_weight: match self.get(&Key::IoWeight) {
                Some(Value::Weight(weight)) => Some(weight),
                _ => None,
            },
            io_bandwidth: self.io_bandwidth(),
        }
    }

    fn io_bandwidth(&self) -> Vec<DeviceBandwidth> {
        let mut devices: BTreeMap<&str, DeviceBandwidth> = BTreeMap::new();
        for (key, given) in &self.values {
            let (Key::IoRead(device) | Key::IoWrite(device)) = key else {
                continue;
            };
            let Value::Rate(rate) = given.value else {
                continue;
            };
            let bandwidth = devices.entry(device).or_insert_with(|| DeviceBandwidth {
                device: device.clone(),
                read: None,
                write: None,
            });
            match key {
                Key::IoRead(_) => bandwidth.read = Some(rate),
                _ => bandwidth.write = Some(rate),
            }
        }
        devices.into_values().collect()
    }

    /// A grant whose user does not say how long never outlasts the longest lease.
    fn lease(&mut self) -> LeaseTerms {
        let time = |value| match value {
            Some(Value::Time(time)) => Some(time),
            _ => None,
        };
        let longest = time(self.get(&Key::LeaseLongest));
        let given = self.get(&Key::LeaseDefault);
        let default = time(given);
        let capped = match (default, longest) {
            (Some(default), Some(longest)) => Some(default.min(longest)),
            (default, longest) => default.or(longest),
        };
        if let Some(given) = given.filter(|_| capped != default) {
            self.adjustments.push(Adjustment {
                key: Key::LeaseDefault,
                against: Some(Key::LeaseLongest),
                given: given.to_string(),
                holds: capped.map(time_text).unwrap_or_default(),
            });
        }
        LeaseTerms {
            default: capped,
            longest,
        }
    }

    fn idle(&mut self) -> Option<IdleTerms> {
        let Some(Value::Time(after)) = self.get(&Key::IdleAfter) else {
            return None;
        };
        let given = match self.get(&Key::IdleNotice) {
            Some(Value::Time(notice)) => Some(notice),
            _ => None,
        };
        let notice = given.unwrap_or(BUILT_IN_NOTICE).min(after);
        if let Some(given) = given.filter(|given| *given > notice) {
            self.adjustments.push(Adjustment {
                key: Key::IdleNotice,
                against: Some(Key::IdleAfter),
                given: time_text(given),
                holds: time_text(notice),
            });
        }
        Some(IdleTerms { after, notice })
    }
}
