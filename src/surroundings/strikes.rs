//! Strikes: what a rule noted against a prefix, forgotten by half every half-life.
//!
//! A record outlives a reload of the policy, and no flood of new prefixes drives it out of the table. Nor can one
//! network fill the table: beyond its share its prefixes have one record together, which nobody else ever reads.

use super::shared_strikes::Shared;
use crate::clock::{Throttle, Timestamp};
use crate::exchange::{Change, CounterId, Total};
use crate::network::{IpNet, truncated};
use crate::state::MOST_STRIKES;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Prefixes on record. An entry takes about 64 bytes of memory.
pub(super) const CAP: usize = 200_000;
/// A record that has decayed below this is as good as none: no threshold is that low.
const FORGOTTEN: f64 = 0.1;
/// A full table looks for forgotten records at most so often, since it has to visit all of them.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
/// One IPv4 /16 or IPv6 /32, which is what a network is given at least, has this part of the table.
const SHARE: usize = 8;

crate::settings! {
    /// The `strikes` section of a policy file.
    pub struct StrikeSettings {
        /// After how long half of a record is forgotten.
        half_life: Duration = Duration::from_secs(24 * 3600),
    }
}

/// So many strikes at that time; decay is reckoned when the record is read.
#[derive(Debug, Clone, Copy)]
struct Record {
    strikes: f64,
    at: Timestamp,
}

impl Record {
    fn at(&self, now: Timestamp, half_life: Duration) -> f64 {
        // A policy cannot say zero; if it were, nothing would be remembered.
        let half_lives = now.since(self.at).as_secs_f64() / half_life.as_secs_f64().max(f64::MIN_POSITIVE);
        self.strikes * (-half_lives).exp2()
    }
}

/// Who shares a part of the table with `prefix`.
fn neighbourhood(prefix: IpNet) -> IpNet {
    truncated(prefix.addr(), 16.min(prefix.prefix_len()), 32.min(prefix.prefix_len()))
}

/// Records by prefix.
#[derive(Debug)]
pub(super) struct Strikes {
    // By prefix, and by neighbourhood for what is beyond its share.
    records: DashMap<IpNet, Record>,
    // Records by neighbourhood. Locked after `records` or alone, never before it.
    shares: DashMap<IpNet, usize>,
    // DashMap::len locks every shard; this is read on each look-up.
    count: AtomicUsize,
    cap: usize,
    half_life_millis: AtomicU64,
    purged: Throttle,
    shared: OnceLock<Shared>,
}

impl Strikes {
    pub(super) fn new(half_life: Duration, cap: usize) -> Self {
        let strikes = Strikes {
            records: DashMap::new(),
            shares: DashMap::new(),
            count: AtomicUsize::new(0),
            cap,
            half_life_millis: AtomicU64::new(0),
            purged: Throttle::new(PURGE_INTERVAL),
            shared: OnceLock::new(),
        };
        strikes.set_half_life(half_life);
        strikes
    }

    /// Records stay as they are; from now on their whole age since the last strike decays by the new half-life.
    pub(super) fn set_half_life(&self, half_life: Duration) {
        let millis = u64::try_from(half_life.as_millis()).unwrap_or(u64::MAX);
        self.half_life_millis.store(millis, Ordering::Relaxed);
    }

    pub(super) fn half_life(&self) -> Duration {
        Duration::from_millis(self.half_life_millis.load(Ordering::Relaxed))
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// What is on record against `prefix`, or against its neighbourhood where that is beyond its share.
    pub(super) fn get(&self, prefix: IpNet, now: Timestamp) -> f64 {
        if let Some(shared) = self.shared.get() {
            shared.ask(prefix, now);
        }
        if self.len() == 0 {
            return 0.0;
        }
        let read = |key| self.records.get(&key).map(|record| record.at(now, self.half_life()));
        let near = neighbourhood(prefix);
        read(prefix).or_else(|| read(near).filter(|_| self.is_beyond_share(near))).unwrap_or(0.0)
    }

    fn is_beyond_share(&self, near: IpNet) -> bool {
        self.shares.get(&near).is_some_and(|records| *records >= (self.cap / SHARE).max(1))
    }

    /// Adds to the record. What is not a positive number adds nothing.
    pub(super) fn add(&self, prefix: IpNet, strikes: f64, now: Timestamp) {
        if !(strikes > 0.0 && strikes.is_finite()) {
            return;
        }
        if let Some(shared) = self.shared.get() {
            shared.added(prefix, strikes);
        }
        self.raise(prefix, now, |record| record + strikes);
    }

    /// Changes a record as it stands at `now`: that of `prefix`, or where its neighbourhood has had its share that of
    /// the neighbourhood. A full table takes no new ones but these, of which there are few, since each takes a share.
    fn raise(&self, prefix: IpNet, now: Timestamp, change: impl FnOnce(f64) -> f64) {
        let near = neighbourhood(prefix);
        let (mut key, mut has_room) = (prefix, true);
        if !self.records.contains_key(&prefix) {
            if self.len() >= self.cap || self.is_beyond_share(near) {
                self.purge(now);
            }
            let is_shared = self.is_beyond_share(near);
            key = if is_shared { near } else { prefix };
            has_room = is_shared || self.len() < self.cap;
        }
        let half_life = self.half_life();
        let mut record = match self.records.entry(key) {
            Place::Occupied(place) => place.into_ref(),
            Place::Vacant(_) if !has_room => return,
            Place::Vacant(place) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                *self.shares.entry(near).or_default() += 1;
                place.insert(Record { strikes: 0.0, at: now })
            }
        };
        record.strikes = change(record.at(now, half_life)).min(MOST_STRIKES);
        // A clock that is set back makes nobody younger.
        record.at = record.at.max(now);
    }

    /// From now on replicas hear of strikes, and are asked about prefixes.
    pub(super) fn share(&self) {
        self.shared.get_or_init(Shared::default);
    }

    /// What replicas should hear, and what they are asked: an addition of nothing.
    pub(super) fn changes(&self, most: usize, now: Timestamp) -> Vec<(CounterId, Change)> {
        let half_life = self.half_life();
        let news = self.shared.get().map(|shared| shared.take(most)).unwrap_or_default();
        let change = |(prefix, add): (IpNet, f64)| {
            let view = self.records.get(&prefix).map_or(0.0, |record| record.at(now, half_life));
            (Shared::id(prefix), Change::Decaying { add, view, half_life })
        };
        news.into_iter().map(change).collect()
    }

    /// Takes over what all replicas know of prefixes.
    pub(super) fn merge(&self, totals: &[(CounterId, Total)], now: Timestamp) {
        let Some(shared) = self.shared.get() else { return };
        for (id, total) in totals {
            if let (Some(prefix), Total::Decaying(total)) = (Shared::prefix(id), total)
                && *total >= FORGOTTEN
            {
                let all = total + shared.pending(prefix);
                self.raise(prefix, now, |record| record.max(all));
            }
        }
    }

    /// Everything on record.
    pub(super) fn keep(&self, now: Timestamp) -> Vec<(CounterId, Change)> {
        let half_life = self.half_life();
        let change = |record: dashmap::mapref::multiple::RefMulti<'_, IpNet, Record>| {
            let view = record.at(now, half_life);
            (Shared::id(*record.key()), Change::Decaying { add: 0.0, view, half_life })
        };
        self.records.iter().map(change).collect()
    }

    /// Takes over what was on record: single prefixes first, since what their neighbourhood has together needs no room.
    pub(super) fn restore(&self, kept: &[(CounterId, Change)], now: Timestamp) {
        let view = |(id, change): &(CounterId, Change)| match (Shared::prefix(id), change) {
            (Some(prefix), Change::Decaying { view, .. }) if view.is_finite() && *view >= FORGOTTEN => {
                Some((prefix, *view))
            }
            _ => None,
        };
        let mut views: Vec<(IpNet, f64)> = kept.iter().filter_map(view).collect();
        views.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_len()));
        for (prefix, view) in views {
            self.raise(prefix, now, |record| record.max(view));
        }
    }

    /// Looks for room at the cap, unless it did so just before.
    fn purge(&self, now: Timestamp) {
        if self.purged.is_due(now) {
            self.sweep(now);
        }
    }

    /// Forgets the records that have decayed to next to nothing.
    pub(super) fn sweep(&self, now: Timestamp) {
        let half_life = self.half_life();
        self.records.retain(|prefix, record| {
            let keep = record.at(now, half_life) >= FORGOTTEN;
            if !keep {
                self.count.fetch_sub(1, Ordering::Relaxed);
                if let Place::Occupied(mut place) = self.shares.entry(neighbourhood(*prefix)) {
                    *place.get_mut() -= 1;
                    if *place.get() == 0 {
                        place.remove();
                    }
                }
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const START: Timestamp = Timestamp(1_000_000_000);

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn flood(strikes: &Strikes, count: u128, each: f64, now: Timestamp) {
        for number in 0..count {
            let address = std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) + (number << 80));
            strikes.add(truncated(address.into(), 24, 48), each, now);
        }
    }

    #[test]
    fn half_is_forgotten_every_half_life() {
        let strikes = Strikes::new(DAY, 100);
        let prefix = net("192.0.2.0/24");
        assert_eq!(strikes.get(prefix, START), 0.0);
        strikes.add(prefix, 8.0, START);
        for (days, expected) in [(0, 8.0), (1, 4.0), (2, 2.0), (3, 1.0)] {
            assert_eq!(strikes.get(prefix, START + DAY * days), expected, "after {days} days");
        }
        strikes.add(prefix, 1.0, START + DAY);
        assert_eq!(strikes.get(prefix, START + DAY), 5.0, "new strikes come on top of what is left");
        assert_eq!(strikes.get(net("198.51.100.0/24"), START + DAY), 0.0, "nobody else is on record");
        assert_eq!(strikes.get(prefix, START), 5.0, "a clock that is set back changes nothing");
    }

    #[test]
    fn a_new_half_life_keeps_the_record() {
        let strikes = Strikes::new(DAY, 100);
        strikes.add(net("192.0.2.0/24"), 8.0, START);
        strikes.set_half_life(DAY / 2);
        assert_eq!(strikes.get(net("192.0.2.0/24"), START), 8.0);
        assert_eq!(strikes.get(net("192.0.2.0/24"), START + DAY), 2.0);
    }

    #[test]
    fn what_is_no_number_of_strikes_leaves_no_record() {
        let strikes = Strikes::new(DAY, 100);
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            strikes.add(net("192.0.2.0/24"), wrong, START);
        }
        assert_eq!((strikes.len(), strikes.get(net("192.0.2.0/24"), START)), (0, 0.0));
    }

    #[test]
    fn a_flood_of_prefixes_neither_grows_the_table_nor_drives_out_a_record() {
        let strikes = Strikes::new(DAY, 80);
        let known = net("192.0.2.0/24");
        strikes.add(known, 3.0, START);
        flood(&strikes, 10_000, 1.0, START);
        assert_eq!(strikes.len(), 1 + 10 + 1, "an eighth, and what is beyond it together");
        assert_eq!(strikes.get(known, START), 3.0, "its own record");
        strikes.add(known, 1.0, START);
        assert_eq!(strikes.get(known, START), 4.0, "which goes on exactly");
        assert_eq!(strikes.get(net("2001:db8:1::/48"), START), 1.0, "which the flood's first have, too");
        assert_eq!(strikes.get(net("2001:db8:fff0::/48"), START), MOST_STRIKES, "newcomers share the flood's record");
        assert_eq!(strikes.get(net("2001:db9:1::/48"), START), 0.0, "another neighbourhood is clean");
        strikes.add(net("2001:db9:1::/48"), 2.0, START);
        assert_eq!(strikes.get(net("2001:db9:1::/48"), START), 2.0, "and has room for records of its own");
        strikes.sweep(START);
        assert_eq!(strikes.get(known, START), 4.0);
    }

    #[test]
    fn even_a_flood_of_neighbourhoods_is_bounded_and_nobody_pays_for_others() {
        let strikes = Strikes::new(DAY, 100);
        strikes.add(net("192.0.2.0/24"), 1.0, START);
        for number in 0..200_000u128 {
            let address = std::net::Ipv6Addr::from_bits((0x2000_0000 + number) << 96);
            strikes.add(truncated(address.into(), 24, 48), 1.0, START);
        }
        assert_eq!(strikes.len(), 100);
        assert_eq!(strikes.get(net("192.0.2.0/24"), START), 1.0);
        for stranger in ["192.0.3.0/24", "2000:1:5::/48", "2003::/48"] {
            assert_eq!(strikes.get(net(stranger), START), 0.0, "{stranger}");
        }
    }

    #[test]
    fn a_neighbourhood_gets_its_room_back() {
        let strikes = Strikes::new(DAY, 80);
        flood(&strikes, 10_000, 1.0, START);
        let later = START + DAY * 11;
        strikes.sweep(later);
        assert_eq!((strikes.len(), strikes.shares.len()), (0, 0), "not even the shared record lasts");
        strikes.add(net("2001:db8:fff0::/48"), 1.0, later);
        assert_eq!(strikes.get(net("2001:db8:fff0::/48"), later), 1.0);
        assert_eq!(strikes.get(net("2001:db8:fff1::/48"), later), 0.0);
    }

    #[test]
    fn a_full_table_makes_room_of_what_is_forgotten() {
        let strikes = Strikes::new(DAY, 100);
        for number in 0..100 {
            strikes.add(net(&format!("10.{number}.0.0/24")), 1.0, START);
        }
        let later = START + DAY * 4;
        strikes.add(net("192.0.2.0/24"), 2.0, later);
        assert_eq!(strikes.get(net("192.0.2.0/24"), later), 2.0);
        assert_eq!(strikes.len(), 1);
    }

    #[test]
    fn what_was_kept_of_a_flood_comes_back() {
        let before = Strikes::new(DAY, 80);
        flood(&before, 100, 1.0, START);
        let after = Strikes::new(DAY, 80);
        after.restore(&before.keep(START), START);
        assert_eq!(after.len(), before.len());
        for prefix in ["2001:db8:1::/48", "2001:db8:fff0::/48"] {
            assert_eq!(after.get(net(prefix), START), before.get(net(prefix), START), "{prefix}");
        }
    }
}
