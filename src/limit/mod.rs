//! Limits: how fast one client may ask.
//!
//! Each limit is a GCRA (by the `governor` crate) per key over a capped table. Which limits a request is charged to is
//! the policy's business; this stage only counts.

mod settings;
mod table;

pub use settings::{KeyBy, LimitSettings};

use crate::clock::Clock;
use crate::facts::Client;
use crate::network::IpNet;
use crate::verdict::LimitId;
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use table::Table;

/// Entries per limit unless configured otherwise. An entry takes about 64 bytes of memory.
pub const DEFAULT_CAP: usize = 500_000;

/// A limit said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit's name.
    pub limit: Arc<str>,
    /// When one more request will be accepted, if no other comes before it.
    pub retry_after: Duration,
}

/// Hands the injected clock to governor.
struct Injected(Arc<dyn Clock>);

impl governor::clock::Clock for Injected {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Requests = RateLimiter<IpNet, Table, Injected, NoOpMiddleware<Duration>>;

#[derive(Clone)]
struct Limit {
    name: Arc<str>,
    settings: LimitSettings,
    requests: Option<Arc<Requests>>,
    table: Table,
    clock: Arc<dyn Clock>,
    started: Duration,
}

/// All limits of a policy, by [`LimitId`].
pub struct Limits(Vec<Limit>);

impl Limits {
    /// Starts counting at nothing. `cap` bounds the entries of each limit's table.
    pub fn new(settings: &[(String, LimitSettings)], cap: usize, clock: &Arc<dyn Clock>) -> Self {
        Limits(Vec::new()).renewed(settings, cap, clock)
    }

    /// The same limits with other settings. A limit that counts by the same key goes on with what it has counted, so
    /// that a reload gives nobody a new budget.
    pub fn renewed(&self, settings: &[(String, LimitSettings)], cap: usize, clock: &Arc<dyn Clock>) -> Self {
        let limit = |(name, settings): &(String, LimitSettings)| {
            let known = self.0.iter().find(|known| *known.name == **name && known.settings.key == settings.key);
            if let Some(known) = known.filter(|known| known.settings == *settings) {
                return known.clone();
            }
            let started = clock.elapsed();
            let table = match known {
                Some(known) => known.table.begun_later(started.saturating_sub(known.started)),
                None => Table::new(cap),
            };
            let rate = settings.requests;
            let interval = (rate.per / rate.count.max(1)).max(Duration::from_nanos(1));
            let burst = settings.burst.or(NonZeroU32::new(rate.count)).unwrap_or(NonZeroU32::MIN);
            // Only an interval of zero gives no quota.
            let quota = Quota::with_period(interval).map(|quota| quota.allow_burst(burst));
            let limiter = |quota| Arc::new(RateLimiter::new(quota, table.clone(), Injected(clock.clone())));
            Limit {
                name: name.as_str().into(),
                settings: settings.clone(),
                requests: quota.map(limiter),
                table,
                clock: clock.clone(),
                started,
            }
        };
        Limits(settings.iter().map(limit).collect())
    }

    /// Charges one request of `client` to each of `ids`. The first limit that is exceeded answers.
    pub fn request(&self, ids: &[LimitId], client: &Client) -> Result<(), Exceeded> {
        for limit in ids.iter().filter_map(|id| self.0.get(*id)) {
            let key = limit.settings.key.of(client);
            if let Some(requests) = &limit.requests
                && let Err(until) = requests.check_key(&key)
            {
                let retry_after = until.wait_time_from(limit.clock.elapsed());
                return Err(Exceeded { limit: limit.name.clone(), retry_after });
            }
        }
        Ok(())
    }

    /// Forgets keys that have been idle for so long that they are as good as new. Called now and then.
    pub fn sweep(&self) {
        for limit in &self.0 {
            limit.table.sweep(limit.clock.elapsed().saturating_sub(limit.started));
        }
    }

    /// The name and the number of table entries of each limit.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|limit| (&*limit.name, limit.table.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::quantity::Rate;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn limits(cap: usize) -> (Limits, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp(1_000_000)));
        let rate = Rate { count: 1, per: Duration::from_secs(1) };
        let settings = LimitSettings { key: KeyBy::Address, requests: rate, burst: NonZeroU32::new(3) };
        let shared: Arc<dyn Clock> = clock.clone();
        (Limits::new(&[("x".into(), settings)], cap, &shared), clock)
    }

    fn good(limits: &Limits, address: IpAddr, requests: usize) -> usize {
        (0..requests).filter(|_| limits.request(&[0], &Client::new(address, true)).is_ok()).count()
    }

    #[test]
    fn a_full_table_judges_new_keys_by_their_neighbourhood_and_known_ones_exactly() {
        let (limits, _) = limits(100);
        let known = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(good(&limits, known, 1), 1);
        for host in 0..10_000u128 {
            good(&limits, Ipv6Addr::from_bits((0x2001_0db8 << 96) + (host << 64)).into(), 1);
        }
        let size = limits.sizes().next().map(|(_, size)| size);
        assert!(size.is_some_and(|size| size <= 113), "{size:?}");
        assert_eq!(good(&limits, known, 9), 2, "the rest of its own burst");
        let stranger = IpAddr::from(Ipv4Addr::new(198, 51, 100, 1));
        assert_eq!(good(&limits, stranger, 9), 3, "another neighbourhood is not refused");
        let neighbour = Ipv6Addr::from_bits((0x2001_0db8 << 96) + (1 << 90)).into();
        assert_eq!(good(&limits, neighbour, 9), 0, "the flooding neighbourhood shares one budget");
        let farther = Ipv6Addr::from_bits(0x2001_0db9 << 96).into();
        assert_eq!(good(&limits, farther, 9), 3, "the next /32 has its own");
    }

    #[test]
    fn idle_keys_are_forgotten_and_nobody_gains_by_it() {
        let (limits, clock) = limits(100);
        let (idle, busy) = (IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::from(Ipv4Addr::new(192, 0, 2, 2)));
        assert_eq!((good(&limits, idle, 1), good(&limits, busy, 9)), (1, 3));
        clock.advance(Duration::from_millis(1500));
        limits.sweep();
        let size = limits.sizes().next().map(|(_, size)| size);
        assert_eq!(size, Some(1), "one request at one per second is forgotten after a second");
        assert_eq!(good(&limits, busy, 9), 1, "the busy one gets its rate, not its burst");
    }

    #[test]
    fn a_reload_gives_nobody_a_new_budget() {
        let (limits, clock) = limits(100);
        let client = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
        clock.advance(Duration::from_secs(50));
        assert_eq!(good(&limits, client, 9), 3);
        let shared: Arc<dyn Clock> = clock.clone();
        let rate = Rate { count: 2, per: Duration::from_secs(1) };
        let mut settings = LimitSettings { key: KeyBy::Address, requests: rate, burst: NonZeroU32::new(3) };
        let same = limits.renewed(&[("x".into(), limits.0[0].settings.clone())], 100, &shared);
        assert_eq!(good(&same, client, 9), 0, "the same settings");
        clock.advance(Duration::from_millis(10));
        let faster = same.renewed(&[("x".into(), settings.clone())], 100, &shared);
        assert_eq!(good(&faster, client, 9), 0, "another rate goes on from what was used");
        clock.advance(Duration::from_secs(3));
        assert_eq!(good(&faster, client, 9), 3, "and gives back at the new rate");
        settings.key = KeyBy::Prefix;
        assert_eq!(
            good(&faster.renewed(&[("x".into(), settings)], 100, &shared), client, 9),
            3,
            "another key begins anew"
        );
    }
}
