//! The history on real files: what outlives the daemon, and what a disk that fails costs.

use std::fs;

use fairshare_protocol::{IncidentKind, Wish};
use rusqlite::Connection;

use super::store::FILE;
use super::*;

const UID: u32 = 1000;

fn incident(uid: u32, text: &str) -> Incident {
    Incident {
        id: 0,
        uid,
        user: None,
        at: 5,
        kind: IncidentKind::OomKill,
        text: text.to_owned(),
        advice: None,
        limit: Wish::default(),
        processes: Vec::new(),
        times: None,
    }
}

/// Ends a history, and returns when its file is closed.
fn end(history: History) {
    let shared = Arc::downgrade(&history.shared);
    drop(history);
    // The keeper lets go of the file before it lets go of this.
    while shared.strong_count() > 0 {
        thread::yield_now();
    }
}

async fn texts(history: &History, uid: u32) -> Vec<String> {
    let found = history.incidents(uid, 0, 1000).await;
    found.into_iter().map(|one| one.text).collect()
}

#[tokio::test]
async fn incidents_and_what_was_told_outlive_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("fairshare");
    let history = History::open(Some(&folder));
    assert_eq!(history.record(incident(UID, "first"), false), 1);
    assert_eq!(history.record(incident(UID, "second"), false), 2);
    assert_eq!(history.record(incident(UID, "third"), true), 3);
    history.record(incident(1001, "another's"), false);
    history.mark_told(UID, 1);
    history.again(UID, 2, 7, false);
    assert_eq!(texts(&history, UID).await, ["third", "second", "first"]);
    end(history);

    let history = History::open(Some(&folder));
    let found = history.incidents(UID, 0, 2).await;
    assert_eq!(found.len(), 2);
    assert_eq!((found[1].id, found[1].times), (2, Some(7)));
    let untold = history.untold(UID, 5).await;
    assert_eq!((untold.newest.len(), untold.all), (1, 1));
    assert_eq!(untold.newest[0].text, "second");
    // Only what is there already is told with it.
    history.mark_told(UID, 2);
    history.record(incident(UID, "fourth"), false);
    assert_eq!(history.untold(UID, 5).await.newest[0].id, 5);
    assert_eq!(history.incidents(UID, 6, 5).await, []);
}

#[tokio::test]
async fn without_a_folder_the_newest_are_kept_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("not there/fairshare");
    for history in [History::default(), History::open(Some(&nowhere))] {
        for number in 0..300 {
            history.record(incident(UID, &number.to_string()), number % 2 == 0);
            // Not more at once than the queue takes.
            if number % 100 == 0 {
                texts(&history, UID).await;
            }
        }
        let texts = texts(&history, UID).await;
        assert_eq!((texts.len(), texts[0].as_str()), (256, "299"));
        assert_eq!(history.untold(UID, 3).await.all, 128);
        let last = history.incidents(UID, 0, 1).await[0].id;
        history.mark_told(UID, last);
        assert_eq!(history.untold(UID, 3).await, Untold::default());
    }
}

#[tokio::test]
async fn a_file_of_a_later_version_or_a_broken_one_is_put_aside() {
    for broken in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(Some(folder.path()));
        history.record(incident(UID, "before"), false);
        texts(&history, UID).await;
        end(history);
        let file = folder.path().join(FILE);
        if broken {
            fs::write(
                &file,
                "this is no database, whatever its name says".repeat(99),
            )
            .unwrap();
        } else {
            let connection = Connection::open(&file).unwrap();
            connection.pragma_update(None, "user_version", 77).unwrap();
        }
        let history = History::open(Some(folder.path()));
        history.record(incident(UID, "after"), false);
        assert_eq!(texts(&history, UID).await, ["after"], "broken: {broken}");
        assert!(folder.path().join("history.db.unreadable").exists());
        end(history);
        let history = History::open(Some(folder.path()));
        assert_eq!(texts(&history, UID).await, ["after"]);
    }
}
