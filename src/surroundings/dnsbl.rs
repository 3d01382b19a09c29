//! DNS block lists (RFC 5782): lists of addresses that are asked by name.
//!
//! Only zones that the policy names are ever asked, and only about addresses of the public Internet.

use super::dns::{Family, Resolve, reversed};
use super::lookup::{self, Ask, LONGEST, Lookups, NEGATIVE, Outcome, SHORTEST, neighbourhood};
use crate::clock::Timestamp;
use crate::facts::Fact;
use crate::metrics::Metrics;
use crate::network::IpNet;
use async_trait::async_trait;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Answers that are remembered, over all zones: 150 bytes each.
const CAP: usize = 100_000;
const RESULTS: [&str; 4] = ["listed", "unlisted", "refused", "error"];

/// A zone and the address that is looked for in it.
type Key = (Arc<str>, IpAddr);

impl lookup::Key for Key {
    type Near = (Arc<str>, IpNet);

    fn near(&self) -> (Self::Near, u32) {
        let (net, most) = neighbourhood(self.1);
        ((self.0.clone(), net), most)
    }
}

/// Who is on which list, as far as it has been looked up.
pub(super) type Listings = Lookups<Key, bool>;

pub(super) fn new(metrics: &Metrics) -> Listings {
    Lookups::new("dnsbl", &RESULTS, CAP, metrics)
}

impl Listings {
    /// Whether `zone`, which the policy names, lists `address`. No list lists what is not of the public Internet.
    pub(super) fn is_listed(&self, zone: &str, address: IpAddr, now: Timestamp) -> Fact<bool> {
        if !is_public(address) {
            return Fact::Present(false);
        }
        let key = (zone.trim_end_matches('.').into(), address);
        self.get(key, now, |is_listed| *is_listed).map_or(Fact::Unknown, Fact::Present)
    }
}

/// Whether others than this network's own use `address`.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 is shared behind carriers' NAT (RFC 6598).
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            let is_local = v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared;
            !(is_local || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast())
        }
        IpAddr::V6(v6) => {
            let is_local = v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local();
            !(is_local || v6.is_unspecified() || v6.is_multicast())
        }
    }
}

/// Asks a block list about an address.
pub(super) struct AskLists(pub(super) Arc<dyn Resolve>);

#[async_trait]
impl Ask<Key, bool> for AskLists {
    async fn ask(&self, (zone, address): &Key) -> Outcome<bool> {
        let name = format!("{}{zone}", reversed(*address));
        let Ok(found) = self.0.addresses(&name, Family::Ipv4).await else { return Outcome::error() };
        let answers = || {
            found.records.iter().filter_map(|answer| match answer {
                // Anything else is no block list's answer: a parked domain, say, has an address for every name.
                IpAddr::V4(v4) if v4.is_loopback() => Some(*v4),
                _ => None,
            })
        };
        if answers().any(is_error_code) {
            return Outcome { value: None, ttl: NEGATIVE, result: "refused" };
        }
        match answers().next() {
            Some(_) => Outcome { value: Some(true), ttl: found.ttl.clamp(SHORTEST, LONGEST), result: "listed" },
            None => Outcome { value: Some(false), ttl: NEGATIVE, result: "unlisted" },
        }
    }
}

/// 127.255.255.0/24 says that the question was not welcome: from a public resolver, too often, a misspelt zone
/// (Spamhaus, <https://www.spamhaus.org/news/article/788/>; others do the same).
fn is_error_code(answer: Ipv4Addr) -> bool {
    answer.octets()[..3] == [127, 255, 255]
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn an_answer_of_the_loopback_network_is_a_listing() {
        let listed = Outcome { value: Some(true), ttl: HOUR, result: "listed" };
        let unlisted = Outcome { value: Some(false), ttl: NEGATIVE, result: "unlisted" };
        let refused = Outcome { value: None, ttl: NEGATIVE, result: "refused" };
        for (answers, expected) in [
            (&["127.0.0.2"][..], &listed),
            (&["127.0.0.4", "127.0.0.11"], &listed),
            (&[], &unlisted),
            (&["203.0.113.9"], &unlisted),
            (&["127.255.255.254"], &refused),
            (&["127.0.0.2", "127.255.255.255"], &refused),
        ] {
            let fake = Fake::default().address("9.2.0.192.zone.example.org", HOUR, answers).share();
            let key = ("zone.example.org".into(), "192.0.2.9".parse().unwrap());
            assert_eq!(&AskLists(fake).ask(&key).await, expected, "{answers:?}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_no_answer_and_ipv6_is_asked_for_by_nibbles() {
        let name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zone.example.org";
        let fake = Fake::default().failing(name).share();
        let key = ("zone.example.org".into(), "2001:db8::1".parse().unwrap());
        assert_eq!(AskLists(fake.clone()).ask(&key).await, Outcome::error());
        assert_eq!(fake.asked(), [format!("{name} Ipv4")]);
    }

    #[test]
    fn only_public_addresses_are_asked_about() {
        for (address, expected) in [
            ("192.0.2.1", true),
            ("100.128.0.1", true),
            ("2001:db8::1", true),
            ("10.0.0.1", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("100.64.0.1", false),
            ("224.0.0.1", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("::", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}
