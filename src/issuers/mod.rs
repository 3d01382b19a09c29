//! The keys of issuers of tokens: fetched in the background, the last good ones kept in use.
//!
//! No request waits for an issuer. One that bears a token of an unknown key is refused, and the keys are fetched again,
//! so that the next one is known; a stranger who makes up keys causes one fetch a minute and no more.

#![allow(clippy::disallowed_methods, reason = "rank 4: sockets, waiting and the wall clock")]

mod fetch;

use crate::identity::{KeyCell, KeySet, KeySource};
use crate::metrics::Metrics;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long keys are used before they are fetched again, where the issuer does not say so.
const REFRESH: Duration = Duration::from_secs(3600);
const SHORTEST_REFRESH: Duration = Duration::from_secs(300);
const LONGEST_REFRESH: Duration = Duration::from_secs(24 * 3600);
/// After a failure; each further one doubles it, up to an hour.
const RETRY: Duration = Duration::from_secs(15);
/// How often a token may cause a fetch.
const ON_DEMAND: Duration = Duration::from_secs(60);
/// How often is looked whether a token has.
const LOOK: Duration = Duration::from_millis(500);
/// How long one fetch may take as a whole.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Keeps the keys of issuers fresh, for as long as somebody uses them.
pub struct Issuers {
    cells: Mutex<HashMap<KeySource, Weak<KeyCell>>>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Issuers {
    /// Nothing is fetched yet. All fetching ends with `stop`.
    pub fn new(metrics: Metrics, stop: CancellationToken) -> Self {
        Issuers { cells: Mutex::default(), metrics, stop }
    }

    /// The cell with the keys of `source`. Where there is none it begins empty, and its keys are fetched until
    /// everybody has dropped it; so a reload goes on with the keys that it finds. Must be called within a tokio
    /// runtime.
    pub fn keys(&self, source: &KeySource) -> Arc<KeyCell> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(source).and_then(Weak::upgrade) {
            return cell;
        }
        cells.retain(|_, cell| cell.strong_count() > 0);
        let cell = Arc::new(KeyCell::default());
        cells.insert(source.clone(), Arc::downgrade(&cell));
        let refresher = Refresher { source: source.clone(), metrics: self.metrics.clone() };
        refresher.introduce();
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(refresher.keep_fresh(Arc::downgrade(&cell))));
        cell
    }
}

/// What keeps one cell fresh.
struct Refresher {
    source: KeySource,
    metrics: Metrics,
}

impl Refresher {
    /// Shows zeros.
    fn introduce(&self) {
        for result in ["ok", "error"] {
            self.metrics.issuer_refreshes.with_label_values(&[self.source.name(), result]);
        }
        self.metrics.issuer_last_success.with_label_values(&[self.source.name()]).set(0);
        self.metrics.issuer_keys.with_label_values(&[self.source.name()]).set(0);
    }

    async fn keep_fresh(self, cell: Weak<KeyCell>) {
        let mut failures: u32 = 0;
        let mut last_demanded = None;
        loop {
            let fetched = tokio::time::timeout(TIMEOUT, fetch::keys(&self.source)).await;
            let fetched = fetched.unwrap_or_else(|_| Err(format!("it took longer than {TIMEOUT:?}")));
            let Some(cell_now) = cell.upgrade() else { return };
            let wait = match fetched {
                Ok((keys, age)) => {
                    failures = 0;
                    self.take(&cell_now, keys);
                    spread(age.unwrap_or(REFRESH).clamp(SHORTEST_REFRESH, LONGEST_REFRESH))
                }
                Err(error) => {
                    let wait = RETRY.saturating_mul(1 << failures.min(16)).min(REFRESH);
                    failures += 1;
                    self.metrics.issuer_refreshes.with_label_values(&[self.source.name(), "error"]).inc();
                    let what = "the keys of an issuer were not fetched; the last ones stay";
                    tracing::warn!(issuer = self.source.name(), error, failures, "{what}");
                    spread(wait)
                }
            };
            drop(cell_now);
            if !wait_or_demanded(&cell, wait, &mut last_demanded).await {
                return;
            }
        }
    }

    fn take(&self, cell: &KeyCell, keys: KeySet) {
        let name = &[self.source.name()];
        self.metrics.issuer_refreshes.with_label_values(&[self.source.name(), "ok"]).inc();
        self.metrics.issuer_keys.with_label_values(name).set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.metrics.issuer_last_success.with_label_values(name).set(i64::try_from(seconds).unwrap_or(i64::MAX));
        cell.set(keys);
        // Whoever missed a key has it now, or asks again.
        cell.take_wanted();
    }
}

/// Less by up to a tenth, so that gateways do not ask at once.
fn spread(length: Duration) -> Duration {
    length.mul_f64(1.0 - 0.1 * rand::random::<f64>())
}

/// Waits for `wait`, or until a token names an unknown key, as often as that counts. False when nobody uses the keys.
async fn wait_or_demanded(cell: &Weak<KeyCell>, wait: Duration, last_demanded: &mut Option<Instant>) -> bool {
    let until = Instant::now() + wait;
    loop {
        let now = Instant::now();
        if now >= until {
            return true;
        }
        tokio::time::sleep(LOOK.min(until - now)).await;
        let Some(cell) = cell.upgrade() else { return false };
        let may = last_demanded.is_none_or(|last| last.elapsed() >= ON_DEMAND);
        if may && cell.take_wanted() {
            *last_demanded = Some(Instant::now());
            return true;
        }
    }
}
