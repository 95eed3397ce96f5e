//! What the daemon counts for monitoring: how often, and how long.
//!
//! A fixed number of atomic numbers for the whole process, which is what the figures are about. To
//! count costs an addition and takes no memory; nobody but the request `metrics` reads them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fairshare_protocol::{
    ErrorCode, Errors, Histogram, IncidentCount, IncidentKind, Logins, MetricsInfo, Reply,
};

use crate::clock;

/// The counts of this process.
pub(crate) static COUNTS: Counts = Counts::new();

/// Upper bounds of the buckets of a login's wait and of a call to systemd, in microseconds. A
/// login's client gives up after 500 ms unless it is told otherwise, a call after 10 s.
const BOUNDS: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 2_500_000,
    10_000_000,
];

/// What went wrong and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Limits could not be set.
    NotEnforced,
    /// The connection to the system bus ended.
    BusLost,
    /// The snapshot could not be written.
    SnapshotWrite,
    /// A record of the history was given up.
    HistoryDrop,
}

/// Numbers that only rise.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Seconds since 1970 at the start; 0 before.
    started_at: AtomicU64,
    incidents: [AtomicU64; KINDS.len()],
    limited: AtomicU64,
    ignored: AtomicU64,
    late: AtomicU64,
    failed: AtomicU64,
    login: Buckets,
    systemd_call: Buckets,
    not_enforced: AtomicU64,
    refused_calls: AtomicU64,
    bus_lost: AtomicU64,
    snapshot_write: AtomicU64,
    history_drop: AtomicU64,
}

/// The kinds of incidents that are counted, in the order in which they are told.
const KINDS: [IncidentKind; 8] = [
    IncidentKind::OomKill,
    IncidentKind::CpuThrottled,
    IncidentKind::TasksLimit,
    IncidentKind::MemoryPressure,
    IncidentKind::RequestRefused,
    IncidentKind::LeaseEnded,
    IncidentKind::GrantReclaimed,
    IncidentKind::PolicyChanged,
];

/// How often something took how long.
#[derive(Debug)]
struct Buckets {
    /// One more than there are bounds: for what took longer than any of them.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

impl Counts {
    const fn new() -> Self {
        Self {
            started_at: AtomicU64::new(0),
            incidents: [const { AtomicU64::new(0) }; KINDS.len()],
            limited: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            late: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            login: Buckets::new(),
            systemd_call: Buckets::new(),
            not_enforced: AtomicU64::new(0),
            refused_calls: AtomicU64::new(0),
            bus_lost: AtomicU64::new(0),
            snapshot_write: AtomicU64::new(0),
            history_drop: AtomicU64::new(0),
        }
    }

    /// The daemon starts now.
    pub(crate) fn begin(&self) {
        self.started_at.store(clock::unix_time(), Ordering::Relaxed);
    }

    /// Something has happened to a user.
    pub(crate) fn incident(&self, kind: IncidentKind) {
        let place = KINDS.iter().position(|known| *known == kind);
        if let Some(count) = place.and_then(|place| self.incidents.get(place)) {
            one_more(count);
        }
    }

    /// A login was answered with this, so long after it asked.
    pub(crate) fn login(&self, reply: &Reply, took: Duration) {
        let late = |code| code == Some(ErrorCode::NotEnforced);
        let (count, waited) = match reply {
            Reply::SessionOpened(_) => (&self.limited, true),
            Reply::SessionIgnored { .. } => (&self.ignored, false),
            Reply::Error(error) if late(error.code) => (&self.late, true),
            _ => (&self.failed, false),
        };
        one_more(count);
        // Who is ignored waits for nothing, and would make the logins of users look fast.
        if waited {
            self.login.add(took);
        }
    }

    /// A call to systemd or logind ended after this time.
    pub(crate) fn systemd_call(&self, took: Duration, succeeded: bool) {
        self.systemd_call.add(took);
        if !succeeded {
            one_more(&self.refused_calls);
        }
    }

    /// Something went wrong.
    pub(crate) fn error(&self, what: Wrong) {
        self.errors(what, 1);
    }

    /// Something went wrong so many times.
    pub(crate) fn errors(&self, what: Wrong, times: u64) {
        let count = match what {
            Wrong::NotEnforced => &self.not_enforced,
            Wrong::BusLost => &self.bus_lost,
            Wrong::SnapshotWrite => &self.snapshot_write,
            Wrong::HistoryDrop => &self.history_drop,
        };
        count.fetch_add(times, Ordering::Relaxed);
    }

    /// The counts as they are told, with the daemon's version; what they do not say is as in an
    /// empty ledger.
    pub(crate) fn told(&self) -> MetricsInfo {
        let incidents = KINDS.iter().zip(&self.incidents);
        let incidents = incidents.map(|(kind, count)| IncidentCount {
            kind: *kind,
            count: number(count),
        });
        MetricsInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: number(&self.started_at),
            incidents: incidents.collect(),
            logins: Logins {
                limited: number(&self.limited),
                ignored: number(&self.ignored),
                not_enforced: number(&self.late),
                failed: number(&self.failed),
            },
            login_us: self.login.told(),
            systemd_call_us: self.systemd_call.told(),
            errors: Errors {
                not_enforced: number(&self.not_enforced),
                systemd_call: number(&self.refused_calls),
                bus_lost: number(&self.bus_lost),
                snapshot_write: number(&self.snapshot_write),
                history_drop: number(&self.history_drop),
            },
            ..MetricsInfo::default()
        }
    }
}

impl Buckets {
    const fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BOUNDS.len() + 1],
            sum: AtomicU64::new(0),
        }
    }

    fn add(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get(place) {
            one_more(count);
        }
        self.sum.fetch_add(took, Ordering::Relaxed);
    }

    fn told(&self) -> Histogram {
        Histogram {
            up_to: BOUNDS.to_vec(),
            counts: self.counts.iter().map(number).collect(),
            sum: number(&self.sum),
        }
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn number(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let buckets = Buckets::new();
        for micros in [0, 500, 501, 10_000_000, 10_000_001] {
            buckets.add(Duration::from_micros(micros));
        }
        let told = buckets.told();
        assert_eq!(told.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(told.sum, 20_001_002);
        assert!(told.up_to.is_sorted() && told.counts.len() == told.up_to.len() + 1);
    }

    #[test]
    fn logins_are_told_apart_and_those_that_wait_for_nothing_are_not_timed() {
        let counts = Counts::new();
        let ignored = || Reply::SessionIgnored {
            message: String::new(),
        };
        counts.login(&ignored(), Duration::from_micros(1));
        let late = Reply::error(ErrorCode::NotEnforced, "late");
        counts.login(&late, Duration::from_millis(450));
        let wrong = Reply::error(ErrorCode::InvalidValue, "gone");
        counts.login(&wrong, Duration::ZERO);
        let told = counts.told();
        let Logins {
            limited,
            ignored,
            not_enforced,
            failed,
        } = told.logins;
        assert_eq!((limited, ignored, not_enforced, failed), (0, 1, 1, 1));
        assert_eq!(told.login_us.counts.iter().sum::<u64>(), 1);
        assert_eq!(told.login_us.sum, 450_000);
    }

    #[test]
    fn what_goes_wrong_and_what_happens_is_counted_by_its_kind() {
        let counts = Counts::new();
        for kind in KINDS {
            counts.incident(kind);
        }
        counts.incident(IncidentKind::OomKill);
        counts.incident(IncidentKind::Unknown);
        let told = counts.told().incidents;
        let numbers: Vec<u64> = told.iter().map(|one| one.count).collect();
        assert_eq!(numbers, [2, 1, 1, 1, 1, 1, 1, 1]);
        counts.systemd_call(Duration::ZERO, true);
        counts.systemd_call(Duration::ZERO, false);
        counts.error(Wrong::NotEnforced);
        for _ in 0..2 {
            counts.error(Wrong::BusLost);
        }
        for _ in 0..3 {
            counts.error(Wrong::SnapshotWrite);
        }
        counts.errors(Wrong::HistoryDrop, 4);
        let errors = counts.told().errors;
        assert_eq!(
            errors,
            Errors {
                not_enforced: 1,
                systemd_call: 1,
                bus_lost: 2,
                snapshot_write: 3,
                history_drop: 4,
            }
        );
    }
}
