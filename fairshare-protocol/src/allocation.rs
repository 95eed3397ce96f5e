//! What a user has, and what a user asks for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Cpus, MemorySize, Tasks};

/// What a user has of the machine: each resource that a user can hold and ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Allocation {
    /// CPU time, enforced as `cpu.max`.
    pub cpu: Cpus,
    /// Memory, enforced as `memory.max`.
    pub mem: MemorySize,
    /// Processes and threads, enforced as `pids.max`.
    pub tasks: Tasks,
}

/// A wish: the resources to change; what is not named stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wish {
    /// CPU time wished for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpus>,
    /// Memory wished for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<MemorySize>,
    /// Tasks wished for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Tasks>,
}

impl Allocation {
    /// This allocation with the resources that the wish names put in their place.
    #[must_use]
    pub fn with(self, wish: &Wish) -> Self {
        Self {
            cpu: wish.cpu.unwrap_or(self.cpu),
            mem: wish.mem.unwrap_or(self.mem),
            tasks: wish.tasks.unwrap_or(self.tasks),
        }
    }
}

impl Wish {
    /// Whether the wish names no resource.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `4 CPUs, 16G memory, 500 tasks`.
impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} memory, {}",
            cpus(self.cpu),
            self.mem,
            tasks(self.tasks)
        )
    }
}

/// The named resources in the words of [`Allocation`]'s display form; `nothing` for none.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [
            self.cpu.map(cpus),
            self.mem.map(|mem| format!("{mem} memory")),
            self.tasks.map(tasks),
        ]
        .into_iter()
        .flatten()
        .collect();
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

fn cpus(count: Cpus) -> String {
    let word = if count.thousandths() == 1000 {
        "CPU"
    } else {
        "CPUs"
    };
    format!("{count} {word}")
}

fn tasks(count: Tasks) -> String {
    let word = if count.count() == 1 { "task" } else { "tasks" };
    format!("{count} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_person_would_say_it() {
        let allocation = Allocation {
            cpu: "1".parse().unwrap(),
            mem: "1.5G".parse().unwrap(),
            tasks: "1".parse().unwrap(),
        };
        assert_eq!(allocation.to_string(), "1 CPU, 1536M memory, 1 task");
        let wish = Wish {
            cpu: "0.5".parse().ok(),
            ..Wish::default()
        };
        assert_eq!(wish.to_string(), "0.5 CPUs");
        assert_eq!(Wish::default().to_string(), "nothing");
        assert_eq!(
            allocation.with(&wish).to_string(),
            "0.5 CPUs, 1536M memory, 1 task"
        );
    }
}
