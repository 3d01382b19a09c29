//! Who fetched what: whether somebody in a prefix fetched a path of a site within the last hours.
//!
//! Two Bloom filters of fixed size take turns: one takes notes for six hours while the other still answers for the six
//! hours before, so a fetch is remembered for six to twelve hours. Nothing that clients fetch makes them grow.
//!
//! A filter of `m` bits with `k` of them per entry says "yes" to what it never saw with probability
//! `(1 - e^(-k n / m))^k` after `n` entries (B. H. Bloom, Space/Time Trade-offs in Hash Coding with Allowable Errors,
//! CACM 13(7), 1970; in this form: A. Broder, M. Mitzenmacher, Network Applications of Bloom Filters, Internet
//! Mathematics 1(4), 2004). With `m` = 2^23 and `k` = 6: 0.002 % after 250,000 fetches, 0.07 % after 500,000, 1.6 % after
//! 969,000, when half of the bits are set. Two filters are asked, so that twice this is the rate. A "no" is never wrong.
//! A filter with more bits set says "no" as reliably, but its "yes" counts as unknown.

use crate::clock::Timestamp;
use crate::facts::Fact;
use crate::network::IpNet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The filters take turns so often.
const TURN: Duration = Duration::from_secs(6 * 3600);
/// Bits per filter: 1 MiB. A power of two.
const BITS: usize = 1 << 23;
/// Bits that one entry sets: the best number where a filter is half full after `BITS / HASHES * ln 2` entries.
const HASHES: u64 = 6;

struct Filter {
    words: Box<[AtomicU64]>,
    set: AtomicUsize,
}

impl Filter {
    fn new(bits: usize) -> Self {
        Filter { words: (0..bits.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(), set: AtomicUsize::new(0) }
    }

    /// The places of an entry's bits. Two halves of one hash stand for as many hashes as are needed (A. Kirsch,
    /// M. Mitzenmacher, Less Hashing, Same Performance, ESA 2006).
    fn places(&self, hash: u64) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let (first, step) = (hash >> 32, hash & 0xffff_ffff | 1);
        let bits = self.words.len() as u64 * 64;
        (0..HASHES).filter_map(move |turn| {
            let bit = first.wrapping_add(turn.wrapping_mul(step)) % bits;
            Some((self.words.get((bit / 64) as usize)?, 1 << (bit % 64)))
        })
    }

    fn insert(&self, hash: u64) {
        for (word, mask) in self.places(hash) {
            // Most of what is fetched was fetched before: reading first leaves the cache line shared.
            if word.load(Ordering::Relaxed) & mask == 0 && word.fetch_or(mask, Ordering::Relaxed) & mask == 0 {
                self.set.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn contains(&self, hash: u64) -> Fact<bool> {
        if self.places(hash).any(|(word, mask)| word.load(Ordering::Relaxed) & mask == 0) {
            return Fact::Present(false);
        }
        let overfull = self.set.load(Ordering::Relaxed) > self.words.len() * 32;
        if overfull { Fact::Unknown } else { Fact::Present(true) }
    }

    fn clear(&self) {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.set.store(0, Ordering::Relaxed);
    }
}

/// What was fetched of late.
pub(super) struct Fetched {
    filters: [Filter; 2],
    // Counts turns; its lowest bit is the filter that takes notes.
    turn: AtomicUsize,
    turned: AtomicU64,
    started: Timestamp,
    // SipHash with random keys: nobody can look for paths that collide.
    keys: RandomState,
}

impl Fetched {
    pub(super) fn new(now: Timestamp) -> Self {
        Self::with_bits(BITS, now)
    }

    fn with_bits(bits: usize, now: Timestamp) -> Self {
        Fetched {
            filters: [Filter::new(bits), Filter::new(bits)],
            turn: AtomicUsize::new(0),
            turned: AtomicU64::new(now.0),
            started: now,
            keys: RandomState::new(),
        }
    }

    fn hash(&self, prefix: IpNet, site: &str, path: &str) -> u64 {
        self.keys.hash_one((prefix, site, path))
    }

    /// Remembers a fetch.
    pub(super) fn note(&self, prefix: IpNet, site: &str, path: &str) {
        self.filters[self.turn.load(Ordering::Acquire) % 2].insert(self.hash(prefix, site, path));
    }

    /// Whether it was fetched. Unknown for a turn after the start: who fetched it before has left no note.
    pub(super) fn get(&self, prefix: IpNet, site: &str, path: &str, now: Timestamp) -> Fact<bool> {
        if now.since(self.started) < TURN {
            return Fact::Unknown;
        }
        let hash = self.hash(prefix, site, path);
        match [self.filters[0].contains(hash), self.filters[1].contains(hash)] {
            [Fact::Present(true), _] | [_, Fact::Present(true)] => Fact::Present(true),
            [Fact::Present(false), Fact::Present(false)] => Fact::Present(false),
            _ => Fact::Unknown,
        }
    }

    /// Lets the filters take turns when it is time. To be called at least every few minutes.
    pub(super) fn sweep(&self, now: Timestamp) {
        let turned = self.turned.load(Ordering::Acquire);
        let age = now.since(Timestamp(turned));
        if age < TURN || self.turned.compare_exchange(turned, now.0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return;
        }
        let turn = self.turn.load(Ordering::Acquire);
        self.filters[(turn + 1) % 2].clear();
        self.turn.store(turn + 1, Ordering::Release);
        // After a long silence, of a suspended machine say, all notes are too old.
        if age >= TURN * 2 {
            self.filters[turn % 2].clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn prefix() -> IpNet {
        "192.0.2.0/24".parse().unwrap()
    }

    #[test]
    fn a_fetch_is_remembered_for_six_to_twelve_hours() {
        let fetched = Fetched::with_bits(1 << 14, START);
        fetched.note(prefix(), "logs", "/old");
        let mut known = Vec::new();
        for hours in 1..=20 {
            let now = START + HOUR * hours;
            if hours == 11 {
                fetched.note(prefix(), "logs", "/new");
            }
            fetched.sweep(now);
            let both = ["/old", "/new"].map(|path| fetched.get(prefix(), "logs", path, now));
            known.push((hours, both));
        }
        for (hours, [old, new]) in known {
            let expected = match hours {
                ..6 => [Fact::Unknown; 2],
                6..=10 => [Fact::Present(true), Fact::Present(false)],
                11 => [Fact::Present(true); 2],
                12..18 => [Fact::Present(false), Fact::Present(true)],
                18.. => [Fact::Present(false); 2],
            };
            assert_eq!([old, new], expected, "after {hours} h");
        }
    }

    #[test]
    fn prefix_site_and_path_all_count_and_do_not_run_into_one_another() {
        let fetched = Fetched::new(START);
        let now = START + TURN;
        fetched.note(prefix(), "logs", "/a/b");
        let other: IpNet = "192.0.3.0/24".parse().unwrap();
        for (prefix, site, path, expected) in [
            (prefix(), "logs", "/a/b", true),
            (other, "logs", "/a/b", false),
            (prefix(), "images", "/a/b", false),
            (prefix(), "logs", "/a", false),
            (prefix(), "logs/a", "/b", false),
        ] {
            assert_eq!(fetched.get(prefix, site, path, now), Fact::Present(expected), "{prefix} {site} {path}");
        }
    }

    #[test]
    fn a_long_silence_forgets_everything() {
        let fetched = Fetched::with_bits(1 << 14, START);
        fetched.note(prefix(), "logs", "/a");
        let now = START + TURN * 2;
        fetched.sweep(now);
        assert_eq!(fetched.get(prefix(), "logs", "/a", now), Fact::Present(false));
    }

    #[test]
    fn wrong_answers_are_as_rare_as_the_formula_says() {
        // A filter of 2^17 bits that is half full: 2^17 / 6 * ln 2 entries.
        let fetched = Fetched::with_bits(1 << 17, START);
        (0..15_142).for_each(|number| fetched.note(prefix(), "logs", &format!("/{number}")));
        let asked = 20_000;
        let wrong = (0..asked)
            .filter(|number| {
                fetched.get(prefix(), "logs", &format!("/never/{number}"), START + TURN) != Fact::Present(false)
            })
            .count();
        let rate = wrong as f64 / asked as f64;
        assert!((0.010..0.022).contains(&rate), "{rate}, expected 2^-6");
    }

    #[test]
    fn an_overfull_filter_claims_nothing() {
        let fetched = Fetched::with_bits(1 << 14, START);
        (0..100_000).for_each(|number| fetched.note(prefix(), "logs", &format!("/{number}")));
        let now = START + TURN;
        assert_eq!(fetched.get(prefix(), "logs", "/1", now), Fact::Unknown);
        fetched.sweep(now);
        fetched.sweep(now + TURN);
        assert_eq!(fetched.get(prefix(), "logs", "/1", now + TURN), Fact::Present(false), "and recovers");
    }
}
