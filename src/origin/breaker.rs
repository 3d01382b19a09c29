//! Leaves an origin alone that keeps failing, and tries it again now and then.
//!
//! A circuit breaker as in Michael Nygard's *Release It!*: after some failures in a row nobody asks (open); after a
//! pause one request at a time may try (half open), and its success closes it. Each vain try doubles the pause.

use crate::clock::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many failures in a row open it: fewer come with any deployment.
const FAILURES: u32 = 5;
/// The first pause. In it a client that waits for timeouts is spared them, and an origin that restarts has its time.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// Until when nobody may ask.
    until: Timestamp,
    pause: Duration,
    /// Somebody tries it.
    trying: bool,
}

/// Whether an origin may be asked.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

impl Breaker {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the origin may be asked now. Where it is open and its pause is over, the one who asks this tries it, and
    /// all others wait for another pause.
    pub fn admits(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        if state.failures < FAILURES {
            return true;
        }
        let tries = now >= state.until;
        if tries {
            (state.until, state.trying) = (now + state.pause, true);
        }
        tries
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.state().failures >= FAILURES
    }

    /// Whether somebody may try it who asks for that now; changes nothing.
    pub fn would_admit(&self, now: Timestamp) -> bool {
        let state = self.state();
        state.failures < FAILURES || now >= state.until
    }

    /// The origin has answered: with the object, or that it does not have it.
    pub fn succeeded(&self) {
        let mut state = self.state();
        if state.failures > 0 {
            *state = State::default();
        }
    }

    /// The origin could not answer.
    pub fn failed(&self, now: Timestamp) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        // Those that were under way when it opened say nothing new.
        if state.failures == FAILURES || state.trying {
            state.pause = (state.pause * 2).clamp(PAUSE, LONGEST);
            (state.until, state.trying) = (now + state.pause, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_one_at_a_time_tries() {
        let breaker = Breaker::default();
        let at = |seconds: u64| Timestamp(1_000_000 + seconds * 1000);
        for _ in 0..FAILURES - 1 {
            breaker.failed(at(0));
        }
        breaker.succeeded();
        for _ in 0..FAILURES {
            assert!(breaker.admits(at(0)));
            breaker.failed(at(0));
        }
        // Those that were under way.
        breaker.failed(at(1));
        assert!(breaker.is_open() && !breaker.admits(at(4)));
        assert!(breaker.admits(at(5)), "the pause is over");
        assert!(!breaker.admits(at(5)), "one tries");
        assert!(!breaker.admits(at(9)));
        assert!(breaker.admits(at(10)), "a try that was never told of is not waited for");
        breaker.succeeded();
        assert!(!breaker.is_open() && breaker.admits(at(10)) && breaker.admits(at(10)));
    }

    #[test]
    fn each_vain_try_doubles_the_pause() {
        let breaker = Breaker::default();
        let mut now = Timestamp(5);
        for _ in 0..FAILURES {
            breaker.failed(now);
        }
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let began = now;
            while !breaker.admits(now) {
                now = now + Duration::from_millis(500);
            }
            pauses.push((now.0 - began.0) / 1000);
            // The try takes its time to fail.
            now = now + Duration::from_secs(1);
            breaker.failed(now);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }
}
