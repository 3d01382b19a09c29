//! A signed token, taken apart and verified.

use super::claims::Claims;
use super::keys::KeyCell;
use crate::identity::rejection::Rejection;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// The longest token in bytes. GitHub's have about 2,000.
const LONGEST: usize = 16 << 10;
/// The longest id of a key in bytes.
pub(super) const LONGEST_KEY_ID: usize = 256;

/// How a token may be signed (RFC 7518, section 3.1). All else is refused by name: `none`, and HS256, where whoever
/// knows the public key could sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The algorithm of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            _ => None,
        }
    }
}

/// What a token says of its signature. Of all other parameters none matters, keys that it brings (`jwk`, `jku`, `x5c`)
/// the least.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    /// Extensions that must be understood (RFC 7515, section 4.1.11). None is.
    crit: Option<IgnoredAny>,
}

/// A token that was taken apart. Nothing of it is to be believed.
pub(in crate::identity) struct Unverified<'t> {
    algorithm: Algorithm,
    key_id: String,
    claims: Claims,
    signed: &'t str,
    signature: Vec<u8>,
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, Rejection> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Rejection::Malformed)
}

impl<'t> Unverified<'t> {
    /// Takes `token` apart.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] and [`Rejection::Algorithm`].
    pub(in crate::identity) fn parse(token: &'t str) -> Result<Self, Rejection> {
        if token.len() > LONGEST {
            return Err(Rejection::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Rejection::Malformed)?;
        let header: Header = json(header)?;
        if header.crit.is_some() || header.kid.len() > LONGEST_KEY_ID {
            return Err(Rejection::Malformed);
        }
        let algorithm = Algorithm::named(&header.alg).ok_or(Rejection::Algorithm)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Rejection::Malformed)?;
        Ok(Unverified { algorithm, key_id: header.kid, claims: Claims(json(claims)?), signed, signature })
    }

    /// Whose token it claims to be.
    pub(in crate::identity) fn issuer(&self) -> Option<&str> {
        self.claims.issuer()
    }

    /// What the token says, if one of the issuer's keys signed it. Where it names none of them, `keys` notes that newer
    /// ones are wanted.
    ///
    /// # Errors
    /// [`Rejection::UnknownKey`], [`Rejection::Algorithm`] and [`Rejection::Signature`].
    pub(in crate::identity) fn verify(&self, keys: &KeyCell) -> Result<&Claims, Rejection> {
        let known = keys.get();
        let mut named = known.named(&self.key_id).peekable();
        if named.peek().is_none() {
            keys.want();
            return Err(Rejection::UnknownKey);
        }
        let key = named.find(|key| key.algorithm() == self.algorithm).ok_or(Rejection::Algorithm)?;
        if key.signed(self.signed.as_bytes(), &self.signature) { Ok(&self.claims) } else { Err(Rejection::Signature) }
    }
}
