//! The requests that are sent: for an object, and with a solution.

use super::transport::Broken;
use super::{Session, Url};
use crate::challenge::Offer;
use crate::clock::Timestamp;
use crate::document::{Position, Spanned};
use crate::origin::{Origin, OriginRequest, OriginSettings, OriginUrl, Signer};
use crate::web;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderValue, IF_RANGE, RANGE, USER_AGENT,
};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use std::time::Duration;

/// The region of signatures where neither the user nor the host name says one.
const REGION: &str = "us-east-1";

/// Who signs requests with SigV4.
pub struct Signing {
    /// The holder of credentials.
    pub signer: Signer,
    /// The region; by the host name where absent.
    pub region: Option<String>,
}

/// A request as it is sent.
pub(super) type Sent = Request<Full<Bytes>>;

/// What goes to one server.
pub(super) struct Asked<'a> {
    /// The URL.
    pub url: &'a Url,
    /// Whether it is at the server that the user named, and may be told what the user gave for it.
    pub is_home: bool,
    /// The passes for this server.
    pub cookie: Option<String>,
}

impl Session {
    /// Asks for an object, or for what comes after its part.
    pub(super) fn ask(&self, asked: &Asked<'_>, range: Option<(u64, &str)>, now: Timestamp) -> Result<Sent, Broken> {
        let mut headers = self.headers(asked)?;
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/problem+json, */*"));
        // What is stored is what has the checksum.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((from, validator)) = range {
            headers.insert(RANGE, value(&format!("bytes={from}-"))?);
            headers.insert(IF_RANGE, value(validator)?);
        }
        if let Some(signing) = self.signing.as_ref().filter(|_| asked.is_home) {
            headers = signing.sign(asked.url, headers, now).map_err(Broken::ForGood)?;
        }
        assemble(Method::GET, asked.url, headers, Bytes::new())
    }

    /// Hands in a solution.
    pub(super) fn submit(&self, asked: &Asked<'_>, offer: &Offer, nonces: &[u32]) -> Result<Sent, Broken> {
        let mut headers = self.headers(asked)?;
        headers.insert(ACCEPT, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_TYPE, value(&offer.submit.content_type)?);
        let [challenge, solution] = &offer.submit.fields;
        let body = json!({ (&**challenge): offer.challenge, (&**solution): nonces }).to_string();
        assemble(Method::POST, asked.url, headers, body.into())
    }

    fn headers(&self, asked: &Asked<'_>) -> Result<HeaderMap, Broken> {
        let mut headers = HeaderMap::new();
        if asked.is_home {
            headers.clone_from(&self.headers);
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(web::AGENT));
        headers.insert(HOST, value(&asked.url.authority())?);
        if let Some(cookie) = &asked.cookie {
            let mut cookie = value(cookie)?;
            cookie.set_sensitive(true);
            headers.append(COOKIE, cookie);
        }
        Ok(headers)
    }
}

impl Signing {
    fn sign(&self, url: &Url, headers: HeaderMap, now: Timestamp) -> Result<HeaderMap, String> {
        let place = OriginUrl::parse(&url.server())?;
        let region = self.region.as_deref().or_else(|| place.region()).unwrap_or(REGION).to_owned();
        let name = "the server";
        let none = Duration::ZERO;
        let settings = OriginSettings {
            name: Spanned { position: Position::default(), value: name.into() },
            url: place,
            credentials: None,
            redirect_credentials: None,
            region: Some(region),
            ca: None,
            connect_timeout: none,
            read_timeout: none,
            write_timeout: none,
            idle_timeout: none,
        };
        let origin = Origin::new(settings, self.signer.clone(), None);
        let mut request = OriginRequest { target: url.target().to_owned(), headers };
        request.sign(&origin, "GET", now).map_err(|error| error.to_string())?;
        Ok(request.headers)
    }
}

fn value(text: &str) -> Result<HeaderValue, Broken> {
    HeaderValue::from_str(text).map_err(|_| Broken::ForGood("a header would hold characters that it must not".into()))
}

fn assemble(method: Method, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Sent, Broken> {
    let uri = url.uri().map_err(Broken::ForGood)?;
    let mut request = Request::new(Full::new(body));
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    Ok(request)
}
