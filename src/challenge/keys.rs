//! Keys that sign challenges and passes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of a signing key.
pub const KEY_BYTES: usize = 32;

/// Why a key text is no key. Says nothing about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one line with {KEY_BYTES} bytes in base64, as `windscreen keygen` prints them")]
pub struct KeyError;

struct Key {
    id: String,
    secret: [u8; KEY_BYTES],
}

/// The keys in use: the newest signs, all verify.
pub struct SigningKeys(Vec<Key>);

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl SigningKeys {
    /// Keys from raw bytes, the newest first.
    pub fn new(newest: [u8; KEY_BYTES], older: impl IntoIterator<Item = [u8; KEY_BYTES]>) -> Self {
        let key = |secret: [u8; KEY_BYTES]| {
            // The id only finds the key; it is a hash so that it tells nothing about it.
            let digest = Sha256::new().chain_update(b"windscreen key id").chain_update(secret).finalize();
            Key { id: hex::encode(&digest[..4]), secret }
        };
        SigningKeys(std::iter::once(newest).chain(older).map(key).collect())
    }

    /// A secret for one `purpose` that follows from the oldest key and tells nothing about it. The oldest, so that it
    /// stays the same while a new key is added on one replica after the other.
    pub fn derive(&self, purpose: &str) -> [u8; 16] {
        let oldest = self.0.last().map_or("", |key| &key.id);
        let digest = self.mac(oldest, "derive", purpose).unwrap_or_default();
        std::array::from_fn(|at| digest[at])
    }

    /// Reads a key as [`SigningKeys::print`] writes it.
    pub fn parse(text: &str) -> Result<[u8; KEY_BYTES], KeyError> {
        STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError)
    }

    /// Writes a key as text.
    pub fn print(key: &[u8; KEY_BYTES]) -> String {
        STANDARD.encode(key)
    }

    /// The id of the key that signs.
    pub(super) fn current(&self) -> &str {
        &self.0[0].id
    }

    /// HMAC-SHA256 of `text` for one `purpose`, by the key `id`.
    pub(super) fn mac(&self, id: &str, purpose: &str, text: &str) -> Option<[u8; 32]> {
        let key = self.0.iter().find(|key| key.id == id)?;
        // HMAC takes keys of any length, so this never fails.
        let mac = Hmac::<Sha256>::new_from_slice(&key.secret).ok()?;
        let mac = mac.chain_update(purpose).chain_update([0]).chain_update(text);
        Some(mac.finalize().into_bytes().into())
    }

    /// `text~tag`: signed, readable, safe in a cookie and in JSON.
    pub(super) fn seal(&self, purpose: &str, text: &str) -> String {
        let tag = self.mac(self.current(), purpose, text).unwrap_or_default();
        format!("{text}~{}", hex::encode(tag))
    }

    /// The fields of a sealed text, without the tag, if one of the keys sealed it for `purpose`. The second field of
    /// every sealed text is the key's id.
    pub(super) fn open<'a>(&self, purpose: &str, sealed: &'a str) -> Option<Vec<&'a str>> {
        let (text, tag) = sealed.rsplit_once('~')?;
        let fields: Vec<&str> = text.split('~').collect();
        let expected = self.mac(fields.get(1)?, purpose, text)?;
        let equal = subtle::ConstantTimeEq::ct_eq(tag.as_bytes(), hex::encode(expected).as_bytes());
        bool::from(equal).then_some(fields)
    }
}

/// Sixteen bytes from 32 lower-case hexadecimal digits.
pub(super) fn id_from_hex(text: &str) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).ok().filter(|()| !text.bytes().any(|b| b.is_ascii_uppercase())).map(|()| id)
}
