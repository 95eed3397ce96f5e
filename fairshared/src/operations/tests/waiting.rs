//! Requests that wait, each over a socket of its own.

use std::time::Duration;

use fairshare_protocol::{KEEP_ALIVE, Queued};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::sharing::World;
use super::*;
use crate::admission::Admission;
use crate::connection::{self, IDLE_LIMIT, MAX_BEHIND};

const POLICY: &str = "defaults: {cpu: 1, mem: 1G, tasks: 100}\n\
     max: {cpu: 8, mem: 16G, tasks: 500}\n\
     queue: {longest_wait: 1h}\n";
/// Longer than any reply takes, and shorter than it takes to be told again where nothing changes.
const LONG: Duration = Duration::from_secs(KEEP_ALIVE - 10);
const WAITS: &str = r#"{"type": "resize", "cpu": 8, "wait": true}"#;

struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writes: OwnedWriteHalf,
}

impl Client {
    fn new(world: &World, uid: u32) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let operations = Arc::clone(&world.operations);
        tokio::spawn(connection::serve(
            theirs,
            uid,
            operations,
            Admission::default(),
        ));
        let (reads, writes) = ours.into_split();
        Self {
            lines: BufReader::new(reads).lines(),
            writes,
        }
    }

    async fn send(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.writes.write_all(line.as_bytes()).await.unwrap();
    }

    async fn reply(&mut self) -> Reply {
        self.reply_within(LONG).await
    }

    async fn reply_within(&mut self, limit: Duration) -> Reply {
        let line = tokio::time::timeout(limit, self.lines.next_line()).await;
        let line = line.expect("no reply came").unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn queued(&mut self) -> Queued {
        match self.reply().await {
            Reply::Queued(queued) => queued,
            other => panic!("{other:?}"),
        }
    }

    /// Asks, and is in the queue.
    async fn waits(world: &World, uid: u32, position: u64) -> Self {
        let mut client = Self::new(world, uid);
        client.send(WAITS).await;
        assert_eq!(client.queued().await.position, position);
        client
    }
}

/// Three users, the first of whom holds what the others will want.
async fn world() -> World {
    let world = World::new(POLICY);
    for uid in [UID, UID + 1, UID + 2] {
        world.open(uid).await;
    }
    let reply = world.resize(UID, r#"{"cpu": 4}"#).await;
    assert!(matches!(reply, Reply::Success { .. }), "{reply:?}");
    world
}

async fn release(world: &World, uid: u32) {
    let operations = Arc::clone(&world.operations);
    let reply = operations.release(caller(uid), fairshare_protocol::Release::default());
    assert!(matches!(reply.await, Reply::Success { .. }));
}

#[tokio::test]
async fn a_request_waits_until_others_give_back_and_moves_up_meanwhile() {
    let world = world().await;
    let mut second = Client::new(&world, UID + 1);
    second.send(WAITS).await;
    let queued = second.queued().await;
    assert_eq!((queued.position, queued.ahead), (1, None));
    assert_eq!(queued.waiting_for, "2 CPUs to be given back");
    assert_eq!(
        queued.message,
        "Place 1 in the queue, waiting for 2 CPUs to be given back"
    );
    let mut third = Client::new(&world, UID + 2);
    third.send(WAITS).await;
    let queued = third.queued().await;
    assert_eq!(queued.position, 2);
    assert_eq!(queued.ahead.unwrap().to_string(), "7 CPUs");

    let Reply::QueueInfo { entries } = world.operations.queue(&caller(UID + 2)).await else {
        panic!()
    };
    let who: Vec<_> = entries
        .iter()
        .map(|entry| (entry.position, entry.uid))
        .collect();
    assert_eq!(who, [(1, None), (2, Some(UID + 2))]);
    assert_eq!(
        entries.first().unwrap().allocation.to_string(),
        "8 CPUs, 1G memory, 100 tasks"
    );
    let Reply::StatusInfo(status) = world.operations.status(UID + 2).await else {
        panic!()
    };
    assert_eq!(status.queue_position, Some(2));

    release(&world, UID).await;
    let Reply::Success { message } = second.reply().await else {
        panic!()
    };
    assert_eq!(message, "Resources allocated: 8 CPUs, 1G memory, 100 tasks");
    world.tells(UID + 1, "your request has been granted").await;
    let queued = third.queued().await;
    assert_eq!((queued.position, queued.ahead), (1, None));
    // The connection serves on.
    second.send(r#"{"type": "release"}"#).await;
    assert!(matches!(second.reply().await, Reply::Success { .. }));
    assert!(matches!(third.reply().await, Reply::Success { .. }));
}

#[tokio::test]
async fn a_client_that_goes_leaves_the_queue_to_the_next() {
    let world = world().await;
    let second = Client::waits(&world, UID + 1, 1).await;
    let mut third = Client::waits(&world, UID + 2, 2).await;
    drop(second);
    assert_eq!(third.queued().await.position, 1);
    release(&world, UID).await;
    assert!(matches!(third.reply().await, Reply::Success { .. }));
    assert_eq!(world.has(UID + 1).await.as_deref(), Some(DEFAULT));
}

#[tokio::test]
async fn what_fits_is_granted_at_once_and_what_never_will_is_refused() {
    let world = World::new(&POLICY.replace("cpu: 8", "cpu: 50"));
    world.open(UID).await;
    let mut client = Client::new(&world, UID);
    client
        .send(r#"{"type": "resize", "cpu": 4, "wait": "1h"}"#)
        .await;
    assert!(matches!(client.reply().await, Reply::Success { .. }));
    client
        .send(r#"{"type": "resize", "cpu": 40, "wait": true}"#)
        .await;
    assert_eq!(code(&client.reply().await), Some(ErrorCode::NoCapacity));
}

#[tokio::test]
async fn a_user_waits_once() {
    let world = world().await;
    let _first = Client::waits(&world, UID + 1, 1).await;
    let mut again = Client::new(&world, UID + 1);
    again.send(WAITS).await;
    assert_eq!(code(&again.reply().await), Some(ErrorCode::AlreadyWaiting));
}

#[tokio::test]
async fn waiting_ends_when_its_time_has_passed_or_policys_has() {
    for (wait, seconds) in [(r#""10m""#, 600), ("true", 3600), (r#""5d""#, 3600)] {
        let world = world().await;
        let mut client = Client::new(&world, UID + 1);
        let line = format!(r#"{{"type": "resize", "cpu": 8, "wait": {wait}}}"#);
        client.send(&line).await;
        client.queued().await;
        world.pass(seconds - 10).await;
        let Reply::QueueInfo { entries } = world.operations.queue(&caller(0)).await else {
            panic!()
        };
        assert_eq!(entries.len(), 1, "{wait}");
        world.pass(10).await;
        assert_eq!(
            code(&client.reply().await),
            Some(ErrorCode::WaitEnded),
            "{wait}"
        );
        world.tells(UID + 1, "your request waits no longer").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_who_waits_hears_of_it_again_and_is_not_idle() {
    let world = world().await;
    let mut client = Client::waits(&world, UID + 1, 1).await;
    let began = tokio::time::Instant::now();
    for _ in 0..10 {
        let again = client
            .reply_within(Duration::from_secs(KEEP_ALIVE + 1))
            .await;
        assert!(matches!(again, Reply::Queued(Queued { position: 1, .. })));
    }
    let passed = began.elapsed();
    assert!(passed > IDLE_LIMIT);
    assert!(passed <= Duration::from_secs(KEEP_ALIVE) * 10 + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_grows_serves_who_waits_though_nobody_asks() {
    let world = world().await;
    let mut client = Client::waits(&world, UID + 1, 1).await;
    let online = world.folder.path().join("sys/devices/system/cpu/online");
    std::fs::write(online, "0-9\n").unwrap();
    let limit = Duration::from_secs(KEEP_ALIVE + 1);
    assert!(matches!(client.reply_within(limit).await, Reply::Queued(_)));
    let Reply::Success { message } = client.reply_within(limit).await else {
        panic!()
    };
    assert!(message.contains("8 CPUs"), "{message}");
}

#[tokio::test]
async fn a_client_may_send_so_much_behind_a_request_that_waits_and_no_more() {
    let world = world().await;
    let mut client = Client::waits(&world, UID + 1, 1).await;
    client.send(r#"{"type": "status"}"#).await;
    let blank = vec![b' '; MAX_BEHIND];
    // The daemon may close before it has taken all.
    let _ = client.writes.write_all(&blank).await;
    let closed = async {
        while client
            .lines
            .next_line()
            .await
            .is_ok_and(|line| line.is_some())
        {}
    };
    tokio::time::timeout(LONG, closed).await.unwrap();
    let is_empty = || {
        let operations = Arc::clone(&world.operations);
        async move {
            let count = operations.book.with(|book| book.ledger().queue().len());
            count.await == 0
        }
    };
    for _ in 0..1000 {
        if is_empty().await {
            return;
        }
    }
    panic!("still in the queue");
}

#[tokio::test]
async fn what_was_sent_meanwhile_is_answered_behind_the_request() {
    let world = world().await;
    let mut client = Client::waits(&world, UID + 1, 1).await;
    client.send(r#"{"type": "status"}"#).await;
    release(&world, UID).await;
    assert!(matches!(client.reply().await, Reply::Success { .. }));
    assert!(matches!(client.reply().await, Reply::StatusInfo(_)));
}

#[tokio::test]
async fn a_logout_ends_the_waiting() {
    let world = world().await;
    let mut client = Client::waits(&world, UID + 1, 1).await;
    let close = CloseSession {
        session: None,
        uid: Some(UID + 1),
        pid: Some(world.leader()),
    };
    Arc::clone(&world.operations).close_session(close, 0).await;
    assert_eq!(code(&client.reply().await), Some(ErrorCode::NoSession));
}

#[tokio::test]
async fn a_grant_whose_turn_has_come_and_that_cannot_be_enforced_is_taken_back() {
    let world = world().await;
    let mut client = Client::waits(&world, UID + 1, 1).await;
    let fake = &world.operations.enforcement;
    // Only what comes after the release fails.
    let operations = Arc::clone(&world.operations);
    let freed = operations
        .book
        .with(|book| book.release(UID, fairshare_protocol::MemorySize::ZERO, false));
    *fake.mood.lock().unwrap() = Mood::NoBus;
    freed.await.unwrap();
    assert_eq!(code(&client.reply().await), Some(ErrorCode::NotEnforced));
    assert_eq!(world.has(UID + 1).await.as_deref(), Some(DEFAULT));
}

#[tokio::test]
async fn after_a_restart_nobody_waits_whose_client_is_gone() {
    let mut world = world().await;
    let _client = Client::waits(&world, UID + 1, 1).await;
    world.restart(POLICY).await;
    let waiting = world
        .operations
        .book
        .with(|book| book.ledger().queue().len());
    assert_eq!(waiting.await, 0);
    // Nothing is held back for it.
    let reply = world.resize(UID + 2, r#"{"cpu": 5}"#).await;
    assert!(matches!(reply, Reply::Success { .. }), "{reply:?}");
}
