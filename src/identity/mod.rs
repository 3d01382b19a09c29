//! Identity: who is asking, and in which dialect to answer.

mod bearer;
mod certificate;
mod client;
mod credentials;
mod dialect;
mod entries;
mod oidc;
mod operators;
mod rejection;
pub mod signature;
mod token;

pub use bearer::{BearerProof, Bearers, bearer};
pub use certificate::{CertificateName, CertificateNameSettings, ShownCertificate};
pub use client::{Peer, client};
pub use credentials::{Claim, claim};
pub use dialect::dialect;
pub use entries::{Entry, Proof, Roster};
pub use oidc::{ClaimPattern, IssuerUrl, KeyCell, KeySet, KeySource, LARGEST_KEY_SET, OidcSettings, RequiredClaims};
pub use operators::{Operator, Operators};
pub use rejection::Rejection;
pub use token::{TOKEN_PREFIX, Token, TokenHash};
