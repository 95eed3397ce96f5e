//! The thread that owns the history's file.
//!
//! What is reported comes by a bounded queue, and everything that waits there goes into one
//! transaction. What cannot be written stays in memory, within bounds, and is tried again with what
//! comes next: without work the thread sleeps.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use fairshare_protocol::{Incident, ReportInfo};
use tracing::{info, warn};

use super::answer::{self, Asked};
use super::reading::Reading;
use super::rows::{self, Kept};
use super::store::{Store, StoreError};
use super::{Happened, Shared, Untold};
use crate::clock;

/// How many changes go into one transaction.
const BATCH: usize = 256;
/// How many incidents are kept in memory while they cannot be written, and how many marks on others.
const WAITING: usize = 256;
/// How long after a fault the file is left alone, in milliseconds: a full disk is not asked for each
/// of a thousand incidents.
const REST: u64 = 5_000;
/// How often what is old is removed, in seconds.
const RETIRE_EVERY: u64 = 3600;
/// By how much the clock of the calendar may differ in that time from the machine's own, in seconds.
const UNEVEN: u64 = 300;

/// A question, which hands its answer to whoever asked.
pub(super) type Question = Box<dyn FnOnce(&mut Keeper) + Send>;

/// What is sent to the thread.
pub(super) enum Work {
    /// To be kept.
    Change(Change),
    /// To be answered.
    Question(Question),
}

/// What is to be kept.
#[derive(Debug)]
pub(super) enum Change {
    /// An incident, with its number.
    Record { incident: Box<Incident>, told: bool },
    /// It has happened again.
    Again {
        uid: u32,
        id: u64,
        times: u64,
        told: bool,
    },
    /// A user knows of every incident up to this one.
    Told { uid: u32, up_to: u64 },
    /// What looks at slices have told.
    Readings(Vec<Reading>),
    /// How long everything is kept, in seconds; `None`: nothing is kept from now on.
    Keep(Option<u64>),
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => change.fmt(f),
            Self::Question(_) => f.write_str("Question"),
        }
    }
}

/// The owner of the file.
#[derive(Debug)]
pub(super) struct Keeper {
    /// `None`: memory alone.
    folder: Option<PathBuf>,
    store: Option<Store>,
    /// Incidents that are not in the file, the oldest first.
    waiting: VecDeque<Kept>,
    /// What is to be noted on others.
    marks: VecDeque<Change>,
    /// Looks at slices. Those that cannot be written are dropped: the next ones tell it all, but
    /// for when it was.
    readings: Vec<Reading>,
    /// How long everything is kept, in seconds.
    keep: Option<u64>,
    /// When old rows were removed for the last time, as slices are looked at and in seconds since
    /// 1970.
    retired: Option<(u64, u64)>,
    /// The log has told that the file cannot be used.
    is_ill: bool,
    /// When the file is tried again, as [`clock::millis`] counts.
    next_try: u64,
    shared: Arc<Shared>,
}

impl Keeper {
    pub(super) fn new(folder: Option<&Path>, shared: Arc<Shared>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            store: None,
            waiting: VecDeque::new(),
            marks: VecDeque::new(),
            readings: Vec::new(),
            keep: Some(u64::MAX),
            retired: None,
            is_ill: false,
            next_try: 0,
            shared,
        }
    }

    /// Opens the file, where there is to be one.
    pub(super) fn open(&mut self) {
        let Some(folder) = self.folder.as_deref() else {
            return;
        };
        let opened = Store::open(folder).and_then(|store| {
            let last = rows::last_incident(&store.connection);
            let last = last.map_err(|error| store.unread(error))?;
            Ok((store, last))
        });
        match opened {
            Ok((store, last)) => {
                // Numbers that were handed out meanwhile are above all that was counted.
                let next = last.saturating_add(1);
                let shared = &self.shared.next;
                if self.waiting.is_empty() && !self.is_ill {
                    shared.store(next, Ordering::Relaxed);
                } else {
                    shared.fetch_max(next, Ordering::Relaxed);
                }
                self.store = Some(store);
            }
            Err(fault) => self.fell_ill(&fault),
        }
    }

    /// Carries out what comes, until nobody can send any more.
    pub(super) fn keep(&mut self, receiver: &Receiver<Work>) {
        while let Ok(first) = receiver.recv() {
            let mut question = self.take(first);
            let mut count = 1;
            while question.is_none() && count < BATCH {
                let Ok(next) = receiver.try_recv() else {
                    break;
                };
                question = self.take(next);
                count += 1;
            }
            self.write();
            if let Some(question) = question {
                question(self);
            }
        }
        self.next_try = 0;
        self.write();
    }

    /// Takes a change in; a question is given back.
    fn take(&mut self, work: Work) -> Option<Question> {
        match work {
            Work::Question(question) => return Some(question),
            Work::Change(change) => self.take_change(change),
        }
        None
    }

    fn take_change(&mut self, change: Change) {
        match change {
            Change::Record { incident, told } => {
                let incident = *incident;
                self.waiting.push_back(Kept { incident, told });
            }
            Change::Again {
                uid,
                id,
                times,
                told,
            } => {
                let mut waiting = self.waiting.iter_mut();
                match waiting.find(|one| one.incident.id == id && one.incident.uid == uid) {
                    Some(one) => {
                        one.incident.times = Some(times);
                        one.told |= told;
                    }
                    None => self.marks.push_back(change),
                }
            }
            Change::Told { uid, up_to } => {
                let waiting = self.waiting.iter_mut();
                let of_user = waiting.filter(|one| one.incident.uid == uid);
                for one in of_user.filter(|one| one.incident.id <= up_to) {
                    one.told = true;
                }
                self.marks.push_back(change);
            }
            Change::Readings(readings) => self.readings.extend(readings),
            Change::Keep(keep) => self.keep = keep,
        }
    }

    /// Writes what waits. What cannot be written goes on waiting, the newest of it.
    fn write(&mut self) {
        let is_kept = self.folder.is_some() && self.keep.is_some();
        if is_kept && self.has_work() && clock::millis() >= self.next_try {
            if self.store.is_none() {
                self.open();
            }
            let retires = self.retires();
            if let Some(store) = &mut self.store {
                let (waiting, marks) = (&self.waiting, &self.marks);
                let readings = &self.readings;
                let written = store.write(|transaction| {
                    for kept in waiting {
                        rows::write_incident(transaction, kept)?;
                    }
                    for mark in marks {
                        write_mark(transaction, mark)?;
                    }
                    if !waiting.is_empty() {
                        rows::shorten_incidents(transaction)?;
                    }
                    if let Some(first) = readings.first() {
                        rows::begin_to_use(transaction, first.wall)?;
                    }
                    for reading in readings {
                        rows::take(transaction, reading)?;
                    }
                    if let Some((at, wall, keep)) = retires {
                        rows::retire(transaction, wall, at, keep)?;
                    }
                    Ok(())
                });
                match written {
                    Ok(()) => self.is_written(),
                    Err(fault) => self.fell_ill(&fault),
                }
            }
        }
        self.forget_the_oldest();
    }

    fn has_work(&self) -> bool {
        !self.waiting.is_empty() || !self.marks.is_empty() || !self.readings.is_empty()
    }

    /// Whether it is time to remove what is old: then the time as slices are looked at, that of the
    /// calendar, and how long everything is kept. A clock that has jumped since the last time is not
    /// gone by: history must not end because a clock said for a moment that it is 2099.
    fn retires(&mut self) -> Option<(u64, u64, u64)> {
        let last = self.readings.last()?;
        let (at, wall) = (last.at, last.wall);
        let Some((before, wall_before)) = self.retired else {
            self.retired = Some((at, wall));
            return None;
        };
        let passed = at.saturating_sub(before) / 1000;
        if passed < RETIRE_EVERY {
            return None;
        }
        self.retired = Some((at, wall));
        let is_even = wall.saturating_sub(wall_before).abs_diff(passed) <= UNEVEN;
        is_even.then_some((at, wall, self.keep?))
    }

    fn is_written(&mut self) {
        self.waiting.clear();
        self.marks.clear();
        self.readings.clear();
        self.shared.is_well();
        if self.is_ill {
            info!("the history is written again");
            self.is_ill = false;
        }
    }

    fn fell_ill(&mut self, fault: &StoreError) {
        if !self.is_ill {
            warn!(
                "cannot {fault}; the newest incidents are kept in memory until it can be written"
            );
            self.is_ill = true;
        }
        // Opened anew it is looked at, and put aside where it is broken.
        self.store = None;
        self.next_try = clock::millis().saturating_add(REST);
    }

    fn forget_the_oldest(&mut self) {
        let mut lost = 0;
        while self.waiting.len() > WAITING {
            self.waiting.pop_front();
            lost += 1;
        }
        let above = self.marks.len().saturating_sub(WAITING);
        self.marks.drain(..above);
        // The room of a large round is given back.
        self.readings = Vec::new();
        // In memory alone that is how it is meant.
        if lost > 0 && self.folder.is_some() && self.keep.is_some() {
            self.shared.lose(lost);
        }
    }

    /// A user's incidents since a time, the newest first: what waits, and what is in the file.
    pub(super) fn incidents(&mut self, uid: u32, since: u64, most: usize) -> Happened {
        let waiting = self.waiting.iter().rev().map(|one| &one.incident);
        let of_user = waiting.filter(|one| one.uid == uid && one.at >= since);
        let mut found: Vec<Incident> = of_user.take(most).cloned().collect();
        let left = most.saturating_sub(found.len());
        let read = |store: &Store| rows::incidents(&store.connection, uid, since, left);
        found.extend(self.read(read).unwrap_or_default());
        Happened {
            incidents: found,
            gap: self.gap(),
        }
    }

    /// What to say where the file is not used, and policy wants it to be.
    fn gap(&self) -> Option<&'static str> {
        let is_used = self.store.is_some() && !self.is_ill;
        (self.keep.is_some() && !is_used).then_some(
            "The history's file cannot be used at the moment; the log of fairshared says why.",
        )
    }

    /// What a user does not know of, likewise.
    pub(super) fn untold(&mut self, uid: u32, most: usize) -> Untold {
        let waiting = self.waiting.iter().rev();
        let untold = waiting.filter(|one| one.incident.uid == uid && !one.told);
        let untold: Vec<&Incident> = untold.map(|one| &one.incident).collect();
        let all = u64::try_from(untold.len()).unwrap_or(u64::MAX);
        let mut newest: Vec<Incident> = untold.into_iter().take(most).cloned().collect();
        let left = most.saturating_sub(newest.len());
        let read = |store: &Store| rows::untold(&store.connection, uid, left);
        // Where nothing is written it cannot be noted there that it was told.
        let older = self.keep.is_some().then(|| self.read(read)).flatten();
        let (older, count) = older.unwrap_or_default();
        newest.extend(older);
        let all = all.saturating_add(count);
        Untold { newest, all }
    }

    /// What was used, with the reasons why it may not be whole.
    pub(super) fn report(&mut self, asked: &Asked) -> ReportInfo {
        let mut info = self.read(|store| answer::answer(&store.connection, asked));
        let info = info.get_or_insert_with(|| ReportInfo {
            by: asked.by,
            from: asked.to,
            to: asked.to,
            ..ReportInfo::default()
        });
        if self.keep.is_none() {
            info.gaps
                .push("Policy says that no history is kept.".to_owned());
        }
        info.gaps.extend(self.gap().map(str::to_owned));
        let lost = self.shared.lost.load(Ordering::Relaxed);
        if lost > 0 {
            info.gaps.push(format!(
                "{lost} reports could not be kept since the daemon started."
            ));
        }
        std::mem::take(info)
    }

    /// Reads from the file; `None` where it cannot be.
    fn read<R>(&mut self, read: impl FnOnce(&Store) -> rusqlite::Result<R>) -> Option<R> {
        let store = self.store.as_ref()?;
        match read(store) {
            Ok(found) => Some(found),
            Err(error) => {
                let fault = store.unread(error);
                self.fell_ill(&fault);
                None
            }
        }
    }
}

fn write_mark(transaction: &rusqlite::Transaction<'_>, mark: &Change) -> rusqlite::Result<()> {
    match *mark {
        Change::Again {
            uid,
            id,
            times,
            told,
        } => rows::write_again(transaction, uid, id, times, told),
        Change::Told { uid, up_to } => rows::write_told(transaction, uid, up_to),
        // None of these waits as a mark.
        Change::Record { .. } | Change::Readings(_) | Change::Keep(_) => Ok(()),
    }
}
