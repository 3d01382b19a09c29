//! The table behind a limit: exact per key, bounded, and fair at its cap.

use crate::network::{IpNet, truncated};
use dashmap::DashMap;
use governor::nanos::Nanos;
use governor::state::StateStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Lengths that keys are shortened to when the table is full: first IPv4 /16 and IPv6 /32, for which an eighth more
/// entries are kept, then /8 and /16. The last step has at most 256 + 65,536 keys, so that the whole is bounded whatever
/// clients send.
const COARSER: [(u8, u8); 2] = [(16, 32), (8, 16)];

/// A handle on one table: governor owns one to count, the limit one to sweep.
#[derive(Clone)]
pub(super) struct Table(Arc<Entries>);

/// The state of a GCRA is one number, its theoretical arrival time in nanoseconds since the start. Zero is "never seen".
struct Entries {
    entries: DashMap<IpNet, AtomicU64>,
    // DashMap::len locks every shard; this is read on each insertion.
    count: AtomicUsize,
    cap: usize,
}

impl Table {
    pub(super) fn new(cap: usize) -> Self {
        Table(Arc::new(Entries { entries: DashMap::new(), count: AtomicUsize::new(0), cap }))
    }

    pub(super) fn len(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// A table with the same state for a limiter that begins `later` than this one's. Reloads call it, requests do not.
    pub(super) fn begun_later(&self, later: Duration) -> Self {
        let later = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        let table = Table::new(self.0.cap);
        for entry in &self.0.entries {
            let state = entry.value().load(Ordering::Relaxed).saturating_sub(later);
            if state > 0 {
                table.0.entries.insert(*entry.key(), AtomicU64::new(state));
                table.0.count.fetch_add(1, Ordering::Relaxed);
            }
        }
        table
    }

    /// Forgets the keys whose arrival time has passed: their state equals that of a key never seen.
    pub(super) fn sweep(&self, since_start: Duration) {
        let before = u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX);
        self.0.entries.retain(|_, state| {
            let keep = state.load(Ordering::Relaxed) >= before;
            if !keep {
                self.0.count.fetch_sub(1, Ordering::Relaxed);
            }
            keep
        });
    }

    /// Runs `measure` on the state of `key`, or of the neighbourhood that stands in for it while the table is full.
    fn with_state<R>(&self, key: &IpNet, measure: impl Fn(&AtomicU64) -> R) -> R {
        if let Some(state) = self.0.entries.get(key) {
            return measure(&state);
        }
        let mut key = *key;
        for ((ipv4, ipv6), cap) in COARSER.into_iter().zip([self.0.cap, self.0.cap + self.0.cap / 8]) {
            if self.0.count.load(Ordering::Relaxed) < cap {
                break;
            }
            key = truncated(key.addr(), ipv4, ipv6);
            if let Some(state) = self.0.entries.get(&key) {
                return measure(&state);
            }
        }
        let entry = self.0.entries.entry(key).or_insert_with(|| {
            self.0.count.fetch_add(1, Ordering::Relaxed);
            AtomicU64::new(0)
        });
        measure(&entry)
    }
}

impl StateStore for Table {
    type Key = IpNet;

    fn measure_and_replace<T, F, E>(&self, key: &IpNet, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.with_state(key, |state| {
            let mut seen = state.load(Ordering::Acquire);
            loop {
                let (outcome, next) = f((seen != 0).then(|| Nanos::from(seen)))?;
                match state.compare_exchange_weak(seen, next.into(), Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return Ok(outcome),
                    Err(changed) => seen = changed,
                }
            }
        })
    }
}
