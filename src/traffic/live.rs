//! The books of a running gateway: many threads enter, one takes what came since it did so last.
//!
//! Threads have shards of their own, so that none waits for another. The last hours stay in memory, whether or not anybody
//! keeps them for longer.

use super::books::{Books, Entry, HOUR};
use super::distinct::prefix_hash;
use super::sampled::Sighting;
use super::stores::Finding;
use crate::clock::Timestamp;
use crate::network::IpNet;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As many threads do not wait for one another.
const SHARDS: usize = 16;
/// So many hours stay in memory, the one that has just begun among them.
pub const RECENT_HOURS: u64 = 25;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// What stands in the books for the prefixes of clients.
#[derive(Clone)]
pub enum Disguise {
    /// The prefixes themselves.
    None,
    /// A name that follows from the prefix by this secret.
    Names([u8; 16]),
    /// As names of one hour they are counted, and never kept one by one.
    Hourly([u8; 16]),
}

impl Disguise {
    /// The name is a network of RFC 4193 (`fd00::/8`), which no client of the internet has: 40 bits tell them apart.
    fn of(&self, prefix: IpNet, hour: u64) -> IpNet {
        let (secret, hour) = match self {
            Disguise::None => return prefix,
            Disguise::Names(secret) => (secret, 0),
            Disguise::Hourly(secret) => (secret, hour),
        };
        let mut hasher = SipHasher13::new_with_key(secret);
        hasher.write_u64(hour);
        hasher.write_u64(prefix_hash(prefix));
        let name = u128::from(hasher.finish() >> 24);
        IpNet::new_assert(Ipv6Addr::from_bits((0xfd << 120) | (name << 80)).into(), 48)
    }
}

#[derive(Default)]
struct Settled {
    recent: Books,
    /// What was not taken yet.
    waiting: Books,
}

/// Books that many threads enter into at once.
pub struct Live {
    shards: [Mutex<Books>; SHARDS],
    settled: Mutex<Settled>,
    disguise: Disguise,
    is_taken: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Empty books. `is_taken` says that somebody will [`take`](Self::take) what is entered.
    pub fn new(disguise: Disguise, is_taken: bool) -> Self {
        Live { shards: Default::default(), settled: Mutex::default(), disguise, is_taken }
    }

    /// Enters a request that is over.
    pub fn enter(&self, mut entry: Entry<'_>) {
        entry.prefix = self.disguise.of(entry.prefix, entry.at.0 / HOUR);
        let shard = SHARD.with(|shard| *shard);
        lock(&self.shards[shard]).enter(entry);
    }

    /// Enters what a comparison of origins showed.
    pub fn enter_finding(&self, finding: Finding, path: &str, at: Timestamp) {
        let shard = SHARD.with(|shard| *shard);
        lock(&self.shards[shard]).enter_finding(finding, path, at);
    }

    /// Enters what became of a session of the sample.
    pub fn enter_sighting(&self, mut sighting: Sighting) {
        if let Disguise::Hourly(secret) = &self.disguise {
            sighting.redraw(secret);
        }
        let shard = SHARD.with(|shard| *shard);
        lock(&self.shards[shard]).enter_sighting(sighting);
    }

    /// Brings together what threads have entered, and forgets what is older than a day. Call it every minute or so.
    pub fn settle(&self, now: Timestamp) {
        drop(self.settled(now));
    }

    fn settled(&self, now: Timestamp) -> MutexGuard<'_, Settled> {
        let mut settled = lock(&self.settled);
        let mut entered = Books::default();
        for shard in &self.shards {
            let part = std::mem::take(&mut *lock(shard));
            if entered.hours.is_empty() {
                entered = part;
            } else {
                entered.merge(&part);
            }
        }
        if matches!(self.disguise, Disguise::Hourly(_)) {
            entered.hours.values_mut().for_each(super::Hour::forget_clients);
        }
        settled.recent.merge(&entered);
        if self.is_taken {
            // A minute that is taken in two pieces had its peak in neither.
            for (number, hour) in &mut entered.hours {
                settled.recent.hours.get(number).inspect(|known| hour.raise_peaks(known));
            }
            settled.waiting.merge(&entered);
        }
        let oldest = (now.0 / HOUR + 1).saturating_sub(RECENT_HOURS);
        settled.recent.hours.retain(|number, _| *number >= oldest);
        // A clock that was wrong has left hours of the future.
        settled.recent.keep_newest(RECENT_HOURS as usize);
        settled
    }

    /// What was entered since this was called last.
    pub fn take(&self, now: Timestamp) -> Books {
        std::mem::take(&mut self.settled(now).waiting)
    }

    /// The last day.
    pub fn recent(&self, now: Timestamp) -> Books {
        self.look(now, Books::clone)
    }

    /// Looks at the last day without copying it. Requests do not wait for that, only those who settle or take do.
    pub fn look<T>(&self, now: Timestamp, look: impl FnOnce(&Books) -> T) -> T {
        look(&self.settled(now).recent)
    }
}

#[cfg(test)]
mod tests {
    use super::super::books::tests::{entry, key};
    use super::*;
    use crate::verdict::Class;

    #[test]
    fn threads_lose_nothing_and_a_minute_in_pieces_has_one_peak() {
        let live = Live::new(Disguise::None, true);
        let now = Timestamp(HOUR * 7);
        let mut taken = Books::default();
        for round in 0..3 {
            std::thread::scope(|scope| {
                for thread in 0..20u64 {
                    let live = &live;
                    scope.spawn(move || {
                        for number in 0..50 {
                            let at = now.0 + round * 15_000 + number;
                            live.enter(entry(at, key("logs", Class::Human), (thread % 5) as u8, 3));
                        }
                    });
                }
            });
            taken.merge(&live.take(now));
        }
        assert!(live.take(now).hours.is_empty());
        for books in [taken, live.recent(now)] {
            let (hour, _, cell) = books.cells().next().unwrap();
            assert_eq!((hour, cell.requests, cell.bytes, cell.prefixes.count()), (7, 3000, 9000, 5));
            assert_eq!(cell.peak_minute, 3000);
        }
    }

    #[test]
    fn a_day_stays_in_memory_even_if_nobody_takes_it() {
        let live = Live::new(Disguise::None, false);
        for hour in (0..100).chain([1_000_000]) {
            live.enter(entry(HOUR * hour, key("logs", Class::Human), 1, 1));
            live.settle(Timestamp(HOUR * hour.min(99)));
        }
        let hours: Vec<u64> = live.recent(Timestamp(HOUR * 99)).hours.into_keys().collect();
        assert_eq!(hours, (76..100).chain([1_000_000]).collect::<Vec<_>>());
        assert!(live.take(Timestamp(0)).hours.is_empty());
    }

    #[test]
    fn disguises_hide_prefixes_and_count_them_all_the_same() {
        let books = |disguise| {
            let live = Live::new(disguise, true);
            for number in 0..120u64 {
                let at = HOUR * 4 + number / 60 * HOUR;
                live.enter(entry(at, key("logs", Class::Human), (number % 30) as u8, 1));
            }
            live.take(Timestamp(HOUR * 5))
        };
        let clients = |books: &Books, hour: u64| -> Vec<IpNet> {
            let mut found: Vec<_> =
                books.hours[&hour].takers.top().into_iter().map(|(taker, _)| taker.prefix).collect();
            found.sort_unstable();
            found
        };
        let (plain, names) = (books(Disguise::None), books(Disguise::Names([1; 16])));
        let (others, hourly) = (books(Disguise::Names([2; 16])), books(Disguise::Hourly([1; 16])));
        for books in [&plain, &names, &others, &hourly] {
            assert!(books.cells().all(|(_, _, cell)| cell.prefixes.count() == 30 && cell.requests == 60));
        }
        assert_eq!(clients(&plain, 4).len(), 30);
        assert_eq!(clients(&names, 4), clients(&names, 5), "a name stays");
        assert!(clients(&names, 4).iter().all(|name| !clients(&others, 4).contains(name)));
        assert!(clients(&names, 4).iter().all(|name| name.to_string().starts_with("fd")));
        assert!(clients(&hourly, 4).is_empty() && hourly.hours[&4].stopped.top().is_empty());
        let mut both = hourly.hours[&4].cells.values().next().unwrap().prefixes.clone();
        both.merge(&hourly.hours[&5].cells.values().next().unwrap().prefixes);
        assert_eq!(both.count(), 60, "the names of one hour say nothing in the next");
    }
}
