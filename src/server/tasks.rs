//! What goes on in the background, again and again.

#![allow(clippy::disallowed_methods, reason = "rank 6: waits")]

use crate::auto::Auto;
use crate::cost::PriceBook;
use crate::exchange::{Change, CounterId, Replicated, Total};
use crate::proxy::Gateway;
use crate::report::{projected, sampled};
use crate::surroundings::Surroundings;
use crate::traffic::HOUR;
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
                let sample = sampled(books, (now.0 / HOUR).saturating_sub(23), 1);
                gateway.metrics.modes.tell_sample(sample.as_ref());
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
