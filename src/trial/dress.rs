//! What well-known clients send, in their order and letter case, so that a case need not write it out.

use crate::document::{Decode, Diagnostics, Node, Schemas, choose, words};
use serde_json::Value;

/// A client whose headers a described request bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// A browser that opens a page.
    Browser,
    /// A script of a page of the same origin.
    Fetch,
    /// curl.
    Curl,
    /// GNU Wget.
    Wget,
    /// Python's urllib.
    Urllib,
    /// boto3, unsigned.
    Boto3,
}

/// Captures of Chromium 156.
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
const BRANDS: &str = "\"Chromium\";v=\"156\", \"Google Chrome\";v=\"156\", \"Not?A_Brand\";v=\"24\"";
const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8";

impl Dress {
    /// Every dress with its word.
    pub const WORDS: [(&'static str, Dress); 6] = [
        ("browser", Dress::Browser),
        ("fetch", Dress::Fetch),
        ("curl", Dress::Curl),
        ("wget", Dress::Wget),
        ("urllib", Dress::Urllib),
        ("boto3", Dress::Boto3),
    ];

    /// The headers behind `Host`. Browsers keep client hints and fetch metadata to secure origins.
    pub fn headers(self, secure: bool) -> Vec<(&'static str, &'static str)> {
        let all: &[(&str, &str)] = match self {
            Dress::Browser => &[
                ("Connection", "keep-alive"),
                ("sec-ch-ua", BRANDS),
                ("sec-ch-ua-mobile", "?0"),
                ("sec-ch-ua-platform", "\"Linux\""),
                ("Upgrade-Insecure-Requests", "1"),
                ("User-Agent", CHROME),
                ("Accept", HTML),
                ("Sec-Fetch-Site", "none"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-User", "?1"),
                ("Sec-Fetch-Dest", "document"),
                ("Accept-Encoding", "gzip, deflate, br, zstd"),
                ("Accept-Language", "en-US,en;q=0.9"),
            ],
            Dress::Fetch => &[
                ("Connection", "keep-alive"),
                ("sec-ch-ua-platform", "\"Linux\""),
                ("User-Agent", CHROME),
                ("sec-ch-ua", BRANDS),
                ("sec-ch-ua-mobile", "?0"),
                ("Accept", "*/*"),
                ("Sec-Fetch-Site", "same-origin"),
                ("Sec-Fetch-Mode", "cors"),
                ("Sec-Fetch-Dest", "empty"),
                ("Accept-Encoding", "gzip, deflate, br, zstd"),
                ("Accept-Language", "en-US,en;q=0.9"),
            ],
            Dress::Curl => &[("User-Agent", "curl/8.15.0"), ("Accept", "*/*")],
            Dress::Wget => &[
                ("User-Agent", "Wget/1.25.0"),
                ("Accept", "*/*"),
                ("Accept-Encoding", "identity"),
                ("Connection", "Keep-Alive"),
            ],
            Dress::Urllib => {
                &[("Accept-Encoding", "identity"), ("User-Agent", "Python-urllib/3.13"), ("Connection", "close")]
            }
            Dress::Boto3 => &[
                ("User-Agent", "Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux lang/python#3.13"),
                ("Accept-Encoding", "identity"),
            ],
        };
        let kept = |name: &str| secure || !name.to_ascii_lowercase().starts_with("sec-");
        all.iter().copied().filter(|(name, _)| kept(name)).collect()
    }
}

impl Decode for Dress {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "dress", &Dress::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&Dress::WORDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::dialect;
    use http::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn each_dress_is_answered_as_the_client_would_be() {
        let dialects = [
            (Dress::Browser, "page"),
            (Dress::Fetch, "fetch"),
            (Dress::Curl, "plain"),
            (Dress::Wget, "plain"),
            (Dress::Urllib, "s3"),
            (Dress::Boto3, "s3"),
        ];
        for (dress, expected) in dialects {
            for secure in [true, false] {
                let header = |(name, value): (&str, &'static str)| {
                    (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value))
                };
                let headers: HeaderMap = dress.headers(secure).into_iter().map(header).collect();
                if secure || dress != Dress::Fetch {
                    assert_eq!(dialect("GET", &headers, "").word(), expected, "{dress:?} {secure}");
                }
                let hints = headers.keys().filter(|name| name.as_str().starts_with("sec-")).count();
                assert!(secure || hints == 0, "{dress:?}");
            }
        }
    }
}
