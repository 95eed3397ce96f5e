//! systemd's side of the daemon's calls: real D-Bus, and files that look like a cgroup tree.
//!
//! It does as systemd was seen to do: a unit is made transient once; `TasksMax` of
//! `StartTransientUnit` has no effect on a user's slice; each started unit gets a job, whose end a
//! signal tells; a signal tells when a slice has gone.

#![allow(
    clippy::needless_pass_by_value,
    clippy::used_underscore_binding,
    clippy::unused_self,
    reason = "the interface macro passes what D-Bus sends, by value and whether it is used or not"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use tokio::net::UnixListener;
use tokio::sync::mpsc;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectServer, OwnedObjectPath, OwnedVariant, fdo, interface};

use super::kernel_files::{file_of, text_of};

const MANAGER: &str = "/org/freedesktop/systemd1";
const UNIT: &str = "/org/freedesktop/systemd1/unit/any";

/// A systemd in a thread of its own, which ends with the test's process.
#[derive(Debug)]
pub(super) struct FakeSystemd {
    folder: PathBuf,
    state: Arc<Mutex<State>>,
    gone: mpsc::UnboundedSender<String>,
}

#[derive(Debug, Default)]
struct State {
    /// The units that were made transient.
    transient: BTreeSet<String>,
    /// The units on which nothing can be set.
    stubborn: BTreeSet<String>,
    /// The calls that were carried out.
    calls: u64,
}

impl FakeSystemd {
    /// Serves whoever connects to the socket in this folder.
    pub(super) fn start(folder: &Path) -> Self {
        // The mark of logind, and the folder on which a new time counts.
        for part in ["run/seats", "run/system", "run/transient", "cgroup"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::write(folder.join("cgroup/cgroup.controllers"), "cpu memory pids").unwrap();
        let state = Arc::<Mutex<State>>::default();
        let (gone, removed) = mpsc::unbounded_channel();
        let manager = Manager {
            folder: folder.to_owned(),
            state: Arc::clone(&state),
        };
        let listener = std::os::unix::net::UnixListener::bind(folder.join("systemd")).unwrap();
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || serve(&listener, &manager, removed));
        Self {
            folder: folder.to_owned(),
            state,
            gone,
        }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("systemd")
    }

    pub(super) fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    pub(super) fn cgroups(&self) -> PathBuf {
        self.folder.join("cgroup")
    }

    /// The folder of a user's slice.
    pub(super) fn slice(&self, uid: u32) -> PathBuf {
        slice_folder(&self.folder, &slice_of(uid))
    }

    /// Refuses to set anything for a user, or does so again.
    pub(super) fn refuse(&self, uid: u32, refuses: bool) {
        let mut state = self.state.lock().unwrap();
        if refuses {
            state.stubborn.insert(slice_of(uid));
        } else {
            state.stubborn.remove(&slice_of(uid));
        }
    }

    /// The user's last process has ended: the slice goes with all that was set on it.
    pub(super) fn remove_slice(&self, uid: u32) {
        let slice = slice_of(uid);
        self.state.lock().unwrap().transient.remove(&slice);
        fs::remove_dir_all(self.slice(uid)).unwrap();
        let transient = self.run().join("transient");
        let _ = fs::remove_file(transient.join(&slice));
        let _ = fs::remove_dir_all(transient.join(format!("{slice}.d")));
        self.gone.send(slice).unwrap();
    }

    /// How many calls were carried out.
    pub(super) fn calls(&self) -> u64 {
        self.state.lock().unwrap().calls
    }
}

fn serve(
    listener: &std::os::unix::net::UnixListener,
    manager: &Manager,
    mut removed: mpsc::UnboundedReceiver<String>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = UnixListener::from_std(listener.try_clone().unwrap()).unwrap();
        // Only the last daemon hears anything: those before were killed.
        let mut connection: Option<Connection> = None;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted.unwrap();
                    connection = Some(manager.connect(stream).await);
                }
                slice = removed.recv() => {
                    let (Some(slice), Some(connection)) = (slice, &connection) else {
                        return;
                    };
                    let emitter = SignalEmitter::new(connection, MANAGER).unwrap();
                    let path = OwnedObjectPath::try_from(UNIT).unwrap();
                    // The daemon may be about to start again.
                    let _ = Manager::unit_removed(&emitter, &slice, &path).await;
                }
            }
        }
    });
}

#[derive(Clone, Debug)]
struct Manager {
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

type Properties = Vec<(String, OwnedVariant)>;

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(property)]
    fn version(&self) -> &'static str {
        "257"
    }

    fn subscribe(&self) {}

    fn reload(&self) {}

    async fn load_unit(
        &self,
        #[zbus(object_server)] server: &ObjectServer,
        _name: &str,
    ) -> fdo::Result<OwnedObjectPath> {
        server.at(UNIT, Unit).await?;
        Ok(OwnedObjectPath::try_from(UNIT).unwrap())
    }

    fn set_unit_properties(
        &self,
        name: &str,
        _runtime: bool,
        properties: Properties,
    ) -> fdo::Result<()> {
        if self.state().stubborn.contains(name) {
            return Err(fdo::Error::Failed("it is not to be".to_owned()));
        }
        self.set(name, &properties, true);
        Ok(())
    }

    async fn start_transient_unit(
        &self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        name: &str,
        _mode: &str,
        properties: Properties,
        aux: Vec<(String, Properties)>,
    ) -> fdo::Result<OwnedObjectPath> {
        if !self.state().transient.insert(name.to_owned()) {
            return Err(fdo::Error::Failed(format!(
                "Unit {name} was already loaded or has a fragment file."
            )));
        }
        if name.strip_suffix(".slice").is_some() {
            fs::write(self.transient().join(name), "").unwrap();
            self.set(name, &properties, false);
        }
        for (slice, properties) in &aux {
            self.begin_slice(slice);
            self.set(slice, properties, false);
        }
        let job = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/1").unwrap();
        Self::job_removed(&emitter, 1, &job, name, "done").await?;
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

    #[zbus(signal)]
    async fn unit_removed(
        emitter: &SignalEmitter<'_>,
        unit: &str,
        path: &OwnedObjectPath,
    ) -> zbus::Result<()>;
}

impl Manager {
    async fn connect(&self, stream: tokio::net::UnixStream) -> Connection {
        zbus::connection::Builder::unix_stream(stream.into_std().unwrap())
            .server(zbus::Guid::generate())
            .p2p()
            .serve_at(MANAGER, self.clone())
            .build()
            .await
            .unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn transient(&self) -> PathBuf {
        self.folder.join("run/transient")
    }

    /// A new slice, without limits and with a few processes in it.
    fn begin_slice(&self, slice: &str) {
        let folder = slice_folder(&self.folder, slice);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in [
            ("cpu.max", "max 100000"),
            ("cpu.weight", "100"),
            ("cpu.stat", "usage_usec 0"),
            ("memory.max", "max"),
            ("memory.high", "max"),
            ("memory.low", "0"),
            ("memory.swap.max", "max"),
            ("memory.current", "0"),
            ("memory.stat", "inactive_file 0"),
            ("pids.max", "4915"),
            ("pids.current", "7"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    /// Writes limits as the kernel would show them. On a slice that is not there nothing happens,
    /// and systemd says nothing.
    fn set(&self, slice: &str, properties: &Properties, tasks: bool) {
        self.state().calls += 1;
        let folder = slice_folder(&self.folder, slice);
        if !folder.exists() {
            return;
        }
        let drop_ins = self.transient().join(format!("{slice}.d"));
        fs::create_dir_all(&drop_ins).unwrap();
        for (name, value) in properties {
            let Some(file) = file_of(name, tasks) else {
                continue;
            };
            fs::write(drop_ins.join(format!("50-{name}.conf")), "").unwrap();
            let value = value.downcast_ref::<u64>().unwrap();
            fs::write(folder.join(file), text_of(file, value)).unwrap();
        }
    }
}

/// The object of a unit. All units are loaded.
struct Unit;

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn load_state(&self) -> &'static str {
        "loaded"
    }
}

fn slice_of(uid: u32) -> String {
    format!("user-{uid}.slice")
}

fn slice_folder(folder: &Path, slice: &str) -> PathBuf {
    folder.join("cgroup/user.slice").join(slice)
}
