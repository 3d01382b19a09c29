//! Who took most, without counting everybody.
//!
//! Space-Saving (A. Metwally, D. Agrawal, A. El Abbadi, Efficient Computation of Frequent and Top-k Elements in Data
//! Streams, ICDT 2005): a full table gives the place of its lightest entry to whoever is new, with that entry's weight as
//! the newcomer's possible error. Whoever has more than total / places is always among them.

use crate::hashing::{IsHash, quick_hash};
use std::collections::HashMap;
use std::hash::Hash;

/// How much one of those who took most took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Requests and bytes in one number, see [`weight`]: at most this.
    pub weight: u64,
    /// By how much `weight` may be too high.
    pub error: u64,
    /// Requests since it came into the table.
    pub requests: u64,
    /// Bytes since it came into the table.
    pub bytes: u64,
}

/// What one request weighs beside its bytes: S3 in us-east-1 charges $0.0004 for 1,000 GETs and $0.09 for a gigabyte sent to
/// the internet, so one GET is worth 4.4 kB.
const REQUEST: u64 = 4_400;

/// Requests and bytes in one number, as bills weigh them.
pub fn weight(requests: u64, bytes: u64) -> u64 {
    bytes.saturating_add(requests.saturating_mul(REQUEST))
}

/// The heaviest of many keys, in bounded memory. Keys are told apart by a hash of 64 bits.
#[derive(Debug, Clone)]
pub struct Heavy<K> {
    places: HashMap<u64, usize, IsHash>,
    // Beside one another, so that looking for the lightest reads one piece of memory.
    weights: Vec<u64>,
    rest: Vec<(u64, K, Taken)>,
    cap: usize,
}

impl<K: Hash + Clone> Heavy<K> {
    /// Keeps `cap` keys, at least one.
    pub fn new(cap: usize) -> Self {
        Heavy { places: HashMap::default(), weights: Vec::new(), rest: Vec::new(), cap: cap.max(1) }
    }

    /// Adds one request with its bytes to the key that hashes as `seen` does. `make` is called where the key is new.
    pub fn add<S: Hash + ?Sized>(&mut self, seen: &S, bytes: u64, make: impl FnOnce() -> K) {
        let taken = Taken { weight: weight(1, bytes), error: 0, requests: 1, bytes };
        self.put(quick_hash(seen), &taken, make);
    }

    fn put(&mut self, hash: u64, taken: &Taken, make: impl FnOnce() -> K) {
        if let Some(place) = self.places.get(&hash) {
            let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
            add(&mut self.weights[*place], taken.weight);
            let (_, _, sum) = &mut self.rest[*place];
            add(&mut sum.error, taken.error);
            add(&mut sum.requests, taken.requests);
            add(&mut sum.bytes, taken.bytes);
        } else if self.weights.len() < self.cap {
            self.places.insert(hash, self.weights.len());
            self.weights.push(taken.weight);
            self.rest.push((hash, make(), *taken));
        } else {
            // Two loops that do one thing each are quicker than one that does both.
            let Some(least) = self.weights.iter().copied().min() else { return };
            let Some(place) = self.weights.iter().position(|weight| *weight == least) else { return };
            let newcomer = Taken { error: least.saturating_add(taken.error), ..*taken };
            let (old, ..) = std::mem::replace(&mut self.rest[place], (hash, make(), newcomer));
            self.places.remove(&old);
            self.places.insert(hash, place);
            self.weights[place] = least.saturating_add(taken.weight);
        }
    }

    /// Adds what `other` counted. The heaviest come first, so that what is lost is the least.
    pub fn merge(&mut self, other: &Heavy<K>) {
        self.restore(other.top());
    }

    /// Adds what [`top`](Self::top) gave.
    pub fn restore(&mut self, kept: impl IntoIterator<Item = (K, Taken)>) {
        for (key, taken) in kept {
            self.put(quick_hash(&key), &taken, || key);
        }
    }

    /// All that are kept, the heaviest first.
    pub fn top(&self) -> Vec<(K, Taken)> {
        let all = self.rest.iter().zip(&self.weights);
        let mut all: Vec<_> =
            all.map(|((_, key, taken), weight)| (key.clone(), Taken { weight: *weight, ..*taken })).collect();
        all.sort_by_key(|(_, taken)| std::cmp::Reverse(taken.weight));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whoever_took_more_than_a_place_is_worth_is_found_and_weighed_within_the_error(
            takings in prop::collection::vec((0u8..40, 1u64..100_000), 0..400),
            cut in 0usize..400,
        ) {
            let mut truth = HashMap::new();
            let mut parts = [Heavy::new(8), Heavy::new(8)];
            for (number, (key, bytes)) in takings.iter().enumerate() {
                *truth.entry(*key).or_insert(0) += weight(1, *bytes);
                parts[usize::from(number >= cut)].add(key, *bytes, || *key);
            }
            let total: u64 = truth.values().sum();
            let [mut heavy, other] = parts;
            let whole = cut == 0 || cut >= takings.len();
            heavy.merge(&other);
            let top = heavy.top();
            prop_assert!(top.len() <= 8 && top.is_sorted_by_key(|(_, taken)| std::cmp::Reverse(taken.weight)));
            for (key, taken) in &top {
                prop_assert!(taken.weight >= taken.error + weight(taken.requests, taken.bytes) || !whole);
                if whole {
                    prop_assert!(taken.weight >= truth[key] && taken.weight - taken.error <= truth[key]);
                }
            }
            for (key, _) in truth.iter().filter(|(_, weight)| **weight * 8 > total) {
                prop_assert!(!whole || top.iter().any(|(found, _)| found == key), "{} is missing", key);
            }
        }
    }
}
