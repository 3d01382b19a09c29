//! What replicas share through one Valkey or Redis server: counters, and what may be spent once.
//!
//! **Local first.** Every replica counts on its own, and a request never waits for the network. Every interval (200 ms)
//! it sends what it has added, in batches, and takes over what all replicas together came to. So with `N` replicas, a
//! rate `r`, a burst `b`, an interval `T` and a round trip `d`, at most `r*W + b + (N-1)*(b + r*(T+d))` is accepted in
//! any window `W`: each other replica may accept what one alone would, until it hears that the others did the same. That
//! holds where a debt is remembered whole: `most` of [`Change::Due`](crate::exchange::Change) must leave room for
//! `N*(b + r*(T+d))`, or what does not fit is forgiven.
//!
//! **Strict once.** Spending is one atomic command that is waited for, for a bounded time. Where the time has passed,
//! whether it was spent is unknown.
//!
//! **A lost store costs accuracy, never a request.** While it is away each replica counts alone, and the changes that
//! were surely not taken wait, merged by counter, up to 100,000 of them; more are dropped and counted. Where a
//! batch may have been taken, because the answer is missing, its additions are dropped rather than counted twice. Every
//! later change says where its replica sees the counter, and the store takes that as a lower bound: this heals what was
//! dropped, and fills a store that has lost its memory. A connection is replaced after any failure, and a server is used
//! when it takes a write; so failing over is finding another one among the URLs. Stopping loses the last interval.
//!
//! **Agreed texts.** What operators decide while gateways run is no count: it is one text, which each replica compares with
//! its own every interval, and replaces where it knows more (`agreement`).
//!
//! Keys are `<prefix>:1:<space>:<scope>:<key>` in hex, 1 being the version, and every key expires. The server needs
//! Redis 6.2 or any Valkey: one primary, with replicas that may take over. Redis Cluster is not supported, for one batch
//! touches many slots. Of a user it wants no more than `~<prefix>:* +set +get +eval +time +zadd +zremrangebyrank
//! +pexpire +zrange` (and `+select` where the database is not 0).

#![allow(clippy::disallowed_methods, reason = "rank 4: sockets, files and waiting")]

mod agreement;
mod pending;
mod script;
mod settings;
mod store;

pub use settings::{Interval, Patience, Prefix, SharedStateSettings, StoreUrl};

use crate::clock::Clock;
use crate::exchange::{Agreed, CounterId, Replicated, SpendOnce, Spending, Total};
use crate::metrics::Metrics;
use agreement::Agreement;
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use pending::{Key, Pending};
use script::batch_of;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::{Connection, Failure, Trouble};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// So many changes are taken at once from one source, and so often in one interval: together more than can wait.
const TAKE: usize = 4096;
const TAKES: usize = pending::CAP / TAKE + 1;
/// A connection on which nothing was exchanged for so long is tried.
const PROBE: Duration = Duration::from_secs(1);
/// The longest wait between attempts to connect.
const LAST_RETRY: Duration = Duration::from_secs(2);

/// The state that replicas share.
pub struct SharedState {
    settings: SharedStateSettings,
    authorities: Option<Vec<u8>>,
    counters: Vec<Arc<dyn Replicated>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// None while the state is not shared.
    connection: ArcSwapOption<Connection>,
    /// Spending has failed: try the connection before it is trusted again.
    suspect: AtomicBool,
}

impl SharedState {
    /// Exchanges the changes of `counters` from now on, until `stop`, and agrees on `text`. Waits for nothing; must be
    /// called within a tokio runtime. `authorities` are the PEM certificates of the settings' `ca`.
    pub fn start(
        settings: &SharedStateSettings,
        authorities: Option<Vec<u8>>,
        counters: Vec<Arc<dyn Replicated>>,
        text: Arc<dyn Agreed>,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        metrics.shared_state_up.with_label_values::<&str>(&[]).set(0);
        for word in ["ok"].into_iter().chain(Failure::ALL.map(Failure::word)) {
            metrics.shared_state_exchanges.with_label_values(&[word]);
        }
        for spending in [Spending::First, Spending::Again, Spending::Unavailable] {
            metrics.shared_state_spends.with_label_values(&[word(spending)]);
        }
        let (settings, metrics) = (settings.clone(), metrics.clone());
        let connection = ArcSwapOption::empty();
        let suspect = AtomicBool::new(false);
        let shared = SharedState { settings, authorities, counters, clock, metrics, connection, suspect };
        let shared = Arc::new(shared);
        tokio::spawn(stop.clone().run_until_cancelled_owned(shared.clone().run(Agreement::new(text))));
        shared
    }

    async fn run(self: Arc<Self>, mut agreement: Agreement) {
        let mut ticks = tokio::time::interval(self.settings.interval.0);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pending = Pending::default();
        let mut standing = Standing::default();
        loop {
            ticks.tick().await;
            self.collect(&mut pending).await;
            if self.connection.load().is_none() && standing.retry.is_some_and(|at| Instant::now() < at) {
                continue;
            }
            let begin = Instant::now();
            let mut exchanged = self.exchange(&mut pending, standing.last_good).await;
            if let (Ok(_), Some(connection)) = (&exchanged, self.connection.load_full())
                && let Err(trouble) = agreement.round(&connection).await
            {
                exchanged = Err(trouble);
            }
            let word = match &exchanged {
                Ok(false) => continue,
                Ok(true) => "ok",
                Err(trouble) => trouble.failure.word(),
            };
            self.metrics.shared_state_exchanges.with_label_values(&[word]).inc();
            let seconds = begin.elapsed().as_secs_f64();
            self.metrics.shared_state_exchange_seconds.with_label_values::<&str>(&[]).observe(seconds);
            if exchanged.is_err() {
                self.connection.store(None);
            }
            self.metrics.shared_state_up.with_label_values::<&str>(&[]).set(exchanged.is_ok().into());
            self.tell(&mut standing, exchanged.err());
        }
    }

    /// Takes what the counters have to tell, also while it cannot be sent: nobody keeps two lists.
    async fn collect(&self, pending: &mut Pending) {
        for (source, counters) in self.counters.iter().enumerate() {
            for _ in 0..TAKES {
                let changes = counters.changes(TAKE);
                let all = changes.len() < TAKE;
                let (elapsed, now) = (self.clock.elapsed(), self.clock.now());
                for (id, change) in changes {
                    if !pending.add((source, id), change, elapsed, now) {
                        self.metrics.shared_state_dropped.inc();
                    }
                }
                if all {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Connects where that is needed, and exchanges all that waits. Says whether the server was asked at all.
    async fn exchange(&self, pending: &mut Pending, last_good: Option<Instant>) -> Result<bool, Trouble> {
        let mut asked = false;
        let connection = match self.connection.load_full() {
            Some(connection) => connection,
            None => {
                let connection = Connection::open(&self.settings, self.authorities.as_deref()).await?;
                let connection = Arc::new(connection);
                self.connection.store(Some(connection.clone()));
                asked = true;
                connection
            }
        };
        let suspect = self.suspect.swap(false, Ordering::Relaxed);
        let taken = self.clock.elapsed();
        let changes = pending.take(taken, self.clock.now());
        if changes.is_empty() {
            if suspect || last_good.is_none_or(|at| at.elapsed() >= PROBE) {
                connection.probe().await?;
                asked = true;
            }
            return Ok(asked);
        }
        let mut rest = changes.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch_of(rest));
            let totals = match connection.exchange(batch, self.clock.now()).await {
                Ok(totals) => totals,
                Err(trouble) => {
                    let kept = if trouble.untouched { rest } else { later };
                    self.metrics.shared_state_dropped.inc_by((rest.len() - kept.len()) as u64);
                    let (elapsed, now) = (self.clock.elapsed(), self.clock.now());
                    for (key, change) in kept {
                        pending.add(*key, change.clone(), elapsed, now);
                    }
                    return Err(trouble);
                }
            };
            self.metrics.shared_state_counters.inc_by(totals.len() as u64);
            self.merge(totals, self.clock.elapsed().saturating_sub(taken));
            rest = later;
        }
        Ok(true)
    }

    /// Hands totals to the counters that they are of. What is owed runs down on the way: it was so much `ago`, when the
    /// replica said what it sees, or somewhat later. Without that, each exchange would add the time that it takes.
    fn merge(&self, totals: Vec<(Key, Total)>, ago: Duration) {
        let ago = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
        let mut by_source: BTreeMap<usize, Vec<(CounterId, Total)>> = BTreeMap::new();
        for ((source, id), total) in totals {
            let total = match total {
                Total::Due(owed) => Total::Due(owed.saturating_sub(ago)),
                other => other,
            };
            by_source.entry(source).or_default().push((id, total));
        }
        for (source, totals) in by_source {
            if let Some(counters) = self.counters.get(source) {
                counters.merge(&totals);
            }
        }
    }

    /// Notes how it went, and logs where that has changed.
    fn tell(&self, standing: &mut Standing, trouble: Option<Trouble>) {
        let before = standing.failure.replace(trouble.as_ref().map(|trouble| trouble.failure));
        let Some(trouble) = trouble else {
            standing.last_good = Some(Instant::now());
            (standing.retry, standing.failures) = (None, 0);
            if before != Some(None) {
                let url = self.connection.load().as_ref().map(|connection| connection.url.to_string());
                tracing::info!(url, "state is shared with the other replicas");
            }
            return;
        };
        let wait = self.settings.interval.0.saturating_mul(1 << standing.failures.min(5)).min(LAST_RETRY);
        // Replicas that lost the same server should not come back all at once.
        standing.retry = Some(Instant::now() + wait.mul_f64(0.5 + 0.5 * rand::random::<f64>()));
        standing.failures += 1;
        if before != Some(Some(trouble.failure)) {
            tracing::warn!(
                reason = trouble.failure.word(),
                detail = trouble.detail,
                "shared state is degraded: this replica counts alone until the store is back"
            );
        }
    }
}

/// How it goes.
#[derive(Default)]
struct Standing {
    /// None before the first attempt, `Some(None)` while all is well.
    failure: Option<Option<Failure>>,
    failures: u32,
    retry: Option<Instant>,
    last_good: Option<Instant>,
}

fn word(spending: Spending) -> &'static str {
    match spending {
        Spending::First => "first",
        Spending::Again => "again",
        Spending::Unavailable => "unavailable",
    }
}

#[async_trait]
impl SpendOnce for SharedState {
    async fn spend(&self, id: [u8; 16], life: Duration) -> Spending {
        let spending = match self.connection.load_full() {
            None => Spending::Unavailable,
            Some(connection) => connection.spend(id, life).await.unwrap_or_else(|_| {
                self.suspect.store(true, Ordering::Relaxed);
                Spending::Unavailable
            }),
        };
        self.metrics.shared_state_spends.with_label_values(&[word(spending)]).inc();
        spending
    }
}

/// Looks whether there is a server that takes writes, and says which one.
///
/// # Errors
/// Why there is none, for people.
pub async fn reach(settings: &SharedStateSettings, authorities: Option<&[u8]>) -> Result<String, String> {
    let open = Connection::open(settings, authorities).await;
    open.map(|connection| connection.url.to_string()).map_err(|trouble| trouble.detail)
}

#[cfg(test)]
mod model;
#[cfg(test)]
#[allow(dead_code, clippy::expect_used, clippy::panic, reason = "a harness: other tests do more with it")]
#[path = "../../tests/gateway/harness/valkey.rs"]
mod server;
