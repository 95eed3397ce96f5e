//! Policy for groups and users: at a login, with a name service that hangs, over a reload, in watch
//! mode, and asked for.

use fairshare_protocol::{ExplainInfo, PolicyDiffInfo};

use super::*;

const GROUPS: &str = "\
defaults: {cpu: 1, mem: 1G, tasks: 100}
max: {cpu: 4, mem: 8G, tasks: 500}
groups: {staff: {defaults: {cpu: 2}}}
exempt: {groups: [wheel]}
";
/// Answers as a name service in which the user is in `staff`, which has the GID 50; `wheel` has 10.
const ANSWERS: &str = r#"
answer() {
    number=${line#*\"number\":}
    echo "{\"number\":${number%%,*},\"answer\":$1}"
}
while read -r line; do
    while [ -e "${0%/*}/hangs" ]; do sleep 0.05; done
    case $line in
        *group_id*)
            [ ! -e "${0%/*}/fails" ] || { answer '{"fault":"no answer"}'; continue; } ;;
    esac
    case $line in
        *group_id*staff*) answer '{"id":50}' ;;
        *group_id*wheel*) answer '{"id":10}' ;;
        *person*) answer "{\"person\":{\"name\":\"alice\",\"groups\":[$(cat "${0%/*}/groups")]}}" ;;
        *) answer '{"id":null}' ;;
    esac
done
"#;
const STAFF: &str = "2 CPUs, 1G memory, 100 tasks";

/// A daemon of a site with groups, and the process that leads the user's session.
struct Site {
    operations: Arc<Operations<Fake>>,
    folder: tempfile::TempDir,
    leader: Child,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("worker"), ANSWERS).unwrap();
        let names = Names::of_script(folder.path().join("worker"));
        let site = Self {
            operations: start(folder.path(), GROUPS, names),
            folder,
            leader: leader(),
        };
        site.put_user_in("100, 50");
        site
    }

    fn write_policy(&self, text: &str) {
        std::fs::write(self.folder.path().join("policy.yaml"), text).unwrap();
    }

    fn put_user_in(&self, groups: &str) {
        std::fs::write(self.folder.path().join("groups"), groups).unwrap();
    }

    fn hang(&self, hangs: bool) {
        let mark = self.folder.path().join("hangs");
        if hangs {
            std::fs::write(mark, "").unwrap();
        } else {
            std::fs::remove_file(mark).unwrap();
        }
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

    async fn reload(&self) -> Reply {
        Arc::clone(&self.operations).answer_reload().await
    }

    fn enforced(&self) -> Option<String> {
        let limits = self.operations.enforcement.limits.lock().unwrap();
        limits.get(&UID).map(|limits| limits.allocation.to_string())
    }

    /// Waits until this is enforced.
    async fn comes_to(&self, wanted: Option<&str>) {
        let settled = async {
            while self.enforced().as_deref() != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let bound = std::time::Duration::from_secs(20);
        let ended = tokio::time::timeout(bound, settled).await;
        assert!(ended.is_ok(), "{:?} and not {wanted:?}", self.enforced());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

#[tokio::test]
async fn a_login_gets_what_policy_says_for_its_group() {
    let site = Site::new();
    assert!(matches!(site.open().await, Reply::SessionOpened(_)));
    assert_eq!(site.enforced().as_deref(), Some(STAFF));
}

#[tokio::test]
async fn a_login_is_told_how_many_threads_to_start_where_policy_says_so() {
    let site = Site::new();
    let environment = |reply| match reply {
        Reply::SessionOpened(opened) => opened.environment,
        other => panic!("{other:?}"),
    };
    assert!(environment(site.open().await).is_empty());
    site.write_policy(&format!("{GROUPS}environment: [MAKEFLAGS, GOMAXPROCS]\n"));
    site.reload().await;
    let given = environment(site.open().await);
    let given: Vec<_> = given
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(given, ["GOMAXPROCS=2", "MAKEFLAGS=-j2"]);
}

#[tokio::test]
async fn the_group_is_known_after_a_restart_before_anybody_is_asked() {
    let site = Site::new();
    site.open().await;
    // As a kill leaves the files: the first daemon still has them open.
    let copy = tempfile::tempdir().unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        std::fs::copy(site.folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let (snapshot, saved) = Snapshot::open(copy.path()).unwrap();
    let book = Book::new(policy_of(GROUPS), 1000, snapshot, saved);
    assert_eq!(book.limits(UID).unwrap().allocation.to_string(), STAFF);
}

#[tokio::test]
async fn a_name_service_that_hangs_delays_a_login_a_moment_and_is_heard_later() {
    let site = Site::new();
    site.hang(true);
    let start = std::time::Instant::now();
    assert!(matches!(site.open().await, Reply::SessionOpened(_)));
    let waited = start.elapsed();
    assert!(
        waited < std::time::Duration::from_secs(1),
        "waited {waited:?}"
    );
    assert_eq!(site.enforced().as_deref(), Some(DEFAULT));
    site.hang(false);
    site.comes_to(Some(STAFF)).await;
}

/// Whoever is known without all groups is asked for again: a group of many thousands may be told late.
#[tokio::test]
async fn a_group_that_is_not_told_is_asked_for_again() {
    let site = Site::new();
    std::fs::write(site.folder.path().join("fails"), "").unwrap();
    assert!(matches!(site.open().await, Reply::SessionOpened(_)));
    assert_eq!(site.enforced().as_deref(), Some(DEFAULT));
    assert!(site.operations.unknown.lock().unwrap().contains(&UID));
    std::fs::remove_file(site.folder.path().join("fails")).unwrap();
    site.operations.people.forget_all();
    site.comes_to(Some(STAFF)).await;
}

#[tokio::test]
async fn whoever_is_exempt_is_let_be_also_where_that_is_found_out_late() {
    let site = Site::new();
    site.put_user_in("100, 10");
    let reply = site.open().await;
    assert!(matches!(reply, Reply::SessionIgnored { .. }), "{reply:?}");
    assert_eq!(site.enforced(), None);

    let site = Site::new();
    site.put_user_in("100, 10");
    site.hang(true);
    site.open().await;
    assert_eq!(site.enforced().as_deref(), Some(DEFAULT));
    site.hang(false);
    site.comes_to(None).await;
    // It is nobody's business any more, and a reload brings the limits back.
    assert_eq!(
        code(&site.operations.status(UID).await),
        Some(ErrorCode::NotCovered)
    );
    assert_eq!(
        site.operations.list(None).await,
        Reply::ListInfo { users: Vec::new() }
    );
    site.write_policy(&GROUPS.replace("exempt: {groups: [wheel]}\n", ""));
    site.reload().await;
    site.comes_to(Some(DEFAULT)).await;
}

#[tokio::test]
async fn a_reload_takes_up_new_figures_and_new_groups() {
    let site = Site::new();
    site.open().await;
    site.write_policy(&GROUPS.replace("cpu: 2", "cpu: 3"));
    let reply = site.reload().await;
    let Reply::Success { message } = &reply else {
        panic!("{reply:?}");
    };
    assert_eq!(message, "Policy read again; 1 user's allocation changes");
    site.comes_to(Some("3 CPUs, 1G memory, 100 tasks")).await;
    // Out of the group: that is asked anew, too.
    site.put_user_in("100");
    site.reload().await;
    site.comes_to(Some(DEFAULT)).await;
}

#[tokio::test]
async fn a_reload_with_a_wrong_file_changes_nothing_and_says_so_to_whoever_asked() {
    let site = Site::new();
    site.open().await;
    site.write_policy("defaults: {cpu: 9, mem: 1G}\nmax: {cpu: 4, mem: 8G}\n");
    let reply = site.reload().await;
    assert_eq!(code(&reply), Some(ErrorCode::PolicyWrong));
    let Reply::Error(error) = &reply else {
        panic!("{reply:?}");
    };
    assert!(error.error.contains("policy.yaml:"), "{}", error.error);
    assert!(error.error.contains('^'), "{}", error.error);
    assert_eq!(site.enforced().as_deref(), Some(STAFF));
}

#[tokio::test]
async fn watch_mode_sets_nothing_lifts_what_was_set_and_goes_back() {
    let site = Site::new();
    site.open().await;
    assert_eq!(site.enforced().as_deref(), Some(STAFF));
    site.write_policy(&format!("{GROUPS}enforce: watch\n"));
    let reply = site.reload().await;
    let Reply::Success { message } = &reply else {
        panic!("{reply:?}");
    };
    let told = "Policy read again; nobody's allocation changes; enforce is 'watch' now: all limits are \
                lifted";
    assert_eq!(message, told);
    site.comes_to(None).await;
    let reply = site.open().await;
    assert!(matches!(reply, Reply::SessionOpened(_)), "{reply:?}");
    let wish = Wish {
        cpu: "3".parse().ok(),
        ..Wish::default()
    };
    let caller = Caller {
        uid: UID,
        administrator: false,
        exporter: false,
    };
    let resize = Resize {
        wish,
        ..Resize::default()
    };
    let reply = Arc::clone(&site.operations).resize(caller, resize).await;
    assert!(matches!(reply, Reply::Success { .. }), "{reply:?}");
    assert_eq!(site.enforced(), None);
    let Reply::StatusInfo(status) = site.operations.status(UID).await else {
        panic!("no status");
    };
    assert_eq!(status.enforce, Some(fairshare_protocol::Enforce::Watch));
    assert_eq!(status.allocated_cpu.to_string(), "3");

    site.write_policy(GROUPS);
    site.reload().await;
    site.comes_to(Some("3 CPUs, 1G memory, 100 tasks")).await;
}

#[tokio::test]
async fn policy_explains_itself_and_what_a_reload_would_change() {
    let site = Site::new();
    site.open().await;
    let Reply::ExplainInfo(ExplainInfo { user, entries, .. }) = site.operations.explain(UID).await
    else {
        panic!("no explanation");
    };
    assert_eq!(user.as_deref(), Some("alice"));
    let cpu = entries
        .iter()
        .find(|entry| entry.key == "defaults.cpu")
        .unwrap();
    assert_eq!(cpu.value, "2");
    assert_eq!(cpu.winner.path, "groups.staff.defaults.cpu");
    assert_eq!(cpu.winner.place, "policy.yaml:3:34");
    assert_eq!(cpu.beaten.len(), 1);

    site.write_policy(&GROUPS.replace("mem: 8G", "mem: 4G"));
    let Reply::PolicyDiffInfo(PolicyDiffInfo { users, problems }) =
        site.operations.policy_diff().await
    else {
        panic!("no difference");
    };
    assert_eq!(problems, None);
    let changes: Vec<_> = users
        .iter()
        .map(|change| (change.uid, &*change.key, &*change.from, &*change.to))
        .collect();
    assert_eq!(changes, [(UID, "max.mem", "8G", "4G")]);
    assert_eq!(site.enforced().as_deref(), Some(STAFF), "nothing is set");
}
