//! No call leaves a descriptor behind. A test program of its own: descriptors are counted for the
//! whole process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "peer/mod.rs"]
mod peer;
#[path = "sys/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the host")]
mod sys;

use std::time::Duration;

use fairshare_client::Client;

use peer::{Peer, read_line, wait_for_end};

const SHORT: Duration = Duration::from_millis(50);

fn open_descriptors() -> Vec<String> {
    let mut open: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    open.sort();
    open
}

#[test]
fn no_outcome_leaves_a_descriptor_open() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full.sock");
    let _listener = sys::full_listener(&full);
    let answering = Peer::answering("{\"type\": \"list_info\", \"users\": []}\n");
    let closing = Peer::new(|_, _| {});
    let breaking_off = Peer::new(|_, mut connection| {
        read_line(&connection);
        let _ = std::io::Write::write_all(&mut connection, b"{");
    });
    let nonsense = Peer::answering("?\n");
    let silent = Peer::new(|_, connection| wait_for_end(&connection));
    let paths = [
        &full,
        answering.path(),
        closing.path(),
        breaking_off.path(),
        nonsense.path(),
        silent.path(),
        &folder.path().join("absent.sock"),
        &folder.path().join("x".repeat(200)),
    ];
    let before = open_descriptors();
    for path in paths {
        for _ in 0..3 {
            let _ = Client::new(path, SHORT).list();
        }
    }
    // The peers close their ends before they end.
    drop((answering, closing, breaking_off, nonsense, silent));
    let after = open_descriptors();
    let left: Vec<_> = after.iter().filter(|fd| !before.contains(fd)).collect();
    assert!(left.is_empty(), "{left:?}");
}
