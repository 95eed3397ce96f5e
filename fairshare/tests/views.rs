//! What people see: each file in `tests/views` is a transcript with one fake daemon behind it, and
//! each in `tests/help` is the help as it is printed. `TRYCMD=overwrite cargo test -p fairshare`
//! writes them anew.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[allow(dead_code, reason = "this program needs only a part of it")]
mod fake_daemon;

use std::path::Path;

use fake_daemon::{Answer, FakeDaemon};

const COMMAND: &str = env!("CARGO_BIN_EXE_fairshare");

/// Runs the transcript, 80 columns wide, against a daemon that answers so.
fn transcript(file: &str, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) {
    transcript_in(80, file, answer);
}

fn transcript_in(
    columns: u16,
    file: &str,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) {
    let daemon = FakeDaemon::start(answer);
    let socket = daemon.socket().display().to_string();
    let cases = cases(columns);
    cases
        .env("FAIRSHARE_SOCKET", &socket)
        .insert_var("[SOCKET]", socket)
        .unwrap()
        .case(Path::new("tests/views").join(file))
        .run();
}

fn cases(columns: u16) -> trycmd::TestCases {
    let cases = trycmd::TestCases::new();
    cases
        .register_bin("fairshare", Path::new(COMMAND))
        .env("COLUMNS", columns.to_string())
        .env("NO_COLOR", "1")
        .env("TZ", "UTC");
    cases
}

/// The word behind `"type": ` in a request.
fn kind(request: &str) -> &str {
    request.split('"').nth(3).unwrap()
}

const ALICE: &str = concat!(
    r#"{"type": "status_info", "allocated_cpu": 2, "allocated_mem": "8G", "#,
    r#""allocated_tasks": 4096, "allocated_swap": "0", "grant": false, "sessions": 1, "#,
    r#""default": {"cpu": 2, "mem": "8G", "tasks": 4096}, "#,
    r#""max": {"cpu": 8, "mem": "32G", "tasks": 8192}, "#,
    r#""slice": {"unit": "user-1000.slice", "mem_used": "3303014K", "mem_cache": "700M", "#,
    r#""tasks_used": 57}, "version": "0.1.0"}"#,
);

const GRANT: &str = concat!(
    r#"{"type": "status_info", "allocated_cpu": 6, "allocated_mem": "24G", "#,
    r#""allocated_tasks": 4096, "allocated_swap": "0", "grant": true, "sessions": 2, "#,
    r#""default": {"cpu": 2, "mem": "8G", "tasks": 4096}, "#,
    r#""max": {"cpu": 8, "mem": "32G", "tasks": 8192}, "#,
    r#""slice": {"unit": "user-1000.slice", "mem_used": "11G", "mem_cache": "9G", "#,
    r#""tasks_used": 212}, "version": "0.1.0"}"#,
);

const OVERRULED: &str = concat!(
    r#"{"type": "status_info", "allocated_cpu": 0.5, "allocated_mem": "512M", "#,
    r#""allocated_tasks": 500, "grant": false, "sessions": 1, "#,
    r#""default": {"cpu": 0.5, "mem": "512M", "tasks": 500}, "#,
    r#""max": {"cpu": 0.5, "mem": "512M", "tasks": 500}, "#,
    r#""slice": {"unit": "user-1001.slice", "mem_used": "4M", "tasks_used": 9}, "#,
    r#""differences": ["tasks: the allocation says 500, the kernel enforces 10813 "#,
    r#"(drop-in /etc/systemd/system/user-1001.slice.d/90-tasks.conf)", "#,
    r#""swap is not limited: \u001b[31mthe kernel counts no swap"]}"#,
);

const USERS: &str = concat!(
    r#"{"type": "list_info", "users": ["#,
    r#"{"uid": 1000, "user": "alice", "sessions": 2, "grant": true, "cpu": 6, "#,
    r#""mem": "24G", "tasks": 4096}, "#,
    r#"{"uid": 1001, "user": "\u001b[2Jbob", "sessions": 0, "grant": false, "#,
    r#""cpu": 0.5, "mem": "512M", "tasks": 500}, "#,
    r#"{"uid": 90210, "sessions": 1, "grant": false, "cpu": 0.5, "mem": "1536M", "#,
    r#""tasks": 500}]}"#
);

#[test]
fn the_help_is_as_checked_in() {
    cases(80).case("tests/help/*.trycmd").run();
}

#[test]
fn wrong_usage_names_the_fault_and_exits_with_2() {
    cases(80).case("tests/views/usage.trycmd").run();
}

#[test]
fn without_a_daemon_the_command_says_how_to_start_it() {
    cases(80).case("tests/views/no-daemon.trycmd").run();
}

#[test]
fn a_user_with_the_default() {
    transcript("default.trycmd", |request| {
        Answer::from(match kind(request) {
            "status" => ALICE,
            "list" => concat!(
                r#"{"type": "list_info", "users": [{"uid": 1000, "user": "alice", "sessions": 1, "#,
                r#""grant": false, "cpu": 2, "mem": "8G", "tasks": 4096}]}"#
            ),
            "resize" => {
                r#"{"type": "success", "message": "Resources allocated: 4 CPUs, 16G memory"}"#
            }
            _ => concat!(
                r#"{"type": "error", "error": "No grant is held: the allocation is the "#,
                r#"default", "code": "no_grant"}"#
            ),
        })
    });
}

#[test]
fn a_user_with_a_grant() {
    transcript("grant.trycmd", |request| {
        Answer::from(match kind(request) {
            "status" => GRANT,
            _ => r#"{"type": "success", "message": "Resources released"}"#,
        })
    });
}

const LEASED: &str = concat!(
    r#"{"type": "status_info", "allocated_cpu": 6, "allocated_mem": "24G", "#,
    r#""allocated_tasks": 4096, "allocated_swap": "0", "grant": true, "lease_left_s": 7140, "#,
    r#""queue_position": 2, "sessions": 1, "#,
    r#""min": {"cpu": 0.5, "mem": "256M", "tasks": 64}, "#,
    r#""default": {"cpu": 2, "mem": "8G", "tasks": 4096}, "#,
    r#""max": {"cpu": 8, "mem": "32G", "tasks": 8192}, "#,
    r#""budget": [{"group": "students", "limit": {"cpu": 32, "mem": "128G"}, "#,
    r#""held": {"cpu": 12, "mem": "48G"}}], "#,
    r#""slice": {"unit": "user-1000.slice", "mem_used": "11G", "mem_cache": "9G", "#,
    r#""tasks_used": 212}, "enforce": "watch", "version": "0.1.0"}"#,
);

const QUEUE: &str = concat!(
    r#"{"type": "queue_info", "entries": ["#,
    r#"{"position": 1, "uid": 90210, "user": "carol", "cpu": 8, "mem": "32G", "tasks": 4096, "#,
    r#""since_s": 4510, "priority": 10}, "#,
    r#"{"position": 2, "cpu": 4, "mem": "16G", "tasks": 4096, "since_s": 75, "priority": -5}]}"#,
);

const STRAYS: &str = concat!(
    r#"{"type": "strays_info", "strays": ["#,
    r#"{"uid": 90210, "user": "carol", "pid": 4711, "command": "backup.sh", "#,
    r#""unit": "cron.service", "cgroup": "/system.slice/cron.service", "running_s": 4510, "#,
    r#""adopts": true}, "#,
    r#"{"uid": 90210, "user": "carol", "pid": 91004, "command": "node", "#,
    r#""unit": "docker-0a1b2c3d4e5f.scope", "#,
    r#""cgroup": "/system.slice/docker-0a1b2c3d4e5f.scope", "running_s": 75}, "#,
    r#"{"uid": 90211, "pid": 17, "command": "sh", "cgroup": "/", "running_s": 3}], "#,
    r#""more": 12, "cut": true, "age_s": 2}"#,
);

/// Two users and one whose name the name service does not know; a name that is a formula.
const REPORT: &str = concat!(
    r#"{"type": "report_info", "by": "user", "from": 1794920700, "to": 1795525500, "rows": ["#,
    r#"{"key": "carol", "uid": 90210, "cpu_s": 455040, "mem_mib_s": 1415577600, "#,
    r#""mem_peak": "24G", "tasks_peak": 311, "throttled_s": 12240, "stalled_s": 75, "#,
    r#""grant_s": 7200, "grant_cpu_s": 43200, "grant_mem_mib_s": 117964800, "incidents": 3}, "#,
    r#"{"key": "=1+1\u001b[2J", "uid": 90211, "cpu_s": 5400, "mem_mib_s": 3686400, "#,
    r#""mem_peak": "1536M", "tasks_peak": 40, "throttled_s": 0, "stalled_s": 0, "grant_s": 0, "#,
    r#""grant_cpu_s": 0, "grant_mem_mib_s": 0, "incidents": 0}, "#,
    r#"{"key": "90212", "uid": 90212, "cpu_s": 9, "mem_mib_s": 90, "#,
    r#""mem_peak": "4M", "tasks_peak": 3, "throttled_s": 0, "stalled_s": 0, "grant_s": 0, "#,
    r#""grant_cpu_s": 0, "grant_mem_mib_s": 0, "incidents": 0}], "#,
    r#""gaps": ["The history begins on 17 November: what was before is not known"]}"#,
);

const DAYS: &str = concat!(
    r#"{"type": "report_info", "by": "day", "from": 1795478400, "to": 1795525500, "rows": ["#,
    r#"{"key": "2026-11-24", "cpu_s": 5400, "mem_mib_s": 3686400, "mem_peak": "1536M", "#,
    r#""tasks_peak": 40, "throttled_s": 0, "stalled_s": 0, "grant_s": 0, "grant_cpu_s": 0, "#,
    r#""grant_mem_mib_s": 0, "incidents": 0}]}"#,
);

const EXPLAINED: &str = concat!(
    r#"{"type": "explain_info", "uid": 90210, "user": "carol", "entries": ["#,
    r#"{"key": "defaults.cpu", "value": "2", "#,
    r#""winner": {"place": "/etc/fairshare/policy.d/10-all.yaml:1:17", "path": "defaults.cpu"}}, "#,
    r#"{"key": "max.cpu", "value": "4", "#,
    r#""winner": {"place": "/etc/fairshare/policy.d/20-groups.yaml:4:16", "#,
    r#""path": "groups.students.max.cpu"}, "#,
    r#""beaten": [{"place": "/etc/fairshare/policy.d/10-all.yaml:2:12", "path": "max.cpu", "#,
    r#""value": "8"}]}, "#,
    r#"{"key": "priority", "value": "0", "winner": {"place": "built in", "path": "priority"}}], "#,
    r#""enforce": "watch"}"#,
);

const DIFFERENCE: &str = concat!(
    r#"{"type": "policy_diff_info", "users": ["#,
    r#"{"uid": 90210, "user": "carol", "key": "defaults.mem", "from": "8G", "to": "4G"}, "#,
    r#"{"uid": 90210, "user": "carol", "key": "max.cpu", "from": "8", "to": "4"}, "#,
    r#"{"uid": 90211, "user": "dave", "key": "lease.longest", "from": "unlimited", "to": "7d"}], "#,
    r#""problems": "warning: no group 'studens'\n --> policy.d/20-groups.yaml:3:3"}"#,
);

#[test]
fn a_lease_a_queue_and_a_budget() {
    let answer = |request: &str| {
        Answer::from(match kind(request) {
            "status" => LEASED,
            "queue" => QUEUE,
            "renew" => r#"{"type": "success", "message": "The grant ends in 1 hour"}"#,
            "list" => concat!(
                r#"{"type": "list_info", "users": ["#,
                r#"{"uid": 90210, "user": "carol", "sessions": 2, "grant": true, "#,
                r#""lease_left_s": 7140, "cpu": 6, "mem": "24G", "tasks": 4096}, "#,
                r#"{"uid": 90211, "user": "dave", "sessions": 1, "grant": false, "#,
                r#""cpu": 2, "mem": "8G", "tasks": 4096}]}"#
            ),
            _ => unreachable!("{request}"),
        })
    };
    transcript("sharing.trycmd", answer);
    transcript_in(40, "sharing-narrow.trycmd", answer);
}

#[test]
fn processes_outside_of_their_users_slices() {
    let answer = |_: &str| Answer::from(STRAYS);
    transcript("strays.trycmd", answer);
    transcript_in(40, "strays-narrow.trycmd", answer);
    transcript("no-strays.trycmd", |_| {
        Answer::from(r#"{"type": "strays_info", "strays": [], "age_s": 0}"#)
    });
}

const INCIDENTS: &str = concat!(
    r#"{"type": "incidents_info", "incidents": ["#,
    r#"{"id": 9, "uid": 90210, "user": "carol", "at": 1735743720, "kind": "oom_kill", "#,
    r#""text": "python3 (pid 4711) was killed: your processes reached the memory limit of 8G. "#,
    r#"It held 6.1G. You may have up to 32G.", "advice": "fairshare resize --mem 16G", "#,
    r#""limit": {"mem": "8G"}, "processes": ["#,
    r#"{"pid": 4711, "command": "python3", "mem": "6246M", "cpu_s": 75}, "#,
    r#"{"pid": 4800, "command": "\u001b[2Jsh", "mem": "3M", "cpu_s": 0}], "times": 3}, "#,
    r#"{"id": 8, "uid": 90210, "user": "carol", "at": 1735743600, "kind": "lease_ended", "#,
    r#""text": "the lease of your grant has ended: you have 2 CPUs, 8G memory, 4096 tasks from "#,
    r#"now on, no longer 6 CPUs, 24G memory, 4096 tasks.", "#,
    r#""advice": "fairshare resize --cpu 6 --mem 24G"}], "#,
    r#""blind": ["waiting for memory is not noticed: the kernel keeps no pressure figures "#,
    r#"(psi=1 on its command line)"]}"#,
);

#[test]
fn what_has_happened() {
    let answer = |_: &str| Answer::from(INCIDENTS);
    transcript("why.trycmd", answer);
    transcript_in(40, "why-narrow.trycmd", answer);
    transcript("why-nothing.trycmd", |_| {
        Answer::from(r#"{"type": "incidents_info", "incidents": []}"#)
    });
}

#[test]
fn what_was_used() {
    let answer = |request: &str| {
        Answer::from(match request {
            _ if request.contains("day") => DAYS,
            _ if request.contains("1h") => {
                r#"{"type": "report_info", "by": "user", "from": 1795521900, "to": 1795525500, "rows": []}"#
            }
            _ if request.contains("group") => {
                r#"{"type": "report_info", "by": "group", "from": 0, "to": 0, "rows": [], "gaps": ["No history is kept: policy says history: off"]}"#
            }
            _ => REPORT,
        })
    };
    transcript("report.trycmd", answer);
    transcript_in(40, "report-narrow.trycmd", answer);
    transcript_in(22, "report-very-narrow.trycmd", answer);
}

#[test]
fn a_request_that_waits() {
    transcript("waiting.trycmd", |request| {
        let queued = |position: u64, waiting_for: &str| {
            format!(
                "{{\"type\": \"queued\", \"position\": {position}, \"waiting_for\": \
                 \"{waiting_for}\", \"message\": \"Place {position}\"}}"
            )
        };
        let mut lines = vec![
            queued(2, "6 CPUs to be given back"),
            queued(2, "6 CPUs to be given back"),
            queued(1, "2 CPUs to be given back"),
        ];
        lines.push(if request.contains("10m") {
            r#"{"type": "error", "error": "The request has waited for 10m", "code": "wait_ended"}"#
                .to_owned()
        } else if request.contains("\"mem\"") {
            return Answer::from(
                r#"{"type": "error", "error": "You have a request in the queue", "code": "already_waiting"}"#,
            );
        } else if request.contains("\"tasks\"") {
            lines.truncate(1);
            return Answer::LinesThenHangup(lines);
        } else {
            r#"{"type": "success", "message": "Resources allocated: 8 CPUs, 8G memory, 4096 tasks"}"#
                .to_owned()
        });
        Answer::Lines(lines)
    });
}

#[test]
fn what_policy_says_and_what_a_reload_does() {
    let answer = |request: &str| {
        Answer::from(match kind(request) {
            "explain" if request.contains("uid") => {
                r#"{"type": "error", "error": "Only root and administrators see what policy says for another user", "code": "not_permitted"}"#
            }
            "explain" => EXPLAINED,
            "policy_diff" => DIFFERENCE,
            "reload" => concat!(
                r#"{"type": "error", "error": "error: unknown key 'defualts'\n"#,
                r#" --> /etc/fairshare/policy.d/10-all.yaml:1:1\n  |\n1 | defualts: {cpu: 2}\n"#,
                r#"  | ^^^^^^^^\n  = help: did you mean 'defaults'?\n", "code": "policy_wrong"}"#
            ),
            _ => unreachable!("{request}"),
        })
    };
    transcript("policy.trycmd", answer);
    transcript_in(40, "policy-narrow.trycmd", answer);
}

#[test]
fn an_administrator_acts_for_a_user() {
    transcript("administrator.trycmd", |request| {
        Answer::from(match kind(request) {
            "set" if request.contains("\"cpu\": 8") => concat!(
                r#"{"type": "error", "error": "The machine has too little left: CPU: 8 asked "#,
                r#"for, 5 possible now", "code": "no_capacity", "largest": {"cpu": 5}}"#
            ),
            "set" => {
                r#"{"type": "success", "message": "Resources allocated: 4 CPUs, 8G memory, 4096 tasks"}"#
            }
            "release" if request.contains("90211") => {
                r#"{"type": "error", "error": "No grant is held: the allocation is the default", "code": "no_grant"}"#
            }
            "release" => {
                r#"{"type": "success", "message": "Grant returned; allocation is the default: 2 CPUs, 8G memory, 4096 tasks"}"#
            }
            "queue" => r#"{"type": "queue_info", "entries": []}"#,
            "policy_diff" => r#"{"type": "policy_diff_info", "users": []}"#,
            "reload" => r#"{"type": "success", "message": "Policy read: 2 files"}"#,
            _ => unreachable!("{request}"),
        })
    });
}

/// The documentation shows each command as it is.
#[test]
fn the_page_of_commands_shows_what_is_printed() {
    transcript("../../../docs/commands.md", |request| {
        let refused = |code: &str, sentence: &str| {
            Answer::Line(format!(
                r#"{{"type": "error", "error": "{sentence}", "code": "{code}"}}"#
            ))
        };
        let done = |sentence: &str| {
            Answer::Line(format!(r#"{{"type": "success", "message": "{sentence}"}}"#))
        };
        match kind(request) {
            "status" => ALICE.into(),
            "incidents" => concat!(
                r#"{"type": "incidents_info", "incidents": [{"id": 9, "uid": 1000, "#,
                r#""user": "alice", "at": 1735743720, "kind": "oom_kill", "#,
                r#""text": "python3 (pid 4711) was killed: your processes reached the memory "#,
                r#"limit of 8G. It held 6.1G. You may have up to 32G.", "#,
                r#""advice": "fairshare resize --mem 16G", "processes": ["#,
                r#"{"pid": 4711, "command": "python3", "mem": "6246M", "cpu_s": 75}]}]}"#
            )
            .into(),
            "resize" if request.contains(r#""cpu": 16"#) => refused(
                "above_maximum",
                "Request validation failed: Requested CPU (16) exceeds maximum allowed (8)",
            ),
            "resize" if request.contains(r#""cpu": 7"#) => refused(
                "no_capacity",
                "The machine has too little left: CPU: 7 asked for, 5 possible now\", \
                 \"largest\": {\"cpu\": 5}, \"holders\": \
                 [{\"uid\": 90210, \"user\": \"carol\", \"cpu\": 4, \"mem\": \"16G\"}], \
                 \"more\": \"",
            ),
            "resize" if request.contains(r#""mem": "8G""#) => refused(
                "memory_in_use",
                "Memory in use (12G) is more than 8G: processes would be killed",
            ),
            "resize" if request.contains("wait") => Answer::Lines(vec![
                r#"{"type": "queued", "position": 2, "waiting_for": "6 CPUs to be given back", "message": "Place 2"}"#.to_owned(),
                r#"{"type": "queued", "position": 1, "waiting_for": "2 CPUs to be given back", "message": "Place 1"}"#.to_owned(),
                r#"{"type": "success", "message": "Resources allocated: 8 CPUs, 8G memory, 4096 tasks"}"#.to_owned(),
            ]),
            "resize" => done("Resources allocated: 4 CPUs, 16G memory, 4096 tasks for 2h"),
            "queue" => QUEUE.into(),
            "renew" => done("Lease renewed: 4 CPUs, 16G memory, 4096 tasks for 1h"),
            "release" => done("Grant returned; allocation is the default: 2 CPUs, 8G memory, 4096 tasks"),
            "list" => concat!(
                r#"{"type": "list_info", "users": ["#,
                r#"{"uid": 1000, "user": "alice", "sessions": 2, "grant": true, "#,
                r#""lease_left_s": 7140, "cpu": 4, "mem": "16G", "tasks": 4096}, "#,
                r#"{"uid": 1001, "user": "bob", "sessions": 1, "grant": false, "#,
                r#""cpu": 2, "mem": "8G", "tasks": 4096}]}"#
            )
            .into(),
            "explain" => EXPLAINED.into(),
            "policy_diff" => DIFFERENCE.into(),
            "strays" => concat!(
                r#"{"type": "strays_info", "strays": ["#,
                r#"{"uid": 1000, "user": "alice", "pid": 4711, "command": "backup.sh", "#,
                r#""unit": "cron.service", "cgroup": "/system.slice/cron.service", "#,
                r#""running_s": 4510, "adopts": true}, "#,
                r#"{"uid": 1001, "user": "bob", "pid": 91004, "command": "node", "#,
                r#""unit": "docker-0a1b2c3d4e5f.scope", "#,
                r#""cgroup": "/system.slice/docker-0a1b2c3d4e5f.scope", "running_s": 75}], "#,
                r#""age_s": 0}"#
            )
            .into(),
            "report" => concat!(
                r#"{"type": "report_info", "by": "user", "from": 1794920700, "to": 1795525500, "#,
                r#""rows": [{"key": "alice", "uid": 1000, "cpu_s": 455040, "#,
                r#""mem_mib_s": 1415577600, "mem_peak": "24G", "tasks_peak": 311, "#,
                r#""throttled_s": 12240, "stalled_s": 75, "grant_s": 7200, "#,
                r#""grant_cpu_s": 43200, "grant_mem_mib_s": 117964800, "incidents": 3}, "#,
                r#"{"key": "bob", "uid": 1001, "cpu_s": 5400, "mem_mib_s": 3686400, "#,
                r#""mem_peak": "1536M", "tasks_peak": 40, "throttled_s": 0, "stalled_s": 0, "#,
                r#""grant_s": 0, "grant_cpu_s": 0, "grant_mem_mib_s": 0, "incidents": 0}]}"#
            )
            .into(),
            "reload" => refused(
                "policy_wrong",
                "policy /etc/fairshare/policy.d is wrong\\nerror: lese: unknown key\\n \
                 --> /etc/fairshare/policy.d/default.yaml:4:1\\n  |\\n4 | lese: {longest: 7d}\\n  \
                 | ^^^^\\n  |\\n  = help: did you mean 'lease'?",
            ),
            "set" => done("User 1000 has 6 CPUs, 8G memory, 4096 tasks for 1d"),
            "open_session" => {
                r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "tasks": 4096}"#
                    .into()
            }
            "close_session" => done("Session 7 closed"),
            _ => unreachable!("{request}"),
        }
    });
}

#[test]
fn a_user_for_whom_the_kernel_enforces_something_else() {
    transcript("differences.trycmd", |_| Answer::from(OVERRULED));
}

#[test]
fn a_daemon_that_tells_only_what_the_first_version_told() {
    transcript("first-version.trycmd", |request| {
        Answer::from(match kind(request) {
            "status" => r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "16G"}"#,
            _ => r#"{"type": "error", "error": "No active resource allocation found"}"#,
        })
    });
}

/// What daemons answered before there were leases, a queue and `about`: a sentence and a code.
fn from_before_leases(request: &str) -> Option<Answer> {
    let name = kind(request);
    let known = [
        "request_resources",
        "resize",
        "release",
        "status",
        "list",
        "open_session",
        "close_session",
    ];
    (!known.contains(&name)).then(|| {
        Answer::Line(format!(
            r#"{{"type": "error", "error": "Unknown request type: {name} (known: {})", "code": "unknown_type"}}"#,
            known.join(", ")
        ))
    })
}

#[test]
fn a_daemon_from_before_leases() {
    transcript("older-daemon.trycmd", |request| {
        from_before_leases(request).unwrap_or_else(|| {
            Answer::from(match kind(request) {
                "status" => concat!(
                    r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "8G", "#,
                    r#""allocated_tasks": 4096, "grant": true, "sessions": 1, "#,
                    r#""version": "0.0.9"}"#
                ),
                "resize" => {
                    r#"{"type": "success", "message": "Resources allocated: 4 CPUs, 8G memory, 4096 tasks"}"#
                }
                _ => unreachable!("{request}"),
            })
        })
    });
}

#[test]
fn a_daemon_of_a_later_version() {
    transcript("newer-daemon.trycmd", |request| {
        Answer::from(match kind(request) {
            "about" => {
                r#"{"type": "about_info", "version": "9.1.0", "requests": ["about", "fly"], "moon": "full"}"#
            }
            "status" => concat!(
                r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "8G", "#,
                r#""allocated_gpu": [{"model": "x"}], "grant": true, "enforce": "audit", "#,
                r#""slice": {"unit": "user-1000.slice", "gpu_used": 1}, "version": "9.1.0"}"#
            ),
            "resize" if request.contains("99") => {
                r#"{"type": "error", "error": "The moon is full", "code": "moon_full", "phase": 1}"#
            }
            "resize" => {
                r#"{"type": "success", "message": "Resources allocated: 4 CPUs", "receipt": 7}"#
            }
            _ => r#"{"type": "list_of_lists", "lists": []}"#,
        })
    });
}

#[test]
fn root_sees_everybody_and_has_nothing_of_its_own() {
    transcript("root.trycmd", |request| {
        Answer::from(match kind(request) {
            "list" => USERS,
            "open_session" if request.contains(r#""uid": 0"#) => {
                r#"{"type": "session_ignored", "message": "User 0 is not covered by policy"}"#
            }
            "open_session" if request.contains(r#""pid": 99999"#) => {
                r#"{"type": "error", "error": "No such leader: 99999", "code": "invalid_value"}"#
            }
            "open_session" => concat!(
                r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "#,
                r#""tasks": 4096}"#
            ),
            "close_session" if request.contains(r#""session": 99"#) => {
                r#"{"type": "error", "error": "No such session is open", "code": "no_session"}"#
            }
            "close_session" => r#"{"type": "success", "message": "Session 7 closed"}"#,
            _ => {
                r#"{"type": "error", "error": "User 0 is not covered by policy", "code": "not_covered"}"#
            }
        })
    });
}

#[test]
fn a_narrow_terminal() {
    let answer = |request: &str| {
        Answer::from(match kind(request) {
            "list" => USERS,
            "release" => {
                r#"{"type": "error", "error": "1G less than is in use", "code": "memory_in_use"}"#
            }
            "status" => OVERRULED,
            _ => GRANT,
        })
    };
    transcript_in(40, "narrow.trycmd", answer);
    transcript_in(24, "very-narrow.trycmd", answer);
}

#[test]
fn nobody_is_logged_in() {
    transcript("nobody.trycmd", |_| {
        Answer::from(r#"{"type": "list_info", "users": []}"#)
    });
}

#[test]
fn each_refusal_says_what_to_do_next() {
    transcript("refused.trycmd", |request| {
        if kind(request) == "status" {
            return ALICE.into();
        }
        let codes = [
            (
                r#""cpu": 16}"#,
                "above_maximum",
                "Request validation failed: Requested CPU (16) exceeds maximum allowed (8)",
            ),
            (
                r#""cpu": 1}"#,
                "below_default",
                "Request validation failed: Requested CPU (1) is below the default (2)",
            ),
            (
                r#""cpu": 7}"#,
                "no_capacity",
                "The machine has too little left: CPU: 7 asked for, 5 possible now\", \
                 \"largest\": {\"cpu\": 5, \"mem\": \"8G\"}, \
                 \"holders\": [{\"uid\": 90210, \"user\": \"carol\", \"cpu\": 4, \"mem\": \"16G\"}, \
                 {\"cpu\": 1}], \"more\": \"",
            ),
            (
                r#""cpu": 6}"#,
                "over_budget",
                "The budget of group 'students' has too little left: CPU: 6 asked for, 4 possible now",
            ),
            (
                r#""for": "30d"}"#,
                "above_lease",
                "Request validation failed: Requested time (30d) exceeds maximum allowed (7d)",
            ),
            (
                "renew",
                "no_lease",
                "The grant has no lease: it ends with the last session",
            ),
            (
                "reload",
                "not_permitted",
                "Only root has the policy read again",
            ),
            (
                r#""mem": "8G"}"#,
                "memory_in_use",
                "Memory in use (12G) is more than 8G: processes would be killed",
            ),
            (
                r#""tasks": 5000}"#,
                "not_enforced",
                "systemd did not set the limits within 5 s",
            ),
            (
                r#""tasks": 5001}"#,
                "rate_limited",
                "Too many requests: at most 50 a second",
            ),
            (
                r#""tasks": 5002}"#,
                "from_the_future",
                "The moon is in the wrong phase",
            ),
            (
                "open_session",
                "not_permitted",
                "Only root may open a session",
            ),
            ("close_session", "no_session", "No such session is open"),
            (
                "release",
                "no_session",
                "No open session of this user is known",
            ),
            ("list", "unknown_type", "Unknown request type: list"),
        ];
        let (_, code, sentence) = codes
            .iter()
            .find(|(part, ..)| request.contains(part))
            .unwrap();
        Answer::Line(format!(
            r#"{{"type": "error", "error": "{sentence}", "code": "{code}"}}"#
        ))
    });
}

#[test]
fn a_daemon_that_does_not_answer() {
    // Wide, because the length of the socket's path is not the same everywhere.
    transcript_in(200, "silent.trycmd", |request| match kind(request) {
        "release" => Answer::Hangup,
        "list" => Answer::from("good morning"),
        _ => Answer::Silence,
    });
}
