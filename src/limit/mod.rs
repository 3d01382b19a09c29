//! Limits: how much one client may take, in requests, bytes and transfers under way.
//!
//! Each limit is a table of budgets, one per key. Which limits a request is charged to is the policy's business; this
//! stage only counts, and says how long to wait. It never sleeps and never looks at the wall clock.

mod bucket;
mod key;
mod meter;
mod settings;
mod share;
mod table;

pub use key::Subject;
pub use meter::{Meter, Quota};
pub use settings::{KeyBy, LimitSettings, Over};

use crate::clock::Clock;
use crate::verdict::LimitId;
use bucket::{Bucket, nanos};
use key::Hash;
use meter::Held;
use smallvec::SmallVec;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use table::{Entry, Table};

/// Keys per limit unless configured otherwise. One takes about 100 bytes of memory.
pub const DEFAULT_CAP: usize = 500_000;
/// No request is delayed for longer, so that no client takes the silence for a failure: image-download waits 10 s.
pub const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// So many requests of one key may be delayed at a time in place of being refused: each holds a connection.
const MOST_WAITING: u32 = 64;
/// A table is swept in so many steps, one for each call of [`Limits::sweep`].
const SWEEP_STEPS: usize = 16;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Currency {
    /// Requests over time.
    Requests,
    /// Bytes of responses over time.
    Bytes,
    /// Responses under way.
    Transfers,
}

/// A request is over a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit's name.
    pub limit: Arc<str>,
    /// Which of its bounds.
    pub currency: Currency,
    /// When one more request will be accepted, if no other comes before it.
    pub retry_after: Duration,
    /// Which of the charges named the limit.
    pub charge: usize,
    /// What the client is told of the limit, where that refuses the request.
    pub quota: Option<Quota>,
}

/// How a request may be treated when it is over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// It is delayed, whatever the limits say: a client that signs would try again with a stale signature.
    pub never_refused: bool,
    /// It is rather delayed for so long than refused, unless too many of its key are delayed already.
    pub patience: Duration,
    /// The response has a body, so that it takes a slot while it is under way.
    pub has_body: bool,
}

/// What came of charging a request to its limits.
#[derive(Debug, Default)]
pub struct Admission {
    /// Counts the response.
    pub meter: Meter,
    /// How long to delay the request.
    pub delay: Duration,
    /// The limits that it was over and that refused nothing: those that only observe, and those that delay.
    pub over: Vec<Exceeded>,
}

/// One limit with what has been counted.
struct Limit {
    name: Arc<str>,
    settings: LimitSettings,
    scope: u64,
    /// What clients are told that it allows.
    policy: String,
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
    table: Arc<Table>,
    hash: Hash,
    clock: Arc<dyn Clock>,
}

/// What one limit thinks of a request.
struct Opinion {
    wait: u64,
    /// What it would wait for.
    currency: Currency,
    /// All slots are taken.
    busy: bool,
}

impl Limit {
    fn new(name: &str, settings: &LimitSettings, table: Arc<Table>, hash: Hash, clock: Arc<dyn Clock>) -> Self {
        let requests = settings.requests.map(|rate| {
            let burst = settings.burst.map_or(rate.count, NonZeroU32::get);
            // Who is only delayed may run up a debt, but not one that it never gets out of.
            Bucket::new(burst.into(), rate.count.into(), rate.per, 2 * LONGEST_DELAY)
        });
        let bytes = settings.bytes.map(|volume| Bucket::new(volume.bytes.0, volume.bytes.0, volume.per, volume.per));
        let policy = meter::policy(name, requests.as_ref(), bytes.as_ref(), settings.transfers);
        let (name, scope) = (name.into(), hash.scope(name, settings));
        Limit { name, settings: settings.clone(), scope, policy, requests, bytes, table, hash, clock }
    }

    /// Goes on with what `other` has counted in the same table.
    fn take_over(&self, other: &Limit) {
        if self.requests == other.requests && self.bytes == other.bytes {
            return;
        }
        let now = self.now();
        let convert = |own: &Option<Bucket>, theirs: &Option<Bucket>, due: &mut u64| match (own, theirs) {
            (Some(own), Some(theirs)) => *due = own.taken_over(*due, theirs, now),
            _ => *due = 0,
        };
        self.table.change(|entry| {
            convert(&self.requests, &other.requests, &mut entry.requests);
            convert(&self.bytes, &other.bytes, &mut entry.bytes);
        });
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// What is known of `subject`.
    fn find(&self, subject: &Subject<'_>) -> Option<Entry> {
        let key = self.hash.key(&self.settings.key, subject)?;
        self.table.find(key, self.hash.around(&self.settings.key, subject))
    }

    /// How long the request would have to wait, and for what.
    fn opinion(&self, entry: &Entry, manner: Manner, now: u64) -> Opinion {
        let wait = |bucket: &Option<Bucket>, due: u64, reserved: u64| {
            bucket.as_ref().map_or(0, |bucket| bucket.wait(due, reserved.saturating_add(1), now))
        };
        // Who takes no bytes need not wait for those that others may yet take.
        let reserved = if manner.has_body { entry.reserved } else { 0 };
        let (requests, bytes) = (wait(&self.requests, entry.requests, 0), wait(&self.bytes, entry.bytes, reserved));
        let busy = manner.has_body && self.settings.transfers.is_some_and(|most| entry.transfers >= most.get());
        let (wait, currency) = match (bytes > requests, requests > 0, busy) {
            (true, ..) => (bytes, Currency::Bytes),
            (false, false, true) => (0, Currency::Transfers),
            _ => (requests, Currency::Requests),
        };
        Opinion { wait, currency, busy }
    }
}

/// All limits of a policy, by [`LimitId`].
pub struct Limits {
    all: Vec<Arc<Limit>>,
    /// Some of them count by autonomous system.
    need_asn: bool,
    cap: usize,
    hash: Hash,
    clock: Arc<dyn Clock>,
    sharing: AtomicBool,
}

impl Limits {
    /// Starts counting at nothing. `cap` bounds the keys of each limit; `secret` keys the hashes of who is counted:
    /// replicas that share what they count must have the same one.
    pub fn new(settings: &[(String, LimitSettings)], cap: usize, secret: [u8; 16], clock: &Arc<dyn Clock>) -> Self {
        let (hash, clock, sharing) = (Hash::new(secret), clock.clone(), AtomicBool::new(false));
        Limits { all: Vec::new(), need_asn: false, cap, hash, clock, sharing }.renewed(settings)
    }

    /// The same limits with other settings. A limit that counts by the same key goes on with what it has counted, so
    /// that a reload gives nobody a new budget.
    pub fn renewed(&self, settings: &[(String, LimitSettings)]) -> Self {
        let limit = |(name, settings): &(String, LimitSettings)| {
            let known = self.all.iter().find(|known| *known.name == **name && known.settings.key == settings.key);
            let table = known.map_or_else(|| Arc::new(Table::new(self.cap)), |known| known.table.clone());
            let limit = Limit::new(name, settings, table, self.hash, self.clock.clone());
            if let Some(known) = known {
                limit.take_over(known);
            }
            Arc::new(limit)
        };
        let limits = Limits {
            all: settings.iter().map(limit).collect(),
            need_asn: settings.iter().any(|(_, settings)| settings.key.asn),
            clock: self.clock.clone(),
            sharing: AtomicBool::new(false),
            ..*self
        };
        if self.sharing.load(Ordering::Relaxed) {
            limits.share();
        }
        limits
    }

    /// Charges one request of `subject`. `charges` are limits, each with whether it is enforced; a limit that is named
    /// twice is charged once, and enforced if it is so anywhere.
    ///
    /// # Errors
    /// When limits refuse: the one that would do so for longest, and nothing has been charged.
    pub fn admit(
        &self,
        charges: &[(&[LimitId], bool)],
        subject: &Subject<'_>,
        manner: Manner,
    ) -> Result<Admission, Exceeded> {
        let mut admission = Admission::default();
        let mut refused: Option<Exceeded> = None;
        for (charge, id, enforced) in each_once(charges) {
            let Some(limit) = self.all.get(id) else { continue };
            let Some(key) = limit.hash.key(&limit.settings.key, subject) else { continue };
            let now = limit.now();
            let may_refuse = limit.settings.over == Over::Refuse && !(enforced && manner.never_refused);
            let may_wait = enforced && may_refuse;
            let patience = if enforced { nanos(manner.patience) } else { 0 };
            let around = limit.hash.around(&limit.settings.key, subject);
            let refused_already = refused.is_some();
            let (key, entry, opinion, refuses) = limit.table.with(key, around, now, |key, entry| {
                let opinion = limit.opinion(entry, manner, now);
                let is_crowded = opinion.wait > 0 && entry.waiting >= MOST_WAITING;
                let refuses = may_refuse && (opinion.busy || opinion.wait > patience || is_crowded);
                if !refuses && !refused_already {
                    entry.waiting += u32::from(may_wait && opinion.wait > 0);
                    if let Some(bucket) = &limit.requests {
                        bucket.take(&mut entry.requests, 1, now);
                        entry.added_requests = entry.added_requests.saturating_add(1);
                    }
                    entry.transfers += u32::from(manner.has_body);
                }
                (key, *entry, opinion, refuses)
            });
            let is_over = opinion.wait > 0 || opinion.busy;
            let wait = Duration::from_nanos(opinion.wait);
            let exceeded = || {
                let retry_after = if opinion.busy { wait.max(LONGEST_DELAY) } else { wait };
                Exceeded { limit: limit.name.clone(), currency: opinion.currency, retry_after, charge, quota: None }
            };
            if refuses && enforced {
                let exceeded = exceeded();
                if refused.as_ref().is_none_or(|other| other.retry_after < exceeded.retry_after) {
                    refused = Some(Exceeded { quota: Some(limit.quota(&entry, now)), ..exceeded });
                }
            } else if is_over {
                admission.over.push(exceeded());
                if enforced {
                    admission.delay = admission.delay.max(wait.min(LONGEST_DELAY));
                }
            }
            if !refuses && !refused_already {
                let extra = enforced && opinion.busy;
                let patience = if may_wait { patience } else { u64::MAX };
                let (waits, slot, reserved) = (may_wait && opinion.wait > 0, manner.has_body, AtomicU64::new(0));
                let limit = limit.clone();
                admission.meter.held.push(Held {
                    limit,
                    key,
                    slot,
                    waits,
                    extra,
                    enforced,
                    charge,
                    patience,
                    reserved,
                });
            }
        }
        match refused {
            Some(exceeded) => {
                admission.meter.undo();
                Err(exceeded)
            }
            None => Ok(admission),
        }
    }

    /// Whether a request of `subject` would be within all of `ids` now; if not, what it would exceed for longest.
    pub fn would_refuse(&self, ids: &[LimitId], subject: &Subject<'_>) -> Option<Exceeded> {
        let manner = Manner { never_refused: false, patience: Duration::ZERO, has_body: false };
        let limits = ids.iter().filter_map(|id| self.all.get(*id));
        let exceeded = limits.filter_map(|limit| {
            let (entry, now) = (limit.find(subject)?, limit.now());
            let Opinion { wait, currency, .. } = limit.opinion(&entry, manner, now);
            let (name, retry_after) = (limit.name.clone(), Duration::from_nanos(wait));
            let exceeded =
                || Exceeded { limit: name, currency, retry_after, charge: 0, quota: Some(limit.quota(&entry, now)) };
            (wait > 0).then(exceeded)
        });
        exceeded.max_by_key(|exceeded| exceeded.retry_after)
    }

    /// In what time the requests that `subject` has made will have come back: what is owed on the limit `id`.
    pub fn owed(&self, id: LimitId, subject: &Subject<'_>) -> Duration {
        let entry = self.all.get(id).and_then(|limit| {
            let entry = limit.find(subject)?;
            Some(entry.requests.saturating_sub(limit.now()))
        });
        Duration::from_nanos(entry.unwrap_or(0))
    }

    /// Whether some limit counts by autonomous system.
    pub fn needs_asn(&self) -> bool {
        self.need_asn
    }

    /// Forgets idle keys: those that are as good as new. One step of several; to be called every second or so.
    pub fn sweep(&self) {
        for limit in &self.all {
            limit.table.sweep(limit.table.shards().div_ceil(SWEEP_STEPS), limit.now());
        }
    }

    /// The settings of each limit, by its name, in the order of their ids.
    pub fn settings(&self) -> Vec<(String, LimitSettings)> {
        self.all.iter().map(|limit| (limit.name.to_string(), limit.settings.clone())).collect()
    }

    /// The name and the number of keys of each limit.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.all.iter().map(|limit| (&*limit.name, limit.table.len()))
    }
}

/// Each limit once, with the number of the first charge that counts: of those that are enforced if there are any.
fn each_once(charges: &[(&[LimitId], bool)]) -> SmallVec<[(usize, LimitId, bool); 8]> {
    let mut once: SmallVec<[(usize, LimitId, bool); 8]> = SmallVec::new();
    for wanted in [true, false] {
        for (charge, (ids, _)) in charges.iter().enumerate().filter(|(_, (_, enforced))| *enforced == wanted) {
            for id in ids.iter() {
                if !once.iter().any(|(_, known, _)| known == id) {
                    once.push((charge, *id, wanted));
                }
            }
        }
    }
    once
}

#[cfg(test)]
mod tests;
