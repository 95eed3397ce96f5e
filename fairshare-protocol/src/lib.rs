//! The fairshare protocol: this page is its specification.
//!
//! A client in any language needs a Unix stream socket and JSON, nothing else.
//!
//! # The socket
//!
//! `/run/fairshare.sock` ([`DEFAULT_SOCKET`]), a stream socket that everybody may connect to. The
//! daemon learns who is asking from the kernel (`SO_PEERCRED`); nothing in a message says so.
//!
//! # Lines
//!
//! Each message is one JSON object in UTF-8 on one line, ended by a newline, at most
//! [`frame::MAX_LINE`] bytes long; the replies to `list`, `usage`, `processes`, `queue`, `strays`,
//! `explain`, `policy_diff`, `incidents`, `report`, `metrics` and `reload` may have
//! [`frame::MAX_LIST_LINE`]. A client sends requests, as many as it likes on one connection, and the
//! daemon sends one reply to each, in the order of the requests; only a `resize` that waits has lines
//! before its reply. A member of the object that the reader does not know is skipped. The daemon puts
//! a space behind `:` and `,`; a client need not.
//!
//! A line that is too long gets an error and the connection is closed. Any other faulty line gets
//! an error and the connection goes on. A connection that sends nothing for a minute, or leaves a
//! line unfinished for ten seconds, is closed.
//!
//! # Values
//!
//! | kind | on the wire | range |
//! |---|---|---|
//! | `cpu` | number of CPUs, at most two decimals | 0.01 to 100000 |
//! | `mem` | string, units `K` `M` `G` `T` (also `KB`, `KiB`, …), powers of 1024; no unit: bytes | up to `"1048576T"` |
//! | `tasks` | whole number of processes and threads | 1 to 4194304 |
//! | `for` | string, numbers with units `s` `m` `h` `d` `w`, added up: `"2h"`, `"1d12h"` | 1 s to 366 days |
//! | `wait` | `true`, or a string as `for` | as `for` |
//!
//! In a reply a length of time is a whole number of seconds, and its name ends in `_s`.
//!
//! # Requests
//!
//! Every field behind the type is optional unless said otherwise.
//!
//! | `type` | fields | who | reply |
//! |---|---|---|---|
//! | `request_resources` | `cpu`, `mem`, `tasks`, one at least | user | `success` |
//! | `resize` | `cpu`, `mem`, `tasks`, one at least; `for`, `wait`, `force` | user | `success`, before it `queued` |
//! | `renew` | `for` (required) | user | `success` |
//! | `release` | `uid`, `force` | user; with another's `uid` administrators | `success` |
//! | `set` | `uid` (required); `cpu`, `mem`, `tasks`, one at least; `for`, `force` | administrators | `success` |
//! | `status` | | user | `status_info` |
//! | `list` | | all | `list_info` |
//! | `usage` | | all | `usage_info` |
//! | `processes` | `uid` | user; with another's `uid` administrators | `processes_info` |
//! | `queue` | | all | `queue_info` |
//! | `strays` | | all | `strays_info` |
//! | `explain` | `uid` | user; with another's `uid` administrators | `explain_info` |
//! | `policy_diff` | | administrators | `policy_diff_info` |
//! | `reload` | | root | `success` |
//! | `incidents` | `uid`, `since`, `limit` | user; with another's `uid` administrators | `incidents_info` |
//! | `report` | `uid`, `by`, `since` | user; with another's `uid` administrators | `report_info` |
//! | `metrics` | `users` | administrators, the exporter | `metrics_info` |
//! | `about` | | all | `about_info` |
//! | `open_session` | `uid` and `pid` (required), `service`, `wait_ms`, `notices` | root | `session_opened`, `session_ignored` |
//! | `close_session` | `session`, or `uid` and `pid` | root | `success` |
//!
//! Administrators are root and whom policy names so. `list`, `usage`, `queue` and `strays` tell
//! an administrator of every user; another caller sees their own row of `list` and `usage`, their own processes of
//! `strays`, and of the queue who waits only where policy shows it.
//!
//! `request_resources` asks for a first grant and is refused while one is held. `resize` asks for
//! one or changes it in place. What a wish does not name stays as it is. Both give absolute
//! figures: `"cpu": 4` is four CPUs altogether, not four more. Memory below what is in use is
//! refused unless `force` is true, because processes would be killed. The reply comes when the
//! kernel enforces the change.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) { Request::from_line(line.as_bytes()).unwrap(); }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "request_resources", "cpu": 4, "mem": "16G"}"#);
//! reply(r#"{"type": "success", "message": "Resources allocated: 4 CPUs, 16G memory"}"#);
//!
//! request(r#"{"type": "resize", "mem": "24G", "tasks": 2000}"#);
//! request(r#"{"type": "release"}"#);
//!
//! request(r#"{"type": "open_session", "uid": 1000, "pid": 4711, "service": "sshd", "wait_ms": 500}"#);
//! reply(r#"{"type": "session_opened", "session": 7, "cpu": 2, "mem": "8G", "tasks": 4096}"#);
//! reply(r#"{"type": "session_ignored", "message": "root is not covered by policy"}"#);
//!
//! request(r#"{"type": "close_session", "session": 7}"#);
//! request(r#"{"type": "close_session", "uid": 1000, "pid": 4711}"#);
//! ```
//!
//! # Leases
//!
//! A grant may have a lease: the time at which it ends by itself. `for` in a `resize` or a `set`
//! gives it one that ends so long from then. Without `for` a new grant has the lease that policy
//! gives by default, and one that is held keeps its own. `renew` has the lease end so long from
//! now. Longer than policy allows is refused with `above_lease`.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "resize", "cpu": 8, "mem": "32G", "for": "2h"}"#);
//! request(r#"{"type": "renew", "for": "1h"}"#);
//! ```
//!
//! # Waiting
//!
//! A `resize` with `wait` that does not fit now is put into the queue: for that long, or with
//! `true` for as long as policy lets a request wait. While it waits the daemon sends `queued`, at
//! once, each time something changes and at least every [`KEEP_ALIVE`] seconds. Then comes the
//! reply: `success`, or `error`, with the code `wait_ended` where the time has passed. The
//! connection's other requests come after it. A client that closes its connection leaves the queue,
//! and a restart of the daemon closes all of them. Meanwhile a connection may be silent for as long
//! as it likes; one that sends more than [`frame::MAX_LINE`] behind the request is closed. A user
//! has at most one request in the queue.
//!
//! `position` counts from 1; `ahead` is what the requests before this one ask for together.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "resize", "cpu": 8, "wait": true}"#);
//! request(r#"{"type": "resize", "cpu": 8, "for": "2h", "wait": "30m"}"#);
//! reply(concat!(
//!     r#"{"type": "queued", "position": 2, "ahead": {"cpu": 2, "mem": "8G"}, "#,
//!     r#""waiting_for": "4 CPUs to be given back", "#,
//!     r#""message": "Place 2 in the queue, waiting for 4 CPUs to be given back"}"#,
//! ));
//!
//! request(r#"{"type": "queue"}"#);
//! reply(concat!(
//!     r#"{"type": "queue_info", "entries": [{"position": 1, "uid": 1000, "user": "alice", "#,
//!     r#""cpu": 8, "mem": "8G", "tasks": 4096, "since_s": 75, "priority": 0}, "#,
//!     r#"{"position": 2, "cpu": 4, "mem": "16G", "tasks": 4096, "since_s": 12, "#,
//!     r#""priority": -5}]}"#,
//! ));
//! ```
//!
//! # Policy
//!
//! `explain` tells what policy comes to for a user, key by key, which line said so and which lines
//! it beat. `policy_diff` tells what a reload would change for the users whom the daemon knows;
//! `problems` is there where the files have any. `reload` reads the files again, as SIGHUP does,
//! and answers; where they are wrong it changes nothing and answers with `policy_wrong`.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "explain"}"#);
//! request(r#"{"type": "explain", "uid": 1000}"#);
//! reply(concat!(
//!     r#"{"type": "explain_info", "uid": 1000, "entries": [{"key": "max.cpu", "value": "4", "#,
//!     r#""winner": {"place": "/etc/fairshare/policy.d/20-groups.yaml:4:16", "#,
//!     r#""path": "groups.students.max.cpu"}, "beaten": [{"place": "#,
//!     r#""/etc/fairshare/policy.d/10-all.yaml:2:12", "path": "max.cpu", "value": "8"}]}], "#,
//!     r#""enforce": "on"}"#,
//! ));
//!
//! request(r#"{"type": "policy_diff"}"#);
//! reply(concat!(
//!     r#"{"type": "policy_diff_info", "users": [{"uid": 1000, "key": "max.cpu", "#,
//!     r#""from": "8", "to": "4"}]}"#,
//! ));
//!
//! request(r#"{"type": "reload"}"#);
//! ```
//!
//! # Live use
//!
//! `usage` tells what users use now: a row each as [`UserUsage`] and the machine as [`MachineInfo`].
//! `status` has the same figures of the caller's `slice`, a [`SliceInfo`]. `cpu_us` only grows while
//! the slice lives; two readings and their `at_us` make CPUs in use. A `pressure` is in percent of
//! the last ten seconds, `cpu_minute` in CPUs, both with two decimals at most. `processes` tells of the
//! processes in a user's slice, the largest first, with the fields of [`ProcessesInfo`] and a row
//! each as [`ProcessInfo`].
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "usage"}"#);
//! reply(concat!(
//!     r#"{"type": "usage_info", "users": [{"uid": 1000, "user": "alice", "sessions": 2, "#,
//!     r#""grant": true, "lease_left_s": 7140, "cpu": 4, "mem": "16G", "tasks": 4096, "#,
//!     r#""slice": {"unit": "user-1000.slice", "mem_used": "4M", "mem_cache": "12M", "#,
//!     r#""tasks_used": 9, "swap_used": "0", "at_us": 75000000, "cpu_us": 1200000, "#,
//!     r#""cpu_minute": 0.25, "throttled_us": 40000, "#,
//!     r#""pressure": {"cpu": 12.5, "mem": 0, "io": 0.01}}}], "#,
//!     r#""machine": {"total": {"cpu": 16, "mem": "64G", "tasks": 127000}, "#,
//!     r#""capacity": {"cpu": 14, "mem": "60G"}, "granted": {"cpu": 2, "mem": "8G"}, "#,
//!     r#""at_us": 75000100, "cpu_us": 64000000, "mem_used": "9G", "pressure": {"cpu": 3}}, "#,
//!     r#""everybody": true}"#,
//! ));
//!
//! request(r#"{"type": "processes"}"#);
//! request(r#"{"type": "processes", "uid": 1000}"#);
//! reply(concat!(
//!     r#"{"type": "processes_info", "uid": 1000, "user": "alice", "processes": [{"pid": 4711, "#,
//!     r#""command": "python3", "state": "R", "mem": "6246M", "cpu_ms": 75000, "#,
//!     r#""running_s": 120}], "total": 9}"#,
//! ));
//! ```
//!
//! # Strays
//!
//! A stray is a process of a user that runs outside of the user's slice, and so outside of every
//! limit. `strays` tells of them, with the fields of [`StraysInfo`] and a row each as [`StrayInfo`].
//! `age_s` is how long ago the daemon has looked: it looks when it is asked, and answers with what
//! it has seen where it has only just looked.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "strays"}"#);
//! reply(concat!(
//!     r#"{"type": "strays_info", "strays": [{"uid": 1000, "user": "alice", "pid": 4711, "#,
//!     r#""command": "backup.sh", "unit": "cron.service", "#,
//!     r#""cgroup": "/system.slice/cron.service", "running_s": 75, "adopts": true}], "age_s": 0}"#,
//! ));
//! reply(concat!(
//!     r#"{"type": "strays_info", "strays": [{"uid": 1000, "pid": 4711, "command": "sh", "#,
//!     r#""cgroup": "/", "running_s": 0}], "more": 12, "cut": true, "age_s": 1}"#,
//! ));
//! ```
//!
//! # Incidents
//!
//! `incidents` tells what happened to a user because of their limits, the newest first, with the
//! fields of [`IncidentsInfo`] and a row each as [`Incident`]. `since` is a length of time, as `for`.
//! Of what a user has not been told on a terminal, `session_opened` tells in `notices`, where
//! `open_session` says with `"notices": true` that it can show them.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "incidents"}"#);
//! request(r#"{"type": "incidents", "uid": 1000, "since": "1d", "limit": 10}"#);
//! reply(concat!(
//!     r#"{"type": "incidents_info", "incidents": [{"id": 7, "uid": 1000, "user": "alice", "#,
//!     r#""at": 1767225600, "kind": "oom_kill", "text": "python3 (pid 4711) was killed: your "#,
//!     r#"processes reached the memory limit of 8G. It held 6.1G.", "#,
//!     r#""advice": "fairshare resize --mem 16G", "limit": {"mem": "8G"}, "#,
//!     r#""processes": [{"pid": 4711, "command": "python3", "mem": "6246M", "cpu_s": 75}]}]}"#,
//! ));
//! ```
//!
//! # History
//!
//! `report` tells what was used over time, with the fields of [`ReportInfo`] and a row each as
//! [`ReportRow`]: by `user`, `group` or `day`. An administrator who names nobody gets everybody.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "report", "by": "user"}"#);
//! request(r#"{"type": "report", "uid": 1000, "by": "day", "since": "28d"}"#);
//! reply(concat!(
//!     r#"{"type": "report_info", "by": "user", "from": 1766620800, "to": 1767225600, "#,
//!     r#""rows": [{"key": "alice", "uid": 1000, "cpu_s": 7200, "mem_mib_s": 1048576, "#,
//!     r#""mem_peak": "6G", "tasks_peak": 120, "throttled_s": 75, "stalled_s": 2, "#,
//!     r#""grant_s": 3600, "grant_cpu_s": 7200, "grant_mem_mib_s": 29491200, "incidents": 3}], "#,
//!     r#""series": [{"key": "alice", "points": [{"at": 1767222000, "span_s": 3600, "#,
//!     r#""cpu_s": 7200, "mem_mib_s": 1048576, "throttled_s": 75}]}]}"#,
//! ));
//! ```
//!
//! # Metrics
//!
//! `metrics` tells the figures that a monitoring system collects, with the fields of
//! [`MetricsInfo`]. What counts up begins at 0 when the daemon starts, unless its description says
//! otherwise. `users` asks for that many rows of users, at most [`MAX_METRICS_USERS`], of those
//! with the most CPU time; without it none is named. Besides administrators the members of the
//! group `fairshare-exporter` may ask.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "metrics"}"#);
//! request(r#"{"type": "metrics", "users": 20}"#);
//! reply(concat!(
//!     r#"{"type": "metrics_info", "version": "0.1.0", "started_at": 1767225600, "#,
//!     r#""enforces": true, "users": 2, "sessions": 3, "#,
//!     r#""capacity": {"cpu_thousandths": 8000, "mem_bytes": 17179869184}, "#,
//!     r#""allocated": {"cpu_thousandths": 3000, "mem_bytes": 6442450944}, "#,
//!     r#""allocated_tasks": 4096, "grants": 1, "#,
//!     r#""granted": {"cpu_thousandths": 1000, "mem_bytes": 2147483648}, "#,
//!     r#""used": {"cpu_us": 75000000, "mem_bytes": 1073741824, "cache_bytes": 4096, "#,
//!     r#""tasks": 12}, "throttled_us": 2500000, "queue": 0, "queue_oldest_s": 0, "#,
//!     r#""incidents": [{"kind": "oom_kill", "count": 1}], "#,
//!     r#""logins": {"limited": 3, "ignored": 1, "not_enforced": 0, "failed": 0}, "#,
//!     r#""login_us": {"up_to": [1000, 10000], "counts": [1, 2, 0], "sum": 9000}, "#,
//!     r#""systemd_call_us": {"up_to": [1000, 10000], "counts": [4, 2, 0], "sum": 12000}, "#,
//!     r#""errors": {"not_enforced": 0, "systemd_call": 0, "bus_lost": 0, "snapshot_write": 0, "#,
//!     r#""history_drop": 0}, "strays": 0, "by_user": [{"uid": 1000, "user": "alice", "#,
//!     r#""cpu_us": 75000000, "mem_bytes": 1073741824, "tasks": 12, "throttled_us": 2500000}]}"#,
//! ));
//! ```
//!
//! # Administration
//!
//! `set` gives a user a grant or changes it, by policy's rules for that user; `release` with a
//! `uid` takes it back. Both are for root and for the group that policy names as administrators.
//!
//! ```
//! # use fairshare_protocol::{frame, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "set", "uid": 1000, "cpu": 8, "mem": "32G", "for": "1d12h"}"#);
//! request(r#"{"type": "release", "uid": 1000, "force": true}"#);
//! ```
//!
//! # Replies
//!
//! `success` has a `message` for people. `status_info` begins with `allocated_cpu` and
//! `allocated_mem`; the further fields are those of [`StatusInfo`]. `list_info` has `users`, a row
//! each as [`UserInfo`]. `session_opened` has the `session`'s number and the figures that the
//! kernel enforces.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! reply(r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "16G"}"#);
//! reply(concat!(
//!     r#"{"type": "status_info", "allocated_cpu": 0.5, "allocated_mem": "512M", "#,
//!     r#""allocated_tasks": 500, "allocated_swap": "0", "grant": false, "sessions": 1, "#,
//!     r#""default": {"cpu": 0.5, "mem": "512M", "tasks": 500}, "#,
//!     r#""max": {"cpu": 2, "mem": "1G", "tasks": 2000}, "#,
//!     r#""slice": {"unit": "user-1000.slice", "mem_used": "4M", "mem_cache": "12M", "#,
//!     r#""tasks_used": 9}, "version": "0.1.0"}"#,
//! ));
//! reply(concat!(
//!     r#"{"type": "list_info", "users": [{"uid": 1000, "user": "alice", "sessions": 2, "#,
//!     r#""grant": true, "cpu": 4, "mem": "16G", "tasks": 4096}]}"#,
//! ));
//! reply(concat!(
//!     r#"{"type": "status_info", "allocated_cpu": 4, "allocated_mem": "16G", "#,
//!     r#""allocated_tasks": 4096, "grant": true, "lease_left_s": 7140, "queue_position": 2, "#,
//!     r#""min": {"cpu": 0.5, "mem": "256M", "tasks": 64}, "#,
//!     r#""budget": [{"group": "students", "limit": {"cpu": 32}, "held": {"cpu": 12}}], "#,
//!     r#""enforce": "watch"}"#,
//! ));
//! ```
//!
//! # Errors
//!
//! `error` has a sentence in `error` and, for programs, a `code`: one of [`ErrorCode`], a set that
//! only grows. The sentence may change, the code does not.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply};
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! reply(concat!(
//!     r#"{"type": "error", "error": "Request validation failed: Requested CPU (16) exceeds "#,
//!     r#"maximum allowed (8)", "code": "above_maximum"}"#,
//! ));
//! reply(concat!(
//!     r#"{"type": "error", "error": "The machine has too little left: CPU: 7 asked for, 5 "#,
//!     r#"possible now", "code": "no_capacity", "#,
//!     r#""largest": {"cpu": 5, "mem": "8G", "tasks": 4096}, "#,
//!     r#""holders": [{"uid": 1000, "cpu": 4, "mem": "16G"}, {"cpu": 1}]}"#,
//! ));
//! ```
//!
//! `no_capacity` and `over_budget` may carry the `largest` wish that would be carried out now, in
//! absolute figures, and the `holders` of the grants in the way: what each holds above the default,
//! and who only where policy shows it.
//!
//! # How it grows
//!
//! By optional fields and by new types; nothing that is here changes its meaning or goes away.
//!
//! * A daemon skips a field that it does not know, and answers a type that it does not know with
//!   `unknown_type` and goes on.
//! * A client skips a field that it does not know, takes a code that it does not know as a refusal,
//!   and an error without a code, as the first daemons sent it, likewise. A reply of a type that it
//!   does not know is a reply that it cannot understand; a daemon sends one only to a request that
//!   is as new.
//!
//! `about` tells which daemon it is: the `version` that runs, and the types of the `requests` that
//! it knows. `enforce` is there where policy says `watch`.
//!
//! ```
//! # use fairshare_protocol::{frame, Reply, Request};
//! # fn request(line: &str) {
//! #     let request = Request::from_line(line.as_bytes()).unwrap();
//! #     assert_eq!(frame::encode(&request).unwrap().trim_end(), line);
//! # }
//! # fn reply(line: &str) {
//! #     let reply: Reply = serde_json::from_str(line).unwrap();
//! #     assert_eq!(frame::encode(&reply).unwrap().trim_end(), line);
//! # }
//! request(r#"{"type": "about"}"#);
//! reply(concat!(
//!     r#"{"type": "about_info", "version": "0.1.0", "requests": ["request_resources", "resize", "#,
//!     r#""renew", "release", "set", "status", "list", "queue", "explain", "policy_diff", "#,
//!     r#""reload", "about", "open_session", "close_session"]}"#,
//! ));
//! reply(r#"{"type": "error", "error": "Unknown request type: 'about'", "code": "unknown_type"}"#);
//! ```

#![forbid(unsafe_code)]

mod about;
mod allocation;
mod code;
mod cpus;
mod environment;
pub mod frame;
mod hundredths;
mod incident;
mod memory;
mod metrics;
mod period;
mod policy_info;
mod queue;
mod reply;
mod report;
mod request;
mod status;
mod strays;
mod tasks;
mod text;
mod usage;
mod wait;

pub use about::AboutInfo;
pub use allocation::{Allocation, Wish};
pub use code::ErrorCode;
pub use cpus::{Cpus, InvalidCpus};
pub use environment::{VARIABLES, is_variable, variable_for};
pub use hundredths::Hundredths;
pub use incident::{
    Incident, IncidentKind, IncidentProcess, Incidents, IncidentsInfo, MAX_INCIDENTS,
};
pub use memory::{InvalidMemorySize, MemorySize};
pub use metrics::{
    Errors, Histogram, IncidentCount, Logins, MAX_METRICS_USERS, Metrics, MetricsInfo, MetricsUse,
    MetricsUser, Sums,
};
pub use period::{InvalidPeriod, Period};
pub use policy_info::{
    Candidate, Enforce, ExplainEntry, ExplainInfo, Origin, PolicyChange, PolicyDiffInfo,
};
pub use queue::{QueueEntry, Queued};
pub use reply::{ErrorReply, Holder, InvalidReply, KEEP_ALIVE, Reply, SessionOpened, UserInfo};
pub use report::{
    MAX_POINTS, MAX_SERIES, Report, ReportBy, ReportInfo, ReportPoint, ReportRow, ReportSeries,
};
pub use request::{
    CloseSession, Explain, InvalidRequest, OpenSession, Release, Renew, Request, Resize, Set,
};
pub use status::{BudgetInfo, SliceInfo, StatusInfo};
pub use strays::{StrayInfo, StraysInfo};
pub use tasks::{InvalidTasks, Tasks};
pub use text::printable;
pub use usage::{
    MAX_PROCESSES, MachineInfo, Pressure, ProcessInfo, Processes, ProcessesInfo, UsageInfo,
    UserUsage,
};
pub use wait::Wait;

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/fairshare.sock";
