//! The ledger on disk, so that a restart of the daemon loses no session and no grant.
//!
//! The file lies on a tmpfs and lives as long as the machine is up: nothing in it means anything
//! after a reboot. It is written ahead of what it records, row by row. Against `kill -9` that is
//! enough without waiting for a disk, because what was written belongs to the kernel by then.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use fairshare_core::ledger::{Account, Leader, Ledger, SavedUser, Session, SessionId};
use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tracing::error;

/// The file in the state folder.
const FILE: &str = "ledger.db";
/// The version of the tables. Another one is not understood, and is put aside.
const VERSION: i64 = 1;

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

/// What was saved.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) users: BTreeMap<u32, SavedUser>,
    /// Users whose limits outlive their slice.
    pub(crate) to_undo: Vec<u32>,
    /// The highest session number given so far.
    pub(crate) last_session: SessionId,
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

    /// Writes one user as the ledger has them; one that it does not have is removed.
    pub(crate) fn save_user(
        &mut self,
        ledger: &Ledger,
        uid: u32,
        to_undo: bool,
    ) -> Result<(), SnapshotError> {
        self.write(|transaction| {
            write_number(transaction, ledger)?;
            write_user(transaction, uid, ledger.account(uid), to_undo)
        })
    }

    /// Writes everything anew, after a write has failed.
    pub(crate) fn save_all(
        &mut self,
        ledger: &Ledger,
        to_undo: &dyn Fn(u32) -> bool,
    ) -> Result<(), SnapshotError> {
        self.write(|transaction| {
            transaction.execute_batch("DELETE FROM users; DELETE FROM sessions;")?;
            write_number(transaction, ledger)?;
            for (uid, account) in ledger.accounts() {
                write_user(transaction, uid, Some(account), to_undo(uid))?;
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
    if version != 0 {
        // Written by another version; reported by whoever opens.
        return Err(rusqlite::Error::InvalidQuery);
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
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

fn write_number(transaction: &Transaction<'_>, ledger: &Ledger) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO numbers VALUES ('last_session', ?1)")?
        .execute([signed(ledger.last_session())])?;
    Ok(())
}

/// Writes what changed of a user: the sessions of one who opens a hundred are not written anew
/// each time.
fn write_user(
    transaction: &Transaction<'_>,
    uid: u32,
    account: Option<&Account>,
    to_undo: bool,
) -> rusqlite::Result<()> {
    let empty = BTreeMap::new();
    let sessions = account.map_or(&empty, Account::sessions);
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
    let Some(account) = account else {
        transaction
            .prepare_cached("DELETE FROM users WHERE uid = ?1")?
            .execute([uid])?;
        return Ok(());
    };
    let grant = account.grant();
    transaction
        .prepare_cached("INSERT OR REPLACE INTO users VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            uid,
            grant.map(|grant| signed(grant.cpu.thousandths())),
            grant.map(|grant| signed(grant.mem.bytes())),
            grant.map(|grant| signed(grant.tasks.count())),
            to_undo,
        ])?;
    Ok(())
}

fn read(connection: &Connection) -> rusqlite::Result<Saved> {
    let mut saved = Saved::default();
    let mut users = connection.prepare("SELECT uid, cpu, mem, tasks, to_undo FROM users")?;
    let mut rows = users.query([])?;
    while let Some(row) = rows.next()? {
        let uid: u32 = row.get(0)?;
        let part = |column| {
            row.get::<_, Option<i64>>(column)
                .map(|value| value.map(unsigned))
        };
        let grant = grant(part(1)?, part(2)?, part(3)?);
        saved.users.insert(
            uid,
            SavedUser {
                sessions: BTreeMap::new(),
                grant,
            },
        );
        if row.get(4)? {
            saved.to_undo.push(uid);
        }
    }
    let mut sessions =
        connection.prepare("SELECT session, uid, pid, start_time, service FROM sessions")?;
    let mut rows = sessions.query([])?;
    while let Some(row) = rows.next()? {
        let leader = Leader {
            pid: row.get(2)?,
            start_time: unsigned(row.get(3)?),
        };
        let session = Session {
            leader,
            service: row.get(4)?,
        };
        let user = saved.users.entry(row.get(1)?).or_default();
        user.sessions.insert(unsigned(row.get(0)?), session);
    }
    let last: Option<i64> = connection
        .query_row(
            "SELECT value FROM numbers WHERE name = 'last_session'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    saved.last_session = last.map_or(0, unsigned);
    Ok(saved)
}

fn grant(cpu: Option<u64>, mem: Option<u64>, tasks: Option<u64>) -> Option<Allocation> {
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

    const CAPACITY: Capacity = Capacity {
        cpu_thousandths: 64_000,
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
            allocation("8", "32G"),
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
        ledger.resize(1000, &wish, MemorySize::ZERO, false).unwrap();
        ledger
    }

    fn same(ledger: &Ledger, saved: Saved) {
        let mut restored = Ledger::new(CAPACITY);
        for (uid, user) in saved.users {
            restored.restore(uid, user, &entitlement());
        }
        restored.continue_after(saved.last_session);
        assert!(
            restored.accounts().eq(ledger.accounts()),
            "{restored:?}\n{ledger:?}"
        );
        assert_eq!(restored.last_session(), ledger.last_session());
    }

    #[test]
    fn what_was_written_is_read_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger();
        let (mut snapshot, saved) = Snapshot::open(folder.path()).unwrap();
        assert_eq!(saved, Saved::default());
        snapshot.save_user(&ledger, 1000, false).unwrap();
        snapshot.save_user(&ledger, 1001, true).unwrap();
        drop(snapshot);

        let (mut snapshot, saved) = Snapshot::open(folder.path()).unwrap();
        assert_eq!(saved.to_undo, [1001]);
        same(&ledger, saved);

        ledger.close_session(1);
        ledger.forget(1001);
        snapshot.save_user(&ledger, 1000, false).unwrap();
        snapshot.save_user(&ledger, 1001, false).unwrap();
        drop(snapshot);
        same(&ledger, Snapshot::open(folder.path()).unwrap().1);
    }

    #[test]
    fn the_file_of_a_running_daemon_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut snapshot, _) = Snapshot::open(folder.path()).unwrap();
        snapshot.save_all(&ledger(), &|_| false).unwrap();
        let second = Snapshot::open(folder.path()).unwrap_err();
        assert!(second.to_string().contains("locked"), "{second}");
        drop(snapshot);
        same(&ledger(), Snapshot::open(folder.path()).unwrap().1);
    }

    #[test]
    fn writing_everything_replaces_everything() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger();
        let (mut snapshot, _) = Snapshot::open(folder.path()).unwrap();
        snapshot.save_all(&ledger, &|_| false).unwrap();
        ledger.forget(1000);
        snapshot.save_all(&ledger, &|uid| uid == 1001).unwrap();
        drop(snapshot);
        let saved = Snapshot::open(folder.path()).unwrap().1;
        assert_eq!(saved.to_undo, [1001]);
        same(&ledger, saved);
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
        snapshot.save_all(&ledger(), &|_| false).unwrap();

        // A file of another version, too.
        drop(snapshot);
        let connection = Connection::open(&file).unwrap();
        connection
            .pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        drop(connection);
        assert_eq!(Snapshot::open(folder.path()).unwrap().1, Saved::default());
    }
}
