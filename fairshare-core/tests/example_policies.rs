//! Every policy among the examples and in the documentation is one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::fs;
use std::path::{Path, PathBuf};

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

/// The pages below `docs`, and others at the top that show policies.
fn pages() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![top.join("README.md")];
    for entry in fs::read_dir(top.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages
}

/// Each block is a policy, if need be with the two sections that every policy has.
#[test]
fn every_block_of_the_documentation_is_read_without_an_error() {
    let mut read = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = text.split("```yaml\n").skip(1);
        for block in blocks.filter_map(|rest| rest.split("```").next()) {
            read_block(&page, block);
            read += 1;
        }
    }
    assert!(read >= 17, "{read} blocks");
}

fn read_block(page: &Path, block: &str) {
    let source = |name: &str, text: &str| Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let base = "defaults: {cpu: 2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n";
    let sources = [
        source("base", base),
        source(&page.display().to_string(), block),
    ];
    if let Err(problems) = Policy::read(&sources, &MACHINE) {
        let told = fairshare_core::policy::report(&problems, Look::Plain);
        panic!("{block}\n{told}");
    }
}
