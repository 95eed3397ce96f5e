//! The library as its users meet it: built as it is shipped, laid out as it is installed, found by
//! pkg-config, called from C, C++ and Python, with a daemon behind it that answers canned lines.
//!
//! Needs a C and a C++ compiler, pkg-config, readelf and nm (binutils), and Python 3.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod binary;
mod c_programs;
#[path = "../../../fairshare/tests/fake_daemon/mod.rs"]
#[expect(dead_code, reason = "only a part of it is needed here")]
mod fake_daemon;
mod installed;
mod python;
