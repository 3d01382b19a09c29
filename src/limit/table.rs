//! The table behind a limit: exact per key, bounded, and fair at its cap. No network fills it for all others.

use super::key::{Around, COARSEST, STEPS};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many entries a shard has at most, coarser keys included. Whoever sweeps or grows one holds its lock for
/// microseconds, and these are what a hash table with 1024 places takes before it doubles: a little more would cost twice
/// the memory.
const SHARD_SIZE: usize = 1024 / 8 * 7;
/// One neighbourhood, IPv4 /16 or IPv6 /32, may have this part of the keys: a /29 of IPv6, which a provider is given for
/// the asking, half of them.
const SHARE: usize = 16;
/// Shares are counted in so many places, four bytes each. Neighbourhoods of one place have one share.
const SHARES: usize = 1 << u16::BITS;
/// A full shard that had few idle entries is not searched for them again for so long, in nanoseconds: looking at all
/// entries takes microseconds.
const SEARCH_PAUSE: u64 = 1_000_000_000;

/// What is known of one key. Times are in nanoseconds on the limits' clock; see [`Bucket`](super::bucket::Bucket).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Entry {
    /// When the requests will have come back.
    pub requests: u64,
    /// When the bytes will have come back.
    pub bytes: u64,
    /// Bytes that responses under way are still to send.
    pub reserved: u64,
    /// Bytes that replicas have not been told of yet.
    pub added_bytes: u64,
    /// Requests that replicas have not been told of yet.
    pub added_requests: u32,
    /// Responses under way.
    pub transfers: u32,
    /// Requests that are delayed at the moment and could be refused instead.
    pub waiting: u32,
    /// The share of the table that it is counted in. Stand-ins are in none, nor what was heard from elsewhere.
    share: Option<u16>,
}

impl Entry {
    /// Whether it says nothing more than that of a key never seen.
    fn is_idle(&self, now: u64) -> bool {
        self.requests <= now && self.bytes <= now && self.transfers == 0 && self.waiting == 0 && !self.has_news()
    }

    fn has_news(&self) -> bool {
        self.added_bytes > 0 || self.added_requests > 0
    }
}

/// Keys are keyed hashes already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

#[derive(Default)]
struct Shard {
    entries: HashMap<u128, Entry, BuildHasherDefault<Same>>,
    /// Keys whose entries have news for replicas.
    news: Vec<u128>,
    /// From when on it is worth a search for idle entries, in nanoseconds.
    search_from: u64,
}

/// A panic leaves counts that are a little off, which is better than none.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sharded table.
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    /// How many keys of each share there are.
    shares: Box<[AtomicU32]>,
    cap: usize,
    sharing: AtomicBool,
    /// How many keys have news.
    news: AtomicUsize,
    /// Where the next sweep, and the next look for news, goes on.
    swept: AtomicUsize,
    looked: AtomicUsize,
}

impl Table {
    /// A table of about `cap` entries at most, and an eighth more for each step of coarser keys.
    pub(super) fn new(cap: usize) -> Self {
        let most = cap + cap / 8 * STEPS + COARSEST.min(cap);
        let shards = most.div_ceil(SHARD_SIZE).max(1);
        Table {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            shares: (0..SHARES).map(|_| AtomicU32::new(0)).collect(),
            cap,
            sharing: AtomicBool::new(false),
            news: AtomicUsize::new(0),
            swept: AtomicUsize::new(0),
            looked: AtomicUsize::new(0),
        }
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        let number = (key >> 64) as usize % self.shards.len();
        lock(&self.shards[number])
    }

    /// How many entries a shard takes when keys have been shortened `steps` times.
    fn room(&self, steps: usize) -> usize {
        (self.cap + self.cap / 8 * steps).div_ceil(self.shards.len())
    }

    /// From now on keeps track of what replicas should hear.
    pub(super) fn share(&self) {
        self.sharing.store(true, Ordering::Relaxed);
    }

    fn is_beyond(&self, share: u16) -> bool {
        self.shares[usize::from(share)].load(Ordering::Relaxed) as usize >= (self.cap / SHARE).max(1)
    }

    /// Whether a shard has no room for another key that has been shortened `steps` times.
    fn is_full(&self, shard: &Shard, steps: usize) -> bool {
        shard.entries.len() >= self.room(steps)
    }

    fn forget_idle(&self, shard: &mut Shard, now: u64) {
        let before = shard.entries.len();
        shard.entries.retain(|_, entry| {
            let is_idle = entry.is_idle(now);
            if let Some(share) = entry.share.filter(|_| is_idle) {
                self.shares[usize::from(share)].fetch_sub(1, Ordering::Relaxed);
            }
            !is_idle
        });
        let few = (before - shard.entries.len()) * 4 < before;
        shard.search_from = if few { now.saturating_add(SEARCH_PAUSE) } else { now };
    }

    /// Whether `is_short` of room still holds when idle entries are forgotten. They are no reason to shorten a key: a
    /// flood of clients that ask once would fill the table long before the sweep comes round.
    fn remains(&self, shard: &mut Shard, now: u64, is_short: impl Fn(&Shard) -> bool) -> bool {
        if is_short(shard) && now >= shard.search_from {
            self.forget_idle(shard, now);
        }
        is_short(shard)
    }

    /// Runs `act` on the entry of `key`, or of the coarser key that stands in for it while there is no room, or while
    /// the client's neighbourhood has had its share; also tells it the key. The last of the coarser keys always finds
    /// room: there must be few of them.
    pub(super) fn with<R>(
        &self,
        key: u128,
        around: Around<'_>,
        now: u64,
        act: impl FnOnce(u128, &mut Entry) -> R,
    ) -> R {
        let mut shard = self.shard(key);
        let Shard { entries, news, .. } = &mut *shard;
        if let Some(entry) = entries.get_mut(&key) {
            return self.run(key, entry, news, act);
        }
        let share = around.share();
        if !self.remains(&mut shard, now, |shard| self.is_full(shard, 0) || self.is_beyond(share)) {
            return self.on(&mut shard, key, Some(share), act);
        }
        drop(shard);
        for (steps, key) in around.coarser(self.is_beyond(share)) {
            let mut shard = self.shard(key);
            let is_short = |shard: &Shard| self.is_full(shard, steps) && !shard.entries.contains_key(&key);
            if steps == STEPS || !self.remains(&mut shard, now, is_short) {
                return self.on(&mut shard, key, None, act);
            }
        }
        self.at(key, act)
    }

    /// Runs `act` on the entry of `key` itself.
    pub(super) fn at<R>(&self, key: u128, act: impl FnOnce(u128, &mut Entry) -> R) -> R {
        self.on(&mut self.shard(key), key, None, act)
    }

    /// As [`at`](Self::at), but a full table takes no new key.
    pub(super) fn at_with_room(&self, key: u128, now: u64, act: impl FnOnce(u128, &mut Entry)) {
        let mut shard = self.shard(key);
        let is_short = |shard: &Shard| self.is_full(shard, STEPS) && !shard.entries.contains_key(&key);
        if !self.remains(&mut shard, now, is_short) {
            self.on(&mut shard, key, None, act);
        }
    }

    fn on<R>(&self, shard: &mut Shard, key: u128, share: Option<u16>, act: impl FnOnce(u128, &mut Entry) -> R) -> R {
        let Shard { entries, news, .. } = shard;
        let entry = entries.entry(key).or_insert_with(|| {
            if let Some(share) = share {
                self.shares[usize::from(share)].fetch_add(1, Ordering::Relaxed);
            }
            Entry { share, ..Entry::default() }
        });
        self.run(key, entry, news, act)
    }

    fn run<R>(&self, key: u128, entry: &mut Entry, news: &mut Vec<u128>, act: impl FnOnce(u128, &mut Entry) -> R) -> R {
        let had_news = entry.has_news();
        let outcome = act(key, entry);
        if !self.sharing.load(Ordering::Relaxed) {
            (entry.added_requests, entry.added_bytes) = (0, 0);
        } else if !had_news && entry.has_news() {
            news.push(key);
            self.news.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// The entry that [`with`](Self::with) would act on, where there is one.
    pub(super) fn find(&self, key: u128, around: Around<'_>) -> Option<Entry> {
        let shard = self.shard(key);
        let entry = shard.entries.get(&key).copied();
        let share = around.share();
        if entry.is_some() || !(self.is_full(&shard, 0) || self.is_beyond(share)) {
            return entry;
        }
        drop(shard);
        for (steps, key) in around.coarser(self.is_beyond(share)) {
            let shard = self.shard(key);
            let entry = shard.entries.get(&key).copied();
            if entry.is_some() || !self.is_full(&shard, steps) {
                return entry;
            }
        }
        None
    }

    /// The entry of `key`, where there is one.
    pub(super) fn get(&self, key: u128) -> Option<Entry> {
        self.shard(key).entries.get(&key).copied()
    }

    /// Takes the entries of at most `most` keys that have news, and marks them as told.
    pub(super) fn take_news(&self, most: usize) -> Vec<(u128, Entry)> {
        let mut taken = Vec::new();
        for _ in 0..self.shards.len() {
            if taken.len() >= most || self.news.load(Ordering::Relaxed) == 0 {
                break;
            }
            let number = self.looked.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            let mut shard = lock(&self.shards[number]);
            let rest = shard.news.len().saturating_sub(most - taken.len());
            let told = shard.news.split_off(rest);
            self.news.fetch_sub(told.len(), Ordering::Relaxed);
            for key in told {
                if let Some(entry) = shard.entries.get_mut(&key) {
                    taken.push((key, *entry));
                    (entry.added_requests, entry.added_bytes) = (0, 0);
                }
            }
        }
        taken
    }

    /// Changes all entries. Reloads call it, requests do not.
    pub(super) fn change(&self, act: impl Fn(&mut Entry)) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.entries.values_mut().for_each(&act);
        }
    }

    /// All entries that `is_worth` keeping.
    pub(super) fn keep(&self, is_worth: impl Fn(&Entry) -> bool) -> Vec<(u128, Entry)> {
        let mut kept = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            kept.extend(shard.entries.iter().filter(|(_, entry)| is_worth(entry)).map(|(key, entry)| (*key, *entry)));
        }
        kept
    }

    /// Forgets idle keys in `count` shards, beginning after those of the last call.
    pub(super) fn sweep(&self, count: usize, now: u64) {
        for _ in 0..count.min(self.shards.len()) {
            let number = self.swept.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            let mut shard = lock(&self.shards[number]);
            self.forget_idle(&mut shard, now);
            let room = self.room(0);
            if shard.entries.capacity() > 2 * room.max(shard.entries.len()) {
                shard.entries.shrink_to(room);
            }
        }
    }

    /// How many shards there are.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// How many keys have an entry.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }
}
