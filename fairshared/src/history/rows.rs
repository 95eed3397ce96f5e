//! What a row of the history's file holds, and how it is written and read.

use std::sync::Arc;

use fairshare_protocol::Incident;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::reading::{Counted, Reading, Seen, Used};
use crate::people::Person;

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
        grant_mcpu INTEGER,                    -- above the default; NULL without a grant
        grant_mem INTEGER
    ) STRICT;
    -- As many as there ever were users on the machine.
    CREATE TABLE people (
        uid INTEGER PRIMARY KEY,
        person TEXT NOT NULL                   -- name and groups as they were last known, in JSON
    ) STRICT;
";

/// The lengths of the pieces of time of which rows are kept, in seconds.
pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Rows of one length: how long they are kept where policy does not say less, and the most of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tier {
    pub(super) span: u64,
    pub(super) kept: u64,
    pub(super) most: u64,
}

/// The shortest first.
pub(super) const TIERS: [Tier; 3] = [
    Tier {
        span: MINUTE,
        kept: 2 * DAY,
        most: 1_000_000,
    },
    Tier {
        span: HOUR,
        kept: 60 * DAY,
        most: 1_000_000,
    },
    Tier {
        span: DAY,
        kept: 3 * 366 * DAY,
        most: 1_000_000,
    },
];
/// How many rows go in one transaction: what is reported must not wait long behind it.
pub(super) const AT_ONCE: u64 = 50_000;
/// How long a look is remembered of a slice that is not there any more, in milliseconds.
const LONGEST_SEEN: u64 = DAY * 1000;

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

/// Notes when use was looked at for the first time: before that, a report knows nothing.
pub(super) fn begin_to_use(connection: &Connection, now: u64) -> rusqlite::Result<()> {
    if fact(connection, "began")?.is_none() {
        set_fact(connection, "began", &now.to_string())?;
    }
    Ok(())
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

/// Takes a look in: what was used since the last one is added to its minute, hour and day, and the
/// look is remembered, both or neither.
pub(super) fn take(transaction: &Transaction<'_>, reading: &Reading) -> rusqlite::Result<()> {
    let seen = seen(transaction, reading.uid)?;
    if seen.is_some_and(|seen| seen.slice == reading.slice && seen.at > reading.at) {
        return Ok(());
    }
    if let Some((began, used)) = reading.used_since(seen.as_ref()) {
        for Tier { span, .. } in TIERS {
            add_used(transaction, span, began - began % span, reading.uid, &used)?;
        }
    }
    write_seen(transaction, reading.uid, &reading.seen())?;
    match &reading.person {
        Some(person) => write_person(transaction, person),
        None => Ok(()),
    }
}

pub(super) fn add_used(
    connection: &Connection,
    span: u64,
    at: u64,
    uid: u32,
    used: &Used,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO used VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT DO UPDATE SET
           cpu_us = cpu_us + excluded.cpu_us,
           mem_kib_s = mem_kib_s + excluded.mem_kib_s,
           mem_peak = max(mem_peak, excluded.mem_peak),
           tasks_peak = max(tasks_peak, excluded.tasks_peak),
           throttled_us = throttled_us + excluded.throttled_us,
           stalled_us = stalled_us + excluded.stalled_us,
           grant_ms = grant_ms + excluded.grant_ms,
           grant_mcpu_s = grant_mcpu_s + excluded.grant_mcpu_s,
           grant_mem_kib_s = grant_mem_kib_s + excluded.grant_mem_kib_s",
    )?;
    add.execute(params![
        number(span),
        number(at),
        uid,
        number(used.cpu_us),
        number(used.mem_kib_s),
        number(used.mem_peak),
        number(used.tasks_peak),
        number(used.throttled_us),
        number(used.stalled_us),
        number(used.grant_ms),
        number(used.grant_mcpu_s),
        number(used.grant_mem_kib_s),
    ])
    .map(drop)
}

/// Hands out the rows of a length from a time on to another, in their order: when, whose, what.
pub(super) fn each_used(
    connection: &Connection,
    span: u64,
    from: u64,
    to: u64,
    uid: Option<u32>,
    mut with: impl FnMut(u64, u32, &Used),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT at, uid, cpu_us, mem_kib_s, mem_peak, tasks_peak, throttled_us, stalled_us,
                grant_ms, grant_mcpu_s, grant_mem_kib_s
         FROM used WHERE span = ?1 AND at >= ?2 AND at <= ?3 AND (?4 IS NULL OR uid = ?4)
         ORDER BY at, uid",
    )?;
    let mut rows = statement.query(params![number(span), number(from), number(to), uid])?;
    while let Some(row) = rows.next()? {
        let used = Used {
            cpu_us: unsigned(row, 2)?,
            mem_kib_s: unsigned(row, 3)?,
            mem_peak: unsigned(row, 4)?,
            tasks_peak: unsigned(row, 5)?,
            throttled_us: unsigned(row, 6)?,
            stalled_us: unsigned(row, 7)?,
            grant_ms: unsigned(row, 8)?,
            grant_mcpu_s: unsigned(row, 9)?,
            grant_mem_kib_s: unsigned(row, 10)?,
        };
        with(unsigned(row, 0)?, row.get(1)?, &used);
    }
    Ok(())
}

/// A day as `2026-11-24`, in UTC.
pub(super) fn day(connection: &Connection, at: u64) -> rusqlite::Result<String> {
    let mut statement = connection.prepare_cached("SELECT date(?1, 'unixepoch')")?;
    statement.query_row([number(at)], |row| row.get(0))
}

/// When the oldest row of a length begins.
pub(super) fn oldest_used(connection: &Connection, span: u64) -> rusqlite::Result<Option<u64>> {
    let mut statement =
        connection.prepare_cached("SELECT at FROM used WHERE span = ?1 ORDER BY at LIMIT 1")?;
    let oldest = statement.query_row([number(span)], |row| unsigned(row, 0));
    oldest.optional()
}

/// Hands out how often something happened: when, to whom, how often.
pub(super) fn each_incident(
    connection: &Connection,
    from: u64,
    to: u64,
    mut with: impl FnMut(u64, u32, u64),
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT at, uid, times FROM incidents WHERE at >= ?1 AND at <= ?2")?;
    let mut rows = statement.query([number(from), number(to)])?;
    while let Some(row) = rows.next()? {
        with(unsigned(row, 0)?, row.get(1)?, unsigned(row, 2)?);
    }
    Ok(())
}

fn seen(connection: &Connection, uid: u32) -> rusqlite::Result<Option<Seen>> {
    let mut statement = connection.prepare_cached(
        "SELECT slice, at, cpu_us, throttled_us, stalled_us, held, mem_peak, tasks_peak,
                grant_mcpu, grant_mem
         FROM seen WHERE uid = ?1",
    )?;
    let row = statement.query_row([uid], |row| {
        let slice: i64 = row.get(0)?;
        let grant = |index| -> rusqlite::Result<Option<u64>> {
            let grant: Option<i64> = row.get(index)?;
            Ok(grant.map(|grant| u64::try_from(grant).unwrap_or_default()))
        };
        let (grant_cpu, grant_mem) = (grant(8)?, grant(9)?);
        Ok(Seen {
            slice: slice.cast_unsigned(),
            at: unsigned(row, 1)?,
            counted: Counted {
                cpu: unsigned(row, 2)?,
                throttled: unsigned(row, 3)?,
                stalled: unsigned(row, 4)?,
                held: unsigned(row, 5)?,
                mem_peak: unsigned(row, 6)?,
                tasks_peak: unsigned(row, 7)?,
                has_grant: grant_cpu.is_some(),
                grant_cpu: grant_cpu.unwrap_or_default(),
                grant_mem: grant_mem.unwrap_or_default(),
            },
        })
    });
    row.optional()
}

fn write_seen(transaction: &Transaction<'_>, uid: u32, seen: &Seen) -> rusqlite::Result<()> {
    let mut write = transaction.prepare_cached(
        "INSERT OR REPLACE INTO seen VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let Seen { slice, at, counted } = seen;
    let grant = |figure| counted.has_grant.then(|| number(figure));
    write
        .execute(params![
            uid,
            slice.cast_signed(),
            number(*at),
            number(counted.cpu),
            number(counted.throttled),
            number(counted.stalled),
            number(counted.held),
            number(counted.mem_peak),
            number(counted.tasks_peak),
            grant(counted.grant_cpu),
            grant(counted.grant_mem),
        ])
        .map(drop)
}

/// Writes who a user is, where that is something else than is known.
fn write_person(transaction: &Transaction<'_>, person: &Person) -> rusqlite::Result<()> {
    let mut write = transaction.prepare_cached(
        "INSERT INTO people VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET person = excluded.person WHERE person <> excluded.person",
    )?;
    write
        .execute(params![person.uid, person.to_json()])
        .map(drop)
}

/// Who a user was when they were last seen.
pub(super) fn person(connection: &Connection, uid: u32) -> rusqlite::Result<Arc<Person>> {
    let mut statement = connection.prepare_cached("SELECT person FROM people WHERE uid = ?1")?;
    let json: Option<String> = statement.query_row([uid], |row| row.get(0)).optional()?;
    let person = json.and_then(|json| Person::from_json(uid, &json));
    Ok(Arc::new(person.unwrap_or_else(|| Person::of_uid(uid))))
}

/// Removes what is too old, and the oldest where there is too much; a part of it at a time.
/// `keep`: how long anything is kept, in seconds. `at` is the time as slices are looked at.
pub(super) fn retire(
    transaction: &Transaction<'_>,
    now: u64,
    at: u64,
    keep: u64,
) -> rusqlite::Result<()> {
    for Tier { span, kept, most } in TIERS {
        let since = now.saturating_sub(kept.min(keep));
        retire_tier(transaction, span, since, most)?;
    }
    let since = now.saturating_sub(keep);
    transaction.execute("DELETE FROM incidents WHERE at < ?1", [number(since)])?;
    let seen = at.saturating_sub(LONGEST_SEEN);
    let mut forget = transaction.prepare_cached("DELETE FROM seen WHERE at < ?1")?;
    forget.execute([number(seen)]).map(drop)
}

/// Removes the rows of a length that end before a time, and the oldest above the most.
pub(super) fn retire_tier(
    transaction: &Transaction<'_>,
    span: u64,
    since: u64,
    most: u64,
) -> rusqlite::Result<()> {
    let begins = since.saturating_sub(span);
    let mut age = transaction.prepare_cached(
        "DELETE FROM used WHERE span = ?1 AND at <=
         (SELECT max(at) FROM
          (SELECT at FROM used WHERE span = ?1 AND at < ?2 ORDER BY at LIMIT ?3))",
    )?;
    age.execute(params![number(span), number(begins), number(AT_ONCE)])?;
    let mut number_of = transaction.prepare_cached(
        "DELETE FROM used WHERE span = ?1 AND at <=
         (SELECT at FROM used WHERE span = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)",
    )?;
    number_of
        .execute(params![number(span), number(most)])
        .map(drop)
}
