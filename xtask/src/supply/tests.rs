use super::*;
use crate::metadata::Dependency;

const FILE: &str = r#"
[graph]
targets = ["x86_64-unknown-linux-gnu"]
[licenses]
allow = ["MIT", "Apache-2.0"]
exceptions = [{ crate = "tool", allow = ["MPL-2.0"] }]
unused-allowed-license = "deny"
[bans]
multiple-versions = "deny"
multiple-versions-include-dev = true
wildcards = "deny"
allow-wildcard-paths = true
skip = [{ crate = "syn@2", reason = "derives" }]
deny = [{ crate = "openssl-sys", reason = "nothing speaks TLS" }]
[sources]
unknown-registry = "deny"
unknown-git = "deny"
"#;

fn package(name: &str, version: &str, licence: &str) -> Package {
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: Some(licence.to_owned()),
        source: Some(REGISTRY.to_owned()),
        ..Package::default()
    }
}

/// Packages that use every rule of `FILE`, so that a test's own fault is the only one.
fn sound() -> Vec<Package> {
    vec![
        package("one", "1.0.0", "MIT OR GPL-3.0-only"),
        package("two", "1.0.0", "MIT/Apache-2.0"),
        package("tool", "0.29.1", "MPL-2.0"),
        package("syn", "2.0.1", "(MIT OR Apache-2.0) AND MIT"),
        package("syn", "3.0.0", "MIT"),
    ]
}

fn found(more: Package) -> Vec<String> {
    let mut packages = sound();
    packages.push(more);
    faults(&Rules::read(FILE).unwrap(), &packages)
}

#[test]
fn what_the_file_allows_passes() {
    let rules = Rules::read(FILE).unwrap();
    assert_eq!(faults(&rules, &sound()), Vec::<String>::new());
}

#[test]
fn a_licence_that_is_not_allowed_is_found() {
    assert_eq!(
        found(package("copyleft", "1.2.3", "MIT AND GPL-3.0-only")),
        ["'copyleft 1.2.3' is under 'MIT AND GPL-3.0-only', which is not allowed"]
    );
}

#[test]
fn an_exception_is_one_crates_alone() {
    assert_eq!(
        found(package("linked", "1.0.0", "MPL-2.0")),
        ["'linked 1.0.0' is under 'MPL-2.0', which is not allowed"]
    );
}

#[test]
fn a_package_without_a_licence_is_found() {
    let mut silent = package("silent", "1.0.0", "");
    silent.licence = None;
    assert_eq!(found(silent), ["'silent 1.0.0' names no licence"]);
}

#[test]
fn an_unknown_licence_is_found() {
    let found = found(package("odd", "1.0.0", "Beerware-ish"));
    assert!(
        found[0].starts_with("'odd 1.0.0' has a licence that cannot be read, 'Beerware-ish'"),
        "{found:?}"
    );
}

#[test]
fn an_unwanted_crate_is_found_with_the_reason() {
    assert_eq!(
        found(package("openssl-sys", "0.9.1", "MIT")),
        ["'openssl-sys 0.9.1' is not wanted: nothing speaks TLS"]
    );
}

#[test]
fn a_second_version_is_found_unless_it_is_skipped() {
    assert_eq!(
        found(package("one", "20.0.0", "MIT")),
        ["'one' is there as 1.0.0 and as 20.0.0"]
    );
    // The entry for 2 is none for 20.
    assert_eq!(
        found(package("syn", "20.0.0", "MIT")),
        ["'syn' is there as 3.0.0 and as 20.0.0"]
    );
}

#[test]
fn another_source_is_found() {
    let mut fork = package("fork", "1.0.0", "MIT");
    fork.source = Some("git+https://example.org/fork#abc".to_owned());
    assert_eq!(
        found(fork),
        ["'fork 1.0.0' comes from 'git+https://example.org/fork#abc'"]
    );
}

#[test]
fn any_version_is_found_but_not_of_a_folder() {
    let mut own = package("own", "1.0.0", "MIT");
    own.source = None;
    let dependency = |name: &str, by_path| Dependency {
        name: name.to_owned(),
        requirement: "*".to_owned(),
        by_path,
    };
    own.dependencies = vec![dependency("neighbour", true), dependency("loose", false)];
    assert_eq!(found(own), ["'own 1.0.0' takes any version of 'loose'"]);
}

#[test]
fn a_rule_that_nobody_needs_any_more_is_found() {
    let rules = Rules::read(FILE).unwrap();
    assert_eq!(
        faults(&rules, &[package("one", "1.0.0", "MIT")]),
        [
            "licence 'Apache-2.0' is allowed and nobody has it",
            "the exception for 'tool' is not needed",
            "'syn@2' is skipped and not there",
        ]
    );
}

#[test]
fn a_key_that_would_not_be_kept_is_refused() {
    let file = FILE.replace("[sources]", "[sources]\nprivate = [\"somewhere\"]");
    assert_eq!(
        Rules::read(&file).unwrap_err(),
        "this check does not know 'sources.private', so it would not be kept"
    );
    let file = FILE.replace("unknown-git = \"deny\"", "unknown-git = \"warn\"");
    assert_eq!(
        Rules::read(&file).unwrap_err(),
        "'sources.unknown-git' is not 'deny'"
    );
    let file = FILE.replace("reason = \"derives\"", "wrappers = [\"x\"]");
    assert_eq!(
        Rules::read(&file).unwrap_err(),
        "this check does not know the key 'wrappers' of an entry"
    );
}
