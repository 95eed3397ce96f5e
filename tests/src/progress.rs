//! Tells a person what is being done: a spinner on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nowhere.
    Silent,
    /// One line on standard error at the start and one at the end of each step.
    Plain,
    /// A spinner on standard error, which becomes a line when the step is over.
    Terminal,
}

impl Progress {
    /// As fits standard error.
    pub fn fitting() -> Self {
        if stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Plain
        }
    }

    /// Begins a step; it ends when the returned value is finished or dropped.
    pub fn step(self, text: impl Into<String>) -> Step {
        let text = text.into();
        let bar = (self == Self::Terminal).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = "{spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.set_prefix(text.clone());
            bar.enable_steady_tick(TURN);
            bar
        });
        if self == Self::Plain {
            eprintln!("  {text} ...");
        }
        Step {
            progress: self,
            bar,
            text,
            start: Instant::now(),
        }
    }
}

/// A step under way.
#[derive(Debug)]
#[must_use = "a step that is dropped at once is shown as broken off"]
pub struct Step {
    progress: Progress,
    bar: Option<ProgressBar>,
    text: String,
    start: Instant,
}

impl Step {
    /// Shows what goes on within the step, where there is room for it.
    pub fn detail(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.trim().to_owned());
        }
    }

    /// Ends the step well.
    pub fn done(mut self) {
        let line = format!(
            "✓ {} ({:.1} s)",
            self.text,
            self.start.elapsed().as_secs_f64()
        );
        self.close(&line);
        self.progress = Progress::Silent;
    }

    fn close(&mut self, line: &str) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.progress != Progress::Silent {
            eprintln!("{line}");
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.progress != Progress::Silent {
            let line = format!("✗ {}", self.text);
            self.close(&line);
        }
    }
}
