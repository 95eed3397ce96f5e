//! The ledger on disk, so that a restart of the daemon loses no session and no grant.
//!
//! The file lies on a tmpfs and lives as long as the machine is up: nothing in it means anything
//! after a reboot. It is written ahead of what it records, row by row. Against `kill -9` that is
//! enough without waiting for a disk, because what was written belongs to the kernel by then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::{
    self, Grant, Leader, Ledger, Moment, Numbers, RecentUse, SavedUser, Session, Waiting,
};
use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks, Wish};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use tracing::error;

use crate::people::Person;

/// The file in the state folder.
const FILE: &str = "ledger.db";
/// The version of the tables. An older one is brought up to it; a newer one is not understood, and
/// is put aside.
const VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE users (
        uid INTEGER PRIMARY KEY,
        cpu INTEGER,                -- of the grant, thousandths; NULL without a grant
        mem INTEGER,                -- bytes
        tasks INTEGER,
        to_undo INTEGER NOT NULL    -- limits outlive the slice and must be taken back
    ) STRICT;
    CREATE TABLE sessions (
        session INTEGER PRIMARY KEY,
        uid INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        start_time INTEGER NOT NULL,
        service TEXT NOT NULL
    ) STRICT;
    CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
";

/// What version 2 added. Moments are milliseconds since boot.
const SINCE_VERSION_1: &str = "
    ALTER TABLE users ADD COLUMN gentle INTEGER NOT NULL DEFAULT 0;  -- no memory is forced down
    ALTER TABLE users ADD COLUMN since INTEGER NOT NULL DEFAULT 0;   -- of the grant, like the rest
    ALTER TABLE users ADD COLUMN lease_end INTEGER;
    ALTER TABLE users ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN last_use INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN noticed INTEGER;
    ALTER TABLE users ADD COLUMN beyond_max INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE people (
        uid INTEGER PRIMARY KEY,
        person TEXT NOT NULL        -- name and groups as the name service told them, in JSON
    ) STRICT;
    CREATE TABLE waiting (
        uid INTEGER PRIMARY KEY,
        ticket INTEGER NOT NULL,
        cpu INTEGER,                -- the wish; NULL where it does not name the resource
        mem INTEGER,
        tasks INTEGER,
        lease INTEGER,              -- milliseconds; NULL where the user did not say
        deadline INTEGER,
        since INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE recent_use (
        uid INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        seconds REAL NOT NULL,
        share REAL NOT NULL
    ) STRICT;
";

/// What was saved.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Saved {
    pub(crate) ledger: ledger::Saved,
    /// Users whose limits outlive their slice.
    pub(crate) to_undo: Vec<u32>,
    /// Who the users are, so that policy for groups holds after a restart before anybody is asked.
    pub(crate) people: BTreeMap<u32, Arc<Person>>,
}

/// Why the snapshot could not be read or written.
#[derive(Debug)]
pub(crate) struct SnapshotError {
    verb: &'static str,
    path: PathBuf,
    error: rusqlite::Error,
}

impl SnapshotError {
    /// Whether another process has the file open: then it is sound, and not ours.
    fn is_in_use(&self) -> bool {
        matches!(
            self.error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
        )
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.verb, self.path.display(), self.error)
    }
}

impl std::error::Error for SnapshotError {}

/// The file.
#[derive(Debug)]
pub(crate) struct Snapshot {
    path: PathBuf,
    connection: Connection,
}

impl Snapshot {
    /// Opens the file in this folder and reads what was saved. A file that cannot be read is put
    /// aside and a new one begun: a daemon that does not start protects nobody.
    ///
    /// # Errors
    /// Where another daemon has the file open, and where no new one can be made.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Saved), SnapshotError> {
        let path = folder.join(FILE);
        match Self::open_file(&path) {
            Err(fault) if !fault.is_in_use() => {
                error!("cannot {fault}, putting it aside and ignoring it");
                put_aside(&path);
                Self::open_file(&path)
            }
            result => result,
        }
    }

    fn open_file(path: &Path) -> Result<(Self, Saved), SnapshotError> {
        let failed = |verb| {
            move |error| SnapshotError {
                verb,
                path: path.to_owned(),
                error,
            }
        };
        let mut connection = Connection::open(path).map_err(failed("open"))?;
        configure(&connection).map_err(failed("prepare"))?;
        create(&mut connection).map_err(failed("prepare"))?;
        let saved = read(&connection).map_err(failed("read"))?;
        Ok((
            Self {
                path: path.to_owned(),
                connection,
            },
            saved,
        ))
    }

    /// Writes these users as the ledger has them; those that it does not have are removed.
    pub(crate) fn save_users(
        &mut self,
        ledger: &Ledger,
        users: &BTreeSet<u32>,
        to_undo: &dyn Fn(u32) -> bool,
    ) -> Result<(), SnapshotError> {
        self.write(|transaction| {
            write_numbers(transaction, ledger.numbers())?;
            for &uid in users {
                let user = ledger.saved_user(uid);
                write_user(transaction, uid, user.as_ref(), to_undo(uid))?;
                write_recent_use(transaction, uid, ledger.recent_use(uid))?;
                if user.is_none() {
                    forget_person(transaction, uid)?;
                }
            }
            Ok(())
        })
    }

    /// Writes who a user is.
    pub(crate) fn save_person(&mut self, person: &Person) -> Result<(), SnapshotError> {
        self.write(|transaction| write_person(transaction, person))
    }

    /// Has every write fail, or not any more.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&self, refuses: bool) {
        let set = self.connection.pragma_update(None, "query_only", refuses);
        set.unwrap();
    }

    /// Writes everything anew, after a write has failed.
    pub(crate) fn save_all<'a>(
        &mut self,
        ledger: &Ledger,
        to_undo: &dyn Fn(u32) -> bool,
        people: impl Iterator<Item = &'a Arc<Person>>,
    ) -> Result<(), SnapshotError> {
        self.write(|transaction| {
            transaction.execute_batch(
                "DELETE FROM users; DELETE FROM sessions; DELETE FROM waiting;
                 DELETE FROM recent_use; DELETE FROM people;",
            )?;
            let saved = ledger.save();
            write_numbers(transaction, saved.numbers)?;
            for (&uid, user) in &saved.users {
                write_user(transaction, uid, Some(user), to_undo(uid))?;
            }
            for (uid, recent) in saved.recent {
                write_recent_use(transaction, uid, Some(recent))?;
            }
            for person in people {
                write_person(transaction, person)?;
            }
            Ok(())
        })
    }

    fn write(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), SnapshotError> {
        let path = &self.path;
        let all = || {
            let transaction = self.connection.transaction()?;
            work(&transaction)?;
            transaction.commit()
        };
        all().map_err(|error| SnapshotError {
            verb: "write",
            path: path.clone(),
            error,
        })
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // One process uses the file, so the write-ahead log needs no shared memory; a small cache and
    // log keep the daemon small.
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = OFF;
         PRAGMA cache_size = -256;
         PRAGMA wal_autocheckpoint = 64;",
    )
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == VERSION {
        return Ok(());
    }
    if !(0..VERSION).contains(&version) {
        // Written by another version; reported by whoever opens.
        return Err(rusqlite::Error::InvalidQuery);
    }
    let transaction = connection.transaction()?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.execute_batch(SINCE_VERSION_1)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn put_aside(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let from = PathBuf::from(format!("{}{suffix}", path.display()));
        let to = PathBuf::from(format!("{}.unreadable{suffix}", path.display()));
        if from.exists()
            && let Err(fault) = fs::rename(&from, &to)
        {
            error!("cannot rename {}: {fault}, ignoring", from.display());
        }
    }
}

fn write_numbers(transaction: &Transaction<'_>, numbers: Numbers) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO numbers
             VALUES ('last_session', ?1), ('last_ticket', ?2), ('now', ?3)",
        )?
        .execute([
            signed(numbers.last_session),
            signed(numbers.last_ticket),
            moment(numbers.now),
        ])?;
    Ok(())
}

fn write_recent_use(
    transaction: &Transaction<'_>,
    uid: u32,
    recent: Option<RecentUse>,
) -> rusqlite::Result<()> {
    match recent {
        Some(RecentUse { at, seconds, share }) => transaction
            .prepare_cached("INSERT OR REPLACE INTO recent_use VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![uid, moment(at), seconds, share])?,
        None => transaction
            .prepare_cached("DELETE FROM recent_use WHERE uid = ?1")?
            .execute([uid])?,
    };
    Ok(())
}

fn write_person(transaction: &Transaction<'_>, person: &Person) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO people VALUES (?1, ?2)")?
        .execute(params![person.uid, person.to_json()])?;
    Ok(())
}

fn forget_person(transaction: &Transaction<'_>, uid: u32) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM people WHERE uid = ?1")?
        .execute([uid])?;
    Ok(())
}

fn read_people(connection: &Connection) -> rusqlite::Result<BTreeMap<u32, Arc<Person>>> {
    let mut statement = connection.prepare("SELECT uid, person FROM people")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (uid, text) = row?;
        // One that is not understood is looked up again at the next login.
        let person = Person::from_json(uid, &text).unwrap_or_else(|| Person::of_uid(uid));
        Ok((uid, Arc::new(person)))
    })
    .collect()
}

fn write_waiting(
    transaction: &Transaction<'_>,
    uid: u32,
    waiting: Option<&Waiting>,
) -> rusqlite::Result<()> {
    let Some(waiting) = waiting else {
        transaction
            .prepare_cached("DELETE FROM waiting WHERE uid = ?1")?
            .execute([uid])?;
        return Ok(());
    };
    let Wish { cpu, mem, tasks } = waiting.wish;
    let lease = waiting.lease.map(|lease| lease.as_millis());
    transaction
        .prepare_cached("INSERT OR REPLACE INTO waiting VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            uid,
            signed(waiting.ticket),
            cpu.map(|cpu| signed(cpu.thousandths())),
            mem.map(|mem| signed(mem.bytes())),
            tasks.map(|tasks| signed(tasks.count())),
            lease.map(|millis| i64::try_from(millis).unwrap_or(i64::MAX)),
            waiting.deadline.map(moment),
            moment(waiting.since),
        ])?;
    Ok(())
}

/// Writes what changed of a user: the sessions of one who opens a hundred are not written anew
/// each time.
fn write_user(
    transaction: &Transaction<'_>,
    uid: u32,
    user: Option<&SavedUser>,
    to_undo: bool,
) -> rusqlite::Result<()> {
    let empty = BTreeMap::new();
    let sessions = user.map_or(&empty, |user| &user.sessions);
    let written: Vec<i64> = transaction
        .prepare_cached("SELECT session FROM sessions WHERE uid = ?1")?
        .query_map([uid], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for gone in written
        .iter()
        .filter(|id| !sessions.contains_key(&unsigned(**id)))
    {
        transaction
            .prepare_cached("DELETE FROM sessions WHERE session = ?1")?
            .execute([gone])?;
    }
    for (&id, session) in sessions
        .iter()
        .filter(|(id, _)| !written.contains(&signed(**id)))
    {
        let Leader { pid, start_time } = session.leader;
        transaction
            .prepare_cached("INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                signed(id),
                uid,
                pid,
                signed(start_time),
                session.service
            ])?;
    }
    write_waiting(
        transaction,
        uid,
        user.and_then(|user| user.waiting.as_ref()),
    )?;
    let Some(user) = user else {
        transaction
            .prepare_cached("DELETE FROM users WHERE uid = ?1")?
            .execute([uid])?;
        return Ok(());
    };
    let grant = user.grant;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO users (uid, cpu, mem, tasks, to_undo, gentle, since, lease_end,
                                           warned, last_use, noticed, beyond_max)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            uid,
            grant.map(|grant| signed(grant.allocation.cpu.thousandths())),
            grant.map(|grant| signed(grant.allocation.mem.bytes())),
            grant.map(|grant| signed(grant.allocation.tasks.count())),
            to_undo,
            user.gentle,
            grant.map_or(0, |grant| moment(grant.since)),
            grant.and_then(|grant| grant.lease_end).map(moment),
            grant.map_or(0, |grant| moment(grant.warned)),
            grant.map_or(0, |grant| moment(grant.last_use)),
            grant.and_then(|grant| grant.noticed).map(moment),
            grant.is_some_and(|grant| grant.beyond_max),
        ])?;
    Ok(())
}

fn read(connection: &Connection) -> rusqlite::Result<Saved> {
    let (mut users, to_undo) = read_users(connection)?;
    read_sessions(connection, &mut users)?;
    read_waiting(connection, &mut users)?;
    let value = |name: &str| {
        let mut statement = connection.prepare("SELECT value FROM numbers WHERE name = ?1")?;
        let value: Option<i64> = statement.query_row([name], |row| row.get(0)).optional()?;
        Ok::<_, rusqlite::Error>(value.map_or(0, unsigned))
    };
    let numbers = Numbers {
        last_session: value("last_session")?,
        last_ticket: value("last_ticket")?,
        now: Moment::from_millis(value("now")?),
    };
    Ok(Saved {
        ledger: ledger::Saved {
            users,
            recent: read_recent_use(connection)?,
            numbers,
        },
        to_undo,
        people: read_people(connection)?,
    })
}

fn read_users(connection: &Connection) -> rusqlite::Result<(BTreeMap<u32, SavedUser>, Vec<u32>)> {
    let (mut users, mut to_undo) = (BTreeMap::new(), Vec::new());
    let mut statement = connection.prepare(
        "SELECT uid, cpu, mem, tasks, to_undo, gentle, since, lease_end, warned, last_use, noticed,
                beyond_max
         FROM users",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let uid: u32 = row.get(0)?;
        let time = |column| number(row, column).map(|time| time.map(Moment::from_millis));
        let mut user = SavedUser {
            gentle: row.get(5)?,
            ..SavedUser::default()
        };
        if let Some(allocation) = allocation(number(row, 1)?, number(row, 2)?, number(row, 3)?) {
            user.grant = Some(Grant {
                allocation,
                since: time(6)?.unwrap_or_default(),
                lease_end: time(7)?,
                warned: time(8)?.unwrap_or_default(),
                last_use: time(9)?.unwrap_or_default(),
                noticed: time(10)?,
                beyond_max: row.get(11)?,
            });
        }
        users.insert(uid, user);
        if row.get(4)? {
            to_undo.push(uid);
        }
    }
    Ok((users, to_undo))
}

fn read_sessions(
    connection: &Connection,
    users: &mut BTreeMap<u32, SavedUser>,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare("SELECT session, uid, pid, start_time, service FROM sessions")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let leader = Leader {
            pid: row.get(2)?,
            start_time: unsigned(row.get(3)?),
        };
        let session = Session {
            leader,
            service: row.get(4)?,
        };
        let user = users.entry(row.get(1)?).or_default();
        user.sessions.insert(unsigned(row.get(0)?), session);
    }
    Ok(())
}

fn read_waiting(
    connection: &Connection,
    users: &mut BTreeMap<u32, SavedUser>,
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare("SELECT uid, ticket, cpu, mem, tasks, lease, deadline, since FROM waiting")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let waiting = Waiting {
            ticket: unsigned(row.get(1)?),
            wish: Wish {
                cpu: number(row, 2)?.and_then(Cpus::from_thousandths),
                mem: number(row, 3)?.and_then(MemorySize::from_bytes),
                tasks: number(row, 4)?.and_then(Tasks::new),
            },
            lease: number(row, 5)?.map(Duration::from_millis),
            deadline: number(row, 6)?.map(Moment::from_millis),
            since: Moment::from_millis(unsigned(row.get(7)?)),
        };
        users.entry(row.get(0)?).or_default().waiting = Some(waiting);
    }
    Ok(())
}

fn read_recent_use(connection: &Connection) -> rusqlite::Result<BTreeMap<u32, RecentUse>> {
    let mut statement = connection.prepare("SELECT uid, at, seconds, share FROM recent_use")?;
    let rows = statement.query_map([], |row| {
        let recent = RecentUse {
            at: Moment::from_millis(unsigned(row.get(1)?)),
            seconds: row.get(2)?,
            share: row.get(3)?,
        };
        Ok((row.get(0)?, recent))
    })?;
    rows.collect()
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    Ok(value.map(unsigned))
}

fn moment(moment: Moment) -> i64 {
    signed(moment.millis())
}

fn allocation(cpu: Option<u64>, mem: Option<u64>, tasks: Option<u64>) -> Option<Allocation> {
    Some(Allocation {
        cpu: Cpus::from_thousandths(cpu?)?,
        mem: MemorySize::from_bytes(mem?)?,
        tasks: Tasks::new(tasks?)?,
    })
}

/// `SQLite`'s whole numbers have a sign. Everything written here is far below the limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fairshare_core::Entitlement;
    use fairshare_core::ledger::Capacity;
    use fairshare_protocol::Wish;

    use super::*;

    const NOW: Moment = Moment::from_millis(5_000_000);
    const CAPACITY: Capacity = Capacity {
        cpu_thousandths: 6000,
        mem_bytes: 1 << 40,
    };

    fn allocation(cpu: &str, mem: &str) -> Allocation {
        Allocation {
            cpu: cpu.parse().unwrap(),
            mem: mem.parse().unwrap(),
            tasks: "100".parse().unwrap(),
        }
    }

    fn entitlement() -> Arc<Entitlement> {
        Arc::new(Entitlement::between(
            allocation("2", "8G"),
            Allocation {
                tasks: "500".parse().unwrap(),
                ..allocation("8", "32G")
            },
        ))
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(CAPACITY);
        for (uid, pid) in [(1000, 1), (1000, 2), (1001, 3)] {
            ledger.open_session(uid, Leader { pid, start_time: 7 }, "sshd", &entitlement());
        }
        let wish = Wish {
            cpu: "4".parse().ok(),
            ..Wish::default()
        };
        let lease = Some(Duration::from_secs(7200));
        ledger
            .resize(1000, &wish, MemorySize::ZERO, false, lease, NOW)
            .unwrap();
        // More than is left beside the first, and it waits.
        let wish = Wish {
            cpu: "7".parse().ok(),
            tasks: "400".parse().ok(),
            ..Wish::default()
        };
        let deadline = Some(NOW.after(Duration::from_secs(600)));
        ledger.enqueue(1001, &wish, lease, deadline, NOW).unwrap();
        ledger.tick(NOW);
        ledger
    }

    fn same(ledger: &mut Ledger, saved: Saved) {
        let mut restored = Ledger::new(CAPACITY);
        restored.restore(saved.ledger, |_| entitlement());
        ledger.take_changed();
        assert_eq!(restored, *ledger);
    }

    #[test]
    fn what_was_written_is_read_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger();
        let (mut snapshot, saved) = Snapshot::open(folder.path()).unwrap();
        assert_eq!(saved, Saved::default());
        let changed = ledger.take_changed();
        assert_eq!(changed, BTreeSet::from([1000, 1001]));
        snapshot
            .save_users(&ledger, &changed, &|uid| uid == 1001)
            .unwrap();
        drop(snapshot);

        let (mut snapshot, saved) = Snapshot::open(folder.path()).unwrap();
        assert_eq!(saved.to_undo, [1001]);
        same(&mut ledger, saved);

        ledger.close_session(1, NOW);
        ledger.forget(1001, NOW);
        ledger.tick(NOW);
        let changed = ledger.take_changed();
        assert_eq!(changed, BTreeSet::from([1000, 1001]));
        snapshot.save_users(&ledger, &changed, &|_| false).unwrap();
        drop(snapshot);
        same(&mut ledger, Snapshot::open(folder.path()).unwrap().1);
    }

    #[test]
    fn the_file_of_a_running_daemon_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut snapshot, _) = Snapshot::open(folder.path()).unwrap();
        snapshot.save_all(&ledger(), &|_| false, [].iter()).unwrap();
        let second = Snapshot::open(folder.path()).unwrap_err();
        assert!(second.to_string().contains("locked"), "{second}");
        drop(snapshot);
        same(&mut ledger(), Snapshot::open(folder.path()).unwrap().1);
    }

    #[test]
    fn writing_everything_replaces_everything() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger();
        let (mut snapshot, _) = Snapshot::open(folder.path()).unwrap();
        snapshot.save_all(&ledger, &|_| false, [].iter()).unwrap();
        ledger.forget(1000, NOW);
        ledger.tick(NOW);
        snapshot
            .save_all(&ledger, &|uid| uid == 1001, [].iter())
            .unwrap();
        drop(snapshot);
        let saved = Snapshot::open(folder.path()).unwrap().1;
        assert_eq!(saved.to_undo, [1001]);
        same(&mut ledger, saved);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        fs::write(
            &file,
            "this is no database, and long enough to be taken for one",
        )
        .unwrap();
        let (mut snapshot, saved) = Snapshot::open(folder.path()).unwrap();
        assert_eq!(saved, Saved::default());
        assert!(folder.path().join("ledger.db.unreadable").exists());
        snapshot.save_all(&ledger(), &|_| false, [].iter()).unwrap();

        // A file of another version, too.
        drop(snapshot);
        let connection = Connection::open(&file).unwrap();
        connection
            .pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        drop(connection);
        assert_eq!(Snapshot::open(folder.path()).unwrap().1, Saved::default());
    }

    #[test]
    fn a_file_of_the_first_version_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join(FILE)).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection
            .execute_batch(
                "INSERT INTO users VALUES (1000, 4000, 8589934592, 100, 0);
                 INSERT INTO sessions VALUES (5, 1000, 77, 7, 'sshd');
                 INSERT INTO numbers VALUES ('last_session', 9);
                 PRAGMA user_version = 1;",
            )
            .unwrap();
        drop(connection);
        let saved = Snapshot::open(folder.path()).unwrap().1.ledger;
        let user = saved.users.get(&1000).unwrap();
        let grant = user.grant.unwrap();
        assert_eq!(
            (grant.allocation, grant.lease_end),
            (allocation("4", "8G"), None)
        );
        assert_eq!(user.sessions.get(&5).unwrap().leader.pid, 77);
        assert_eq!(saved.numbers.last_session, 9);
    }
}
