//! Origin: where a site's objects are, and the one request that may be sent there.
//!
//! Everything here is computed from arguments. What changes while the gateway runs (addresses, credentials) stands in
//! cells that background tasks write and requests read, so that no request ever waits for DNS or for a token.

mod request;
mod response;
mod settings;
mod sign;

pub use request::{OriginRequest, QueryError, allowed_query, forwarded_headers};
pub use response::{is_miss, keeps_header};
pub use settings::{OriginSettings, OriginUrl};
pub use sign::SignError;

use arc_swap::{ArcSwap, ArcSwapOption};
use aws_smithy_runtime_api::client::identity::Identity;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The credentials that requests are signed with now. `None` until the first ones are there.
pub type CredentialsCell = Arc<ArcSwapOption<Identity>>;

/// The addresses of one host name as last resolved, used in turn.
#[derive(Debug, Default)]
pub struct Addresses {
    list: ArcSwap<Vec<SocketAddr>>,
    turn: AtomicUsize,
    reachable: AtomicBool,
}

impl Addresses {
    /// Replaces all addresses. An empty list is ignored: the last good one is better than none.
    pub fn set(&self, addresses: Vec<SocketAddr>) {
        if !addresses.is_empty() {
            self.list.store(Arc::new(addresses));
        }
    }

    /// Notes whether the last check could connect.
    pub fn set_reachable(&self, reachable: bool) {
        self.reachable.store(reachable, Ordering::Relaxed);
    }

    /// Whether the last check could connect.
    pub fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// The next address in turn.
    pub fn next(&self) -> Option<SocketAddr> {
        let list = self.list.load();
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
    /// PEM certificates that are trusted besides the system's, when a private CA signed the origin's.
    pub ca: Option<Vec<u8>>,
}
