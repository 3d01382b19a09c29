//! One URL: its feeds, what of them is in use, and one refresh.

use super::fetch::{Answer, Validators, fetch};
use super::{Bounds, FeedsSettings, OnUpdate, disk};
use crate::metrics::Metrics;
use crate::network::{Feed, IpNet, extent, parse};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// One URL, and all feeds that are read from it; at least one.
pub struct Source {
    /// Where it is fetched.
    pub url: String,
    /// What is read from it, each with filters of its own.
    pub feeds: Vec<Feed>,
    /// How it is kept fresh.
    pub settings: FeedsSettings,
    /// What tests make smaller.
    pub bounds: Bounds,
    /// Who is told of new blocks.
    pub on_update: Arc<OnUpdate>,
    /// Where refreshes are counted.
    pub metrics: Metrics,
    /// What is in use.
    pub state: Mutex<State>,
}

/// What is in use.
pub struct State {
    /// SHA-256 of the content.
    pub digest: Option<[u8; 32]>,
    /// How many blocks each of the feeds has, and how many addresses of IPv4 and IPv6 they cover.
    pub counts: Vec<(usize, [u128; 2])>,
}

/// How a refresh went well; the label of its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// There was new content.
    Ok,
    /// The content in use is up to date.
    Unchanged,
}

impl Source {
    /// What messages and metrics call it.
    pub fn name(&self) -> &str {
        self.feeds.first().map_or("", Feed::name)
    }

    /// Notes when the content in use was last known to be up to date.
    pub fn set_success(&self, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let gauge = self.metrics.feed_last_success.with_label_values(&[self.name()]);
        gauge.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Whether there is content in use, be it from before a reload.
    pub fn has_content(&self) -> bool {
        self.metrics.feed_last_success.with_label_values(&[self.name()]).get() > 0
    }

    fn directory(&self) -> Option<(&Path, &Feed)> {
        self.settings.directory.as_deref().zip(self.feeds.first())
    }

    /// Shows zeros, and takes the last good copy where there is one.
    pub fn introduce(&self) {
        for result in ["ok", "unchanged", "error"] {
            self.metrics.feed_refreshes.with_label_values(&[self.name(), result]);
        }
        self.metrics.feed_last_success.with_label_values(&[self.name()]);
        for feed in &self.feeds {
            self.metrics.feed_prefixes.with_label_values(&[feed.name(), &feed.filter()]);
        }
        if self.url.starts_with("http://") {
            tracing::warn!(feed = self.name(), "feed comes by plain http: whoever is on the way can change it");
        }
        let Some((bytes, since)) = self.directory().and_then(|(directory, feed)| disk::cached(directory, feed)) else {
            return;
        };
        // Filters may have changed since: a feed that cannot be read today must not keep the others from starting.
        let mut complete = true;
        for (index, feed) in self.feeds.iter().enumerate() {
            match parse(feed, &bytes) {
                Ok(blocks) => self.deliver(index, feed, blocks),
                Err(error) => {
                    complete = false;
                    tracing::warn!(feed = self.name(), filter = feed.filter(), error, "stored copy cannot be used");
                }
            }
        }
        if complete {
            self.state().digest = Some(Sha256::digest(&bytes).into());
            self.set_success(since);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches once, conditionally, and takes what is new.
    ///
    /// # Errors
    /// When it cannot be fetched in time or not be read. Then nothing has changed.
    pub async fn refresh(self: Arc<Self>, validators: &mut Validators) -> Result<Refreshed, String> {
        let source = self.clone();
        let (taken, new_validators) = if let Some(path) = self.url.strip_prefix("file://") {
            let path = PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned());
            let largest = self.bounds.largest;
            (blocking(move || source.take(&disk::read(&path, largest)?)).await?, Validators::new())
        } else {
            let fetching = fetch(&self.url, validators, self.bounds.largest);
            match tokio::time::timeout(self.settings.timeout, fetching).await {
                Ok(Ok(Answer::Content(bytes, new))) => (blocking(move || source.take(&bytes)).await?, new),
                Ok(Ok(Answer::Unchanged)) => {
                    if !blocking(move || Ok(source.confirm())).await? {
                        // The stored copy is gone: get one the next time.
                        validators.clear();
                    }
                    return Ok(Refreshed::Unchanged);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(format!("it took longer than {:?}", self.settings.timeout)),
            }
        };
        // Only now: a server must not say `unchanged` of content that was refused.
        *validators = new_validators;
        Ok(taken)
    }

    /// Takes new content if all feeds can be read from it; else nothing changes.
    fn take(&self, bytes: &[u8]) -> Result<Refreshed, String> {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if self.state().digest == Some(digest) {
            self.store(bytes);
            return Ok(Refreshed::Unchanged);
        }
        let read: Vec<Vec<IpNet>> = self.feeds.iter().map(|feed| parse(feed, bytes)).collect::<Result<_, _>>()?;
        self.store(bytes);
        for (index, (feed, blocks)) in self.feeds.iter().zip(read).enumerate() {
            self.deliver(index, feed, blocks);
        }
        self.state().digest = Some(digest);
        Ok(Refreshed::Ok)
    }

    fn store(&self, bytes: &[u8]) {
        if let Some((directory, feed)) = self.directory()
            && let Err(error) = disk::store(directory, feed, bytes)
        {
            tracing::warn!(feed = self.name(), %error, "feed cannot be stored: it is in use, but lost by a restart");
        }
    }

    /// Notes on disk that what is in use is still good. False where that fails.
    fn confirm(&self) -> bool {
        self.directory().is_none_or(|(directory, feed)| disk::confirm(directory, feed).is_ok())
    }

    fn deliver(&self, index: usize, feed: &Feed, blocks: Vec<IpNet>) {
        let (filter, now, covered) = (feed.filter(), blocks.len(), extent(&blocks));
        let replaced = self.state().counts.get_mut(index).map(|count| std::mem::replace(count, (now, covered)));
        let (before, covered_before) = replaced.unwrap_or_default();
        if more_than_doubled(covered_before, covered) {
            tracing::warn!(feed = feed.name(), filter, before, now, "feed covers more than twice the addresses; taken");
        }
        if now * 2 < before {
            tracing::warn!(feed = feed.name(), filter, before, now, "feed lost more than half of its blocks; taken");
        }
        self.metrics.feed_prefixes.with_label_values(&[feed.name(), &filter]).set(now as i64);
        (self.on_update)(feed, blocks);
    }
}

/// Whether far more addresses of a family are covered than before. The first blocks of a family are no growth.
fn more_than_doubled(before: [u128; 2], now: [u128; 2]) -> bool {
    before.iter().zip(now).any(|(before, now)| *before > 0 && now > before.saturating_mul(2))
}

/// Runs what reads files or megabytes where it holds up no connection.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_from_a_beginning() {
        let cases = [
            ([0, 0], [1 << 24, 1 << 100], false),
            ([256, 0], [512, 1 << 100], false),
            ([256, 0], [513, 0], true),
            ([256, 1 << 64], [128, 1 << 66], true),
            ([256, u128::MAX], [256, u128::MAX], false),
        ];
        for (before, now, expected) in cases {
            assert_eq!(more_than_doubled(before, now), expected, "{before:?} {now:?}");
        }
    }
}
