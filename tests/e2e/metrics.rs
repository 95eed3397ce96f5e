//! Figures for Prometheus, as its own server collects them.

use std::time::Duration;

use fairshare_tests::Machine;

use crate::harness::Outcome;
use crate::kernel::{POLICY, SOON, put_policy};

/// For Prometheus to start in an emulated machine, and to collect twice.
const COLLECTED: Duration = Duration::from_secs(60);
/// Where the examples are.
const EXAMPLES: &str = "/usr/share/doc/fairshare/examples/prometheus";
/// The figures, in the older text format.
const GET: &str = "python3 -c 'import urllib.request as u; \
    print(u.urlopen(\"http://127.0.0.1:19753/metrics\", timeout=20).read().decode(), end=\"\")'";
/// A shell command with which Prometheus runs, beside nothing else and in little memory. It collects
/// every second what it else does twice a minute.
const PROMETHEUS: &str = "\
mkdir -p /run/lab-prometheus && cd /run/lab-prometheus && sed 's/30s/1s/' EXAMPLES/scrape.yml > scrape.yml && cp EXAMPLES/fairshare.rules.yml . && \
promtool check config scrape.yml >&2 && \
systemd-run --quiet --unit fairshare-prometheus --property DynamicUser=yes \
    --property StateDirectory=fairshare-prometheus prometheus --config.file=/run/lab-prometheus/scrape.yml \
    --storage.tsdb.path=/var/lib/fairshare-prometheus --web.listen-address=127.0.0.1:9090 \
    --log.level=warn";

/// A shell command that succeeds when Prometheus has an answer of more than nothing to a query.
fn has(query: &str) -> String {
    format!(
        "python3 -c 'import json,sys,urllib.parse as p,urllib.request as u; \
         r = json.load(u.urlopen(\"http://127.0.0.1:9090/api/v1/query?query=\" + p.quote(sys.argv[1]))); \
         sys.exit(not r[\"data\"][\"result\"])' '{query}' 2>/dev/null"
    )
}

/// Off until it is switched on; then a scrape of the real server has what a login has changed, and a
/// daemon that is gone is a figure.
pub(crate) fn prometheus_collects_what_happens(machine: &Machine) -> Outcome {
    put_policy(machine, POLICY)?;
    machine.root("! ss -Hltn | grep -q :19753")?;
    machine.root("systemctl enable --now fairshare-exporter.socket")?;
    let first = machine.root(GET)?;
    assert!(first.stdout.contains("\nfairshare_users 0\n"), "{first}");
    let owner = machine.root("ps -o user:32= -p $(pgrep -x fairshare-expor)")?;
    assert_eq!(owner.text(), "fairshare-exporter");
    machine.root(&PROMETHEUS.replace("EXAMPLES", EXAMPLES))?;
    let session = machine.ssh("alice").open()?;
    // What is seen here is what promtool reads. An answer is good for a second.
    let seen = format!("{GET} > /tmp/shown && grep -qx 'fairshare_sessions 1' /tmp/shown");
    machine.wait_until("the login to be told", SOON, &seen)?;
    let checked = machine.root("promtool check metrics < /tmp/shown")?;
    assert_eq!(checked.text(), "", "promtool has nothing to say");
    machine.wait_until(
        "Prometheus to collect",
        COLLECTED,
        &has("fairshare_up == 1"),
    )?;
    for query in [
        "fairshare_logins_total{result=\"limited\"} >= 1",
        "fairshare_login_duration_seconds_bucket{le=\"+Inf\"} >= 1",
        "fairshare_allocated_cpus > 0",
        "fairshare_used_cpu_seconds_total > 0",
    ] {
        machine.wait_until(query, COLLECTED, &has(query))?;
    }
    session.close()?;
    // Another user is told nothing.
    let refused = machine.ssh("bob").ok(
        "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); \
         s.connect(\"/run/fairshare.sock\"); s.sendall(b\"{\\\"type\\\": \\\"metrics\\\"}\\n\"); \
         print(s.recv(4096).decode())'",
    )?;
    assert!(refused.stdout.contains("not_permitted"), "{refused}");
    machine.root("systemctl stop fairshared.socket fairshared.service")?;
    machine.wait_until("the end to be collected", SOON, &has("fairshare_up == 0"))?;
    machine.root(
        "systemctl stop fairshare-prometheus; rm -rf /run/lab-prometheus /var/lib/private/fairshare-prometheus /var/lib/fairshare-prometheus",
    )?;
    Ok(())
}
