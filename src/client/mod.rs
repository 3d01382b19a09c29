//! The client behind `windscreen fetch`: gets objects from a gateway, solves its challenge where it asks for a pass,
//! goes on where it broke off, and verifies what came.
//!
//! It never shows or sends a pass, a token or a signature to anybody but the server that it is for, and never calls a
//! file finished before its checksum holds.

mod answer;
mod fetch;
mod jar;
mod part;
mod patience;
mod rate;
mod request;
mod solver;
mod transport;
mod url;

pub use jar::Jar;
pub use part::Destination;
pub use rate::RateLimit;
pub use request::Signing;
pub use solver::Solving;
pub use transport::Transport;
pub use url::Url;
pub(crate) use url::checksum;

use http::HeaderMap;
use std::time::Duration;

/// A SHA-256.
pub type Checksum = [u8; 32];

/// What is fetched, and where it goes.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is asked for.
    pub url: Url,
    /// Where it goes.
    pub to: Destination,
    /// What it must be. Verified besides what its name says.
    pub sha256: Option<Checksum>,
}

/// What all fetches of one run share.
pub struct Session {
    /// Connections.
    pub transport: Transport,
    /// Passes.
    pub jar: Jar,
    /// Headers that the user gave, for the server of the URL alone.
    pub headers: HeaderMap,
    /// Who signs, if anybody does.
    pub signing: Option<Signing>,
    /// How many bytes a second all fetches may take together.
    pub rate: Option<RateLimit>,
    /// Held while a challenge is solved: that takes all cores, and others may use the pass that it buys.
    pub turn: tokio::sync::Mutex<()>,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its size.
    pub bytes: u64,
    /// Its checksum.
    pub sha256: Checksum,
    /// Whether it was compared with a known one.
    pub verified: bool,
    /// How much of it a former run had left.
    pub resumed_from: u64,
    /// How many challenges were solved for it.
    pub solved: u32,
}

/// Why an object is not there. Texts of servers in it are made printable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server said no, or sent something else than was asked for.
    #[error("{0}")]
    Refused(String),
    /// The server could not be reached, or the object could not be written.
    #[error("{0}")]
    Failed(String),
}

/// Who is told how far a fetch has come.
pub trait Watch: Send + Sync {
    /// A body begins: so much is there already, of so much where that is known.
    fn begin(&self, have: u64, total: Option<u64>);
    /// So many bytes more.
    fn more(&self, bytes: u64);
    /// A challenge is being solved.
    fn solving(&self, progress: Solving);
    /// Nothing happens for a while, and why.
    fn waiting(&self, time: Duration, why: &str);
    /// Something that does no harm to the object, but that the user should know.
    fn note(&self, text: &str);
}
