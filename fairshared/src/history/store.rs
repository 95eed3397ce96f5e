//! The history's file: opened, made, brought up to date, or put aside.
//!
//! Power loss leaves a sound file: the write-ahead log is synced before it is written back, and a
//! commit whose sync has not come may be lost as a whole. An administrator may read the file while
//! the daemon runs.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction};
use tracing::warn;

use super::rows;
use crate::kernel_file;

/// The file in the folder.
pub(super) const FILE: &str = "history.db";
/// What is appended to the names of a file that is put aside, in place of one from before.
const ASIDE: &str = "unreadable";
/// The version of the tables. A newer one is not understood, and is put aside.
const VERSION: i64 = 1;
/// How long a lock of somebody else's, such as an administrator's `sqlite3`, is waited for.
const BUSY: Duration = Duration::from_secs(2);
/// The most that the file may grow to, in pages of 4 KiB: 512 MiB. Retention keeps it far below.
const MAX_PAGES: i64 = 131_072;
/// The longest write-ahead log, in bytes. It grows for as long as somebody else reads in one
/// transaction; then nothing more is written.
const MAX_LOG: u64 = 32 << 20;
/// Tells this boot of the machine from others.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    pub(super) connection: Connection,
}

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) struct StoreError {
    verb: &'static str,
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Io(io::Error),
    Sqlite(rusqlite::Error),
    /// Written by a later version.
    Newer(i64),
    /// Somebody reads for so long that the log does not end.
    LongLog,
}

impl StoreError {
    /// Whether the file is broken, or another's: another one must be begun.
    fn is_of_the_file(&self) -> bool {
        match &self.cause {
            Cause::Newer(_) => true,
            Cause::Io(_) | Cause::LongLog => false,
            Cause::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                // Tables that are not as they must be are an 'unknown error'.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
                    | None
            ),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.verb, self.path.display())?;
        match &self.cause {
            Cause::Io(error) => error.fmt(f),
            Cause::Sqlite(error) => error.fmt(f),
            Cause::Newer(version) => {
                write!(
                    f,
                    "a later fairshare wrote it (version {version} of the tables)"
                )
            }
            Cause::LongLog => {
                f.write_str("somebody has it open and reads in one transaction for long")
            }
        }
    }
}

impl Store {
    /// Opens the file in this folder, and makes both where they are not there. A file that cannot
    /// be understood is put aside and a new one begun.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().mode(0o700).create(folder);
        if let Err(error) = made
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(StoreError {
                verb: "make",
                path: folder.to_owned(),
                cause: Cause::Io(error),
            });
        }
        let path = folder.join(FILE);
        match Self::open_file(&path) {
            Err(fault) if fault.is_of_the_file() => {
                warn!("cannot {fault}, putting it aside and beginning anew");
                put_aside(&path);
                Self::open_file(&path)
            }
            result => result,
        }
    }

    fn open_file(path: &Path) -> Result<Self, StoreError> {
        let failed = |verb, cause| StoreError {
            verb,
            path: path.to_owned(),
            cause,
        };
        let open = Connection::open(path);
        let mut connection = open.map_err(|error| failed("open", Cause::Sqlite(error)))?;
        configure(&connection).map_err(|error| failed("prepare", Cause::Sqlite(error)))?;
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        match version.map_err(|error| failed("read", Cause::Sqlite(error)))? {
            VERSION => {}
            0 => create(&mut connection).map_err(|error| failed("make", Cause::Sqlite(error)))?,
            newer => return Err(failed("read", Cause::Newer(newer))),
        }
        let boot = kernel_file::read(Path::new(BOOT_ID)).unwrap_or_default();
        rows::begin(&connection, boot.trim())
            .map_err(|error| failed("prepare", Cause::Sqlite(error)))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// Does all of this, or nothing.
    pub(super) fn write(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let failed = |cause| StoreError {
            verb: "write",
            path: self.path.clone(),
            cause,
        };
        let log = PathBuf::from(format!("{}-wal", self.path.display()));
        if fs::metadata(log).is_ok_and(|log| log.len() > MAX_LOG) {
            return Err(failed(Cause::LongLog));
        }
        let connection = &mut self.connection;
        let all = || {
            let transaction = connection.transaction()?;
            work(&transaction)?;
            transaction.commit()
        };
        all().map_err(|error| failed(Cause::Sqlite(error)))
    }

    /// What failed when the file was read.
    pub(super) fn unread(&self, error: rusqlite::Error) -> StoreError {
        StoreError {
            verb: "read",
            path: self.path.clone(),
            cause: Cause::Sqlite(error),
        }
    }
}

/// A small cache keeps the daemon small, and a small log the disk.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(rows::STATEMENTS);
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA cache_size = -192;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 256;
         PRAGMA journal_size_limit = 1048576;
         PRAGMA max_page_count = {MAX_PAGES};"
    ))
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(rows::SCHEMA)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Renames the file with what belongs to it, in place of one that was put aside before.
fn put_aside(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let from = PathBuf::from(format!("{}{suffix}", path.display()));
        let to = PathBuf::from(format!("{}.{ASIDE}{suffix}", path.display()));
        if let Err(fault) = fs::rename(&from, &to)
            && fault.kind() != io::ErrorKind::NotFound
        {
            warn!("cannot rename {}: {fault}, ignoring", from.display());
        }
    }
}
