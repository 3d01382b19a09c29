//! From a request to what it says about its signature.

use super::Fault;
use crate::clock::Timestamp;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, HeaderName};
use percent_encoding::percent_decode_str;
use std::time::Duration;

/// More headers than any client signs, more parameters than any request for an object has. S3 clients sign about ten.
const MAX_SIGNED: usize = 64;
const MAX_PARAMETERS: usize = 128;
/// Target and headers longer than that are refused: what is hashed is bounded.
const MAX_BYTES: usize = 64 * 1024;
/// A presigned URL is good for seven days at most. As S3.
const MOST_LIFE: u64 = 7 * 24 * 3600;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// A request as it came over the wire.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// The method.
    pub method: &'a str,
    /// The request target, path and query.
    pub target: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The port that the client connected to, where that is known.
    pub port: Option<u16>,
}

impl<'a> Sent<'a> {
    /// The query as sent.
    pub(super) fn query(&self) -> &'a str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The one value of a header that goes with the signature.
    fn single(&self, name: &HeaderName) -> Result<Option<&'a str>, Fault> {
        let mut values = self.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Fault::Header("a header of the signature is there twice"));
        }
        value.to_str().map(|text| Some(text.trim())).map_err(|_| Fault::Header("a header of the signature is no text"))
    }
}

/// What a request says about its signature. The texts are the client's; nothing is verified.
#[derive(Debug)]
pub struct Signed<'a> {
    pub(super) sent: Sent<'a>,
    /// Whether it is in the query.
    pub(super) by_query: bool,
    pub(super) key: String,
    /// The day of the scope, the day of `date`.
    pub(super) day: String,
    pub(super) region: String,
    /// `SignedHeaders`: sorted, in lower case, none twice.
    pub(super) headers: String,
    /// 64 lower-case digits.
    pub(super) signature: String,
    /// When it was signed, as written and as a time.
    pub(super) date: String,
    pub(super) at: Timestamp,
    /// How long a presigned URL is good for.
    pub(super) life: Option<Duration>,
    pub(super) token: Option<String>,
    /// What stands for the hash of the body.
    pub(super) payload: String,
}

impl<'a> Signed<'a> {
    /// Reads a request that claims to be signed, by a key that `is_known`: of others nothing more is looked at.
    ///
    /// # Errors
    /// Says why nobody could verify it.
    pub fn read(sent: Sent<'a>, is_known: impl Fn(&str) -> bool) -> Result<Self, Fault> {
        let size: usize = sent.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if sent.target.len() + size > MAX_BYTES || parameters(sent.query()).count() > MAX_PARAMETERS {
            return Err(Fault::Header("the request is too large"));
        }
        let named = |name: &str| parameters(sent.query()).any(|(known, _)| known.eq_ignore_ascii_case(name));
        if named("AWSAccessKeyId") {
            return Err(Fault::Version);
        }
        let by_query = ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Algorithm"].into_iter().any(named);
        let by_header = sent.headers.contains_key(AUTHORIZATION);
        let signed = match (by_query, by_header) {
            (true, true) => return Err(Fault::Both),
            (true, false) => Signed::in_query(sent, is_known)?,
            (false, _) => Signed::in_header(sent, is_known)?,
        };
        signed.check_headers()?;
        Ok(signed)
    }

    /// The id of the access key that it names.
    pub fn key(&self) -> &str {
        &self.key
    }

    fn in_header(sent: Sent<'a>, is_known: impl Fn(&str) -> bool) -> Result<Self, Fault> {
        let wrong = Fault::Header;
        let text = sent.single(&AUTHORIZATION)?.ok_or(wrong("there is no signature"))?;
        let Some((ALGORITHM, rest)) = text.split_once(' ') else { return Err(Fault::Version) };
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim_matches(' ').split_once('=').ok_or(wrong("a part has no value"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut headers,
                "Signature" => &mut signature,
                _ => return Err(wrong("there is an unknown part")),
            };
            if slot.replace(value).is_some() {
                return Err(wrong("a part is there twice"));
            }
        }
        let (Some(credential), Some(headers), Some(signature)) = (credential, headers, signature) else {
            return Err(wrong("Credential, SignedHeaders and Signature are needed"));
        };
        if !is_known(key_of(credential)) {
            return Err(Fault::UnknownKey);
        }
        let date = sent.single(&DATE)?.ok_or(Fault::Date)?;
        let payload = sent.single(&CONTENT_HASH)?.unwrap_or(EMPTY);
        let token = sent.single(&TOKEN)?;
        Signed::assemble(sent, credential, headers, signature, date, payload, token, None)
    }

    fn in_query(sent: Sent<'a>, is_known: impl Fn(&str) -> bool) -> Result<Self, Fault> {
        let wrong = Fault::Query;
        let find = |wanted: &str| {
            let mut values = parameters(sent.query()).filter(|(name, _)| *name == wanted).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (value, None) => Ok(value.map(decoded)),
                _ => Err(wrong("a parameter is there twice")),
            }
        };
        let needed = |wanted: &str| find(wanted)?.ok_or(wrong("a parameter is missing"));
        if needed("X-Amz-Algorithm")? != ALGORITHM {
            return Err(Fault::Version);
        }
        let credential = needed("X-Amz-Credential")?;
        if !is_known(key_of(&credential)) {
            return Err(Fault::UnknownKey);
        }
        let date = needed("X-Amz-Date")?;
        let (headers, signature) = (needed("X-Amz-SignedHeaders")?, needed("X-Amz-Signature")?);
        let expires = needed("X-Amz-Expires")?;
        let digits = expires.bytes().all(|byte| byte.is_ascii_digit());
        let life = expires.parse().ok().filter(|life| digits && (1..=MOST_LIFE).contains(life));
        let life = Duration::from_secs(life.ok_or(wrong("X-Amz-Expires is from 1 to 604800 seconds"))?);
        let token = find("X-Amz-Security-Token")?;
        let hash = find("X-Amz-Content-Sha256")?;
        let payload = match &hash {
            Some(hash) => hash,
            None => sent.single(&CONTENT_HASH)?.unwrap_or(UNSIGNED_PAYLOAD),
        };
        let token = token.as_deref();
        Signed::assemble(sent, &credential, &headers, &signature, &date, payload, token, Some(life))
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a signature, each once")]
    fn assemble(
        sent: Sent<'a>,
        credential: &str,
        headers: &str,
        signature: &str,
        date: &str,
        payload: &str,
        token: Option<&str>,
        life: Option<Duration>,
    ) -> Result<Self, Fault> {
        let wrong = |what| if life.is_some() { Fault::Query(what) } else { Fault::Header(what) };
        let mut parts = credential.splitn(5, '/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (Some(key), Some(day), Some(region), Some("s3"), Some("aws4_request")) =
            (part(), part(), part(), part(), part())
        else {
            return Err(wrong("Credential must be KEY/DAY/REGION/s3/aws4_request"));
        };
        let at = moment(date).ok_or(wrong("the time must be like 20261121T120000Z"))?;
        if date.get(..8) != Some(day) {
            return Err(wrong("the day of Credential is not the day of the time"));
        }
        if signature.len() != 64 || !signature.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Fault::Mismatch);
        }
        // There is no body, so no other hash can be its.
        if payload != EMPTY && payload != UNSIGNED_PAYLOAD {
            return Err(Fault::Payload);
        }
        Ok(Signed {
            sent,
            by_query: life.is_some(),
            key: key.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            headers: headers.to_owned(),
            signature: signature.to_owned(),
            date: date.to_owned(),
            at,
            life,
            token: token.map(str::to_owned),
            payload: payload.to_owned(),
        })
    }

    /// What must be signed is, and the list is as it should be.
    fn check_headers(&self) -> Result<(), Fault> {
        let wrong = |what| if self.by_query { Fault::Query(what) } else { Fault::Header(what) };
        let names: Vec<&str> = self.headers.split(';').collect();
        let token = |name: &str| name.parse::<HeaderName>().is_ok_and(|parsed| parsed.as_str() == name);
        if names.len() > MAX_SIGNED || !names.is_sorted_by(|a, b| a < b) || !names.iter().all(|name| token(name)) {
            return Err(wrong("SignedHeaders must be header names in lower case, sorted"));
        }
        // A signature cannot cover itself, and what is not there cannot have been signed.
        let there = |name: &str| name != AUTHORIZATION.as_str() && self.sent.headers.contains_key(name);
        if !names.contains(&HOST.as_str()) {
            return Err(Fault::Unsigned);
        }
        if !names.iter().all(|name| there(name)) {
            return Err(Fault::Mismatch);
        }
        let must = self.sent.headers.keys().filter(|name| name.as_str().starts_with("x-amz-"));
        let signed = must.into_iter().all(|name| names.binary_search(&name.as_str()).is_ok());
        if signed { Ok(()) } else { Err(Fault::Unsigned) }
    }

    /// The hosts that the signature may be for: as sent, and with and without the port. Some clients sign another port
    /// than they send, or none, and some write the name in lower case for the one and not for the other.
    pub(super) fn hosts(&self) -> Vec<String> {
        let sent = self.sent.headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
        let lower = sent.to_ascii_lowercase();
        let name = match lower.rsplit_once(':') {
            // An IPv6 address has colons of its own and stands in brackets.
            Some((name, port)) if !port.ends_with(']') => name.to_owned(),
            _ => lower.clone(),
        };
        let listening = self.sent.port.map(|port| format!("{name}:{port}"));
        let mut hosts = vec![sent.to_owned()];
        for host in [Some(lower), Some(name), listening].into_iter().flatten() {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }
}

/// Names and values of a query as sent; `a` is `a=`.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The id of the access key at the beginning of a credential. It has no slash.
fn key_of(credential: &str) -> &str {
    credential.split('/').next().unwrap_or_default()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Reads `20261121T120000Z`.
fn moment(text: &str) -> Option<Timestamp> {
    if text.len() != 16 || !text.is_ascii() {
        return None;
    }
    let (day, time) = (text.get(..8)?, text.get(8..)?);
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        day.get(..4)?,
        day.get(4..6)?,
        day.get(6..8)?,
        time.strip_prefix('T')?.get(..2)?,
        time.get(3..5)?,
        time.strip_suffix('Z')?.get(5..7)?
    );
    written.parse().ok()
}
