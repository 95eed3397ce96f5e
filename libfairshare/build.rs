//! Gives the shared library what the linker leaves out unless told.

fn main() {
    // Programs record this name, so that they go on working with a later library that still has
    // the functions and structures they were built for. It changes when one of those is taken
    // away or changed, never before.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libfairshare.so.0");
    // Rust's standard library leaves destructors of thread-locals behind, which a thread runs when
    // it ends. After a dlclose they would be gone.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
