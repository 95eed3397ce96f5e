//! The terminal, taken over and given back: at the end, at a signal and at a panic.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use ratatui::{DefaultTerminal, Frame};

/// A terminal that takes nothing, as after Ctrl-S, would hold up the end for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What the shell sees of a process that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;

/// Why the whole terminal cannot be had, as a sentence.
pub(super) fn is_usable() -> Result<(), &'static str> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err("top needs a terminal; use list, or status --watch, in a pipe");
    }
    match std::env::var("TERM").as_deref() {
        Ok("dumb" | "") | Err(_) => {
            Err("top needs a terminal that can be drawn on, and TERM says it cannot; use list")
        }
        Ok(_) => Ok(()),
    }
}

/// The whole screen, in a mode in which each key comes at once. Given back when it is dropped, and
/// by a hook before a panic writes its message.
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes it over. On an error it is as it was.
    pub(super) fn begin() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }

    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(view).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}

/// The signals that ask for the end.
pub(super) struct Signals(SigSet);

impl Signals {
    /// From here on they end nothing by themselves, in this thread and those that it starts.
    pub(super) fn block() -> nix::Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
        ] {
            signals.add(signal);
        }
        signals.thread_block()?;
        Ok(Self(signals))
    }

    /// Waits for one.
    pub(super) fn wait(&self) {
        while self.0.wait() == Err(nix::errno::Errno::EINTR) {}
    }
}

/// Ends the process where what was told to end does not.
pub(super) fn end_at_last() {
    thread::sleep(LAST_WORDS);
    let _ = ratatui::crossterm::terminal::disable_raw_mode();
    std::process::exit(TERMINATED);
}
