//! Programs of the administrator's that are told of incidents: mail, chat, a ticket.
//!
//! The daemon starts none of them itself: it has no power to become another user, and what a program
//! of a site's needs is not what the daemon is allowed. systemd starts each as a service of its own, see
//! [`Runner`]. Whoever tells never waits; a hook that hangs delays nobody but its own later runs.

mod folder;
mod said;

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fairshare_protocol::Incident;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tracing::{debug, warn};

use self::said::Said;

/// Where the hooks are.
pub(crate) const FOLDER: &str = "/etc/fairshare/hooks.d";
/// How long one hook may take for one incident. Then systemd ends it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// How many incidents may wait for the folder to be looked at, and how many for each hook.
const WAITING: usize = 64;
/// How many hooks there may be. Each runs once at a time, so no more than this run at once.
const MOST_HOOKS: usize = 8;

/// One incident for one hook.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The program.
    pub(crate) program: PathBuf,
    /// The incident as one line of JSON, for standard input.
    pub(crate) line: Arc<str>,
}

/// Carries out a run: systemd, or a test.
pub(crate) trait Runner: Send + Sync + 'static {
    /// Returns when the hook has ended.
    ///
    /// # Errors
    /// A sentence on why it could not be started, or that it failed.
    fn run(&self, run: Run) -> impl Future<Output = Result<(), String>> + Send;
}

/// Hands incidents to the hooks.
#[derive(Clone, Debug)]
pub(crate) struct Hooks {
    queue: mpsc::Sender<Incident>,
    said: Arc<Said>,
}

impl Hooks {
    /// Runs the hooks in this folder for each incident. Nothing happens before there is one: a
    /// hook that is put in or taken out is seen at the next.
    pub(crate) fn start<R: Runner>(folder: PathBuf, runner: R) -> Self {
        let (queue, incidents) = mpsc::channel(WAITING);
        let said = Arc::<Said>::default();
        let keeper = Keeper {
            folder,
            runner: Arc::new(runner),
            said: Arc::clone(&said),
            queues: HashMap::new(),
        };
        tokio::spawn(keeper.keep(incidents));
        Self { queue, said }
    }

    /// Tells every hook of an incident. Never waits: where too many wait already, this one is
    /// dropped.
    pub(crate) fn tell(&self, incident: &Incident) {
        // Asked before the incident is copied: a storm costs no more than this.
        match self.queue.try_reserve() {
            Ok(place) => place.send(incident.clone()),
            Err(_) => self.said.dropped(Path::new(FOLDER)),
        }
    }
}

/// Keeps a queue for each hook.
struct Keeper<R> {
    folder: PathBuf,
    runner: Arc<R>,
    said: Arc<Said>,
    queues: HashMap<PathBuf, mpsc::Sender<Arc<str>>>,
}

impl<R: Runner> Keeper<R> {
    async fn keep(mut self, mut incidents: mpsc::Receiver<Incident>) {
        while let Some(incident) = incidents.recv().await {
            self.hand_out(&incident);
            // A storm must not keep the daemon's one thread from logins.
            tokio::task::yield_now().await;
        }
    }

    fn hand_out(&mut self, incident: &Incident) {
        let found = folder::look(&self.folder, MOST_HOOKS);
        for (path, why) in found.refused {
            self.said.warn(&path, &format!("not run: {why}"));
        }
        // One that is gone has its queue taken away, and its task ends behind what is in it.
        self.queues.retain(|path, _| found.hooks.contains(path));
        if found.hooks.is_empty() {
            return;
        }
        let line: Arc<str> = match serde_json::to_string(incident) {
            Ok(text) => format!("{text}\n").into(),
            Err(error) => {
                warn!("cannot write an incident as JSON: {error}, ignoring");
                return;
            }
        };
        for program in found.hooks {
            let queue = self.queues.entry(program.clone()).or_insert_with(|| {
                let (queue, lines) = mpsc::channel(WAITING);
                let (runner, said) = (Arc::clone(&self.runner), Arc::clone(&self.said));
                tokio::spawn(serve(program.clone(), lines, runner, said));
                queue
            });
            if let Err(TrySendError::Full(_)) = queue.try_send(Arc::clone(&line)) {
                self.said.dropped(&program);
            }
        }
    }
}

/// Runs one hook for one incident after the other.
async fn serve<R: Runner>(
    program: PathBuf,
    mut lines: mpsc::Receiver<Arc<str>>,
    runner: Arc<R>,
    said: Arc<Said>,
) {
    while let Some(line) = lines.recv().await {
        let begun = Instant::now();
        let run = Run {
            program: program.clone(),
            line,
        };
        match runner.run(run).await {
            Ok(()) => debug!(hook = %program.display(), "told of an incident"),
            Err(_) if begun.elapsed() >= DEADLINE => {
                let seconds = DEADLINE.as_secs();
                said.warn(&program, &format!("ended after {seconds} s"));
            }
            Err(why) => said.warn(&program, &why),
        }
    }
}

#[cfg(test)]
mod tests;
