//! The request that is sent to an origin: built from nothing, never by editing the client's.

use super::Origin;
use crate::path::CanonicalPath;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// Client headers that select what is sent back. Nothing else of the client's reaches the origin.
const FORWARDED: [HeaderName; 6] = [
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// Query parameters that a signed client may send on; an unsigned client none.
const SIGNED_QUERY: [&str; 2] = ["partNumber", "versionId"];

/// Query parameters by which S3 serves something else than the object. An unsigned request that names one is refused
/// rather than answered with the wrong thing; other parameters (`?v=3` of a web page) mean nothing to S3 and are
/// dropped. Source: the S3 API reference, GetObject and the sub-resources of a bucket and an object.
const SUBRESOURCES: [&str; 45] = [
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "attributes",
    "continuation-token",
    "cors",
    "delete",
    "delimiter",
    "encoding-type",
    "encryption",
    "fetch-owner",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "marker",
    "max-keys",
    "metadataconfiguration",
    "metadatatable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipcontrols",
    "partnumber",
    "policy",
    "policystatus",
    "prefix",
    "publicaccessblock",
    "replication",
    "requestpayment",
    "restore",
    "retention",
    "select",
    "session",
    "start-after",
    "tagging",
    "torrent",
    "uploadid",
    "uploads",
    "versionid",
    "versions",
];

/// Why a query is refused with 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A parameter by which S3 would serve something else than the object.
    #[error("the query parameter is not allowed here: only the object itself is served")]
    NotAllowed,
}

/// What of the client's query is sent on, encoded as it is signed: sorted `name=value` pairs.
pub fn allowed_query(raw: &str, signed: bool) -> Result<String, QueryError> {
    let mut kept = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8_lossy();
        if signed && SIGNED_QUERY.contains(&&*name) {
            let value = percent_decode_str(value).decode_utf8_lossy();
            kept.push(format!(
                "{name}={}",
                percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC)
            ));
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let subresource = SUBRESOURCES.contains(&&*lower) || lower.starts_with("response-");
        if subresource || (!signed && lower.starts_with("x-amz-")) {
            return Err(QueryError::NotAllowed);
        }
    }
    kept.sort_unstable();
    Ok(kept.join("&"))
}

/// Copies the headers that select a representation.
pub fn forwarded_headers(client: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    for name in FORWARDED {
        if let Some(value) = client.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// A request ready for the wire.
#[derive(Debug)]
pub struct OriginRequest {
    /// Path and query, encoded as signed.
    pub target: String,
    /// All headers, Host first.
    pub headers: HeaderMap,
}

impl OriginRequest {
    /// The request for `path` of the site at `origin`, not yet signed.
    pub fn new(origin: &Origin, path: &CanonicalPath, query: &str, forwarded: HeaderMap) -> Self {
        let mut target = format!("{}{}", origin.url.base, path.encoded());
        if !query.is_empty() {
            target.push('?');
            target.push_str(query);
        }
        let mut headers = forwarded;
        if let Ok(host) = HeaderValue::try_from(origin.url.authority()) {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("windscreen/", env!("CARGO_PKG_VERSION"))));
        OriginRequest { target, headers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_an_allowlist() {
        let refused = Err(QueryError::NotAllowed);
        let cases = [
            ("", false, Ok("")),
            ("v=3&utm_source=x", false, Ok("")),
            ("&&=", false, Ok("")),
            ("acl", false, refused.clone()),
            ("ACL=", false, refused.clone()),
            ("%61cl", false, refused.clone()),
            ("x=1&versions", false, refused.clone()),
            ("response-content-type=text%2Fhtml", false, refused.clone()),
            ("Response-Content-Disposition=x", false, refused.clone()),
            ("partNumber=2", false, refused.clone()),
            ("versionId=abc", false, refused.clone()),
            ("list-type=2&prefix=", false, refused.clone()),
            ("X-Amz-Foo=1", false, refused.clone()),
            ("partNumber=2", true, Ok("partNumber=2")),
            ("versionId=a%2Bb&partNumber=2", true, Ok("partNumber=2&versionId=a%2Bb")),
            ("versionId=a%26acl", true, Ok("versionId=a%26acl")),
            ("acl", true, refused.clone()),
            ("response-expires=x", true, refused),
        ];
        for (raw, signed, expected) in cases {
            assert_eq!(allowed_query(raw, signed), expected.map(str::to_owned), "{raw} {signed}");
        }
    }
}
