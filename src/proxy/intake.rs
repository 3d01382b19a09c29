//! From bytes on a connection to a request that has exactly one reading, or a refusal.

use super::refusal::Refusal;
use crate::path::CanonicalPath;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, Version};

/// Longer headers, target included, are refused: expressions of a policy read all of them, for every request. What
/// browsers and S3 clients send is below 8 KiB, long cookies included.
const MAX_HEADERS: usize = 32 * 1024;

/// A request with one reading.
#[derive(Debug)]
pub struct Intake {
    /// The host that is addressed: lower case, without port.
    pub host: String,
    /// The canonical path.
    pub path: CanonicalPath,
    /// The query as sent.
    pub query: String,
}

/// The parts of a request that decide how it is read.
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request target as sent.
    pub target: &'a [u8],
    /// The HTTP version.
    pub version: Version,
    /// All headers.
    pub headers: &'a HeaderMap,
}

/// Reads a request, or says which part of it has no reading or two. The word is a label value of metrics.
pub fn read(request: RequestLine<'_>) -> Result<Intake, (&'static str, Refusal)> {
    let headers: usize = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if request.target.len() + headers > MAX_HEADERS {
        return Err(("size", Refusal::headers_too_large()));
    }
    framing(request).map_err(|detail| ("framing", Refusal::bad_request(detail)))?;
    let host = host(request).map_err(|detail| ("host", Refusal::bad_request(detail)))?;
    let target =
        std::str::from_utf8(request.target).map_err(|_| ("target", Refusal::bad_request("the path is not UTF-8")))?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = CanonicalPath::parse(path).map_err(|error| ("target", Refusal::bad_request(&error.to_string())))?;
    Ok(Intake { host, path, query: query.to_owned() })
}

/// A body on GET or HEAD, or an upgrade, would be read differently by the next program. An empty body is nothing:
/// Python's urllib announces one.
fn framing(RequestLine { method, headers, .. }: RequestLine<'_>) -> Result<(), &'static str> {
    if headers.contains_key(UPGRADE) {
        return Err("protocol upgrades are not supported");
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err("a chunked request body is not accepted");
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next().map(|value| value.to_str().unwrap_or("x"));
    if lengths.next().is_some() || length.is_some_and(|text| !text.bytes().all(|b| b.is_ascii_digit())) {
        return Err("the Content-Length is malformed");
    }
    let has_body = length.is_some_and(|text| text.bytes().any(|b| b != b'0'));
    if has_body && (method == Method::GET || method == Method::HEAD) {
        return Err("a request body is not accepted here");
    }
    Ok(())
}

/// The host name of the Host header, without its port.
fn host(RequestLine { version, headers, .. }: RequestLine<'_>) -> Result<String, &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else {
        return if version == Version::HTTP_11 { Err("the Host header is missing") } else { Ok(String::new()) };
    };
    if hosts.next().is_some() {
        return Err("there is more than one Host header");
    }
    let text = host.to_str().map_err(|_| "the Host header is malformed")?;
    let (name, port) = match text.rsplit_once(':') {
        // An IPv6 address has colons of its own and stands in brackets.
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (text, ""),
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    if name.is_empty() || !name.bytes().all(legal) || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the Host header is malformed");
    }
    Ok(name.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(
        method: Method,
        target: &str,
        version: Version,
        headers: &[(&str, &str)],
    ) -> Result<String, &'static str> {
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
        let headers = headers.fold(HeaderMap::new(), |mut map: HeaderMap, (name, value): (http::HeaderName, _)| {
            map.append(name, value);
            map
        });
        read(RequestLine { method: &method, target: target.as_bytes(), version, headers: &headers })
            .map(|intake| format!("{}{}?{}", intake.host, intake.path.as_str(), intake.query))
            .map_err(|(reason, _)| reason)
    }

    #[test]
    fn a_request_with_two_readings_is_refused() {
        let host = ("host", "Logs.Example.org.:8080");
        let h11 = Version::HTTP_11;
        let get = |target: &str, headers: &[(&str, &str)]| outcome(Method::GET, target, h11, headers);
        assert_eq!(get("/a%20b?x=1?y", &[host]), Ok("logs.example.org/a b?x=1?y".into()));
        assert_eq!(get("/", &[("host", "[2001:db8::1]:80")]), Ok("[2001:db8::1]/?".into()));
        assert_eq!(get("/", &[("host", "[2001:db8::1]")]), Ok("[2001:db8::1]/?".into()));
        assert_eq!(get("/", &[host, ("content-length", "0")]), Ok("logs.example.org/?".into()));
        assert_eq!(outcome(Method::GET, "/", Version::HTTP_10, &[]), Ok("/?".into()));
        assert_eq!(get("/", &[]), Err("host"));
        assert_eq!(get("/", &[host, host]), Err("host"));
        assert_eq!(get("/", &[("host", "a b")]), Err("host"));
        assert_eq!(get("/", &[("host", "a/b")]), Err("host"));
        assert_eq!(get("/", &[("host", "a:b")]), Err("host"));
        assert_eq!(get("/", &[("host", "")]), Err("host"));
        assert_eq!(get("http://logs/x", &[host]), Err("target"));
        assert_eq!(get("/a/../b", &[host]), Err("target"));
        assert_eq!(get("/", &[host, ("content-length", "5")]), Err("framing"));
        assert_eq!(get("/", &[host, ("content-length", "0"), ("content-length", "0")]), Err("framing"));
        assert_eq!(get("/", &[host, ("content-length", "+0")]), Err("framing"));
        assert_eq!(get("/", &[host, ("transfer-encoding", "chunked")]), Err("framing"));
        assert_eq!(get("/", &[host, ("upgrade", "h2c")]), Err("framing"));
        let long = "x".repeat(MAX_HEADERS - 100);
        assert_eq!(get("/", &[host, ("cookie", &long)]), Ok("logs.example.org/?".into()));
        assert_eq!(get("/", &[host, ("cookie", &long), ("x", &long[..100])]), Err("size"));
        assert_eq!(get(&format!("/{long}"), &[host, ("x", &long[..100])]), Err("size"));
    }
}
