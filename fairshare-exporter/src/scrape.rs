//! Asking the daemon: one at a time, and not more than once a second.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fairshare_client::{Client, ClientError};
use fairshare_protocol::{Metrics, MetricsInfo, Reply, Request};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer is good for whoever asks next.
pub(crate) const FRESH: Duration = Duration::from_secs(1);
/// How long the daemon may take. Prometheus gives up after 10 s unless it is told otherwise.
pub(crate) const DAEMON_DEADLINE: Duration = Duration::from_secs(4);

/// Asks the daemon.
#[derive(Debug)]
pub(crate) struct Scraper {
    socket: PathBuf,
    users: u32,
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    answer: Option<Arc<MetricsInfo>>,
}

impl Scraper {
    /// Asks on this socket, for this many users by name.
    pub(crate) fn new(socket: &Path, users: u32) -> Self {
        Self {
            socket: socket.to_owned(),
            users,
            last: Mutex::default(),
        }
    }

    /// What the daemon says; `None` where it does not answer, which the log explains once.
    pub(crate) async fn look(&self) -> Option<Arc<MetricsInfo>> {
        // Who asks meanwhile waits for this answer, and takes it.
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.at.elapsed() < FRESH) {
            return last.answer.clone();
        }
        let was_up = last.as_ref().is_none_or(|last| last.answer.is_some());
        let answer = match self.ask().await {
            Ok(info) => {
                if !was_up {
                    eprintln!("the daemon answers again");
                }
                Some(Arc::new(info))
            }
            Err(fault) => {
                if was_up {
                    eprintln!("no figures: {fault}");
                }
                None
            }
        };
        *last = Some(Last {
            at: Instant::now(),
            answer: answer.clone(),
        });
        answer
    }

    async fn ask(&self) -> Result<MetricsInfo, String> {
        let client = Client::new(&self.socket, DAEMON_DEADLINE);
        let request = Request::Metrics(Metrics {
            users: (self.users > 0).then_some(self.users),
        });
        // The client blocks, up to its own deadline for everything.
        let asked = tokio::task::spawn_blocking(move || client.call(&request)).await;
        match asked {
            Ok(Ok(Reply::MetricsInfo(info))) => Ok(*info),
            Ok(Ok(_)) => Err("the daemon gave another answer than was asked for".to_owned()),
            Ok(Err(ClientError::Refused(reply))) => {
                Err(format!("the daemon refuses: {}", reply.error))
            }
            Ok(Err(fault)) => Err(fault.to_string()),
            Err(fault) => Err(format!("the question was not carried out: {fault}")),
        }
    }
}
