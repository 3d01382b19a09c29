//! OpenID Connect: tokens that an issuer signs for its jobs, such as those of GitHub Actions.
//!
//! A token is a JWT (RFC 7519) in the compact form of RFC 7515, and what is wrong with that format is kept out (RFC
//! 8725): two algorithms, each for one type of key; the key comes from the issuer that the configuration names, never
//! from the token; nothing that a token says is looked at before its signature, but for whose it claims to be.
//!
//! Pure: it never asks an issuer for keys. It says that it misses one, and takes those that are put into a [`KeyCell`].

mod claims;
mod jws;
mod keys;
mod settings;

pub use keys::{KeyCell, KeySet, LARGEST_KEY_SET};
pub use settings::{ClaimPattern, IssuerUrl, KeySource, OidcSettings, RequiredClaims};

pub(super) use jws::Unverified;
