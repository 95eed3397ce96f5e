//! The machine's systemd over D-Bus: puts processes into slices, and makes the bare calls that the
//! module is compared with.

use std::fs;
use std::future::Future;
use std::time::Duration;

use fairshare_tests::wait::{self, Look};
use fairshare_tests::{LabError, Result};
use tokio::runtime::Runtime;
use zbus::{Connection, OwnedObjectPath, Variant, proxy};

use super::limits;
use super::people::Person;

/// For a unit to start or to go.
const UNIT_BOUND: Duration = Duration::from_secs(30);

/// A property's name and value.
type Property = (&'static str, Variant<'static>);

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn set_unit_properties(
        &self,
        name: &str,
        runtime: bool,
        properties: &[Property],
    ) -> zbus::Result<()>;
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: &[Property],
        aux: &[(&str, &[Property])],
    ) -> zbus::Result<OwnedObjectPath>;
}

/// systemd, over a connection that stays open.
#[derive(Debug)]
pub(super) struct Systemd {
    runtime: Runtime,
    connection: Connection,
    manager: ManagerProxy<'static>,
}

impl Systemd {
    /// Connects to the system bus.
    pub(super) fn connect() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| LabError::other(format!("cannot start the runtime: {error}")))?;
        let (connection, manager) = runtime
            .block_on(async {
                let connection = Connection::system().await?;
                let manager = ManagerProxy::new(&connection).await?;
                Ok((connection, manager))
            })
            .map_err(|error: zbus::Error| {
                LabError::other(format!("cannot connect to the system bus: {error}"))
            })?;
        Ok(Self {
            runtime,
            connection,
            manager,
        })
    }

    /// Puts a process into the person's slice, as `pam_systemd` does with a login.
    pub(super) fn place(&self, pid: u32, person: &Person) -> Result<()> {
        let slice = person.slice();
        let properties = [
            ("Slice", Variant::from(slice.clone())),
            ("PIDs", Variant::from(vec![pid])),
        ];
        let scope = format!("bench-{pid}.scope");
        let start = self
            .manager
            .start_transient_unit(&scope, "fail", &properties, &[]);
        self.call("start a scope", start)?;
        let path = format!("/proc/{pid}/cgroup");
        wait::until(
            "a process to be in its user's slice",
            UNIT_BOUND,
            || match fs::read_to_string(&path) {
                Ok(cgroup) if cgroup.contains(&format!("/{slice}/")) => Ok(Look::Done(())),
                Ok(cgroup) => Ok(Look::NotYet(cgroup)),
                Err(error) => Err(LabError::io("read", &path)(error)),
            },
        )
    }

    /// Limits a slice that is active and not limited yet, and reads back.
    pub(super) fn limit_first(&self, slice: &str) -> Result<()> {
        let limits = limits();
        self.call("limit a slice", async {
            self.manager
                .start_transient_unit(slice, "fail", &limits, &[])
                .await?;
            self.set(slice, &limits).await
        })?;
        limits::read_back(slice)
    }

    /// Sets the limits of a slice that has them already, and reads back.
    pub(super) fn limit_again(&self, slice: &str) -> Result<()> {
        let limits = limits();
        self.call("limit a slice", self.set(slice, &limits))?;
        limits::read_back(slice)
    }

    /// Sets properties, and returns when they are in the kernel: systemd writes them there after it
    /// has answered, but before it takes the next message.
    async fn set(&self, slice: &str, properties: &[Property]) -> zbus::Result<()> {
        self.manager
            .set_unit_properties(slice, true, properties)
            .await?;
        let peer = Some("org.freedesktop.DBus.Peer");
        self.connection
            .call_method(
                Some("org.freedesktop.systemd1"),
                "/org/freedesktop/systemd1",
                peer,
                "Ping",
                &(),
            )
            .await?;
        Ok(())
    }

    fn call<T>(&self, what: &str, work: impl Future<Output = zbus::Result<T>>) -> Result<T> {
        self.runtime
            .block_on(work)
            .map_err(|error| LabError::other(format!("cannot {what}: {error}")))
    }
}

/// Waits until nothing is left of a person's slice.
pub(super) fn wait_gone(person: &Person) -> Result<()> {
    let folder = limits::folder(&person.slice());
    wait::until("a slice to go with its last process", UNIT_BOUND, || {
        Ok(if folder.exists() {
            Look::NotYet(format!("'{}' is there", folder.display()))
        } else {
            Look::Done(())
        })
    })
}

/// The limits of [`limits`] in systemd's terms.
fn limits() -> Vec<Property> {
    vec![
        ("CPUQuotaPerSecUSec", Variant::from(2_000_000_u64)),
        ("MemoryMax", Variant::from(8_u64 << 30)),
        ("MemorySwapMax", Variant::from(0_u64)),
        ("TasksMax", Variant::from(4096_u64)),
    ]
}
