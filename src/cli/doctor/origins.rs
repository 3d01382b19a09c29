//! Origins as this machine sees them: their names and addresses, our credentials there, and what strangers can do.

#![allow(clippy::disallowed_methods, reason = "rank 6: DNS, sockets and the wall clock")]

use super::finding::Finding;
use super::verdicts::{Open, of_clock, of_openness, of_signature};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::credentials::{self, CredentialsSource};
use crate::origin::{Origin, OriginSettings, OriginUrl, Signer};
use crate::path::CanonicalPath;
use crate::proxy::{Asker, authorities, peer_at};
use crate::web::chain;
use arc_swap::ArcSwapOption;
use aws_smithy_runtime_api::client::identity::Identity;
use hickory_resolver::TokioResolver;
use http::{Method, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pingora::upstreams::peer::HttpPeer;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A name server has so long to answer.
const NAMES: Duration = Duration::from_secs(5);
/// So long credentials are waited for; an instance metadata service may take its time.
const KEYS: Duration = Duration::from_secs(15);
/// An origin has so long to answer, once it is connected to.
const ANSWER: Duration = Duration::from_secs(15);
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 16;
/// More of an answer is not read: a list of one object and an error are shorter.
const LARGEST: usize = 64 << 10;
/// Asks for one object of the bucket.
const LIST: &str = "list-type=2&max-keys=1";
const MEND_CREDENTIALS: &str =
    "mend what `credentials` of the origin names; it must be readable for the user that this runs as";

/// One origin of a site, with all that is needed to ask it.
pub(super) struct Place {
    /// `SITE/ORIGIN`.
    name: String,
    settings: OriginSettings,
    /// Where its credentials come from; `None` where it is asked without.
    source: Option<CredentialsSource>,
    /// PEM certificates that it is trusted by.
    authorities: Option<Vec<u8>>,
}

/// The origins of all sites.
pub(super) fn places(config: &Config) -> Vec<Place> {
    let sites = config.file.sites.value.0.iter();
    let place = |site: &str, settings: &OriginSettings| {
        let source = match settings.credentials.as_ref().map_or("chain", |name| &*name.value) {
            "anonymous" => None,
            name => Some(config.file.credentials.get(name).cloned().unwrap_or(CredentialsSource::Chain)),
        };
        Place {
            name: format!("{site}/{}", settings.name.value),
            settings: settings.clone(),
            source,
            authorities: settings.ca.as_ref().and_then(|path| config.authorities.get(path)).cloned(),
        }
    };
    sites.flat_map(|(site, settings)| settings.origins.0.iter().map(move |origin| place(site, origin))).collect()
}

/// Looks at one origin, from its name to what strangers can do there.
pub(super) async fn examine(place: Place, asker: &Asker) -> Vec<Finding> {
    let Place { name, settings, source, authorities: pem } = place;
    let mut found = Vec::new();
    let addresses = match resolve(&settings.url).await {
        Ok(addresses) => addresses,
        Err(error) => {
            let message = format!("`{}` has no address: {error}", settings.url.host);
            let advice =
                "mend the host of `url`, or let this machine ask a name server that knows it (/etc/resolv.conf)";
            found.push(Finding::bad("dns", name, &message, advice));
            return found;
        }
    };
    if settings.url.host.parse::<IpAddr>().is_err() {
        let listed: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        found.push(Finding::ok("dns", &*name, &format!("`{}` is at {}", settings.url.host, listed.join(", "))));
    }
    let connected = connect(&addresses, settings.connect_timeout).await;
    let Some(address) = connected.first().copied() else {
        let message = format!("nothing accepts connections at port {} of `{}`", settings.url.port, settings.url.host);
        let advice = "check `url`, that the origin runs, and that firewalls let this machine through to it";
        found.push(Finding::bad("connect", name, &message, advice));
        return found;
    };
    let count = format!("{} of {} addresses accept connections", connected.len(), addresses.len());
    found.push(Finding::ok("connect", &*name, &count));
    let stranger = Origin::new(settings.clone(), Signer::Anonymous, None);
    let us = match &source {
        None => None,
        Some(source) => match timeout(KEYS, credentials::load(source)).await {
            Ok(Ok(credentials)) => {
                found.push(Finding::ok("credentials", &*name, "they are there"));
                let cell = Arc::new(ArcSwapOption::from_pointee(Identity::from(credentials)));
                Some(Origin::new(settings, Signer::Credentials(cell), None))
            }
            Ok(Err(error)) => {
                found.push(Finding::bad("credentials", &*name, &error.to_string(), MEND_CREDENTIALS));
                None
            }
            Err(_) => {
                let message = format!("none came within {} s", KEYS.as_secs());
                found.push(Finding::bad("credentials", &*name, &message, MEND_CREDENTIALS));
                None
            }
        },
    };
    let talk = Talk { asker, peer: peer_at(&stranger, address, pem.map(|pem| authorities(&pem))) };
    // What nobody has written.
    let nothing = format!("/.windscreen-doctor-{:016x}", rand::random::<u64>());
    // Without credentials only the clock and strangers can be looked at.
    let first = talk.ask(us.as_ref().unwrap_or(&stranger), Method::GET, &nothing, "").await;
    let first = match first {
        Ok(first) => first,
        Err(fault) => {
            found.push(fault.finding(&name));
            return found;
        }
    };
    if stranger.url.tls {
        found.push(Finding::ok("tls", &*name, "its certificate is trusted"));
    }
    found.extend(of_clock(&name, first.date, first.at));
    if us.is_some() || source.is_none() {
        found.push(of_signature(&name, us.is_some(), first.status.as_u16(), &first.code));
    }
    let open = talk.openness(us.as_ref(), &stranger).await;
    found.extend(open.map(|open| of_openness(&name, source.is_some(), open)));
    found
}

/// All addresses of the host of a URL.
async fn resolve(url: &OriginUrl) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = url.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, url.port)]);
    }
    let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
    let resolver = resolver.map_err(|error| format!("the system's resolver configuration cannot be read: {error}"))?;
    let looked_up = timeout(NAMES, resolver.lookup_ip(url.host.as_str())).await;
    let looked_up = looked_up.map_err(|_| format!("no name server answers within {} s", NAMES.as_secs()))?;
    let looked_up = looked_up.map_err(|error| error.to_string())?;
    let addresses: Vec<_> = looked_up.iter().map(|address| SocketAddr::new(address, url.port)).collect();
    if addresses.is_empty() { Err("the name is there, but no address".into()) } else { Ok(addresses) }
}

/// Those of the addresses that accept connections.
async fn connect(addresses: &[SocketAddr], patience: Duration) -> Vec<SocketAddr> {
    let mut attempts = JoinSet::new();
    for address in addresses.iter().take(MOST_ADDRESSES).copied() {
        let connecting = timeout(patience, TcpStream::connect(address));
        attempts.spawn(async move { matches!(connecting.await, Ok(Ok(_))).then_some(address) });
    }
    attempts.join_all().await.into_iter().flatten().collect()
}

/// What an origin said.
struct Answer {
    status: StatusCode,
    /// The code of its error; empty where it gave none.
    code: String,
    date: Option<Timestamp>,
    /// When it came.
    at: Timestamp,
    body: String,
}

/// Why it said nothing.
enum Fault {
    Silent,
    Broken(Box<pingora::Error>),
    /// A mistake of ours.
    NoPath,
}

impl Fault {
    fn finding(&self, origin: &str) -> Finding {
        let check = "answer";
        let advice = "check that `url` names an S3 endpoint, with `http` or `https` as it speaks";
        match self {
            Fault::Silent => {
                let message = format!("it accepts connections, but gives no answer within {} s", ANSWER.as_secs());
                Finding::bad(check, origin, &message, advice)
            }
            Fault::NoPath => Finding::bad(check, origin, "it could not be asked", advice),
            Fault::Broken(error) => {
                let kind = error.etype().as_str();
                let cause = error.cause.as_ref().map(|cause| format!(": {}", chain(&**cause))).unwrap_or_default();
                let message = format!("it gives no answer: {kind}{cause}");
                if kind.contains("TLS") || kind.contains("Cert") {
                    let advice = "where a private authority signs its certificate, name that as `ca` of the origin; else the \
                                  certificate must be for the host of `url`, and this machine must have ca-certificates";
                    return Finding::bad("tls", origin, &message, advice);
                }
                Finding::bad(check, origin, &message, advice)
            }
        }
    }
}

/// An origin that can be asked.
struct Talk<'a> {
    asker: &'a Asker,
    peer: HttpPeer,
}

impl Talk<'_> {
    /// Asks as `origin` signs. Of the answer not more is read than is needed.
    async fn ask(&self, origin: &Origin, method: Method, path: &str, query: &str) -> Result<Answer, Fault> {
        let path = CanonicalPath::parse(path).map_err(|_| Fault::NoPath)?;
        let asking = async {
            let now = SystemTime::now().into();
            let reads = method != Method::HEAD;
            let mut session = self.asker.ask((origin, &self.peer), method, &path, query, now).await?;
            let at = SystemTime::now().into();
            let (mut status, mut date) = (StatusCode::default(), None);
            if let Some(response) = session.resp_header() {
                status = response.status;
                date = response.headers.get(header::DATE).and_then(|date| moment(date.to_str().ok()?));
            }
            let mut body = Vec::new();
            while reads && body.len() < LARGEST {
                let Some(piece) = session.read_body_bytes().await? else { break };
                body.extend_from_slice(&piece);
            }
            let body = String::from_utf8_lossy(&body).into_owned();
            let code = within(&body, "Code").unwrap_or_default();
            let code = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
            Ok(Answer { status, code, date, at, body })
        };
        timeout(ANSWER, asking).await.map_err(|_| Fault::Silent)?.map_err(Fault::Broken)
    }

    /// What a stranger can do; nothing where no answer comes. An object to try is taken from what the bucket lists to us.
    async fn openness(&self, us: Option<&Origin>, stranger: &Origin) -> Option<Open> {
        let lists = |answer: &Answer| answer.status == StatusCode::OK && answer.body.contains("<ListBucketResult");
        if lists(&self.ask(stranger, Method::GET, "/", LIST).await.ok()?) {
            return Some(Open::Lists);
        }
        let Some(us) = us else { return Some(Open::Unknown) };
        let listed = self.ask(us, Method::GET, "/", LIST).await.ok().filter(lists);
        let Some(path) = listed.and_then(|answer| path(within(&answer.body, "Key")?)) else {
            return Some(Open::Unknown);
        };
        let answer = self.ask(stranger, Method::HEAD, &path, "").await.ok()?;
        Some(match answer.status {
            status if status.is_success() => Open::Reads,
            status if status.is_client_error() => Open::Closed,
            _ => Open::Unknown,
        })
    }
}

/// The text of the first element of this name.
fn within<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    after.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// The path of the object with this key, as XML writes it.
fn path(key: &str) -> Option<String> {
    let key = quick_xml::escape::unescape(key).ok()?;
    let parts: Vec<String> =
        key.split('/').map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string()).collect();
    Some(format!("/{}", parts.join("/")))
}

fn moment(date: &str) -> Option<Timestamp> {
    let date = OffsetDateTime::parse(date, &Rfc2822).ok()?;
    u64::try_from(date.unix_timestamp()).ok().map(|seconds| Timestamp(seconds * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s3_says_is_read() {
        let error = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>m</Message></Error>";
        assert_eq!(within(error, "Code"), Some("NoSuchKey"));
        for bad in ["", "<Code>", "</Code><Code>", "<Code>cut"] {
            assert_eq!(within(bad, "Code"), None, "{bad}");
        }
        assert_eq!(path("a b/&lt;c&gt;&amp;d").unwrap(), "/a%20b/%3Cc%3E%26d");
        assert_eq!(moment("Thu, 01 Jan 1970 00:01:00 GMT"), Some(Timestamp(60_000)));
        assert_eq!(moment("yesterday"), None);
    }
}
