//! What of an origin's response the client gets to see.

use http::header::{self, CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use http::{HeaderMap, HeaderName, StatusCode};

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

/// What tells two objects of one name apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the whole object.
    pub size: u64,
    /// The MD5 that is its ETag; `None` where the ETag is something else, as after uploads in parts.
    pub md5: Option<[u8; 16]>,
}

impl Shape {
    /// What an answer tells of the whole object; `None` where it does not tell its size.
    pub fn told(status: StatusCode, headers: &HeaderMap) -> Option<Shape> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let size = match status {
            StatusCode::OK => text(CONTENT_LENGTH)?,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => text(CONTENT_RANGE)?.rsplit_once('/')?.1,
            _ => return None,
        };
        // Of what is encrypted with a key of its own the ETag is no MD5. Source: S3 API reference, Object, ETag.
        let encrypted = text(HeaderName::from_static("x-amz-server-side-encryption"))
            .is_some_and(|how| how != "AES256")
            || headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
        let tag = text(ETAG).map_or("", |tag| tag.trim_matches('"'));
        let md5 = Some(tag).filter(|tag| tag.len() == 32 && !encrypted);
        let md5 = md5.and_then(|hex| u128::from_str_radix(hex, 16).ok()).map(u128::to_be_bytes);
        Some(Shape { size: size.parse().ok()?, md5 })
    }

    /// Whether these can be the same bytes.
    pub fn may_equal(&self, other: &Shape) -> bool {
        self.size == other.size && (self.md5.is_none() || other.md5.is_none() || self.md5 == other.md5)
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

    #[test]
    fn answers_tell_the_shape_of_the_whole_object() {
        let md5 = "\"0cc175b9c0f1b6a831c399e269772661\"";
        let hash = Some(0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661_u128.to_be_bytes());
        let key = "x-amz-server-side-encryption";
        type Said<'a> = &'a [(&'a str, &'a str)];
        let cases: [(u16, Said<'_>, _); 9] = [
            (200, &[("content-length", "5"), ("etag", md5)], Some((5, hash))),
            (200, &[("content-length", "5"), ("etag", md5), (key, "AES256")], Some((5, hash))),
            (200, &[("content-length", "5"), ("etag", md5), (key, "aws:kms")], Some((5, None))),
            (200, &[("content-length", "5"), ("etag", "\"0cc175b9c0f1b6a831c399e269772661-2\"")], Some((5, None))),
            (200, &[("etag", md5)], None),
            (206, &[("content-length", "5"), ("content-range", "bytes 0-4/99"), ("etag", md5)], Some((99, hash))),
            (206, &[("content-length", "5"), ("content-range", "bytes 0-4/*")], None),
            (416, &[("content-range", "bytes */99")], Some((99, None))),
            (304, &[("content-length", "5"), ("etag", md5)], None),
        ];
        for (status, said, shape) in cases {
            let headers = said.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let told = Shape::told(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(told.map(|told| (told.size, told.md5)), shape, "{status} {said:?}");
        }
    }
}
