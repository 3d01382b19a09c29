//! One fetch of one feed: a conditional GET that follows redirects, with a bound on everything.

use crate::web;
use bytes::Bytes;
use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// What a server said to recognise its content by, as the headers that ask whether it has changed.
pub type Validators = Vec<(HeaderName, HeaderValue)>;

/// What a fetch brought.
pub enum Answer {
    /// The content, and how to ask for it the next time.
    Content(Bytes, Validators),
    /// The content is what the validators stand for.
    Unchanged,
}

fn validators(headers: &HeaderMap) -> Validators {
    let pairs = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
    pairs.into_iter().filter_map(|(said, ask)| Some((ask, headers.get(said)?.clone()))).collect()
}

/// Gets `url`.
///
/// # Errors
/// When the server cannot be reached or trusted, answers with anything but 200 or an expected 304, sends more than
/// `largest` bytes, or redirects too often.
pub async fn fetch(url: &str, known: &Validators, largest: usize) -> Result<Answer, String> {
    let mut url: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    for _ in 0..=REDIRECTS {
        let mut request = Request::get(&url).header(USER_AGENT, web::AGENT);
        for (name, value) in known {
            request = request.header(name, value);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let response = web::send(request).await?;
        match response.status() {
            StatusCode::OK => {
                let known = validators(response.headers());
                return Ok(Answer::Content(web::body(response, largest).await?, known));
            }
            StatusCode::NOT_MODIFIED if !known.is_empty() => return Ok(Answer::Unchanged),
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => url = next(&url, response.headers().get(LOCATION))?,
            status => return Err(format!("the server answered {status}")),
        }
    }
    Err(format!("more than {REDIRECTS} redirects"))
}

/// Where a redirect leads: a URL or an absolute path, and never from https to plain http.
fn next(from: &Uri, location: Option<&HeaderValue>) -> Result<Uri, String> {
    let to: Uri = location
        .and_then(|value| value.to_str().ok()?.split('#').next()?.parse().ok())
        .ok_or("a redirect that leads nowhere")?;
    let mut parts = to.into_parts();
    if parts.scheme.is_none() && parts.authority.is_none() {
        parts.scheme = from.scheme().cloned();
        parts.authority = from.authority().cloned();
    }
    let to = Uri::from_parts(parts).map_err(|error| format!("a redirect that leads nowhere: {error}"))?;
    match (from.scheme_str(), to.scheme_str()) {
        (_, Some("https")) | (Some("http"), Some("http")) => Ok(to),
        _ => Err("a redirect away from https is not followed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_as_safe_as_they_began() {
        let cases = [
            ("https://a/x", "https://b/y?z#part", Some("https://b/y?z")),
            ("https://a:8443/x", "/y", Some("https://a:8443/y")),
            ("http://a/x", "https://b/", Some("https://b/")),
            ("http://a/x", "http://b/", Some("http://b/")),
            ("https://a/x", "http://a/x", None),
            ("https://a/x", "ftp://a/x", None),
            ("https://a/x", "file:///etc/passwd", None),
            ("https://a/x", "", None),
            ("https://a/x", "y", None),
        ];
        for (from, location, to) in cases {
            let followed = next(&from.parse().unwrap(), Some(&HeaderValue::from_static(location)));
            assert_eq!(followed.ok().map(|uri| uri.to_string()).as_deref(), to, "{from} {location}");
        }
        assert!(next(&"https://a/".parse().unwrap(), None).is_err());
    }

    #[tokio::test]
    async fn a_server_that_the_system_does_not_trust_is_refused() {
        use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
        let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let configuration = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(configuration)).accept(stream).await;
        });
        let message = fetch(&url, &Validators::new(), 100).await.err().unwrap();
        // A system without any roots says so.
        assert!(message.contains("certificate"), "{message}");
    }
}
