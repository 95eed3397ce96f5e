//! Leases, grants that are not used, budgets and administrators, by a clock that is moved.

use std::cell::Cell;
use std::time::Duration;

use fairshare_core::ledger::Moment;
use fairshare_protocol::{Renew, Set, StatusInfo};

use super::*;
use crate::clock;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

thread_local! {
    /// How far the clock of this test is ahead, in seconds. A test is one thread.
    static AHEAD: Cell<u64> = const { Cell::new(0) };
}

fn ahead() -> Moment {
    clock::now().after(Duration::from_secs(AHEAD.get()))
}

/// Operations under a policy, with what they told whom.
pub(super) struct World {
    pub(super) operations: Arc<Operations<Fake>>,
    pub(super) folder: tempfile::TempDir,
    leader: Child,
    told: Arc<Mutex<Vec<(u32, String)>>>,
}

impl World {
    pub(super) fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::default();
        Self {
            operations: Self::start(policy, &folder, &told),
            folder,
            leader: leader(),
            told,
        }
    }

    fn start(
        text: &str,
        folder: &tempfile::TempDir,
        told: &Arc<Mutex<Vec<(u32, String)>>>,
    ) -> Arc<Operations<Fake>> {
        let (snapshot, saved) = Snapshot::open(folder.path()).unwrap();
        let book = Book::new(policy_of(text), 1000, snapshot, saved).by_clock(ahead);
        let (book, _, events) = BookHandle::start(book);
        let told = Arc::clone(told);
        let voice = move |uid, _: &[u32], text: &str| {
            told.lock().unwrap().push((uid, text.to_owned()));
            Told::On(1)
        };
        let operations = Operations::with_voice(
            book,
            Fake::new(),
            People::new(Names::start(folder.path().join("no-worker"))),
            source_of(folder.path(), text),
            finder(folder.path()),
            false,
            Box::new(voice),
        );
        tokio::spawn(Arc::clone(&operations).follow(events));
        operations
    }

    /// As a kill leaves the files: the first daemon still has them open.
    pub(super) async fn restart(&mut self, policy: &str) {
        let copy = tempfile::tempdir().unwrap();
        for file in ["ledger.db", "ledger.db-wal"] {
            std::fs::copy(self.folder.path().join(file), copy.path().join(file)).unwrap();
        }
        self.told.lock().unwrap().clear();
        self.operations = Self::start(policy, &copy, &self.told);
        self.folder = copy;
        self.operations.resume().await;
        self.operations.look_at_all().await;
    }

    pub(super) fn told_so_far(&self) -> Vec<(u32, String)> {
        self.told.lock().unwrap().clone()
    }

    pub(super) fn leader(&self) -> u32 {
        self.leader.id()
    }

    pub(super) async fn open(&self, uid: u32) {
        let open = OpenSession {
            uid,
            pid: self.leader.id(),
            service: None,
            wait_ms: None,
            notices: false,
        };
        let reply = Arc::clone(&self.operations).open_session(open).await;
        assert!(matches!(reply, Reply::SessionOpened(_)), "{reply:?}");
    }

    pub(super) async fn resize(&self, uid: u32, request: &str) -> Reply {
        let resize = serde_json::from_str(request).unwrap();
        let operations = Arc::clone(&self.operations);
        operations.resize(caller(uid), resize).await
    }

    /// Lets time pass, and the book take note of it.
    pub(super) async fn pass(&self, seconds: u64) {
        AHEAD.set(AHEAD.get() + seconds);
        self.operations.book.with(|_| ()).await;
    }

    pub(super) async fn has(&self, uid: u32) -> Option<String> {
        let limits = self.operations.book.with(move |book| book.limits(uid));
        limits.await.map(|limits| limits.allocation.to_string())
    }

    fn enforced(&self, uid: u32) -> Option<String> {
        let limits = self.operations.enforcement.limits.lock().unwrap();
        limits.get(&uid).map(|limits| limits.allocation.to_string())
    }

    async fn enforces(&self, uid: u32, allocation: &str) {
        until(|| self.enforced(uid).as_deref() == Some(allocation)).await;
    }

    /// Waits until the user was told something with these words.
    pub(super) async fn tells(&self, uid: u32, words: &str) {
        until(|| self.has_told(uid, words)).await;
    }

    fn has_told(&self, uid: u32, words: &str) -> bool {
        let told = self.told.lock().unwrap();
        told.iter()
            .any(|(whom, text)| *whom == uid && text.contains(words))
    }

    async fn status(&self, uid: u32) -> StatusInfo {
        match self.operations.status(uid).await {
            Reply::StatusInfo(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Gives the user a slice with this in use.
    fn uses(&self, uid: u32, cpu_seconds: u64, mem: u64) {
        let root = self.folder.path().join("cgroup");
        let slice = root.join(format!("user.slice/user-{uid}.slice"));
        std::fs::create_dir_all(&slice).unwrap();
        let write = |file: &str, text: String| std::fs::write(slice.join(file), text).unwrap();
        write(
            "cpu.stat",
            format!("usage_usec {}\n", cpu_seconds * 1_000_000),
        );
        write("memory.current", format!("{mem}\n"));
        write("memory.stat", "inactive_file 0\n".to_owned());
        write("pids.current", "7\n".to_owned());
        *self.operations.enforcement.tree.lock().unwrap() = Some(CgroupTree::new(&root));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

/// Waits until something that other tasks do is done. They need no time, only their turn.
pub(super) async fn until(done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came");
}

const LEASES: &str = "defaults: {cpu: 1, mem: 1G, tasks: 100}\n\
     max: {cpu: 8, mem: 8G, tasks: 500}\n\
     lease: {default: 2h, longest: 1d}\n";
const LENT: &str = "4 CPUs, 4G memory, 100 tasks";

#[tokio::test]
async fn the_end_of_a_lease_is_announced_enforced_and_told() {
    let world = World::new(LEASES);
    world.open(UID).await;
    let reply = world.resize(UID, r#"{"cpu": 4, "mem": "4G"}"#).await;
    let Reply::Success { message } = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(message, format!("Resources allocated: {LENT} for 2h"));
    assert!((7190..=7200).contains(&world.status(UID).await.lease_left_s.unwrap()));

    world.pass(105 * MINUTE).await;
    world
        .tells(UID, "ends in 15m; from then on you have 1 CPU")
        .await;
    world.tells(UID, "fairshare renew --for 2h").await;
    assert_eq!(world.enforced(UID).as_deref(), Some(LENT));
    world.pass(10 * MINUTE).await;
    world.tells(UID, "ends in 5m").await;
    world.pass(4 * MINUTE).await;
    world.tells(UID, "ends in 1m").await;
    world.pass(MINUTE).await;
    world.enforces(UID, DEFAULT).await;
    world.tells(UID, "the lease of your grant has ended").await;
    world.tells(UID, "fairshare resize --cpu 4 --mem 4G").await;
    assert_eq!(world.status(UID).await.lease_left_s, None);
}

#[tokio::test]
async fn a_lease_ends_without_anybody_asking() {
    let world = World::new(LEASES);
    world.open(UID).await;
    world.resize(UID, r#"{"cpu": 4, "for": "1s"}"#).await;
    let ended = async {
        while world.enforced(UID).as_deref() != Some(DEFAULT) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lease_is_renewed_and_no_longer_than_policy_lets_it() {
    let world = World::new(LEASES);
    world.open(UID).await;
    let renew = |lease: &str| {
        let lease = lease.parse().unwrap();
        Arc::clone(&world.operations).renew(caller(UID), Renew { lease })
    };
    assert_eq!(code(&renew("1h").await), Some(ErrorCode::NoGrant));
    world.resize(UID, r#"{"cpu": 4, "for": "20m"}"#).await;
    world.pass(10 * MINUTE).await;
    assert_eq!(code(&renew("2d").await), Some(ErrorCode::AboveLease));
    assert!(matches!(renew("1h").await, Reply::Success { .. }));
    world.pass(30 * MINUTE).await;
    assert_eq!(
        world.enforced(UID).as_deref(),
        Some("4 CPUs, 1G memory, 100 tasks")
    );
    world.pass(30 * MINUTE).await;
    world.enforces(UID, DEFAULT).await;
}

#[tokio::test]
async fn a_restart_keeps_the_end_of_a_lease_and_one_that_ended_meanwhile_has_ended() {
    let mut world = World::new(LEASES);
    world.open(UID).await;
    world
        .resize(UID, r#"{"cpu": 4, "mem": "4G", "for": "1h"}"#)
        .await;
    world.pass(20 * MINUTE).await;
    world.restart(LEASES).await;
    assert_eq!(world.enforced(UID).as_deref(), Some(LENT));
    let left = world.status(UID).await.lease_left_s.unwrap();
    assert!((2390..=2400).contains(&left), "{left}");

    // The daemon is away when it ends.
    AHEAD.set(AHEAD.get() + HOUR);
    world.restart(LEASES).await;
    world.enforces(UID, DEFAULT).await;
    world.tells(UID, "the lease of your grant has ended").await;
}

#[tokio::test]
async fn more_leases_end_at_once_than_events_may_wait() {
    let mut world = World::new(LEASES);
    let users = UID..UID + 2 * u32::try_from(crate::book::EVENTS).unwrap();
    for uid in users.clone() {
        world.open(uid).await;
        let reply = world.resize(uid, r#"{"tasks": 200, "for": "1h"}"#).await;
        assert!(matches!(reply, Reply::Success { .. }), "{reply:?}");
    }
    AHEAD.set(AHEAD.get() + HOUR);
    world.restart(LEASES).await;
    for uid in users {
        world.enforces(uid, DEFAULT).await;
        world.tells(uid, "the lease of your grant has ended").await;
    }
}

#[tokio::test(start_paused = true)]
async fn memory_in_use_is_not_killed_for_the_end_of_a_lease() {
    let world = World::new(LEASES);
    world.open(UID).await;
    world.resize(UID, r#"{"mem": "4G", "for": "1h"}"#).await;
    world.uses(UID, 0, 3 << 30);
    *world.operations.enforcement.mood.lock().unwrap() = Mood::Lowering;
    world.pass(HOUR).await;
    // What is held and an eighth of it.
    world.enforces(UID, "1 CPU, 3456M memory, 100 tasks").await;
    world
        .tells(UID, "Your programs hold 3G: nothing is killed")
        .await;
    tokio::time::sleep(LOWERING_PAUSE * LOWERING_STEPS * 100).await;
    assert!(!*world.operations.enforcement.killed.lock().unwrap());

    // The limit follows what is given back, to the default in the end.
    world.uses(UID, 0, 2 << 30);
    tokio::time::sleep(LONGEST_PAUSE * 2).await;
    world.enforces(UID, "1 CPU, 2304M memory, 100 tasks").await;
    world.uses(UID, 0, 1 << 29);
    *world.operations.enforcement.mood.lock().unwrap() = Mood::Well;
    tokio::time::sleep(LONGEST_PAUSE * 2).await;
    world.enforces(UID, DEFAULT).await;
    assert!(!*world.operations.enforcement.killed.lock().unwrap());
}

const IDLE: &str = "defaults: {cpu: 1, mem: 1G, tasks: 100}\n\
     max: {cpu: 8, mem: 8G, tasks: 500}\n\
     idle: {after: 2h, notice: 30m}\n";

#[tokio::test]
async fn a_grant_that_is_not_used_goes_back_after_a_notice() {
    let world = World::new(IDLE);
    world.open(UID).await;
    world.uses(UID, 0, 0);
    world.resize(UID, r#"{"cpu": 4, "mem": "4G"}"#).await;
    // Exactly what the default gives, which needs no grant.
    world.uses(UID, 90 * MINUTE, 1 << 30);
    world.pass(90 * MINUTE).await;
    world.tells(UID, "is not used and goes back in 30m").await;
    world
        .tells(UID, "type: fairshare resize --cpu 4 --mem 4G")
        .await;
    assert_eq!(world.enforced(UID).as_deref(), Some(LENT));
    world.pass(30 * MINUTE).await;
    world.enforces(UID, DEFAULT).await;
    world
        .tells(UID, "your grant was not used and has gone back")
        .await;
}

#[tokio::test]
async fn a_grant_that_is_used_stays_without_a_word() {
    let world = World::new(IDLE);
    world.open(UID).await;
    world.uses(UID, 0, 0);
    world.resize(UID, r#"{"cpu": 4, "mem": "4G"}"#).await;
    // More CPU time than one CPU gives in this time.
    world.uses(UID, 91 * MINUTE, 0);
    world.pass(90 * MINUTE).await;
    // More memory than the default.
    world.uses(UID, 91 * MINUTE, (1 << 30) + 1);
    world.pass(90 * MINUTE).await;
    assert!(!world.has_told(UID, "is not used"));
    // Used after the notice.
    world.uses(UID, 91 * MINUTE, 0);
    world.pass(90 * MINUTE).await;
    world.tells(UID, "is not used").await;
    world.uses(UID, 130 * MINUTE, 0);
    world.pass(30 * MINUTE).await;
    assert_eq!(world.has(UID).await.as_deref(), Some(LENT));
    assert!(!world.has_told(UID, "has gone back"));
}

const TIGHT: &str = "defaults: {cpu: 1, mem: 1G, tasks: 100}\n\
     max: {cpu: 8, mem: 16G, tasks: 500}\n";

#[tokio::test]
async fn two_users_at_once_do_not_both_get_the_last_memory() {
    let world = World::new(TIGHT);
    for uid in [UID, UID + 1] {
        world.open(uid).await;
    }
    let (first, second) = tokio::join!(
        world.resize(UID, r#"{"mem": "10G"}"#),
        world.resize(UID + 1, r#"{"mem": "10G"}"#),
    );
    let mut codes = [code(&first), code(&second)];
    codes.sort_by_key(Option::is_some);
    assert_eq!(
        codes,
        [None, Some(ErrorCode::NoCapacity)],
        "{first:?} {second:?}"
    );
}

#[tokio::test]
async fn a_refusal_says_what_fits_and_who_is_in_the_way_to_those_who_may_know() {
    for (policy, administrator, named) in [
        (TIGHT.to_owned(), false, false),
        (TIGHT.to_owned(), true, true),
        (format!("{TIGHT}show_holders: true\n"), false, true),
    ] {
        let world = World::new(&policy);
        for uid in [UID, UID + 1] {
            world.open(uid).await;
        }
        world
            .resize(UID, r#"{"cpu": 6, "mem": "4G", "for": "1h"}"#)
            .await;
        let asking = Caller {
            uid: UID + 1,
            administrator,
            exporter: false,
        };
        let resize = serde_json::from_str(r#"{"cpu": 8}"#).unwrap();
        let reply = Arc::clone(&world.operations).resize(asking, resize).await;
        let Reply::Error(refusal) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(refusal.code, Some(ErrorCode::NoCapacity));
        assert!(
            refusal.error.contains("8 asked for, 4 possible now"),
            "{}",
            refusal.error
        );
        assert!(
            refusal.error.ends_with("makes room ends in 1h"),
            "{}",
            refusal.error
        );
        assert_eq!(
            refusal.largest.unwrap().to_string(),
            "4 CPUs, 1G memory, 100 tasks"
        );
        let [holder] = refusal.holders.as_slice() else {
            panic!("{:?}", refusal.holders)
        };
        assert_eq!(holder.uid, named.then_some(UID));
        assert_eq!(holder.held.to_string(), "5 CPUs, 3G memory");
    }
}

#[tokio::test]
async fn an_administrator_is_known_as_one_where_a_refusal_names_others() {
    let world = World::new(&format!("{TIGHT}administrators: {{users: [4243]}}\n"));
    for uid in [UID, UID + 1] {
        world.open(uid).await;
    }
    world.resize(UID, r#"{"mem": "10G"}"#).await;
    let Reply::Error(refusal) = world.resize(UID + 1, r#"{"mem": "10G"}"#).await else {
        panic!()
    };
    assert_eq!(refusal.holders.first().unwrap().uid, Some(UID));
}

#[tokio::test]
async fn a_status_shows_the_minimum_and_the_budgets_and_policy_holds_them() {
    let policy = "defaults: {cpu: 1, mem: 1G, tasks: 100}\n\
         max: {cpu: 8, mem: 8G, tasks: 500}\n\
         min: {cpu: 0.5}\n\
         groups: {4242: {budget: {cpu: 4, tasks: 1000}}}\n";
    let world = World::new(policy);
    world.open(UID).await;
    let in_group = crate::people::Person {
        uid: UID,
        name: None,
        groups: vec![fairshare_core::policy::Group {
            gid: 4242,
            name: None,
        }],
        complete: true,
    };
    let in_group = Arc::new(in_group);
    let book = &world.operations.book;
    book.with(move |book| book.set_person(in_group)).await;
    assert_eq!(
        code(&world.resize(UID, r#"{"cpu": 5}"#).await),
        Some(ErrorCode::OverBudget)
    );
    world.resize(UID, r#"{"cpu": 3}"#).await;
    let status = world.status(UID).await;
    assert_eq!(
        status.min.unwrap().to_string(),
        "0.5 CPUs, 1G memory, 100 tasks"
    );
    let [budget] = status.budget.as_slice() else {
        panic!("{:?}", status.budget)
    };
    assert_eq!(budget.group, "4242");
    assert_eq!(budget.limit.to_string(), "4 CPUs, 1000 tasks");
    assert_eq!(budget.held.to_string(), "3 CPUs, 1G memory, 100 tasks");
}

#[tokio::test]
async fn an_administrator_sets_and_takes_back_what_others_have() {
    let world = World::new(LEASES);
    world.open(UID).await;
    let administrator = Caller {
        uid: 77,
        administrator: true,
        exporter: false,
    };
    let set: Set = serde_json::from_str(r#"{"uid": 4242, "cpu": 4, "mem": "4G"}"#).unwrap();
    let reply = Arc::clone(&world.operations)
        .set(administrator.clone(), set)
        .await;
    let Reply::Success { message } = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(message, format!("User {UID} has {LENT} for 2h"));
    world
        .tells(UID, "an administrator has changed what you have")
        .await;
    assert_eq!(world.enforced(UID).as_deref(), Some(LENT));

    let release = serde_json::from_str(r#"{"uid": 4242}"#).unwrap();
    let reply = Arc::clone(&world.operations)
        .release(administrator, release)
        .await;
    assert!(matches!(reply, Reply::Success { .. }), "{reply:?}");
    assert_eq!(world.enforced(UID).as_deref(), Some(DEFAULT));
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_costs_no_grant() {
    let world = World::new(LEASES);
    world.open(UID).await;
    let cannot_write = |cannot| {
        let book = &world.operations.book;
        book.with(move |book| book.refuse_writes(cannot))
    };
    cannot_write(true).await;
    let reply = world
        .resize(UID, r#"{"cpu": 4, "mem": "4G", "for": "1h"}"#)
        .await;
    assert!(matches!(reply, Reply::Success { .. }), "{reply:?}");
    assert_eq!(world.enforced(UID).as_deref(), Some(LENT));
    world.pass(30 * MINUTE).await;
    assert_eq!(world.has(UID).await.as_deref(), Some(LENT));

    // What was not written is with the next that is, whosever it be.
    cannot_write(false).await;
    world.open(UID + 1).await;
    let mut world = world;
    world.restart(LEASES).await;
    assert_eq!(world.has(UID).await.as_deref(), Some(LENT));
}
