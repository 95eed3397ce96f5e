//! The daemon's time: `CLOCK_BOOTTIME` in milliseconds.
//!
//! A lease of two hours ends two hours later, whatever `date` or `ntpd` do to the wall clock, and
//! also where the machine was suspended in between. Neither `CLOCK_REALTIME` nor the
//! `CLOCK_MONOTONIC` of tokio's timers gives both.
//!
//! Tried on Debian 13: of a lease of 60 s a machine slept 45 s (ACPI S3, woken by its clock); 15 s
//! after it woke the lease ended.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use fairshare_core::ledger::Moment;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::descriptor;

const MILLISECONDS: u64 = 1000;
const NANOSECONDS_OF_ONE: i64 = 1_000_000;

/// The time since the machine was booted, time in suspend included. Never goes back.
pub(crate) fn now() -> Moment {
    Moment::from_millis(millis())
}

/// [`now`] in milliseconds.
pub(crate) fn millis() -> u64 {
    micros() / 1000
}

/// [`now`] in microseconds.
pub(crate) fn micros() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    part(time.tv_sec)
        .saturating_mul(MILLISECONDS * 1000)
        .saturating_add(part(time.tv_nsec / 1000))
}

/// The time of the wall clock, in seconds since 1970, UTC; 0 before. Only for what is kept and told: it
/// may jump.
pub(crate) fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Rings once at a moment, given as [`now`] counts. While nothing is set nothing runs.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// An alarm that is not set. Only within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Boottime,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        Ok(Self {
            timer: descriptor::watched(timer)?,
        })
    }

    /// Rings at this moment instead of at any that was set before; at once where it is past. With
    /// `None` it does not ring. What rang before and was not waited for is forgotten.
    pub(crate) fn set(&self, moment: Option<Moment>) -> io::Result<()> {
        // Zero would disarm: timerfd_settime(2).
        let at = moment.map_or(0, |moment| moment.millis().max(1));
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let setting = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: whole(at / MILLISECONDS),
                tv_nsec: whole(at % MILLISECONDS) * NANOSECONDS_OF_ONE,
            },
        };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }

    /// Waits for the next ring; one ring ends one wait. A wait that is given up loses no ring.
    pub(crate) async fn rang(&self) -> io::Result<()> {
        loop {
            let mut ready = self.timer.readable().await?;
            // The kernel counts the rings and forgets them with `set`, so that readiness from
            // before is found out here.
            let mut rings = [0_u8; 8];
            let read = ready.try_io(|timer| {
                rustix::io::read(timer.get_ref(), &mut rings).map_err(io::Error::from)
            });
            if let Ok(outcome) = read {
                return outcome.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Longer than any ring here takes.
    const LONG: Duration = Duration::from_secs(20);
    /// An hour: what is set this far away does not ring in a test.
    const FAR: u64 = 3_600_000;

    fn later(millis: u64) -> Moment {
        now().after(Duration::from_millis(millis))
    }

    async fn rings(alarm: &Alarm) {
        timeout(LONG, alarm.rang()).await.unwrap().unwrap();
    }

    async fn is_silent(alarm: &Alarm) -> bool {
        timeout(Duration::from_millis(60), alarm.rang())
            .await
            .is_err()
    }

    #[tokio::test]
    async fn it_rings_once_and_not_before_its_moment() {
        let alarm = Alarm::new().unwrap();
        let moment = later(30);
        alarm.set(Some(moment)).unwrap();
        rings(&alarm).await;
        assert!(now() >= moment);
        assert!(is_silent(&alarm).await, "one moment rang twice");
        alarm.set(Some(later(5))).unwrap();
        rings(&alarm).await;
    }

    #[tokio::test]
    async fn a_moment_in_the_past_rings_at_once() {
        let alarm = Alarm::new().unwrap();
        for moment in [Moment::ZERO, Moment::from_millis(1), now()] {
            alarm.set(Some(moment)).unwrap();
            rings(&alarm).await;
        }
    }

    #[tokio::test]
    async fn it_can_be_set_earlier_while_it_is_waited_for() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Some(later(FAR))).unwrap();
        let (rang, ()) = tokio::join!(timeout(LONG, alarm.rang()), async {
            tokio::task::yield_now().await;
            alarm.set(Some(later(5))).unwrap();
        });
        rang.unwrap().unwrap();
    }

    #[tokio::test]
    async fn set_later_or_off_it_does_not_ring_for_what_was_set_before() {
        for then in [Some(later(FAR)), None] {
            let alarm = Alarm::new().unwrap();
            alarm.set(Some(now())).unwrap();
            // Heard, so that the readiness of the old ring is known to the runtime.
            drop(alarm.timer.readable().await.unwrap());
            alarm.set(then).unwrap();
            assert!(is_silent(&alarm).await, "{then:?}");
        }
        assert!(is_silent(&Alarm::new().unwrap()).await, "never set");
    }

    #[tokio::test]
    async fn a_moment_beyond_all_time_is_taken() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Some(Moment::from_millis(u64::MAX))).unwrap();
        assert!(is_silent(&alarm).await);
    }
}
