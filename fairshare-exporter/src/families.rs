//! Which figures there are: the one list of them, made from the daemon's answer.
//!
//! `docs/metrics.md` explains each; a test compares the two. The number of series is fixed, but for
//! the users who are told of by name, of whom there are as many as the command line allows.

use fairshare_protocol::{Histogram, IncidentKind, MetricsInfo, MetricsUser};

use crate::text::{Family, Kind, Number, Sample};

/// All families; one that the daemon knows nothing of has no figure.
pub(crate) fn all(info: Option<&MetricsInfo>) -> Vec<Family> {
    let up = gauge(
        "fairshare_up",
        "Whether the daemon answered: 1 or 0.",
        Number::whole(info.is_some().into()),
    );
    let own = with_version(
        "fairshare_exporter_build_info",
        "The exporter, with its version; always 1.",
        env!("CARGO_PKG_VERSION"),
    );
    let mut all = vec![up, own];
    if let Some(info) = info {
        all.extend(of_daemon(info));
        all.extend(of_ledger(info));
        all.extend(of_use(info));
        all.extend(of_events(info));
        all.extend(by_user(&info.by_user));
    }
    all
}

fn of_daemon(info: &MetricsInfo) -> Vec<Family> {
    vec![
        with_version(
            "fairshare_build_info",
            "The daemon, with its version; always 1.",
            &info.version,
        ),
        gauge(
            "fairshare_start_time_seconds",
            "When the daemon was started, in seconds since 1970.",
            Number::whole(info.started_at),
        ),
        gauge(
            "fairshare_enforcing",
            "Whether limits are set: 1, or 0 where policy says 'enforce: watch'.",
            Number::whole(info.enforces.into()),
        ),
    ]
}

fn of_ledger(info: &MetricsInfo) -> Vec<Family> {
    let whole = |name, help, units| gauge(name, help, Number::whole(units));
    let cpus = |name, help, thousandths| gauge(name, help, Number::thousandths(thousandths));
    vec![
        whole(
            "fairshare_users",
            "Users who have an allocation.",
            info.users,
        ),
        whole("fairshare_sessions", "Open sessions.", info.sessions),
        cpus(
            "fairshare_capacity_cpus",
            "CPUs that grants may come to together.",
            info.capacity.cpu_thousandths,
        ),
        whole(
            "fairshare_capacity_memory_bytes",
            "Memory that grants may come to together.",
            info.capacity.mem_bytes,
        ),
        cpus(
            "fairshare_allocated_cpus",
            "CPUs that all users have together, by default and by grants.",
            info.allocated.cpu_thousandths,
        ),
        whole(
            "fairshare_allocated_memory_bytes",
            "Memory that all users have together, by default and by grants.",
            info.allocated.mem_bytes,
        ),
        whole(
            "fairshare_allocated_tasks",
            "Processes and threads that all users may have together.",
            info.allocated_tasks,
        ),
        whole("fairshare_grants", "Grants that are held.", info.grants),
        cpus(
            "fairshare_granted_cpus",
            "CPUs that grants come to above the defaults.",
            info.granted.cpu_thousandths,
        ),
        whole(
            "fairshare_granted_memory_bytes",
            "Memory that grants come to above the defaults.",
            info.granted.mem_bytes,
        ),
        whole(
            "fairshare_queue_requests",
            "Requests that wait for room.",
            info.queue,
        ),
        whole(
            "fairshare_queue_oldest_seconds",
            "How long the oldest request in the queue has waited; 0 where none waits.",
            info.queue_oldest_s,
        ),
    ]
}

fn of_use(info: &MetricsInfo) -> Vec<Family> {
    let used = |name, kind, help, value: fn(&fairshare_protocol::MetricsUse) -> Number| Family {
        name,
        kind,
        help,
        samples: info.used.iter().map(|used| plain(value(used))).collect(),
    };
    vec![
        used(
            "fairshare_used_cpu_seconds",
            Kind::Counter,
            "CPU time of all users since the machine was booted.",
            |used| Number::micros(used.cpu_us),
        ),
        used(
            "fairshare_used_memory_bytes",
            Kind::Gauge,
            "Memory that the programs of all users hold, page cache left out.",
            |used| Number::whole(used.mem_bytes),
        ),
        used(
            "fairshare_used_cache_bytes",
            Kind::Gauge,
            "Page cache of all users, and what else the kernel can take back.",
            |used| Number::whole(used.cache_bytes),
        ),
        used(
            "fairshare_used_tasks",
            Kind::Gauge,
            "Processes and threads of all users.",
            |used| Number::whole(used.tasks),
        ),
        Family {
            name: "fairshare_throttled_seconds",
            kind: Kind::Counter,
            help: "Time in which CPU limits held users back, of all CPUs together.",
            samples: vec![plain(Number::micros(info.throttled_us))],
        },
        Family {
            name: "fairshare_strays",
            kind: Kind::Gauge,
            help: "Processes outside of their users' slices at the last look.",
            samples: info
                .strays
                .map(Number::whole)
                .map(plain)
                .into_iter()
                .collect(),
        },
    ]
}

fn of_events(info: &MetricsInfo) -> Vec<Family> {
    let incidents = info
        .incidents
        .iter()
        .filter(|one| one.kind != IncidentKind::Unknown)
        .map(|one| labelled("kind", one.kind.name(), one.count));
    let logins = &info.logins;
    let errors = &info.errors;
    let counter = |name, help, samples| Family {
        name,
        kind: Kind::Counter,
        help,
        samples,
    };
    vec![
        counter(
            "fairshare_incidents",
            "What happened to users because of their limits, by kind.",
            incidents.collect(),
        ),
        counter(
            "fairshare_logins",
            "Logins that the daemon was told of, by what came of them.",
            vec![
                labelled("result", "limited", logins.limited),
                labelled("result", "ignored", logins.ignored),
                labelled("result", "not_enforced", logins.not_enforced),
                labelled("result", "failed", logins.failed),
            ],
        ),
        histogram(
            "fairshare_login_duration_seconds",
            "How long logins waited for the daemon.",
            &info.login_us,
        ),
        histogram(
            "fairshare_systemd_call_duration_seconds",
            "How long calls to systemd and logind took over the bus.",
            &info.systemd_call_us,
        ),
        counter(
            "fairshare_errors",
            "What went wrong in the daemon, by kind.",
            vec![
                labelled("kind", "not_enforced", errors.not_enforced),
                labelled("kind", "systemd_call", errors.systemd_call),
                labelled("kind", "bus_lost", errors.bus_lost),
                labelled("kind", "snapshot_write", errors.snapshot_write),
                labelled("kind", "history_drop", errors.history_drop),
            ],
        ),
    ]
}

fn by_user(users: &[MetricsUser]) -> Vec<Family> {
    let each = |name, kind, help, value: fn(&MetricsUser) -> Number| Family {
        name,
        kind,
        help,
        samples: users
            .iter()
            .map(|one| Sample {
                suffix: "",
                labels: vec![
                    ("uid", one.uid.to_string()),
                    ("user", one.user.clone().unwrap_or_default()),
                ],
                value: value(one),
            })
            .collect(),
    };
    vec![
        each(
            "fairshare_user_cpu_seconds",
            Kind::Counter,
            "CPU time of the users with the most of it, since their slices began.",
            |one| Number::micros(one.cpu_us),
        ),
        each(
            "fairshare_user_memory_bytes",
            Kind::Gauge,
            "Memory that their programs hold, page cache left out.",
            |one| Number::whole(one.mem_bytes),
        ),
        each(
            "fairshare_user_tasks",
            Kind::Gauge,
            "Their processes and threads.",
            |one| Number::whole(one.tasks),
        ),
        each(
            "fairshare_user_throttled_seconds",
            Kind::Counter,
            "Time in which their CPU limits held them back.",
            |one| Number::micros(one.throttled_us),
        ),
    ]
}

fn gauge(name: &'static str, help: &'static str, value: Number) -> Family {
    Family {
        name,
        kind: Kind::Gauge,
        help,
        samples: vec![plain(value)],
    }
}

fn with_version(name: &'static str, help: &'static str, version: &str) -> Family {
    Family {
        name,
        kind: Kind::Gauge,
        help,
        samples: vec![Sample {
            suffix: "",
            labels: vec![("version", version.to_owned())],
            value: Number::whole(1),
        }],
    }
}

fn plain(value: Number) -> Sample {
    Sample {
        suffix: "",
        labels: Vec::new(),
        value,
    }
}

fn labelled(label: &'static str, value: &str, count: u64) -> Sample {
    Sample {
        suffix: "",
        labels: vec![(label, value.to_owned())],
        value: Number::whole(count),
    }
}

/// A histogram as both formats want it: each bucket counts what is in those before it too.
fn histogram(name: &'static str, help: &'static str, told: &Histogram) -> Family {
    let mut count = 0_u64;
    let mut samples = Vec::with_capacity(told.counts.len() + 2);
    for (place, own) in told.counts.iter().enumerate() {
        count = count.saturating_add(*own);
        let bound = match told.up_to.get(place) {
            Some(bound) => Number::micros(*bound).to_string(),
            None => "+Inf".to_owned(),
        };
        samples.push(Sample {
            suffix: "_bucket",
            labels: vec![("le", bound)],
            value: Number::whole(count),
        });
    }
    if !samples.is_empty() {
        samples.extend([
            Sample {
                suffix: "_sum",
                ..plain(Number::micros(told.sum))
            },
            Sample {
                suffix: "_count",
                ..plain(Number::whole(count))
            },
        ]);
    }
    Family {
        name,
        kind: Kind::Histogram,
        help,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::text::Format;

    /// An answer in which every figure is there.
    const ANSWER: &str = include_str!("../tests/answer.json");

    fn answer() -> MetricsInfo {
        serde_json::from_str(ANSWER).unwrap()
    }

    fn read(path: &str) -> String {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::read_to_string(workspace.join(path)).unwrap()
    }

    /// The names of all series, and whatever a query may call a histogram.
    fn names() -> BTreeSet<String> {
        let text = Format::Plain.write(&all(Some(&answer())));
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let name = |line: &str| line.split(['{', ' ']).next().unwrap().to_owned();
        lines.map(name).collect()
    }

    /// Every word of a text that could be the name of a figure.
    fn named_in(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let ours = words.filter(|word| word.starts_with("fairshare_"));
        ours.map(str::to_owned).collect()
    }

    #[test]
    fn the_whole_text_is_as_it_was_looked_at() {
        let text = Format::OpenMetrics.write(&all(Some(&answer())));
        assert_eq!(text, include_str!("../tests/answer.openmetrics"));
    }

    #[test]
    fn buckets_add_up() {
        let told = Histogram {
            up_to: vec![500, 1000],
            counts: vec![3, 2, 1],
            sum: 5000,
        };
        let values: Vec<u64> = histogram("x", "y", &told)
            .samples
            .iter()
            .map(|sample| sample.value.units)
            .collect();
        assert_eq!(values, [3, 5, 6, 5000, 6]);
    }

    #[test]
    fn without_a_daemon_only_that_is_told() {
        let text = Format::Plain.write(&all(None));
        assert!(text.contains("\nfairshare_up 0\n"), "{text}");
        assert_eq!(
            text.lines().filter(|line| !line.starts_with('#')).count(),
            2
        );
    }

    #[test]
    fn what_is_shipped_asks_for_figures_that_there_are() {
        let there = names();
        for path in [
            "examples/grafana/fairshare.json",
            "examples/prometheus/fairshare.rules.yml",
        ] {
            let asked = named_in(&read(path));
            assert!(asked.len() > 3, "{path}");
            let missing: Vec<_> = asked.difference(&there).collect();
            assert!(missing.is_empty(), "{path}: {missing:?}");
        }
        serde_json::from_str::<serde_json::Value>(&read("examples/grafana/fairshare.json"))
            .unwrap();
    }

    #[test]
    fn the_page_explains_each_figure_and_no_other() {
        let page = read("docs/metrics.md");
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `fairshare_"));
        let told: BTreeSet<String> = rows
            .map(|row| format!("fairshare_{}", row.split(['`', '{']).next().unwrap()))
            .collect();
        let families = all(Some(&answer()));
        let there: BTreeSet<String> = families
            .iter()
            .map(|family| match family.kind {
                Kind::Counter => format!("{}_total", family.name),
                Kind::Gauge | Kind::Histogram => family.name.to_owned(),
            })
            .collect();
        assert_eq!(told, there);
    }
}
