//! Which dialect a client understands.

use crate::verdict::Dialect;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, RANGE, USER_AGENT};

/// User-Agents of S3 clients, which read S3's XML and retry `503 SlowDown`. Python's urllib is what image-download
/// uses.
const S3_CLIENTS: [&str; 9] =
    ["boto", "aws-cli", "aws-sdk", "s3cmd", "rclone/", "minio", "s3fs", "python-urllib/", "apn/"];

/// Decides how to speak to the client.
///
/// Fetch metadata (`Sec-Fetch-*`) says it outright where browsers send it; on plain http they do not, so `Accept`
/// decides there: a navigation asks for `text/html` by name, a fetch for `*/*`, an image for `image/...`.
pub fn dialect(method: &str, headers: &HeaderMap, query: &str) -> Dialect {
    let text = |name: &http::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is = |pair: &str, name: &str| pair.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let agent = text(&USER_AGENT).to_ascii_lowercase();
    if headers.contains_key(AUTHORIZATION)
        || headers.keys().any(|name| name.as_str().starts_with("x-amz-"))
        || query.split('&').any(|pair| is(pair, "x-amz-") || is(pair, "AWSAccessKeyId="))
        || (!agent.starts_with("mozilla/") && S3_CLIENTS.iter().any(|client| agent.contains(client)))
    {
        return Dialect::S3;
    }
    let accept = text(&ACCEPT);
    // Asks outright for what programs can read.
    if accept.contains("application/problem+json") {
        return Dialect::Fetch;
    }
    if let Some(mode) = named("sec-fetch-mode") {
        let document = named("sec-fetch-dest").is_none_or(|dest| matches!(dest, "document" | "iframe" | "frame"));
        return if mode == "navigate" && document && method == "GET" { Dialect::Page } else { Dialect::Fetch };
    }
    if headers.contains_key("x-requested-with") {
        return Dialect::Fetch;
    }
    if accept.contains("text/html") {
        return if method == "GET" && !headers.contains_key(RANGE) { Dialect::Page } else { Dialect::Fetch };
    }
    if agent.contains("mozilla/") || accept.contains("json") { Dialect::Fetch } else { Dialect::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_spoken_to_in_its_own_dialect() {
        let browser = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/156");
        let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, Dialect);
        let cases: [Case; 21] = [
            (
                "GET",
                &[browser, html, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
                "",
                Dialect::Page,
            ),
            ("GET", &[browser, html, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "embed")], "", Dialect::Fetch),
            ("GET", &[browser, ("accept", "*/*"), ("sec-fetch-mode", "cors")], "", Dialect::Fetch),
            ("GET", &[browser, html], "", Dialect::Page),
            ("HEAD", &[browser, html], "", Dialect::Fetch),
            ("GET", &[browser, html, ("range", "bytes=5-")], "", Dialect::Fetch),
            ("GET", &[browser, ("accept", "*/*")], "", Dialect::Fetch),
            ("GET", &[browser, ("accept", "image/avif,image/webp,*/*;q=0.8")], "", Dialect::Fetch),
            ("GET", &[("user-agent", "Lynx/2.9"), ("accept", "text/html, text/plain, */*;q=0.01")], "", Dialect::Page),
            ("GET", &[("user-agent", "curl/8.0"), ("accept", "*/*")], "", Dialect::Plain),
            ("GET", &[], "", Dialect::Plain),
            ("GET", &[("user-agent", "curl/8.0"), ("accept", "application/problem+json, */*")], "", Dialect::Fetch),
            ("GET", &[("accept", "application/problem+json, text/html")], "", Dialect::Fetch),
            ("GET", &[("user-agent", "Python-urllib/3.13"), ("accept", "application/problem+json")], "", Dialect::S3),
            ("GET", &[("user-agent", "Python-urllib/3.13")], "", Dialect::S3),
            ("GET", &[("user-agent", "Boto3/1.40 md/Botocore")], "", Dialect::S3),
            ("GET", &[browser, html, ("authorization", "AWS4-HMAC-SHA256 x")], "", Dialect::S3),
            ("GET", &[browser, html], "X-Amz-Signature=00", Dialect::S3),
            ("GET", &[browser, html], "versionId=1&x-amz-signature=00", Dialect::S3),
            // A link can say anything, and a phone be called anything.
            ("GET", &[browser, html], "q=x-amz-&aX-Amz-Date", Dialect::Page),
            ("GET", &[("user-agent", "Mozilla/5.0 (Linux; Roboto Phone)"), html], "", Dialect::Page),
        ];
        for (method, sent, query, expected) in cases {
            let headers = sent.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
            assert_eq!(dialect(method, &headers, query), expected, "{method} {sent:?} {query}");
        }
    }
}
