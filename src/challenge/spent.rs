//! Which challenges have been submitted: each id has one try.

use super::puzzle::{LIFETIME, RedeemError};
use crate::clock::Timestamp;
use crate::facts::Client;
use crate::network::{IpNet, truncated};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Ids remembered in one half of a challenge's lifetime. One takes about 130 bytes where each is of another network.
const CAP: usize = 500_000;
/// Submissions of one host (IPv6: /64) in one half of a challenge's lifetime. An office behind one address stays below.
const HOST_QUOTA: u32 = 120;
/// Submissions of one prefix: a host in it must not use up what the others need.
const PREFIX_QUOTA: u32 = 1200;

#[derive(Default)]
struct Bucket {
    ids: HashMap<[u8; 16], bool>,
    prefixes: HashMap<IpNet, u32>,
}

/// The spent set, in buckets by expiry so that forgetting costs nothing. One lock makes spending atomic.
#[derive(Default)]
pub(super) struct Spent(Mutex<HashMap<u64, Bucket>>);

/// What spending found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spend {
    /// The first time: verify, then call [`Spent::solved`].
    First,
    /// It was submitted before, and solved: the same pass may be handed out again.
    Solved,
}

/// A challenge lives through at most three buckets.
fn bucket_of(expires: Timestamp) -> u64 {
    expires.0 / (LIFETIME.as_millis() as u64 / 2)
}

impl Spent {
    pub(super) fn spend(
        &self,
        id: [u8; 16],
        client: Client,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Spend, RedeemError> {
        let (prefix, host) = (client.prefix, truncated(client.address, 32, 64));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|bucket, _| *bucket >= bucket_of(now));
        let bucket = buckets.entry(bucket_of(expires)).or_default();
        if let Some(solved) = bucket.ids.get(&id) {
            return if *solved { Ok(Spend::Solved) } else { Err(RedeemError::Spent) };
        }
        let used = |network: &IpNet| bucket.prefixes.get(network).copied().unwrap_or(0);
        if used(&prefix) >= PREFIX_QUOTA || used(&host) >= HOST_QUOTA {
            return Err(RedeemError::Quota);
        }
        // At the cap those who come for the first time still find a place; those who fill the set do not.
        let again = bucket.prefixes.contains_key(&prefix);
        if bucket.ids.len() >= if again { CAP } else { CAP + CAP / 4 } {
            return Err(RedeemError::Full);
        }
        *bucket.prefixes.entry(prefix).or_default() += 1;
        *bucket.prefixes.entry(host).or_default() += 1;
        bucket.ids.insert(id, false);
        Ok(Spend::First)
    }

    pub(super) fn solved(&self, id: [u8; 16], expires: Timestamp) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&bucket_of(expires)) {
            bucket.ids.insert(id, true);
        }
    }

    pub(super) fn len(&self) -> usize {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.values().map(|bucket| bucket.ids.len()).sum()
    }
}
