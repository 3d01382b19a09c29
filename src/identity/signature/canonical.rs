//! What is signed: the canonical request, the string to sign, and the key that follows from the secret.

use super::parse::{Signed, parameters};
use hmac::{Hmac, Mac};
use http::header::HOST;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

/// What stays as it is in a canonical query: unreserved characters (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// HMAC-SHA256. It takes keys of any length, so there is always one.
pub(super) fn mac(key: &[u8], text: &[u8]) -> Option<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().into())
}

/// The key that signs on one day for one region. It takes four hashes, so it is not kept.
pub(super) fn signing_key(secret: &str, day: &str, region: &str) -> Option<[u8; 32]> {
    let mut key = mac(format!("AWS4{secret}").as_bytes(), day.as_bytes())?;
    for part in [region, "s3", "aws4_request"] {
        key = mac(&key, part.as_bytes())?;
    }
    Some(key)
}

/// What is signed, for a client that has `host` in mind.
pub(super) fn string_to_sign(signed: &Signed<'_>, host: &str) -> String {
    let hash = hex::encode(canonical_request(signed, host));
    format!("AWS4-HMAC-SHA256\n{}\n{}/{}/s3/aws4_request\n{hash}", signed.date, signed.day, signed.region)
}

/// The hash of the canonical request.
fn canonical_request(signed: &Signed<'_>, host: &str) -> [u8; 32] {
    let path = signed.sent.target.split('?').next().unwrap_or_default();
    let mut hash = Sha256::new();
    for line in [signed.sent.method, path, &query(signed)] {
        hash.update(line);
        hash.update("\n");
    }
    for name in signed.headers.split(';') {
        hash.update(name);
        hash.update(":");
        if name == HOST.as_str() {
            hash.update(host);
        } else {
            for (index, value) in signed.sent.headers.get_all(name).iter().enumerate() {
                if index > 0 {
                    hash.update(",");
                }
                hash.update(collapsed(value.as_bytes()));
            }
        }
        hash.update("\n");
    }
    for line in ["\n", &signed.headers, "\n", &signed.payload] {
        hash.update(line);
    }
    hash.finalize().into()
}

/// The query but for the signature: decoded, encoded in the one way, sorted. `+` is a space, as in a form.
fn query(signed: &Signed<'_>) -> String {
    let encoded = |text: &str| {
        let spaced = text.replace('+', " ");
        let bytes: Vec<u8> = percent_decode_str(&spaced).collect();
        percent_encode(&bytes, ENCODED).to_string()
    };
    let pairs = parameters(signed.sent.query());
    let pairs = pairs.filter(|(name, _)| !(signed.by_query && *name == "X-Amz-Signature"));
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// A header's value without space around it, and with one space where there were several.
fn collapsed(value: &[u8]) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::with_capacity(value.len());
    for byte in value.trim_ascii() {
        if *byte != b' ' || kept.last() != Some(&b' ') {
            kept.push(*byte);
        }
    }
    kept
}
