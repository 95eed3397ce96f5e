//! The rules of fairshare: what policy gives whom, and who holds what.
//!
//! Nothing here reads a file, a clock or the kernel. Time and facts are arguments, so every rule
//! can be tried in a test exactly as it runs in the daemon.

#![forbid(unsafe_code)]

mod entitlement;
pub mod ledger;
pub mod policy;
mod variables;

pub use entitlement::{
    CpuWeight, DeviceBandwidth, Entitlement, IdleTerms, LeaseTerms, Limits, Shaping,
};
pub use ledger::Ledger;
pub use policy::Policy;
pub use variables::Variables;
