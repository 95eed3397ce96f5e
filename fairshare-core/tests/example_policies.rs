//! Every policy among the examples is one.

use std::fs;
use std::path::Path;

use fairshare_core::Policy;
use fairshare_core::policy::{Look, Machine, Source};

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
    assert!(read >= 3, "the examples are gone");
}

/// Each block is a policy, if need be with the two sections that every policy has.
#[test]
fn every_block_of_the_documentation_is_read_without_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 13, "{} blocks", blocks.len());
    let source = |name: &str, text: &str| Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let base = "defaults: {cpu: 2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n";
    for block in blocks {
        let sources = [source("base", base), source("docs/policy.md", block)];
        if let Err(problems) = Policy::read(&sources, &MACHINE) {
            let told = fairshare_core::policy::report(&problems, Look::Plain);
            panic!("{block}\n{told}");
        }
    }
}
