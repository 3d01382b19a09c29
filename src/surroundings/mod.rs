//! The surroundings of a request: what is remembered about clients, looked up about addresses and measured about the
//! machine, for policy to read as [`State`].
//!
//! Reading never waits and never opens a file or socket: background tasks do. All tables are bounded. Nothing in here
//! decides.

#![allow(clippy::disallowed_methods, reason = "rank 4: background tasks")]

mod behaviour;
mod dns;
mod dnsbl;
mod fetched;
mod geo;
mod load;
mod lookup;
mod names;
mod shared_strikes;
mod strikes;

pub use dns::{Answer, Family, Resolve, SystemResolver, Unanswered};
pub use geo::{Geo, GeoIpSettings};
pub use strikes::StrikeSettings;

use crate::clock::{Clock, Timestamp};
use crate::decisions::{Decision, Decisions};
use crate::exchange::{Change, CounterId, Replicated, Total};
use crate::facts::{Client, Fact};
use crate::metrics::Metrics;
use crate::network::IpNet;
use crate::state::{Fetch, Memory, State};
use crate::traffic::sample_point;
use arc_swap::ArcSwap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Nobody collects evidence.
const UNKNOWN: u64 = u64::MAX;
/// The evidence says no.
const OFF: u64 = u64::MAX - 1;

/// Everything that policy reads besides the request. It outlives reloads of the policy.
pub struct Surroundings {
    strikes: strikes::Strikes,
    fetched: fetched::Fetched,
    behaviours: Arc<behaviour::Behaviours>,
    load: Arc<load::Load>,
    geo: ArcSwap<Geo>,
    names: Arc<names::Names>,
    listings: Arc<dnsbl::Listings>,
    decisions: Arc<Decisions>,
    /// What the sample is drawn by.
    draw: OnceLock<[u8; 16]>,
    /// Since when rules of mode `auto` are enforced, in milliseconds; see [`UNKNOWN`] and [`OFF`].
    evidence: AtomicU64,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Surroundings {
    /// Nothing is on record yet, and until [`start`](Self::start) nothing is measured or looked up.
    pub fn new(strikes: &StrikeSettings, geo: Geo, clock: Arc<dyn Clock>, metrics: &Metrics) -> Self {
        Surroundings {
            strikes: strikes::Strikes::new(strikes.half_life, strikes::CAP),
            fetched: fetched::Fetched::new(clock.now()),
            behaviours: Arc::default(),
            load: Arc::default(),
            geo: ArcSwap::from_pointee(geo),
            names: Arc::new(names::new(metrics)),
            listings: Arc::new(dnsbl::new(metrics)),
            decisions: Arc::default(),
            draw: OnceLock::new(),
            evidence: AtomicU64::new(UNKNOWN),
            clock,
            metrics: metrics.clone(),
        }
    }

    /// Measures the load and asks `resolver` for what policy wants to know, in the background until `stop`. To be called
    /// once, on a tokio runtime.
    pub fn start(&self, resolver: Arc<dyn Resolve>, stop: &CancellationToken) {
        let run = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            tokio::spawn(stop.clone().run_until_cancelled_owned(task));
        };
        let ask_names = Arc::new(names::AskNames(resolver.clone()));
        let ask_lists = Arc::new(dnsbl::AskLists(resolver));
        run(Box::pin(self.load.clone().watch()));
        run(Box::pin(self.behaviours.clone().serve()));
        run(Box::pin(self.names.clone().serve(ask_names, self.clock.clone())));
        run(Box::pin(self.listings.clone().serve(ask_lists, self.clock.clone())));
    }

    /// Changes how fast strikes are forgotten; what is on record stays.
    pub fn set_half_life(&self, half_life: Duration) {
        self.strikes.set_half_life(half_life);
    }

    /// From now on the sample is drawn by this secret, for good. Until then nobody is in it.
    pub fn draw_by(&self, secret: [u8; 16]) {
        // Nobody else sets it.
        let _ = self.draw.set(secret);
    }

    /// Says what the evidence says: since when rules of mode `auto` are enforced.
    pub fn set_evidence(&self, evidence: Fact<Timestamp>) {
        let word = match evidence {
            Fact::Present(since) => since.0.min(OFF - 1),
            Fact::Absent => OFF,
            Fact::Unknown => UNKNOWN,
        };
        self.evidence.store(word, Ordering::Relaxed);
    }

    /// What operators decide. Who changes it keeps it, too.
    pub fn decisions(&self) -> Arc<Decisions> {
        self.decisions.clone()
    }

    /// How strikes are forgotten.
    pub fn strike_settings(&self) -> StrikeSettings {
        StrikeSettings { half_life: self.strikes.half_life() }
    }

    /// The databases of places.
    pub fn geo(&self) -> Geo {
        Geo::clone(&self.geo.load())
    }

    /// Replaces the databases of places.
    pub fn set_geo(&self, geo: Geo) {
        self.geo.store(Arc::new(geo));
    }

    /// Forgets what is too old and counts what is left. To be called every minute or so.
    pub fn sweep(&self, now: Timestamp) {
        self.strikes.sweep(now);
        self.fetched.sweep(now);
        self.names.sweep(now);
        self.listings.sweep(now);
        let sizes = [
            ("strikes", self.strikes.len()),
            ("names", self.names.len()),
            ("dnsbl", self.listings.len()),
            ("behaviour", self.behaviours.len()),
        ];
        for (table, size) in sizes {
            self.metrics.table_entries.with_label_values(&[table]).set(i64::try_from(size).unwrap_or(i64::MAX));
        }
    }
}

impl Surroundings {
    /// From now on replicas hear of strikes, and are asked about prefixes.
    pub fn share(&self) {
        self.strikes.share();
    }
}

impl Replicated for Surroundings {
    fn changes(&self, most: usize) -> Vec<(CounterId, Change)> {
        self.strikes.changes(most, self.clock.now())
    }

    fn merge(&self, totals: &[(CounterId, Total)]) {
        self.strikes.merge(totals, self.clock.now());
    }

    fn keep(&self) -> Vec<(CounterId, Change)> {
        self.strikes.keep(self.clock.now())
    }

    fn restore(&self, kept: &[(CounterId, Change)]) {
        self.strikes.restore(kept, self.clock.now());
    }
}

impl Memory for Surroundings {
    /// What is not a positive number changes nothing.
    fn strike(&self, prefix: IpNet, strikes: f64, now: Timestamp) {
        self.strikes.add(prefix, strikes, now);
    }

    fn note_fetch(&self, fetch: &Fetch<'_>) {
        if fetch.is_found() {
            self.fetched.note(fetch.prefix, fetch.site, fetch.path);
        }
        self.behaviours.note(fetch);
    }
}

impl State for Surroundings {
    fn decided(&self, client: &Client, now: Timestamp) -> Option<Arc<Decision>> {
        self.decisions.find(client.address, client.trusted, now)
    }

    fn strikes(&self, prefix: IpNet, now: Timestamp) -> Fact<f64> {
        Fact::Present(self.strikes.get(prefix, now))
    }

    fn suspicion(&self, prefix: IpNet, user_agent: &str, now: Timestamp) -> Fact<f64> {
        self.behaviours.suspicion(prefix, user_agent, now).map(|suspicion| suspicion.score)
    }

    fn load(&self) -> Fact<[f64; 3]> {
        self.load.get()
    }

    fn evidence(&self) -> Fact<Timestamp> {
        match self.evidence.load(Ordering::Relaxed) {
            UNKNOWN => Fact::Unknown,
            OFF => Fact::Absent,
            since => Fact::Present(Timestamp(since)),
        }
    }

    fn sample_point(&self, prefix: IpNet, now: Timestamp) -> Fact<u64> {
        self.draw.get().map_or(Fact::Unknown, |secret| Fact::Present(sample_point(secret, prefix, now)))
    }

    fn country(&self, address: IpAddr) -> Fact<[u8; 2]> {
        self.geo.load().country(address)
    }

    fn asn(&self, address: IpAddr) -> Fact<u32> {
        self.geo.load().asn(address)
    }

    fn is_listed(&self, zone: &str, address: IpAddr) -> Fact<bool> {
        self.listings.is_listed(zone, address, self.clock.now())
    }

    fn has_name_in(&self, domains: &[String], address: IpAddr) -> Fact<bool> {
        self.names.is_in(domains, address, self.clock.now())
    }

    fn has_fetched(&self, prefix: IpNet, site: &str, path: &str) -> Fact<bool> {
        self.fetched.get(prefix, site, path, self.clock.now())
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
#[path = "../../tests/gateway/harness/mmdb.rs"]
mod mmdb;

#[cfg(test)]
mod tests {
    use super::fake::Fake;
    use super::*;
    use crate::clock::ManualClock;

    const START: Timestamp = Timestamp(1_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn surroundings() -> (Surroundings, Arc<ManualClock>, Metrics) {
        let (clock, metrics) = (Arc::new(ManualClock::new(START)), Metrics::new().unwrap());
        let settings = StrikeSettings { half_life: HOUR * 24 };
        (Surroundings::new(&settings, Geo::default(), clock.clone(), &metrics), clock, metrics)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_has_not_been_looked_up_is_unknown_and_a_clean_record_is_known() {
        let (state, clock, _) = surroundings();
        let prefix = "192.0.2.0/24".parse().unwrap();
        assert_eq!(state.strikes(prefix, clock.now()), Fact::Present(0.0));
        assert_eq!(state.load(), Fact::Unknown);
        assert_eq!(state.country(ip("192.0.2.1")), Fact::Unknown);
        assert_eq!(state.asn(ip("192.0.2.1")), Fact::Unknown);
        assert_eq!(state.is_listed("zone.example.org", ip("192.0.2.1")), Fact::Unknown);
        assert_eq!(state.is_listed("zone.example.org", ip("10.0.0.1")), Fact::Present(false));
        assert_eq!(state.has_name_in(&["googlebot.com".into()], ip("192.0.2.1")), Fact::Unknown);
        assert_eq!(state.has_fetched(prefix, "logs", "/a"), Fact::Unknown);
    }

    #[tokio::test]
    async fn the_background_finds_out_until_it_is_stopped() {
        let (state, clock, metrics) = surroundings();
        let fake = Fake::default()
            .pointer("1.2.0.192.in-addr.arpa", HOUR, &["crawl.googlebot.com"])
            .address("crawl.googlebot.com", HOUR, &["192.0.2.1"])
            .address("1.2.0.192.zone.example.org", HOUR, &["127.0.0.2"])
            .share();
        let stop = CancellationToken::new();
        state.start(fake.clone(), &stop);
        let settle = async || {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        };
        settle().await;
        let known = || {
            let named = state.has_name_in(&["googlebot.com".into()], ip("192.0.2.1"));
            let claimed = state.has_name_in(&["googlebot.com".into()], ip("192.0.2.2"));
            let listed = state.is_listed("zone.example.org", ip("192.0.2.1"));
            let clean = state.is_listed("ZONE.example.org.", ip("192.0.2.2"));
            state.is_listed("zone.example.org", ip("192.168.0.1"));
            [named, claimed, listed, clean]
        };
        assert_eq!(known(), [Fact::Unknown; 4]);
        settle().await;
        assert_eq!(known(), [Fact::Present(true), Fact::Present(false), Fact::Present(true), Fact::Present(false)]);
        assert!(!fake.asked().iter().any(|name| name.starts_with("1.0.168.192")), "private addresses are nobody's");

        state.strike("192.0.2.0/24".parse().unwrap(), 1.0, clock.now());
        state.sweep(clock.now());
        let size = |table| metrics.table_entries.with_label_values(&[table]).get();
        assert_eq!(["strikes", "names", "dnsbl"].map(size), [1, 2, 2]);

        stop.cancel();
        settle().await;
        clock.advance(HOUR * 25);
        assert_eq!(known()[0], Fact::Unknown, "nobody renews it");
        state.sweep(clock.now());
        assert_eq!(size("names"), 0);
    }

    #[test]
    fn records_survive_a_new_policy_and_decay_by_its_half_life() {
        let (state, clock, _) = surroundings();
        let prefix = "192.0.2.0/24".parse().unwrap();
        state.strike(prefix, 4.0, clock.now());
        clock.advance(HOUR);
        state.set_half_life(HOUR);
        assert_eq!(state.strikes(prefix, clock.now()), Fact::Present(2.0));
    }
}
