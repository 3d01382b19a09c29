//! Counts a response while it is under way.

use super::bucket::Bucket;
use super::table::Entry;
use super::{Currency, Exceeded, Limit};
use smallvec::SmallVec;
use std::fmt;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// No transfer is slowed below this, in bytes per second: clients give up on slower ones.
pub const FLOOR: u64 = 64 * 1024;

/// One limit that a response is charged to. Gives its slot back when it is dropped, and the bytes that were reserved and
/// not sent, however the response ended.
pub(super) struct Held {
    pub limit: Arc<Limit>,
    pub key: u128,
    /// It takes a slot.
    pub slot: bool,
    /// It is delayed in place of being refused.
    pub waits: bool,
    /// There was no slot left for it.
    pub extra: bool,
    pub enforced: bool,
    /// Which of the charges named the limit.
    pub charge: usize,
    /// Whoever would have to wait for longer is refused, in nanoseconds.
    pub patience: u64,
    /// Bytes that were reserved and not sent yet.
    pub reserved: AtomicU64,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.slot || self.waits {
            self.limit.table.at(self.key, |_, entry| self.release(entry));
        }
    }
}

impl Held {
    /// Gives back what is held.
    fn release(&self, entry: &mut Entry) {
        entry.transfers = entry.transfers.saturating_sub(self.slot.into());
        entry.waiting = entry.waiting.saturating_sub(self.waits.into());
        self.used(entry, u64::MAX);
    }

    /// So many of the bytes that were reserved, or all that are left, need not be any more.
    fn used(&self, entry: &mut Entry, bytes: u64) {
        let left = self.reserved.load(Ordering::Relaxed);
        self.reserved.store(left.saturating_sub(bytes), Ordering::Relaxed);
        entry.reserved = entry.reserved.saturating_sub(left.min(bytes));
    }
}

/// The limits that a response is charged to.
#[derive(Default)]
pub struct Meter {
    pub(super) held: SmallVec<[Held; 2]>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.held.iter().map(|held| &held.limit.name)).finish()
    }
}

/// The fields `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Quota {
    /// What is allowed.
    pub policy: String,
    /// What is left.
    pub state: String,
}

/// Structured fields have integers of at most 15 digits (RFC 9651).
const LARGEST: u64 = 999_999_999_999_999;

/// What is allowed, and in which time it comes back, by a limit called `name`.
pub(super) fn policy(
    name: &str,
    requests: Option<&Bucket>,
    bytes: Option<&Bucket>,
    transfers: Option<NonZeroU32>,
) -> String {
    let over_time = |suffix: &str, bucket: &Bucket, unit: &str| {
        let (quota, window) = (bucket.size().min(LARGEST), bucket.window().as_millis().div_ceil(1000).max(1));
        format!("\"{name}{suffix}\";q={quota}{unit};w={window}")
    };
    let parts = [
        requests.map(|bucket| over_time("", bucket, "")),
        bytes.map(|bucket| over_time("-bytes", bucket, ";qu=\"content-bytes\"")),
        transfers.map(|most| format!("\"{name}-transfers\";q={most};qu=\"concurrent-requests\"")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl Quota {
    fn add(&mut self, limit: &Limit, entry: &Entry, now: u64) {
        if !self.policy.is_empty() {
            self.policy.push_str(", ");
        }
        self.policy.push_str(&limit.policy);
        let mut push = |suffix: &str, left: u64, due: Option<u64>| {
            let separator = if self.state.is_empty() { "" } else { ", " };
            let _ = write!(self.state, "{separator}\"{}{suffix}\";r={}", limit.name, left.min(LARGEST));
            if let Some(due) = due {
                let _ = write!(self.state, ";t={}", due.saturating_sub(now).div_ceil(1_000_000).div_ceil(1000));
            }
        };
        if let Some(bucket) = &limit.requests {
            push("", bucket.left(entry.requests, now), Some(entry.requests));
        }
        if let Some(bucket) = &limit.bytes {
            push("-bytes", bucket.left(entry.bytes, now).saturating_sub(entry.reserved), Some(entry.bytes));
        }
        if let Some(most) = limit.settings.transfers {
            push("-transfers", most.get().saturating_sub(entry.transfers).into(), None);
        }
    }
}

impl Limit {
    /// What the client of `entry` is told.
    pub(super) fn quota(&self, entry: &Entry, now: u64) -> Quota {
        let mut quota = Quota::default();
        quota.add(self, entry, now);
        quota
    }
}

impl Meter {
    /// The delay of the request is over.
    pub fn waited(&mut self) {
        for held in self.held.iter_mut().filter(|held| held.waits) {
            held.limit.table.at(held.key, |_, entry| entry.waiting = entry.waiting.saturating_sub(1));
            held.waits = false;
        }
    }

    /// Reserves the `bytes` of a body that is about to be sent: what many transfers that begin together take must not be
    /// known only when it has flowed. Slows nothing: only those who come later find less left.
    ///
    /// # Errors
    /// A limit whose budget others have used up or reserved since the request was admitted.
    pub fn reserve(&self, bytes: u64) -> Result<(), Exceeded> {
        for held in self.held.iter().filter(|held| held.slot && bytes > 0) {
            let limit = &held.limit;
            let Some(bucket) = &limit.bytes else { continue };
            let now = limit.now();
            let (wait, entry) = limit.table.at(held.key, |_, entry| {
                let wait = bucket.wait(entry.bytes, entry.reserved.saturating_add(1), now);
                if wait <= held.patience {
                    // One body shuts others out for no longer than the whole budget would.
                    let part = bytes.min(bucket.size());
                    held.reserved.fetch_add(part, Ordering::Relaxed);
                    entry.reserved = entry.reserved.saturating_add(part);
                }
                (wait, *entry)
            });
            if wait > held.patience {
                return Err(Exceeded {
                    limit: limit.name.clone(),
                    currency: Currency::Bytes,
                    retry_after: Duration::from_nanos(wait),
                    charge: held.charge,
                    quota: Some(limit.quota(&entry, now)),
                });
            }
        }
        Ok(())
    }

    /// Counts `bytes` more of the body, and says how long to wait before the next ones; those before keep the client
    /// busy for the time `ahead`.
    pub fn sent(&self, bytes: u64, ahead: Duration) -> Duration {
        let mut wait = Duration::ZERO;
        let slowest = ahead + Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / FLOOR);
        for held in &self.held {
            let limit = &held.limit;
            if limit.bytes.is_none() && !held.extra {
                continue;
            }
            let now = limit.now();
            let (owed, transfers) = limit.table.at(held.key, |_, entry| {
                let owed = limit.bytes.as_ref().map_or(0, |bucket| {
                    bucket.take(&mut entry.bytes, bytes, now);
                    held.used(entry, bytes);
                    entry.added_bytes = entry.added_bytes.saturating_add(bytes);
                    bucket.wait(entry.bytes, 0, now)
                });
                (owed, entry.transfers)
            });
            if !held.enforced {
                continue;
            }
            // It stays slow until others have ended.
            let crowded = held.extra && limit.settings.transfers.is_some_and(|most| transfers > most.get());
            wait = wait.max(if crowded { slowest } else { Duration::from_nanos(owed) });
        }
        wait.min(slowest)
    }

    /// The response is over, and all `bytes` of its body were sent: as [`sent`](Self::sent) and then the end of the
    /// response, in one step.
    pub fn ended(mut self, bytes: u64) {
        for mut held in self.held.drain(..) {
            let limit = &held.limit;
            if limit.bytes.is_some() || held.slot || held.waits {
                let now = limit.now();
                limit.table.at(held.key, |_, entry| {
                    if let Some(bucket) = &limit.bytes {
                        bucket.take(&mut entry.bytes, bytes, now);
                        entry.added_bytes = entry.added_bytes.saturating_add(bytes);
                    }
                    held.release(entry);
                });
            }
            (held.slot, held.waits) = (false, false);
        }
    }

    /// Takes back what the request was charged: it will be decided anew.
    pub fn undo(&mut self) {
        for held in self.held.drain(..) {
            if let Some(bucket) = &held.limit.requests {
                held.limit.table.at(held.key, |_, entry| {
                    bucket.give_back(&mut entry.requests, 1);
                    entry.added_requests = entry.added_requests.saturating_sub(1);
                });
            }
        }
    }

    /// What the client is told about the limits that are in force. `None` where there are none.
    pub fn quota(&self) -> Option<Quota> {
        let mut quota = Quota::default();
        for Held { limit, key, .. } in self.held.iter().filter(|held| held.enforced) {
            if let Some(entry) = limit.table.get(*key) {
                quota.add(limit, &entry, limit.now());
            }
        }
        (!quota.policy.is_empty()).then_some(quota)
    }
}
