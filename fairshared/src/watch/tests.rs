use std::fs;

use super::*;
use crate::cgroup::CgroupTree;

const UID: u32 = 4242;
const LONG: Duration = Duration::from_secs(20);

struct Setup {
    folder: tempfile::TempDir,
    watch: Watch,
    findings: mpsc::Receiver<Finding>,
}

impl Setup {
    fn new() -> Self {
        let (watch, findings) = Watch::start();
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            watch,
            findings,
        }
    }

    fn write(&self, uid: u32, file: &str, text: &str) {
        let path = self
            .folder
            .path()
            .join(format!("user.slice/user-{uid}.slice/{file}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn slice(&self, uid: u32) -> SliceCgroup {
        let tree = CgroupTree::new(self.folder.path());
        tree.slice(&format!("user-{uid}.slice")).unwrap()
    }

    async fn found(&mut self) -> Finding {
        let found = tokio::time::timeout(LONG, self.findings.recv());
        found.await.unwrap().unwrap()
    }
}

fn counts(kills: u64, out_of_memory: u64) -> Counts {
    Counts {
        kills,
        out_of_memory,
        refused: 0,
    }
}

#[tokio::test]
async fn kills_are_told_with_their_number_and_those_before_are_not() {
    let mut setup = Setup::new();
    setup.write(UID, "memory.events", "oom 5\noom_kill 5\n");
    setup.watch.begin(UID, setup.slice(UID));
    setup.write(UID, "memory.events", "oom 7\noom_kill 8\n");
    let found = setup.found().await;
    let expected = What::OomKill {
        victim: None,
        kills: 3,
    };
    assert_eq!((found.uid, found.what), (UID, expected));
}

#[tokio::test]
async fn refused_tasks_are_told_and_another_users_are_not_mixed_in() {
    let mut setup = Setup::new();
    for uid in [UID, UID + 1] {
        setup.write(uid, "pids.events.local", "max 1\n");
        setup.watch.begin(uid, setup.slice(uid));
    }
    setup.write(UID + 1, "pids.events.local", "max 4\n");
    let found = setup.found().await;
    assert_eq!(
        (found.uid, found.what),
        (UID + 1, What::TasksLimit { refused: 3 })
    );
}

#[tokio::test]
async fn on_older_kernels_the_cgroups_below_are_watched_also_new_ones() {
    let mut setup = Setup::new();
    setup.write(UID, "session-1.scope/pids.events", "max 2\n");
    setup.watch.begin(UID, setup.slice(UID));
    setup.write(UID, "session-1.scope/pids.events", "max 4\n");
    assert_eq!(setup.found().await.what, What::TasksLimit { refused: 2 });
    setup.write(
        UID,
        "user@1.service/app.slice/x.service/pids.events",
        "max 0\n",
    );
    let leaf_is_known = async {
        loop {
            let known = setup.watch.state().users[&UID]
                .leaves
                .as_ref()
                .is_some_and(|leaves| leaves.marks().count() >= 7);
            if known {
                break;
            }
            yield_now().await;
        }
    };
    tokio::time::timeout(LONG, leaf_is_known).await.unwrap();
    setup.write(
        UID,
        "user@1.service/app.slice/x.service/pids.events",
        "max 7\n",
    );
    assert_eq!(setup.found().await.what, What::TasksLimit { refused: 7 });
}

#[tokio::test]
async fn who_is_watched_no_more_leaves_nothing() {
    let mut setup = Setup::new();
    setup.write(UID, "memory.events", "oom_kill 0\n");
    setup.write(UID, "session-1.scope/pids.events", "max 2\n");
    setup.watch.begin(UID, setup.slice(UID));
    setup.watch.end(UID);
    let is_clear = |state: &State| state.users.is_empty() && state.marks.is_empty();
    assert!(is_clear(&setup.watch.state()));
    setup.write(UID, "memory.events", "oom_kill 1\n");
    let found = tokio::time::timeout(SETTLE * 4, setup.findings.recv());
    assert!(found.await.is_err());
}

#[test]
fn a_kill_that_was_not_at_the_slices_limit_is_none_of_it() {
    assert_eq!(counts(3, 1).kills_since(&counts(2, 1)), 0);
    assert_eq!(counts(3, 2).kills_since(&counts(2, 1)), 1);
    // The cause was counted, the kill was not yet; then it is.
    assert_eq!(counts(2, 2).kills_since(&counts(2, 1)), 0);
}

#[test]
fn a_limit_that_was_hit_without_a_kill_makes_no_later_kill_its_own() {
    let (mut told, mut owed) = (counts(0, 0), 0);
    assert!(told.without_kill(&counts(0, 1), &mut owed), "it may come");
    assert_eq!(counts(1, 1).kills_since(&told), 1);
    assert!(!told.without_kill(&counts(0, 1), &mut owed), "none came");
    assert_eq!(counts(1, 1).kills_since(&told), 0);
    assert!(!told.without_kill(&counts(1, 1), &mut owed));
    assert_eq!(told, counts(1, 1));
}

#[tokio::test]
async fn what_cannot_be_read_is_not_nothing() {
    let setup = Setup::new();
    setup.write(UID, "memory.events", "oom_kill 5\n");
    let slice = setup.slice(UID);
    assert_eq!(Counts::of(&slice), Some(counts(5, 5)));
    fs::write(slice.file("memory.events"), b"\xff").unwrap();
    assert_eq!(Counts::of(&slice), None);
}

#[tokio::test]
async fn marks_of_cgroups_that_came_and_went_are_not_kept() {
    let setup = Setup::new();
    setup.write(UID, "session-1.scope/pids.events", "max 2\n");
    setup.watch.begin(UID, setup.slice(UID));
    let before = setup.watch.state().marks.len();
    let top = setup.slice(UID).folder().to_owned();
    for number in 0..300 {
        let folder = top.join(format!("session-1.scope/{number}"));
        fs::create_dir(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
    }
    // One of the same name, that is another one.
    setup.write(UID, "other/pids.events", "max 0\n");
    fs::rename(top.join("session-1.scope"), top.join("old")).unwrap();
    fs::rename(top.join("other"), top.join("session-1.scope")).unwrap();
    fs::remove_dir_all(top.join("old")).unwrap();
    let marks = setup.watch.0.marks.as_ref().unwrap();
    setup.watch.look_at_leaves(UID, marks);
    assert_eq!(setup.watch.state().marks.len(), before);
    let mut setup = setup;
    setup.write(UID, "session-1.scope/pids.events", "max 7\n");
    assert_eq!(setup.found().await.what, What::TasksLimit { refused: 7 });
}

#[test]
fn why_pressure_is_not_told_is_said_by_what_mends_it() {
    let why = |error: Errno| why_unarmed(&error.into());
    assert!(why(Errno::PERM).contains("6.5"));
    assert!(why(Errno::NOENT).contains("psi=1"));
    assert!(why(Errno::ROFS).contains("ReadWritePaths="));
    assert_eq!(why(Errno::MFILE), ITS_LOG);
}

#[tokio::test]
async fn who_cannot_be_watched_is_said_until_it_can_be() {
    let setup = Setup::new();
    setup.write(UID, "memory.events", "oom_kill 0\n");
    setup.watch.begin(UID, setup.slice(UID));
    let is_blind = |word: &str| setup.watch.blind().iter().any(|one| one.contains(word));
    assert!(is_blind("psi=1"));
    assert!(!is_blind("max_user_watches"));
    if let Some(user) = setup.watch.state().users.get_mut(&UID) {
        user.unmarked = Some(why_unmarked(Errno::NOSPC));
    }
    assert!(is_blind("max_user_watches"));
    setup.watch.begin(UID, setup.slice(UID));
    assert!(!is_blind("max_user_watches"));
    setup.watch.end(UID);
    assert!(!is_blind("psi=1"));
}

#[test]
fn a_victim_of_another_uid_is_named_only_where_one_user_was_hit() {
    let killed = |uid, pid, mib: u64| Killed {
        uid,
        victim: Victim {
            pid,
            command: "x".to_owned(),
            held: fairshare_protocol::MemorySize::saturating_from_bytes(mib << 20),
        },
    };
    let pid = |killed: &[Killed], hit: &[u32]| largest_victim(killed, UID, hit).map(|one| one.pid);
    let all = [killed(0, 7, 900), killed(UID, 8, 5), killed(UID, 9, 50)];
    assert_eq!(pid(&all, &[UID]), Some(9));
    assert_eq!(pid(&all[..1], &[UID]), Some(7));
    assert_eq!(pid(&all[..1], &[UID, UID + 1]), None);
    assert_eq!(pid(&[], &[UID]), None);
}

#[tokio::test(start_paused = true)]
async fn a_strain_is_told_once_until_it_was_calm() {
    let setup = Setup::new();
    let minutes = |throttled: u64| {
        setup.write(UID, "cpu.stat", &format!("nr_throttled {throttled}\n"));
    };
    setup.write(UID, "cpu.max", "100000 100000\n");
    minutes(0);
    let slice = setup.slice(UID);
    let mut strain = Strain::new(Strained::Cpu);
    let mut next = async |throttled| {
        strain.fired(&slice);
        tokio::time::advance(strain::SUSTAINED).await;
        minutes(throttled);
        strain.judge(&slice)
    };
    let told = What::CpuThrottled {
        share: 10_000,
        over: strain::SUSTAINED,
    };
    assert_eq!(next(600).await, Judged::Told(told));
    assert_eq!(next(1200).await, Judged::Still);
    assert_eq!(next(1210).await, Judged::Calm);
    assert_eq!(next(1800).await, Judged::Still);
    assert_eq!(next(1810).await, Judged::Calm);
    tokio::time::advance(strain::CALM).await;
    let told = What::CpuThrottled {
        share: 5000,
        over: strain::SUSTAINED,
    };
    assert_eq!(next(2110).await, Judged::Told(told));
}

#[test]
fn keys_say_whose_they_are() {
    for uid in [0, UID, u32::MAX] {
        let key = u64::from(uid) << 1;
        assert_eq!(Strained::of_key(key), (uid, Strained::Cpu));
        assert_eq!(Strained::of_key(key | 1), (uid, Strained::Memory));
    }
}
