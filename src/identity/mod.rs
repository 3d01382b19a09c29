//! Identity: who is asking, and in which dialect to answer.

mod client;
mod credentials;
mod dialect;

pub use client::{Peer, client};
pub use credentials::{Claim, claim};
pub use dialect::dialect;
