//! What was measured, as the half in the machine hands it to the half on the host: JSON on one
//! line.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Times of the same thing done again and again, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Times(Vec<u64>);

impl Times {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0
            .push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds those of another measurement.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// All of them together, in seconds.
    pub(crate) fn sum(&self) -> f64 {
        self.0.iter().map(|&time| nanoseconds(time)).sum()
    }

    /// The median, in seconds.
    pub(crate) fn median(&self) -> f64 {
        median(self.0.iter().map(|&time| nanoseconds(time)).collect())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to a hundred days, and rounded for people anyway"
)]
fn nanoseconds(time: u64) -> f64 {
    time as f64 / 1e9
}

/// The value in the middle, or between the two there; 0 of none. What a busy moment of the machine
/// adds to a few of many values does not move it.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    let lower = values.len().saturating_sub(1) / 2;
    match (values.get(lower), values.get(upper)) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => 0.0,
    }
}

/// The machine, for the table's head.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    /// Its kernel's release.
    pub(crate) kernel: String,
    /// Its systemd's version.
    pub(crate) systemd: String,
    /// How many CPUs it has.
    pub(crate) cpus: usize,
    /// What runs it, as `systemd-detect-virt` says: `kvm`, or `qemu` for an emulation.
    pub(crate) hypervisor: String,
}

/// The ways to limit a user at login.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ways<T> {
    /// Not at all.
    pub(crate) nothing: T,
    /// `pam_exec` with a script that calls `systemctl set-property`.
    pub(crate) script: T,
    /// `pam_fairshare`.
    pub(crate) module: T,
    /// The D-Bus calls alone, from a process that is connected to the bus already.
    pub(crate) bare: T,
}

/// What logins take.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Logins {
    /// Of a user whose slice has no limits yet.
    pub(crate) first: Ways<Times>,
    /// Of a user whose slice has them from an earlier login.
    pub(crate) further: Ways<Times>,
}

/// How many requests for status are answered in a second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Requests {
    /// How many requests each connection sends in one round.
    pub(crate) each: u32,
    /// Requests a second over one connection, for each round.
    pub(crate) over_one: Vec<f64>,
    /// How many connections there are at once in the other case.
    pub(crate) connections: u32,
    /// Requests a second over all of them together, for each round.
    pub(crate) over_many: Vec<f64>,
}

/// The daemon with a number of users in its ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// How many users have a session.
    pub(crate) users: u32,
    /// What it takes while nothing happens, where that was watched.
    pub(crate) idle: Option<Idle>,
    /// What a login of one more user takes.
    pub(crate) open: Times,
    /// What a change of a grant takes.
    pub(crate) resize: Times,
}

/// What the daemon takes while nothing happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// `VmRSS`, in KiB.
    pub(crate) resident_kib: u64,
    /// `RssAnon`, in KiB: the part that is no file's, such as the program's own.
    pub(crate) anonymous_kib: u64,
    /// For how long it was watched, in seconds.
    pub(crate) seconds: u64,
    /// CPU time that it used meanwhile, in milliseconds.
    pub(crate) cpu_ms: u64,
    /// How often one of its threads began to run meanwhile.
    pub(crate) wakeups: u64,
}

/// The daemon of a large site beside that of a small one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sites {
    /// How many users the large policy names.
    pub(crate) users: u32,
    /// How many groups it names, with the user in all of them.
    pub(crate) groups: u32,
    /// `open_session` under a policy that names nobody.
    pub(crate) open_plain: Times,
    /// `open_session` under the large policy, of a user who is in all of its groups.
    pub(crate) open_large: Times,
    /// `explain` for a user known to the daemon, under the policy that names nobody.
    pub(crate) explain_plain: Times,
    /// `explain` under the large policy for a user who is in all of its groups.
    pub(crate) explain_large: Times,
    /// How many members the small and the large group have.
    pub(crate) members: [u32; 2],
    /// First logins of members of the group while it is small, and while it is large.
    pub(crate) open_members: [Times; 2],
    /// Further logins of the same user soon after.
    pub(crate) open_again: [Times; 2],
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// Which Debian.
    pub(crate) title: &'static str,
    pub(crate) surroundings: Surroundings,
    pub(crate) logins: Logins,
    pub(crate) requests: Requests,
    /// A few users, many, and very many.
    pub(crate) loads: Vec<Load>,
    pub(crate) sites: Sites,
    /// How long it all took.
    pub(crate) elapsed: Duration,
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_or_between_the_two_there() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0]), 3.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![1.0, 2.0, 4.0, 90.0]), 3.0);
    }

    #[test]
    fn times_are_handed_over_as_plain_numbers() {
        let mut times = Times::default();
        times.push(Duration::from_millis(2));
        times.push(Duration::from_millis(4));
        let line = serde_json::to_string(&times).unwrap();
        assert_eq!(line, "[2000000,4000000]");
        let read: Times = serde_json::from_str(&line).unwrap();
        assert_eq!((read.count(), read.median()), (2, 0.003));
    }
}
