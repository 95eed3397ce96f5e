//! Requests for status, from users who have a session, as they send them.
//!
//! Each reply says what the kernel enforces and what is in use, so for each the daemon reads nine
//! of the slice's files. A user may send 200 requests at once and then 50 a second; to measure more
//! than that, each connection belongs to another user and sends fewer than 200, and between the
//! rounds there is time to earn them again. The clients run in the same machine and take their part
//! of its CPUs.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fairshare_protocol::{DEFAULT_SOCKET, OpenSession, Request};
use fairshare_tests::Result;

use super::client::{Client, Connection};
use super::helper::Helper;
use super::people;
use super::systemd::Systemd;
use crate::figures::Requests;

/// The first UID of those who ask here.
const FIRST_UID: u32 = 5001;
/// How many users ask at once.
const CONNECTIONS: u32 = 50;
/// How many requests each sends in a round. Connecting counts as one more.
const EACH: u32 = 50;
/// Rounds that count, behind one that does not.
const ROUNDS: usize = 5;
/// In which a user earns the right to as many requests again.
const REST: Duration = Duration::from_secs(1);

/// Measures.
pub(super) fn measure() -> Result<Requests> {
    let systemd = Systemd::connect()?;
    let socket = Path::new(DEFAULT_SOCKET);
    let mut root = Connection::open(socket)?;
    let people = people::create(FIRST_UID..FIRST_UID + CONNECTIONS)?;
    let mut leaders = Vec::new();
    let mut clients = Vec::new();
    for person in &people {
        let leader = Helper::start(&["worker"])?;
        systemd.place(leader.pid(), person)?;
        root.send(&Request::OpenSession(OpenSession {
            uid: person.uid,
            pid: leader.pid(),
            service: Some("bench".to_owned()),
            wait_ms: None,
            notices: false,
        }))?;
        leaders.push(leader);
        clients.push(Client::start(person.uid, socket)?);
    }

    let mut requests = Requests {
        each: EACH,
        connections: CONNECTIONS,
        ..Requests::default()
    };
    // One user after the other, each for a round.
    for client in clients.iter_mut().take(ROUNDS + 1) {
        client.begin(EACH, &Request::Status)?;
        let seconds = client.finish()?.sum();
        requests.over_one.push(f64::from(EACH) / seconds);
    }
    for _ in 0..=ROUNDS {
        thread::sleep(REST);
        let start = Instant::now();
        for client in &mut clients {
            client.begin(EACH, &Request::Status)?;
        }
        for client in &mut clients {
            client.finish()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        requests
            .over_many
            .push(f64::from(EACH * CONNECTIONS) / seconds);
    }
    // The first of each finds cold caches.
    requests.over_one.remove(0);
    requests.over_many.remove(0);
    Ok(requests)
}
