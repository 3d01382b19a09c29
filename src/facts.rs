//! What is known about a request when policy decides.
//!
//! No network type crosses into policy: the proxy fills in [`Facts`] from a live request, a log reader from a line.

use crate::clock::Timestamp;
use crate::network::{IpNet, prefix};
use crate::record::RecordedFacts;
use crate::verdict::Dialect;
use std::net::IpAddr;

/// One thing that may or may not be known. A log does not record most headers: they are unknown there, not absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact<T> {
    /// Known, with this value.
    Present(T),
    /// Known not to be there.
    Absent,
    /// Nobody knows.
    Unknown,
}

impl<T> Fact<T> {
    /// The value, where there is one.
    pub fn present(self) -> Option<T> {
        match self {
            Fact::Present(value) => Some(value),
            Fact::Absent | Fact::Unknown => None,
        }
    }

    /// The same of what `change` makes of the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Fact::Present(value) => Fact::Present(change(value)),
            Fact::Absent => Fact::Absent,
            Fact::Unknown => Fact::Unknown,
        }
    }
}

impl<T: AsRef<str>> Fact<T> {
    /// The same of a text that is owned elsewhere.
    pub fn as_str(&self) -> Fact<&str> {
        match self {
            Fact::Present(text) => Fact::Present(text.as_ref()),
            Fact::Absent => Fact::Absent,
            Fact::Unknown => Fact::Unknown,
        }
    }
}

impl<T> From<Option<T>> for Fact<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Fact::Absent, Fact::Present)
    }
}

/// What a header says: as text, or as far as it is text. A byte that is none must not hide what stands before it.
pub fn header_text(value: &http::HeaderValue) -> &str {
    value.as_bytes().utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// Three-valued truth (Kleene): a match on an unknown fact is neither true nor false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It hangs on an unknown fact.
    Undecided,
}

impl Truth {
    /// Both.
    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::True, Truth::True) => Truth::True,
            _ => Truth::Undecided,
        }
    }
}

impl std::ops::Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Undecided => Truth::Undecided,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Truth::True } else { Truth::False }
    }
}

/// Who is asking, by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address, IPv4-mapped ones unmapped.
    pub address: IpAddr,
    /// The prefix that it is counted by: IPv4 /24, IPv6 /48.
    pub prefix: IpNet,
    /// Whether the address may prove anything. It may not when the request bears a forwarding header that no listed
    /// proxy wrote: then either the header is forged or the peer is a proxy that nobody listed.
    pub trusted: bool,
}

impl Client {
    /// A client at `address`.
    pub fn new(address: IpAddr, trusted: bool) -> Self {
        Client { address, prefix: prefix(address), trusted }
    }
}

/// How a client proved itself. A network is a proof only where a policy says so, so it is matched by name, not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Not at all.
    None,
    /// By a SigV4 signature that one of the configured access keys made.
    Signature,
    /// By a bearer or OIDC token.
    Token,
    /// By a pass.
    Pass,
    /// By a signature that anybody can make: the access key is published.
    PublicKey,
    /// By a certificate, in the TLS handshake.
    Certificate,
}

impl Identity {
    /// The words of the policy language, with what they mean.
    pub const WORDS: [(&'static str, Identity); 6] = [
        ("none", Identity::None),
        ("signature", Identity::Signature),
        ("token", Identity::Token),
        ("pass", Identity::Pass),
        ("public-key", Identity::PublicKey),
        ("certificate", Identity::Certificate),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

/// The version of HTTP that a request was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.0 or older.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2 or later.
    Http2,
}

impl HttpVersion {
    /// Every version with its word.
    pub const WORDS: [(&'static str, HttpVersion); 3] =
        [("1.0", HttpVersion::Http10), ("1.1", HttpVersion::Http11), ("2", HttpVersion::Http2)];
}

/// Looks up request headers, whatever holds them.
pub trait Headers {
    /// The first value of the header `name` (lower case). A value that is not text counts as present and empty.
    fn header(&self, name: &str) -> Fact<&str>;

    /// Calls `visit` with the name and value of every header that is known, names in lower case. Says whether these are
    /// all headers of the request.
    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool;

    /// Calls `visit` with the names of all headers in the order and letter case in which the client sent them. Says
    /// whether they are known: behind a proxy and in a log they are not.
    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool;

    /// What a log recorded of the request beyond its headers. Nothing of a live one, which is there to be asked.
    fn recorded(&self) -> Option<Recollection<'_>> {
        None
    }
}

/// What is on record of a request that is decided again.
#[derive(Debug, Clone, Copy)]
pub struct Recollection<'r> {
    /// The facts.
    pub facts: &'r RecordedFacts,
    /// Whether the very policy decides that did so then. What a feed has brought since is no matter for it.
    pub same_policy: bool,
}

/// No headers at all.
#[derive(Debug, Clone, Copy)]
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn header(&self, _: &str) -> Fact<&str> {
        Fact::Absent
    }

    fn each(&self, _: &mut dyn FnMut(&str, &str)) -> bool {
        true
    }

    fn as_sent(&self, _: &mut dyn FnMut(&str)) -> bool {
        true
    }
}

/// Everything about one request that policy may look at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// When it came.
    pub now: Timestamp,
    /// The site that is addressed.
    pub site: &'a str,
    /// The host that is addressed: lower case, without port.
    pub host: Fact<&'a str>,
    /// The method, `GET` or `HEAD` on a site's paths.
    pub method: &'a str,
    /// The canonical path, relative to the site.
    pub path: &'a str,
    /// The query as sent, without `?`; empty where there is none.
    pub query: Fact<&'a str>,
    /// The client's address and prefix.
    pub client: Client,
    /// How the client proved itself.
    pub identity: Identity,
    /// The name of the client's entry in the gateway file, where it proved to be that client.
    pub client_name: Fact<&'a str>,
    /// The difficulty of the challenge that the valid pass was bought with.
    pub pass: Option<u32>,
    /// The User-Agent.
    pub user_agent: Fact<&'a str>,
    /// All headers.
    pub headers: &'a dyn Headers,
    /// The version of HTTP that the client itself spoke; a proxy in between hides it.
    pub version: Fact<HttpVersion>,
    /// Whether the client's side speaks TLS. Browsers send fetch metadata on secure origins only.
    pub secure: Fact<bool>,
    /// The JA4 fingerprint of the client's TLS. Where TLS ended before us, or there was none, nobody knows it.
    pub ja4: Fact<&'a str>,
    /// How the client wants to be answered.
    pub dialect: Fact<Dialect>,
}
