//! Feeds of network addresses: fetched in the background, the last good copy kept on disk and in use.
//!
//! No request and no start waits for a feed, and nothing that a feed's server does takes away what was good before.

#![allow(clippy::disallowed_methods, reason = "rank 4: files, sockets and the wall clock")]

mod disk;
mod fetch;
mod once;
mod source;

pub use disk::{cached, given};
pub use once::{NotRenewed, renew};

use crate::metrics::Metrics;
use crate::network::{Feed, IpNet};
use fetch::Validators;
use source::{Refreshed, Source, State};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// The largest feed in bytes. That of AWS has 3 MB, that of Azure 5 MB.
const LARGEST: usize = 64 << 20;
const REFRESH: Duration = Duration::from_secs(12 * 3600);
const TIMEOUT: Duration = Duration::from_secs(30);

crate::settings! {
    /// How feeds are kept fresh.
    #[derive(PartialEq)]
    pub struct FeedsSettings {
        /// Where the last good copies are kept, so that a start without network has them; relative to this file.
        /// Nowhere where absent.
        directory: Option<PathBuf> = None,
        /// How often feeds are fetched, at least every minute. Spread by a tenth, so that gateways do not ask at once.
        refresh: Duration = REFRESH,
        /// How long one fetch may take as a whole.
        timeout: Duration = TIMEOUT,
    }
}

impl Default for FeedsSettings {
    fn default() -> Self {
        FeedsSettings { directory: None, refresh: REFRESH, timeout: TIMEOUT }
    }
}

/// What tests make smaller.
#[derive(Clone, Copy)]
struct Bounds {
    largest: usize,
    shortest_refresh: Duration,
    first_retry: Duration,
    last_retry: Duration,
}

const BOUNDS: Bounds = Bounds {
    largest: LARGEST,
    shortest_refresh: Duration::from_secs(60),
    first_retry: Duration::from_secs(60),
    last_retry: Duration::from_secs(3600),
};

/// Called with the blocks of a feed whenever there are new ones.
type OnUpdate = dyn Fn(&Feed, Vec<IpNet>) + Send + Sync;

/// Keeps `feeds` fresh until `stop`. Must be called within a tokio runtime.
///
/// Last good copies are read and handed to `on_update` before this returns; all else happens in the background.
/// `on_update` gets all blocks of a feed that has changed, at least one. It may be called from several threads, though
/// never twice at once for the same feed, and once more after `stop`. Feeds of one URL are fetched once, and taken only
/// if all of them can be read.
pub fn start(
    feeds: Vec<Feed>,
    settings: FeedsSettings,
    on_update: impl Fn(&Feed, Vec<IpNet>) + Send + Sync + 'static,
    metrics: Metrics,
    stop: CancellationToken,
) {
    start_within(feeds, settings, BOUNDS, Arc::new(on_update), metrics, stop);
}

fn start_within(
    feeds: Vec<Feed>,
    settings: FeedsSettings,
    bounds: Bounds,
    on_update: Arc<OnUpdate>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut sources: BTreeMap<String, Vec<Feed>> = BTreeMap::new();
    for feed in feeds {
        let same_url = sources.entry(feed.url.clone()).or_default();
        if !same_url.contains(&feed) {
            same_url.push(feed);
        }
    }
    for (url, feeds) in sources {
        let state = Mutex::new(State { digest: None, counts: vec![Default::default(); feeds.len()] });
        let (settings, on_update, metrics) = (settings.clone(), on_update.clone(), metrics.clone());
        let source = Arc::new(Source { url, feeds, settings, bounds, on_update, metrics, state });
        source.introduce();
        tokio::spawn(stop.clone().run_until_cancelled_owned(keep_fresh(source)));
    }
}

/// `length` give or take `share` of it.
fn spread(length: Duration, share: f64) -> Duration {
    length.mul_f64(1.0 + share * (2.0 * rand::random::<f64>() - 1.0))
}

async fn keep_fresh(source: Arc<Source>) {
    let Bounds { shortest_refresh, first_retry, last_retry, .. } = source.bounds;
    let refresh = source.settings.refresh.max(shortest_refresh);
    // They begin empty, so that a start gets content rather than trust in a file that others may have touched.
    let mut validators = Validators::new();
    let mut failures: u32 = 0;
    loop {
        let result = source.clone().refresh(&mut validators).await;
        let word = match &result {
            Ok(Refreshed::Ok) => "ok",
            Ok(Refreshed::Unchanged) => "unchanged",
            Err(_) => "error",
        };
        source.metrics.feed_refreshes.with_label_values(&[source.name(), word]).inc();
        let wait = match result {
            Ok(_) => {
                failures = 0;
                source.set_success(SystemTime::now());
                spread(refresh, 0.1)
            }
            Err(error) => {
                let wait = first_retry.saturating_mul(1 << failures.min(16)).min(last_retry).min(refresh);
                failures += 1;
                let what = if source.has_content() {
                    "feed not refreshed; the last good one stays"
                } else {
                    "feed not read; until it is, nobody can tell who is in it"
                };
                tracing::warn!(feed = source.name(), error, failures, "{what}");
                spread(wait, 0.3)
            }
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Format;
    use bytes::Bytes;
    use http::{Request, Response, header};
    use http_body_util::Full;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use std::collections::VecDeque;
    use std::path::Path;
    use std::time::UNIX_EPOCH;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    const QUICK: Bounds = Bounds {
        largest: 1000,
        shortest_refresh: Duration::ZERO,
        first_retry: Duration::from_millis(2),
        last_retry: Duration::from_millis(10),
    };
    const SOON: Duration = Duration::from_millis(5);
    const NEVER: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(20);

    /// What a client sent: path, then the validators.
    type Asked = (String, Option<String>, Option<String>);

    /// A server that gives each of its answers once, and the last one for ever. Returns its URL and what it is asked.
    async fn server(answers: Vec<http::response::Builder>, bodies: &[&str]) -> (String, UnboundedReceiver<Asked>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers
            .into_iter()
            .zip(bodies)
            .map(|(answer, body)| answer.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap());
        let answers = Arc::new(Mutex::new(answers.collect::<VecDeque<Response<Full<Bytes>>>>()));
        let (asked, asks) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answers, asked) = (answers.clone(), asked.clone());
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let value = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
                    let known = (value(header::IF_NONE_MATCH), value(header::IF_MODIFIED_SINCE));
                    assert!(value(header::USER_AGENT).unwrap().starts_with("windscreen/"));
                    let _ = asked.send((request.uri().to_string(), known.0, known.1));
                    let mut answers = answers.lock().unwrap();
                    let answer = answers.pop_front().unwrap();
                    if answers.is_empty() {
                        answers.push_back(answer.clone());
                    }
                    async move { Ok::<_, std::convert::Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        (url, asks)
    }

    fn answer(status: u16) -> http::response::Builder {
        Response::builder().status(status)
    }

    fn list(url: String) -> Feed {
        Feed { url, format: Format::List }
    }

    /// Feeds that are kept fresh until this is dropped.
    struct Kept {
        updates: UnboundedReceiver<(Feed, String)>,
        metrics: Metrics,
        _stop: tokio_util::sync::DropGuard,
    }

    fn keep(feeds: &[Feed], directory: Option<&Path>, refresh: Duration) -> Kept {
        let (stop, metrics) = (CancellationToken::new(), Metrics::new().unwrap());
        let (sender, updates) = unbounded_channel();
        let update = move |feed: &Feed, blocks: Vec<IpNet>| {
            let blocks: Vec<String> = blocks.iter().map(ToString::to_string).collect();
            let _ = sender.send((feed.clone(), blocks.join(" ")));
        };
        let directory = directory.map(Path::to_owned);
        let settings = FeedsSettings { directory, refresh, timeout: Duration::from_secs(10) };
        start_within(feeds.to_vec(), settings, QUICK, Arc::new(update), metrics.clone(), stop.clone());
        Kept { updates, metrics, _stop: stop.drop_guard() }
    }

    impl Kept {
        async fn update(&mut self) -> String {
            tokio::time::timeout(PATIENCE, self.updates.recv()).await.unwrap().unwrap().1
        }

        fn count(&self, feed: &Feed, result: &str) -> u64 {
            self.metrics.feed_refreshes.with_label_values(&[feed.name(), result]).get()
        }

        /// Waits until so many refreshes ended thus.
        async fn counted(&self, feed: &Feed, result: &str, count: u64) {
            let reached = async {
                while self.count(feed, result) < count {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(PATIENCE, reached).await.unwrap();
        }

        fn last_success(&self, feed: &Feed) -> i64 {
            self.metrics.feed_last_success.with_label_values(&[feed.name()]).get()
        }

        fn prefixes(&self, feed: &Feed) -> i64 {
            self.metrics.feed_prefixes.with_label_values(&[feed.name(), &*feed.filter()]).get()
        }
    }

    fn age_in_days(directory: &Path, feed: &Feed) -> u64 {
        cached(directory, feed).unwrap().1.elapsed().unwrap().as_secs() / 86_400
    }

    fn make_old(directory: &Path, feed: &Feed) {
        let file = std::fs::File::options().append(true).open(directory.join(feed.id())).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(10 * 86_400)).unwrap();
    }

    #[tokio::test]
    async fn new_content_is_delivered_stored_and_asked_for_conditionally() {
        let directory = tempfile::tempdir().unwrap();
        let fresh = answer(200).header("etag", "\"1\"").header("last-modified", "Sat, 21 Nov 2026 08:00:00 GMT");
        let answers = vec![fresh, answer(304), answer(200)];
        let (url, mut asks) = server(answers, &["192.0.2.0/24\n198.51.100.1", "", "203.0.113.0/24"]).await;
        let feed = list(format!("{url}/blocks?x=1"));
        let mut kept = keep(std::slice::from_ref(&feed), Some(directory.path()), SOON);
        assert_eq!(kept.update().await, "192.0.2.0/24 198.51.100.1/32");
        assert_eq!(kept.update().await, "203.0.113.0/24");
        assert_eq!(cached(directory.path(), &feed).unwrap().0, b"203.0.113.0/24");
        // From now on the same content comes again and again: that is no update.
        kept.counted(&feed, "unchanged", 3).await;
        assert!(kept.updates.try_recv().is_err());
        assert_eq!((kept.count(&feed, "ok"), kept.count(&feed, "error"), kept.prefixes(&feed)), (2, 0, 1));
        assert!(kept.last_success(&feed) > 0);
        assert_eq!(asks.recv().await.unwrap(), ("/blocks?x=1".into(), None, None));
        let (_, etag, modified) = asks.recv().await.unwrap();
        assert_eq!((etag.as_deref(), modified.as_deref()), (Some("\"1\""), Some("Sat, 21 Nov 2026 08:00:00 GMT")));
    }

    #[tokio::test]
    async fn an_unchanged_feed_counts_as_fresh() {
        let directory = tempfile::tempdir().unwrap();
        let (url, _asks) = server(vec![answer(200).header("etag", "x"), answer(304)], &["192.0.2.0/24", ""]).await;
        let feed = list(url);
        let mut kept = keep(std::slice::from_ref(&feed), Some(directory.path()), SOON);
        kept.update().await;
        make_old(directory.path(), &feed);
        let before = kept.count(&feed, "unchanged");
        kept.counted(&feed, "unchanged", before + 2).await;
        assert_eq!(age_in_days(directory.path(), &feed), 0);
    }

    #[tokio::test]
    async fn whatever_fails_the_last_good_one_stays() {
        let large = "192.0.2.0/24\n".repeat(100);
        let failures: [(http::response::Builder, &str); 6] = [
            (answer(500), ""),
            (answer(304), ""),
            (answer(200), &large),
            (answer(200), "<html>"),
            (answer(200), ""),
            (answer(302).header("location", "/again"), ""),
        ];
        for (failure, body) in failures {
            let directory = tempfile::tempdir().unwrap();
            let what = format!("{failure:?} {}", body.len());
            let (url, _asks) = server(vec![answer(200), failure], &["192.0.2.0/24", body]).await;
            let feed = list(url);
            let mut kept = keep(std::slice::from_ref(&feed), Some(directory.path()), SOON);
            assert_eq!(kept.update().await, "192.0.2.0/24", "{what}");
            kept.counted(&feed, "error", 3).await;
            assert!(kept.updates.try_recv().is_err(), "{what}");
            assert_eq!((kept.count(&feed, "ok"), kept.prefixes(&feed)), (1, 1), "{what}");
            assert_eq!(cached(directory.path(), &feed).unwrap().0, b"192.0.2.0/24", "{what}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_tried_again_before_the_next_refresh() {
        let (url, _asks) = server(vec![answer(503), answer(503), answer(200)], &["", "", "192.0.2.0/24"]).await;
        let feed = list(url);
        let mut kept = keep(std::slice::from_ref(&feed), None, NEVER);
        assert_eq!(kept.update().await, "192.0.2.0/24");
        assert_eq!(kept.count(&feed, "error"), 2);
    }

    #[tokio::test]
    async fn a_start_without_network_has_the_stored_copy_at_once() {
        let directory = tempfile::tempdir().unwrap();
        // Nobody listens on the discard port.
        let feed = list("http://127.0.0.1:9/blocks".into());
        disk::store(directory.path(), &feed, b"192.0.2.0/24").unwrap();
        make_old(directory.path(), &feed);
        let mut kept = keep(std::slice::from_ref(&feed), Some(directory.path()), NEVER);
        assert_eq!(kept.updates.try_recv().unwrap(), (feed.clone(), "192.0.2.0/24".into()));
        kept.counted(&feed, "error", 2).await;
        let then = UNIX_EPOCH + Duration::from_secs(kept.last_success(&feed).try_into().unwrap());
        assert_eq!(then.elapsed().unwrap().as_secs() / 86_400, 10);
        assert_eq!(age_in_days(directory.path(), &feed), 10);
    }

    #[tokio::test]
    async fn a_broken_copy_and_a_directory_that_cannot_be_written_hold_nothing_up() {
        let directory = tempfile::tempdir().unwrap();
        let (url, _asks) = server(vec![answer(200)], &["192.0.2.0/24"]).await;
        let feed = list(url);
        disk::store(directory.path(), &feed, b"<html>").unwrap();
        let mut kept = keep(std::slice::from_ref(&feed), Some(directory.path()), NEVER);
        assert!(kept.updates.try_recv().is_err());
        assert_eq!(kept.update().await, "192.0.2.0/24");
        assert_eq!(cached(directory.path(), &feed).unwrap().0, b"192.0.2.0/24");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");

        let no_directory = directory.path().join(feed.id());
        let mut kept = keep(std::slice::from_ref(&feed), Some(&no_directory), NEVER);
        assert_eq!(kept.update().await, "192.0.2.0/24");
        kept.counted(&feed, "ok", 1).await;
    }

    #[tokio::test]
    async fn redirects_are_followed() {
        let (url, mut asks) = server(
            vec![answer(301).header("location", "/b"), answer(307).header("location", "/c"), answer(200)],
            &["", "", "192.0.2.0/24"],
        )
        .await;
        let feed = list(format!("{url}/a"));
        assert_eq!(keep(&[feed], None, NEVER).update().await, "192.0.2.0/24");
        for path in ["/a", "/b", "/c"] {
            assert_eq!(asks.recv().await.unwrap().0, path);
        }
    }

    #[tokio::test]
    async fn feeds_of_one_url_are_fetched_once_and_taken_only_together() {
        let meta = r#"{"hooks": ["192.0.2.0/24"], "web": ["198.51.100.0/24"]}"#;
        let (url, mut asks) = server(vec![answer(200), answer(200)], &[meta, r#"{"hooks": ["203.0.113.0/24"]}"#]).await;
        let feed = |key: &str| Feed { url: url.clone(), format: Format::GithubMeta { key: vec![key.into()] } };
        let feeds = [feed("hooks"), feed("web"), feed("hooks")];
        let mut kept = keep(&feeds, None, SOON);
        assert_eq!(kept.update().await, "192.0.2.0/24");
        assert_eq!(kept.update().await, "198.51.100.0/24");
        asks.recv().await.unwrap();
        kept.counted(&feeds[0], "error", 1).await;
        assert!(kept.updates.try_recv().is_err());
        assert_eq!(kept.count(&feeds[0], "ok"), 1);
    }

    #[tokio::test]
    async fn a_file_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my blocks");
        std::fs::write(&path, "192.0.2.0/24").unwrap();
        let feed = list(format!("file://{}", path.display()).replace(' ', "%20"));
        let mut kept = keep(std::slice::from_ref(&feed), None, SOON);
        assert_eq!(kept.update().await, "192.0.2.0/24");
        std::fs::write(&path, "198.51.100.0/24").unwrap();
        assert_eq!(kept.update().await, "198.51.100.0/24");
        std::fs::remove_file(&path).unwrap();
        kept.counted(&feed, "error", 1).await;
    }
}
