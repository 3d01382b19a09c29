//! One request as an access log tells it, whatever the log's format.
//!
//! A record borrows from its line, so that reading a line allocates nothing in the common case. What a format has no
//! field for is unknown, which is something else than absent.

use super::recorded::Recorded;
use crate::clock::Timestamp;
use crate::facts::{Fact, HttpVersion, Identity};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// What a request was for, as far as bills and policies tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An object was read, or its headers.
    Read,
    /// Names of objects were listed.
    List,
    /// Something was written or deleted.
    Write,
    /// S3 itself did it, for a lifecycle rule. Nobody asked for it.
    Lifecycle,
    /// Anything else: settings of a bucket, preflights, copies between buckets.
    Other,
}

impl Operation {
    /// What a request with this method is for, where a log says no more.
    pub fn of_method(method: &str) -> Self {
        match method {
            "GET" | "HEAD" => Operation::Read,
            "PUT" | "POST" | "DELETE" | "PATCH" => Operation::Write,
            _ => Operation::Other,
        }
    }
}

/// Where a request bore its signature. That a log names one does not say that it was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signature {
    /// In the Authorization header.
    Header,
    /// In the query: a presigned URL.
    Query,
}

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// When the request came, as exactly as the log says: to the second or better. Logs that say when it ended also say
    /// how long it took.
    pub time: Timestamp,
    /// The client's address, IPv4-mapped ones unmapped. S3 names none for what it does itself.
    pub address: Option<IpAddr>,
    /// Who asked, by name, as the server saw it. Absent is anonymous.
    pub requester: Fact<&'a str>,
    /// The request's own id.
    pub request_id: Option<Cow<'a, str>>,
    /// What it was for.
    pub operation: Operation,
    /// The method; empty where S3 acted without a request.
    pub method: Cow<'a, str>,
    /// The bucket.
    pub bucket: Option<&'a str>,
    /// The gateway's site; logs of others know none.
    pub site: Option<Cow<'a, str>>,
    /// The Host header as it was logged, perhaps with a port.
    pub host: Fact<&'a str>,
    /// Path and query as a client of the bucket asked for them, percent-encoded: `/key?query`.
    pub target: Cow<'a, str>,
    /// Whether the log tells queries at all.
    pub tells_query: bool,
    /// The status; `None` where there was no answer.
    pub status: Option<u16>,
    /// The error code of S3, or of the gateway.
    pub error: Option<Cow<'a, str>>,
    /// Bytes of the body that were sent. CloudFront counts headers as well.
    pub bytes: u64,
    /// Size of the whole object in bytes.
    pub size: Option<u64>,
    /// How long the request took, in milliseconds.
    pub millis: Option<u64>,
    /// The Referer.
    pub referer: Fact<Cow<'a, str>>,
    /// The User-Agent.
    pub user_agent: Fact<Cow<'a, str>>,
    /// The version of HTTP.
    pub version: Fact<HttpVersion>,
    /// Whether the client spoke TLS.
    pub secure: Fact<bool>,
    /// Where the signature stood, if there was one.
    pub signature: Fact<Signature>,
    /// How the client proved itself to the gateway.
    pub identity: Fact<Identity>,
    /// The name of the client's entry in the gateway file.
    pub client_name: Fact<Cow<'a, str>>,
    /// The JA4 fingerprint of the client's TLS.
    pub ja4: Fact<Cow<'a, str>>,
    /// Whether the address may prove something.
    pub trusted: bool,
    /// What the gateway recorded of its decision.
    pub recorded: Option<Arc<Recorded>>,
    /// The AWS region that the request came from. Absent is from anywhere else.
    pub source_region: Fact<&'a str>,
}

impl<'a> Record<'a> {
    /// A record of which no more is known than when it was and what was asked for.
    #[inline]
    pub fn new(time: Timestamp, method: Cow<'a, str>, target: Cow<'a, str>) -> Self {
        Record {
            time,
            address: None,
            requester: Fact::Unknown,
            request_id: None,
            operation: Operation::of_method(&method),
            method,
            bucket: None,
            site: None,
            host: Fact::Unknown,
            target,
            tells_query: true,
            status: None,
            error: None,
            bytes: 0,
            size: None,
            millis: None,
            referer: Fact::Unknown,
            user_agent: Fact::Unknown,
            version: Fact::Unknown,
            secure: Fact::Unknown,
            signature: Fact::Unknown,
            identity: Fact::Unknown,
            client_name: Fact::Unknown,
            ja4: Fact::Unknown,
            trusted: true,
            recorded: None,
            source_region: Fact::Unknown,
        }
    }

    /// The path as the client sent it, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The query as the client sent it, without `?`; empty where there was none.
    pub fn query(&self) -> Fact<&str> {
        if !self.tells_query {
            return Fact::Unknown;
        }
        Fact::Present(self.target.split_once('?').map_or("", |(_, query)| query))
    }
}
