//! What happened in the last day, minute by minute: for each class requests and bytes, for origins answers, errors and how
//! long they took.
//!
//! Threads add to atomic counters of the running minute. A minute that comes round again is cleared by the first request
//! of it, and what others add in that moment may be lost: a few requests a minute at most.

use crate::clock::Timestamp;
use crate::verdict::Class;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Minutes that are known.
const MINUTES: usize = 24 * 60;
const CLASSES: usize = Class::WORDS.len();
const MINUTE: u64 = 60_000;

#[derive(Debug, Default)]
struct Minute {
    /// Its number since 1970, and one.
    number: AtomicU64,
    requests: [AtomicU64; CLASSES],
    bytes: [AtomicU64; CLASSES],
    answers: AtomicU64,
    errors: AtomicU64,
    millis: AtomicU64,
}

/// What a span of time came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests of the classes that were asked for.
    pub requests: u64,
    /// Bytes that they were sent.
    pub bytes: u64,
    /// Requests that origins were asked.
    pub answers: u64,
    /// Those that failed, or were answered with 5xx.
    pub errors: u64,
    /// How long all of them took until the first byte, in milliseconds.
    pub millis: u64,
}

/// The counters.
#[derive(Debug)]
pub struct Rates(Vec<Minute>);

impl Default for Rates {
    fn default() -> Self {
        Rates((0..MINUTES).map(|_| Minute::default()).collect())
    }
}

impl Rates {
    fn minute(&self, now: Timestamp) -> Option<&Minute> {
        let number = now.0 / MINUTE;
        let minute = self.0.get(number as usize % MINUTES)?;
        let known = minute.number.load(Relaxed);
        if known != number + 1 && minute.number.compare_exchange(known, number + 1, Relaxed, Relaxed).is_ok() {
            let counters = minute.requests.iter().chain(&minute.bytes);
            let counters = counters.chain([&minute.answers, &minute.errors, &minute.millis]);
            counters.for_each(|counter| counter.store(0, Relaxed));
        }
        Some(minute)
    }

    /// Counts a request that is over.
    pub fn request(&self, class: Class, bytes: u64, now: Timestamp) {
        let Some(minute) = self.minute(now) else { return };
        minute.requests[class as usize].fetch_add(1, Relaxed);
        minute.bytes[class as usize].fetch_add(bytes, Relaxed);
    }

    /// Counts an answer of an origin, or that there was none.
    pub fn answer(&self, failed: bool, took: Duration, now: Timestamp) {
        let Some(minute) = self.minute(now) else { return };
        minute.answers.fetch_add(1, Relaxed);
        minute.errors.fetch_add(failed.into(), Relaxed);
        minute.millis.fetch_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What `classes` came to, and origins, in the time `per` before `now`, in whole minutes with the running one.
    pub fn sums(&self, classes: &[Class], per: Duration, now: Timestamp) -> Sums {
        let last = now.0 / MINUTE;
        let first = last.saturating_sub((per.as_secs() / 60).max(1));
        let mut sums = Sums::default();
        for minute in &self.0 {
            let number = minute.number.load(Relaxed);
            // The oldest minute is passed in part: it is left out, so that a whole one never counts twice.
            if number <= first + 1 || number > last + 1 {
                continue;
            }
            for class in classes {
                sums.requests += minute.requests[*class as usize].load(Relaxed);
                sums.bytes += minute.bytes[*class as usize].load(Relaxed);
            }
            sums.answers += minute.answers.load(Relaxed);
            sums.errors += minute.errors.load(Relaxed);
            sums.millis = sums.millis.saturating_add(minute.millis.load(Relaxed));
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_span_is_left_out() {
        let rates = Rates::default();
        let at = |minutes: u64| Timestamp(1_795_200_000_000 + minutes * MINUTE);
        for minutes in 0..90 {
            rates.request(Class::Suspect, 100, at(minutes));
            rates.request(Class::Human, 7, at(minutes));
            rates.answer(minutes % 3 == 0, Duration::from_millis(50), at(minutes));
        }
        let hour = Duration::from_secs(3600);
        let sums = rates.sums(&[Class::Suspect], hour, at(89));
        assert_eq!((sums.requests, sums.bytes, sums.answers, sums.errors, sums.millis), (60, 6000, 60, 20, 3000));
        let both = rates.sums(&[Class::Suspect, Class::Human], Duration::from_secs(600), at(89));
        assert_eq!((both.requests, both.bytes), (20, 1070));
        assert_eq!(rates.sums(&[Class::Suspect], hour, at(148)).requests, 1);
        assert_eq!(rates.sums(&[Class::Suspect], hour, at(149)), Sums::default());
        assert_eq!(
            rates.sums(&[Class::Suspect], Duration::from_secs(1), at(89)).requests,
            1,
            "never less than a minute"
        );
    }

    #[test]
    fn a_minute_of_yesterday_is_cleared() {
        let rates = Rates::default();
        let at = |minutes: u64| Timestamp(1_795_200_000_000 + minutes * MINUTE);
        rates.request(Class::Suspect, 100, at(0));
        rates.request(Class::Suspect, 1, at(MINUTES as u64));
        let sums = rates.sums(&[Class::Suspect], Duration::from_secs(86_400), at(MINUTES as u64));
        assert_eq!((sums.requests, sums.bytes), (1, 1));
    }
}
