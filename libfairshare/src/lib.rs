//! The client of the fairshare daemon for programs in C and in whatever can call C.
//!
//! It is for login programs without PAM, such as a notebook spawner's hook, and for tools that
//! want the figures without starting a command. `include/fairshare.h`, made from this crate by
//! cbindgen, is its documentation for those who use it; the comments of the items below are what
//! stands there, so they speak to a reader of C.
//!
//! [`ffi`] holds the exported functions and all unsafe code. The rest is safe Rust and knows
//! nothing of pointers.

#![allow(
    clippy::doc_markdown,
    reason = "the comments become the header's, where backticks are no mark-up"
)]

// A panic is to become a result code; with `abort` it would end the program that called.
#[cfg(panic = "abort")]
compile_error!("libfairshare stops panics at its boundary and needs panic = \"unwind\"");

pub mod ffi;
pub mod handle;
pub mod records;
pub mod result;
