//! What a row of the history's file holds, and how it is written and read.

use fairshare_protocol::Incident;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// How many statements are kept prepared: those of this file.
pub(super) const STATEMENTS: usize = 24;
/// The most incidents of one user that are kept; older ones go.
pub(super) const MAX_OF_USER: u64 = 1000;
/// The most incidents that are kept altogether.
pub(super) const MAX_INCIDENTS: u64 = 20_000;

/// Times are seconds since 1970, UTC, unless something else is said.
pub(super) const SCHEMA: &str = "
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE incidents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- no number comes twice
        uid INTEGER NOT NULL,
        at INTEGER NOT NULL,
        times INTEGER NOT NULL,                -- how often it happened
        told INTEGER NOT NULL,                 -- whether its user knows
        incident TEXT NOT NULL                 -- as the protocol has it, in JSON
    ) STRICT;
    CREATE INDEX incidents_of_user ON incidents (uid, id);
    CREATE INDEX incidents_untold ON incidents (uid, id) WHERE told = 0;
    CREATE INDEX incidents_by_time ON incidents (at, uid, times);
    -- What users used: a row for each minute, hour and day, each whole in itself.
    CREATE TABLE used (
        span INTEGER NOT NULL,                 -- how long, in seconds: 60, 3600, 86400
        at INTEGER NOT NULL,                   -- where it begins
        uid INTEGER NOT NULL,
        cpu_us INTEGER NOT NULL,
        mem_kib_s INTEGER NOT NULL,            -- held over time, page cache left out
        mem_peak INTEGER NOT NULL,             -- bytes, page cache included
        tasks_peak INTEGER NOT NULL,
        throttled_us INTEGER NOT NULL,
        stalled_us INTEGER NOT NULL,
        grant_ms INTEGER NOT NULL,
        grant_mcpu_s INTEGER NOT NULL,         -- thousandths of a CPU times seconds
        grant_mem_kib_s INTEGER NOT NULL,
        PRIMARY KEY (span, at, uid)
    ) STRICT, WITHOUT ROWID;
    -- The last look at each slice: what the kernel had counted by then is in `used`.
    CREATE TABLE seen (
        uid INTEGER PRIMARY KEY,
        slice INTEGER NOT NULL,                -- its inode
        at INTEGER NOT NULL,                   -- milliseconds since boot
        cpu_us INTEGER NOT NULL,
        throttled_us INTEGER NOT NULL,
        stalled_us INTEGER NOT NULL,
        held INTEGER NOT NULL,                 -- bytes, page cache left out
        mem_peak INTEGER NOT NULL,
        tasks_peak INTEGER NOT NULL,
        grant_mcpu INTEGER NOT NULL,
        grant_mem INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE people (
        uid INTEGER PRIMARY KEY,
        person TEXT NOT NULL                   -- name and groups as they were last known, in JSON
    ) STRICT;
";

/// An incident with whether its user knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) incident: Incident,
    pub(super) told: bool,
}

/// `SQLite` has whole numbers with a sign only.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(index)?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// Prepares a file for this boot of the machine: looks from before say nothing about slices of now.
pub(super) fn begin(connection: &Connection, boot: &str) -> rusqlite::Result<()> {
    let known = fact(connection, "boot")?;
    if boot.is_empty() || known.as_deref() != Some(boot) {
        connection.execute("DELETE FROM seen", [])?;
        set_fact(connection, "boot", boot)?;
    }
    Ok(())
}

pub(super) fn fact(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM facts WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

pub(super) fn set_fact(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO facts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    statement.execute([name, value]).map(drop)
}

/// The highest number that an incident ever had; 0 without one.
pub(super) fn last_incident(connection: &Connection) -> rusqlite::Result<u64> {
    let found = connection.query_row(
        "SELECT seq FROM sqlite_sequence WHERE name = 'incidents'",
        [],
        |row| unsigned(row, 0),
    );
    Ok(found.optional()?.unwrap_or_default())
}

/// Writes an incident, and removes what is too old beside it.
pub(super) fn write_incident(transaction: &Transaction<'_>, kept: &Kept) -> rusqlite::Result<()> {
    let Kept { incident, told } = kept;
    let json = serde_json::to_string(incident).unwrap_or_default();
    let mut write = transaction.prepare_cached(
        "INSERT OR REPLACE INTO incidents (id, uid, at, times, told, incident)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let times = number(incident.times.unwrap_or(1));
    write.execute(params![
        number(incident.id),
        incident.uid,
        number(incident.at),
        times,
        told,
        json
    ])?;
    let mut shorten = transaction.prepare_cached(
        "DELETE FROM incidents WHERE uid = ?1 AND id <=
         (SELECT id FROM incidents WHERE uid = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    shorten
        .execute(params![incident.uid, number(MAX_OF_USER)])
        .map(drop)
}

/// Removes the oldest incidents above the most that are kept of everybody.
pub(super) fn shorten_incidents(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut shorten = transaction.prepare_cached(
        "DELETE FROM incidents WHERE id <=
         (SELECT id FROM incidents ORDER BY id DESC LIMIT 1 OFFSET ?1)",
    )?;
    shorten.execute([number(MAX_INCIDENTS)]).map(drop)
}

/// An incident has happened again.
pub(super) fn write_again(
    transaction: &Transaction<'_>,
    uid: u32,
    id: u64,
    times: u64,
    told: bool,
) -> rusqlite::Result<()> {
    let mut again = transaction.prepare_cached(
        "UPDATE incidents SET times = ?3, told = told OR ?4 WHERE id = ?2 AND uid = ?1",
    )?;
    again
        .execute(params![uid, number(id), number(times), told])
        .map(drop)
}

/// A user knows of every incident up to this one.
pub(super) fn write_told(
    transaction: &Transaction<'_>,
    uid: u32,
    up_to: u64,
) -> rusqlite::Result<()> {
    let mut told = transaction
        .prepare_cached("UPDATE incidents SET told = 1 WHERE told = 0 AND uid = ?1 AND id <= ?2")?;
    told.execute(params![uid, number(up_to)]).map(drop)
}

/// A user's incidents, the newest first.
pub(super) fn incidents(
    connection: &Connection,
    uid: u32,
    since: u64,
    most: usize,
) -> rusqlite::Result<Vec<Incident>> {
    let mut statement = connection.prepare_cached(
        "SELECT incident, times FROM incidents WHERE uid = ?1 AND at >= ?2
         ORDER BY id DESC LIMIT ?3",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![uid, number(since), most], incident)?;
    // One that a later version wrote otherwise is left out.
    rows.filter_map(Result::transpose).collect()
}

/// A user's incidents that the user does not know of, the newest first, and how many there are.
pub(super) fn untold(
    connection: &Connection,
    uid: u32,
    most: usize,
) -> rusqlite::Result<(Vec<Incident>, u64)> {
    let mut statement = connection.prepare_cached(
        "SELECT incident, times FROM incidents WHERE told = 0 AND uid = ?1
         ORDER BY id DESC LIMIT ?2",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![uid, most], incident)?;
    let newest = rows
        .filter_map(Result::transpose)
        .collect::<rusqlite::Result<_>>()?;
    let mut count =
        connection.prepare_cached("SELECT count(*) FROM incidents WHERE told = 0 AND uid = ?1")?;
    Ok((newest, count.query_row([uid], |row| unsigned(row, 0))?))
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Option<Incident>> {
    let json: String = row.get(0)?;
    let times = unsigned(row, 1)?;
    let incident = serde_json::from_str::<Incident>(&json).ok();
    Ok(incident.map(|incident| Incident {
        times: (times > 1).then_some(times),
        ..incident
    }))
}
