//! Users who are there without a session of theirs being known.

use super::*;
use crate::operations::present::{Lately, MOST_LATELY};

const NOBODY: [u32; 0] = [];
const EXEMPT: &str = "exempt: {users: [4242]}\n";

/// A daemon in whose machine the user's slice is active, and policy says this beside the figures.
fn site(more: &str, watching: bool) -> (Arc<Operations<Fake>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cgroup");
    std::fs::create_dir_all(root.join("user.slice/user-4242.slice")).unwrap();
    // Root's, a system account's, and one that is nobody's.
    for name in ["user-0.slice", "user-33.slice", "user@1.service"] {
        std::fs::create_dir_all(root.join("user.slice").join(name)).unwrap();
    }
    let names = Names::start(folder.path().join("no-worker"));
    let operations = start(folder.path(), &format!("{POLICY}{more}"), names);
    *operations.enforcement.tree.lock().unwrap() = Some(CgroupTree::new(&root));
    operations
        .watching
        .store(watching, std::sync::atomic::Ordering::Relaxed);
    (operations, folder)
}

fn limited(operations: &Operations<Fake>) -> Vec<u32> {
    let limits = operations.enforcement.limits.lock().unwrap();
    limits.keys().copied().collect()
}

async fn known(operations: &Operations<Fake>) -> Vec<(u32, usize)> {
    let users = operations.book.with(|book| {
        let accounts = book.ledger().accounts();
        accounts
            .map(|(uid, account)| (uid, account.sessions().len()))
            .collect()
    });
    users.await
}

#[tokio::test]
async fn whoever_has_a_slice_gets_the_default() {
    let (operations, _folder) = site("", false);
    operations.look_for_present().await;
    assert_eq!(limited(&operations), [UID]);
    assert_eq!(known(&operations).await, [(UID, 0)]);
    // Once: a user who is known is left alone.
    operations.enforcement.limits.lock().unwrap().clear();
    operations.look_for_present().await;
    assert_eq!(limited(&operations), NOBODY);
}

#[tokio::test]
async fn a_failure_of_the_bus_is_made_up_for() {
    let (operations, _folder) = site("", false);
    *operations.enforcement.mood.lock().unwrap() = Mood::NoBus;
    operations.look_for_present().await;
    assert_eq!(limited(&operations), NOBODY);
    *operations.enforcement.mood.lock().unwrap() = Mood::Well;
    operations.look_at(UID).await;
    assert_eq!(limited(&operations), [UID]);
}

#[tokio::test]
async fn in_watch_mode_and_where_policy_lets_them_be_nothing_is_set() {
    let (operations, _folder) = site("", true);
    operations.look_for_present().await;
    assert_eq!(limited(&operations), NOBODY);
    assert_eq!(
        known(&operations).await,
        [(UID, 0)],
        "and shown all the same"
    );

    let (operations, _folder) = site(EXEMPT, false);
    operations.look_for_present().await;
    assert_eq!(limited(&operations), NOBODY);
    assert_eq!(known(&operations).await, Vec::new());
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_slice_comes_late_is_waited_for() {
    let (operations, folder) = site("", false);
    let slice = folder.path().join("cgroup/user.slice/user-4242.slice");
    std::fs::remove_dir(&slice).unwrap();
    // As at a boot: the daemon is there sooner than the slice of somebody who lingers.
    *operations.enforcement.coming.lock().unwrap() = vec![0, UID];
    operations.look_for_present().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(known(&operations).await, Vec::new());
    std::fs::create_dir(&slice).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(limited(&operations), [UID]);

    // And not for ever.
    std::fs::remove_dir(&slice).unwrap();
    operations.slice_gone(UID).await;
    operations.user_came(UID).await;
    assert_eq!(known(&operations).await, Vec::new());
}

#[test]
fn a_login_is_remembered_until_it_is_asked_for_or_many_have_come() {
    let mut lately = Lately::default();
    lately.add("3");
    assert!(lately.take("3") && !lately.take("3"));
    lately.add("first");
    for number in 0..MOST_LATELY {
        lately.add(&number.to_string());
    }
    assert!(!lately.take("first") && lately.take("0"));
}
