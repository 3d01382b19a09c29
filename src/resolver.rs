//! Addresses of origins: resolved in the background as long as DNS says they live, and checked for a connection.

#![allow(clippy::disallowed_methods, reason = "rank 4: DNS, sockets and the monotonic clock")]

use crate::metrics::Metrics;
use crate::origin::Origin;
use hickory_resolver::TokioResolver;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// No record is asked for again sooner, or believed longer, whatever its TTL.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);
/// How often a connection is tried, for readiness.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Addresses of one name that are checked; S3 answers with eight.
const MAX_CHECKED: usize = 16;
/// The first look-up is waited for so long at start.
const FIRST: Duration = Duration::from_secs(5);

/// Resolves `origin`, waiting a little for the first answer, and goes on in the background until `stop`.
pub async fn start(site: Arc<str>, origin: Arc<Origin>, metrics: Metrics, stop: CancellationToken) {
    let (ready, first) = tokio::sync::oneshot::channel();
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let mut ready = Some(ready);
        let mut resolver = None;
        let mut due = Instant::now();
        loop {
            if Instant::now() >= due {
                due = Instant::now() + resolve(&site, &origin, &metrics, &mut resolver).await;
            }
            check(&site, &origin, &metrics).await;
            ready.take().map(|ready| ready.send(()));
            let until_due = due.saturating_duration_since(Instant::now());
            tokio::time::sleep(until_due.min(CHECK_INTERVAL)).await;
        }
    }));
    let _ = tokio::time::timeout(FIRST, first).await;
}

/// Looks the host up and says when to do so again.
async fn resolve(site: &str, origin: &Origin, metrics: &Metrics, resolver: &mut Option<TokioResolver>) -> Duration {
    let port = origin.url.port;
    if let Ok(address) = origin.url.host.parse::<IpAddr>() {
        origin.addresses.set(vec![SocketAddr::new(address, port)]);
        return LONGEST;
    }
    let count = |result| metrics.resolutions.with_label_values(&[site, &*origin.name, result]).inc();
    if resolver.is_none() {
        *resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build()).ok();
    }
    let found = match resolver {
        Some(resolver) => resolver.lookup_ip(origin.url.host.as_str()).await.map_err(|error| error.to_string()),
        None => Err("the system's resolver configuration cannot be read".into()),
    };
    match found {
        Ok(found) => {
            count("ok");
            origin.addresses.set(found.iter().map(|address| SocketAddr::new(address, port)).collect());
            found.valid_until().saturating_duration_since(Instant::now()).clamp(SHORTEST, LONGEST)
        }
        Err(error) => {
            count("error");
            tracing::warn!(origin = &*origin.name, host = origin.url.host, error, "the origin's name was not resolved");
            SHORTEST
        }
    }
}

/// Connects to each address and hangs up. A host without IPv6 connects to none of the AAAA records, for example.
async fn check(site: &str, origin: &Origin, metrics: &Metrics) {
    let mut attempts = JoinSet::new();
    for address in origin.addresses.resolved().iter().take(MAX_CHECKED).copied() {
        let connecting = tokio::time::timeout(origin.settings.connect_timeout, TcpStream::connect(address));
        attempts.spawn(async move { matches!(connecting.await, Ok(Ok(_))).then_some(address) });
    }
    let mut connected: Vec<SocketAddr> = attempts.join_all().await.into_iter().flatten().collect();
    connected.sort_unstable();
    metrics.origins.up.with_label_values(&[site, &*origin.name]).set((!connected.is_empty()).into());
    origin.addresses.set_connected(connected);
}
