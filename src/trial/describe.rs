//! From what somebody writes, a URL and some headers, to a described request.

use super::dress::Dress;
use super::request::{Addressed, Described, Given};
use crate::clock::Timestamp;
use crate::facts::{Fact, HttpVersion, Identity};
use crate::printable::printable;
use http::{HeaderName, HeaderValue, Method, Uri};
use std::net::IpAddr;

/// The headers of a described request; those that are not given are absent. What comes later replaces what came before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dressed<'a> {
    /// Those of a well-known client.
    pub dress: Option<Dress>,
    /// The User-Agent.
    pub user_agent: Option<&'a str>,
    /// More of them, as `name: value`.
    pub headers: &'a [String],
}

impl Described {
    /// A request for `url` from `address`, of a client of which nothing is proved and nothing is known.
    ///
    /// # Errors
    /// When the URL or a header cannot be read, in words for whoever wrote it.
    pub fn new(
        method: Method,
        url: &str,
        address: IpAddr,
        dressed: &Dressed<'_>,
        now: Timestamp,
    ) -> Result<Described, String> {
        let (secure, host, target) = split(url)?;
        Ok(Described {
            addressed: Addressed::Host,
            method,
            target,
            address,
            headers: dressed.headers(secure, &host)?,
            identity: Identity::None,
            client_name: None,
            pass: None,
            secure,
            ja4: Fact::Unknown,
            version: HttpVersion::Http11,
            now,
            state: Given::default(),
        })
    }
}

impl Dressed<'_> {
    fn headers(&self, secure: bool, host: &str) -> Result<Vec<(String, HeaderValue)>, String> {
        let mut headers = Vec::new();
        let dressed = self.dress.map_or_else(Vec::new, |dress| dress.headers(secure));
        let given = self.headers.iter().map(|header| {
            let named = header.split_once(':').filter(|(name, _)| name.parse::<HeaderName>().is_ok());
            named.ok_or_else(|| format!("`{}` is not a header: expected `name: value`", printable(header)))
        });
        let agent = self.user_agent.iter().map(|agent| Ok(("User-Agent", *agent)));
        for header in dressed.into_iter().map(Ok).chain(agent).chain(given) {
            let (name, value) = header?;
            let value = HeaderValue::from_str(value.trim())
                .map_err(|_| format!("`{}` cannot stand in a header", printable(value)))?;
            match headers.iter_mut().find(|(known, _): &&mut (String, HeaderValue)| known.eq_ignore_ascii_case(name)) {
                Some(place) => *place = (name.to_owned(), value),
                None => headers.push((name.to_owned(), value)),
            }
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            let host = HeaderValue::from_str(host).map_err(|_| format!("`{}` is not a host", printable(host)))?;
            headers.insert(0, ("Host".to_owned(), host));
        }
        Ok(headers)
    }
}

/// Whether a URL is of https, its host with the port, and the target of a request for it.
fn split(url: &str) -> Result<(bool, String, String), String> {
    let wrong = || format!("`{}` is not a URL: expected `https://HOST/PATH` or `http://HOST/PATH`", printable(url));
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(wrong()),
    };
    let authority = uri.authority().ok_or_else(wrong)?.as_str();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Ok((secure, host.to_owned(), uri.path_and_query().map_or("/", |target| target.as_str()).to_owned()))
}
