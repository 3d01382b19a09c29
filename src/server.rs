//! Wiring: from a checked configuration to a running gateway.

#![allow(clippy::disallowed_methods, reason = "rank 6: owns the wall clock and the sockets")]

use crate::admin::Admin;
use crate::auto::Auto;
use crate::challenge::{Gate, SigningKeys};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, List, LoadedPolicy};
use crate::cost::PriceBook;
use crate::credentials::{self, CredentialsSource};
use crate::evidence::Rates;
use crate::exchange::{Change, CounterId, Replicated, Total};
use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::limit::{DEFAULT_CAP, Limits};
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::origin::{CredentialsCell, Origin, Seal, Signer, Whereabouts};
use crate::policy::ToldApart;
use crate::proxy::{Asker, Compare, Front, Gateway, Ruling, Site, Sites, authorities};
use crate::register::Register;
use crate::reload::Steering;
use crate::report::projected;
use crate::resolver;
use crate::shared_state::SharedState;
use crate::surroundings::{Surroundings, SystemResolver};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Tables are swept so often: limits one step at a time, the others every [`SWEEP_STEPS`].
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
const SWEEP_STEPS: u32 = 30;
/// What traffic costs is told so often; of full books it takes a tenth of a second.
const PROJECTION_INTERVAL: Duration = Duration::from_secs(300);

/// The wall clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken, or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// Two metrics share a name: a mistake of ours.
    #[error("metrics could not be declared: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A running gateway.
pub struct Server {
    /// Where it listens, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Where the admin listener listens.
    pub admin: Option<SocketAddr>,
    /// What requests share.
    pub gateway: Arc<Gateway>,
    /// Puts another policy in force.
    pub steering: Arc<Steering>,
    /// Switches the rules of mode `auto`.
    pub auto: Arc<Auto>,
    shutdown: watch::Sender<bool>,
    background: DropGuard,
    connections: TaskTracker,
    keeper: Option<Arc<Keeper>>,
    ledger: Option<Arc<Ledger>>,
}

impl Server {
    /// Binds everything, then starts. What the configuration says has been checked before.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Server, StartError> {
        let metrics = Metrics::new()?;
        let background = CancellationToken::new();
        // Whatever ends this function early also ends what runs in the background.
        let guard = background.clone().drop_guard();
        let mut first_looks = JoinSet::new();
        let sites = Sites::new(sites(&config, &metrics, &background, &mut first_looks));
        let keys = config.pass_keys.unwrap_or_else(|| {
            tracing::warn!("no pass_keys are configured: passes end with this process and hold on no other replica");
            SigningKeys::new(rand::random(), [])
        });
        for site in sites.iter() {
            metrics.introduce_site(&site.name, site.origins.iter().map(|origin| &*origin.name));
        }
        metrics.costs.decide_by(&config.policy.decision);
        let LoadedPolicy {
            policy,
            limits,
            pass_limits,
            wait_limits,
            solves,
            challenge,
            strikes,
            feeds,
            networks,
            auto,
            ..
        } = config.policy;
        let limits = Arc::new(Limits::new(&limits, DEFAULT_CAP, keys.derive("limits"), &clock));
        let priced: Vec<String> = config.prices.networks().map(str::to_owned).collect();
        let (harder, networks) = (challenge.harder.clone(), ToldApart::new(networks, &priced));
        let ruling = Ruling { policy, limits, pass_limits, wait_limits, solves, harder, networks, auto };
        let ledger_settings = config.file.ledger.as_ref().map(|settings| &settings.value);
        let books = Arc::new(Ledger::live(ledger_settings));
        let surroundings = Arc::new(Surroundings::new(&strikes, config.geo, clock.clone(), &metrics));
        surroundings.start(Arc::new(SystemResolver::new()), &background);
        let seal = Seal::new(keys.derive("listings"));
        let gate = Gate::new(keys, challenge, clock.now());
        let gateway = Arc::new(Gateway {
            sites,
            ruling: ArcSwap::from_pointee(ruling),
            clients: ArcSwap::default(),
            operators: ArcSwap::from_pointee(config.operators),
            seal,
            memory: surroundings.clone(),
            gate,
            spending: OnceLock::new(),
            page: ArcSwap::from_pointee(config.page),
            robots: ArcSwapOption::from_pointee(config.robots),
            metrics: metrics.clone(),
            books: books.clone(),
            asker: Asker::default(),
            whereabouts: Whereabouts::new(rand::random()),
            rates: Rates::default(),
            priced,
            clock,
        });

        let counters: Vec<Arc<dyn Replicated>> =
            vec![Arc::new(CurrentLimits(gateway.clone())), gateway.gate.accounts(), surroundings.clone()];
        let keeper = config.file.counters.as_ref().map(|settings| {
            let keeper = Arc::new(Keeper::new(&settings.value, counters.clone(), gateway.clock.clone()));
            keeper.restore();
            tokio::spawn(background.clone().run_until_cancelled_owned(keeper.clone().run()));
            keeper
        });
        let ledger = ledger_settings.map(|settings| {
            let ledger = Arc::new(Ledger::new(settings, books, gateway.clock.clone(), &metrics));
            tokio::spawn(background.clone().run_until_cancelled_owned(ledger.clone().run()));
            ledger
        });
        let settings = config.file.decisions.as_ref().map(|settings| &settings.value);
        let register = Register::new(surroundings.decisions(), settings, gateway.clock.clone(), &metrics);
        let register = Arc::new(register);
        register.restore();
        tokio::spawn(background.clone().run_until_cancelled_owned(register.clone().run()));
        if let Some(settings) = &config.file.shared_state {
            let settings = &settings.value;
            let ca = settings.ca.as_ref().and_then(|path| config.authorities.get(&path.value)).cloned();
            gateway.ruling.load().limits.share();
            gateway.gate.share();
            surroundings.share();
            let clock = gateway.clock.clone();
            let text = register.clone();
            let shared = SharedState::start(settings, ca, counters, text, clock, &metrics, &background);
            // Nobody else sets it.
            let _ = gateway.spending.set(shared);
        }
        let steering =
            Steering::new(gateway.clone(), surroundings.clone(), feeds, &config.file.feeds, background.clone());
        steering.accept(config.clients);
        let auto = Auto::new(gateway.clone(), surroundings.clone());
        tokio::spawn(background.clone().run_until_cancelled_owned(auto.clone().run()));
        let (shutdown, stopping) = watch::channel(false);
        let connections = TaskTracker::new();
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for settings in &config.file.listeners.0 {
            let bind_error = |error| StartError::Bind(settings.address, error);
            let front = Front::new(gateway.clone(), settings.peer(), settings.check.value);
            let listener = Listener::bind(settings.address, front, &metrics).await.map_err(bind_error)?;
            addresses.push(listener.address().map_err(bind_error)?);
            listeners.push(listener);
        }
        let mut admin = None;
        if let Some(settings) = &config.file.admin {
            let bind_error = |error| StartError::Bind(settings.address, error);
            let socket = TcpListener::bind(settings.address).await.map_err(bind_error)?;
            admin = Some(socket.local_addr().map_err(bind_error)?);
            let page = Arc::new(Admin::new(gateway.clone(), register, &settings.hosts));
            tokio::spawn(page.serve(socket, background.clone()));
        }
        // The first requests should find credentials and addresses, but not wait for those that do not come.
        first_looks.join_all().await;
        for listener in listeners {
            connections.spawn(listener.serve(stopping.clone(), connections.clone()));
        }
        tokio::spawn(background.clone().run_until_cancelled_owned(sweep(gateway.clone(), surroundings)));
        let prices = Arc::new(config.prices);
        let projecting = project(gateway.clone(), auto.clone(), prices);
        tokio::spawn(background.clone().run_until_cancelled_owned(projecting));
        Ok(Server {
            addresses,
            admin,
            gateway,
            steering,
            auto,
            shutdown,
            background: guard,
            connections,
            keeper,
            ledger,
        })
    }

    /// Stops accepting, lets requests in flight end for at most `limit`, then stops everything. Says whether all ended.
    pub async fn drain(self, limit: Duration) -> bool {
        self.shutdown.send_replace(true);
        self.connections.close();
        let ended = tokio::time::timeout(limit, self.connections.wait()).await.is_ok();
        self.keep();
        drop(self.background);
        ended
    }

    /// Writes down what was counted, where that is configured.
    pub fn keep(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.save();
        }
        if let Some(ledger) = &self.ledger {
            ledger.save();
        }
    }
}

/// The limits in force: a reload replaces them.
struct CurrentLimits(Arc<Gateway>);

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

async fn sweep(gateway: Arc<Gateway>, surroundings: Arc<Surroundings>) {
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
async fn project(gateway: Arc<Gateway>, auto: Arc<Auto>, prices: Arc<PriceBook>) {
    loop {
        let (gateway, auto, prices) = (gateway.clone(), auto.clone(), prices.clone());
        let projecting = tokio::task::spawn_blocking(move || {
            let now = gateway.clock.now();
            let months = gateway.books.look(now, |books| projected(books, now, &prices));
            gateway.metrics.costs.project(gateway.sites.iter().map(|site| &site.name), &months);
            auto.set_months(months);
        });
        // Whatever went wrong, the next one may go right.
        let _ = projecting.await;
        tokio::time::sleep(PROJECTION_INTERVAL).await;
    }
}

/// Makes the sites, with their credentials and addresses being kept in the background. The first looks at these end on
/// `first_looks`.
fn sites(
    config: &Config,
    metrics: &Metrics,
    background: &CancellationToken,
    first_looks: &mut JoinSet<()>,
) -> Vec<Site> {
    let mut cells: BTreeMap<String, CredentialsCell> = BTreeMap::new();
    let mut signer = |named: &str| {
        if named == "anonymous" {
            return Signer::Anonymous;
        }
        let cell = cells.entry(named.to_owned()).or_insert_with(|| {
            let source = config.file.credentials.get(named).cloned().unwrap_or(CredentialsSource::Chain);
            let cell = CredentialsCell::default();
            let (metrics, stop) = (metrics.clone(), background.clone());
            first_looks.spawn(credentials::start(named.to_owned(), source, cell.clone(), metrics, stop));
            cell
        });
        Signer::Credentials(cell.clone())
    };
    let mut sites = Vec::new();
    for (name, settings) in &config.file.sites.value.0 {
        let mut origins = Vec::new();
        for origin in &settings.origins.0 {
            let named = origin.credentials.as_ref().map_or("chain", |name| name.value.as_str());
            let redirect_signer = origin.redirect_credentials.as_ref().map(|name| signer(&name.value));
            let signer = signer(named);
            origins.push(Arc::new(Origin::new(origin.clone(), signer, redirect_signer)));
        }
        let pem = |origin: &Arc<Origin>| origin.settings.ca.as_ref().and_then(|path| config.authorities.get(path));
        sites.push(Site {
            name: name.as_str().into(),
            hosts: settings.host_names().collect(),
            prefix: settings.prefix.as_ref().map(|prefix| prefix.value.clone()),
            lists: settings.list == List::Signed,
            authorities: origins.iter().map(|origin| pem(origin).map(|pem| authorities(pem))).collect(),
            changing: settings.mutable.clone(),
            compare: settings.compare.map(Compare::new),
            origins,
        });
    }
    for site in &sites {
        for origin in &site.origins {
            let (metrics, stop) = (metrics.clone(), background.clone());
            first_looks.spawn(resolver::start(site.name.clone(), origin.clone(), metrics, stop));
        }
    }
    sites
}
