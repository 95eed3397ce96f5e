//! The history on real files: what outlives the daemon, and what a disk that fails costs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use fairshare_protocol::{IncidentKind, ReportBy, Wish};
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
    let found = history.incidents(uid, 0, 1000).await.unwrap().incidents;
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
    let found = history.incidents(UID, 0, 2).await.unwrap().incidents;
    assert_eq!(found.len(), 2);
    assert_eq!((found[1].id, found[1].times), (2, Some(7)));
    let untold = history.untold(UID, 5).await;
    assert_eq!((untold.newest.len(), untold.all), (1, 1));
    assert_eq!(untold.newest[0].text, "second");
    // Only what is there already is told with it.
    history.mark_told(UID, 2);
    history.record(incident(UID, "fourth"), false);
    assert_eq!(history.untold(UID, 5).await.newest[0].id, 5);
    let later = history.incidents(UID, 6, 5).await;
    assert_eq!(later, Some(Happened::default()));
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
        let found = history.incidents(UID, 0, 1).await.unwrap();
        assert!(found.gap.is_some_and(|gap| gap.contains("cannot be used")));
        let last = found.incidents[0].id;
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

/// Has the keeper wait until what is returned is dropped, as a disk that hangs does.
async fn hang(history: &History) -> SyncSender<()> {
    let (goes_on, waits) = sync_channel(0);
    let (hangs, is_hanging) = oneshot::channel();
    let asking = history.ask(move |_| {
        let _ = hangs.send(());
        let _ = waits.recv();
    });
    tokio::select! {
        _ = asking => panic!("it does not hang"),
        hanging = is_hanging => hanging.unwrap(),
    }
    goes_on
}

#[tokio::test]
async fn questions_that_nobody_waits_for_any_more_take_no_room_from_what_is_reported() {
    let history = History::default();
    let hanging = hang(&history).await;
    for _ in 0..2 * QUEUE {
        let asked = tokio::time::timeout(Duration::ZERO, history.untold(UID, 3));
        assert!(asked.await.is_err());
    }
    let before = COUNTS.told().errors.history_drop;
    for _ in 0..QUEUE - QUESTIONS {
        history.record(incident(UID, "kept"), true);
    }
    assert_eq!(history.shared.lost.load(Ordering::Relaxed), 0);
    for _ in 0..2 * QUESTIONS {
        history.record(incident(UID, "lost"), true);
    }
    let lost = history.shared.lost.load(Ordering::Relaxed);
    assert!(lost >= 4, "{lost}");
    assert!(COUNTS.told().errors.history_drop >= before + lost);
    drop(hanging);
    // Until there is room for a question again.
    while history.ask(|_| ()).await.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(texts(&history, UID).await.len(), 256, "it answers again");
}

#[tokio::test]
async fn a_history_that_hangs_does_not_say_that_nothing_has_happened() {
    let history = History::default();
    let _hanging = hang(&history).await;
    tokio::time::pause();
    assert_eq!(history.incidents(UID, 0, 5).await, None);
}

/// A Tuesday, in seconds since 1970.
const WALL: u64 = 1_795_500_000;
const DAY: u64 = 86_400;

/// A look `at` seconds after [`WALL`], by when `cpu` seconds were used.
fn reading(uid: u32, at: u64, cpu: u64) -> Reading {
    Reading {
        uid,
        slice: 7,
        at: at * 1000,
        wall: WALL + at,
        came: None,
        counted: Counted {
            cpu: cpu * 1_000_000,
            held: 1 << 30,
            ..Counted::default()
        },
        charged: 2 << 30,
        tasks: 9,
        person: None,
    }
}

fn asked(by: ReportBy, from: u64, to: u64) -> Asked {
    Asked {
        by,
        uid: None,
        from,
        to,
        groups: BTreeSet::from(["staff".to_owned(), "students".to_owned()]),
    }
}

async fn report(history: &History, by: ReportBy) -> ReportInfo {
    let asked = asked(by, WALL - DAY, WALL + DAY);
    history.report(asked).await.unwrap()
}

fn cpu_of(info: &ReportInfo) -> Vec<(&str, u64)> {
    let rows = info.rows.iter();
    rows.map(|row| (row.key.as_str(), row.cpu_s)).collect()
}

#[tokio::test]
async fn use_is_reported_by_user_group_and_day() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    let person = |uid, name: &str, groups: &[&str]| {
        let group = |name: &&str| fairshare_core::policy::Group {
            gid: 5,
            name: Some((*name).to_owned()),
        };
        Some(Arc::new(crate::people::Person {
            uid,
            name: Some(name.to_owned()),
            groups: groups.iter().map(group).collect(),
            complete: true,
        }))
    };
    for (at, cpu) in [(0, 5), (60, 35), (120, 50)] {
        history.keep_readings(vec![
            Reading {
                person: person(1, "ada", &["staff", "students", "unnamed"]),
                ..reading(1, at, cpu)
            },
            Reading {
                person: person(2, "bob", &["students"]),
                ..reading(2, at, cpu * 2)
            },
            reading(3, at, cpu / 5),
        ]);
    }
    let mut happened = incident(2, "killed");
    happened.at = WALL + 7;
    happened.times = Some(3);
    history.record(happened, true);

    let info = report(&history, ReportBy::User).await;
    assert_eq!(cpu_of(&info), [("bob", 90), ("ada", 45), ("3", 9)]);
    assert_eq!(
        (info.from, info.to),
        (WALL, WALL + DAY),
        "as far back as is known"
    );
    let row = &info.rows[0];
    assert_eq!((row.uid, row.incidents), (Some(2), 3));
    assert_eq!((row.mem_mib_s, row.tasks_peak), (1024 * 120, 9));
    assert_eq!(row.mem_peak.bytes(), 2 << 30);
    assert_eq!(info.gaps, [""; 0]);
    let points = |info: &ReportInfo, key: &str| {
        let series = info.series.iter().find(|series| series.key == key);
        series
            .unwrap()
            .points
            .iter()
            .map(|point| point.cpu_s)
            .sum::<u64>()
    };
    assert_eq!((points(&info, "bob"), points(&info, "3")), (90, 9));

    let info = report(&history, ReportBy::Group).await;
    let groups = [("students", 135), ("staff", 45), ("(none)", 9)];
    assert_eq!(cpu_of(&info), groups);
    assert_eq!(points(&info, "students"), 135);

    let info = report(&history, ReportBy::Day).await;
    assert_eq!(cpu_of(&info), [("2026-11-24", 144)]);
    assert_eq!(points(&info, "all"), 144);

    let one = Asked {
        uid: Some(1),
        ..asked(ReportBy::User, WALL, WALL + 200)
    };
    assert_eq!(cpu_of(&history.report(one).await.unwrap()), [("ada", 45)]);
}

#[tokio::test]
async fn what_was_used_over_a_restart_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    history.keep_readings(vec![reading(1, 0, 100)]);
    history.keep_readings(vec![reading(1, 60, 110)]);
    end(history);
    let history = History::open(Some(folder.path()));
    history.keep_readings(vec![reading(1, 130, 125)]);
    // The same look again, as after a write that was thought to have failed.
    history.keep_readings(vec![reading(1, 130, 125)]);
    assert_eq!(cpu_of(&report(&history, ReportBy::User).await), [("1", 25)]);
    end(history);

    // After another boot the looks of this one say nothing.
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    let set = "UPDATE facts SET value = 'another' WHERE name = 'boot'";
    assert_eq!(connection.execute(set, []).unwrap(), 1);
    drop(connection);
    let history = History::open(Some(folder.path()));
    history.keep_readings(vec![reading(1, 190, 400)]);
    assert_eq!(cpu_of(&report(&history, ReportBy::User).await), [("1", 25)]);
}

#[tokio::test]
async fn a_clock_that_jumps_doubles_nothing_and_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    let mut total = 0;
    // Ten minutes back and forth, and to another century for a moment.
    for (minute, wall) in [0, 60, 120, -480, -420, 600, 4_000_000_000_i64, 660]
        .iter()
        .enumerate()
    {
        let at = u64::try_from(minute).unwrap() * 3700;
        total = at / 10;
        history.keep_readings(vec![Reading {
            wall: WALL.saturating_add_signed(*wall),
            ..reading(1, at, total)
        }]);
        report(&history, ReportBy::User).await;
    }
    let all = Asked {
        uid: None,
        ..asked(ReportBy::User, 0, u64::MAX / 4)
    };
    let info = history.report(all).await.unwrap();
    assert_eq!(cpu_of(&info), [("1", total)]);
}

#[tokio::test]
async fn minutes_hours_and_days_come_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    // Arbitrary steps of time and use, the same in each run: Knuth's generator for 64 bits.
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let (mut at, mut cpu) = (0, [0; 5]);
    for _ in 0..400 {
        at += 30 + next(600);
        let looks = (1..).zip(&mut cpu).filter_map(|(uid, cpu)| {
            *cpu += next(90);
            (next(4) > 0).then(|| reading(uid, at, *cpu))
        });
        let looks = looks.collect();
        history.keep_readings(looks);
        if next(20) == 0 {
            report(&history, ReportBy::User).await;
        }
    }
    report(&history, ReportBy::User).await;
    end(history);
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    let sums = |span: u64| {
        let sql = "SELECT sum(cpu_us), sum(mem_kib_s), max(mem_peak), max(tasks_peak),
                   count(DISTINCT uid) FROM used WHERE span = ?1";
        let row = |row: &rusqlite::Row<'_>| {
            let all = [0, 1, 2, 3, 4].map(|index| row.get::<_, i64>(index).unwrap());
            Ok(all)
        };
        connection
            .query_row(sql, [rows::number(span)], row)
            .unwrap()
    };
    assert!(sums(60)[0] > 0);
    assert_eq!(sums(60), sums(3600));
    assert_eq!(sums(60), sums(86_400));
}

#[tokio::test]
async fn what_is_old_goes_and_so_does_what_is_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    history.keep_readings(vec![reading(1, 0, 0)]);
    history.keep_readings(vec![reading(1, 60, 9)]);
    history.record(incident(UID, "in 1970"), true);
    history.keep_for(Some(Duration::from_secs(90 * DAY)));
    let mut rows = Vec::new();
    // Days in which the machine slept, as its clocks have it.
    for day in [3, 70, 100] {
        for step in [0, 3700] {
            let at = day * DAY + step;
            history.keep_readings(vec![reading(1, at, 9 + at)]);
            report(&history, ReportBy::User).await;
        }
        let connection = Connection::open(folder.path().join(FILE)).unwrap();
        let count = |span: u64| {
            let sql = "SELECT count(*) FROM used WHERE span = ?1 AND at < ?2";
            let first = [span, WALL + DAY].map(rows::number);
            connection
                .query_row(sql, first, |row| row.get::<_, i64>(0))
                .unwrap()
        };
        rows.push([60, 3600, 86_400].map(count));
    }
    assert_eq!(rows, [[0, 1, 1], [0, 0, 1], [0, 0, 0]]);
    assert_eq!(texts(&history, UID).await, [""; 0]);
    end(history);

    let mut connection = Connection::open(folder.path().join(FILE)).unwrap();
    let transaction = connection.transaction().unwrap();
    let used = reading::Used::default();
    for at in 0..50 {
        rows::add_used(&transaction, 60, WALL * 2 + at * 60, 1, &used).unwrap();
    }
    rows::retire_tier(&transaction, 60, 0, 20).unwrap();
    let oldest = rows::oldest_used(&transaction, 60).unwrap();
    assert_eq!(oldest, Some(WALL * 2 + 30 * 60));
}

#[tokio::test]
async fn incidents_of_one_user_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    history.record(incident(1, "another's"), true);
    for number in 0..1100 {
        history.record(incident(UID, &number.to_string()), true);
        if number % 200 == 0 {
            texts(&history, UID).await;
        }
    }
    let found = history.incidents(UID, 0, 5000).await.unwrap().incidents;
    assert_eq!((found.len(), found[0].text.as_str()), (1000, "1099"));
    assert_eq!(texts(&history, 1).await.len(), 1);
}

#[tokio::test]
async fn where_policy_wants_none_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    history.keep_for(None);
    history.record(incident(UID, "told all the same"), true);
    assert_eq!(texts(&history, UID).await.len(), 1);
    let info = report(&history, ReportBy::User).await;
    assert_eq!(info.gaps, ["Policy says that no history is kept."]);
    end(history);
    let history = History::open(Some(folder.path()));
    assert_eq!(texts(&history, UID).await, [""; 0]);
}

#[tokio::test]
async fn where_nothing_is_written_what_was_missed_before_is_not_told_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(Some(folder.path()));
    history.record(incident(UID, "missed"), false);
    assert_eq!(history.untold(UID, 3).await.all, 1);
    history.keep_for(None);
    assert_eq!(history.untold(UID, 3).await.all, 0);
}

/// Which folder a process that these tests start is to write to.
const CHILDS_FOLDER: &str = "FAIRSHARE_TEST_HISTORY";
/// The longest file that it may write, if there is to be one.
const CHILDS_LIMIT: &str = "FAIRSHARE_TEST_HISTORY_LIMIT";

/// What such a process does: writes, and says what is written, until it is killed. Does nothing
/// among the other tests.
#[tokio::test]
async fn a_process_that_writes() {
    let Some(folder) = std::env::var_os(CHILDS_FOLDER) else {
        return;
    };
    if let Ok(limit) = std::env::var(CHILDS_LIMIT) {
        fills_up(Path::new(&folder), limit.parse().unwrap()).await;
        return;
    }
    let history = History::open(Some(Path::new(&folder)));
    for number in 1_u64.. {
        history.keep_readings(vec![reading(1, number * 60, number * 2)]);
        let id = history.record(incident(UID, &number.to_string()), false);
        let known = history.incidents(UID, 0, 1).await.unwrap().incidents;
        println!("\nwritten {number} {}", u64::from(known[0].id == id));
    }
}

fn child(folder: &Path) -> Command {
    // A write beyond a limit is to be an error, and not the end.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "history::tests::a_process_that_writes",
        ])
        .env(CHILDS_FOLDER, folder);
    command
}

#[tokio::test]
async fn kill_minus_nine_loses_nothing_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = child(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = lines.map_while(Result::ok);
    let written = lines.filter(|line| line.starts_with("written "));
    let last = written.take(200).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(last, "written 200 1");

    let history = History::open(Some(folder.path()));
    let found = history.incidents(UID, 0, 5000).await.unwrap().incidents;
    assert!(found.len() >= 200, "{}", found.len());
    assert_eq!(found[0].id, u64::try_from(found.len()).unwrap());
    let next = history.record(incident(UID, "after"), false);
    assert_eq!(next, found[0].id + 1);
    let all = asked(ReportBy::User, WALL, WALL + 30 * DAY);
    let cpu = history.report(all).await.unwrap().rows[0].cpu_s;
    assert!(cpu >= 199 * 2, "{cpu}");
    assert!(!folder.path().join("history.db.unreadable").exists());
    end(history);
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    let sound: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
}

/// A disk that fills up, and has room again: the limit of a file's length is one for this process
/// alone.
async fn fills_up(folder: &Path, limit: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let set = |current| {
        let maximum = None;
        setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
    };
    let history = History::open(Some(folder));
    history.record(incident(UID, "before"), true);
    assert_eq!(texts(&history, UID).await, ["before"]);
    set(Some(limit));
    for number in 0..300 {
        history.record(
            incident(UID, &format!("{number} {}", "x".repeat(999))),
            true,
        );
        if number % 50 == 0 {
            texts(&history, UID).await;
        }
    }
    let found = texts(&history, UID).await;
    assert!(found.len() >= 256, "{} are there", found.len());
    assert!(found[0].starts_with("299 "));
    let info = report(&history, ReportBy::User).await;
    assert!(
        info.gaps[0].contains("cannot be used at the moment"),
        "{:?}",
        info.gaps
    );
    set(None);
    // The file is left alone for a while.
    while !report(&history, ReportBy::User)
        .await
        .gaps
        .iter()
        .all(|gap| gap.contains("reports"))
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
        history.record(incident(1, "tries again"), true);
    }
    println!("well again");
    end(history);
}

#[tokio::test]
async fn a_full_disk_costs_what_does_not_fit_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let output = child(folder.path())
        .env(CHILDS_LIMIT, "120000")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("well again"),
        "{said}"
    );
    let history = History::open(Some(folder.path()));
    let found = history.incidents(UID, 0, 500).await.unwrap().incidents;
    assert!(found[0].text.starts_with("299 "), "what waited is written");
}

/// How large the file grows with 500 users who all work all the time: minutes of two days, in the
/// order in which they come, after hours of 60 days. Prints it.
#[test]
#[ignore = "takes a minute"]
fn how_large_the_file_grows() {
    const USERS: u32 = 500;
    let folder = tempfile::tempdir().unwrap();
    let mut store = store::Store::open(folder.path()).unwrap();
    let used = |uid: u32, at: u64, span: u64| reading::Used {
        cpu_us: (at + u64::from(uid)) * 7919 % (span * 2_000_000),
        mem_kib_s: span * (8 << 20),
        mem_peak: (16 << 30) - at % 4096,
        tasks_peak: 200,
        throttled_us: at % 977 * 1000,
        ..reading::Used::default()
    };
    let mut write = |at: u64, spans: &[u64], by: u64| {
        let written = store.write(|transaction| {
            for uid in 20_000..20_000 + USERS {
                for span in spans {
                    let used = used(uid, at, by);
                    rows::add_used(transaction, *span, at - at % span, uid, &used)?;
                }
            }
            rows::retire_tier(transaction, 60, at.saturating_sub(2 * DAY), 1_000_000)
        });
        written.unwrap();
    };
    for hour in 0..58 * 24 {
        write(WALL + hour * 3600, &[3600, 86_400], 3600);
    }
    for minute in 0..2 * 24 * 60 {
        write(WALL + 58 * DAY + minute * 60, &[60, 3600, 86_400], 60);
    }
    drop(store);
    let length = fs::metadata(folder.path().join(FILE)).unwrap().len();
    println!("{} MiB", length >> 20);
    assert!(length < 200 << 20);
}
