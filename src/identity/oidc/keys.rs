//! The keys of an issuer: a JSON Web Key Set (RFC 7517), and the cell that it stands in.

use super::jws::{Algorithm, LONGEST_KEY_ID};
use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The largest key set in bytes. GitHub's has about 5,000.
pub const LARGEST_KEY_SET: usize = 256 << 10;
/// The most keys of a set.
const MOST_KEYS: usize = 64;
/// Bytes of the modulus of an RSA key: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Bytes of a coordinate on P-256.
const COORDINATE: usize = 32;

/// A key as a set holds it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(Vec<u8>),
}

/// One key.
pub(super) struct Key {
    id: String,
    material: Material,
}

impl Key {
    /// The key that `jwk` says, if it is one that signs, of a kind that is understood.
    fn new(jwk: Jwk) -> Option<Self> {
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let signs = jwk.r#use.is_none_or(|usage| usage == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        let material = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => {
                // Some write the modulus as a number with a sign: a zero first.
                let n: Vec<u8> = bytes(jwk.n)?.into_iter().skip_while(|byte| *byte == 0).collect();
                let e: Vec<u8> = bytes(jwk.e)?.into_iter().skip_while(|byte| *byte == 0).collect();
                MODULUS.contains(&n.len()).then_some(Material::Rsa(RsaPublicKeyComponents { n, e }))?
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(jwk.x)?, bytes(jwk.y)?);
                let whole = x.len() == COORDINATE && y.len() == COORDINATE;
                // An uncompressed point (SEC 1, section 2.3.3).
                whole.then(|| Material::P256([&[4], &x[..], &y[..]].concat()))?
            }
            _ => return None,
        };
        let key = Key { id: jwk.kid, material };
        let fits = jwk.alg.is_none_or(|alg| Algorithm::named(&alg) == Some(key.algorithm()));
        (signs && fits && key.id.len() <= LONGEST_KEY_ID).then_some(key)
    }

    /// The one algorithm that it is for.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
        }
    }

    /// Whether its owner made `signature` over `text`.
    pub(super) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok(),
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature).is_ok()
            }
        }
    }
}

/// The keys that an issuer signs with, at most 64.
#[derive(Default)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a set: RSA keys of 2048 to 8192 bits and keys on P-256, each with an id. Others are passed over.
    ///
    /// # Errors
    /// When it is too large, is no key set, or holds no key that could be used.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        if text.len() > LARGEST_KEY_SET {
            return Err(format!("the key set has more than {LARGEST_KEY_SET} bytes"));
        }
        let document: Document =
            serde_json::from_slice(text).map_err(|error| format!("this is no key set in JSON: {error}"))?;
        if document.keys.len() > MOST_KEYS {
            return Err(format!("the key set has {} keys, more than {MOST_KEYS}", document.keys.len()));
        }
        let keys = document.keys.into_iter().filter_map(|key| Key::new(serde_json::from_value(key).ok()?));
        let keys: Vec<Key> = keys.collect();
        match keys.is_empty() {
            true => Err("the key set has no key with an id for RS256 or ES256".into()),
            false => Ok(KeySet(keys)),
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys of this id: one, or one for each algorithm.
    pub(super) fn named(&self, id: &str) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| key.id == id)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

/// The keys of one issuer now, which requests read and a background task replaces; none until the first are there.
#[derive(Debug, Default)]
pub struct KeyCell {
    keys: ArcSwap<KeySet>,
    wanted: AtomicBool,
}

impl KeyCell {
    /// Replaces all keys.
    pub fn set(&self, keys: KeySet) {
        self.keys.store(Arc::new(keys));
    }

    /// Whether a token named a key that is not there, since this was last asked.
    pub fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Arc<KeySet> {
        self.keys.load_full()
    }
}
