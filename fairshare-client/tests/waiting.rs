//! A `resize` that waits for its turn.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "peer/mod.rs"]
mod peer;

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fairshare_client::{Client, ClientError};
use fairshare_protocol::{ErrorCode, Reply, Request, Resize, Wait, Wish};

use peer::{Peer, read_line, wait_for_end};

const PATIENT: Duration = Duration::from_secs(30);

fn waiting() -> Resize {
    Resize {
        wish: Wish {
            cpu: "8".parse().ok(),
            ..Wish::default()
        },
        wait: Some(Wait::Allowed),
        ..Resize::default()
    }
}

fn queued(position: u64) -> String {
    format!(
        "{{\"type\": \"queued\", \"position\": {position}, \"waiting_for\": \"x\", \"message\": \"m\"}}\n"
    )
}

const DONE: &str = "{\"type\": \"success\", \"message\": \"Done\"}\n";

/// What the client heard of the queue, and the answer.
fn hear(client: &Client) -> (Vec<u64>, Result<String, ClientError>) {
    let mut positions = Vec::new();
    let result = client.resize_waiting(waiting(), |queued| positions.push(queued.position));
    (positions, result)
}

#[test]
fn each_line_of_the_queue_is_heard_and_the_reply_ends_it() {
    let lines = [queued(2), queued(2), queued(1), DONE.to_owned()].concat();
    let peer = Peer::answering(lines.clone());
    let (positions, result) = hear(&Client::new(peer.path(), PATIENT));
    assert_eq!(positions, [2, 2, 1]);
    assert_eq!(result.unwrap(), "Done");

    let result = Client::new(peer.path(), PATIENT).resize(waiting());
    assert_eq!(result.unwrap(), "Done", "who does not listen waits as well");
}

#[test]
fn a_refusal_after_a_wait_is_a_refusal() {
    let error = "{\"type\": \"error\", \"error\": \"Time is up\", \"code\": \"wait_ended\"}\n";
    let peer = Peer::answering([queued(1).as_str(), error].concat());
    let (positions, result) = hear(&Client::new(peer.path(), PATIENT));
    assert_eq!(positions, [1]);
    assert_eq!(result.unwrap_err().code(), Some(ErrorCode::WaitEnded));
}

#[test]
fn the_deadline_is_for_the_first_line_and_then_between_lines() {
    let timeout = Duration::from_millis(500);
    let peer = Peer::new(move |_, mut connection| {
        read_line(&connection);
        connection.write_all(queued(1).as_bytes()).unwrap();
        thread::sleep(timeout * 2);
        // A client that did not wait is gone.
        let _ = connection.write_all(DONE.as_bytes());
    });
    let (_, result) = hear(&Client::new(peer.path(), timeout));
    assert_eq!(result.unwrap(), "Done");

    let silent = Peer::new(|_, connection| {
        read_line(&connection);
        wait_for_end(&connection);
    });
    let (positions, result) = hear(&Client::new(silent.path(), Duration::from_millis(100)));
    assert_eq!(positions, Vec::<u64>::new());
    assert!(matches!(result, Err(ClientError::Deadline { .. })));
}

#[test]
fn a_place_that_is_lost_is_not_asked_for_again() {
    let (sender, requests) = mpsc::channel();
    let peer = Peer::new(move |number, mut connection| {
        read_line(&connection);
        sender.send(number).unwrap();
        connection.write_all(queued(1).as_bytes()).unwrap();
    });
    let (positions, result) = hear(&Client::new(peer.path(), PATIENT));
    assert_eq!(positions, [1]);
    assert!(matches!(
        result,
        Err(ClientError::Closed { partial: true, .. })
    ));
    drop(peer);
    assert_eq!(requests.iter().count(), 1);
}

#[test]
fn who_did_not_ask_to_wait_takes_queued_for_no_answer() {
    let peer = Peer::answering(queued(1));
    let client = Client::new(peer.path(), PATIENT);
    let error = client.resize(Resize {
        wait: None,
        ..waiting()
    });
    assert!(matches!(error, Err(ClientError::Protocol { .. })));
    let status = client.call(&Request::Status).unwrap();
    assert!(matches!(status, Reply::Queued(_)));
}

#[test]
fn a_call_that_returned_has_closed_its_connection() {
    let (sender, ended) = mpsc::channel();
    let peer = Peer::new(move |_, mut connection| {
        read_line(&connection);
        connection
            .write_all([queued(1).as_str(), DONE].concat().as_bytes())
            .unwrap();
        wait_for_end(&connection);
        sender.send(()).unwrap();
    });
    hear(&Client::new(peer.path(), PATIENT)).1.unwrap();
    ended.recv_timeout(PATIENT).unwrap();
}
