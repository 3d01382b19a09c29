//! What of an origin's response the client gets to see.

use http::{HeaderName, StatusCode, header};

/// `x-amz-*` headers that are about the object, not about the bucket or the account: checksums, version, user metadata.
const KEPT: [&str; 6] = [
    "x-amz-version-id",
    "x-amz-mp-parts-count",
    "x-amz-missing-meta",
    "x-amz-checksum-type",
    "x-amz-tagging-count",
    "x-amz-meta-",
];

/// Whether a response header of the origin is passed on.
///
/// Removed are `x-amz-*` but for a few (request ids, encryption keys, expiry rules tell about the account), cookies and
/// the server's name (the gateway's own cookies share the host), words to caches that would store what a pass released,
/// and hop-by-hop headers; Connection and Transfer-Encoding are pingora's.
pub fn keeps_header(name: &HeaderName) -> bool {
    let text = name.as_str();
    if text.starts_with("x-amz-") {
        return text.starts_with("x-amz-checksum-") || KEPT.iter().any(|kept| text.starts_with(kept));
    }
    !matches!(
        *name,
        header::SET_COOKIE
            | header::SERVER
            | header::ALT_SVC
            | header::STRICT_TRANSPORT_SECURITY
            | header::UPGRADE
            | header::TRAILER
            | header::PROXY_AUTHENTICATE
    ) && !["keep-alive", "proxy-connection", "set-cookie2", "cdn-cache-control", "surrogate-control"].contains(&text)
}

/// What an origin's status means for the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is about the object, and goes to the client as it is.
    Object,
    /// The object is not there, so that the next origin may have it. S3 answers a missing key with 403 when the caller
    /// may not list the bucket.
    Miss,
    /// The origin could not say: it is broken, overloaded, elsewhere (a redirect to another region), or it rejects our
    /// credentials (400 ExpiredToken). Its words may tell about our account and reach nobody.
    Failure,
}

/// Judges the status of an origin's answer to GET or HEAD.
pub fn judge(status: StatusCode) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Object,
        StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {
            Outcome::Object
        }
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Outcome::Miss,
        _ => Outcome::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_about_the_account_are_removed() {
        let kept = [
            "etag",
            "last-modified",
            "content-type",
            "content-encoding",
            "accept-ranges",
            "content-range",
            "x-amz-meta-mtime",
            "x-amz-checksum-sha256",
            "x-amz-version-id",
            "cache-control",
            "access-control-allow-origin",
        ];
        let removed = [
            "x-amz-request-id",
            "x-amz-id-2",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-expiration",
            "x-amz-replication-status",
            "x-amz-storage-class",
            "x-amz-bucket-region",
            "set-cookie",
            "server",
            "alt-svc",
        ];
        for name in kept {
            assert!(keeps_header(&HeaderName::from_static(name)), "{name}");
        }
        for name in removed {
            assert!(!keeps_header(&HeaderName::from_static(name)), "{name}");
        }
    }
}
