//! One client: lines in, replies out, within limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairshare_protocol::frame::{LineBuffer, MAX_LINE, encode};
use fairshare_protocol::{ErrorCode, Explain, Reply, Request, Resize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinError;
use tracing::{debug, error};

use crate::admission::{Admission, REQUESTS_PER_SECOND};
use crate::authorise::{Caller, authorise, concerns, sees_everybody};
use crate::counts::COUNTS;
use crate::decision::{Decision, Verdict};
use crate::enforcement::Enforcement;
use crate::operations::{News, Operations, Outcome, Waiting};

/// How long a connection may be silent between lines.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How long a line that has begun may take to end.
pub(crate) const LINE_LIMIT: Duration = Duration::from_secs(10);
/// How long a client may take to accept a reply.
pub(crate) const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How much a client may send behind a request that waits, in bytes.
pub(crate) const MAX_BEHIND: usize = MAX_LINE;
/// What is read at once, in bytes.
const READ_SIZE: usize = 4096;
/// The part of a client's patience that is used before it is told that limits are not set yet.
const PATIENCE: f64 = 0.9;

/// Serves a client until it goes, is silent for too long or sends a line that is too long.
pub(crate) async fn serve<E: Enforcement>(
    mut stream: UnixStream,
    caller: u32,
    operations: Arc<Operations<E>>,
    admission: Admission,
) {
    let mut buffer = LineBuffer::default();
    let mut line_began: Option<tokio::time::Instant> = None;
    let mut chunk = [0; READ_SIZE];
    loop {
        let (reply, goes_on) = match buffer.next_line() {
            Ok(Some(line)) => {
                line_began = None;
                match answer(&line, caller, &operations, &admission).await {
                    Outcome::Answered(reply) => (reply, true),
                    Outcome::Waits(waiting) => {
                        let stayed = wait(&mut stream, &mut buffer, waiting, &operations);
                        let Some(reply) = stayed.await else {
                            return;
                        };
                        // What was sent meanwhile has not been looked at yet.
                        line_began = buffer.has_partial_line().then(tokio::time::Instant::now);
                        (reply, true)
                    }
                }
            }
            Err(too_long) => {
                let message = format!("Request not read: {too_long}");
                (Reply::error(ErrorCode::LineTooLong, message), false)
            }
            Ok(None) => {
                let limit = match line_began {
                    Some(began) => began + LINE_LIMIT,
                    None => tokio::time::Instant::now() + IDLE_LIMIT,
                };
                match tokio::time::timeout_at(limit, stream.read(&mut chunk)).await {
                    Ok(Ok(0)) if buffer.has_partial_line() => {
                        let message = "Request not ended by a newline";
                        (Reply::error(ErrorCode::BadRequest, message), false)
                    }
                    Ok(Ok(0)) => return,
                    Ok(Ok(count)) => {
                        buffer.push(chunk.get(..count).unwrap_or_default());
                        if line_began.is_none() {
                            line_began = Some(tokio::time::Instant::now());
                        }
                        continue;
                    }
                    Ok(Err(error)) => {
                        debug!(caller, "cannot read from a client: {error}, closing");
                        return;
                    }
                    Err(_) => {
                        debug!(caller, "a client sent nothing for too long, closing");
                        return;
                    }
                }
            }
        };
        if !write(&mut stream, &reply).await || !goes_on {
            return;
        }
    }
}

/// Tells a client its place in the queue until its turn has come. `None` where the client has gone:
/// then its request has left the queue. There is no limit on being silent meanwhile; what the client
/// sends is for later, up to [`MAX_BEHIND`].
async fn wait<E: Enforcement>(
    stream: &mut UnixStream,
    buffer: &mut LineBuffer,
    mut waiting: Waiting,
    operations: &Arc<Operations<E>>,
) -> Option<Reply> {
    let mut chunk = [0; READ_SIZE];
    let mut behind = 0;
    loop {
        // Both may be given up at any time and begun again.
        let queued = tokio::select! {
            news = waiting.news() => match news {
                News::Ended(reply) => return Some(reply),
                News::Queued(queued) => queued,
            },
            read = stream.read(&mut chunk) => {
                let count = read.unwrap_or_default();
                behind += count;
                if count > 0 && behind <= MAX_BEHIND {
                    buffer.push(chunk.get(..count).unwrap_or_default());
                    continue;
                }
                operations.leave(waiting).await;
                return None;
            }
        };
        let is_first = queued.position == 1;
        if !write(stream, &Reply::Queued(queued)).await {
            operations.leave(waiting).await;
            return None;
        }
        // Nobody may ask for anything while everybody waits, and no event tells that the machine
        // has grown: it is looked at as often as the first hears something.
        if is_first {
            operations.follow_machine().await;
        }
    }
}

/// Writes a reply; false where the client does not take it.
async fn write(stream: &mut UnixStream, reply: &Reply) -> bool {
    let line = match encode(reply) {
        Ok(line) => line,
        Err(fault) => {
            error!("cannot encode a reply: {fault}, closing");
            return false;
        }
    };
    matches!(
        tokio::time::timeout(WRITE_LIMIT, stream.write_all(line.as_bytes())).await,
        Ok(Ok(()))
    )
}

async fn answer<E: Enforcement>(
    line: &[u8],
    caller: u32,
    operations: &Arc<Operations<E>>,
    admission: &Admission,
) -> Outcome {
    if !admission.request(caller, Instant::now()) {
        let message = format!("Too many requests: at most {REQUESTS_PER_SECOND} a second");
        return Outcome::Answered(Reply::error(ErrorCode::RateLimited, message));
    }
    let request = match Request::from_line(line) {
        Ok(request) => request,
        Err(invalid) => {
            debug!(caller, "wrong request: {}", invalid.message);
            return Outcome::Answered(Reply::error(invalid.code, invalid.message));
        }
    };
    let asking = operations
        .caller(caller, administrators_count(caller, &request))
        .await;
    let asking = match request {
        Request::Metrics(_) => operations.maybe_exporter(asking).await,
        _ => asking,
    };
    if let Err(sentence) = authorise(&asking, &request) {
        refused(caller, &request, sentence);
        return Outcome::Answered(Reply::error(ErrorCode::NotPermitted, sentence));
    }
    if let Request::Resize(
        resize @ Resize {
            wait: Some(wait), ..
        },
    ) = request
    {
        let work = Arc::clone(operations).resize_or_wait(asking, resize, wait);
        let outcome = tokio::spawn(work).await;
        return outcome.unwrap_or_else(|fault| Outcome::Answered(not_carried_out(&fault)));
    }
    let begun = matches!(request, Request::OpenSession(_)).then(Instant::now);
    let outcome = answer_permitted(request, asking, operations).await;
    if let (Some(begun), Outcome::Answered(reply)) = (begun, &outcome) {
        COUNTS.login(reply, begun.elapsed());
    }
    outcome
}

/// Carries out a request that the caller may make. A login is told in good time that its limits
/// are not set yet.
async fn answer_permitted<E: Enforcement>(
    request: Request,
    asking: Caller,
    operations: &Arc<Operations<E>>,
) -> Outcome {
    let patience = match &request {
        Request::OpenSession(open) => open.wait_ms.map(Duration::from_millis),
        _ => None,
    };
    let work = carry_out(request, asking, Arc::clone(operations));
    // A task of its own: it ends what it began even if the client goes away.
    let work = tokio::spawn(work);
    let result = match patience {
        None => work.await,
        Some(patience) => {
            let Ok(result) = tokio::time::timeout(patience.mul_f64(PATIENCE), work).await else {
                let message = "Limits are not set yet; they will be as soon as systemd answers";
                return Outcome::Answered(Reply::error(ErrorCode::NotEnforced, message));
            };
            result
        }
    };
    Outcome::Answered(result.unwrap_or_else(|fault| not_carried_out(&fault)))
}

fn not_carried_out(fault: &JoinError) -> Reply {
    error!("a request was not carried out: {fault}");
    Reply::error(
        ErrorCode::Internal,
        "A fault of the daemon; its log says more",
    )
}

async fn carry_out<E: Enforcement>(
    request: Request,
    asking: Caller,
    operations: Arc<Operations<E>>,
) -> Reply {
    let caller = asking.uid;
    match request {
        Request::RequestResources(wish) => operations.request(asking, wish).await,
        Request::Resize(resize) => operations.resize(asking, resize).await,
        Request::Renew(renew) => operations.renew(asking, renew).await,
        Request::Release(release) => operations.release(asking, release).await,
        Request::Set(set) => operations.set(asking, set).await,
        Request::Usage => operations.usage(&asking).await,
        Request::Processes(asked) => {
            let uid = asked.uid.unwrap_or(caller);
            operations.processes(uid, &asking).await
        }
        Request::Queue => operations.queue(&asking).await,
        Request::Strays => operations.strays(&asking).await,
        Request::Explain(Explain { uid }) => operations.explain(uid.unwrap_or(caller)).await,
        Request::PolicyDiff => operations.policy_diff().await,
        Request::Reload => operations.answer_reload().await,
        Request::Report(asked) => operations.report(asked, &asking).await,
        Request::Incidents(asked) => operations.incidents(asked, caller).await,
        Request::Metrics(asked) => operations.metrics(asked).await,
        Request::About => operations.about(),
        Request::Status => operations.status(caller).await,
        Request::List => {
            let only = if sees_everybody(&asking) {
                None
            } else {
                Some(caller)
            };
            operations.list(only).await
        }
        Request::OpenSession(open) => operations.open_session(open).await,
        Request::CloseSession(close) => operations.close_session(close, caller).await,
    }
}

/// Whether being an administrator makes a difference to this request. Only then is it looked up: a
/// name service that hangs delays no other request.
fn administrators_count(caller: u32, request: &Request) -> bool {
    let as_user = Caller {
        uid: caller,
        administrator: false,
        exporter: false,
    };
    let shows_users = matches!(
        request,
        Request::List | Request::Usage | Request::Queue | Request::Strays | Request::Report(_)
    );
    shows_users || authorise(&as_user, request).is_err()
}

fn refused(caller: u32, request: &Request, sentence: &str) {
    let uid = concerns(request).unwrap_or(caller);
    Decision::new(request.name(), Verdict::Refused, uid)
        .by(caller)
        .because(sentence)
        .log();
}
