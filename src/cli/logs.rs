//! What `replay` and `report` have in common: policies to judge by, logs to read, and how far that has come.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads files")]

use super::explain::known_feeds;
use super::{LogArguments, kept};
use crate::clock::Timestamp;
use crate::config::{BucketLogSettings, Config, GatewayFile, LoadedPolicy, load, load_in_place};
use crate::cost::PriceBook;
use crate::credentials::{self, CredentialsSource};
use crate::document::{Diagnostics, Spanned};
use crate::metrics::Metrics;
use crate::origin::{BucketAddress, OriginUrl, Signer};
use crate::replay::{
    self, Access, Addressed, Bucket, Cache, Format, Judge, Log, Objects, Own, Places, Plan, Replayed, find, in_order,
    open,
};
use crate::report::{counted, grouped};
use crate::surroundings::Geo;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// What a gateway file says besides its policy.
pub(super) struct Deployed {
    /// The file.
    pub file: GatewayFile,
    /// What origins charge.
    pub prices: PriceBook,
    /// Databases of countries and autonomous systems.
    pub geo: Geo,
}

/// A policy, and the deployment that it is for.
pub(super) struct Basis {
    /// The gateway's configuration, where one was named.
    pub deployed: Option<Deployed>,
    /// The policy.
    pub policy: LoadedPolicy,
    /// What it is called.
    pub name: String,
    /// Feeds of which no copy is there: who is in them is unknown.
    pub unknown_feeds: Vec<String>,
}

/// Loads what logs are judged by, by `policy` where that is given. `None` where something is wrong with it, which then is in
/// `diagnostics`.
pub(super) fn basis(
    arguments: &LogArguments,
    policy: Option<&Path>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Basis>, String> {
    let path = arguments.config.as_deref();
    let config = match path {
        Some(path) => match load(path, diagnostics)? {
            Some(config) => Some(config),
            None => return Ok(None),
        },
        None => None,
    };
    let written = config.as_ref().and_then(|config| config.file.policy.file.as_ref()).map(|file| &*file.value);
    let name = policy.or(written).map_or("the built-in policy".to_owned(), |path| path.display().to_string());
    let other = match (policy, &config) {
        (None, Some(_)) => None,
        _ => match load_in_place(policy, config.as_ref().zip(path), diagnostics)? {
            Some(policy) => Some(policy),
            None => return Ok(None),
        },
    };
    let (own, deployed) = match config {
        Some(Config { file, policy, prices, geo, .. }) => (Some(policy), Some(Deployed { file, prices, geo })),
        None => (None, None),
    };
    let Some(policy) = other.or(own) else { return Ok(None) };
    let directory = deployed.as_ref().and_then(|deployed| deployed.file.feeds.directory.as_deref());
    let directories = kept::feeds(arguments, directory);
    if arguments.fetch_feeds {
        let feeds: Vec<_> = policy.feeds.iter().map(|(_, _, feed)| feed.clone()).collect();
        kept::fetch_feeds(&feeds, directories.first())?;
    }
    let feeds = known_feeds(&policy, &directories);
    let unknown_feeds = feeds.into_iter().filter(|(_, known)| !known).map(|(feed, _)| feed).collect();
    Ok(Some(Basis { deployed, policy, name, unknown_feeds }))
}

/// What to do about a feed of which there is no copy.
pub(super) fn unknown(feed: &str) -> String {
    format!("unknown: who is in the feed {feed}: `--fetch-feeds` fetches it, `--feeds` names a folder with a copy")
}

/// How many logs of buckets there were copies of, and how many were read anew.
pub(super) fn told((copies, anew): (u64, u64)) -> String {
    format!("{} of buckets: {} anew, others from copies", counted(copies + anew, "log", "logs"), grouped(anew))
}

/// A bucket with logs, and how it is reached.
pub(super) struct LogBucket {
    address: BucketAddress,
    endpoint: Option<OriginUrl>,
    region: Option<String>,
    /// Nobody signs where there are none.
    credentials: Option<CredentialsSource>,
}

/// What logs are wanted.
pub(super) struct Wanted {
    files: Vec<PathBuf>,
    buckets: Vec<LogBucket>,
    /// Whether only buckets count that are origins of sites.
    known_alone: bool,
    /// Nothing from before.
    pub since: Option<Timestamp>,
}

impl Wanted {
    /// Those that somebody named. The standard AWS chain signs for buckets, in the region that the environment names.
    pub fn named(paths: &[PathBuf]) -> Result<Self, String> {
        let is_bucket = |path: &&PathBuf| path.to_str().is_some_and(|path| path.starts_with("s3://"));
        let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = named("AWS_ENDPOINT_URL_S3").or_else(|| named("AWS_ENDPOINT_URL"));
        let bucket = |path: &PathBuf| {
            Ok(LogBucket {
                address: path.display().to_string().parse()?,
                endpoint: endpoint.as_deref().map(OriginUrl::parse).transpose()?,
                region: named("AWS_REGION").or_else(|| named("AWS_DEFAULT_REGION")),
                credentials: Some(CredentialsSource::Chain),
            })
        };
        let buckets = paths.iter().filter(is_bucket).map(bucket).collect::<Result<_, String>>()?;
        let files = paths.iter().filter(|path| !is_bucket(path)).cloned().collect();
        Ok(Wanted { files, buckets, known_alone: false, since: None })
    }

    /// Those that the gateway file names as evidence.
    pub fn evidence(file: &GatewayFile, since: Timestamp) -> Self {
        let bucket = |entry: &Spanned<BucketLogSettings>| {
            let BucketLogSettings { s3_access_logs, region, endpoint, .. } = entry.value.clone();
            let source = |name: &str| file.credentials.get(name).cloned().unwrap_or(CredentialsSource::Chain);
            let signer = entry.value.signer();
            let credentials = (signer != "anonymous").then(|| source(signer));
            LogBucket { address: s3_access_logs, endpoint, region, credentials }
        };
        let buckets = file.evidence.iter().map(bucket).collect();
        Wanted { files: Vec::new(), buckets, known_alone: true, since: Some(since) }
    }

    /// Whether they are those of the gateway file.
    pub fn is_evidence(&self) -> bool {
        self.known_alone
    }
}

/// What was read.
pub(super) struct Read {
    /// What came of it.
    pub replayed: Replayed,
    /// Of how many logs of buckets there were copies, and how many were read anew; where copies are kept.
    pub fetched: Option<(u64, u64)>,
}

/// Reads logs and judges them by `basis`, and by `other` where there is one.
pub(super) fn judged(
    basis: Basis,
    other: Option<Basis>,
    arguments: &LogArguments,
    format: Format,
    wanted: Wanted,
) -> Result<Read, String> {
    let mut places = match &basis.deployed {
        Some(deployed) => Places::of(addressed(&deployed.file)),
        None => Places::guessed(),
    };
    for (site, bucket) in &arguments.site {
        places.assign(site, bucket);
    }
    let (read, done) = (Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
    let runtime = super::runtime()?;
    let cache = if wanted.buckets.is_empty() { None } else { kept::logs(arguments)? };
    let (known_alone, since) = (wanted.known_alone, arguments.since.or(wanted.since));
    let (size, logs) = logs(wanted, since, &read, cache.as_ref(), &runtime)?;
    let plan = Plan {
        format,
        since: since.unwrap_or(Timestamp(0)),
        until: arguments.until.unwrap_or(Timestamp(u64::MAX)),
        known_alone,
        own: basis.deployed.as_ref().map_or_else(Own::default, |deployed| own(&deployed.file)),
        ..Plan::new(logs, places)
    };
    let mut judge = judge(basis)?;
    let mut other = other.map(self::judge).transpose()?;
    let counts = || cache.as_ref().map(|cache| cache.counts()).filter(|(copies, anew)| copies + anew > 0);
    let replayed = std::thread::scope(|scope| {
        scope.spawn(|| show(size, &read, &done, counts));
        let replayed = replay::replay(plan, &mut judge, other.as_mut());
        done.store(true, Ordering::Relaxed);
        replayed
    });
    Ok(Read { replayed, fetched: counts() })
}

/// All that is wanted, files first, and how many bytes it is.
fn logs(
    wanted: Wanted,
    since: Option<Timestamp>,
    read: &Arc<AtomicU64>,
    cache: Option<&Arc<Cache>>,
    runtime: &Runtime,
) -> Result<(u64, impl Iterator<Item = Log> + Send + 'static), String> {
    let files = find(&wanted.files).map_err(|error| error.to_string())?;
    let mut size = files.iter().map(|file| file.bytes).sum();
    let mut objects = Vec::new();
    for bucket in wanted.buckets {
        let (found, bytes) = runtime.block_on(fetched(bucket, since, read, cache))?;
        objects.push(found);
        size += bytes;
    }
    Ok((size, open(files, read.clone()).chain(in_order(objects))))
}

/// The logs of a bucket, and how many bytes they are.
async fn fetched(
    LogBucket { address, endpoint, region, credentials }: LogBucket,
    since: Option<Timestamp>,
    read: &Arc<AtomicU64>,
    cache: Option<&Arc<Cache>>,
) -> Result<(Objects, u64), String> {
    let signer = match credentials {
        Some(source) => signer("logs", &source).await?,
        None => Signer::Anonymous,
    };
    let bucket = Bucket::open(address, Access { endpoint, region, signer }).await.map_err(|error| error.to_string())?;
    let objects = bucket.find(since).await.map_err(|error| error.to_string())?;
    let size = objects.iter().map(|object| object.bytes).sum();
    Ok((bucket.fetch(objects, read.clone(), cache.cloned()), size))
}

/// By what logs of buckets know the gateway.
fn own(file: &GatewayFile) -> Own {
    let entries = || file.evidence.iter().map(|entry| &entry.value);
    Own {
        requesters: entries().flat_map(|entry| &entry.requesters).map(|name| name.0.clone()).collect(),
        addresses: entries().flat_map(|entry| &entry.addresses).map(|block| block.0).collect(),
    }
}

/// Who signs with the credentials of `source`. They are refreshed as long as the runtime lives.
pub(super) async fn signer(name: &str, source: &CredentialsSource) -> Result<Signer, String> {
    let (cell, metrics) = (Arc::default(), Metrics::new().map_err(|error| error.to_string())?);
    credentials::start(name.into(), source.clone(), Arc::clone(&cell), metrics, CancellationToken::new()).await;
    Ok(Signer::Credentials(cell))
}

/// The sites of a gateway file.
fn addressed(file: &GatewayFile) -> impl Iterator<Item = Addressed<'_>> {
    file.sites.value.0.iter().map(|(name, site)| Addressed {
        name,
        hosts: site.host_names().collect(),
        prefix: site.prefix.as_ref().map(|prefix| prefix.value.as_str()),
        origins: &site.origins.0,
    })
}

fn judge(basis: Basis) -> Result<Judge, String> {
    let (geo, priced) = match basis.deployed {
        Some(Deployed { geo, prices, .. }) => (geo, prices.networks().map(str::to_owned).collect()),
        None => (Geo::default(), Vec::new()),
    };
    Judge::new(judging(basis.policy, geo), &priced, Timestamp(0))
}

/// What a policy is judged by.
fn judging(loaded: LoadedPolicy, geo: Geo) -> replay::Basis {
    let LoadedPolicy { policy, limits, challenge, strikes, networks, .. } = loaded;
    replay::Basis { policy: policy.into(), limits, passes: challenge.pass, strikes, networks, geo }
}

/// Shows how far the reading has come, where a person looks, and only if it takes a while.
fn show(size: u64, read: &AtomicU64, done: &AtomicBool, fetched: impl Fn() -> Option<(u64, u64)>) {
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = "{bar:40} {percent:>3} %  {bytes_per_sec}  {eta} left  {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let mut ticks = 0;
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        ticks += 1;
        if ticks >= 10 {
            bar.set_position(read.load(Ordering::Relaxed));
            fetched().into_iter().for_each(|fetched| bar.set_message(told(fetched)));
        }
    }
    bar.finish_and_clear();
}
