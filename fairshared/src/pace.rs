//! Letting others run in the middle of long work: the daemon has one thread.

/// How many small things are looked at before others may run: each costs some
/// 10 µs, so together less than half a millisecond.
const STEP: u32 = 32;

/// Counts what is done in one go.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    done: u32,
}

impl Pace {
    /// One small thing, such as a file of the kernel's, is about to be looked at.
    pub(crate) async fn step(&mut self) {
        self.done += 1;
        if self.done >= STEP {
            self.done = 0;
            tokio::task::yield_now().await;
        }
    }
}
