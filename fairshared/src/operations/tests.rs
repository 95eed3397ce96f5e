//! Operations against an enforcement that is made to fail, hang and come back.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fairshare_core::policy::{Machine, Source};
use fairshare_core::{Limits, Policy};
use fairshare_protocol::{CloseSession, OpenSession, Resize, Wish};
use tokio::sync::Notify;

use super::enforcing::{LONGEST_PAUSE, LONGEST_RETRY, LOWERING_PAUSE, LOWERING_STEPS};
use super::*;
use crate::authorise::Caller;
use crate::book::Book;
use crate::capacity::Meter;
use crate::cgroup::{CgroupTree, Enforced, SliceCgroup, Wanted};
use crate::enforcement::{Applied, EnforcementError, Login, LoginName, NewScope};
use crate::leader::slice_user;
use crate::names::Names;
use crate::snapshot::Snapshot;

mod history;
mod incidents;
mod policies;
mod present;
mod replay;
mod sharing;
mod waiting;

pub(super) const UID: u32 = 4242;
const POLICY: &str =
    "defaults: {cpu: 1, mem: 1G, tasks: 100}\nmax: {cpu: 4, mem: 8G, tasks: 500}\n";

pub(super) fn policy_of(text: &str) -> Policy {
    let source = Source {
        name: "policy.yaml".to_owned(),
        text: text.to_owned(),
    };
    let machine = Machine {
        cpu_thousandths: 8000,
        mem_bytes: 16 << 30,
        tasks: 32_768,
    };
    Policy::read(&[source], &machine).unwrap().0
}

/// The policy's file on a machine of this folder, which is the one that [`policy_of`] reads on.
fn source_of(folder: &Path, policy: &str) -> PolicySource {
    let write = |file: &str, text: String| {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("policy.yaml", policy.to_owned());
    write("sys/devices/system/cpu/online", "0-7\n".to_owned());
    write("proc/meminfo", format!("MemTotal: {} kB\n", 16 << 20));
    write("proc/sys/kernel/pid_max", "32768\n".to_owned());
    write("proc/sys/kernel/threads-max", "100000\n".to_owned());
    let cgroups = CgroupTree::new(&folder.join("cgroup"));
    PolicySource::on(
        &folder.join("policy.yaml"),
        Meter::at(folder, cgroups, "user.slice"),
    )
}

/// What the fake does with the next calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    NoBus,
    Hanging,
    /// Memory in use is above each limit until it is killed.
    Lowering,
}

#[derive(Debug)]
pub(super) struct Fake {
    mood: Mutex<Mood>,
    limits: Mutex<HashMap<u32, Limits>>,
    released: Notify,
    killed: Mutex<bool>,
    /// Where there are slices to look at.
    tree: Mutex<Option<CgroupTree>>,
    /// The scopes that took processes in.
    pub(super) adopted: Mutex<Vec<NewScope>>,
    /// Users whose slices are on their way.
    coming: Mutex<Vec<u32>>,
}

impl Fake {
    fn new() -> Self {
        let (mood, limits) = (Mutex::new(Mood::Well), Mutex::default());
        Self {
            mood,
            limits,
            released: Notify::new(),
            killed: Mutex::default(),
            tree: Mutex::default(),
            adopted: Mutex::default(),
            coming: Mutex::default(),
        }
    }

    async fn set(&self, uid: u32, limits: &Limits) -> Result<Applied, EnforcementError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well | Mood::Lowering => {}
            Mood::NoBus => return Err(EnforcementError::NoBus),
            Mood::Hanging => self.released.notified().await,
        }
        self.limits.lock().unwrap().insert(uid, limits.clone());
        Ok(Applied {
            enforced: Enforced::plain(&Wanted::of(limits)),
            differences: Vec::new(),
            lowering: mood == Mood::Lowering,
            to_undo: false,
        })
    }
}

impl Enforcement for Fake {
    fn slice(&self, uid: u32) -> String {
        format!("user-{uid}.slice")
    }

    fn look(&self, uid: u32) -> Option<SliceCgroup> {
        let tree = self.tree.lock().unwrap();
        tree.as_ref()?.slice(&self.slice(uid))
    }

    fn look_above(&self) -> Option<SliceCgroup> {
        self.tree.lock().unwrap().as_ref()?.slice("user.slice")
    }

    fn present(&self) -> Vec<u32> {
        let tree = self.tree.lock().unwrap();
        let names = tree.as_ref().map(|tree| tree.names_in("user.slice"));
        let users = names.unwrap_or_default();
        users.iter().filter_map(|unit| slice_user(unit)).collect()
    }

    async fn users(&self) -> Result<Vec<u32>, EnforcementError> {
        Ok(self.coming.lock().unwrap().clone())
    }

    async fn logins(&self) -> Result<Vec<LoginName>, EnforcementError> {
        Ok(Vec::new())
    }

    async fn login(&self, _name: &LoginName) -> Result<Option<Login>, EnforcementError> {
        Ok(None)
    }

    async fn limit(&self, uid: u32, limits: &Limits) -> Result<Applied, EnforcementError> {
        self.set(uid, limits).await
    }

    async fn adopt(
        &self,
        uid: u32,
        scope: &NewScope,
        limits: &Limits,
    ) -> Result<Applied, EnforcementError> {
        let applied = self.set(uid, limits).await?;
        self.adopted.lock().unwrap().push(scope.clone());
        Ok(applied)
    }

    async fn lower(
        &self,
        uid: u32,
        limits: &Limits,
        finish: bool,
    ) -> Result<Applied, EnforcementError> {
        if finish {
            *self.mood.lock().unwrap() = Mood::Well;
            *self.killed.lock().unwrap() = true;
        }
        self.set(uid, limits).await
    }

    async fn lift(&self, uid: u32) -> Result<bool, EnforcementError> {
        Ok(self.limits.lock().unwrap().remove(&uid).is_some())
    }

    async fn caught_up(&self) -> Result<(), EnforcementError> {
        Ok(())
    }

    async fn forget(&self, uid: u32, _to_undo: bool) -> Result<(), EnforcementError> {
        self.limits.lock().unwrap().remove(&uid);
        Ok(())
    }
}

/// Looks at a cgroup tree in this folder.
fn finder(folder: &Path) -> Finder {
    Finder::new(Path::new("/proc"), &folder.join("cgroup"))
}

/// A process to lead sessions.
fn leader() -> Child {
    let mut leader = Command::new("cat");
    leader.stdin(Stdio::piped()).stdout(Stdio::null());
    leader.spawn().unwrap()
}

/// A daemon with its files in this folder.
fn start(folder: &Path, policy: &str, names: Names) -> Arc<Operations<Fake>> {
    let (snapshot, saved) = Snapshot::open(folder).unwrap();
    let book = Book::new(policy_of(policy), 1000, snapshot, saved);
    let (book, _, events) = BookHandle::start(book);
    let people = People::new(names);
    let source = source_of(folder, policy);
    let operations = Operations::new(
        book,
        Fake::new(),
        people,
        source,
        finder(folder),
        false,
        History::open(Some(&folder.join("history"))),
    );
    tokio::spawn(Arc::clone(&operations).follow(events));
    operations
}

/// The operations, the folder of their snapshot, and a process to lead sessions.
pub(super) struct Setup {
    pub(super) operations: Arc<Operations<Fake>>,
    folder: tempfile::TempDir,
    leader: Child,
}

impl Setup {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operations = Self::operations(&folder);
        Self {
            operations,
            folder,
            leader: leader(),
        }
    }

    fn operations(folder: &tempfile::TempDir) -> Arc<Operations<Fake>> {
        let names = Names::start(folder.path().join("no-worker"));
        start(folder.path(), POLICY, names)
    }

    fn mood(&self, mood: Mood) {
        *self.operations.enforcement.mood.lock().unwrap() = mood;
    }

    fn enforced(&self) -> Option<String> {
        let limits = self.operations.enforcement.limits.lock().unwrap();
        limits.get(&UID).map(|limits| limits.allocation.to_string())
    }

    async fn open(&self) -> Reply {
        let open = OpenSession {
            uid: UID,
            pid: self.leader.id(),
            service: None,
            wait_ms: None,
            notices: false,
        };
        Arc::clone(&self.operations).open_session(open).await
    }

    async fn resize(&self, mem: &str) -> Reply {
        let wish = Wish {
            mem: mem.parse().ok(),
            ..Wish::default()
        };
        Arc::clone(&self.operations)
            .resize(
                caller(UID),
                Resize {
                    wish,
                    ..Resize::default()
                },
            )
            .await
    }

    pub(super) async fn has(&self) -> Option<String> {
        let limits = self.operations.book.with(|book| book.limits(UID)).await;
        limits.map(|limits| limits.allocation.to_string())
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

fn code(reply: &Reply) -> Option<ErrorCode> {
    match reply {
        Reply::Error(error) => error.code,
        _ => None,
    }
}

pub(super) fn caller(uid: u32) -> Caller {
    Caller {
        uid,
        administrator: false,
        exporter: false,
    }
}

const DEFAULT: &str = "1 CPU, 1G memory, 100 tasks";
const GRANTED: &str = "1 CPU, 2G memory, 100 tasks";

#[tokio::test]
async fn a_change_that_cannot_be_enforced_is_taken_back() {
    let setup = Setup::new();
    assert!(matches!(setup.open().await, Reply::SessionOpened(_)));
    setup.mood(Mood::NoBus);
    assert_eq!(
        code(&setup.resize("2G").await),
        Some(ErrorCode::NotEnforced)
    );
    assert_eq!(setup.has().await.as_deref(), Some(DEFAULT));
    setup.mood(Mood::Well);
    assert!(matches!(setup.resize("2G").await, Reply::Success { .. }));
    assert_eq!(setup.enforced().as_deref(), Some(GRANTED));
}

#[tokio::test]
async fn a_session_opened_without_a_bus_is_limited_when_it_is_back() {
    let setup = Setup::new();
    setup.mood(Mood::NoBus);
    assert_eq!(code(&setup.open().await), Some(ErrorCode::NotEnforced));
    assert_eq!(setup.enforced(), None);
    setup.mood(Mood::Well);
    setup.operations.look_at_all().await;
    assert_eq!(setup.enforced().as_deref(), Some(DEFAULT));
}

#[tokio::test(start_paused = true)]
async fn limits_that_could_not_be_set_are_tried_again_without_anybody_asking() {
    let setup = Setup::new();
    setup.mood(Mood::NoBus);
    setup.open().await;
    tokio::time::sleep(LONGEST_RETRY * 3).await;
    assert_eq!(setup.enforced(), None);
    setup.mood(Mood::Well);
    tokio::time::sleep(LONGEST_RETRY).await;
    assert_eq!(setup.enforced().as_deref(), Some(DEFAULT));
}

#[tokio::test(start_paused = true)]
async fn asking_again_and_again_does_not_put_the_end_of_lowering_off() {
    let setup = Setup::new();
    setup.open().await;
    setup.resize("8G").await;
    setup.mood(Mood::Lowering);
    for round in 0..u64::from(LOWERING_STEPS) {
        let mem = if round % 2 == 0 { "2G" } else { "3G" };
        setup.resize(mem).await;
        tokio::time::sleep(LOWERING_PAUSE).await;
    }
    tokio::time::sleep(LOWERING_PAUSE * 2).await;
    assert!(*setup.operations.enforcement.killed.lock().unwrap());
}

#[tokio::test]
async fn one_users_slow_change_delays_no_other_user() {
    let setup = Setup::new();
    setup.open().await;
    setup.mood(Mood::Hanging);
    let operations = Arc::clone(&setup.operations);
    let wish = Wish {
        mem: "2G".parse().ok(),
        ..Wish::default()
    };
    let slow = tokio::spawn(operations.resize(
        caller(UID),
        Resize {
            wish,
            ..Resize::default()
        },
    ));
    while setup.has().await.as_deref() != Some(GRANTED) {
        tokio::task::yield_now().await;
    }
    setup.mood(Mood::Well);
    let open = OpenSession {
        uid: UID + 1,
        pid: setup.leader.id(),
        service: None,
        wait_ms: None,
        notices: false,
    };
    let other = Arc::clone(&setup.operations).open_session(open).await;
    assert!(matches!(other, Reply::SessionOpened(_)), "{other:?}");
    assert!(!slow.is_finished());
    setup.operations.enforcement.released.notify_one();
    assert!(matches!(slow.await.unwrap(), Reply::Success { .. }));
}

#[tokio::test]
async fn the_end_of_the_leader_ends_the_session_and_the_grant() {
    let mut setup = Setup::new();
    setup.open().await;
    setup.resize("2G").await;
    setup.leader.kill().unwrap();
    setup.leader.wait().unwrap();
    // The fake has no slice, so the user is forgotten once the session is closed.
    while setup.has().await.is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_restart_keeps_sessions_and_grants_and_ends_those_whose_leader_is_gone() {
    let mut setup = Setup::new();
    setup.open().await;
    setup.resize("2G").await;
    // As a kill leaves the files: the first daemon still has them open.
    let copy = tempfile::tempdir().unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        std::fs::copy(setup.folder.path().join(file), copy.path().join(file)).unwrap();
    }

    setup.operations = Setup::operations(&copy);
    setup.operations.resume().await;
    setup.operations.look_at_all().await;
    assert_eq!(setup.has().await.as_deref(), Some(GRANTED));
    assert_eq!(setup.enforced().as_deref(), Some(GRANTED));

    let second = tempfile::tempdir().unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        std::fs::copy(copy.path().join(file), second.path().join(file)).unwrap();
    }
    setup.leader.kill().unwrap();
    setup.leader.wait().unwrap();
    setup.operations = Setup::operations(&second);
    setup.operations.resume().await;
    setup.operations.look_at_all().await;
    assert_eq!(setup.has().await, None);
}

#[tokio::test]
async fn what_policy_does_not_cover_is_ignored() {
    let setup = Setup::new();
    for uid in [0, 999, 65_534] {
        let open = OpenSession {
            uid,
            pid: setup.leader.id(),
            service: None,
            wait_ms: None,
            notices: false,
        };
        let reply = Arc::clone(&setup.operations).open_session(open).await;
        assert!(
            matches!(reply, Reply::SessionIgnored { .. }),
            "{uid}: {reply:?}"
        );
        let reply = setup.operations.status(uid).await;
        assert_eq!(code(&reply), Some(ErrorCode::NotCovered));
    }
    let open = OpenSession {
        uid: UID,
        pid: 1,
        service: None,
        wait_ms: None,
        notices: false,
    };
    let reply = Arc::clone(&setup.operations).open_session(open).await;
    assert_eq!(code(&reply), Some(ErrorCode::InvalidValue));
}

#[tokio::test]
async fn a_session_is_closed_once_by_number_or_by_leader() {
    let setup = Setup::new();
    setup.open().await;
    let by_leader = CloseSession {
        session: None,
        uid: Some(UID),
        pid: Some(setup.leader.id()),
    };
    let close = || Arc::clone(&setup.operations).close_session(by_leader, 0);
    assert!(matches!(close().await, Reply::Success { .. }));
    assert_eq!(code(&close().await), Some(ErrorCode::NoSession));
}
