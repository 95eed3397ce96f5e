//! Which crate may depend on which: the table, and the check that it holds.
//!
//! The layers keep decisions apart from I/O, and the module small: it is loaded into sshd, so a
//! dependency that starts a thread or installs a handler there is a fault of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::metadata;
use crate::problem::{Problem, Result};

/// Each crate of the workspace with those of the workspace that it may depend on, in any way.
const MAY_DEPEND_ON: [(&str, &[&str]); 11] = [
    ("fairshare-protocol", &[]),
    ("fairshare-client", &["fairshare-protocol"]),
    ("fairshare-core", &["fairshare-protocol"]),
    ("pam_fairshare", &["fairshare-protocol", "fairshare-client"]),
    ("libfairshare", &["fairshare-client"]),
    (
        "fairshare",
        &["fairshare-protocol", "fairshare-client", "fairshare-pages"],
    ),
    (
        "fairshared",
        &["fairshare-protocol", "fairshare-core", "fairshare-pages"],
    ),
    (
        "fairshare-exporter",
        &["fairshare-protocol", "fairshare-client", "fairshare-pages"],
    ),
    ("fairshare-pages", &[]),
    ("fairshare-tests", &["fairshare-protocol"]),
    ("xtask", &[]),
];

/// The crate that is loaded into other programs.
const MODULE: &str = "pam_fairshare";

/// Every crate from outside that may be linked into the module or expand its code, however
/// deep. Another one needs a reason in `docs/decisions/`.
const IN_THE_MODULE: [&str; 13] = [
    "libc",
    "pam-bindings",
    "zeroize", // of pam-bindings
    "serde",
    "serde_core",
    "serde_json",
    "itoa",   // of serde_json
    "memchr", // of serde_json
    "zmij",   // of serde_json
    // Only while compiling, for serde's derive.
    "serde_derive",
    "proc-macro2",
    "quote",
    "syn",
];

/// What `IN_THE_MODULE` has besides, as the derive's own.
const OF_THE_DERIVE: [&str; 1] = ["unicode-ident"];

/// What the check needs to know of the packages.
#[derive(Debug, Default)]
struct Graph {
    /// Each crate of the workspace with the names of all that it depends on, in any way.
    direct: BTreeMap<String, BTreeSet<String>>,
    /// Each package with the packages that end up in it: its dependencies but those of its tests
    /// and build scripts.
    linked: BTreeMap<String, BTreeSet<String>>,
}

/// Fails when a crate depends on what the tables do not allow.
pub(crate) fn check() -> Result<()> {
    let graph = metadata::understood(graph(&metadata::asked()?))?;
    let found = violations(&graph);
    if found.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "dependencies that are not allowed:\n  {}",
            found.join("\n  ")
        )))
    }
}

/// Every violation of the tables, a sentence each.
fn violations(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (name, dependencies) in &graph.direct {
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(known, _)| known == name) else {
            found.push(format!("'{name}' is not in the table of layers"));
            continue;
        };
        for dependency in dependencies {
            let inside = graph.direct.contains_key(dependency);
            if inside && !allowed.contains(&dependency.as_str()) {
                found.push(format!("'{name}' may not depend on '{dependency}'"));
            }
        }
    }
    for (name, path) in reached(graph, MODULE) {
        let inside = graph.direct.contains_key(&name);
        let known =
            IN_THE_MODULE.contains(&name.as_str()) || OF_THE_DERIVE.contains(&name.as_str());
        if !inside && !known {
            found.push(format!("'{name}' may not be in the module ({path})"));
        }
    }
    found
}

/// All packages that end up in `root`, each with a path that leads to it.
fn reached(graph: &Graph, root: &str) -> BTreeMap<String, String> {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    let mut open = vec![(root.to_owned(), root.to_owned())];
    while let Some((name, path)) = open.pop() {
        for next in graph.linked.get(&name).into_iter().flatten() {
            if next != root && !paths.contains_key(next) {
                let path = format!("{path} -> {next}");
                paths.insert(next.clone(), path.clone());
                open.push((next.clone(), path));
            }
        }
    }
    paths
}

/// Reads what `cargo metadata` printed.
fn graph(metadata: &Value) -> Option<Graph> {
    let members: BTreeSet<_> = metadata["workspace_members"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let mut names = BTreeMap::new();
    let mut graph = Graph::default();
    for package in metadata["packages"].as_array()? {
        let (id, name) = (package["id"].as_str()?, package["name"].as_str()?);
        names.insert(id, name);
        if members.contains(id) {
            let dependencies = package["dependencies"].as_array()?.iter();
            let dependencies = dependencies.filter_map(|dependency| dependency["name"].as_str());
            graph
                .direct
                .insert(name.to_owned(), dependencies.map(str::to_owned).collect());
        }
    }
    for node in metadata.pointer("/resolve/nodes")?.as_array()? {
        let linked = graph
            .linked
            .entry((*names.get(node["id"].as_str()?)?).to_owned());
        let linked = linked.or_default();
        for dependency in node["deps"].as_array()? {
            let kinds = dependency["dep_kinds"].as_array()?;
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                linked.insert((*names.get(dependency["pkg"].as_str()?)?).to_owned());
            }
        }
    }
    Some(graph)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A graph in which each pair of the lists is a dependency.
    fn graph_of(members: &[&str], linked: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for &member in members {
            graph.direct.insert(member.to_owned(), BTreeSet::new());
        }
        for &(from, to) in linked {
            graph
                .linked
                .entry(from.to_owned())
                .or_default()
                .insert(to.to_owned());
            if let Some(direct) = graph.direct.get_mut(from) {
                direct.insert(to.to_owned());
            }
        }
        graph
    }

    const MEMBERS: [&str; 4] = [
        "fairshare-protocol",
        "fairshare-client",
        "pam_fairshare",
        "xtask",
    ];

    #[test]
    fn allowed_dependencies_pass() {
        let graph = graph_of(
            &MEMBERS,
            &[
                ("fairshare-client", "fairshare-protocol"),
                ("fairshare-protocol", "serde_json"),
                ("pam_fairshare", "fairshare-client"),
                ("pam_fairshare", "libc"),
                ("xtask", "clap"),
            ],
        );
        assert_eq!(violations(&graph), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_upwards_is_found() {
        let graph = graph_of(&MEMBERS, &[("fairshare-protocol", "fairshare-client")]);
        assert_eq!(
            violations(&graph),
            ["'fairshare-protocol' may not depend on 'fairshare-client'"]
        );
    }

    #[test]
    fn a_runtime_deep_in_the_module_is_found_with_its_path() {
        let graph = graph_of(
            &MEMBERS,
            &[
                ("pam_fairshare", "fairshare-client"),
                ("fairshare-client", "libc"),
                ("libc", "tokio"),
            ],
        );
        assert_eq!(
            violations(&graph),
            [
                "'tokio' may not be in the module (pam_fairshare -> fairshare-client -> libc -> tokio)"
            ]
        );
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found() {
        let graph = graph_of(&["fairshare-common"], &[]);
        assert_eq!(
            violations(&graph),
            ["'fairshare-common' is not in the table of layers"]
        );
    }

    #[test]
    fn a_cycle_does_not_hold_the_check_up() {
        let graph = graph_of(
            &MEMBERS,
            &[("pam_fairshare", "libc"), ("libc", "pam_fairshare")],
        );
        assert_eq!(violations(&graph), Vec::<String>::new());
    }

    #[test]
    fn what_tests_need_counts_between_crates_but_not_for_the_module() {
        let metadata = json!({
            "workspace_members": ["a#pam_fairshare", "b#fairshare-core"],
            "packages": [
                {"id": "a#pam_fairshare", "name": "pam_fairshare", "dependencies": [
                    {"name": "tempfile", "kind": "dev"},
                    {"name": "fairshare-core", "kind": "dev"},
                ]},
                {"id": "b#fairshare-core", "name": "fairshare-core", "dependencies": []},
                {"id": "c#tempfile", "name": "tempfile", "dependencies": []},
            ],
            "resolve": {"nodes": [
                {"id": "a#pam_fairshare", "deps": [
                    {"pkg": "c#tempfile", "dep_kinds": [{"kind": "dev"}]},
                    {"pkg": "b#fairshare-core", "dep_kinds": [{"kind": "dev"}]},
                ]},
                {"id": "b#fairshare-core", "deps": []},
                {"id": "c#tempfile", "deps": []},
            ]},
        });
        let graph = graph(&metadata).unwrap();
        assert_eq!(
            violations(&graph),
            ["'pam_fairshare' may not depend on 'fairshare-core'"]
        );
    }
}
