//! Waiting for something to become true, with a bound that has a reason and in small steps.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};

/// First pause between two looks.
const FIRST_STEP: Duration = Duration::from_millis(10);
/// Longest pause between two looks.
const LAST_STEP: Duration = Duration::from_millis(200);

/// What one look showed.
#[derive(Debug)]
pub enum Look<T> {
    /// What was waited for is here.
    Done(T),
    /// Not yet; the text says what was seen instead, for the message when time is up.
    NotYet(String),
}

/// Looks until `look` is done, or fails when `bound` has passed.
///
/// An error of `look` ends the wait at once.
pub fn until<T>(
    what: &str,
    bound: Duration,
    mut look: impl FnMut() -> Result<Look<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut step = FIRST_STEP;
    loop {
        let seen = match look()? {
            Look::Done(value) => return Ok(value),
            Look::NotYet(seen) => seen,
        };
        if start.elapsed() >= bound {
            return Err(LabError::Deadline {
                what: what.to_owned(),
                bound,
                seen,
            });
        }
        thread::sleep(step);
        step = (step * 2).min(LAST_STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_last_is_in_the_message() {
        let bound = Duration::from_millis(30);
        let mut looks = 0;
        let error = until("the moon", bound, || {
            looks += 1;
            Ok(Look::<()>::NotYet(format!("clouds {looks}")))
        })
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("the moon") && error.contains(&format!("clouds {looks}")),
            "{error}"
        );
    }

    #[test]
    fn a_value_is_handed_over() {
        let mut looks = 0;
        let value = until("three", Duration::from_secs(5), || {
            looks += 1;
            Ok(if looks == 3 {
                Look::Done(looks)
            } else {
                Look::NotYet(String::new())
            })
        });
        assert_eq!(value.unwrap(), 3);
    }
}
