//! What cargo knows of the packages, as far as the checks of layers and of what comes from others ask
//! for it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::problem::{Problem, Result};
use crate::program;

/// The system that the packages are built for.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A package of the workspace or of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The licence as its author wrote it, mostly an SPDX expression.
    pub(crate) licence: Option<String>,
    /// Where it comes from; nothing for a folder of this checkout.
    pub(crate) source: Option<String>,
    /// Where its `Cargo.toml` lies.
    pub(crate) folder: PathBuf,
    /// What it depends on, with the versions that it asks for.
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a package asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `*` where anything will do.
    pub(crate) requirement: String,
    /// Whether it is a folder of this checkout.
    pub(crate) by_path: bool,
}

/// Every package that `Cargo.lock` brings in on [`TARGET`], tests and build scripts included.
pub(crate) fn packages() -> Result<Vec<Package>> {
    understood(read(&asked()?))
}

/// What cargo says of everything that `Cargo.lock` brings in on [`TARGET`]. Without a target, what
/// other systems need would count too.
///
/// Nothing is fetched where cargo has the packages already.
pub(crate) fn asked() -> Result<Value> {
    let mut command = program::cargo(&["metadata", "--locked", "--format-version=1"]);
    command.args(["--filter-platform", TARGET]);
    let output = program::output(&mut command)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Problem::new(format!("cargo metadata failed\n{text}")));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Problem::new(format!("cargo metadata is not JSON: {error}")))
}

/// What was read of [`asked`]; nothing where it has another form.
pub(crate) fn understood<T>(read: Option<T>) -> Result<T> {
    read.ok_or_else(|| Problem::new("cargo metadata has another form than expected"))
}

fn read(metadata: &Value) -> Option<Vec<Package>> {
    let nodes = metadata.pointer("/resolve/nodes")?.as_array()?;
    let used: Vec<_> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"].as_array()?.iter();
    packages
        .filter(|package| package["id"].as_str().is_some_and(|id| used.contains(&id)))
        .map(package)
        .collect()
}

fn package(value: &Value) -> Option<Package> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let dependencies = value["dependencies"].as_array()?.iter();
    Some(Package {
        name: text("name")?,
        version: text("version")?,
        licence: text("license"),
        source: text("source"),
        folder: Path::new(value["manifest_path"].as_str()?)
            .parent()?
            .to_path_buf(),
        dependencies: dependencies.map(dependency).collect::<Option<_>>()?,
    })
}

fn dependency(value: &Value) -> Option<Dependency> {
    Some(Dependency {
        name: value["name"].as_str()?.to_owned(),
        requirement: value["req"].as_str()?.to_owned(),
        by_path: value["path"].is_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_used_on_the_target_is_left_out() {
        let package = |name: &str| {
            json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": null,
                "manifest_path": format!("/somewhere/{name}/Cargo.toml"),
                "dependencies": [{"name": "other", "req": "*", "path": "/somewhere/other"}]})
        };
        let metadata = json!({
            "packages": [package("used"), package("of-windows")],
            "resolve": {"nodes": [{"id": "used"}]},
        });
        let packages = read(&metadata).unwrap();
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0].name, "used");
        assert_eq!(packages[0].folder, Path::new("/somewhere/used"));
        assert!(packages[0].dependencies[0].by_path);
    }
}
