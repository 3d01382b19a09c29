//! What `replay` and `report` have in common: policies to judge by, logs to read, and how far that has come.

#![allow(clippy::disallowed_methods, reason = "rank 6: reads files")]

use super::LogArguments;
use super::explain::known_feeds;
use crate::clock::Timestamp;
use crate::config::{Config, GatewayFile, LoadedPolicy, load, load_in_place};
use crate::cost::PriceBook;
use crate::credentials::{self, CredentialsSource};
use crate::document::Diagnostics;
use crate::metrics::Metrics;
use crate::origin::{OriginUrl, Signer};
use crate::replay::{
    self, Access, Address, Addressed, Bucket, BucketError, Format, Judge, Log, Objects, Places, Plan, Replayed, find,
    open,
};
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

/// Loads what logs are judged by. `None` where something is wrong with it, which then is in `diagnostics`.
pub(super) fn basis(
    path: Option<&Path>,
    policy: Option<&Path>,
    feeds: Option<&Path>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Basis>, String> {
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
    let feeds = known_feeds(&policy, feeds.or(directory));
    let unknown_feeds = feeds.into_iter().filter(|(_, known)| !known).map(|(feed, _)| feed).collect();
    Ok(Some(Basis { deployed, policy, name, unknown_feeds }))
}

/// Reads logs and judges them by `basis`, and by `other` where there is one.
pub(super) fn judged(
    basis: Basis,
    other: Option<Basis>,
    arguments: &LogArguments,
    format: Format,
    paths: &[PathBuf],
) -> Result<Replayed, String> {
    let mut places = match &basis.deployed {
        Some(deployed) => Places::of(addressed(&deployed.file)),
        None => Places::guessed(),
    };
    for (site, bucket) in &arguments.site {
        places.assign(site, bucket);
    }
    let (read, done) = (Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
    let runtime = super::runtime()?;
    let (size, logs) = logs(paths, arguments, &read, &runtime)?;
    let plan = Plan {
        format,
        since: arguments.since.unwrap_or(Timestamp(0)),
        until: arguments.until.unwrap_or(Timestamp(u64::MAX)),
        ..Plan::new(logs, places)
    };
    let mut judge = judge(basis)?;
    let mut other = other.map(self::judge).transpose()?;
    Ok(std::thread::scope(|scope| {
        scope.spawn(|| show(size, &read, &done));
        let replayed = replay::replay(plan, &mut judge, other.as_mut());
        done.store(true, Ordering::Relaxed);
        replayed
    }))
}

/// All that `paths` name, files first, and how many bytes it is.
fn logs(
    paths: &[PathBuf],
    arguments: &LogArguments,
    read: &Arc<AtomicU64>,
    runtime: &Runtime,
) -> Result<(u64, impl Iterator<Item = Log> + Send + 'static), String> {
    let (addresses, paths): (Vec<_>, Vec<_>) =
        paths.iter().cloned().partition(|path| path.to_str().is_some_and(|path| path.starts_with("s3://")));
    let files = find(&paths).map_err(|error| error.to_string())?;
    let mut size = files.iter().map(|file| file.bytes).sum();
    let mut objects = Vec::new();
    for address in addresses {
        let address: Address = address.display().to_string().parse().map_err(|error: BucketError| error.to_string())?;
        let (found, bytes) = runtime.block_on(fetched(address, arguments, read))?;
        objects.push(found.logs());
        size += bytes;
    }
    Ok((size, open(files, read.clone()).chain(objects.into_iter().flatten())))
}

/// The logs of a bucket, and how many bytes they are. The standard AWS chain signs, in the region that the environment
/// names.
async fn fetched(address: Address, arguments: &LogArguments, read: &Arc<AtomicU64>) -> Result<(Objects, u64), String> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = named("AWS_ENDPOINT_URL_S3").or_else(|| named("AWS_ENDPOINT_URL"));
    let access = Access {
        endpoint: endpoint.map(|url| OriginUrl::parse(&url)).transpose()?,
        region: named("AWS_REGION").or_else(|| named("AWS_DEFAULT_REGION")),
        signer: signer("logs", &CredentialsSource::Chain).await?,
    };
    let bucket = Bucket::open(address, access).await.map_err(|error| error.to_string())?;
    let objects = bucket.find(arguments.since).await.map_err(|error| error.to_string())?;
    let size = objects.iter().map(|object| object.bytes).sum();
    Ok((bucket.fetch(objects, read.clone()), size))
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
fn show(size: u64, read: &AtomicU64, done: &AtomicBool) {
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let style = "{bar:40} {percent:>3} %  {bytes_per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let mut ticks = 0;
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        ticks += 1;
        if ticks >= 10 {
            bar.set_position(read.load(Ordering::Relaxed));
        }
    }
    bar.finish_and_clear();
}
