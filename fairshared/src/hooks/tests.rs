use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use fairshare_protocol::IncidentKind;

use super::*;

/// Hands each run to the test. A program named `hangs` never ends.
struct ToTest(mpsc::UnboundedSender<Run>);

impl Runner for ToTest {
    async fn run(&self, run: Run) -> Result<(), String> {
        let hangs = run.program.ends_with("hangs");
        let _ = self.0.send(run);
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn incident(id: u64) -> Incident {
    Incident {
        id,
        uid: 1000,
        user: Some("al\nice".to_owned()),
        at: 0,
        kind: IncidentKind::LeaseEnded,
        text: "Your grant has ended".to_owned(),
        advice: None,
        limit: fairshare_protocol::Wish::default(),
        processes: Vec::new(),
        times: None,
    }
}

fn put(folder: &tempfile::TempDir, name: &str) {
    let path = folder.path().join(name);
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
}

fn hooks(folder: &tempfile::TempDir) -> (Hooks, mpsc::UnboundedReceiver<Run>) {
    let (sender, runs) = mpsc::unbounded_channel();
    let hooks = Hooks::start(folder.path().to_owned(), ToTest(sender));
    (hooks, runs)
}

#[tokio::test]
async fn a_hook_gets_the_incident_as_one_line() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "chat");
    let (hooks, mut runs) = hooks(&folder);

    hooks.tell(&incident(7));

    let run = runs.recv().await.unwrap();
    assert_eq!(run.program, folder.path().join("chat"));
    assert_eq!(run.line.matches('\n').count(), 1);
    assert_eq!(
        serde_json::from_str::<Incident>(&run.line).unwrap(),
        incident(7)
    );
}

#[tokio::test]
async fn one_that_hangs_delays_no_other() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "hangs");
    put(&folder, "works");
    let (hooks, mut runs) = hooks(&folder);

    for id in 1..=3 {
        hooks.tell(&incident(id));
    }

    let mut seen = Vec::new();
    while seen.len() < 4 {
        let run = runs.recv().await.unwrap();
        seen.push(run.program.file_name().unwrap().to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["hangs", "works", "works", "works"]);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "works");
    let (hooks, mut runs) = hooks(&folder);

    // Nobody takes any meanwhile: the test has the only thread.
    for id in 0..1000 {
        hooks.tell(&incident(id));
    }

    let last = WAITING as u64 - 1;
    loop {
        let run = runs.recv().await.unwrap();
        if run.line.contains(&format!("\"id\":{last},")) {
            break;
        }
    }
    tokio::task::yield_now().await;
    assert!(runs.try_recv().is_err());
}
