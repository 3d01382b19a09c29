//! Hashing of what is kept in memory alone: quick, and by keys that are drawn when the process starts.
//!
//! Nobody outside knows the keys, so nobody can look for texts that collide. But the hash is no cryptographic one: a table
//! whose behaviour strangers can measure, request by request, wants SipHash. What is written down or told to others wants a
//! hash that is the same everywhere.

use foldhash::SharedSeed;
use foldhash::fast::{FoldHasher, SeedableRandomState};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::LazyLock;

/// Random as SipHash's own keys are, which the standard library takes from the system.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

static SEED: LazyLock<SharedSeed> = LazyLock::new(|| SharedSeed::from_u64(random()));
static OF_PROCESS: LazyLock<Quick> = LazyLock::new(Quick::default);

/// Makes hashers, each table by a key of its own.
#[derive(Debug, Clone)]
pub struct Quick(SeedableRandomState);

impl Default for Quick {
    fn default() -> Self {
        Quick(SeedableRandomState::with_seed(random(), &SEED))
    }
}

impl BuildHasher for Quick {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// A map that hashes quickly.
pub type QuickMap<K, V> = HashMap<K, V, Quick>;

/// What stands for a value in this process.
#[inline]
pub fn quick_hash<T: Hash + ?Sized>(value: &T) -> u64 {
    OF_PROCESS.hash_one(value)
}

/// Leaves a number as it is: one that is a hash already.
#[derive(Debug, Default, Clone, Copy)]
pub struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Builds [`Unhashed`].
pub type IsHash = BuildHasherDefault<Unhashed>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn equal_values_have_one_hash_and_others_another() {
        let texts: Vec<String> = (0..10_000).map(|number| format!("/run-{number}/log")).collect();
        let hashes: HashSet<u64> = texts.iter().map(|text| quick_hash(&("logs", &**text))).collect();
        assert_eq!(hashes.len(), texts.len());
        assert_eq!(quick_hash(&("logs", "/a")), quick_hash(&("logs".to_owned(), "/a".to_owned())));
        assert_ne!(Quick::default().hash_one("a"), Quick::default().hash_one("a"), "each table has its own key");
    }
}
