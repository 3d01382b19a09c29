//! SigV4: reads what a request says about its signature, and verifies it. Pure: time and keys are arguments.
//!
//! By the rules of S3: the path is signed as it is sent, neither normalised nor encoded once more, `host` and every
//! `x-amz-*` header must be signed, and a body is not expected. Nothing here decides what a key opens.
//! Sources: AWS, "Signature Version 4" in the S3 API reference, by header and by query, and its examples.

mod canonical;
mod fault;
mod parse;
#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use parse::{Sent, Signed};

use crate::clock::Timestamp;
use canonical::{signing_key, string_to_sign};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How far the clock of a client may be off. As S3.
pub const MOST_SKEW: Duration = Duration::from_secs(15 * 60);
/// What image-download writes for a region where there are none.
const ANY_REGION: &str = "any";

/// An access key whose signatures are accepted.
pub struct AccessKey {
    id: String,
    secret: String,
    token: Option<String>,
    region: Option<String>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// Reads one line: `ACCESS SECRET [TOKEN]`. With a `region`, signatures are for that one or for `any`.
    ///
    /// `None` where the text is something else.
    pub fn parse(text: &str, region: Option<&str>) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (id, secret, token) = match words[..] {
            [id, secret] => (id, secret, None),
            [id, secret, token] => (id, secret, Some(token.to_owned())),
            _ => return None,
        };
        let one_line = text.trim().lines().count() == 1 && !id.contains('/');
        one_line.then(|| AccessKey {
            id: id.to_owned(),
            secret: secret.to_owned(),
            token,
            region: region.map(str::to_owned),
        })
    }

    /// The region that signatures must be for, where it is not any.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The public part: what requests name it by.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Signed<'_> {
    /// Verifies the signature by the key that the request names, as of `now`.
    ///
    /// # Errors
    /// Says what S3 would refuse it for.
    pub fn verify(&self, key: &AccessKey, now: Timestamp) -> Result<(), Fault> {
        // Credentials for a session are one with their token.
        let same = match (&self.token, &key.token) {
            (None, None) => true,
            (Some(sent), Some(token)) => bool::from(sent.as_bytes().ct_eq(token.as_bytes())),
            _ => false,
        };
        if !same {
            return Err(Fault::UnknownKey);
        }
        if key.region.as_deref().is_some_and(|region| self.region != region && self.region != ANY_REGION) {
            return Err(Fault::Region);
        }
        self.check_time(now)?;
        let signing = signing_key(&key.secret, &self.day, &self.region).ok_or(Fault::Mismatch)?;
        // Each is tried whatever came of the one before.
        let mut good = subtle::Choice::from(0);
        for host in self.hosts() {
            let text = string_to_sign(self, &host);
            let expected = canonical::mac(&signing, text.as_bytes()).ok_or(Fault::Mismatch)?;
            good |= hex::encode(expected).as_bytes().ct_eq(self.signature.as_bytes());
        }
        if bool::from(good) { Ok(()) } else { Err(Fault::Mismatch) }
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Fault> {
        match self.life {
            None if now.since(self.at) > MOST_SKEW || self.at.since(now) > MOST_SKEW => Err(Fault::Skew),
            None => Ok(()),
            Some(_) if self.at.since(now) > MOST_SKEW => Err(Fault::Early),
            Some(life) if now >= self.at + life => Err(Fault::Expired),
            Some(_) => Ok(()),
        }
    }
}
