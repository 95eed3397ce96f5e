//! Asking another program, with a deadline.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How much of what a program says is kept, in bytes of each stream.
const MAX_SAID: u64 = 256 * 1024;
/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How long its last words may take to arrive when it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// `None` where a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program with nothing on its standard input; kills it at the deadline.
///
/// # Errors
/// A clause: it is not there, or has not ended in time.
pub(crate) fn run(
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
    limit: Duration,
) -> Result<Ran, String> {
    let deadline = Instant::now() + limit;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        // Root's may still be that of the user who has become root.
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("NO_COLOR", "1")
        .env("SYSTEMD_COLORS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run '{program}': {error}"))?;
    let stdout = listen(child.stdout.take());
    let stderr = listen(child.stderr.take());
    let status = end_of(&mut child, deadline).ok_or_else(|| {
        let seconds = limit.as_secs();
        format!("'{program}' has not ended within {seconds} s")
    })?;
    let said = |words: Receiver<String>| words.recv_timeout(LAST_WORDS).unwrap_or_default();
    Ok(Ran {
        status: status.code(),
        stdout: said(stdout),
        stderr: said(stderr),
    })
}

/// How a child ends that ends by itself before the deadline; one that does not is killed.
pub(crate) fn end_of(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
            _ => {
                // It has no way not to end now, unless the kernel itself hangs.
                let _ = child.kill();
                return None;
            }
        }
    }
}

/// Collects a stream in a thread, so that a program which fills one pipe is not stuck behind
/// another. The thread ends with the stream or with this process.
fn listen(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, words) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before a fault is kept.
            let _ = stream.take(MAX_SAID).read_to_end(&mut bytes);
        }
        // Whoever asked may have stopped listening.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Duration = Duration::from_secs(30);

    #[test]
    fn both_streams_and_the_status_are_kept() {
        let ran = run("sh", &["-c", "echo a; echo b >&2; exit 7"], &[], PATIENT).unwrap();
        assert_eq!(
            (ran.status, &*ran.stdout, &*ran.stderr),
            (Some(7), "a\n", "b\n")
        );
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_the_deadline() {
        let start = Instant::now();
        let error = run("sleep", &["600"], &[], Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("has not ended"), "{error}");
        assert!(start.elapsed() < PATIENT);
        assert!(run("/no/such/program", &[], &[], PATIENT).is_err());
    }

    #[test]
    fn one_that_talks_without_end_is_cut() {
        let ran = run("sh", &["-c", "yes | head -c 1000000"], &[], PATIENT).unwrap();
        assert!(ran.stdout.len() <= usize::try_from(MAX_SAID).unwrap());
    }
}
