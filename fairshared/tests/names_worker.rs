//! The worker that asks the name service, as the daemon starts it, on the users of this machine.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

struct Worker {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fairshared"))
            .arg("names-worker")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            questions: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn send(&mut self, text: &[u8]) {
        self.questions.as_mut().unwrap().write_all(text).unwrap();
    }

    fn ask(&mut self, question: &str) -> serde_json::Value {
        self.send(format!("{{\"number\":7,\"question\":{question}}}\n").as_bytes());
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answered: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answered["number"], 7);
        answered["answer"].clone()
    }

    /// Waits for its end, and returns its status and what it said until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.answers.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

#[test]
fn it_knows_the_users_of_this_machine() {
    let mut worker = Worker::start();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    for line in passwd.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let (name, uid, gid) = (fields[0], fields[2], fields[3]);
        let person = &worker.ask(&format!("{{\"person\":{uid}}}"))["person"];
        assert_eq!(person["name"], name);
        let groups = person["groups"].as_array().unwrap();
        let has = |gid: &str| {
            groups
                .iter()
                .any(|group| *group == gid.parse::<u32>().unwrap())
        };
        assert!(has(gid), "{name}: {groups:?}");

        let group = std::fs::read_to_string("/etc/group").unwrap();
        for group in group.lines() {
            let fields: Vec<&str> = group.split(':').collect();
            if fields[3].split(',').any(|member| member == name) {
                assert!(has(fields[2]), "{name} is in {group}");
            }
        }
    }
    let nobody = worker.ask("{\"person\":3999999999}");
    assert_eq!(
        nobody,
        serde_json::json!({"person": {"name": null, "groups": []}})
    );
    assert_eq!(
        worker.ask("{\"group_id\":\"no-such-group-here\"}"),
        serde_json::json!({"id": null})
    );
}

#[test]
fn it_ends_with_its_input() {
    let mut worker = Worker::start();
    worker.ask("{\"person\":0}");
    drop(worker.questions.take());
    assert_eq!(worker.end(), (Some(0), String::new()));
}

#[test]
fn it_ends_at_what_it_does_not_understand() {
    for text in [
        "hello\n",
        "{}\n",
        "{\"number\":1,\"question\":{\"all\":1}}\n",
    ] {
        let mut worker = Worker::start();
        worker.send(text.as_bytes());
        assert_eq!(worker.end(), (Some(1), String::new()), "{text}");
    }
    let mut worker = Worker::start();
    worker.send(&[b' '; 4096]);
    assert_eq!(worker.end(), (Some(0), String::new()), "a line too long");
}
