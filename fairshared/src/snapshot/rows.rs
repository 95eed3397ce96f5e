//! The rows of the snapshot: what becomes of a user, a session or a request in a table, and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairshare_core::ledger::{
    self, Grant, Leader, Moment, Numbers, RecentUse, SavedUser, Session, Waiting,
};
use fairshare_protocol::{Allocation, Cpus, MemorySize, Tasks, Wish};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::Saved;
use crate::people::Person;

/// Asked at each login, change and end of a session.
pub(super) const SESSIONS_OF_USER: &str = "SELECT session FROM sessions WHERE uid = ?1";

pub(super) fn write_numbers(
    transaction: &Transaction<'_>,
    numbers: Numbers,
) -> rusqlite::Result<()> {
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

pub(super) fn write_recent_use(
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

pub(super) fn write_person(transaction: &Transaction<'_>, person: &Person) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO people VALUES (?1, ?2)")?
        .execute(params![person.uid, person.to_json()])?;
    Ok(())
}

pub(super) fn forget_person(transaction: &Transaction<'_>, uid: u32) -> rusqlite::Result<()> {
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
pub(super) fn write_user(
    transaction: &Transaction<'_>,
    uid: u32,
    user: Option<&SavedUser>,
    to_undo: bool,
) -> rusqlite::Result<()> {
    let empty = BTreeMap::new();
    let sessions = user.map_or(&empty, |user| &user.sessions);
    let written: Vec<i64> = transaction
        .prepare_cached(SESSIONS_OF_USER)?
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

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Saved> {
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
