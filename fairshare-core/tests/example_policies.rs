//! Every policy among the examples is one.

use std::fs;
use std::path::Path;

use fairshare_core::Policy;

#[test]
fn every_example_is_read_without_a_problem() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policy.d");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let policy = Policy::parse(&fs::read_to_string(&path).unwrap());
        assert!(policy.is_ok(), "{}: {policy:?}", path.display());
        read += 1;
    }
    assert!(read >= 2, "the examples are gone");
}
