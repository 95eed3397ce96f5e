//! The module as it is built, loaded by the real libpam into a host written in C, with a stand-in
//! for the daemon behind the socket.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod artifacts;
mod example;
mod failures;
mod hosts;
mod login;
mod opening;
mod panics;
mod shape;
mod skew;

#[path = "../../../fairshare-client/tests/peer/mod.rs"]
mod peer;
#[path = "../../../fairshare-client/tests/sys/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the client")]
mod sys;
