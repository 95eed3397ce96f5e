//! What systemd hears of the daemon: that it serves, that it reads its policy, that it ends, and that
//! it is alive.
//!
//! See `sd_notify(3)`. Without systemd nothing is said to anybody.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

use crate::book::BookHandle;

/// The daemon serves. The status is what `systemctl status` shows.
pub(crate) fn serving(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The daemon reads its policy again, until it says that it serves. Whoever asked for that over the
/// socket or by SIGHUP is nothing to systemd; a unit that is ordered behind the reload waits.
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// The daemon ends because it was asked to.
pub(crate) fn ending() {
    notify(&[NotifyState::Stopping]);
}

/// Why the daemon does not go on, in one line.
pub(crate) fn failing(why: &str) {
    notify(&[NotifyState::Status(why)]);
}

/// Tells systemd's watchdog that the daemon is alive, for as long as it is. Returns where nobody
/// watches.
pub(crate) async fn stay_alive(book: BookHandle) {
    if let Some(limit) = sd_notify::watchdog_enabled() {
        be_seen(limit, &book, || notify(&[NotifyState::Watchdog])).await;
    }
}

/// Has the owner of the book show itself, twice in the time after which systemd takes the daemon for
/// hung. Every login waits for that owner: a timer that rings beside it would say nothing. It costs
/// an idle daemon two wake-ups in that time.
async fn be_seen(limit: Duration, book: &BookHandle, seen: impl Fn()) {
    loop {
        tokio::time::sleep(limit / 2).await;
        book.with(|_| ()).await;
        seen();
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!("cannot notify systemd: {error}, ignoring");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use fairshare_core::Policy;
    use fairshare_core::policy::{Machine, Source};

    use super::*;
    use crate::book::Book;
    use crate::snapshot::Snapshot;

    #[tokio::test(start_paused = true)]
    async fn a_book_whose_owner_hangs_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (snapshot, saved) = Snapshot::open(folder.path()).unwrap();
        let source = Source {
            name: "policy.yaml".to_owned(),
            text: "defaults: {cpu: 1, mem: 1G}\nmax: {cpu: 1, mem: 1G}\n".to_owned(),
        };
        let machine = Machine {
            cpu_thousandths: 8000,
            mem_bytes: 16 << 30,
            tasks: 32_768,
        };
        let (policy, _) = Policy::read(&[source], &machine).unwrap();
        let (book, owner, _events) = BookHandle::start(Book::new(policy, 1000, snapshot, saved));
        let seen = Cell::new(0);
        let limit = Duration::from_secs(60);
        let look = be_seen(limit, &book, || seen.set(seen.get() + 1));
        let look = tokio::time::timeout(Duration::from_secs(601), look);
        tokio::join!(async { assert!(look.await.is_err()) }, async {
            tokio::time::sleep(Duration::from_secs(301)).await;
            assert_eq!(seen.get(), 10, "twice a minute");
            owner.abort();
        });
        assert_eq!(seen.get(), 10, "and not once it is gone");
    }
}
