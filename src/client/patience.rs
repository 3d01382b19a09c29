//! How long a fetch goes on trying.

use super::FetchError;
use std::time::Duration;

/// The pause after the first failure; it doubles.
const FIRST: Duration = Duration::from_millis(500);
/// No pause of our own is longer.
const LONGEST: Duration = Duration::from_secs(30);
/// How often in a row a broken connection is tried again.
const TRIES: u32 = 6;
/// How long all waiting may take since the last byte that came.
const TOTAL: Duration = Duration::from_secs(600);

/// What has been tried since the last byte that came.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    waited: Duration,
}

impl Patience {
    /// Bytes came: all begins anew.
    pub fn renew(&mut self) {
        *self = Patience::default();
    }

    /// How long to wait after a broken connection. `chance` is from 0 to 1 and spreads those who broke at one moment.
    pub fn after_failure(&mut self, why: &str, chance: f64) -> Result<Duration, FetchError> {
        self.failures += 1;
        if self.failures >= TRIES {
            return Err(FetchError::Failed(format!("{why}; given up after {TRIES} tries")));
        }
        Ok(self.pause(chance))
    }

    /// How long to wait where the server asks for it, by as long as it says.
    pub fn when_asked(&mut self, asked: Option<Duration>, why: &str, chance: f64) -> Result<Duration, FetchError> {
        self.failures += u32::from(asked.is_none());
        let wait = asked.map_or_else(|| self.pause(chance), |asked| asked.max(Duration::from_secs(1)));
        self.waited = self.waited.saturating_add(wait);
        if self.waited > TOTAL {
            let seconds = wait.as_secs();
            return Err(FetchError::Refused(format!("{why}; it asks to wait {seconds} s more, which is too long")));
        }
        Ok(wait)
    }

    fn pause(&self, chance: f64) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(10);
        (FIRST * 2u32.pow(doublings)).min(LONGEST).mul_f64(0.75 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut patience = Patience::default();
        let pauses: Vec<_> = std::iter::from_fn(|| patience.after_failure("x", 0.5).ok()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000].map(Duration::from_millis));
        patience.renew();
        assert_eq!(patience.after_failure("x", 0.0), Ok(Duration::from_millis(375)));
    }

    #[test]
    fn a_server_is_heard_within_bounds() {
        let mut patience = Patience::default();
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(patience.when_asked(asked(0), "x", 0.5), Ok(Duration::from_secs(1)));
        assert_eq!(patience.when_asked(asked(599), "x", 0.5), Ok(Duration::from_secs(599)));
        assert!(matches!(patience.when_asked(asked(1), "x", 0.5), Err(FetchError::Refused(_))));
        assert!(matches!(Patience::default().when_asked(Some(Duration::MAX), "x", 0.5), Err(FetchError::Refused(_))));
        let mut patience = Patience::default();
        let waits = std::iter::from_fn(|| patience.when_asked(None, "x", 0.5).ok());
        let total: Duration = waits.sum();
        assert!(total <= TOTAL && total > TOTAL / 2, "{total:?}");
    }
}
