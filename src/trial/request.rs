//! A request that never came, as somebody describes it.

use crate::clock::Timestamp;
use crate::decisions::{Decision, Decisions};
use crate::facts::{Client, Fact, Headers, HttpVersion, Identity, header_text};
use crate::network::IpNet;
use crate::state::State;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::net::IpAddr;
use std::sync::Arc;

/// What a described request addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressed {
    /// The site that the gateway file gives this host and path.
    Host,
    /// This site, by a path below it.
    Site(String),
}

/// A described request.
#[derive(Debug, Clone)]
pub struct Described {
    /// What it addresses.
    pub addressed: Addressed,
    /// The method.
    pub method: Method,
    /// The request target as sent: path and query.
    pub target: String,
    /// The address that it comes from.
    pub address: IpAddr,
    /// Its headers as sent, `Host` included: names in their letter case, in their order.
    pub headers: Vec<(String, HeaderValue)>,
    /// How the client proved itself.
    pub identity: Identity,
    /// The name of its entry in the gateway file.
    pub client_name: Option<String>,
    /// The difficulty of the challenge that its valid pass was bought with.
    pub pass: Option<u32>,
    /// Whether the client's side speaks TLS.
    pub secure: bool,
    /// The JA4 fingerprint of its TLS.
    pub ja4: Fact<String>,
    /// The version of HTTP.
    pub version: HttpVersion,
    /// When it comes.
    pub now: Timestamp,
    /// What is remembered and measured by then.
    pub state: Given,
}

impl Described {
    /// The headers by name.
    pub(super) fn header_map(&self) -> HeaderMap {
        let named = |(name, value): &(String, HeaderValue)| Some((name.parse::<HeaderName>().ok()?, value.clone()));
        let mut map = HeaderMap::new();
        for (name, value) in self.headers.iter().filter_map(named) {
            map.append(name, value);
        }
        map
    }
}

/// Headers as described. All are known, but what a proxy in between made of their order and case.
pub(super) struct Sent<'a> {
    pub request: &'a Described,
    pub map: &'a HeaderMap,
    pub relayed: bool,
}

impl Headers for Sent<'_> {
    fn header(&self, name: &str) -> Fact<&str> {
        self.map.get(name).map(header_text).into()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        for (name, value) in self.map {
            visit(name.as_str(), header_text(value));
        }
        true
    }

    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool {
        if !self.relayed {
            self.request.headers.iter().for_each(|(name, _)| visit(name));
        }
        !self.relayed
    }
}

/// State that is written down. What is not is unknown.
#[derive(Debug, Clone)]
pub struct Given {
    /// The strikes on the record of the client's prefix.
    pub strikes: Fact<f64>,
    /// How suspicious the client is.
    pub suspicion: Fact<f64>,
    /// The load averages over 1, 5 and 15 minutes.
    pub load: Fact<[f64; 3]>,
    /// The country of the client's address.
    pub country: Fact<[u8; 2]>,
    /// The autonomous system of the client's address.
    pub asn: Fact<u32>,
    /// All names that the address resolves to and that resolve back to it.
    pub host_names: Option<Vec<String>>,
    /// All DNS block lists that list the address.
    pub listed: Option<Vec<String>>,
    /// All paths of the site that somebody in the prefix has fetched.
    pub fetched: Option<Vec<String>>,
    /// What operators have decided; nothing where it is absent.
    pub decisions: Option<Arc<Decisions>>,
    /// Since when rules of mode `auto` are enforced, where somebody collects evidence.
    pub evidence: Fact<Timestamp>,
    /// Where the client's prefix stands in the draw of the hour.
    pub sample_point: Fact<u64>,
}

impl Default for Given {
    fn default() -> Self {
        let (strikes, suspicion, load) = (Fact::Unknown, Fact::Unknown, Fact::Unknown);
        let (country, asn, evidence, sample_point) = (Fact::Unknown, Fact::Unknown, Fact::Unknown, Fact::Unknown);
        let (host_names, listed, fetched, decisions) = Default::default();
        Given { strikes, suspicion, load, country, asn, host_names, listed, fetched, decisions, evidence, sample_point }
    }
}

/// Whether one of what is written down is meant.
fn any(given: Option<&Vec<String>>, is: impl Fn(&str) -> bool) -> Fact<bool> {
    given.map_or(Fact::Unknown, |all| Fact::Present(all.iter().any(|one| is(one))))
}

impl State for Given {
    fn decided(&self, client: &Client, now: Timestamp) -> Option<Arc<Decision>> {
        self.decisions.as_ref()?.find(client.address, client.trusted, now)
    }

    fn strikes(&self, _: IpNet, _: Timestamp) -> Fact<f64> {
        self.strikes
    }

    fn suspicion(&self, _: IpNet, _: &str, _: Timestamp) -> Fact<f64> {
        self.suspicion
    }

    fn load(&self) -> Fact<[f64; 3]> {
        self.load
    }

    fn evidence(&self) -> Fact<Timestamp> {
        self.evidence
    }

    fn sample_point(&self, _: IpNet, _: Timestamp) -> Fact<u64> {
        self.sample_point
    }

    fn country(&self, _: IpAddr) -> Fact<[u8; 2]> {
        self.country
    }

    fn asn(&self, _: IpAddr) -> Fact<u32> {
        self.asn
    }

    fn is_listed(&self, zone: &str, _: IpAddr) -> Fact<bool> {
        any(self.listed.as_ref(), |listed| listed.eq_ignore_ascii_case(zone))
    }

    fn has_name_in(&self, domains: &[String], _: IpAddr) -> Fact<bool> {
        any(self.host_names.as_ref(), |name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let below = |domain: &String| name.strip_suffix(&**domain).is_some_and(|rest| rest.ends_with('.'));
            domains.iter().any(|domain| name == *domain || below(domain))
        })
    }

    fn has_fetched(&self, _: IpNet, _: &str, path: &str) -> Fact<bool> {
        any(self.fetched.as_ref(), |fetched| fetched == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn what_nobody_wrote_down_is_unknown() {
        let given = Given::default();
        let prefix = crate::network::truncated(ADDRESS, 24, 48);
        assert_eq!(given.strikes(prefix, Timestamp(0)), Fact::Unknown);
        assert_eq!(given.load(), Fact::Unknown);
        assert_eq!(given.country(ADDRESS), Fact::Unknown);
        assert_eq!(given.asn(ADDRESS), Fact::Unknown);
        assert_eq!(given.is_listed("zone.example.org", ADDRESS), Fact::Unknown);
        assert_eq!(given.has_name_in(&["example.org".into()], ADDRESS), Fact::Unknown);
        assert_eq!(given.has_fetched(prefix, "logs", "/a"), Fact::Unknown);
    }

    #[test]
    fn a_name_is_in_a_domain_by_whole_labels() {
        let cases = [
            ("example.org", true),
            ("a.b.example.org", true),
            ("A.EXAMPLE.ORG.", true),
            ("anexample.org", false),
            ("example.org.example.net", false),
        ];
        for (name, expected) in cases {
            let given = Given { host_names: Some(vec![name.into()]), ..Given::default() };
            assert_eq!(given.has_name_in(&["example.org".into()], ADDRESS), Fact::Present(expected), "{name}");
        }
    }
}
