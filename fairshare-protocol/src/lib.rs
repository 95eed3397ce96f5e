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
//! [`frame::MAX_LINE`] bytes long; the reply to `list` may have [`frame::MAX_LIST_LINE`]. A client sends requests, as many as it likes on one connection,
//! and the daemon sends one reply to each, in the order of the requests. A member of the object
//! that the reader does not know is skipped. The daemon puts a space behind `:` and `,`; a client
//! need not.
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
//!
//! # Requests
//!
//! Every field behind the type is optional unless said otherwise.
//!
//! | `type` | fields | who | reply |
//! |---|---|---|---|
//! | `request_resources` | `cpu`, `mem`, `tasks`, one at least | user | `success` |
//! | `resize` | `cpu`, `mem`, `tasks`, one at least; `force` | user | `success` |
//! | `release` | `force` | user | `success` |
//! | `status` | | user | `status_info` |
//! | `list` | | all | `list_info` |
//! | `open_session` | `uid` and `pid` (required), `service`, `wait_ms` | root | `session_opened`, `session_ignored` |
//! | `close_session` | `session`, or `uid` and `pid` | root | `success` |
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
//! ```
//!
//! # How it grows
//!
//! By optional fields and by new types. A daemon answers a type that it does not know with
//! `unknown_type`; a client takes a code that it does not know as a refusal.

#![forbid(unsafe_code)]

mod allocation;
mod code;
mod cpus;
pub mod frame;
mod memory;
mod reply;
mod request;
mod tasks;
mod text;

pub use allocation::{Allocation, Wish};
pub use code::ErrorCode;
pub use cpus::{Cpus, InvalidCpus};
pub use memory::{InvalidMemorySize, MemorySize};
pub use reply::{ErrorReply, Reply, SessionOpened, SliceInfo, StatusInfo, UserInfo};
pub use request::{CloseSession, InvalidRequest, OpenSession, Release, Request, Resize};
pub use tasks::{InvalidTasks, Tasks};
pub use text::printable;

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/fairshare.sock";
