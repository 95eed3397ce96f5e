//! Workers that misbehave, played by shell scripts.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use super::*;

/// How long a lookup may take in a test of what hangs.
const SHORT: Duration = Duration::from_secs(1);
/// How long one may take where nothing hangs.
const LONG: Duration = Duration::from_secs(30);

/// What every script begins with: it notes its PID, and `answer` writes one answer to `$line`.
const PREAMBLE: &str = r#"
echo $$ >> "${0%/*}/pids"
answer() {
    number=${line#*\"number\":}
    echo "$line" >> "${0%/*}/asked"
    echo "{\"number\":${number%%,*},\"answer\":$1}"
}
alice='{"person":{"name":"alice","groups":[100,7,100]}}'
mallory='{"person":{"name":"mallory","groups":[0]}}'
"#;

struct Fake {
    folder: TempDir,
    names: Names,
}

impl Fake {
    fn new(script: &str, deadline: Duration) -> Self {
        Self::at(script, deadline, clock::millis)
    }

    fn at(script: &str, deadline: Duration, clock: fn() -> u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker");
        fs::write(&path, format!("{PREAMBLE}{script}")).unwrap();
        let names = Names::new(Launch::script(path), deadline, clock);
        Self { folder, names }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Processes that have been started.
    fn started(&self) -> usize {
        self.lines("pids").len()
    }

    /// Waits until no process is left, a zombie neither.
    async fn all_gone(&self) {
        let pids = self.lines("pids");
        let gone = |pid: &String| !Path::new("/proc").join(pid).exists();
        until(|| pids.iter().all(gone)).await;
        let children = self.lines("children");
        until(|| !children.iter().any(|pid| is_running(pid))).await;
    }
}

/// Whether a process runs. Its zombie, if it has become one, is for others than us to take away.
fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits for what no event tells.
async fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const WELL: &str = r#"while read -r line; do answer "$alice"; done"#;

#[tokio::test]
async fn a_person_is_learnt_once_and_by_one_process() {
    let fake = Fake::new(WELL, LONG);
    let person = fake.names.subject(1000).await.unwrap();
    let alice = Person {
        uid: 1000,
        name: Some("alice".to_owned()),
        groups: vec![7, 100],
    };
    assert_eq!(*person, alice);
    fake.names.subject(1000).await.unwrap();
    fake.names.subject(1001).await.unwrap();
    assert_eq!(fake.lines("asked").len(), 2);
    assert_eq!(fake.started(), 1);
}

#[tokio::test]
async fn identical_lookups_are_one() {
    let fake = Fake::new(WELL, LONG);
    let askers: Vec<_> = (0..50)
        .map(|_| {
            let names = fake.names.clone();
            tokio::spawn(async move { names.subject(1000).await.unwrap() })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    assert_eq!(fake.lines("asked").len(), 1);
}

#[tokio::test]
async fn a_name_becomes_a_number_or_none() {
    let script = r#"while read -r line; do
        case $line in
            *group_id*staff*) answer '{"id":50}' ;;
            *) answer '{"id":null}' ;;
        esac
    done"#;
    let fake = Fake::new(script, LONG);
    assert_eq!(fake.names.group_id("staff").await, Ok(Some(50)));
    assert_eq!(fake.names.group_id("alice").await, Ok(None));
    // What can be no name is not asked.
    for wrong in ["", "a:b", "a\nb", "a\0b", &"x".repeat(MAX_NAME + 1)] {
        assert_eq!(fake.names.group_id(wrong).await, Ok(None));
    }
    assert_eq!(fake.lines("asked").len(), 2);
    assert_eq!(
        fake.names.group_id(&"\"".repeat(MAX_NAME)).await,
        Ok(None),
        "the longest name"
    );
}

#[tokio::test]
async fn each_fault_is_an_error_in_time_and_leaves_no_process() {
    for (script, expected) in [
        ("exec sleep 1000", NamesError::TimedOut),
        (
            r#"sleep 1000 & echo $! >> "${0%/*}/children"; wait"#,
            NamesError::TimedOut,
        ),
        // A line that never gets finished, a byte at a time.
        ("while printf x; do sleep 0.05; done", NamesError::TimedOut),
        (
            "read -r line; exit 1",
            NamesError::Failed("the process that asks it has ended".to_owned()),
        ),
        (
            "read -r line; printf half",
            NamesError::Failed("an answer is unfinished or too long".to_owned()),
        ),
        (
            "read -r line; exec tr '\\0' x < /dev/zero",
            NamesError::Failed("an answer is unfinished or too long".to_owned()),
        ),
        (
            "read -r line; echo garbage; exec sleep 1000",
            NamesError::Failed("an answer is not understood".to_owned()),
        ),
        (
            r#"read -r line; answer '{"id":7}'; exec sleep 1000"#,
            NamesError::Failed("an answer is not understood".to_owned()),
        ),
        (
            r#"read -r line; answer '{"fault":"Connection refused"}'; exit"#,
            NamesError::Failed("Connection refused".to_owned()),
        ),
    ] {
        // Only what hangs may take the deadline; the others must not be taken for hanging.
        let deadline = match expected {
            NamesError::TimedOut => SHORT,
            _ => LONG,
        };
        let fake = Fake::new(script, deadline);
        let begun = Instant::now();
        assert_eq!(fake.names.subject(1000).await, Err(expected), "{script}");
        assert!(begun.elapsed() < deadline + SHORT, "{script}");
        fake.all_gone().await;
        // The fault is remembered for a while.
        assert!(fake.names.subject(1000).await.is_err());
        assert_eq!(fake.started(), 1, "{script}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let names = Names::start("/nonexistent/fairshared".into());
    let Err(NamesError::Failed(why)) = names.subject(1000).await else {
        panic!("it was started");
    };
    assert!(
        why.starts_with("cannot start /nonexistent/fairshared: "),
        "{why}"
    );
    assert_eq!(names.shared.state().workers, 0);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() {
    let script = r#"while read -r line; do answer "$alice"; answer "$mallory"; done"#;
    let fake = Fake::new(script, LONG);
    fake.names.subject(1000).await.unwrap();
    // The process is not trusted any more, and another one answers.
    let person = fake.names.subject(1001).await.unwrap();
    assert_eq!(person.name.as_deref(), Some("alice"));
    assert_eq!(fake.started(), 2);
}

#[tokio::test]
async fn one_that_hangs_holds_up_nobody_else() {
    let script = r#"while read -r line; do
        case $line in *1000*) exec sleep 1000 ;; *) answer "$alice" ;; esac
    done"#;
    let fake = Fake::new(script, LONG);
    let hanging = {
        let names = fake.names.clone();
        tokio::spawn(async move { names.subject(1000).await })
    };
    until(|| fake.started() == 1).await;
    for uid in 2000..2010 {
        fake.names.subject(uid).await.unwrap();
    }
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[tokio::test]
async fn there_are_four_processes_at_most_and_all_hanging_they_are_replaced() {
    let script = r#"while read -r line; do
        case $line in *:9*) answer "$alice" ;; *) exec sleep 1000 ;; esac
    done"#;
    let fake = Fake::new(script, SHORT);
    let askers: Vec<_> = (0..20)
        .map(|uid| {
            let names = fake.names.clone();
            tokio::spawn(async move { names.subject(uid + 100).await })
        })
        .collect();
    until(|| fake.started() == MAX_WORKERS).await;
    assert_eq!(fake.names.shared.state().workers, MAX_WORKERS);
    for asker in askers {
        assert_eq!(asker.await.unwrap(), Err(NamesError::TimedOut));
    }
    fake.all_gone().await;
    // Those that waited for longer than anybody waits were not begun.
    assert_eq!(fake.started(), MAX_WORKERS);
    until(|| fake.names.shared.state().pending.is_empty()).await;
    assert_eq!(fake.names.shared.state().workers, 0);
    fake.names.subject(900).await.unwrap();
}

#[tokio::test]
async fn lookups_that_wait_are_bounded() {
    let fake = Fake::new("exec sleep 1000", LONG);
    let askers: Vec<_> = (0..u32::try_from(MAX_LOOKUPS).unwrap())
        .map(|uid| {
            let names = fake.names.clone();
            tokio::spawn(async move { names.subject(uid).await })
        })
        .collect();
    until(|| fake.names.shared.state().pending.len() == MAX_LOOKUPS).await;
    assert_eq!(fake.names.subject(70_000).await, Err(NamesError::Busy));
    for asker in askers {
        asker.abort();
    }
}

#[tokio::test]
async fn a_process_that_ended_while_idle_is_replaced_and_leaves_no_zombie() {
    let fake = Fake::new(r#"read -r line; answer "$alice""#, LONG);
    fake.names.subject(1000).await.unwrap();
    fake.all_gone().await;
    until(|| fake.names.shared.state().workers == 0).await;
    fake.names.subject(1001).await.unwrap();

    // It closes its input and stays: it is found out when it is asked, and ended.
    let stays = r#"read -r line; answer "$alice"; exec <&-; exec sleep 1000"#;
    let fake = Fake::new(stays, LONG);
    fake.names.subject(1000).await.unwrap();
    let input = format!("/proc/{}/fd/0", fake.lines("pids")[0]);
    until(|| fs::read_link(&input).is_err()).await;
    fake.names.subject(1001).await.unwrap();
    assert_eq!(fake.started(), 2);
}

#[tokio::test]
async fn processes_end_with_the_runtime() {
    // `cat` ends only when its input does.
    let script = r#"read -r line; answer "$alice"; exec cat"#;
    let pids = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let fake = Fake::new(script, LONG);
            fake.names.subject(1000).await.unwrap();
            fake.lines("pids")
        })
    })
    .join()
    .unwrap();
    until(|| !pids.iter().any(|pid| is_running(pid))).await;
}

fn inherited_by_the_test() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fdinfo").unwrap();
    let numbers = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_passed_on = |number: &String| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        // `O_CLOEXEC`: proc_pid_fdinfo(5).
        flags.is_some_and(|flags| flags & 0o2_000_000 == 0)
    };
    numbers.filter(is_passed_on).collect()
}

#[tokio::test]
async fn a_worker_has_nothing_of_the_daemons() {
    let script = r#"read -r line
        ls -l /proc/self/fd > "${0%/*}/fds"
        env > "${0%/*}/environment"
        # By the shell itself, which blocks signals for a moment whenever it starts a program.
        while read -r status; do
            case $status in SigBlk:*|SigIgn:*) echo "$status" ;; esac
        done < /proc/$$/status > "${0%/*}/signals"
        answer "$alice""#;
    let folder = tempfile::tempdir().unwrap();
    let _open = fs::File::create(folder.path().join("of-the-daemon")).unwrap();
    let fake = Fake::new(script, LONG);
    fake.names.subject(1000).await.unwrap();
    // What the test itself was started with is not the daemon's: systemd passes nothing of the kind.
    let mut expected = inherited_by_the_test();
    expected.extend(["0".to_owned(), "1".to_owned(), "2".to_owned()]);
    let descriptors = fake.lines("fds");
    assert!(descriptors.len() >= 3, "{descriptors:?}");
    for line in descriptors {
        assert!(!line.contains("of-the-daemon"), "{line}");
        let (left, _) = line.split_once(" -> ").unwrap_or_default();
        let number = left.split(' ').next_back().unwrap_or_default();
        // `ls` itself has the folder open that it lists.
        let number = if line.ends_with("/fd") { "" } else { number };
        assert!(
            number.is_empty() || expected.contains(&number.to_owned()),
            "{line}"
        );
    }
    let environment = fake.lines("environment");
    assert!(
        environment
            .iter()
            .all(|line| ["PATH=", "PWD=", "OLDPWD=", "_=", "SHLVL="]
                .iter()
                .any(|known| line.starts_with(known))),
        "{environment:?}"
    );
    let signals = fake.lines("signals");
    let of = |key| {
        let set = signals.iter().find_map(|line| line.strip_prefix(key));
        u64::from_str_radix(set.unwrap().trim(), 16).unwrap()
    };
    assert_eq!(of("SigBlk:"), 0);
    // The one that a Rust program ignores; signal 13 is bit 12.
    assert_eq!(of("SigIgn:") & (1 << 12), 0, "SIGPIPE");
}

#[tokio::test]
async fn an_old_answer_is_given_while_the_name_service_hangs() {
    static NOW: AtomicU64 = AtomicU64::new(0);
    let script = r#"while read -r line; do
        [ -e "${0%/*}/hang" ] && exec sleep 1000
        answer "$alice"
    done"#;
    let fake = Fake::at(script, SHORT, || NOW.load(Ordering::Relaxed));
    fake.names.subject(1000).await.unwrap();
    fs::write(fake.path().join("hang"), "").unwrap();

    NOW.store(cache::FRESH, Ordering::Relaxed);
    let begun = Instant::now();
    assert!(fake.names.subject(1000).await.is_ok());
    assert!(
        begun.elapsed() < SHORT / 2,
        "it waited for the name service"
    );
    assert_eq!(fake.names.shared.state().pending.len(), 1, "no renewal");
    until(|| fake.names.shared.state().pending.is_empty()).await;
    assert!(
        fake.names.subject(1000).await.is_ok(),
        "the fault displaced it"
    );
    assert_eq!(fake.names.shared.state().pending.len(), 0, "tried too soon");

    // Also when everything is to be asked anew, though then it is waited for.
    fake.names.forget_all();
    let begun = Instant::now();
    assert!(fake.names.subject(1000).await.is_ok());
    assert!(begun.elapsed() >= SHORT / 2, "nothing was asked");

    NOW.store(cache::KEPT, Ordering::Relaxed);
    assert_eq!(
        fake.names.subject(1000).await,
        Err(NamesError::TimedOut),
        "older than a day"
    );
}

#[tokio::test]
async fn after_forget_all_the_new_answer_is_given() {
    let script = r#"while read -r line; do
        answer "{\"id\":$(cat "${0%/*}/id")}"
    done"#;
    let fake = Fake::new(script, LONG);
    fs::write(fake.path().join("id"), "1").unwrap();
    assert_eq!(fake.names.group_id("staff").await, Ok(Some(1)));
    fs::write(fake.path().join("id"), "2").unwrap();
    assert_eq!(fake.names.group_id("staff").await, Ok(Some(1)));
    fake.names.forget_all();
    assert_eq!(fake.names.group_id("staff").await, Ok(Some(2)));
}
