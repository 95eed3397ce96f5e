//! The lab: boots real Debian machines and drives them by real ssh.
//!
//! What fairshare promises is kept by a kernel, a systemd, a logind, an sshd and a PAM stack
//! together, so it is tried where all of them are real: a virtual machine for each release of
//! Debian. [`Machine`] is where to begin.
//!
//! ```no_run
//! use fairshare_tests::{Machine, Progress, Release};
//!
//! # fn main() -> fairshare_tests::Result<()> {
//! let machine = Machine::boot(Release::Debian13, Progress::fitting())?;
//! assert_eq!(machine.ssh("alice").ok("id -un")?.text(), "alice");
//! assert_eq!(machine.root("systemctl is-active user-1000.slice")?.text(), "active");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod accel;
pub mod artifacts;
pub mod command;
pub mod daemon;
pub mod demo;
pub mod error;
pub mod host;
pub mod image;
pub mod kept;
pub mod lab;
pub mod logs;
pub mod machine;
pub mod mirror;
pub mod packages;
pub mod pam;
pub mod progress;
pub mod qemu;
pub mod release;
pub mod reset;
pub mod scratch;
pub mod session;
pub mod ssh;
pub mod stage;
pub mod wait;

pub use artifacts::Artifacts;
pub use command::Output;
pub use error::{LabError, Result};
pub use machine::Machine;
pub use packages::Packages;
pub use progress::Progress;
pub use release::Release;
pub use session::Session;
pub use wait::Look;
