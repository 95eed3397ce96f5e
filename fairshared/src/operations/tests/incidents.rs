//! What happened to users: in words, kept, counted and told at a login.

use std::time::Duration;

use fairshare_protocol::{IncidentKind, Incidents, IncidentsInfo};

use super::sharing::World;
use super::*;
use crate::finding::{Finding, Victim, What};
use crate::terminal::Told;

async fn incidents(world: &World, caller: u32) -> IncidentsInfo {
    let asked = Incidents {
        uid: Some(UID),
        ..Incidents::default()
    };
    match world.operations.incidents(asked, caller).await {
        Reply::IncidentsInfo(info) => info,
        other => panic!("{other:?}"),
    }
}

/// What a login is told that can show it.
async fn notices(world: &World) -> Vec<String> {
    let leader = crate::leader::Process::look(world.leader()).unwrap().leader;
    let missed = world.operations.ask_what_was_missed(UID);
    world.operations.notices(UID, leader, missed, None).await
}

fn killed(command: &str) -> Finding {
    let victim = Victim {
        pid: 4711,
        command: command.to_owned(),
        held: "900M".parse().unwrap(),
    };
    Finding::new(
        UID,
        What::OomKill {
            victim: Some(victim),
            kills: 1,
        },
    )
}

#[tokio::test]
async fn a_killed_process_is_told_with_the_limit_and_what_may_be_had() {
    let world = World::new(POLICY);
    world.open(UID).await;
    world.operations.found(killed("py\u{1b}[2Jthon")).await;
    let told = "py\u{fffd}[2Jthon (pid 4711) was killed: your processes reached the memory limit \
                of 1G. It held 900M. You may have up to 8G.";
    let info = incidents(&world, 0).await;
    let [one] = info.incidents.as_slice() else {
        panic!("{info:?}")
    };
    assert_eq!(one.kind, IncidentKind::OomKill);
    assert_eq!(one.text, told);
    assert_eq!(one.advice.as_deref(), Some("fairshare resize --mem 2G"));
    let line = format!("fairshare: {told} More: fairshare resize --mem 2G");
    assert_eq!(world.told_so_far(), [(UID, line)]);
}

#[tokio::test]
async fn a_figure_has_its_unit() {
    let world = World::new(POLICY);
    world.open(UID).await;
    let over = Duration::from_secs(60);
    for what in [
        What::CpuThrottled { share: 8500, over },
        What::TasksLimit { refused: 3 },
    ] {
        world.operations.found(Finding::new(UID, what)).await;
    }
    let info = incidents(&world, 0).await;
    for (one, unit) in info.incidents.iter().zip([" tasks.", " CPUs."]) {
        assert!(one.text.contains("You may have up to "), "{}", one.text);
        assert!(one.text.ends_with(unit), "{}", one.text);
    }
    assert_eq!(info.incidents.len(), 2);
}

#[tokio::test]
async fn whoever_has_all_that_policy_gives_is_shown_what_uses_it() {
    let world = World::new(POLICY);
    world.open(UID).await;
    world.resize(UID, r#"{"mem": "8G"}"#).await;
    world.operations.found(killed("R")).await;
    let info = incidents(&world, 0).await;
    assert_eq!(info.incidents[0].advice.as_deref(), Some("fairshare top"));
}

#[tokio::test]
async fn a_storm_is_one_incident_with_a_count_and_one_line() {
    let world = World::new(POLICY);
    world.open(UID).await;
    for _ in 0..1000 {
        world.operations.found(killed("R")).await;
    }
    let info = incidents(&world, 0).await;
    assert_eq!(info.incidents.len(), 1);
    assert_eq!(info.incidents[0].times, Some(1000));
    assert_eq!(world.told_so_far().len(), 1);
}

#[tokio::test]
async fn what_reached_no_terminal_is_missed_until_its_user_asks() {
    let world = World::new(POLICY);
    world.open(UID).await;
    for wanted in 1..=5 {
        let sentence = format!("{wanted} CPUs are too many");
        let what = What::Refused {
            wish: Wish::default(),
            sentence,
        };
        let finding = Finding::new(UID, what);
        let told = if wanted == 5 {
            Told::On(1)
        } else {
            Told::On(0)
        };
        world.operations.found_and_told(finding, told).await;
    }
    let lines = notices(&world).await;
    assert_eq!(lines.len(), 4);
    assert_eq!(
        lines[0],
        "fairshare: while you were away, just now: your request was refused: 4 CPUs are too many."
    );
    assert_eq!(lines[3], "fairshare: and 1 more: fairshare why");
    // An administrator's look tells the user nothing.
    incidents(&world, 0).await;
    assert_eq!(notices(&world).await.len(), 4);
    incidents(&world, UID).await;
    assert_eq!(notices(&world).await, [""; 0]);
}

#[tokio::test]
async fn a_login_does_not_wait_for_a_history_that_hangs() {
    let world = World::new(POLICY);
    world.open(UID).await;
    world
        .operations
        .found_and_told(killed("R"), Told::On(0))
        .await;
    let leader = crate::leader::Process::look(world.leader()).unwrap().leader;
    let missed = world.operations.ask_what_was_missed(UID);
    // Nothing has been asked yet: as where no answer comes.
    let hurried = Some(Duration::ZERO);
    let told = world.operations.notices(UID, leader, missed, hurried).await;
    assert_eq!(told, [""; 0]);
    assert_ne!(notices(&world).await, [""; 0], "the next login tells it");
}

#[tokio::test]
async fn a_request_above_the_maximum_is_kept_and_one_that_makes_no_sense_is_not() {
    let world = World::new(POLICY);
    world.open(UID).await;
    world.resize(UID, r#"{"mem": "9G"}"#).await;
    Arc::clone(&world.operations)
        .release(caller(UID), fairshare_protocol::Release::default())
        .await;
    let info = incidents(&world, 0).await;
    assert_eq!(info.incidents.len(), 1);
    let text = &info.incidents[0].text;
    assert!(
        text.starts_with("your request for 9G memory was refused:"),
        "{text}"
    );
    assert!(notices(&world).await.is_empty(), "the reply has told it");
}
