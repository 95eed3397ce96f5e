//! Who a UID is: name and groups, from the system's name service.
//!
//! A name service may be files, LDAP or SSSD, and may hang. So the daemon never calls it: worker
//! processes of the same program do, and one that misses its deadline is killed. Nor do the
//! service's modules, with their threads and sockets, get into the memory of the daemon.
//!
//! A user is asked for their groups; a group is never asked for its members. What names a group by
//! text is turned into a GID once ([`Names::group_id`]) and compared by number afterwards, because
//! the system hands out a group's name only together with all its members.
//!
//! What was learnt is kept. An answer that has grown old is given at once while a new one is
//! fetched, so that a name service that hangs takes away nothing that was known for a day.
//!
//! ```text
//! names ─┬─ cache      what was learnt, and how long it is good for
//!        ├─ process    one worker process, seen from the daemon
//!        ├─ worker     the worker itself
//!        └─ lines      what the two say to each other
//! ```

mod cache;
mod lines;
mod process;
#[cfg(test)]
mod tests;
pub(crate) mod worker;

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{timeout, timeout_at};

use self::cache::{Cache, Look};
use self::lines::{Answer, Question};
use self::process::{Launch, Process};
use crate::clock;

/// This program, which is its own worker.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";
/// How long a lookup may take, and how long who asks waits at most.
pub(crate) const LOOKUP_DEADLINE: Duration = Duration::from_secs(2);
/// Worker processes at a time.
pub(crate) const MAX_WORKERS: usize = 4;
/// Different lookups that are under way or wait for a worker.
pub(crate) const MAX_LOOKUPS: usize = 256;
/// The longest name that is asked for, in bytes. `LOGIN_NAME_MAX` is 256 with the end.
pub(crate) const MAX_NAME: usize = 255;

/// Whether this process was started as a worker: `names-worker` is its only argument.
pub(crate) fn is_worker() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|word| word == process::WORD) && arguments.next().is_none()
}

/// A user as the name service knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// The user's number.
    pub(crate) uid: u32,
    /// The user's name; `None` where the name service knows no such user.
    pub(crate) name: Option<String>,
    /// The GIDs of all the user's groups, the primary one among them, in rising order.
    pub(crate) groups: Vec<u32>,
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamesError {
    /// The name service did not answer in time.
    TimedOut,
    /// [`MAX_LOOKUPS`] are waiting already.
    Busy,
    /// The name service, or the process that asks it, failed.
    Failed(String),
}

impl fmt::Display for NamesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the name service does not answer"),
            Self::Busy => f.write_str("too many lookups wait for the name service"),
            Self::Failed(why) => write!(f, "the name service failed: {why}"),
        }
    }
}

impl Error for NamesError {}

type Outcome = Result<Answer, NamesError>;

/// What is known of users and groups. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    launch: Launch,
    deadline: Duration,
    clock: fn() -> u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cache: Cache,
    pending: HashMap<Ticket, Pending>,
    /// Those of `pending` that no worker has taken up.
    queue: VecDeque<Ticket>,
    /// One for each worker that has a process and nothing to do.
    idle: Vec<oneshot::Sender<Ticket>>,
    workers: usize,
    generation: u64,
}

/// A lookup to be made. One from before [`Names::forget_all`] is another one than the same from
/// after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ticket {
    generation: u64,
    question: Question,
}

#[derive(Debug)]
struct Pending {
    outcome: watch::Sender<Option<Outcome>>,
    asked: tokio::time::Instant,
}

impl Names {
    /// Nothing is known and no process runs until something is asked. `program` is this program,
    /// such as `/proc/self/exe`. Lookups are made in the runtime of whoever asks.
    pub(crate) fn start(program: PathBuf) -> Self {
        Self::new(Launch::worker(program), LOOKUP_DEADLINE, clock::millis)
    }

    /// Lookups by a script that plays the worker.
    #[cfg(test)]
    pub(crate) fn of_script(script: PathBuf) -> Self {
        Self::new(Launch::script(script), LOOKUP_DEADLINE, clock::millis)
    }

    fn new(launch: Launch, deadline: Duration, clock: fn() -> u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                launch,
                deadline,
                clock,
                state: Mutex::default(),
            }),
        }
    }

    /// Who this UID is. A UID without a name is no error.
    pub(crate) async fn subject(&self, uid: u32) -> Result<Arc<Person>, NamesError> {
        match self.ask(Question::Person(uid)).await? {
            Answer::Person(person) => Ok(person),
            Answer::Id(_) => Err(NamesError::Failed("a wrong answer".to_owned())),
        }
    }

    /// The GID of a group, `None` where there is no such group.
    pub(crate) async fn group_id(&self, name: &str) -> Result<Option<u32>, NamesError> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains(['\0', '\n', ':']) {
            return Ok(None);
        }
        match self.ask(Question::GroupId(name.to_owned())).await? {
            Answer::Id(id) => Ok(id),
            Answer::Person(_) => Err(NamesError::Failed("a wrong answer".to_owned())),
        }
    }

    /// Has everything asked anew. What was known is still given where the name service fails.
    pub(crate) fn forget_all(&self) {
        let mut state = self.shared.state();
        state.generation += 1;
        state.cache.doubt_all();
    }

    async fn ask(&self, question: Question) -> Outcome {
        let (requested, known) = {
            let mut state = self.shared.state();
            match state.cache.look(&question, (self.shared.clock)()) {
                Look::Fresh(outcome) => return outcome,
                Look::Old(answer) => {
                    // Where there is no room for it, the next one who asks has it fetched.
                    drop(self.request(&mut state, question));
                    return Ok(answer);
                }
                Look::Doubted(answer) => (self.request(&mut state, question), Some(answer)),
                Look::Nothing => (self.request(&mut state, question), None),
            }
        };
        let outcome = match requested {
            Ok(outcome) => self.wait(outcome).await,
            Err(error) => Err(error),
        };
        match (outcome, known) {
            (Err(_), Some(answer)) => Ok(answer),
            (outcome, _) => outcome,
        }
    }

    async fn wait(&self, mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
        match timeout(self.shared.deadline, outcome.wait_for(Option::is_some)).await {
            Ok(Ok(settled)) => settled.clone().unwrap_or(Err(NamesError::TimedOut)),
            Ok(Err(_)) => Err(NamesError::Failed("a lookup was given up".to_owned())),
            Err(_) => Err(NamesError::TimedOut),
        }
    }

    /// Joins the lookup that is under way, or has a worker begin it, or puts it into the queue.
    fn request(
        &self,
        state: &mut State,
        question: Question,
    ) -> Result<watch::Receiver<Option<Outcome>>, NamesError> {
        let mut ticket = Ticket {
            generation: state.generation,
            question,
        };
        if let Some(pending) = state.pending.get(&ticket) {
            return Ok(pending.outcome.subscribe());
        }
        if state.pending.len() >= MAX_LOOKUPS {
            return Err(NamesError::Busy);
        }
        let (sender, receiver) = watch::channel(None);
        let pending = Pending {
            outcome: sender,
            asked: tokio::time::Instant::now(),
        };
        state.pending.insert(ticket.clone(), pending);
        // The one that has been idle for the shortest time, so that those not needed end.
        while let Some(worker) = state.idle.pop() {
            match worker.send(ticket) {
                Ok(()) => return Ok(receiver),
                Err(returned) => ticket = returned,
            }
        }
        state.queue.push_back(ticket);
        if state.workers < MAX_WORKERS {
            state.workers += 1;
            tokio::spawn(work(Arc::clone(&self.shared)));
        }
        Ok(receiver)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what came out, and tells whoever waits for it.
    fn settle(&self, ticket: &Ticket, outcome: Outcome) {
        let mut state = self.state();
        let now = (self.clock)();
        let overtaken = ticket.generation != state.generation;
        state
            .cache
            .keep(ticket.question.clone(), outcome.clone(), now, overtaken);
        if let Some(pending) = state.pending.remove(ticket) {
            pending.outcome.send_replace(Some(outcome));
        }
    }

    /// The next lookup from the queue. Those for which nobody can be waiting any more are given up.
    fn take_queued(&self) -> Next {
        loop {
            let ticket = {
                let mut state = self.state();
                let Some(ticket) = state.queue.pop_front() else {
                    let (sender, receiver) = oneshot::channel();
                    state.idle.retain(|worker| !worker.is_closed());
                    state.idle.push(sender);
                    return Next::Wait(receiver);
                };
                let late = |pending: &Pending| pending.asked.elapsed() >= self.deadline;
                if !state.pending.get(&ticket).is_some_and(late) {
                    return Next::Lookup(ticket);
                }
                ticket
            };
            self.settle(&ticket, Err(NamesError::TimedOut));
        }
    }

    /// Ends a worker that has no process, unless there is something to look up for it.
    fn end_worker(&self) -> bool {
        let mut state = self.state();
        if state.queue.is_empty() {
            state.workers -= 1;
        }
        state.queue.is_empty()
    }
}

enum Next {
    Lookup(Ticket),
    Wait(oneshot::Receiver<Ticket>),
}

/// One worker: makes lookups, one at a time, as long as its process lives or there are any.
async fn work(shared: Arc<Shared>) {
    let mut process = None;
    loop {
        if process.is_none() && shared.end_worker() {
            return;
        }
        let ticket = match shared.take_queued() {
            Next::Lookup(ticket) => ticket,
            Next::Wait(mut handed) => {
                let handed_over = match &mut process {
                    Some(process) => wait_or_end(process, &mut handed).await,
                    None => None,
                };
                if let Some(ticket) = handed_over {
                    ticket
                } else {
                    // The process is gone. A lookup may have been handed over at that moment.
                    handed.close();
                    process = None;
                    match handed.try_recv() {
                        Ok(ticket) => ticket,
                        Err(_) => continue,
                    }
                }
            }
        };
        let (outcome, ended) = look_up(&shared, &mut process, &ticket.question).await;
        shared.settle(&ticket, outcome);
        // Behind the answer: a process that the kernel cannot end yet delays only this worker,
        // which counts until it is gone.
        if let Some(ended) = ended {
            ended.end().await;
        }
    }
}

async fn wait_or_end(
    process: &mut Process,
    handed: &mut oneshot::Receiver<Ticket>,
) -> Option<Ticket> {
    tokio::select! {
        ticket = handed => ticket.ok(),
        () = process.ended() => None,
    }
}

/// Makes one lookup, in a process that is started where there is none. A process that cannot be
/// used any more comes back to be ended.
async fn look_up(
    shared: &Shared,
    slot: &mut Option<Process>,
    question: &Question,
) -> (Outcome, Option<Process>) {
    let deadline = tokio::time::Instant::now() + shared.deadline;
    loop {
        let mut process = match slot.take() {
            Some(process) => process,
            None => match Process::start(&shared.launch) {
                Ok(process) => process,
                Err(error) => {
                    let why = format!("cannot start {}: {error}", shared.launch);
                    return (Err(NamesError::Failed(why)), None);
                }
            },
        };
        let was_idle = process.has_answered();
        match timeout_at(deadline, process.ask(question)).await {
            Ok(Ok(outcome)) => {
                *slot = Some(process);
                return (outcome.map_err(NamesError::Failed), None);
            }
            // It may have ended by itself, as idle ones do, just when it was asked.
            Ok(Err(_)) if was_idle => process.end().await,
            Ok(Err(fault)) => {
                return (Err(NamesError::Failed(fault.to_string())), Some(process));
            }
            Err(_) => return (Err(NamesError::TimedOut), Some(process)),
        }
    }
}
