//! What is used, as the daemon looks at it: a slice whose files these tests write.

use fairshare_protocol::{Report, ReportBy, ReportInfo};

use super::*;

/// Root, who sees everybody.
const ROOT: u32 = 0;

fn write_slice(setup: &Setup, cpu_s: u64, tasks: u64) {
    let root = setup.folder.path().join("cgroup");
    let slice = root.join(format!("user.slice/user-{UID}.slice"));
    std::fs::create_dir_all(&slice).unwrap();
    let write = |file: &str, text: String| std::fs::write(slice.join(file), text).unwrap();
    let usage = cpu_s * 1_000_000;
    write(
        "cpu.stat",
        format!("usage_usec {usage}\nthrottled_usec 2000000\n"),
    );
    write("memory.current", format!("{}\n", 300 << 20));
    write("memory.stat", format!("active_file {}\n", 100 << 20));
    write("memory.peak", format!("{}\n", 500 << 20));
    write("pids.current", format!("{tasks}\n"));
    let stalled = "some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\n";
    write("memory.pressure", stalled.to_owned());
    let tree = CgroupTree::new(&root);
    *setup.operations.enforcement.tree.lock().unwrap() = Some(tree);
}

async fn report(setup: &Setup, asked: Report, uid: u32) -> ReportInfo {
    match setup.operations.report(asked, &caller(uid)).await {
        Reply::ReportInfo(info) => info,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_that_is_over_before_a_look_is_in_the_report() {
    let setup = Setup::new();
    let Reply::SessionOpened(opened) = setup.open().await else {
        panic!("not opened");
    };
    write_slice(&setup, 5, 17);
    setup
        .operations
        .end_session(opened.session, Origin::LeaderGone)
        .await;
    let info = report(&setup, Report::default(), UID).await;
    assert_eq!(info.rows.len(), 1);
    let row = &info.rows[0];
    assert_eq!((row.uid, row.cpu_s), (Some(UID), 5));
    assert_eq!((row.throttled_s, row.stalled_s), (2, 3));
    assert_eq!((row.mem_peak.bytes(), row.tasks_peak), (500 << 20, 17));
    assert_eq!(info.gaps, [""; 0]);

    // Others see themselves, and root everybody.
    let others = report(&setup, Report::default(), UID + 1).await;
    assert_eq!(others.rows, []);
    let by = ReportBy::Day;
    let all = report(
        &setup,
        Report {
            by,
            ..Report::default()
        },
        ROOT,
    )
    .await;
    assert_eq!((all.rows.len(), all.rows[0].cpu_s), (1, 5));
}

#[tokio::test]
async fn a_round_in_which_nothing_is_used_says_so() {
    let setup = Setup::new();
    setup.open().await;
    write_slice(&setup, 5, 17);
    assert!(setup.operations.look_at_use().await, "five seconds are use");
    assert!(!setup.operations.look_at_use().await);
    write_slice(&setup, 6, 17);
    assert!(setup.operations.look_at_use().await);
    let row = &report(&setup, Report::default(), ROOT).await.rows[0];
    assert_eq!(row.cpu_s, 6, "each second once");
}

#[tokio::test]
async fn where_policy_wants_no_history_nobody_is_looked_at() {
    let setup = Setup::new();
    setup.open().await;
    let policy = policy_of(&format!("{POLICY}history: off\n"));
    let set = setup
        .operations
        .book
        .with(move |book| book.set_policy(policy));
    drop(set.await);
    write_slice(&setup, 5, 17);
    assert!(!setup.operations.look_at_use().await);
    assert_eq!(report(&setup, Report::default(), ROOT).await.rows, []);
}
