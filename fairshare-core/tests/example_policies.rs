//! Every policy among the examples is one.

use std::fs;
use std::path::Path;

use fairshare_core::Policy;
use fairshare_core::policy::{Machine, Source};

const MACHINE: Machine = Machine {
    cpu_thousandths: 64_000,
    mem_bytes: 256 << 30,
    tasks: 4_194_304,
};

#[test]
fn every_example_is_read_without_a_problem() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policy.d");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = Source {
            name: path.display().to_string(),
            text: fs::read_to_string(&path).unwrap(),
        };
        let (_, warnings) = Policy::read(&[source], &MACHINE).unwrap();
        assert!(warnings.is_empty(), "{}: {warnings:?}", path.display());
        read += 1;
    }
    assert!(read >= 2, "the examples are gone");
}
