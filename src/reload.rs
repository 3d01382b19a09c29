//! Changing the policy, the clients, certificates, the challenge page and the pass keys of a running gateway: validate first,
//! then swap at once; a bad file changes nothing.
//!
//! Files are looked at by their metadata every second: that also sees the symbolic links that Kubernetes swaps, and
//! costs a few system calls. Folders of keys, and those that an import looks through, are among them. What listens and is
//! asked stays as it was at start; what signs requests to origins is read again by `credentials`.

#![allow(clippy::disallowed_methods, reason = "rank 6: looks at files and waits")]

use crate::clock::Timestamp;
use crate::config::{Files, LoadedPolicy, load_noting};
use crate::document::Diagnostics;
use crate::feeds::{self, FeedsSettings};
use crate::identity::Roster;
use crate::issuers::Issuers;
use crate::listener::{Address, Certificate, CertificateCell, Certificates, ClientAuthorities};
use crate::network::{Feed, IpNet};
use crate::policy::NetworkId;
use crate::policy::ToldApart;
use crate::proxy::{Gateway, LoggedFacts, Ruling};
use crate::surroundings::{Geo, Surroundings};
use arc_swap::ArcSwapOption;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often files are looked at. A change is taken when it has stood still for as long.
const LOOK: Duration = Duration::from_secs(1);

/// The policy in force, with what keeps its networks fresh.
pub struct Steering {
    gateway: Arc<Gateway>,
    surroundings: Arc<Surroundings>,
    feeds: Mutex<FeedState>,
    issuers: Issuers,
    certificates: Mutex<BTreeMap<Address, Arc<CertificateCell>>>,
    refused: ArcSwapOption<Refused>,
    background: CancellationToken,
}

/// A configuration that was refused, so that the one before it is still in force.
#[derive(Debug)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// Why, each mistake in a line.
    pub because: Vec<String>,
}

/// What feeds have brought, and whom it is for.
#[derive(Default)]
struct FeedState {
    known: HashMap<Feed, Vec<IpNet>>,
    targets: Vec<(NetworkId, usize, Feed)>,
    running: Option<(HashSet<Feed>, FeedsSettings, CancellationToken)>,
}

impl Steering {
    /// Steers `gateway`, whose first policy has been loaded with these feeds. Must be called within a tokio runtime.
    pub fn new(
        gateway: Arc<Gateway>,
        surroundings: Arc<Surroundings>,
        targets: Vec<(NetworkId, usize, Feed)>,
        settings: &FeedsSettings,
        background: CancellationToken,
    ) -> Arc<Self> {
        let issuers = Issuers::new(gateway.metrics.clone(), background.clone());
        let (feeds, certificates, refused) = Default::default();
        let steering = Steering { gateway, surroundings, feeds, issuers, certificates, refused, background };
        let steering = Arc::new(steering);
        steering.feeds().targets = targets;
        steering.keep_feeds(settings);
        steering.mark_good();
        steering
    }

    /// Replaces the clients that may prove themselves. The keys of their issuers are fetched in the background; those that are
    /// known already stay. Must be called within a tokio runtime.
    pub fn accept(&self, clients: Roster) {
        self.gateway.accept(clients.with_keys(|source| self.issuers.keys(source)));
    }

    /// Has the listener at `address` use these certificates, and believe those of `clients`, from the next handshake on.
    pub fn certify(
        &self,
        address: &Address,
        certificates: Vec<(String, Certificate)>,
        clients: Option<ClientAuthorities>,
    ) -> Arc<CertificateCell> {
        let mut cells = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(address.clone()).or_default().clone();
        for (name, certificate) in &certificates {
            let expires = self.gateway.metrics.connections.certificates_expire.with_label_values(&[name]);
            expires.set(certificate.expires);
        }
        let certificates: Vec<Certificate> = certificates.into_iter().map(|(_, certificate)| certificate).collect();
        cell.set(Certificates::new(&certificates), clients);
        cell
    }

    fn feeds(&self) -> MutexGuard<'_, FeedState> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was refused when the configuration was last loaded again; `None` where it was good.
    pub fn refused(&self) -> Option<Arc<Refused>> {
        self.refused.load_full()
    }

    fn refuse(&self, because: Vec<String>) {
        self.refused.store(Some(Arc::new(Refused { at: self.gateway.clock.now(), because })));
    }

    fn mark_good(&self) {
        self.refused.store(None);
        let metrics = &self.gateway.metrics;
        metrics.last_reload_good.set(1);
        metrics.loaded_at.set(i64::try_from(self.gateway.clock.now().seconds()).unwrap_or(i64::MAX));
    }

    /// Fetches the feeds of the policy, unless that goes on already in the same way.
    fn keep_feeds(self: &Arc<Self>, settings: &FeedsSettings) {
        let mut state = self.feeds();
        let wanted: HashSet<Feed> = state.targets.iter().map(|(_, _, feed)| feed.clone()).collect();
        if state.running.as_ref().is_some_and(|(running, kept, _)| *running == wanted && kept == settings) {
            return;
        }
        if let Some((before, _, stop)) = state.running.take() {
            stop.cancel();
            // What nobody keeps fresh any more must not look stale.
            let metrics = &self.gateway.metrics;
            for feed in before.iter().filter(|feed| wanted.iter().all(|other| other.name() != feed.name())) {
                let _ = metrics.feed_last_success.remove_label_values(&[feed.name()]);
                let _ = metrics.feed_prefixes.remove_label_values(&[feed.name(), &feed.filter()]);
            }
        }
        state.known.retain(|feed, _| wanted.contains(feed));
        let stop = self.background.child_token();
        let feeds = wanted.iter().cloned().collect();
        state.running = Some((wanted, settings.clone(), stop.clone()));
        drop(state);
        let steering = self.clone();
        let take = move |feed: &Feed, blocks: Vec<IpNet>| steering.take(feed, blocks);
        feeds::start(feeds, settings.clone(), take, self.gateway.metrics.clone(), stop);
    }

    /// Takes what a feed has brought.
    fn take(&self, feed: &Feed, blocks: Vec<IpNet>) {
        let mut state = self.feeds();
        let ruling = self.gateway.ruling.load();
        for (network, number, _) in state.targets.iter().filter(|(_, _, target)| target == feed) {
            ruling.policy.networks.set_feed(*network, *number, blocks.clone());
        }
        state.known.insert(feed.clone(), blocks);
    }

    /// Puts a policy in force, and the clients that it may name. Limits go on with what they have counted, feeds with what they have brought.
    pub fn install(self: &Arc<Self>, loaded: LoadedPolicy, clients: Roster, geo: Geo, feeds: &FeedsSettings) {
        let gateway = &self.gateway;
        let limits = Arc::new(gateway.ruling.load().limits.renewed(&loaded.limits));
        let LoadedPolicy { pass_limits, wait_limits, solves, networks, auto, lists, .. } = loaded;
        let (policy, decision) = (Arc::new(loaded.policy), loaded.decision);
        let harder = loaded.challenge.harder.clone();
        let networks = ToldApart::new(networks, &gateway.priced);
        gateway.metrics.costs.decide_by(&decision);
        let ruling =
            Ruling { policy, limits, pass_limits, wait_limits, solves, harder, networks, auto, decision, lists };
        let mut state = self.feeds();
        for (network, number, feed) in &loaded.feeds {
            if let Some(blocks) = state.known.get(feed) {
                ruling.policy.networks.set_feed(*network, *number, blocks.clone());
            }
        }
        state.targets = loaded.feeds;
        self.surroundings.set_half_life(loaded.strikes.half_life);
        self.surroundings.set_geo(geo);
        gateway.gate.set_settings(loaded.challenge);
        self.accept(clients);
        gateway.ruling.store(Arc::new(ruling));
        drop(state);
        self.keep_feeds(feeds);
        self.mark_good();
    }

    /// Loads the gateway file again. Says whether it was good, and which files it was read from.
    pub fn reload(self: &Arc<Self>, path: &std::path::Path) -> (bool, Files) {
        let mut files = Files::default();
        let mut diagnostics = Diagnostics::default();
        let loaded = load_noting(path, &mut files, &mut diagnostics);
        let metrics = &self.gateway.metrics;
        let good = match loaded {
            Ok(Some(config)) => {
                for doubt in diagnostics.sorted() {
                    tracing::warn!("{doubt}");
                }
                // Where none are configured any more, those of the start stay.
                if let Some(keys) = config.pass_keys {
                    self.gateway.gate.set_keys(keys);
                }
                let shown = config.certificates.into_iter().zip(config.client_authorities);
                for (listener, (certificates, clients)) in config.file.listeners.0.iter().zip(shown) {
                    self.certify(&listener.address, certificates, clients);
                }
                self.gateway.page.store(Arc::new(config.page));
                let logs_facts = config.file.access_log.facts == LoggedFacts::Policy;
                self.gateway.logs_facts.store(logs_facts, Ordering::Relaxed);
                self.gateway.robots.store(config.robots.map(Arc::new));
                let mode = config.policy.policy.mode();
                let rules = config.policy.policy.rules().len();
                self.gateway.operators.store(Arc::new(config.operators));
                self.install(config.policy, config.clients, config.geo, &config.file.feeds);
                tracing::info!(
                    ?mode,
                    rules,
                    "policy, clients, operators, certificates, page and pass keys were loaded again; listeners and sites stay as they were at start"
                );
                true
            }
            Ok(None) => {
                for mistake in diagnostics.sorted() {
                    tracing::error!("{mistake}");
                }
                tracing::error!("the configuration is refused: nothing has changed");
                self.refuse(diagnostics.sorted().map(ToString::to_string).collect());
                false
            }
            Err(message) => {
                tracing::error!("{message}: nothing has changed");
                self.refuse(vec![message]);
                false
            }
        };
        metrics.reloads.with_label_values(&[if good { "ok" } else { "error" }]).inc();
        metrics.last_reload_good.set(good.into());
        (good, files)
    }

    /// Reloads when a file changes or `now` is notified, until the gateway stops. `files` are those that the first
    /// configuration was read from.
    pub async fn watch(self: Arc<Self>, path: PathBuf, mut files: Files, now: Arc<Notify>) {
        let mut taken = look(&files);
        let mut before = taken.clone();
        let stop = self.background.clone();
        loop {
            let told = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = now.notified() => true,
                () = stop.cancelled() => return,
            };
            let seen = look(&files);
            let settled = seen == before;
            before = seen.clone();
            if !told && (seen == taken || !settled) {
                continue;
            }
            let (steering, path) = (self.clone(), path.clone());
            // Compiling a large policy takes a while, and requests go on.
            let Ok((_, read)) = tokio::task::spawn_blocking(move || steering.reload(&path)).await else { continue };
            files = read;
            // What changed while it was read, in a file known before, is seen as a change again.
            let known = look(&files);
            taken = if known.len() == seen.len() { seen } else { known };
            before = taken.clone();
        }
    }
}

/// What can be seen of files without reading them.
fn look(files: &Files) -> Vec<Option<(u64, u64, i64, i64)>> {
    let seen = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
    };
    files.0.iter().map(seen).collect()
}
