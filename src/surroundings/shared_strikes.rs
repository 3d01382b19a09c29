//! What replicas tell and ask one another about strikes.
//!
//! A replica that has not seen a prefix before asks once in a while what the others have against it, so that a trap that
//! was sprung here is known there from the second request on. Keys are the prefixes themselves: there is nothing to
//! count without them.

use crate::clock::Timestamp;
use crate::exchange::CounterId;
use crate::exchange::spaces::STRIKES;
use crate::network::{IpNet, number, unmapped};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A prefix is asked about at most so often.
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// Prefixes that are asked about in that time; about 40 bytes each, twice. More are not asked about.
const CAP: usize = 50_000;

#[derive(Debug, Default)]
struct State {
    /// When the recent ones began to be collected.
    since: Timestamp,
    recent: HashSet<IpNet>,
    before: HashSet<IpNet>,
    /// What is to be told, and asked: an addition of nothing.
    news: HashMap<IpNet, f64>,
}

/// What goes between replicas.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks about `prefix`, unless that was done lately.
    pub(super) fn ask(&self, prefix: IpNet, now: Timestamp) {
        let mut state = self.state();
        if now.since(state.since) >= ASK_AGAIN {
            state.since = now;
            state.before = std::mem::take(&mut state.recent);
        }
        if state.recent.len() < CAP && !state.before.contains(&prefix) && state.recent.insert(prefix) {
            state.news.entry(prefix).or_default();
        }
    }

    /// Tells of new strikes.
    pub(super) fn added(&self, prefix: IpNet, strikes: f64) {
        let mut state = self.state();
        if state.news.len() < 2 * CAP || state.news.contains_key(&prefix) {
            *state.news.entry(prefix).or_default() += strikes;
        }
    }

    /// Takes at most `most` of what is to be told.
    pub(super) fn take(&self, most: usize) -> Vec<(IpNet, f64)> {
        let mut state = self.state();
        if state.news.len() <= most {
            return state.news.drain().collect();
        }
        let taken: Vec<IpNet> = state.news.keys().take(most).copied().collect();
        taken.into_iter().filter_map(|prefix| state.news.remove_entry(&prefix)).collect()
    }

    /// What has been added and not been told yet.
    pub(super) fn pending(&self, prefix: IpNet) -> f64 {
        self.state().news.get(&prefix).copied().unwrap_or(0.0)
    }

    /// The counter of `prefix`. The last byte of a prefix is zero, so that its length finds room there.
    pub(super) fn id(prefix: IpNet) -> CounterId {
        let key = number(prefix.network()) & !0xff | u128::from(prefix.prefix_len());
        CounterId { space: STRIKES, scope: 0, key }
    }

    /// The prefix of a counter.
    pub(super) fn prefix(id: &CounterId) -> Option<IpNet> {
        if id.space != STRIKES {
            return None;
        }
        let address = unmapped(IpAddr::from(Ipv6Addr::from_bits(id.key & !0xff)));
        IpNet::new(address, (id.key & 0xff) as u8).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_back_from_their_keys() {
        for text in ["192.0.2.0/24", "10.0.0.0/8", "2001:db8:1::/48", "2001::/16"] {
            let prefix: IpNet = text.parse().unwrap();
            assert_eq!(Shared::prefix(&Shared::id(prefix)), Some(prefix));
        }
    }

    #[test]
    fn a_prefix_is_asked_about_once_in_a_while_and_strikes_add_up() {
        let (shared, prefix) = (Shared::default(), "192.0.2.0/24".parse().unwrap());
        let mut now = Timestamp(1_000_000);
        let mut asked = 0;
        for _ in 0..300 {
            shared.ask(prefix, now);
            asked += shared.take(10).len();
            now = now + Duration::from_millis(100);
        }
        assert!((5..=10).contains(&asked), "{asked} in 30 s");
        shared.added(prefix, 1.0);
        shared.added(prefix, 2.0);
        assert_eq!(shared.pending(prefix), 3.0);
        assert_eq!(shared.take(10), [(prefix, 3.0)]);
        assert_eq!(shared.pending(prefix), 0.0);
    }

    #[test]
    fn a_flood_of_prefixes_is_bounded() {
        let shared = Shared::default();
        for number in 0..200_000u128 {
            let address = IpAddr::from(Ipv6Addr::from_bits((0x2000 << 112) + (number << 80)));
            let prefix = crate::network::prefix(address);
            shared.ask(prefix, Timestamp(1_000_000));
            shared.added(prefix, 1.0);
        }
        let mut taken = 0;
        while let count @ 1.. = shared.take(4096).len() {
            taken += count;
        }
        assert_eq!(taken, 2 * CAP);
    }
}
