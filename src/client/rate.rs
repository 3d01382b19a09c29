//! A bound on the bytes that are taken per second, over all fetches.

#![allow(clippy::disallowed_methods, reason = "rank 5: it waits")]

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was not taken in so long may be taken later: timers are late, and small pieces come late after them.
const CREDIT: Duration = Duration::from_millis(20);

/// So many bytes a second.
pub struct RateLimit {
    rate: u64,
    /// When all that was taken so far is paid for.
    paid: Mutex<Instant>,
}

impl RateLimit {
    /// A limit of `rate` bytes a second, at least 1.
    pub fn new(rate: u64) -> Self {
        RateLimit { rate: rate.max(1), paid: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` more are paid for.
    pub async fn take(&self, bytes: usize) {
        let due = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let from = (*paid).max(now.checked_sub(CREDIT).unwrap_or(now));
            *paid = from + Duration::from_secs_f64(bytes as f64 / self.rate as f64);
            *paid
        };
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_take_their_time() {
        let limit = RateLimit::new(1_000_000);
        let began = Instant::now();
        tokio::join!(limit.take(50_000), limit.take(50_000), limit.take(50_000));
        assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    }
}
