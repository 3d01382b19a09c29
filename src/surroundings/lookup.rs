//! Look-ups that no request waits for: a cache that asks in the background.
//!
//! Reading returns at once with what is known. What is not known is put into a queue, and a task that takes from it
//! asks; the next request finds the answer. Nothing that clients do makes the cache, the queue or the number of
//! look-ups in flight grow beyond their bounds: what finds no room stays unknown, and is counted. Nor can one
//! neighbourhood take all the room: each has a share.

use crate::clock::{Clock, Throttle, Timestamp};
use crate::metrics::Metrics;
use crate::network::{IpNet, truncated};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use prometheus::IntCounter;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Keys that wait to be asked for.
const QUEUE: usize = 256;
/// Look-ups at a time.
const IN_FLIGHT: usize = 32;
/// Keys of one neighbourhood that wait or are being asked for.
const WAITING: u32 = 4;
/// So many failures in a row are an answer, too, where there is one for it: who lets nobody look must not stay unknown.
const FAILURES: u32 = 2;
/// One look-up takes no longer, however many questions it asks.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A key is not asked for again sooner. Longer than the way through a full queue, 256 / 32 * 5 s.
const RETRY: Duration = Duration::from_secs(60);
/// A full cache looks for what is no longer needed at most so often, since it has to visit all of it.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);

/// No answer is believed for a shorter or longer time, whatever name servers say.
pub(super) const SHORTEST: Duration = Duration::from_secs(60);
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long it is believed that there is nothing to be found.
pub(super) const NEGATIVE: Duration = Duration::from_secs(600);

/// What a look-up brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome<V> {
    /// The answer. None where there is none: what was known before holds as long as it would have.
    pub(super) value: Option<V>,
    /// For how long the answer holds, or nobody is asked again.
    pub(super) ttl: Duration,
    /// The word that it is counted by.
    pub(super) result: &'static str,
}

impl<V> Outcome<V> {
    /// Nobody answered.
    pub(super) fn error() -> Self {
        Outcome { value: None, ttl: RETRY, result: "error" }
    }
}

/// Who is asked in the background.
#[async_trait::async_trait]
pub(super) trait Ask<K, V>: Send + Sync + 'static {
    async fn ask(&self, key: &K) -> Outcome<V>;

    /// What is believed where asking has failed again and again. None leaves it unknown.
    fn given_up(&self) -> Option<V> {
        None
    }
}

/// What is asked for.
pub(super) trait Key: Clone + Eq + Hash + Send + Sync + 'static {
    /// Whoever has one key has the others of its neighbourhood.
    type Near: Eq + Hash + Send + Sync + 'static;

    /// The neighbourhood, and how many keys of it may be remembered.
    fn near(&self) -> (Self::Near, u32);
}

/// The network that one client may have to itself, and how many of its addresses are remembered: an IPv6 /64, and an
/// IPv4 /24, which has no more. Names and listings hold for single addresses, so that the key has to be the whole.
pub(super) fn neighbourhood(address: IpAddr) -> (IpNet, u32) {
    (truncated(address, 24, 64), if address.is_ipv4() { 256 } else { 64 })
}

impl Key for IpAddr {
    type Near = IpNet;

    fn near(&self) -> (IpNet, u32) {
        neighbourhood(*self)
    }
}

/// What a neighbourhood takes up.
#[derive(Debug, Default)]
struct Share {
    entries: u32,
    waiting: u32,
}

struct Entry<V> {
    value: Option<V>,
    // The value holds until then.
    until: Timestamp,
    // Nobody is asked before.
    ask_after: Timestamp,
    // In a row, the last ones.
    failures: u32,
}

impl<V> Entry<V> {
    fn new(until: Timestamp, ask_after: Timestamp) -> Self {
        Entry { value: None, until, ask_after, failures: 0 }
    }
}

/// A bounded cache that fills itself.
pub(super) struct Lookups<K: Key, V> {
    entries: DashMap<K, Entry<V>>,
    // Locked after `entries` or alone, never before it.
    shares: DashMap<K::Near, Share>,
    // DashMap::len locks every shard; this is read on each insertion.
    count: AtomicUsize,
    cap: usize,
    purged: Throttle,
    queue: OnceLock<mpsc::Sender<K>>,
    metrics: Metrics,
    kind: &'static str,
    hits: IntCounter,
    dropped: IntCounter,
}

impl<K: Key, V: Send + Sync + 'static> Lookups<K, V> {
    /// An empty cache, counted as `kind`. `results` are the words that its outcomes use, for metrics to begin at zero.
    pub(super) fn new(kind: &'static str, results: &[&'static str], cap: usize, metrics: &Metrics) -> Self {
        let counter = |result| metrics.lookups.with_label_values(&[kind, result]);
        for result in results {
            counter(result);
        }
        Lookups {
            entries: DashMap::new(),
            shares: DashMap::new(),
            count: AtomicUsize::new(0),
            cap,
            purged: Throttle::new(PURGE_INTERVAL),
            queue: OnceLock::new(),
            hits: counter("hit"),
            dropped: counter("dropped"),
            metrics: metrics.clone(),
            kind,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// What `read` makes of the value of `key`, if it is known; else it is asked for, if that is possible.
    pub(super) fn get<R>(&self, key: K, now: Timestamp, read: impl FnOnce(&V) -> R) -> Option<R> {
        // Until something answers, nothing is asked or remembered.
        let queue = self.queue.get()?;
        let known = |entry: &Entry<V>| {
            let value = entry.value.as_ref().filter(|_| entry.until > now)?;
            self.hits.inc();
            Some(read(value))
        };
        // Mostly there is nothing to ask, and others can read at the same time.
        if let Some(entry) = self.entries.get(&key).filter(|entry| entry.ask_after > now) {
            return known(&entry);
        }
        if self.len() >= self.cap && !self.entries.contains_key(&key) {
            self.purge(now);
        }
        match self.entries.entry(key) {
            Place::Occupied(mut place) => {
                if place.get().ask_after <= now && self.enqueue(queue, place.key(), false) {
                    place.get_mut().ask_after = now + RETRY;
                }
                known(place.get())
            }
            Place::Vacant(place) => {
                if self.enqueue(queue, place.key(), true) {
                    place.insert(Entry::new(now, now + RETRY));
                }
                None
            }
        }
    }

    /// Lets `key` wait to be asked for, and if it `is_new` counts its entry, if there is room for both.
    fn enqueue(&self, queue: &mpsc::Sender<K>, key: &K, is_new: bool) -> bool {
        let (near, most) = key.near();
        let place = self.shares.entry(near);
        let (entries, waiting) = match &place {
            Place::Occupied(place) => (place.get().entries, place.get().waiting),
            Place::Vacant(_) => (0, 0),
        };
        let has_room = !is_new || (entries < most && self.len() < self.cap);
        if !has_room || waiting >= WAITING || queue.try_send(key.clone()).is_err() {
            self.dropped.inc();
            return false;
        }
        let mut share = place.or_default();
        share.waiting += 1;
        share.entries += u32::from(is_new);
        self.count.fetch_add(usize::from(is_new), Ordering::Relaxed);
        true
    }

    /// Changes what the neighbourhood of `key` takes up.
    fn give_back(&self, key: &K, change: impl FnOnce(&mut Share)) {
        if let Place::Occupied(mut place) = self.shares.entry(key.near().0) {
            change(place.get_mut());
            if place.get().entries == 0 && place.get().waiting == 0 {
                place.remove();
            }
        }
    }

    /// Remembers what a look-up brought, or where it and those before it failed, `given_up`.
    fn put(&self, key: &K, outcome: Outcome<V>, given_up: Option<V>, now: Timestamp) {
        self.metrics.lookups.with_label_values(&[self.kind, outcome.result]).inc();
        // It may have been swept while it waited.
        if let Some(mut entry) = self.entries.get_mut(key) {
            match outcome.value {
                Some(value) => {
                    entry.value = Some(value);
                    entry.until = now + outcome.ttl;
                    entry.failures = 0;
                    // Asked for again in the last quarter, so that a client who stays is known without a gap.
                    entry.ask_after = now + outcome.ttl * 3 / 4;
                }
                None => {
                    entry.failures = entry.failures.saturating_add(1);
                    entry.ask_after = now + outcome.ttl;
                    // What is known holds as long as it would have.
                    if entry.value.is_none() || entry.until <= now {
                        entry.value = given_up.filter(|_| entry.failures >= FAILURES);
                        entry.until = now + NEGATIVE;
                    }
                }
            }
        }
        self.give_back(key, |share| share.waiting = share.waiting.saturating_sub(1));
    }

    /// Looks for room at the cap, unless it did so just before.
    fn purge(&self, now: Timestamp) {
        if self.purged.is_due(now) {
            self.sweep(now);
        }
    }

    /// Forgets what no longer holds and is not being asked for.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.entries.retain(|key, entry| {
            let keep = entry.until > now || entry.ask_after > now;
            if !keep {
                self.count.fetch_sub(1, Ordering::Relaxed);
                self.give_back(key, |share| share.entries = share.entries.saturating_sub(1));
            }
            keep
        });
    }

    /// Answers what is asked for, for ever. Only the first call does.
    pub(super) async fn serve(self: Arc<Self>, asked: Arc<dyn Ask<K, V>>, clock: Arc<dyn Clock>) {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        if self.queue.set(sender).is_err() {
            return;
        }
        let mut running = JoinSet::new();
        while let Some(key) = receiver.recv().await {
            while running.len() >= IN_FLIGHT {
                running.join_next().await;
            }
            let (lookups, asked, clock) = (self.clone(), asked.clone(), clock.clone());
            running.spawn(async move {
                let answer = tokio::time::timeout(TIMEOUT, asked.ask(&key)).await;
                lookups.put(&key, answer.unwrap_or_else(|_| Outcome::error()), asked.given_up(), clock.now());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::sync::Mutex;
    use tokio::sync::Semaphore;

    const START: Timestamp = Timestamp(1_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Answers with twice the key, for an hour, as soon as it is let; remembers what it was asked.
    struct Double {
        asked: Mutex<Vec<u32>>,
        gate: Semaphore,
        fails: std::sync::atomic::AtomicBool,
    }

    #[async_trait::async_trait]
    impl Ask<u32, u32> for Double {
        async fn ask(&self, key: &u32) -> Outcome<u32> {
            self.asked.lock().unwrap().push(*key);
            let _permit = self.gate.acquire().await;
            match self.fails.load(Ordering::SeqCst) {
                true => Outcome::error(),
                false => Outcome { value: Some(key * 2), ttl: HOUR, result: "found" },
            }
        }

        fn given_up(&self) -> Option<u32> {
            Some(0)
        }
    }

    /// Small keys are strangers to one another, large ones neighbours.
    impl Key for u32 {
        type Near = u32;

        fn near(&self) -> (u32, u32) {
            ((*self).min(NEIGHBOURS), 64)
        }
    }

    const NEIGHBOURS: u32 = 1_000_000;

    struct Bench {
        lookups: Arc<Lookups<u32, u32>>,
        double: Arc<Double>,
        clock: Arc<ManualClock>,
        _task: JoinSet<()>,
    }

    impl Bench {
        /// With so many permits, each returned after use.
        async fn new(cap: usize, permits: usize) -> Bench {
            let lookups = Arc::new(Lookups::new("names", &["found", "error"], cap, &Metrics::new().unwrap()));
            let gate = Semaphore::new(permits);
            let double = Arc::new(Double { asked: Mutex::default(), gate, fails: false.into() });
            let clock = Arc::new(ManualClock::new(START));
            let mut task = JoinSet::new();
            task.spawn(lookups.clone().serve(double.clone(), clock.clone()));
            let bench = Bench { lookups, double, clock, _task: task };
            bench.settle().await;
            bench
        }

        fn get(&self, key: u32) -> Option<u32> {
            self.lookups.get(key, self.clock.now(), |value| *value)
        }

        /// Lets the background go as far as it can. All tasks run on this thread.
        async fn settle(&self) {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        }

        fn asked(&self) -> usize {
            self.double.asked.lock().unwrap().len()
        }

        fn counted(&self, result: &str) -> u64 {
            self.lookups.metrics.lookups.with_label_values(&["names", result]).get()
        }
    }

    #[tokio::test]
    async fn the_first_request_asks_and_the_next_one_knows() {
        let bench = Bench::new(10, 1).await;
        assert_eq!((bench.get(1), bench.get(1)), (None, None));
        bench.settle().await;
        assert_eq!((bench.get(1), bench.asked()), (Some(2), 1));
        assert_eq!((bench.counted("hit"), bench.counted("found"), bench.counted("dropped")), (1, 1, 0));
    }

    #[tokio::test]
    async fn an_answer_is_renewed_before_it_ends_and_not_believed_after() {
        let bench = Bench::new(10, 1).await;
        bench.get(1);
        bench.settle().await;
        bench.clock.advance(HOUR / 2);
        assert_eq!(bench.get(1), Some(2));
        bench.settle().await;
        assert_eq!(bench.asked(), 1);
        bench.clock.advance(HOUR / 4);
        assert_eq!(bench.get(1), Some(2));
        bench.settle().await;
        assert_eq!(bench.asked(), 2, "in the last quarter it is asked for again");
        bench.clock.advance(HOUR);
        assert_eq!(bench.get(1), None, "an hour later it no longer holds");
    }

    #[tokio::test]
    async fn a_failure_leaves_what_is_known_and_is_not_repeated_at_once() {
        let bench = Bench::new(10, 1).await;
        bench.get(1);
        bench.settle().await;
        bench.double.fails.store(true, Ordering::SeqCst);
        bench.clock.advance(HOUR * 3 / 4);
        for _ in 0..5 {
            assert_eq!(bench.get(1), Some(2));
            bench.settle().await;
        }
        assert_eq!((bench.asked(), bench.counted("error")), (2, 1));
        bench.clock.advance(RETRY);
        bench.get(1);
        bench.settle().await;
        assert_eq!((bench.asked(), bench.get(1)), (3, Some(2)), "what is known is not given up");
    }

    #[tokio::test]
    async fn two_failures_in_a_row_are_an_answer_for_ten_minutes_and_the_next_one_replaces_it() {
        let bench = Bench::new(10, 1).await;
        bench.double.fails.store(true, Ordering::SeqCst);
        bench.get(1);
        bench.settle().await;
        assert_eq!(bench.get(1), None, "one may be an accident");
        // Nobody who comes seldom is forgotten in between.
        bench.clock.advance(RETRY * 2);
        bench.lookups.sweep(bench.clock.now());
        assert_eq!(bench.get(1), None);
        bench.settle().await;
        assert_eq!((bench.get(1), bench.asked()), (Some(0), 2));
        bench.clock.advance(NEGATIVE - Duration::from_secs(1));
        assert_eq!(bench.get(1), Some(0));
        bench.double.fails.store(false, Ordering::SeqCst);
        bench.settle().await;
        bench.clock.advance(RETRY);
        bench.get(1);
        bench.settle().await;
        assert_eq!(bench.get(1), Some(2), "it is asked for all the time");
    }

    #[tokio::test]
    async fn one_neighbourhood_fills_neither_queue_nor_cache() {
        let bench = Bench::new(400, 0).await;
        for key in NEIGHBOURS..NEIGHBOURS + 1000 {
            bench.get(key);
        }
        bench.settle().await;
        assert_eq!((bench.asked(), bench.lookups.len()), (4, 4));
        bench.get(1);
        bench.settle().await;
        assert_eq!(bench.asked(), 5, "others are looked up");
        bench.double.gate.add_permits(1);
        for _ in 0..100 {
            bench.settle().await;
            for key in NEIGHBOURS..NEIGHBOURS + 1000 {
                bench.get(key);
            }
        }
        assert_eq!((bench.asked(), bench.lookups.len()), (65, 65), "64 of the neighbourhood are remembered");
        bench.clock.advance(HOUR);
        bench.lookups.sweep(bench.clock.now());
        assert_eq!((bench.lookups.len(), bench.lookups.shares.len()), (0, 0));
        bench.get(NEIGHBOURS + 5000);
        bench.settle().await;
        assert_eq!(bench.get(NEIGHBOURS + 5000), Some(2 * (NEIGHBOURS + 5000)), "there is room again");
    }

    #[test]
    fn who_has_an_ipv6_prefix_has_all_of_its_addresses() {
        let near = |text: &str| text.parse::<IpAddr>().unwrap().near().0.to_string();
        assert_eq!(near("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(near("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_in_time_has_failed() {
        let bench = Bench::new(10, 0).await;
        bench.get(1);
        tokio::time::sleep(TIMEOUT * 2).await;
        assert_eq!((bench.get(1), bench.counted("error")), (None, 1));
    }

    #[tokio::test]
    async fn a_flood_fills_neither_queue_nor_cache_and_takes_away_no_answer() {
        let bench = Bench::new(400, 0).await;
        for key in 0..1000 {
            assert_eq!(bench.get(key), None);
        }
        bench.settle().await;
        assert_eq!((bench.lookups.len(), bench.counted("dropped")), (QUEUE, 744), "the queue is full");
        assert_eq!(bench.asked(), IN_FLIGHT, "so many at a time");
        bench.double.gate.add_permits(1);
        bench.settle().await;
        assert_eq!((bench.asked(), bench.get(0)), (QUEUE, Some(0)));
        for key in (1000..2000).step_by(100) {
            (key..key + 100).for_each(|key| assert_eq!(bench.get(key), None));
            bench.settle().await;
        }
        assert_eq!((bench.lookups.len(), bench.asked()), (400, 400), "the cache is full");
        assert_eq!((bench.get(0), bench.get(255)), (Some(0), Some(510)), "what was known is known");
        bench.clock.advance(HOUR);
        bench.get(5000);
        bench.settle().await;
        assert_eq!((bench.get(5000), bench.lookups.len()), (Some(10_000), 1), "there is room again");
    }

    #[test]
    fn where_nothing_answers_nothing_is_remembered() {
        let lookups = Lookups::<u32, u32>::new("names", &[], 10, &Metrics::new().unwrap());
        assert_eq!((lookups.get(1, START, |value| *value), lookups.len()), (None, 0));
    }
}
