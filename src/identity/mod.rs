//! Identity: who is asking, and in which dialect to answer.

mod client;
mod credentials;
mod dialect;
mod entries;
pub mod signature;

pub use client::{Peer, client};
pub use credentials::{Claim, claim};
pub use dialect::dialect;
pub use entries::{Entry, Proof, Roster};
