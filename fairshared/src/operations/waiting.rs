//! Requests that wait for room, and the clients who wait with them.
//!
//! A request waits for as long as its client does. The ledger has the queue; here is who is to be
//! told when it moves, and what a request has come to in the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairshare_core::ledger::{Account, Ledger, Place, Resource, Share, Ticket};
use fairshare_protocol::{Cpus, ErrorCode, KEEP_ALIVE, MemorySize, Queued, Reply, Tasks, Wish};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::words::lasting;
use crate::book::{Book, BookHandle};

/// Everybody who waits on a connection.
#[derive(Debug)]
pub(super) struct Waiters {
    ends: Mutex<HashMap<Ticket, oneshot::Sender<Reply>>>,
    moves: watch::Sender<()>,
}

/// What a request that may wait came to at first.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This is the answer.
    Answered(Reply),
    /// It waits.
    Waits(Waiting),
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    uid: u32,
    ticket: Ticket,
    book: BookHandle,
    moves: watch::Receiver<()>,
    end: oneshot::Receiver<Reply>,
    /// What was told last.
    told: Option<Queued>,
    /// When it is told again though nothing changes.
    again: Instant,
    /// The queue has moved since it was looked at.
    moved: bool,
}

/// What there is to tell a client who waits.
#[derive(Debug)]
pub(crate) enum News {
    /// The place in the queue.
    Queued(Queued),
    /// The end of waiting.
    Ended(Reply),
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            ends: Mutex::default(),
            moves: watch::Sender::new(()),
        }
    }
}

impl Waiters {
    /// Takes up somebody who waits. To be called in the same piece of work in which the request
    /// enters the queue, so that it cannot end before.
    pub(super) fn take_up(&self, uid: u32, ticket: Ticket, book: BookHandle) -> Waiting {
        let (sender, end) = oneshot::channel();
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.insert(ticket, sender);
        Waiting {
            uid,
            ticket,
            book,
            moves: self.moves.subscribe(),
            end,
            told: None,
            again: Instant::now(),
            moved: true,
        }
    }

    /// The queue is not what it was.
    pub(super) fn moved(&self) {
        self.moves.send_replace(());
    }

    /// The end of a request's waiting. Nobody is told where the client has gone meanwhile.
    pub(super) fn end(&self, ticket: Ticket, reply: Reply) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = ends.remove(&ticket) {
            let _ = end.send(reply);
        }
    }

    fn drop_out(&self, ticket: Ticket) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.remove(&ticket);
    }
}

impl Waiting {
    /// Waits for what there is to tell next. One that is given up loses nothing.
    pub(crate) async fn news(&mut self) -> News {
        loop {
            if !self.moved {
                tokio::select! {
                    biased;
                    reply = &mut self.end => return News::Ended(ended(reply)),
                    moved = self.moves.changed() => {
                        if moved.is_err() {
                            return News::Ended(lost());
                        }
                        self.moved = true;
                    }
                    () = tokio::time::sleep_until(self.again) => self.moved = true,
                }
            }
            let (uid, ticket) = (self.uid, self.ticket);
            let place = self.book.with(move |book| queued(book, uid, ticket)).await;
            self.moved = false;
            let Some(queued) = place else {
                // It waits no longer; its end is on the way.
                return News::Ended(ended((&mut self.end).await));
            };
            let is_due = self.again <= Instant::now();
            if is_due || self.told.as_ref() != Some(&queued) {
                self.told = Some(queued.clone());
                self.again = Instant::now() + Duration::from_secs(KEEP_ALIVE);
                return News::Queued(queued);
            }
        }
    }

    /// The client has gone, and with it the request. What was granted already stays.
    pub(super) async fn leave(self, waiters: &Waiters) -> Option<u32> {
        let ticket = self.ticket;
        waiters.drop_out(ticket);
        self.book.with(move |book| book.leave(ticket)).await
    }
}

fn ended(reply: Result<Reply, oneshot::error::RecvError>) -> Reply {
    reply.unwrap_or_else(|_| lost())
}

fn lost() -> Reply {
    Reply::error(
        ErrorCode::Internal,
        "A fault of the daemon; its log says more",
    )
}

fn queued(book: &Book, uid: u32, ticket: Ticket) -> Option<Queued> {
    let place = book.place(uid, ticket)?;
    let position = u64::try_from(place.position).ok()?;
    let waiting_for = waiting_for(&place);
    let mut message = format!("Place {position} in the queue, waiting for {waiting_for}");
    // For the others it is not known: what those before take is not in it.
    if let Some(start) = place.start.filter(|_| place.ahead.is_empty()) {
        let left = start.since(book.now());
        if !left.is_zero() {
            message.push_str("; leases that end make room in ");
            message.push_str(&lasting(left));
        }
    }
    Some(Queued {
        position,
        ahead: ahead(book.ledger(), &place.ahead),
        waiting_for,
        message,
    })
}

/// What is short, as a part of a sentence.
fn waiting_for(place: &Place) -> String {
    let parts: Vec<String> = place
        .short
        .iter()
        .map(|short| {
            let missing = short.asked.saturating_sub(short.possible);
            let figure = short.resource.figure(missing);
            let what = match short.resource {
                Resource::Cpu if missing == 1000 => format!("{figure} CPU"),
                Resource::Cpu => format!("{figure} CPUs"),
                Resource::Memory => format!("{figure} memory"),
                Resource::Tasks if missing == 1 => format!("{figure} task"),
                Resource::Tasks => format!("{figure} tasks"),
            };
            match &short.share {
                Share::Machine => what,
                Share::Budget(group) => format!("{what} of the budget of group '{group}'"),
            }
        })
        .collect();
    match (parts.split_last(), place.ahead.len()) {
        (None, 1) => "the request before it".to_owned(),
        (None, _) => "the requests before it".to_owned(),
        (Some((last, [])), _) => format!("{last} to be given back"),
        (Some((last, rest)), _) => format!("{} and {last} to be given back", rest.join(", ")),
    }
}

/// What these ask for together beyond what they have; `None` for nobody.
fn ahead(ledger: &Ledger, users: &[u32]) -> Option<Wish> {
    let mut waiting: HashMap<u32, Wish> = HashMap::new();
    for (uid, request) in ledger.queue() {
        waiting.insert(uid, request.wish);
    }
    let more = |account: &Account, wish: &Wish| {
        let (has, wants) = (account.allocation(), account.raised(wish));
        Resource::ALL.map(|resource| resource.of(&wants).saturating_sub(resource.of(&has)))
    };
    let [mut cpu, mut mem, mut tasks] = [0_u64; 3];
    for uid in users {
        if let (Some(account), Some(wish)) = (ledger.account(*uid), waiting.get(uid)) {
            let [more_cpu, more_mem, more_tasks] = more(account, wish);
            cpu = cpu.saturating_add(more_cpu);
            mem = mem.saturating_add(more_mem);
            tasks = tasks.saturating_add(more_tasks);
        }
    }
    let wish = Wish {
        cpu: Cpus::from_thousandths(cpu),
        mem: MemorySize::from_bytes(mem).filter(|mem| mem.bytes() > 0),
        tasks: Tasks::new(tasks),
    };
    (!users.is_empty()).then_some(wish)
}

impl<E: crate::enforcement::Enforcement> super::Operations<E> {
    /// The client who waited has gone: the request leaves the queue.
    pub(crate) async fn leave(self: &Arc<Self>, waiting: Waiting) {
        if let Some(uid) = waiting.leave(&self.waiters).await {
            crate::decision::Decision::new("queue", crate::decision::Verdict::Ignored, uid)
                .by(uid)
                .because("its client has gone")
                .log();
        }
    }
}
