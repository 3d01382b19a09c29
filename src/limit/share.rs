//! What replicas hear of limits. Transfers stay out, and the bytes that are reserved for them: a replica that dies could
//! not give them back.

use super::bucket::Bucket;
use super::table::Entry;
use super::{Limit, Limits};
use crate::exchange::spaces::{BYTES, REQUESTS};
use crate::exchange::{Change, CounterId, Replicated, Total};
use std::sync::atomic::Ordering;

/// Who owes less than this is as good as new when a restart is over.
const WORTH_KEEPING: u64 = 5_000_000_000;

fn micros(nanos: u64) -> u64 {
    nanos.div_ceil(1000)
}

impl Limit {
    fn changes(&self, key: u128, entry: &Entry, out: &mut Vec<(CounterId, Change)>) {
        let now = self.now();
        let currencies = [
            (REQUESTS, &self.requests, u64::from(entry.added_requests), entry.requests),
            (BYTES, &self.bytes, entry.added_bytes, entry.bytes),
        ];
        for (space, bucket, added, due) in currencies {
            let Some(bucket) = bucket.as_ref().filter(|_| added > 0) else { continue };
            let id = CounterId { space, scope: self.scope, key };
            let view = micros(due.saturating_sub(now));
            let change = Change::Due { add: micros(bucket.cost(added)), view, most: micros(bucket.horizon()) };
            out.push((id, change));
        }
    }

    fn merge(&self, space: &str, key: u128, owed: u64) {
        let now = self.now();
        // It says of no new key whose it is, so that nothing coarser could stand in for it.
        self.table.at_with_room(key, now, |_, entry| {
            let raise = |bucket: &Option<Bucket>, own: &mut u64, added: u64| {
                if let Some(bucket) = bucket {
                    let due = now.saturating_add(owed.saturating_mul(1000).min(bucket.horizon()));
                    // What was added since the total was asked for is not in it yet.
                    *own = (*own).max(due.saturating_add(bucket.cost(added)));
                }
            };
            match space {
                REQUESTS => raise(&self.requests, &mut entry.requests, entry.added_requests.into()),
                _ => raise(&self.bytes, &mut entry.bytes, entry.added_bytes),
            }
        });
    }
}

impl Limits {
    /// From now on keeps track of what replicas should hear.
    pub fn share(&self) {
        self.sharing.store(true, Ordering::Relaxed);
        for limit in &self.all {
            limit.table.share();
        }
    }
}

impl Replicated for Limits {
    fn changes(&self, most: usize) -> Vec<(CounterId, Change)> {
        let mut changes = Vec::new();
        for limit in &self.all {
            for (key, entry) in limit.table.take_news(most.saturating_sub(changes.len())) {
                limit.changes(key, &entry, &mut changes);
            }
        }
        changes
    }

    fn merge(&self, totals: &[(CounterId, Total)]) {
        for (id, total) in totals {
            let limit = self.all.iter().find(|limit| limit.scope == id.scope);
            if let (Some(limit), Total::Due(owed)) = (limit, total) {
                limit.merge(id.space, id.key, *owed);
            }
        }
    }

    fn keep(&self) -> Vec<(CounterId, Change)> {
        let mut kept = Vec::new();
        for limit in &self.all {
            let now = limit.now();
            let owed = |due: u64| due.saturating_sub(now);
            let worth = |entry: &Entry| owed(entry.requests).max(owed(entry.bytes)) >= WORTH_KEEPING;
            for (key, entry) in limit.table.keep(worth) {
                for (space, bucket, due) in
                    [(REQUESTS, &limit.requests, entry.requests), (BYTES, &limit.bytes, entry.bytes)]
                {
                    let Some(bucket) = bucket.as_ref().filter(|_| owed(due) > 0) else { continue };
                    let (view, most) = (micros(owed(due)), micros(bucket.horizon()));
                    kept.push((CounterId { space, scope: limit.scope, key }, Change::Due { add: 0, view, most }));
                }
            }
        }
        kept
    }

    fn restore(&self, kept: &[(CounterId, Change)]) {
        let totals: Vec<_> = kept
            .iter()
            .filter_map(|(id, change)| match change {
                Change::Due { view, .. } => Some((*id, Total::Due(*view))),
                _ => None,
            })
            .collect();
        self.merge(&totals);
    }
}
