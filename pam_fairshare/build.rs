//! Tells the linker that the module stays mapped once it is loaded.
//!
//! libpam unloads its modules with each `pam_end`. The standard library keeps thread-local data
//! and registers its destructors, which must not outlive the code that they point into; so
//! `dlclose` leaves the module where it is, and the next `pam_start` finds the same one.
//!
//! There is no SONAME: libpam loads a module by its path, and nothing links to one.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    println!("cargo::rustc-link-arg-examples=-Wl,-z,nodelete");
}
