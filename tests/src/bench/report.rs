//! The table: each figure with its ratio to the alternative, and the aim beside it.

use std::fmt::Write;

use crate::figures::{
    Figures, Idle, Load, Logins, Requests, Sites, Surroundings, Times, Ways, median,
};

/// How much cheaper the module is to be than `pam_exec`.
const CHEAPER: f64 = 20.0;
/// How much the module may take at the most beside the bare D-Bus calls.
const BESIDE_BARE: f64 = 1.5;
/// How much more a login or a change may take with many users than with few.
const GROWTH: f64 = 1.3;
/// How much more is no slower: medians of the same thing differ by as much.
const NO_SLOWER: f64 = 1.05;
/// What the daemon may take of memory at the most, in MiB.
const RESIDENT_MIB: f64 = 10.0;

/// The whole table, 80 columns wide.
pub(crate) fn text(figures: &Figures) -> String {
    let mut table = Table::default();
    head(&mut table, figures);
    logins(&mut table, &figures.logins);
    requests(&mut table, &figures.requests);
    loads(&mut table, &figures.loads);
    sites(&mut table, &figures.sites);
    table.line(&format!(
        "\nMeasured in {:.0} s.",
        figures.elapsed.as_secs_f64()
    ));
    table.0
}

fn head(table: &mut Table, figures: &Figures) {
    let Surroundings {
        kernel,
        systemd,
        cpus,
        hypervisor,
    } = &figures.surroundings;
    let title = figures.title;
    table.line(&format!(
        "\n{title}: kernel {kernel}, systemd {systemd}, {cpus} CPUs, on {hypervisor}."
    ));
    table.line(if hypervisor == "kvm" {
        "Everything in one run; figures are medians."
    } else {
        "Everything in one run; figures are medians. The machine is emulated, so it is\n\
         some ten times slower than a real one: only the ratios carry over."
    });
}

fn logins(table: &mut Table, logins: &Logins) {
    let Logins { first, further } = logins;
    table.part(
        1,
        "What limiting a user adds to a login",
        &format!(
            "'pamtester SERVICE USER open_session close_session', less the same with\n\
             pam_permit alone ({:.1} ms). {} logins of each kind, in turn. What each way\n\
             includes is told in tests/src/bench/inside.rs.",
            first.nothing.median() * 1e3,
            first.nothing.count()
        ),
    );
    for (title, ways) in [
        ("First login of a user", first),
        ("Further login, limits are there", further),
    ] {
        let Added {
            script,
            module,
            bare,
        } = added(ways);
        table.group(title);
        table.row("pam_exec with systemctl", &milliseconds(script));
        table.row("bare D-Bus calls", &milliseconds(bare));
        table.ratio("  cheaper than pam_exec", script / bare);
        table.row("pam_fairshare", &milliseconds(module));
        table.aim(
            "  cheaper than pam_exec",
            script / module,
            Aim::AtLeast(CHEAPER),
        );
        table.aim(
            "  beside the bare D-Bus calls",
            module / bare,
            Aim::AtMost(BESIDE_BARE),
        );
    }
}

/// What each way takes beyond a login without limits, in seconds.
struct Added {
    script: f64,
    module: f64,
    bare: f64,
}

fn added(ways: &Ways<Times>) -> Added {
    let beyond = |times: &Times| times.median() - ways.nothing.median();
    Added {
        script: beyond(&ways.script),
        module: beyond(&ways.module),
        // No login is around these.
        bare: ways.bare.median(),
    }
}

fn requests(table: &mut Table, requests: &Requests) {
    let Requests {
        each,
        over_one,
        connections,
        over_many,
    } = requests;
    table.part(
        2,
        "Requests for status",
        &format!(
            "Each connection is another user's, with a session. It sends {each} requests, one\n\
             after the other; each reply is made of the kernel's files. The clients run in\n\
             the same machine. {} rounds.",
            over_one.len()
        ),
    );
    table.group("Replies");
    table.row("over 1 connection", &a_second(over_one));
    table.row(
        &format!("over {connections} connections"),
        &a_second(over_many),
    );
}

fn loads(table: &mut Table, loads: &[Load]) {
    let watched = loads
        .iter()
        .find_map(|load| Some(load.idle.as_ref()?.seconds));
    let rounds = loads.first().map_or(0, |load| load.open.count());
    table.part(
        3,
        "The daemon with users in its ledger",
        &format!(
            "systemd is a fake that speaks real D-Bus, without its watchdog, for which an\n\
             idle daemon wakes twice a minute. Idle was watched for {} s; the times are\n\
             the socket's, from request to reply, {rounds} of each, on all in turn.",
            watched.unwrap_or_default()
        ),
    );
    for load in loads {
        table.group(&format!("{} users with a session", load.users));
        if let Some(idle) = &load.idle {
            idling(table, idle);
        }
        table.row(
            "open_session, first of a user",
            &milliseconds(load.open.median()),
        );
        table.row("resize", &milliseconds(load.resize.median()));
    }
    let Some((few, more)) = loads.split_first() else {
        return;
    };
    for many in more {
        table.group(&format!("{} users beside {}", many.users, few.users));
        let grows = Aim::AtMost(GROWTH);
        table.aim("open_session", beside(&many.open, &few.open), grows);
        table.aim("resize", beside(&many.resize, &few.resize), grows);
    }
}

fn idling(table: &mut Table, idle: &Idle) {
    let resident = mebibytes(idle.resident_kib);
    table.aim_of(
        "resident memory",
        &format!("{resident:.1} MiB"),
        resident,
        Aim::Below(RESIDENT_MIB, " MiB"),
    );
    table.row(
        "  of which no file's",
        &format!("{:.1} MiB", mebibytes(idle.anonymous_kib)),
    );
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let wakeups = idle.wakeups as f64;
    table.aim_of(
        "wake-ups while idle",
        &wakeups.to_string(),
        wakeups,
        Aim::None,
    );
    table.row("CPU time while idle", &format!("{} ms", idle.cpu_ms));
}

fn sites(table: &mut Table, sites: &Sites) {
    table.part(
        4,
        "Large policies and large groups",
        "As in part 3. Names and groups are asked of the machine's own name service,\n\
         which has them in files; the daemon remembers an answer for five minutes.",
    );
    let Sites {
        users,
        groups,
        members: [small, large],
        open_members: [open_small, open_large],
        open_again: [again_small, again_large],
        ..
    } = sites;
    table.group("Policy that names nobody");
    table.row("open_session", &milliseconds(sites.open_plain.median()));
    table.row("explain", &milliseconds(sites.explain_plain.median()));
    table.group(&format!("{users} users, {groups} groups, in all"));
    table.row("open_session", &milliseconds(sites.open_large.median()));
    table.ratio(
        "  beside the other",
        beside(&sites.open_large, &sites.open_plain),
    );
    table.row("explain", &milliseconds(sites.explain_large.median()));
    table.ratio(
        "  beside the other",
        beside(&sites.explain_large, &sites.explain_plain),
    );
    table.group(&format!("Login of a member of {small}"));
    table.row("first, asks for groups", &milliseconds(open_small.median()));
    table.row("further", &milliseconds(again_small.median()));
    table.group(&format!("Login of a member of {large}"));
    table.row("first, asks for groups", &milliseconds(open_large.median()));
    let no_slower = Aim::AtMost(NO_SLOWER);
    table.aim(
        "  beside the other",
        beside(open_large, open_small),
        no_slower,
    );
    table.row("further", &milliseconds(again_large.median()));
    table.aim(
        "  beside the other",
        beside(again_large, again_small),
        no_slower,
    );
}

/// What the one takes, in times of what the other takes.
fn beside(one: &Times, other: &Times) -> f64 {
    one.median() / other.median()
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug)]
enum Aim {
    /// A ratio of at least this.
    AtLeast(f64),
    /// A ratio of at the most this.
    AtMost(f64),
    /// Less than this, in the unit that is given.
    Below(f64, &'static str),
    /// Nothing at all.
    None,
}

impl Aim {
    /// The aim, and what became of it.
    fn judge(self, value: f64) -> (String, String) {
        let (aim, missed_by) = match self {
            Self::AtLeast(bound) => (format!("≥ {bound}×"), (bound - value, "×")),
            Self::AtMost(bound) => (format!("≤ {bound}×"), (value - bound, "×")),
            Self::Below(bound, unit) => (format!("< {bound}{unit}"), (value - bound, "")),
            Self::None => ("none".to_owned(), (value, "")),
        };
        // A difference of medians that scatter can come out below nothing.
        if !value.is_finite() || value < 0.0 {
            return (aim, "unclear: raise --rounds".to_owned());
        }
        let reached = match self {
            Self::Below(..) => missed_by.0 < 0.0,
            _ => missed_by.0 <= 0.0,
        };
        let (by, unit) = missed_by;
        let verdict = match self {
            _ if reached => "met".to_owned(),
            Self::None => format!("missed by {by}"),
            // A miss is never by nothing.
            _ => format!("missed by {:.2}{unit}", by.max(0.01)),
        };
        (aim, verdict)
    }
}

/// Lines of text with columns in the same places.
#[derive(Default)]
struct Table(String);

impl Table {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn part(&mut self, number: u32, title: &str, text: &str) {
        self.line(&format!("\n{number}. {title}"));
        for line in text.lines() {
            self.line(&format!("   {line}"));
        }
    }

    fn group(&mut self, title: &str) {
        self.line("");
        self.columns(&format!("   {title}"), "median", "ratio", "aim", "");
    }

    fn row(&mut self, label: &str, value: &str) {
        self.columns(&indented(label), value, "", "", "");
    }

    fn ratio(&mut self, label: &str, ratio: f64) {
        self.columns(&indented(label), "", &times(ratio), "", "");
    }

    fn aim(&mut self, label: &str, ratio: f64, aim: Aim) {
        let (wanted, verdict) = aim.judge(ratio);
        self.columns(&indented(label), "", &times(ratio), &wanted, &verdict);
    }

    fn aim_of(&mut self, label: &str, shown: &str, value: f64, aim: Aim) {
        let (wanted, verdict) = aim.judge(value);
        self.columns(&indented(label), shown, "", &wanted, &verdict);
    }

    fn columns(&mut self, label: &str, value: &str, ratio: &str, aim: &str, verdict: &str) {
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            line,
            "{label:<34} {value:>9} {ratio:>8}  {aim:<8} {verdict}"
        );
        self.line(line.trim_end());
    }
}

fn indented(label: &str) -> String {
    format!("     {label}")
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}×")
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

fn a_second(rates: &[f64]) -> String {
    format!("{:.0}/s", median(rates.to_vec()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to a hundred days of it"
)]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(milliseconds: u64) -> Times {
        let mut times = Times::default();
        times.push(Duration::from_millis(milliseconds));
        times
    }

    fn ways(nothing: u64, script: u64, module: u64, bare: u64) -> Ways<Times> {
        Ways {
            nothing: of(nothing),
            script: of(script),
            module: of(module),
            bare: of(bare),
        }
    }

    fn load(users: u32, wakeups: Option<u64>, open: u64) -> Load {
        Load {
            users,
            idle: wakeups.map(|wakeups| Idle {
                resident_kib: 10 * 1024,
                anonymous_kib: 512,
                seconds: 10,
                cpu_ms: 0,
                wakeups,
            }),
            open: of(open),
            resize: of(3),
        }
    }

    fn sites() -> Sites {
        Sites {
            users: 5000,
            groups: 500,
            open_plain: of(10),
            open_large: of(15),
            explain_plain: of(1),
            explain_large: of(20),
            members: [20, 20_000],
            open_members: [of(20), of(40)],
            open_again: [of(10), of(10)],
        }
    }

    fn figures() -> Figures {
        Figures {
            title: "Debian 13",
            surroundings: Surroundings {
                kernel: "6.12.0-cloud-amd64".to_owned(),
                systemd: "257".to_owned(),
                cpus: 2,
                hypervisor: "qemu".to_owned(),
            },
            logins: Logins {
                first: ways(60, 360, 75, 12),
                further: ways(60, 360, 80, 12),
            },
            requests: Requests {
                each: 50,
                over_one: vec![1234.5],
                connections: 50,
                over_many: vec![4321.0],
            },
            loads: vec![
                load(10, Some(0), 10),
                load(1000, Some(7), 13),
                load(10_000, None, 14),
            ],
            sites: sites(),
            elapsed: Duration::from_secs(250),
        }
    }

    #[test]
    fn each_aim_is_judged_beside_its_figure() {
        let text = text(&figures());
        for line in [
            "     pam_fairshare                   15.0 ms",
            "       cheaper than pam_exec                   20.00×  ≥ 20×    met",
            "       cheaper than pam_exec                   15.00×  ≥ 20×    missed by 5.00×",
            "       beside the bare D-Bus calls              1.25×  ≤ 1.5×   met",
            "       beside the bare D-Bus calls              1.67×  ≤ 1.5×   missed by 0.17×",
            "     resident memory                10.0 MiB           < 10 MiB missed by 0.01",
            "     wake-ups while idle                   0           none     met",
            "     wake-ups while idle                   7           none     missed by 7",
            "     open_session                               1.30×  ≤ 1.3×   met",
            "     open_session                               1.40×  ≤ 1.3×   missed by 0.10×",
            "       beside the other                         1.50×",
            "       beside the other                         2.00×  ≤ 1.05×  missed by 0.95×",
            "       beside the other                         1.00×  ≤ 1.05×  met",
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "no '{line}' in:\n{text}"
            );
        }
    }

    #[test]
    fn the_table_is_80_columns_wide() {
        let text = text(&figures());
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?}:\n{text}");
    }

    #[test]
    fn a_ratio_without_meaning_is_not_called_a_success() {
        assert_eq!(Aim::AtMost(1.5).judge(-0.3).1, "unclear: raise --rounds");
        assert_eq!(
            Aim::AtLeast(20.0).judge(f64::INFINITY).1,
            "unclear: raise --rounds"
        );
    }
}
