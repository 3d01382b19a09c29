//! Wiring: from a checked configuration to a running gateway.

#![allow(clippy::disallowed_methods, reason = "rank 6: owns the wall clock and the sockets")]

mod sites;
mod sockets;
mod tasks;

use crate::admin::{Admin, Sources};
use crate::auto::Auto;
use crate::challenge::{Gate, SigningKeys};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, LoadedPolicy};
use crate::evidence::Rates;
use crate::exchange::Replicated;
use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::limit::{DEFAULT_CAP, Limits};
use crate::listener::{Address, Caps, Inherited, Listener, Predecessor, Socket, Successor};
use crate::metrics::Metrics;
use crate::origin::{Seal, Whereabouts};
use crate::policy::ToldApart;
use crate::proxy::{Asker, Front, Gateway, Ruling, Sites};
use crate::register::Register;
use crate::reload::Steering;
use crate::shared_state::SharedState;
use crate::surroundings::{Surroundings, SystemResolver};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tasks::{CurrentLimits, project, sweep};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

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
    Bind(Address, std::io::Error),
    /// TLS cannot be set up.
    #[error("cannot speak TLS on {0}: {1}")]
    Tls(Address, rustls::Error),
    /// The process that this one takes over from is gone, or does not say what it should.
    #[error("cannot take over: {0}")]
    TakeOver(std::io::Error),
    /// Two metrics share a name: a mistake of ours.
    #[error("metrics could not be declared: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A running gateway.
pub struct Server {
    /// Where it listens on the network, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Where the admin listener listens.
    pub admin: Option<SocketAddr>,
    /// What requests share.
    pub gateway: Arc<Gateway>,
    /// Puts another policy in force.
    pub steering: Arc<Steering>,
    /// Switches the rules of mode `auto`.
    pub auto: Arc<Auto>,
    /// What listens, by name: what another process would need to take over.
    sockets: Vec<(String, OwnedFd)>,
    /// When nobody is accepted any more.
    closing: CancellationToken,
    /// When another process has taken over: what is for one process at a time is no longer this one's.
    succeeded: CancellationToken,
    background: DropGuard,
    connections: TaskTracker,
    keeper: Arc<Keeper>,
    ledger: Option<Arc<Ledger>>,
}

impl Server {
    /// Listens everywhere, then starts. What the configuration says has been checked before.
    ///
    /// # Errors
    /// When an address cannot be listened at.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Server, StartError> {
        Server::succeed(config, clock, None).await
    }

    /// Starts in the place of another process, where there is one.
    ///
    /// # Errors
    /// When an address cannot be listened at, or the other process is gone.
    pub async fn succeed(
        config: Config,
        clock: Arc<dyn Clock>,
        other: Option<(Predecessor, Inherited)>,
    ) -> Result<Server, StartError> {
        let metrics = Metrics::new()?;
        let (predecessor, inherited) = other.unzip();
        let mut opened = Inherited::from_service_manager();
        opened.extend(inherited.unwrap_or_default());
        let open = sockets::open(&config, &mut opened)?;
        let background = CancellationToken::new();
        // Whatever ends this function early also ends what runs in the background.
        let guard = background.clone().drop_guard();
        let mut first_looks = JoinSet::new();
        let sites = Sites::new(sites::make(&config, &metrics, &background, &mut first_looks));
        let deployment = config.deployment();
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
            decision,
            lists,
            ..
        } = config.policy;
        let policy = Arc::new(policy);
        let limits = Arc::new(Limits::new(&limits, DEFAULT_CAP, keys.derive("limits"), &clock));
        let priced: Vec<String> = config.prices.networks().map(str::to_owned).collect();
        let (harder, networks) = (challenge.harder.clone(), ToldApart::new(networks, &priced));
        let ruling =
            Ruling { policy, limits, pass_limits, wait_limits, solves, harder, networks, auto, decision, lists };
        let ledger_settings = config.file.ledger.as_ref().map(|settings| &settings.value);
        let books = Arc::new(Ledger::live(ledger_settings));
        let surroundings = Arc::new(Surroundings::new(&strikes, config.geo, clock.clone(), &metrics));
        surroundings.draw_by(keys.derive("sample"));
        surroundings.start(Arc::new(SystemResolver::new()), &background);
        let seal = Seal::new(keys.derive("listings"));
        let gate = Arc::new(Gate::new(keys, challenge, clock.now()));
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
            leaving: AtomicBool::new(false),
            clock,
        });

        let counters: Vec<Arc<dyn Replicated>> =
            vec![Arc::new(CurrentLimits(gateway.clone())), gateway.gate.accounts(), surroundings.clone()];
        let kept = config.file.counters.as_ref().map(|settings| &settings.value);
        let keeper = Arc::new(Keeper::new(kept, counters.clone(), gateway.clock.clone()));
        let ledger = ledger_settings.map(|settings| {
            let ledger = Arc::new(Ledger::new(settings, books, gateway.clock.clone(), &metrics));
            tokio::spawn(background.clone().run_until_cancelled_owned(ledger.clone().run()));
            ledger
        });
        let settings = config.file.decisions.as_ref().map(|settings| &settings.value);
        let register = Register::new(surroundings.decisions(), settings, gateway.clock.clone(), &metrics);
        let register = Arc::new(register);
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
        let closing = background.child_token();
        let connections = TaskTracker::new();
        let wanted = &config.file.connections;
        let caps = Caps::new(wanted.most.get() as usize, wanted.most_per_address.get() as usize);
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        let descriptors = open.descriptors()?;
        let shown = config.certificates.into_iter().zip(config.client_authorities);
        for ((settings, (certificates, clients)), socket) in
            config.file.listeners.0.iter().zip(shown).zip(open.listeners)
        {
            addresses.extend(socket.address());
            let certificates = steering.certify(&settings.address, certificates, clients);
            let hsts = settings.tls.as_ref().and_then(|tls| tls.hsts);
            let front = Front::new(gateway.clone(), settings.peer(), settings.check.value, hsts);
            let listener = Listener::new(socket, front, settings, certificates, wanted, caps.clone(), &metrics);
            listeners.push(listener.map_err(|error| StartError::Tls(settings.address.clone(), error))?);
        }
        // The first requests should find credentials and addresses, but not wait for those that do not come.
        first_looks.join_all().await;
        match predecessor {
            None => keeper.restore(),
            Some(predecessor) => {
                let counted = tokio::task::spawn_blocking(|| predecessor.take_over()).await;
                let counted = counted.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                keeper.hear(&counted.map_err(StartError::TakeOver)?);
            }
        }
        // Not before the other process has ended with its file.
        register.restore();
        let succeeded = background.child_token();
        tokio::spawn(succeeded.clone().run_until_cancelled_owned(register.clone().run()));
        if kept.is_some() {
            tokio::spawn(succeeded.clone().run_until_cancelled_owned(keeper.clone().run()));
        }
        let prices = Arc::new(config.prices);
        let mut admin = None;
        if let (Some(settings), Some(Socket::Tcp(socket))) = (&config.file.admin, open.admin) {
            admin = socket.local_addr().ok();
            let listener = config.file.listeners.0.first();
            let sources = Sources {
                gateway: gateway.clone(),
                register,
                surroundings: surroundings.clone(),
                auto: auto.clone(),
                steering: steering.clone(),
                prices: prices.clone(),
                location: config.file.location.clone(),
                ledger: ledger_settings.cloned(),
                access_log: settings.access_log.clone(),
                peer: listener.map_or_else(Default::default, |listener| listener.peer()),
                deployment,
            };
            let page = Arc::new(Admin::new(sources, &settings.hosts));
            tokio::spawn(page.serve(socket, background.clone(), succeeded.clone()));
        }
        for listener in listeners {
            connections.spawn(listener.serve(closing.clone(), connections.clone()));
        }
        tokio::spawn(background.clone().run_until_cancelled_owned(sweep(gateway.clone(), surroundings)));
        let projecting = project(gateway.clone(), auto.clone(), prices);
        tokio::spawn(background.clone().run_until_cancelled_owned(projecting));
        Ok(Server {
            addresses,
            admin,
            gateway,
            steering,
            auto,
            sockets: descriptors,
            closing,
            succeeded,
            background: guard,
            connections,
            keeper,
            ledger,
        })
    }

    /// Says that it is about to stop: from now on it is not ready.
    pub fn leave(&self) {
        self.gateway.leaving.store(true, Ordering::Relaxed);
    }

    /// Stops accepting, lets requests in flight end for at most `limit`, then stops everything. Says whether all ended.
    pub async fn drain(self, limit: Duration) -> bool {
        self.leave();
        self.closing.cancel();
        // While there is a copy of it, a socket goes on taking connections that nobody accepts.
        drop(self.sockets);
        self.connections.close();
        let ended = tokio::time::timeout(limit, self.connections.wait()).await.is_ok();
        keep(&self.keeper, self.ledger.as_deref(), &self.succeeded);
        drop(self.background);
        ended
    }

    /// How many requests are being answered.
    pub fn in_flight(&self) -> i64 {
        self.gateway.metrics.in_flight.get()
    }

    /// Starts `program`, which takes over from here: all sockets, and what was counted. Says which process it is. What is
    /// being answered is still to be [drained](Server::drain).
    ///
    /// # Errors
    /// When it cannot be started or is not ready in time. Nothing has changed then.
    pub async fn hand_over(&self, program: PathBuf, arguments: Vec<OsString>) -> std::io::Result<u32> {
        let sockets: std::io::Result<Vec<_>> =
            self.sockets.iter().map(|(name, socket)| Ok((name.clone(), socket.try_clone()?))).collect();
        let sockets = sockets?;
        let starting = tokio::task::spawn_blocking(move || {
            let sockets: Vec<_> = sockets.iter().map(|(name, socket)| (name.clone(), socket.as_fd())).collect();
            Successor::start(&program, arguments, &sockets)
        });
        let successor = starting.await.map_err(std::io::Error::other)??;
        self.leave();
        self.closing.cancel();
        self.keep();
        self.succeeded.cancel();
        let (process, counted) = (successor.id(), self.keeper.tell());
        let beginning = tokio::task::spawn_blocking(move || successor.begin(&counted));
        if let Err(error) = beginning.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            // There is no way back: whoever looks after this process starts another.
            tracing::error!(process, %error, "it has ended before it could begin");
        }
        Ok(process)
    }

    /// Writes down what was counted, where that is configured.
    pub fn keep(&self) {
        keep(&self.keeper, self.ledger.as_deref(), &self.succeeded);
    }
}

/// The ledger adds what two processes have; of counts the file is that of the later one.
fn keep(keeper: &Keeper, ledger: Option<&Ledger>, succeeded: &CancellationToken) {
    if !succeeded.is_cancelled() {
        keeper.save();
    }
    if let Some(ledger) = ledger {
        ledger.save();
    }
}
