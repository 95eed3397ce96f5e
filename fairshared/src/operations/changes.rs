//! Changes that are asked for: decided, enforced, read back, or taken back.

use std::sync::Arc;

use fairshare_core::ledger::{Change, Moment, Refusal, Shortage, Terms};
use fairshare_protocol::{
    Allocation, Cpus, ErrorCode, ErrorReply, Holder, MemorySize, Release, Renew, Reply, Resize,
    Set, Tasks, Wait, Wish,
};

use super::words::{self, lasting};
use super::{Operations, Outcome, Waiting, not_covered};
use crate::authorise::{Caller, sees_everybody};
use crate::book::{Asked, Book};
use crate::decision::{Decision, Verdict};
use crate::enforcement::{Applied, Enforcement};
use crate::finding::{Finding, What};
use crate::terminal::Told;
use crate::turns::Turn;

impl<E: Enforcement> Operations<E> {
    /// `request_resources`.
    pub(crate) async fn request(self: Arc<Self>, caller: Caller, wish: Wish) -> Reply {
        let uid = caller.uid;
        let decide = move |book: &mut Book, used| book.request(uid, &wish, used);
        let order = Order::new(caller, uid, "request_resources", wish.to_string(), wish);
        self.change(order, decide, move |change, _, applied| {
            let Allocation { cpu, mem, tasks } = change.to();
            let tasks = wish.tasks.map(|_| tasks);
            let first = Wish {
                cpu: Some(cpu),
                mem: Some(mem),
                tasks,
            };
            format!("Resources allocated: {first}{}", still(applied))
        })
        .await
    }

    /// `resize` that does not wait.
    pub(crate) async fn resize(self: Arc<Self>, caller: Caller, resize: Resize) -> Reply {
        let uid = caller.uid;
        let decide = move |book: &mut Book, used| book.resize(uid, &terms(&resize, used));
        let order = Order::new(caller, uid, "resize", resize.wish.to_string(), resize.wish);
        self.change(order, decide, allocated).await
    }

    /// `resize` that waits where it does not fit now.
    pub(crate) async fn resize_or_wait(
        self: Arc<Self>,
        caller: Caller,
        resize: Resize,
        wait: Wait,
    ) -> Outcome {
        let uid = caller.uid;
        let order = Order::new(caller, uid, "resize", resize.wish.to_string(), resize.wish);
        let _turn = match self.turn(uid).await {
            Ok(turn) => turn,
            Err(reply) => return Outcome::Answered(reply),
        };
        let (this, used) = (Arc::clone(&self), self.held(uid));
        let decide = move |book: &mut Book| {
            let asked = book.resize_or_wait(uid, &terms(&resize, used), wait);
            let first = asked.map(|asked| match asked {
                Asked::Granted(change) => First::Granted(change),
                // Within the work that put it into the queue: it cannot end before.
                Asked::Waits(ticket) => {
                    First::Waits(this.waiters.take_up(uid, ticket, this.book.clone()))
                }
            });
            Decided::of(book, first)
        };
        let decided = self.book.with(decide).await;
        let now = decided.now;
        match decided.result {
            Ok(First::Granted(change)) => {
                Outcome::Answered(self.enforce(&order, *change, now, allocated).await)
            }
            Ok(First::Waits(waiting)) => {
                order.decision(Verdict::Queued).log();
                Outcome::Waits(waiting)
            }
            Err(refusal) => {
                let shown = decided.shows_holders;
                Outcome::Answered(self.refuse(order, &refusal, shown, now).await)
            }
        }
    }

    /// `renew`. Nothing is to be enforced.
    pub(crate) async fn renew(self: Arc<Self>, caller: Caller, renew: Renew) -> Reply {
        let uid = caller.uid;
        let order = Order::new(
            caller,
            uid,
            "renew",
            format!("for {}", renew.lease),
            Wish::default(),
        );
        let _turn = match self.turn(uid).await {
            Ok(turn) => turn,
            Err(reply) => return reply,
        };
        let decided = self.book.with(move |book| {
            let result = book.renew(uid, renew.lease.into());
            Decided::of(book, result)
        });
        let decided = decided.await;
        match decided.result {
            Ok(account) => {
                order.decision(Verdict::Granted).log();
                let end = account.grant().and_then(|grant| grant.lease_end);
                let left = end.map(|end| lasting(end.since(decided.now)));
                let message = format!(
                    "Lease renewed: {} for {}",
                    account.allocation(),
                    left.unwrap_or_else(|| "as long as a session lasts".to_owned())
                );
                Reply::Success { message }
            }
            Err(refusal) => {
                self.refuse(order, &refusal, decided.shows_holders, decided.now)
                    .await
            }
        }
    }

    /// `set`: an administrator gives a user a grant, or changes it.
    pub(crate) async fn set(self: Arc<Self>, caller: Caller, set: Set) -> Reply {
        let Set {
            uid,
            wish,
            lease,
            force,
        } = set;
        let decide = move |book: &mut Book, used| {
            let terms = Terms {
                wish,
                lease: lease.map(Into::into),
                used,
                force,
            };
            book.set(uid, &terms)
        };
        let order = Order::new(caller, uid, "set", wish.to_string(), wish);
        self.change(order, decide, move |change, now, applied| {
            let rest = rest(change, now, applied);
            format!("User {uid} has {}{rest}", change.to())
        })
        .await
    }

    /// `release`: of the caller's own grant, or by an administrator of somebody else's.
    pub(crate) async fn release(self: Arc<Self>, caller: Caller, release: Release) -> Reply {
        let uid = release.uid.unwrap_or(caller.uid);
        let decide = move |book: &mut Book, used| book.release(uid, used, release.force);
        let order = Order::new(caller, uid, "release", String::new(), Wish::default());
        self.change(order, decide, |change, _, applied| {
            format!(
                "Grant returned; allocation is the default: {}{}",
                change.to(),
                still(applied)
            )
        })
        .await
    }

    /// A change that is asked for: decided, enforced, read back, or taken back.
    async fn change(
        self: Arc<Self>,
        order: Order,
        decide: impl FnOnce(&mut Book, MemorySize) -> Result<Change, Refusal> + Send + 'static,
        sentence: impl FnOnce(&Change, Moment, &Applied) -> String,
    ) -> Reply {
        let uid = order.uid;
        let _turn = match self.turn(uid).await {
            Ok(turn) => turn,
            Err(reply) => return reply,
        };
        let used = self.held(uid);
        let decided = self.book.with(move |book| {
            let result = decide(book, used);
            Decided::of(book, result)
        });
        let decided = decided.await;
        match decided.result {
            Ok(change) => self.enforce(&order, change, decided.now, sentence).await,
            Err(refusal) => {
                self.refuse(order, &refusal, decided.shows_holders, decided.now)
                    .await
            }
        }
    }

    /// The turn of a user whom policy covers, on the machine as it is now.
    async fn turn(self: &Arc<Self>, uid: u32) -> Result<Turn, Reply> {
        if !self.book.with(move |book| book.covers(uid)).await {
            return Err(not_covered(uid));
        }
        self.follow_machine().await;
        let turn = self.turns.take_or_refuse(uid).await;
        turn.map_err(|_| Reply::error(ErrorCode::Busy, "Too many changes of this user are waiting"))
    }

    /// Makes a decided change hold, or takes it back.
    async fn enforce(
        self: &Arc<Self>,
        order: &Order,
        change: Change,
        now: Moment,
        sentence: impl FnOnce(&Change, Moment, &Applied) -> String,
    ) -> Reply {
        let uid = order.uid;
        match self.limit(uid, &change.limits).await {
            Ok(applied) => {
                order
                    .decision(Verdict::Granted)
                    .from(change.from)
                    .to(change.to())
                    .log();
                if order.caller.uid != uid {
                    self.tell_of_change(uid, &change).await;
                }
                let message = sentence(&change, now, &applied);
                Reply::Success { message }
            }
            Err(fault) => {
                self.book.with(move |book| book.revert(uid, &change)).await;
                // systemd may carry out later what it did not answer in time.
                self.try_again(uid);
                order.log_refusal(&fault.to_string());
                let message = format!("The allocation stays as it was: {fault}");
                Reply::error(ErrorCode::NotEnforced, message)
            }
        }
    }

    /// Logs a refusal and words it. Whose the grants in the way are is for those who see
    /// everybody, and for all where policy says so. Whether the caller is an administrator decides
    /// something only here, and is looked up only here.
    async fn refuse(
        &self,
        mut order: Order,
        refusal: &Refusal,
        shows_holders: bool,
        now: Moment,
    ) -> Reply {
        let mut named = shows_holders || sees_everybody(&order.caller);
        if matches!(refusal, Refusal::NoCapacity(_)) && !named {
            order.caller = self.caller(order.caller.uid, true).await;
            named = sees_everybody(&order.caller);
        }
        let mut reply = reply_to(refusal, now);
        order.log_refusal(&reply.error);
        if order.caller.uid == order.uid && is_for_want(refusal) {
            let what = What::Refused {
                wish: order.asked,
                sentence: reply.error.clone(),
            };
            // The reply tells.
            let finding = Finding::new(order.uid, what);
            self.found_and_told(finding, Told::On(1)).await;
        }
        if named {
            for holder in &mut reply.holders {
                let uid = holder.uid;
                let person = self.book.with(move |book| uid.map(|uid| book.person(uid)));
                holder.user = person.await.and_then(|person| person.name.clone());
            }
        } else {
            for holder in &mut reply.holders {
                holder.uid = None;
            }
        }
        Reply::Error(reply)
    }

    /// Tells a user that somebody else has changed what they have.
    async fn tell_of_change(&self, uid: u32, change: &Change) {
        let account = self
            .book
            .with(move |book| book.ledger().account(uid).cloned());
        if let Some(account) = account.await {
            let (grant, now) = (change.from, change.to());
            let told = self.tell(&account, uid, &words::set_by_other(grant, now));
            // Who gets more has lost nothing.
            if now.cpu < grant.cpu || now.mem < grant.mem || now.tasks < grant.tasks {
                let why = "an administrator has taken your grant, or a part of it".to_owned();
                let what = What::Reclaimed { why, grant, now };
                self.found_and_told(Finding::new(uid, what), told).await;
            }
        }
    }
}

/// Whether policy, the machine or a budget does not give what was asked for. The rest is a request
/// that cannot be meant so.
fn is_for_want(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::AboveMaximum(_)
            | Refusal::NoCapacity(_)
            | Refusal::NeverFits(_)
            | Refusal::OthersWait { .. }
            | Refusal::LeaseTooLong { .. }
            | Refusal::QueueFull
    )
}

/// What the book has decided, with what its reply needs.
struct Decided<T> {
    result: Result<T, Refusal>,
    /// Whether everybody sees who holds what.
    shows_holders: bool,
    now: Moment,
}

impl<T> Decided<T> {
    fn of(book: &Book, result: Result<T, Refusal>) -> Self {
        Self {
            result,
            shows_holders: book.policy().show_holders(),
            now: book.now(),
        }
    }
}

/// What a request that may wait comes to at first.
enum First {
    Granted(Box<Change>),
    Waits(Waiting),
}

/// A request, and who makes it for whom.
struct Order {
    caller: Caller,
    uid: u32,
    request: &'static str,
    wish: String,
    /// The figures of it.
    asked: Wish,
}

impl Order {
    fn new(caller: Caller, uid: u32, request: &'static str, wish: String, asked: Wish) -> Self {
        Self {
            caller,
            uid,
            request,
            wish,
            asked,
        }
    }

    fn log_refusal(&self, why_not: &str) {
        self.decision(Verdict::Refused).because(why_not).log();
    }

    fn decision(&self, verdict: Verdict) -> Decision {
        Decision::new(self.request, verdict, self.uid)
            .by(self.caller.uid)
            .wish(&self.wish)
    }
}

/// A refusal with what there is to know about it, whoever may know.
fn reply_to(refusal: &Refusal, now: Moment) -> ErrorReply {
    let mut reply = ErrorReply::new(refusal.code(), refusal.to_string());
    let mut add = |text: &str, moment: Moment| {
        reply.error.push_str(text);
        reply.error.push_str(&lasting(moment.since(now)));
    };
    match refusal {
        Refusal::NoCapacity(shortage) => {
            if let Some((end, _)) = shortage.next_end {
                add("; the next lease that makes room ends in ", end);
            }
            reply.largest = Some(largest(shortage));
            reply.holders = holders(shortage);
        }
        Refusal::OthersWait {
            start: Some(start), ..
        } => add("; the first of them is served in at most ", *start),
        _ => {}
    }
    reply
}

/// The sentence for a `resize` that is carried out.
pub(super) fn allocated(change: &Change, now: Moment, applied: &Applied) -> String {
    let rest = rest(change, now, applied);
    format!("Resources allocated: {}{rest}", change.to())
}

/// For how long it is, and what of it does not hold yet.
fn rest(change: &Change, now: Moment, applied: &Applied) -> String {
    let end = change.after.and_then(|grant| grant.lease_end);
    let lease = end.map(|end| format!(" for {}", lasting(end.since(now))));
    lease.unwrap_or_default() + &still(applied)
}

fn still(applied: &Applied) -> String {
    if applied.lowering {
        "; memory comes down to it step by step".to_owned()
    } else if applied.differences.is_empty() {
        String::new()
    } else {
        format!("; but enforced is: {}", applied.differences.join("; "))
    }
}

fn terms(resize: &Resize, used: MemorySize) -> Terms {
    Terms {
        wish: resize.wish,
        lease: resize.lease.map(Into::into),
        used,
        force: resize.force,
    }
}

fn largest(shortage: &Shortage) -> Wish {
    let Allocation { cpu, mem, tasks } = shortage.largest;
    Wish {
        cpu: Some(cpu),
        mem: Some(mem),
        tasks: Some(tasks),
    }
}

fn holders(shortage: &Shortage) -> Vec<Holder> {
    let holders = shortage.holders.iter();
    holders
        .map(|holder| Holder {
            uid: Some(holder.uid),
            user: None,
            held: Wish {
                cpu: Cpus::from_thousandths(holder.cpu_thousandths),
                mem: MemorySize::from_bytes(holder.mem_bytes).filter(|mem| mem.bytes() > 0),
                tasks: Tasks::new(holder.tasks),
            },
        })
        .collect()
}
