//! What goes on in the background, again and again.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

use crate::auto::Auto;
use crate::cost::PriceBook;
use crate::exchange::{Change, CounterId, Replicated, Total};
use crate::metrics::Metrics;
use crate::proxy::Gateway;
use crate::report::{projected, sampled};
use crate::surroundings::Surroundings;
use crate::traffic::{Books, HOUR};
use std::sync::Arc;
use std::time::Duration;

/// Tables are swept so often: limits one step at a time, the others every [`SWEEP_STEPS`].
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
const SWEEP_STEPS: u32 = 30;
/// What traffic costs is told so often; of full books it takes a tenth of a second.
const PROJECTION_INTERVAL: Duration = Duration::from_secs(300);

/// The limits in force: a reload replaces them.
pub(super) struct CurrentLimits(pub Arc<Gateway>);

impl Replicated for CurrentLimits {
    fn changes(&self, most: usize) -> Vec<(CounterId, Change)> {
        self.0.ruling.load().limits.changes(most)
    }

    fn merge(&self, totals: &[(CounterId, Total)]) {
        self.0.ruling.load().limits.merge(totals);
    }

    fn keep(&self) -> Vec<(CounterId, Change)> {
        self.0.ruling.load().limits.keep()
    }

    fn restore(&self, kept: &[(CounterId, Change)]) {
        self.0.ruling.load().limits.restore(kept);
    }
}

/// Forgets what is too old, again and again.
pub(super) async fn sweep(gateway: Arc<Gateway>, surroundings: Arc<Surroundings>) {
    for step in 1u32.. {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        gateway.ruling.load().limits.sweep();
        if !step.is_multiple_of(SWEEP_STEPS) {
            continue;
        }
        gateway.watch_origins();
        gateway.gate.sweep(gateway.clock.now());
        gateway.books.settle(gateway.clock.now());
        surroundings.sweep(gateway.clock.now());
    }
}

/// Tells what the last day would cost over a month, again and again.
pub(super) async fn project(gateway: Arc<Gateway>, auto: Arc<Auto>, prices: Arc<PriceBook>) {
    loop {
        let (gateway, auto, prices) = (gateway.clone(), auto.clone(), prices.clone());
        let projecting = tokio::task::spawn_blocking(move || {
            let now = gateway.clock.now();
            let months = gateway.books.look(now, |books| {
                tell_sample(books, now.0 / HOUR, &gateway.metrics);
                projected(books, now, &prices)
            });
            gateway.metrics.costs.project(gateway.sites.iter().map(|site| &site.name), &months);
            auto.set_months(months);
        });
        // Whatever went wrong, the next one may go right.
        let _ = projecting.await;
        tokio::time::sleep(PROJECTION_INTERVAL).await;
    }
}

/// Tells what the sample of the last day says.
fn tell_sample(books: &Books, hour: u64, metrics: &Metrics) {
    metrics.sample_sessions.reset();
    metrics.sample_solvers_ratio.reset();
    let Some(sample) = sampled(books, hour.saturating_sub(23), 1) else { return };
    let left = sample.sessions - sample.solved - sample.waited;
    for (outcome, count) in [("solved", sample.solved), ("waited", sample.waited), ("left", left)] {
        metrics.sample_sessions.with_label_values(&[outcome]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    if let Some(solvers) = sample.solvers {
        for (bound, share) in [("low", solvers.low), ("estimate", solvers.share), ("high", solvers.high)] {
            metrics.sample_solvers_ratio.with_label_values(&[bound]).set(share);
        }
    }
}
