//! Limits on systemd's slices.
//!
//! The slice is made transient where it can be, so that systemd drops it with every limit when the
//! user's last process is gone, even if this daemon is dead by then. What systemd says is not
//! taken for what holds: every change is read back from the cgroup files.

mod bus;
mod hook_service;
mod logind;
mod properties;
mod steps;
mod unit_files;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fairshare_core::Limits;
use fairshare_core::policy::SliceScheme;
use tokio::sync::mpsc;
use tracing::debug;

pub(crate) use self::bus::BusEvent;
use self::bus::{Bus, CallError, Wire};
pub(crate) use self::hook_service::HookServices;
use self::properties::{Optional, Properties};
use self::unit_files::UnitFiles;
use super::{Applied, Enforcement, EnforcementError, Login, LoginName, NewScope};
use crate::cgroup::{CgroupTree, Enforced, SliceCgroup, Wanted};
use crate::counts::COUNTS;
use crate::leader::slice_user;

/// How long one call to systemd, or one job of it, may take.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// The slice that logind puts all users under.
const USERS_OF_LOGIND: &str = "user.slice";
/// The slice that users are under without it.
const USERS_OF_OURS: &str = "fairshare.slice";

/// The name under which the daemon speaks of logind.
const LOGIND: &str = "logind";

/// What is known of a slice, as long as its cgroup is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Transient: it goes with all that was set on it.
    Transient,
    /// It has a unit file of the administrator's: what is set stays and must be undone.
    OfAdministrator,
}

/// Enforcement by systemd over the system bus.
#[derive(Debug)]
pub(crate) struct Systemd {
    bus: Bus,
    cgroups: CgroupTree,
    files: UnitFiles,
    user_slices: bool,
    /// The kind of each slice, with the inode of the cgroup it was learnt on.
    kinds: Mutex<HashMap<String, (u64, Kind)>>,
    /// Slices whose `memory.high` was lowered and has to be lifted in the end.
    lowering: Mutex<HashSet<String>>,
}

impl Systemd {
    /// Connects to the system bus in the background, and again whenever it is lost. Events come on
    /// the channel. `run` is the folder of systemd's files at run time.
    pub(crate) fn start(
        scheme: SliceScheme,
        cgroups: CgroupTree,
        run: &Path,
        events: mpsc::Sender<BusEvent>,
    ) -> Self {
        Self::on(Bus::start(Wire::SystemBus, events), scheme, cgroups, run)
    }

    /// As [`Systemd::start`], with a systemd that listens on a socket of its own.
    #[cfg(test)]
    pub(crate) fn start_at(
        socket: &Path,
        cgroups: CgroupTree,
        run: &Path,
        events: mpsc::Sender<BusEvent>,
    ) -> Self {
        let bus = Bus::start(Wire::Socket(socket.to_owned()), events);
        Self::on(bus, SliceScheme::Auto, cgroups, run)
    }

    /// What runs hooks, over the same connection.
    pub(crate) fn hook_runner(&self) -> HookServices {
        HookServices::new(self.bus.clone())
    }

    fn on(bus: Bus, scheme: SliceScheme, cgroups: CgroupTree, run: &Path) -> Self {
        // Slices may have gone while no daemon was there.
        let files = UnitFiles::new(run);
        files.let_systemd_look_again("all");
        let user_slices = users_slice(scheme, run) == USERS_OF_LOGIND;
        Self {
            bus,
            cgroups,
            files,
            user_slices,
            kinds: Mutex::default(),
            lowering: Mutex::default(),
        }
    }

    /// Sets properties on an active slice, making it transient first where that was not done yet.
    /// When it returns, systemd has written them to the cgroup files.
    ///
    /// systemd takes messages in the order in which they are sent. So what follows does not wait
    /// for the answer to what goes before: a first login waits for one round trip and not three.
    async fn set(
        &self,
        unit: &str,
        slice: &SliceCgroup,
        properties: &Properties,
    ) -> Result<Kind, EnforcementError> {
        let known = self.known_kind(unit, slice);
        if known.is_none() {
            let start = self.bus.make_transient(unit, properties);
            self.call("StartTransientUnit", unit, start).await?;
        }
        // Also after StartTransientUnit: a drop-in of logind's beats TasksMax in the unit's own
        // file, and what is set here beats the drop-in.
        let set = self.bus.set_unit_properties(unit, properties);
        // The files are written behind the answer, but before the next message is taken.
        let (set, settled) = tokio::join!(
            self.call("SetUnitProperties", unit, set),
            self.call("Ping", unit, self.bus.ping()),
        );
        set?;
        settled?;
        Ok(known.unwrap_or_else(|| self.learn_kind(unit, slice)))
    }

    /// The slice that the users' slices lie in.
    fn above(&self) -> &'static str {
        if self.user_slices {
            USERS_OF_LOGIND
        } else {
            USERS_OF_OURS
        }
    }

    fn known_kind(&self, unit: &str, slice: &SliceCgroup) -> Option<Kind> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds
            .get(unit)
            .filter(|(inode, _)| *inode == slice.inode())
            .map(|(_, kind)| *kind)
    }

    /// Learns what making the slice transient came to. systemd refuses where it is transient
    /// already, which is as good, and where it has a unit file of the administrator's.
    fn learn_kind(&self, unit: &str, slice: &SliceCgroup) -> Kind {
        let kind = if self.files.is_transient(unit) {
            Kind::Transient
        } else {
            debug!(unit, "unit has a file of its own, properties are set on it");
            Kind::OfAdministrator
        };
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(unit.to_owned(), (slice.inode(), kind));
        kind
    }

    /// Reads back. Where the files do not agree, one more round trip shows whether they only were
    /// late.
    async fn read_back(
        &self,
        unit: &str,
        slice: &SliceCgroup,
        wanted: &Wanted,
        kind: Kind,
    ) -> Result<Applied, EnforcementError> {
        let mut enforced = slice.enforced();
        if !enforced.holds(wanted) {
            self.call("Ping", unit, self.bus.ping()).await?;
            enforced = slice.enforced();
        }
        Ok(Applied {
            differences: enforced.shortfalls(wanted),
            enforced,
            lowering: false,
            to_undo: kind == Kind::OfAdministrator,
        })
    }

    /// What was set over D-Bus and policy does not ask for any more: policy has changed, or a step
    /// down was left half-way by a daemon that was killed. systemd has a file of each setting; an
    /// administrator's own stands elsewhere, and stays.
    fn to_take_back(&self, unit: &str, enforced: &Enforced, wanted: &Wanted) -> Vec<Optional> {
        let lowered = self.is_lowering(unit);
        let ours = |setting: &Optional| {
            (lowered && *setting == Optional::MemoryHigh)
                || self.files.has_setting(unit, setting.name())
        };
        Optional::ALL
            .into_iter()
            .filter(|setting| setting.is_left(enforced, wanted) && ours(setting))
            .collect()
    }

    /// Waits for a call, and words what went wrong.
    async fn call<T>(
        &self,
        call: &'static str,
        unit: &str,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, EnforcementError> {
        let unit = || unit.to_owned();
        let begun = Instant::now();
        let done = tokio::time::timeout(CALL_DEADLINE, work).await;
        COUNTS.systemd_call(begun.elapsed(), matches!(done, Ok(Ok(_))));
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(CallError::NoBus)) => Err(EnforcementError::NoBus),
            Ok(Err(CallError::Refused(reason))) => Err(EnforcementError::Refused {
                call,
                unit: unit(),
                reason,
            }),
            Ok(Err(CallError::Job(result))) => Err(EnforcementError::JobFailed {
                unit: unit(),
                result,
            }),
            Err(_) => Err(EnforcementError::Deadline { call, unit: unit() }),
        }
    }

    fn is_lowering(&self, unit: &str) -> bool {
        self.lowering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(unit)
    }

    fn set_lowering(&self, unit: &str, lowering: bool) {
        let mut units = self.lowering.lock().unwrap_or_else(PoisonError::into_inner);
        if lowering {
            units.insert(unit.to_owned());
        } else {
            units.remove(unit);
        }
    }

    fn active(&self, uid: u32) -> Result<(String, SliceCgroup), EnforcementError> {
        let unit = self.slice(uid);
        match self.cgroups.slice(&unit) {
            Some(slice) => Ok((unit, slice)),
            None => Err(EnforcementError::NoSlice { unit }),
        }
    }

    /// Makes everything hold but memory, which comes down by one step: `memory.max` stays where it
    /// is, `memory.high` lets the kernel reclaim and slows the user's programs meanwhile. The steps
    /// end where policy has `memory.high`, or at the limit.
    async fn step_down(
        &self,
        unit: &str,
        slice: &SliceCgroup,
        limits: &Limits,
        wanted: &Wanted,
        charged: u64,
    ) -> Result<Applied, EnforcementError> {
        let high = steps::next(charged, wanted);
        self.set_lowering(unit, true);
        let properties = Properties::lowering(limits, wanted, high);
        let kind = self.set(unit, slice, &properties).await?;
        let applied = self.read_back(unit, slice, wanted, kind).await?;
        Ok(Applied {
            lowering: true,
            ..applied
        })
    }

    /// Makes everything hold at once, where this holds now.
    async fn set_all(
        &self,
        unit: &str,
        slice: &SliceCgroup,
        limits: &Limits,
        wanted: &Wanted,
        enforced: &Enforced,
    ) -> Result<Applied, EnforcementError> {
        let taken_back = self.to_take_back(unit, enforced, wanted);
        let properties = Properties::all(limits, wanted, &taken_back);
        let kind = self.set(unit, slice, &properties).await?;
        self.set_lowering(unit, false);
        self.read_back(unit, slice, wanted, kind).await
    }

    /// Ends a scope that began without a process. systemd hears that a scope is over when the last
    /// process leaves it; where the only one ended while it was moved, none ever leaves, and the
    /// scope would keep the slice and its limits for good.
    async fn end_if_empty(&self, slice: &str, scope: &str) {
        if self.cgroups.is_empty_in(slice, scope) {
            let stopped = self.call("StopUnit", scope, self.bus.stop(scope)).await;
            if let Err(error) = stopped {
                debug!(scope, "the scope has gone by itself: {error}, ignoring");
            }
        }
    }
}

impl Enforcement for Systemd {
    fn slice(&self, uid: u32) -> String {
        if self.user_slices {
            format!("user-{uid}.slice")
        } else {
            format!("fairshare-{uid}.slice")
        }
    }

    fn look(&self, uid: u32) -> Option<SliceCgroup> {
        self.cgroups.slice(&self.slice(uid))
    }

    fn look_above(&self) -> Option<SliceCgroup> {
        self.cgroups.slice(self.above())
    }

    fn present(&self) -> Vec<u32> {
        let units = self.cgroups.names_in(self.above());
        units
            .iter()
            .filter_map(|unit| slice_user(unit).filter(|&uid| self.slice(uid) == *unit))
            .collect()
    }

    async fn users(&self) -> Result<Vec<u32>, EnforcementError> {
        if !self.user_slices {
            return Ok(Vec::new());
        }
        self.call("ListUsers", LOGIND, self.bus.users()).await
    }

    async fn logins(&self) -> Result<Vec<LoginName>, EnforcementError> {
        if !self.user_slices {
            return Ok(Vec::new());
        }
        self.call("ListSessions", LOGIND, self.bus.logins()).await
    }

    async fn login(&self, name: &LoginName) -> Result<Option<Login>, EnforcementError> {
        self.call("GetAll", LOGIND, self.bus.login(&name.path))
            .await
    }

    async fn limit(&self, uid: u32, limits: &Limits) -> Result<Applied, EnforcementError> {
        let (unit, slice) = self.active(uid)?;
        let (enforced, wanted) = (slice.enforced(), Wanted::of(limits));
        if enforced.holds(&wanted)
            && !self.is_lowering(&unit)
            && self.to_take_back(&unit, &enforced, &wanted).is_empty()
        {
            let kind = self.known_kind(&unit, &slice);
            return Ok(Applied {
                differences: enforced.shortfalls(&wanted),
                enforced,
                lowering: false,
                to_undo: kind == Some(Kind::OfAdministrator),
            });
        }
        let charged = slice.charged().unwrap_or(0);
        if steps::are_needed(charged, &enforced, &wanted) {
            let (slice, unit) = (&slice, &unit);
            return self.step_down(unit, slice, limits, &wanted, charged).await;
        }
        self.set_all(&unit, &slice, limits, &wanted, &enforced)
            .await
    }

    async fn adopt(
        &self,
        uid: u32,
        scope: &NewScope,
        limits: &Limits,
    ) -> Result<Applied, EnforcementError> {
        let slice = self.slice(uid);
        // An active slice is limited by a call of its own; one that is not there yet begins with
        // its limits on, as the auxiliary unit of the scope.
        let new_slice = self.cgroups.slice(&slice).is_none().then(|| {
            let mut properties = Properties::all(limits, &Wanted::of(limits), &[]);
            properties.collect_when_unneeded();
            properties
        });
        let mut begun = Ok(());
        // Refused where the slice has a file of the administrator's and cannot begin with limits,
        // and where systemd remembers the file of a transient slice that is gone.
        let properties = [new_slice.as_ref(), new_slice.as_ref(), None];
        for (attempt, new_slice) in properties.into_iter().enumerate() {
            if attempt > 0 {
                self.files.let_systemd_look_again(&slice);
            }
            let start = self.bus.start_scope(scope, &slice, new_slice);
            begun = self.call("StartTransientUnit", &scope.unit, start).await;
            if !matches!(begun, Err(EnforcementError::Refused { .. })) {
                break;
            }
        }
        // A process that could not be moved is no reason to leave the others without limits.
        let applied = self.limit(uid, limits).await;
        begun?;
        self.end_if_empty(&slice, &scope.unit).await;
        applied
    }

    async fn lower(
        &self,
        uid: u32,
        limits: &Limits,
        finish: bool,
    ) -> Result<Applied, EnforcementError> {
        let (unit, slice) = self.active(uid)?;
        let (enforced, wanted) = (slice.enforced(), Wanted::of(limits));
        let charged = slice.charged().unwrap_or(0);
        if finish || !steps::are_needed(charged, &enforced, &wanted) {
            return self
                .set_all(&unit, &slice, limits, &wanted, &enforced)
                .await;
        }
        let (slice, unit) = (&slice, &unit);
        self.step_down(unit, slice, limits, &wanted, charged).await
    }

    async fn lift(&self, uid: u32) -> Result<bool, EnforcementError> {
        let (unit, slice) = self.active(uid)?;
        let made = |setting: &Optional| self.files.has_setting(&unit, setting.name());
        let taken_back: Vec<Optional> = Optional::ALL.into_iter().filter(made).collect();
        let ours = self.files.is_transient(&unit) || self.files.has_setting(&unit, "MemoryMax");
        if !ours || (taken_back.is_empty() && slice.enforced().is_free()) {
            return Ok(false);
        }
        self.set_lowering(&unit, false);
        self.set(&unit, &slice, &Properties::none(&taken_back))
            .await?;
        Ok(true)
    }

    async fn caught_up(&self) -> Result<(), EnforcementError> {
        self.call("Ping", "systemd", self.bus.ping()).await
    }

    async fn forget(&self, uid: u32, to_undo: bool) -> Result<(), EnforcementError> {
        let unit = self.slice(uid);
        self.kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&unit);
        self.set_lowering(&unit, false);
        if !to_undo {
            // Asking costs less than having systemd read its folders anew each time.
            if !self
                .call("Get(LoadState)", &unit, self.bus.is_loaded(&unit))
                .await?
            {
                self.files.let_systemd_look_again(&unit);
            }
            return Ok(());
        }
        self.files.remove_settings(&unit, &Properties::SETTINGS);
        // systemd still holds in memory what the files said.
        self.call("Reload", &unit, self.bus.reload()).await
    }
}

/// The slice that the slices of all users lie in. `run` is the folder of systemd's files at run
/// time.
pub(crate) fn users_slice(scheme: SliceScheme, run: &Path) -> &'static str {
    if scheme == SliceScheme::Auto && UnitFiles::new(run).has_logind() {
        USERS_OF_LOGIND
    } else {
        USERS_OF_OURS
    }
}
