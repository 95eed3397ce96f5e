//! One worker process, seen from the daemon.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Person;
use super::lines::{Answer, Answered, Asked, Found, MAX_ANSWER, Question};

/// The argument that makes this program a worker.
pub(super) const WORD: &str = "names-worker";
/// What a worker calls itself.
const NAME: &str = "fairshared";
/// Where programs are found that a module of the name service starts.
const SEARCH_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How a worker is started.
#[derive(Debug)]
pub(super) struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launch {
    /// The real worker: this program with its hidden argument.
    pub(super) fn worker(program: PathBuf) -> Self {
        Self {
            program,
            arguments: vec![WORD.into()],
        }
    }

    #[cfg(test)]
    pub(super) fn script(script: PathBuf) -> Self {
        Self {
            program: "/bin/sh".into(),
            arguments: vec![script.into()],
        }
    }
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(f)
    }
}

/// A worker process. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    asked: u64,
}

impl Process {
    /// Starts a worker. It has the two pipes and nothing else of the daemon's: every descriptor of
    /// the daemon is close-on-exec, signals are handled as a new program handles them, and the
    /// environment, where systemd speaks to the daemon, is empty.
    pub(super) fn start(launch: &Launch) -> io::Result<Self> {
        let mut child = Command::new(&launch.program)
            // What `ps` shows; the program may be a path that says nothing.
            .arg0(NAME)
            .args(&launch.arguments)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Not reached by what a terminal sends to the daemon, and killed with its children.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pipe = || io::Error::other("no pipe to it");
        Ok(Self {
            questions: child.stdin.take().ok_or_else(pipe)?,
            answers: BufReader::new(child.stdout.take().ok_or_else(pipe)?),
            child,
            asked: 0,
        })
    }

    /// Whether it has answered before.
    pub(super) fn has_answered(&self) -> bool {
        self.asked > 0
    }

    /// Puts a question and waits for the answer. The inner error is the name service's.
    ///
    /// # Errors
    /// The process is of no use any more and is to be ended.
    pub(super) async fn ask(&mut self, question: &Question) -> io::Result<Result<Answer, String>> {
        self.asked += 1;
        let asked = Asked {
            number: self.asked,
            question: question.clone(),
        };
        let mut line = serde_json::to_vec(&asked)?;
        line.push(b'\n');
        self.questions.write_all(&line).await?;
        self.questions.flush().await?;

        line.clear();
        let mut bounded = (&mut self.answers).take(MAX_ANSWER);
        bounded.read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            let fault = if line.is_empty() {
                "the process that asks it has ended"
            } else {
                "an answer is unfinished or too long"
            };
            return Err(io::Error::other(fault));
        }
        let misunderstood = || io::Error::other("an answer is not understood");
        let answered: Answered = serde_json::from_slice(&line).map_err(|_| misunderstood())?;
        if answered.number != self.asked {
            return Err(misunderstood());
        }
        match (question, answered.answer) {
            (_, Found::Fault(why)) => Ok(Err(why)),
            (Question::Person(uid), Found::Person { name, mut groups }) => {
                groups.sort_unstable();
                groups.dedup();
                let person = Person {
                    uid: *uid,
                    name,
                    groups,
                };
                Ok(Ok(Answer::Person(Arc::new(person))))
            }
            (Question::GroupId(_), Found::Id(id)) => Ok(Ok(Answer::Id(id))),
            _ => Err(misunderstood()),
        }
    }

    /// Waits until it has ended by itself, and leaves no zombie.
    pub(super) async fn ended(&mut self) {
        // It fails only where there is no such child any more.
        drop(self.child.wait().await);
    }

    /// Kills it with all that it has started, and waits until it is gone.
    pub(super) async fn end(mut self) {
        // No number: it has been waited for, and the number may be another's by now.
        let group = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = group {
            // Fails where it has ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        drop(self.child.kill().await);
    }
}
