//! Where log lines go: to the journal when systemd started the daemon, else to standard error.

use std::io::stderr;
use std::os::unix::fs::MetadataExt;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Starts logging. `RUST_LOG` chooses what is logged; without it, or where it is wrong, `info`.
pub(crate) fn start() {
    let chosen = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .map(EnvFilter::try_new);
    let (filter, wrong) = match chosen {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new("info"), Some(error)),
        None => (EnvFilter::new("info"), None),
    };
    let journal = if stderr_is_journal() {
        tracing_journald::layer().ok()
    } else {
        None
    };
    let output = match journal {
        Some(journal) => journal.boxed(),
        None => tracing_subscriber::fmt::layer()
            .with_writer(stderr)
            .with_ansi(false)
            .with_target(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(output)
        .init();
    if let Some(error) = wrong {
        tracing::warn!("RUST_LOG is wrong ({error}), ignoring");
    }
}

/// Whether standard error is the journal's stream: systemd names its device and inode in
/// `JOURNAL_STREAM`, see `systemd.exec(5)`. A child of a service that redirected its output
/// inherits the variable, so the numbers are compared.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(metadata) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream == format!("{}:{}", metadata.dev(), metadata.ino())
}
