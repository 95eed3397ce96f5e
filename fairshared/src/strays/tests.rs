//! Looks at a made-up `/proc` and cgroup tree. Whose a made-up process is, by its folder, is always
//! who runs the test.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::*;

struct Tree {
    folder: tempfile::TempDir,
    uid: u32,
}

impl Tree {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for root in ["proc", "cgroup"] {
            fs::create_dir(folder.path().join(root)).unwrap();
        }
        let uid = rustix::process::getuid().as_raw();
        Self { folder, uid }
    }

    fn finder(&self) -> Finder {
        let root = self.folder.path();
        Finder::new(&root.join("proc"), &root.join("cgroup"))
    }

    fn cgroup(&self, path: &str, processes: &[u32]) {
        let folder = self.folder.path().join("cgroup").join(path);
        fs::create_dir_all(&folder).unwrap();
        let lines: Vec<String> = processes.iter().map(|pid| format!("{pid}\n")).collect();
        fs::write(folder.join("cgroup.procs"), lines.concat()).unwrap();
    }

    fn process(&self, pid: u32, name: &[u8], real: u32, effective: u32) {
        let folder = self.folder.path().join("proc").join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        let write = |file: &str, before: String, after: String| {
            let text = [before.as_bytes(), name, after.as_bytes()].concat();
            fs::write(folder.join(file), text).unwrap();
        };
        let uids = format!("\nUid:\t{real}\t{effective}\t{effective}\t{effective}\n");
        write("status", "Name:\t".to_owned(), uids);
        let fields = format!(") S{} {} 0\n", " 0".repeat(18), pid * 10);
        write("stat", format!("{pid} ("), fields);
    }

    fn own_process(&self, pid: u32) {
        self.process(pid, b"job", self.uid, self.uid);
    }

    async fn look(&self) -> Found {
        look(&self.finder(), &|uid| uid == self.uid).await
    }
}

/// The user's slice is `user-4242.slice`: no user's who could run the test.
async fn look(finder: &Finder, covers: &(dyn Fn(u32) -> bool + Send + Sync)) -> Found {
    let slice = |uid| match uid {
        4243 => "user-4243.slice".to_owned(),
        _ => "user-4242.slice".to_owned(),
    };
    let whom = Whom {
        covers,
        slice: &slice,
    };
    finder.look(&whom).await.unwrap()
}

fn pids(found: &Found) -> Vec<u32> {
    let mut pids: Vec<u32> = found.strays.iter().map(|one| one.process.pid).collect();
    pids.sort_unstable();
    pids
}

#[tokio::test]
async fn what_is_outside_of_the_slice_is_found_and_what_is_inside_is_not() {
    let tree = Tree::new();
    for pid in 1..=9 {
        tree.own_process(pid);
    }
    tree.cgroup("", &[1]);
    tree.cgroup("system.slice/cron.service", &[2, 3]);
    tree.cgroup("user.slice/user-4242.slice/session-1.scope", &[4]);
    tree.cgroup("user.slice/user-4243.slice/session-2.scope", &[5]);
    tree.cgroup("user.slice/user-0.slice/session-3.scope", &[6]);
    tree.cgroup("system.slice/box.scope/user.slice/user-4242.slice", &[7]);
    // 8 is in a cgroup's list, and has gone; 0 is in another PID namespace.
    tree.cgroup("machine.slice", &[0, 88]);
    let found = tree.look().await;
    assert_eq!(pids(&found), [1, 2, 3, 6, 7]);
    let by_pid = |pid| {
        let mut strays = found.strays.iter();
        strays.find(|stray| stray.process.pid == pid).unwrap()
    };
    let cron = by_pid(2);
    assert_eq!(cron.uid, tree.uid);
    assert_eq!(cron.process.start_time, 20);
    assert_eq!(cron.command, "job");
    assert_eq!(cron.cgroup, "/system.slice/cron.service");
    assert_eq!(cron.unit.as_deref(), Some("cron.service"));
    assert_eq!(by_pid(1).unit, None);
    assert_eq!(by_pid(6).unit.as_deref(), Some("session-3.scope"));
    assert_eq!(by_pid(7).unit.as_deref(), Some("box.scope"));
    // Those in the slices of users were not even looked at.
    assert_eq!(found.processes, 6);
    assert!(!found.cut && found.left_out.is_empty());
}

#[tokio::test]
async fn a_setuid_program_is_its_owners() {
    let tree = Tree::new();
    let (user, other) = (tree.uid, tree.uid + 1);
    tree.process(2, b"setuid", user, other);
    tree.process(4, b"own", user, user);
    // A program of the user's that another has begun: nobody hides that way.
    tree.process(5, b"lent", other, user);
    tree.cgroup("system.slice/a.service", &[2, 4, 5]);
    assert_eq!(pids(&tree.look().await), [4, 5]);
    assert!(tree.finder().is_of(user, 4) && !tree.finder().is_of(user, 2));
    let nobody = look(&tree.finder(), &|_| false).await;
    assert_eq!(pids(&nobody), [0; 0]);
}

#[test]
fn whose_a_process_is_say_its_effective_uid_and_not_roots_real_one() {
    assert!(is_users(1000, 1000, 1000) && is_users(1000, 1001, 1000));
    assert!(!is_users(1000, 1000, 0), "a setuid program of root's");
    assert!(!is_users(1000, 0, 1000), "a daemon that acts for the user");
}

#[test]
fn uids_of_services_are_nobodys() {
    let slice = |_| String::new();
    let whom = Whom {
        covers: &|_| true,
        slice: &slice,
    };
    for (uid, looked_for) in [
        (61_183, true),
        (61_184, false),
        (65_519, false),
        (65_520, true),
    ] {
        assert_eq!(is_looked_for(uid, &whom), looked_for, "{uid}");
    }
}

#[test]
fn a_unit_is_the_first_component_that_is_no_slice() {
    for (cgroup, expected) in [
        ("/", None),
        ("/system.slice", None),
        ("/system.slice/cron.service", Some("cron.service")),
        (
            "/system.slice/system-job.slice/job@1.service",
            Some("job@1.service"),
        ),
        (
            "/system.slice/box.scope/system.slice/cron.service",
            Some("box.scope"),
        ),
        ("/lxc/cron.service", Some("lxc")),
    ] {
        assert_eq!(unit(cgroup), expected, "{cgroup}");
    }
}

#[tokio::test]
async fn a_programs_name_hides_nothing() {
    let tree = Tree::new();
    let names: [&[u8]; 4] = [b"\xff\xfe", b") S 1 (", b"a (b", b""];
    for (pid, name) in (1..).zip(names) {
        tree.process(pid, name, tree.uid, tree.uid);
    }
    tree.cgroup("system.slice/a.service", &[1, 2, 3, 4]);
    let found = tree.look().await;
    assert_eq!(pids(&found), [1, 2, 3, 4]);
    let started: Vec<u64> = found
        .strays
        .iter()
        .map(|stray| stray.process.start_time)
        .collect();
    assert_eq!(started, [10, 20, 30, 40]);
}

#[tokio::test]
async fn many_of_one_unit_do_not_crowd_out_the_others() {
    let tree = Tree::new();
    let many = u32::try_from(MAX_KEPT_OF_UNIT).unwrap() + 10;
    for pid in 1..=many + 1 {
        tree.own_process(pid);
    }
    // A list longer than one read, each process twice.
    let list: Vec<u32> = (1..=many).chain(1..=many).collect();
    tree.cgroup("system.slice/box.scope", &list);
    tree.cgroup("system.slice/cron.service", &[many + 1]);
    let found = tree.look().await;
    assert_eq!(found.strays.len(), MAX_KEPT_OF_UNIT + 1);
    assert!(pids(&found).contains(&(many + 1)));
    assert!(found.left_out[&tree.uid] >= 10);
}

#[tokio::test]
async fn a_tree_without_end_is_looked_at_in_part() {
    let tree = Tree::new();
    for number in 0..4 {
        tree.cgroup(&format!("system.slice/{number}"), &[]);
    }
    let mut finder = tree.finder();
    for (most, cut) in [(6, false), (5, true)] {
        finder.most_cgroups = most;
        assert_eq!(look(&finder, &|_| true).await.cut, cut, "{most}");
    }
}

#[tokio::test]
async fn others_run_while_a_look_is_made() {
    let tree = Tree::new();
    let list: Vec<u32> = (1..=10_000).collect();
    tree.cgroup("system.slice/box.scope", &list);
    let mut pauses = 0;
    let mut looking = std::pin::pin!(tree.look());
    let found = std::future::poll_fn(|context| {
        let polled = looking.as_mut().poll(context);
        pauses += usize::from(polled.is_pending());
        polled
    });
    assert_eq!(found.await.processes, 10_000);
    assert!(pauses >= 10_000 / 128, "{pauses}");
}

#[tokio::test]
async fn without_a_proc_there_is_an_error_and_not_nobody() {
    let tree = Tree::new();
    let finder = Finder::new(Path::new("/nowhere"), &tree.folder.path().join("cgroup"));
    let whom = Whom {
        covers: &|_| true,
        slice: &|_| String::new(),
    };
    let error = finder.look(&whom).await.unwrap_err();
    assert!(error.to_string().contains("open /nowhere"), "{error}");
}

/// What a look costs beside `ps -e`: real processes in the real `/proc`, in a made-up cgroup tree
/// that tells each of them ten times for the larger number.
#[tokio::test]
#[ignore = "a measurement: cargo test --release -p fairshared cost_of_a_look -- --ignored --nocapture"]
async fn cost_of_a_look() {
    struct Sleepers(Vec<Child>);
    impl Drop for Sleepers {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
    const PROCESSES: usize = 2000;
    const CGROUPS: usize = 200;
    const ROUNDS: usize = 20;

    let mut sleepers = Sleepers(Vec::new());
    for _ in 0..PROCESSES {
        let mut sleeper = Command::new("sleep");
        sleeper.arg("600").stdin(Stdio::null());
        sleepers.0.push(sleeper.spawn().unwrap());
    }
    let all: Vec<u32> = sleepers.0.iter().map(Child::id).collect();
    println!("{PROCESSES} processes sleep; medians of {ROUNDS} rounds");
    for (times, what) in [(1, "none strays"), (10, "none strays"), (1, "all stray")] {
        let tree = Tree::new();
        for (number, some) in all.chunks(PROCESSES / CGROUPS).enumerate() {
            let list = some.repeat(times);
            tree.cgroup(&format!("system.slice/{number}.service"), &list);
        }
        let finder = Finder::new(Path::new("/proc"), &tree.folder.path().join("cgroup"));
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let found = look(&finder, &|_| what == "all stray").await;
            took.push(begin.elapsed());
            assert_eq!(found.processes, PROCESSES * times);
        }
        took.sort_unstable();
        let (median, processes) = (took[ROUNDS / 2], PROCESSES * times);
        println!("look at {processes} processes, {what}: {median:?}");
    }
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        // `cgroup` as well, which is what says where a process is.
        let listing = Command::new("ps")
            .args(["-e", "-o", "uid,pid,comm,cgroup"])
            .output();
        took.push(begin.elapsed());
        assert!(!listing.unwrap().stdout.is_empty());
    }
    took.sort_unstable();
    println!("ps -e -o uid,pid,comm,cgroup: {:?}", took[ROUNDS / 2]);
}
