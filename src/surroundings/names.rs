//! Names of addresses: forward-confirmed reverse DNS.
//!
//! Whoever runs a network decides what its addresses are called, so a name proves nothing until the name's own zone
//! says that it has the address. This is how search engines tell their crawlers from those who only claim to be one.

use super::dns::{Family, Resolve, reversed};
use super::lookup::{Ask, LONGEST, Lookups, NEGATIVE, Outcome, SHORTEST};
use crate::clock::Timestamp;
use crate::facts::Fact;
use crate::metrics::Metrics;
use async_trait::async_trait;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses that are remembered: 200 bytes each, and about 1 KiB where somebody gives all of them the longest names.
const CAP: usize = 50_000;
/// Names of one address that are confirmed. Crawlers have one.
const MAX_NAMES: usize = 4;
/// Nothing longer is a name (RFC 1035 2.3.4: 255 octets on the wire).
const MAX_LENGTH: usize = 253;
const RESULTS: [&str; 3] = ["confirmed", "unconfirmed", "error"];

/// The confirmed names of an address, lower case, without the last dot.
type Confirmed = Box<[Box<str>]>;

/// The names of addresses, as far as they have been looked up.
pub(super) type Names = Lookups<IpAddr, Confirmed>;

pub(super) fn new(metrics: &Metrics) -> Names {
    Lookups::new("names", &RESULTS, CAP, metrics)
}

impl Names {
    /// Whether a confirmed name of `address` is one of `domains` or below one.
    pub(super) fn is_in(&self, domains: &[String], address: IpAddr, now: Timestamp) -> Fact<bool> {
        let any = |names: &Confirmed| names.iter().any(|name| domains.iter().any(|domain| is_within(name, domain)));
        self.get(address, now, any).map_or(Fact::Unknown, Fact::Present)
    }
}

/// Whether `name`, in its stored form, is `domain` or has it as its last labels.
fn is_within(name: &str, domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    let Some(start) = name.len().checked_sub(domain.len()) else { return false };
    let whole_labels = start == 0 || name.as_bytes().get(start - 1) == Some(&b'.');
    !domain.is_empty() && whole_labels && name.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(domain))
}

/// The stored form of a name. None for what no host is called: a dot within a label, which DNS allows, would pass for
/// the end of one.
fn normal(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (is_plain && !name.is_empty() && name.len() <= MAX_LENGTH).then_some(name)
}

/// Asks for the names of an address, and the addresses of these names.
pub(super) struct AskNames(pub(super) Arc<dyn Resolve>);

#[async_trait]
impl Ask<IpAddr, Confirmed> for AskNames {
    async fn ask(&self, address: &IpAddr) -> Outcome<Confirmed> {
        let zone = if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
        let Ok(claimed) = self.0.pointers(&format!("{}{zone}", reversed(*address))).await else {
            return Outcome::error();
        };
        let mut confirmed = Vec::new();
        let (mut ttl, mut is_sure) = (claimed.ttl.min(LONGEST), true);
        for name in claimed.records.iter().take(MAX_NAMES).filter_map(|name| normal(name)) {
            match self.0.addresses(&name, Family::of(*address)).await {
                Ok(found) if found.records.contains(address) => {
                    ttl = ttl.min(found.ttl);
                    confirmed.push(name.into_boxed_str());
                }
                Ok(_) => {}
                Err(_) => is_sure = false,
            }
        }
        match (confirmed.is_empty(), is_sure) {
            (true, false) => Outcome::error(),
            (true, true) => Outcome { value: Some(Box::default()), ttl: NEGATIVE, result: "unconfirmed" },
            // A name that could not be confirmed just now may be before long.
            (false, false) => {
                let ttl = ttl.clamp(SHORTEST, NEGATIVE);
                Outcome { value: Some(confirmed.into()), ttl, result: "confirmed" }
            }
            (false, true) => {
                let ttl = ttl.clamp(SHORTEST, LONGEST);
                Outcome { value: Some(confirmed.into()), ttl, result: "confirmed" }
            }
        }
    }

    /// An address that nobody can look up has no confirmed name: its own name servers could keep silent for good.
    fn given_up(&self) -> Option<Confirmed> {
        Some(Box::default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn ask(fake: &Arc<Fake>, address: &str) -> Outcome<Confirmed> {
        AskNames(fake.clone()).ask(&ip(address)).await
    }

    fn confirmed(names: &[&str], ttl: Duration) -> Outcome<Confirmed> {
        let value = Some(names.iter().map(|name| Box::from(*name)).collect());
        Outcome { value, ttl, result: "confirmed" }
    }

    fn unconfirmed() -> Outcome<Confirmed> {
        Outcome { value: Some(Box::default()), ttl: NEGATIVE, result: "unconfirmed" }
    }

    #[test]
    fn domains_are_compared_by_whole_labels_in_any_letter_case() {
        for (name, domain, expected) in [
            ("crawl-1.googlebot.com", "googlebot.com", true),
            ("crawl-1.googlebot.com", "GoogleBot.com.", true),
            ("googlebot.com", "googlebot.com", true),
            ("evilgooglebot.com", "googlebot.com", false),
            ("googlebot.com.evil.example", "googlebot.com", false),
            ("com", "googlebot.com", false),
            ("crawl-1.googlebot.com", "", false),
            ("crawl-1.googlebot.com", ".", false),
        ] {
            assert_eq!(is_within(name, domain), expected, "{name} in {domain}");
        }
    }

    #[tokio::test]
    async fn a_name_counts_when_it_leads_back() {
        let fake = Fake::default()
            .pointer("1.2.0.192.in-addr.arpa", HOUR, &["Crawl-1.Googlebot.COM."])
            .address("crawl-1.googlebot.com", HOUR / 2, &["192.0.2.7", "192.0.2.1"])
            // Claims a name that belongs to somebody else.
            .pointer("2.2.0.192.in-addr.arpa", HOUR, &["crawl-1.googlebot.com"])
            .share();
        assert_eq!(ask(&fake, "192.0.2.1").await, confirmed(&["crawl-1.googlebot.com"], HOUR / 2));
        assert_eq!(ask(&fake, "192.0.2.2").await, unconfirmed());
        assert_eq!(ask(&fake, "192.0.2.3").await, unconfirmed(), "without a name");
    }

    #[tokio::test]
    async fn ipv6_addresses_are_confirmed_by_their_own_records() {
        let reverse = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        let fake = Fake::default().pointer(reverse, HOUR, &["a.example.org"]);
        let fake = fake.address("a.example.org", HOUR, &["2001:db8::1", "192.0.2.1"]).share();
        assert_eq!(ask(&fake, "2001:db8::1").await, confirmed(&["a.example.org"], HOUR));
        assert_eq!(fake.asked().last().unwrap(), "a.example.org Ipv6");
    }

    #[tokio::test]
    async fn answers_hold_between_a_minute_and_a_day() {
        for (ttl, expected) in [(0, 60), (7200, 7200), (1_000_000, 86_400)] {
            let ttl = Duration::from_secs(ttl);
            let fake = Fake::default().pointer("1.2.0.192.in-addr.arpa", ttl, &["a.example.org"]);
            let fake = fake.address("a.example.org", ttl, &["192.0.2.1"]).share();
            assert_eq!(ask(&fake, "192.0.2.1").await.ttl, Duration::from_secs(expected));
        }
    }

    #[tokio::test]
    async fn at_most_four_names_are_asked_for_and_no_odd_ones() {
        let names = ["n1.example.org", "a b.example.org", "x\\.y.example.org", "n2.example.org", "n3.example.org"];
        let fake = Fake::default().pointer("1.2.0.192.in-addr.arpa", HOUR, &names).share();
        assert_eq!(ask(&fake, "192.0.2.1").await, unconfirmed());
        let asked = fake.asked();
        assert_eq!(asked[1..], ["n1.example.org Ipv4", "n2.example.org Ipv4"]);
    }

    #[tokio::test]
    async fn a_failure_is_no_answer_unless_another_name_is_confirmed() {
        let fake = Fake::default().failing("1.2.0.192.in-addr.arpa").share();
        assert_eq!(ask(&fake, "192.0.2.1").await, Outcome::error());

        let fake = Fake::default().pointer("1.2.0.192.in-addr.arpa", HOUR, &["a.example.org"]);
        assert_eq!(ask(&fake.failing("a.example.org").share(), "192.0.2.1").await, Outcome::error());

        let fake = Fake::default().pointer("1.2.0.192.in-addr.arpa", HOUR, &["a.example.org", "b.example.org"]);
        let fake = fake.failing("a.example.org").address("b.example.org", HOUR, &["192.0.2.1"]).share();
        assert_eq!(ask(&fake, "192.0.2.1").await, confirmed(&["b.example.org"], NEGATIVE));
    }
}
