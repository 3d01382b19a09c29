//! How a request names an object: the bucket by path or by host name, the key, and the query.

use http::{HeaderMap, Uri, header};
use percent_encoding::percent_decode_str;
use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The name of an object.
pub(super) struct Name {
    pub(super) bucket: String,
    /// As it is: decoded once, not normalized, never empty.
    pub(super) key: String,
}

/// Where the name of a bucket is.
#[derive(Clone)]
pub(super) struct Addressing {
    /// `BUCKET.domain` is virtual-hosted-style; every other host is path-style.
    pub(super) domain: Option<String>,
}

impl Addressing {
    fn bucket<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let bucket = name.strip_suffix(self.domain.as_deref()?)?;
        bucket.strip_suffix('.')
    }

    /// The object that a request is about, if it is about one.
    pub(super) fn object(&self, uri: &Uri, headers: &HeaderMap) -> Option<Name> {
        let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
        let path = path.strip_prefix('/')?;
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let (bucket, key) = match host.and_then(|host| self.bucket(host)) {
            Some(bucket) => (bucket, path),
            None => path.split_once('/')?,
        };
        (!key.is_empty()).then(|| Name { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl S3Host for Addressing {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let parsed = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => parsed.with_bucket(bucket),
            None => parsed,
        })
    }
}

/// The names and values of a query, decoded.
pub(super) fn query(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_path_or_by_host() {
        let named = |domain: Option<&str>, host: &str, target: &str| {
            let addressing = Addressing { domain: domain.map(str::to_owned) };
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            let name = addressing.object(&target.parse().unwrap(), &headers)?;
            Some(format!("{} {}", name.bucket, name.key))
        };
        let domain = Some("s3.test");
        for (domain, host, target, expected) in [
            (None, "b.s3.test", "/b/k", Some("b k")),
            (domain, "127.0.0.1:80", "/b/k", Some("b k")),
            (domain, "s3.test", "/b/k", Some("b k")),
            (domain, "b.s3.test:80", "/k/l", Some("b k/l")),
            (domain, "b.s3.test", "/", None),
            (None, "h", "/b", None),
            (None, "h", "/b/", None),
            (None, "h", "/b/%2e%2e/a+%2525", Some("b ../a+%25")),
        ] {
            assert_eq!(named(domain, host, target).as_deref(), expected, "{host} {target}");
        }
    }
}
