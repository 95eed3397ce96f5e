//! Hosts in a poor state: no standard descriptors, little memory, `SIGPIPE` at its default, the
//! module loaded over and over.

use std::path::Path;

use fairshare_protocol::frame::MAX_LINE;

use crate::login::{FIGURES, LOG_ERR, Login, OPENED, SESSION_ERR, SUCCESS, daemon};
use crate::peer::Peer;

#[test]
fn closed_standard_descriptors_stay_closed() {
    let (daemon, _requests) = daemon();
    // The host reports a descriptor more within the session, were one of the three taken.
    let report = Login::new(daemon.path(), "debug")
        .option("close-standard")
        .run();
    assert_eq!(report.environment(), FIGURES);

    let report = Login::new(Path::new("/nonexistent"), "on_failure=deny")
        .option("close-standard")
        .run();
    assert_eq!(report.codes("open"), [SESSION_ERR]);
}

#[test]
fn loading_and_unloading_it_over_and_over_leaves_nothing_behind() {
    const ROUNDS: usize = 100;
    let (daemon, requests) = daemon();
    let report = Login::new(daemon.path(), "")
        .option(format!("rounds={ROUNDS}"))
        .run();
    assert_eq!(report.codes("open"), [SUCCESS; ROUNDS]);
    assert_eq!(report.codes("close"), [SUCCESS; ROUNDS]);
    assert_eq!(report.environment().len(), 2 * ROUNDS);
    // From the middle to the end the process grows no more: 50 rounds of a leak, or of a second
    // mapping of the module, would be well above.
    assert!(report.number("growth") < 256 << 10, "{report:?}");
    drop(daemon);
    assert_eq!(requests.iter().count(), 2 * ROUNDS);
}

#[test]
fn a_host_with_a_small_address_space_is_limited() {
    let (daemon, _requests) = daemon();
    let report = Login::new(daemon.path(), "")
        .option(format!("address-space={}", 48 << 20))
        .run();
    assert_eq!(report.environment(), FIGURES);
    assert_eq!(report.log(), []);
}

#[test]
fn a_host_with_no_address_space_left_lives_on() {
    // The reply that takes the most memory to read: the longest, in the shortest pieces.
    let mut reply = OPENED.trim_end().trim_end_matches('}').to_owned();
    reply.push_str(", \"new\": [0");
    reply.push_str(&",0".repeat((MAX_LINE - reply.len() - 2) / 2));
    reply.push_str("]}\n");
    let daemon = Peer::answering(reply);
    let mut limited = 0;
    let mut short = 0;
    // Up to the headroom that the module asks for, and beyond.
    for step in 0..=40_u32 {
        let slack = step * (128 << 10);
        let report = Login::new(daemon.path(), "timeout=20000")
            .option(format!("slack={slack}"))
            .option("leave-open")
            .run();
        assert_eq!(report.codes("open"), [SUCCESS], "{slack}");
        match report.log().as_slice() {
            [] => {
                assert_eq!(report.environment(), FIGURES);
                limited += 1;
            }
            [(LOG_ERR, line)] => {
                assert!(line.starts_with("too little memory left"), "{line}");
                short += 1;
            }
            log => panic!("{slack}: {log:?}"),
        }
    }
    assert!(limited > 0 && short > 0, "{limited} {short}");
}

#[test]
fn too_little_memory_is_a_failure_like_any_other() {
    let login = |args: &str, user: &str| {
        Login::new(Path::new("/nonexistent"), args)
            .user(user)
            .option("slack=0")
            .run()
    };
    let deny = "on_failure=deny";
    assert_eq!(login("", "nobody").codes("open"), [SUCCESS]);
    assert_eq!(login(deny, "nobody").codes("open"), [SESSION_ERR]);
    assert_eq!(login(deny, "root").codes("open"), [SUCCESS]);
    let report = login("", "nobody");
    let line = "too little memory left in this process; login goes on without limits";
    assert_eq!(report.log(), [(LOG_ERR, line)]);
}

#[test]
fn a_daemon_that_closes_does_not_kill_the_host_by_sigpipe() {
    // The host has the signal at its default. Each login tries several times, so the close falls
    // before, within and behind the write.
    let peer = Peer::new(|_, _| {});
    for _ in 0..10 {
        let report = Login::new(peer.path(), "timeout=100").run();
        assert_eq!(report.codes("open"), [SUCCESS]);
    }
}
