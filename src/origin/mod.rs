//! Origin: where a site's objects are, and the one request that may be sent there.
//!
//! Everything here is computed from arguments. What changes while the gateway runs (addresses, credentials) stands in
//! cells that background tasks write and requests read, so that no request ever waits for DNS or for a token.

mod address;
mod breaker;
mod changing;
mod listing;
mod request;
mod response;
mod settings;
mod sign;
mod whereabouts;

pub use address::BucketAddress;
pub use breaker::Breaker;
pub use changing::Changing;
pub use listing::{Asked, Begin, Listing, ListingError, Page, PageError, Seal};
pub use request::{OriginRequest, QueryError, allowed_query, forwarded_headers};
pub use response::{Outcome, Shape, judge, keeps_header};
pub use settings::{OriginSettings, OriginUrl};
pub use sign::{SignError, presigned};
pub use whereabouts::{Belief, Known, Whereabouts};

use arc_swap::{ArcSwap, ArcSwapOption};
use aws_smithy_runtime_api::client::identity::Identity;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The credentials that requests are signed with now. `None` until the first ones are there.
pub type CredentialsCell = Arc<ArcSwapOption<Identity>>;

/// The addresses of one host name, used in turn: those that the last check could connect to, or all of them while it
/// could connect to none.
#[derive(Debug, Default)]
pub struct Addresses {
    resolved: ArcSwap<Vec<SocketAddr>>,
    usable: ArcSwap<Vec<SocketAddr>>,
    turn: AtomicUsize,
    reachable: AtomicBool,
}

impl Addresses {
    /// Replaces all addresses. An empty list is ignored: the last good one is better than none.
    pub fn set(&self, addresses: Vec<SocketAddr>) {
        if !addresses.is_empty() {
            self.resolved.store(Arc::new(addresses));
        }
    }

    /// All addresses as last resolved.
    pub fn resolved(&self) -> Arc<Vec<SocketAddr>> {
        self.resolved.load_full()
    }

    /// Notes which addresses the last check could connect to.
    pub fn set_connected(&self, connected: Vec<SocketAddr>) {
        self.reachable.store(!connected.is_empty(), Ordering::Relaxed);
        self.usable.store(if connected.is_empty() { self.resolved() } else { Arc::new(connected) });
    }

    /// Whether the last check could connect.
    pub fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// How many addresses may be tried.
    pub fn count(&self) -> usize {
        self.usable.load().len()
    }

    /// The next address in turn.
    pub fn next(&self) -> Option<SocketAddr> {
        let list = self.usable.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        list.get(turn % list.len().max(1)).copied()
    }
}

/// Who signs for an origin.
#[derive(Debug, Clone)]
pub enum Signer {
    /// Nobody: its objects are public.
    Anonymous,
    /// The holder of these credentials.
    Credentials(CredentialsCell),
}

impl Signer {
    /// Whether requests can be signed now, or need not be.
    pub fn is_ready(&self) -> bool {
        match self {
            Signer::Anonymous => true,
            Signer::Credentials(cell) => cell.load().is_some(),
        }
    }
}

/// One bucket, ready to be asked.
#[derive(Debug)]
pub struct Origin {
    /// The name that appears in metrics and the access log.
    pub name: Arc<str>,
    /// Where it is.
    pub url: OriginUrl,
    /// The region that signatures are made for.
    pub region: String,
    /// Who signs.
    pub signer: Signer,
    /// The addresses of `url.host`.
    pub addresses: Arc<Addresses>,
    /// How long things may take.
    pub settings: OriginSettings,
    /// Who signs the URLs that clients are redirected to, where that is somebody else.
    pub redirect_signer: Option<Signer>,
    /// Whether it may be asked.
    pub breaker: Breaker,
}

impl Origin {
    /// The origin that `settings` describe. No address is known yet.
    pub fn new(settings: OriginSettings, signer: Signer, redirect_signer: Option<Signer>) -> Self {
        let region = settings.region.clone().or_else(|| settings.url.region().map(str::to_owned));
        Origin {
            name: settings.name.value.as_str().into(),
            url: settings.url.clone(),
            region: region.unwrap_or_else(|| "us-east-1".into()),
            signer,
            addresses: Arc::default(),
            settings,
            redirect_signer,
            breaker: Breaker::default(),
        }
    }
}
