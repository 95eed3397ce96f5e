//! What has happened and what was used, kept for later.
//!
//! Whoever reports something never waits for it to be written: a slow or full disk costs history and
//! nothing else. A thread of its own owns the file, see decision 0035.

mod answer;
mod keeper;
mod reading;
mod recent;
mod rows;
mod store;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fairshare_protocol::{Incident, ReportInfo};
use tokio::sync::{Semaphore, oneshot};
use tracing::warn;

pub(crate) use self::answer::Asked;
use self::keeper::{Change, Keeper, Work};
pub(crate) use self::reading::{Counted, Reading};
pub(crate) use self::recent::Recent;
use self::recent::Recently;
use crate::clock;
use crate::counts::{COUNTS, Wrong};

/// How much may wait to be written: a storm of a thousand incidents in a second is written as fast
/// as it comes, on a disk that is well.
const QUEUE: usize = 512;
/// How many questions may wait among it, so that they leave room for what is reported.
const QUESTIONS: usize = 4;
/// How long an answer may take. A disk that hangs must not keep clients for ever.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the start of the daemon waits for the file to be opened, a login behind it.
const OPENING: Duration = Duration::from_millis(500);
/// How long the end of the daemon waits for what is still to be written.
const ENDING: Duration = Duration::from_secs(2);
/// The deepest calls of `SQLite` take a part of this; what is not touched takes no memory.
const STACK: usize = 512 * 1024;
/// The name of the thread, for whoever looks with `ps -L` or a debugger.
const THREAD: &str = "history";

/// What a user has missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    /// The newest, the newest first.
    pub(crate) newest: Vec<Incident>,
    /// How many there are altogether.
    pub(crate) all: u64,
}

/// What has happened to a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Happened {
    /// The newest first.
    pub(crate) incidents: Vec<Incident>,
    /// Why there may be more, a sentence.
    pub(crate) gap: Option<&'static str>,
}

/// Sends to whoever keeps the history.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// `None` where the thread could not be started.
    sender: Option<SyncSender<Work>>,
    shared: Arc<Shared>,
    questions: Arc<Semaphore>,
}

/// What the thread and the daemon both know.
#[derive(Debug)]
pub(super) struct Shared {
    /// The number of the next incident.
    next: AtomicU64,
    /// What was reported and is not kept, since the daemon started.
    lost: AtomicU64,
    /// The log has told of it, and there was none that fitted since.
    told_of_loss: Mutex<bool>,
    recently: Mutex<Recently>,
}

impl Default for History {
    /// A history in memory alone.
    fn default() -> Self {
        Self::open(None)
    }
}

impl History {
    /// Begins to keep history in a file in this folder, or in memory where there is none to be had.
    /// Waits a moment for the file, so that incidents are numbered on from those in it.
    pub(crate) fn open(folder: Option<&Path>) -> Self {
        let shared = Arc::new(Shared {
            // Above every number that was counted, where the file is not open in time.
            next: AtomicU64::new(clock::unix_time()),
            lost: AtomicU64::default(),
            told_of_loss: Mutex::default(),
            recently: Mutex::default(),
        });
        let (sender, receiver) = sync_channel(QUEUE);
        let (opened, is_open) = sync_channel(1);
        let keeper = Keeper::new(folder, Arc::clone(&shared));
        let started = thread::Builder::new()
            .name(THREAD.to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let mut keeper = keeper;
                keeper.open();
                let _ = opened.send(());
                keeper.keep(&receiver);
            });
        let sender = match started {
            Ok(_) => {
                if folder.is_some() && is_open.recv_timeout(OPENING).is_err() {
                    warn!("the history's file is slow to open, going on without it until it is");
                }
                Some(sender)
            }
            Err(error) => {
                warn!("cannot start the thread that keeps the history: {error}, keeping none");
                None
            }
        };
        Self {
            sender,
            shared,
            questions: Arc::new(Semaphore::new(QUESTIONS)),
        }
    }

    /// Keeps an incident under a number of its own, which is returned. `told` is whether it was on a
    /// terminal of its user's. Never waits.
    pub(crate) fn record(&self, mut incident: Incident, told: bool) -> u64 {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        incident.id = id;
        let incident = Box::new(incident);
        self.tell(Change::Record { incident, told });
        id
    }

    /// An incident that is kept has happened again: `times` altogether. `told` is whether that was on
    /// a terminal of its user's; what was told stays told. Never waits.
    pub(crate) fn again(&self, uid: u32, id: u64, times: u64, told: bool) {
        self.tell(Change::Again {
            uid,
            id,
            times,
            told,
        });
    }

    /// The user knows of every incident up to this number. Never waits.
    pub(crate) fn mark_told(&self, uid: u32, up_to: u64) {
        self.tell(Change::Told { uid, up_to });
    }

    /// What a user has missed, at most `most` of it. It outlives the daemon. Whoever asks bounds the
    /// wait: a login does not wait for a slow disk.
    pub(crate) async fn untold(&self, uid: u32, most: usize) -> Untold {
        let asked = self.ask(move |keeper| keeper.untold(uid, most));
        asked.await.unwrap_or_default()
    }

    /// What a user had used about a minute ago, where that is known.
    pub(crate) fn a_minute_ago(&self, uid: u32) -> Option<Recent> {
        self.recently(|recently| recently.a_minute_ago(uid, clock::millis()))
    }

    /// What is known of the last looks at slices.
    pub(crate) fn recently<R>(&self, with: impl FnOnce(&mut Recently) -> R) -> R {
        let recently = self.shared.recently.lock();
        with(&mut recently.unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what looks at slices have told. Never waits.
    pub(crate) fn keep_readings(&self, readings: Vec<Reading>) {
        // The next ones tell it all, so nothing is lost where these do not fit.
        if let Some(sender) = &self.sender {
            let _ = sender.try_send(Work::Change(Change::Readings(readings)));
        }
    }

    /// Keeps everything for so long from now on; `None`: keeps nothing more.
    pub(crate) fn keep_for(&self, keep: Option<Duration>) {
        self.tell(Change::Keep(keep.map(|keep| keep.as_secs())));
    }

    /// What was used. `None` where no answer comes.
    pub(crate) async fn report(&self, asked: Asked) -> Option<ReportInfo> {
        self.ask(move |keeper| keeper.report(&asked)).await
    }

    /// A user's incidents since a time (seconds since 1970), the newest first, at most `most`.
    /// `None` where no answer comes.
    pub(crate) async fn incidents(&self, uid: u32, since: u64, most: usize) -> Option<Happened> {
        self.ask(move |keeper| keeper.incidents(uid, since, most))
            .await
    }

    /// Returns when everything that was reported is written, or a moment later: the daemon ends.
    pub(crate) async fn settle(&self) {
        // One that cannot be written is told in the log, and not waited for.
        let _ = tokio::time::timeout(ENDING, self.ask(|_| ())).await;
    }

    /// Hands a change to the keeper, or counts it as lost.
    fn tell(&self, change: Change) {
        let Some(sender) = &self.sender else {
            return;
        };
        match sender.try_send(Work::Change(change)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.shared.lose(1),
        }
    }

    /// Has the keeper answer a question behind what was reported before it. `None` where it cannot,
    /// or not in time.
    async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Keeper) -> R + Send + 'static,
    ) -> Option<R> {
        let asking = async {
            let permit = Arc::clone(&self.questions).acquire_owned().await.ok()?;
            let (answer, answered) = oneshot::channel();
            let question = Work::Question(Box::new(move |keeper| {
                // Who asked may have gone; the question had its place in the queue all the same.
                let _ = answer.send(question(keeper));
                drop(permit);
            }));
            self.sender.as_ref()?.try_send(question).ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(ANSWER, asking).await.ok().flatten()
    }
}

impl Shared {
    /// Counts what is not kept. The log hears of the first, and of the first after it went well.
    pub(super) fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
        COUNTS.errors(Wrong::HistoryDrop, count);
        let told = self.told_of_loss.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        if !*told {
            warn!("more happens than the history can take: some of it is lost");
            *told = true;
        }
    }

    /// What was reported is written.
    pub(super) fn is_well(&self) {
        let told = self.told_of_loss.lock();
        *told.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

#[cfg(test)]
mod tests;
