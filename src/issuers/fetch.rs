//! One fetch of an issuer's keys, with a bound on everything.
//!
//! Whoever can change what comes could let anybody in. So it comes by https, or from this machine itself, and no
//! redirect is followed.

use crate::identity::{IssuerUrl, KeySet, KeySource, LARGEST_KEY_SET};
use crate::web;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Empty;
use serde::Deserialize;
use std::time::Duration;

/// What an issuer says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys of `source`, and for how long they may be used without asking again.
///
/// # Errors
/// When the server cannot be reached or trusted, answers with anything but 200, or what it sends is not what it should
/// be.
pub(super) async fn keys(source: &KeySource) -> Result<(KeySet, Option<Duration>), String> {
    let url = match &source.jwks {
        Some(url) => url.clone(),
        None => {
            let place = source.discovery();
            let (body, _) = get(&place).await?;
            let found = discovered(source, &body);
            found.map_err(|error| format!("`{place}`: {error}"))?
        }
    };
    let (body, age) = get(url.as_str()).await?;
    let keys = KeySet::parse(&body).map_err(|error| format!("`{url}`: {error}"))?;
    Ok((keys, age))
}

/// Where the issuer says that its keys are.
fn discovered(source: &KeySource, body: &[u8]) -> Result<IssuerUrl, String> {
    let discovery: Discovery =
        serde_json::from_slice(body).map_err(|error| format!("this does not say where keys are: {error}"))?;
    if discovery.issuer != source.issuer.as_str() {
        let message = format!("this is what `{}` says, not `{}`", discovery.issuer.escape_debug(), source.issuer);
        return Err(message);
    }
    IssuerUrl::parse(&discovery.jwks_uri)
}

/// Gets `url`.
async fn get(url: &str) -> Result<(Bytes, Option<Duration>), String> {
    let failed = |error: String| format!("`{url}`: {error}");
    let request = Request::get(url).header(USER_AGENT, web::AGENT).header(ACCEPT, "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed(error.to_string()))?;
    let response = web::send(request).await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(failed(format!("the server answered {}; no redirect is followed", response.status())));
    }
    let age = max_age(response.headers());
    Ok((web::body(response, LARGEST_KEY_SET).await.map_err(failed)?, age))
}

/// For how long an answer is fresh (RFC 9111, section 5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, value) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok()).flatten()
    });
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_speaks_for_itself() {
        let source = |issuer: &str| KeySource { issuer: IssuerUrl::parse(issuer).unwrap(), jwks: None };
        let cases = [
            ("https://a.example", "https://a.example", "https://a.example/keys", true),
            ("https://a.example", "https://a.example", "https://keys.example/", true),
            ("https://a.example", "https://a.example/", "https://a.example/keys", false),
            ("https://a.example", "https://b.example", "https://a.example/keys", false),
            ("https://a.example", "https://a.example", "http://a.example/keys", false),
            ("https://a.example", "https://a.example", "file:///etc/keys", false),
        ];
        for (issuer, says, keys, good) in cases {
            let body = serde_json::json!({ "issuer": says, "jwks_uri": keys }).to_string();
            let found = discovered(&source(issuer), body.as_bytes());
            assert_eq!(found.is_ok(), good, "{issuer} {body} {found:?}");
        }
        assert_eq!(source("https://a.example/b/").discovery(), "https://a.example/b/.well-known/openid-configuration");
    }

    #[test]
    fn answers_say_how_long_they_are_fresh() {
        let cases = [
            ("public, max-age=600", Some(600)),
            ("MAX-AGE=\"5\", no-transform", Some(5)),
            ("no-store", None),
            ("max-age=soon", None),
            ("s-maxage=600", None),
        ];
        for (value, expected) in cases {
            let headers = [(CACHE_CONTROL, value.parse().unwrap())].into_iter().collect();
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{value}");
        }
    }
}
