//! Ctrl-C while a request waits: the place in the queue is given up, and that is said.
//!
//! What leaves the queue is the end of the connection, and the process that ends has closed it. So
//! all that is needed is a line before the end. The signal is blocked in the whole process and a
//! thread takes it from the kernel, which needs no handler and no unsafe call.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::exit::Exit;
use crate::output;

/// How far a request is, for the thread that may have to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Sent, and nothing heard.
    Asked,
    /// In the queue. On a terminal the last line is not ended.
    Waiting { open_line: bool },
    /// Answered: what is left is to print it.
    Answered,
}

/// The stage, shared with the thread. While it is locked nobody else writes.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<Stage>>);

impl Progress {
    /// Begins to take care of the signal. Where no thread can be had, the signal ends the process
    /// without a word, as it does by default.
    pub(crate) fn begin() -> Self {
        let progress = Self(Arc::new(Mutex::new(Stage::Asked)));
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        if signals.thread_block().is_ok() {
            let shared = progress.clone();
            let thread = thread::Builder::new().spawn(move || shared.end_on(&signals));
            if thread.is_err() {
                let _ = signals.thread_unblock();
            }
        }
        progress
    }

    /// Goes to a stage, and does `act` before a signal can end the process.
    pub(crate) fn reach(&self, stage: Stage, act: impl FnOnce()) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act();
        *current = stage;
    }

    fn end_on(&self, signals: &SigSet) {
        if signals.wait().is_err() {
            return;
        }
        let stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        output::progress(match *stage {
            Stage::Asked => "fairshare: interrupted; see what you have: fairshare status\n",
            Stage::Waiting { open_line: true } => {
                "\nfairshare: interrupted; the place in the queue is given up\n"
            }
            Stage::Waiting { open_line: false } => {
                "fairshare: interrupted; the place in the queue is given up\n"
            }
            Stage::Answered => "",
        });
        std::process::exit(i32::from(Exit::Interrupted.number()));
    }
}
