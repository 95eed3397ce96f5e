//! The terminal, taken over and given back: at the end, at a signal and at a panic.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use ratatui::{DefaultTerminal, Frame};

use crate::exit::Exit;

/// A terminal that takes nothing, as after Ctrl-S, would hold up the end for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);

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

    /// Waits for one, and hands over how to end.
    pub(super) fn wait(&self) -> Exit {
        loop {
            match self.0.wait() {
                Ok(signal) => {
                    return u8::try_from(signal as i32).map_or(Exit::Failed, Exit::Signalled);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return Exit::Failed,
            }
        }
    }
}

/// Ends the process where what was told to end does not.
pub(super) fn end_at_last(exit: Exit) {
    thread::sleep(LAST_WORDS);
    let _ = ratatui::crossterm::terminal::disable_raw_mode();
    std::process::exit(i32::from(exit.number()));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[ignore = "is run by the test below, on a terminal of its own"]
    fn panics_on_the_screen() {
        let _screen = Screen::begin().unwrap();
        panic!("as a fault would");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_its_message() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let line = format!(
            "stty -a > {}; {} --ignored --exact --nocapture \
             top::terminal::tests::panics_on_the_screen; stty -a > {}",
            first.display(),
            std::env::current_exe().unwrap().display(),
            second.display()
        );
        let mut child = Command::new("script")
            .args(["--quiet", "--command", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script (Debian's bsdutils) is needed");
        let stdin = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let shown = String::from_utf8_lossy(&output.stdout);
        let back = shown.find("\x1b[?1049l").unwrap();
        let message = shown.find("as a fault would").unwrap();
        assert!(shown.find("\x1b[?1049h").unwrap() < back, "{shown}");
        assert!(back < message, "{shown}");
        let read = |path| fs::read_to_string(path).unwrap();
        assert_eq!(read(first), read(second));
    }
}
