//! The ledger on disk, so that a restart of the daemon loses no session and no grant.
//!
//! The file lies on a tmpfs and lives as long as the machine is up: nothing in it means anything
//! after a reboot. It is written ahead of what it records, row by row. Against `kill -9` that is
//! enough without waiting for a disk, because what was written belongs to the kernel by then.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fairshare_core::ledger::{self, Ledger};
use rusqlite::{Connection, Transaction};
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

/// Without it, finding the sessions of one user is a walk through those of all. Apart from the
/// version: a file with it means the same as one without.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS sessions_of_user ON sessions (uid)";

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
        let saved = rows::read(&connection).map_err(failed("read"))?;
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
            rows::write_numbers(transaction, ledger.numbers())?;
            for &uid in users {
                let user = ledger.saved_user(uid);
                rows::write_user(transaction, uid, user.as_ref(), to_undo(uid))?;
                rows::write_recent_use(transaction, uid, ledger.recent_use(uid))?;
                if user.is_none() {
                    rows::forget_person(transaction, uid)?;
                }
            }
            Ok(())
        })
    }

    /// Writes who a user is.
    pub(crate) fn save_person(&mut self, person: &Person) -> Result<(), SnapshotError> {
        self.write(|transaction| rows::write_person(transaction, person))
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
            rows::write_numbers(transaction, saved.numbers)?;
            for (&uid, user) in &saved.users {
                rows::write_user(transaction, uid, Some(user), to_undo(uid))?;
            }
            for (uid, recent) in saved.recent {
                rows::write_recent_use(transaction, uid, Some(recent))?;
            }
            for person in people {
                rows::write_person(transaction, person)?;
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
        return connection.execute_batch(INDEX);
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
    transaction.execute_batch(INDEX)?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fairshare_core::Entitlement;
    use fairshare_core::ledger::{Capacity, Leader, Moment, Terms};
    use fairshare_protocol::{Allocation, MemorySize, Wish};

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
        let lease = Some(Duration::from_secs(7200));
        let terms = Terms {
            wish: Wish {
                cpu: "4".parse().ok(),
                ..Wish::default()
            },
            lease,
            used: MemorySize::ZERO,
            force: false,
        };
        ledger.resize(1000, &terms, NOW).unwrap();
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
    fn one_users_sessions_are_found_without_looking_at_those_of_all() {
        let folder = tempfile::tempdir().unwrap();
        drop(Snapshot::open(folder.path()).unwrap());
        let file = folder.path().join(FILE);
        let plan = || {
            let connection = Connection::open(&file).unwrap();
            let explained = format!("EXPLAIN QUERY PLAN {}", rows::SESSIONS_OF_USER);
            let plan = connection.query_row(&explained, [1000], |row| row.get::<_, String>(3));
            plan.unwrap()
        };
        assert!(plan().starts_with("SEARCH"), "{}", plan());
        // A file of a daemon that did not have the index yet.
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch("DROP INDEX sessions_of_user")
            .unwrap();
        drop(connection);
        drop(Snapshot::open(folder.path()).unwrap());
        assert!(plan().starts_with("SEARCH"), "{}", plan());
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
