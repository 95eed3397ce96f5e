//! Helper: systemd's side of the daemon's calls, on a bus of its own.
//!
//! A thousand logged-in users would be a thousand slices, scopes and processes, and what is to be
//! measured is the daemon alone. So this answers the calls that the daemon makes, over real D-Bus,
//! and writes the limits into a folder that looks like a cgroup tree. It does as systemd was seen
//! to do: a unit is made transient once; `TasksMax` of `StartTransientUnit` has no effect on a
//! user's slice, because a drop-in of logind's beats it; each started unit gets a job, whose end a
//! signal tells.

#![allow(
    clippy::needless_pass_by_value,
    clippy::used_underscore_binding,
    reason = "the interface macro passes what D-Bus sends, by value and whether it is used or not"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::future;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fairshare_tests::{LabError, Result};
use zbus::object_server::SignalEmitter;
use zbus::{ObjectServer, OwnedObjectPath, OwnedVariant, fdo, interface};

use super::kernel_files::{file_of, text_of};

const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";
/// What it says it is.
const VERSION: &str = "257";

/// Serves until it is killed; says `ready` when it does.
///
/// `root` looks like a cgroup tree, `systemd` like `/run/systemd`.
pub(super) fn run(root: &Path, systemd: &Path) -> Result<()> {
    let transient = systemd.join("transient");
    fs::create_dir_all(&transient).map_err(LabError::io("create", &transient))?;
    let manager = Manager {
        root: root.to_owned(),
        unit_files: transient,
        transient: BTreeSet::new(),
        jobs: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| LabError::other(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let _connection = zbus::connection::Builder::system()
            .name(NAME)
            .serve_at(MANAGER, manager)
            .build()
            .await
            .map_err(|error| LabError::other(format!("cannot be systemd: {error}")))?;
        println!("ready");
        future::pending().await
    })
}

/// The folder of a user's slice, made as a new one is: active and without limits.
pub(super) fn make_slice(root: &Path, uid: u32) -> Result<PathBuf> {
    let folder = folder(root, &format!("user-{uid}.slice"));
    fs::create_dir_all(&folder).map_err(LabError::io("create", &folder))?;
    for (name, text) in [
        ("cpu.max", "max 100000"),
        ("cpu.weight", "100"),
        ("memory.max", "max"),
        ("memory.high", "max"),
        ("memory.low", "0"),
        ("memory.swap.max", "max"),
        ("pids.max", "4915"),
        ("memory.current", "12582912"),
        (
            "memory.stat",
            "anon 4194304\nfile 8388608\ninactive_file 4194304\nactive_file 2097152",
        ),
        ("pids.current", "7"),
    ] {
        write(&folder, name, text)?;
    }
    Ok(folder)
}

/// Slices of users that are as this one is. A folder with files of its own for each of ten thousand
/// users would take half a gigabyte of memory.
pub(super) fn share_slice(root: &Path, from: &Path, uids: Range<u32>) -> Result<()> {
    for uid in uids {
        let path = folder(root, &format!("user-{uid}.slice"));
        symlink(from, &path).map_err(LabError::io("create", &path))?;
    }
    Ok(())
}

struct Manager {
    root: PathBuf,
    /// Where transient units have their files.
    unit_files: PathBuf,
    /// The units that were made transient.
    transient: BTreeSet<String>,
    jobs: u32,
}

type Properties = Vec<(String, OwnedVariant)>;

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(property)]
    #[expect(clippy::unused_self, reason = "the macro wants it")]
    fn version(&self) -> &'static str {
        VERSION
    }

    #[expect(clippy::unused_self, reason = "the macro wants it")]
    fn subscribe(&self) {}

    #[expect(clippy::unused_self, reason = "the macro wants it")]
    fn reload(&self) {}

    async fn load_unit(
        &self,
        #[zbus(object_server)] server: &ObjectServer,
        name: &str,
    ) -> fdo::Result<OwnedObjectPath> {
        let path = object_path("unit", name)?;
        // The one of an earlier call, if there is one.
        let _ = server.remove::<Unit, _>(&path).await;
        server.at(&path, Unit).await?;
        Ok(path)
    }

    fn set_unit_properties(
        &self,
        name: &str,
        _runtime: bool,
        properties: Properties,
    ) -> fdo::Result<()> {
        self.set(name, &properties, true)
    }

    async fn start_transient_unit(
        &mut self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        name: &str,
        _mode: &str,
        properties: Properties,
        aux: Vec<(String, Properties)>,
    ) -> fdo::Result<OwnedObjectPath> {
        if !self.transient.insert(name.to_owned()) {
            return Err(fdo::Error::Failed(format!(
                "Unit {name} was already loaded or has a fragment file."
            )));
        }
        // Nobody reads those of scopes.
        if name.strip_suffix(".slice").is_some() {
            write(&self.unit_files, name, "# a transient unit")
                .map_err(|error| fdo::Error::Failed(error.to_string()))?;
            self.set(name, &properties, false)?;
        }
        for (slice, properties) in &aux {
            self.set(slice, properties, false)?;
        }
        self.jobs += 1;
        let job = object_path("job", &self.jobs.to_string())?;
        Self::job_removed(&emitter, self.jobs, &job, name, "done").await?;
        Ok(job)
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: &OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

impl Manager {
    /// Writes limits as the kernel would show them.
    fn set(&self, slice: &str, properties: &Properties, tasks: bool) -> fdo::Result<()> {
        let folder = folder(&self.root, slice);
        for (name, value) in properties {
            let Some(file) = file_of(name, tasks) else {
                continue;
            };
            let value = value
                .downcast_ref::<u64>()
                .map_err(|error| fdo::Error::InvalidArgs(format!("{name}: {error}")))?;
            write(&folder, file, &text_of(file, value))
                .map_err(|error| fdo::Error::Failed(error.to_string()))?;
        }
        Ok(())
    }
}

/// The object of a unit. All units are loaded.
struct Unit;

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    #[expect(clippy::unused_self, reason = "the macro wants it")]
    fn load_state(&self) -> &'static str {
        "loaded"
    }
}

/// An object of this kind. What D-Bus has no room for in a path is written in hexadecimal.
fn object_path(kind: &str, name: &str) -> fdo::Result<OwnedObjectPath> {
    let mut path = format!("{MANAGER}/{kind}/");
    for byte in name.bytes() {
        // Writing to a string does not fail.
        let _ = match byte {
            byte if byte.is_ascii_alphanumeric() => write!(path, "{}", char::from(byte)),
            byte => write!(path, "_{byte:02x}"),
        };
    }
    OwnedObjectPath::try_from(path).map_err(|error| fdo::Error::Failed(error.to_string()))
}

fn folder(root: &Path, slice: &str) -> PathBuf {
    root.join("user.slice").join(slice)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, format!("{text}\n")).map_err(LabError::io("write", &path))
}
