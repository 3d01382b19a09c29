//! The `limits` section of a policy file.

use super::key::Subject;
use crate::document::{Decode, Diagnostics, Kind, Node, Position, Schemas, choose, either, integer, list, words};
use crate::network::truncated;
use crate::quantity::{Rate, Volume};
use serde_json::Value;
use std::num::NonZeroU32;

/// What happens to a client that is over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It is slowed down and never refused.
    Pace,
    /// Transfers that go on are slowed down, new requests are refused.
    Refuse,
}

impl Over {
    /// Every way with its word.
    pub const WORDS: [(&'static str, Over); 2] = [("pace", Over::Pace), ("refuse", Over::Refuse)];
}

impl Decode for Over {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "way", &Self::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&Self::WORDS)
    }

    fn written(&self) -> Option<Value> {
        Some(Self::WORDS[*self as usize].0.into())
    }
}

/// What a limit counts by: each combination of these has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyBy {
    /// The client's network, by its prefix lengths in IPv4 and IPv6.
    pub network: Option<(u8, u8)>,
    /// The pass that the request rides on.
    pub pass: bool,
    /// The token or access key that the request was proven with.
    pub identity: bool,
    /// The autonomous system that announces the address.
    pub asn: bool,
    /// The site.
    pub site: bool,
}

/// One part of a key.
#[derive(Clone, Copy)]
enum Part {
    Network(u8, u8),
    Pass,
    Identity,
    Asn,
    Site,
}

/// A host has a /64 of IPv6 to itself, and may use all of it.
const ADDRESS: Part = Part::Network(32, 64);
const PREFIX: Part = Part::Network(24, 48);
const PARTS: [(&str, Part); 6] = [
    ("address", ADDRESS),
    ("prefix", PREFIX),
    ("pass", Part::Pass),
    ("identity", Part::Identity),
    ("asn", Part::Asn),
    ("site", Part::Site),
];

impl KeyBy {
    /// By the client's address: of IPv6 the /64, which is one host's.
    pub const ADDRESS: KeyBy = KeyBy { network: Some((32, 64)), pass: false, identity: false, asn: false, site: false };
    /// By the client's prefix: IPv4 /24, IPv6 /48.
    pub const PREFIX: KeyBy = KeyBy { network: Some((24, 48)), ..KeyBy::ADDRESS };

    /// What `subject` is counted under: each part in the words of the policy language, with its value for `subject`;
    /// `None` is a part that it lacks, so that the limit does not apply.
    pub fn of(&self, subject: &Subject<'_>) -> Vec<(&'static str, Option<String>)> {
        let network = self.network.map(|(ipv4, ipv6)| {
            let word = match (ipv4, ipv6) {
                (32, 64) => "address",
                (24, 48) => "prefix",
                _ => "network",
            };
            (word, Some(truncated(subject.client.address, ipv4, ipv6).to_string()))
        });
        let others = [
            (self.pass, "pass", subject.pass.map(|_| "its own".to_owned())),
            (
                self.identity,
                "identity",
                subject.identity.map(|name| match subject.shared {
                    true => format!("{name} {}", subject.client.prefix),
                    false => name.to_owned(),
                }),
            ),
            (self.asn, "asn", subject.asn.map(|asn| asn.to_string())),
            (self.site, "site", Some(subject.site.to_owned())),
        ];
        let others = others.into_iter().filter(|(counts, ..)| *counts).map(|(_, word, value)| (word, value));
        network.into_iter().chain(others).collect()
    }
}

/// The length of a prefix, `24` or `/24`.
#[derive(Debug, Clone, Copy)]
struct Length<const LONGEST: u8>(u8);

impl<const LONGEST: u8> Decode for Length<LONGEST> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let length = node.text().and_then(|text| text.strip_prefix('/').unwrap_or(text).parse().ok());
        let length = length.filter(|length| (1..=LONGEST).contains(length));
        if length.is_none() {
            let message = format!("expected a prefix length from 1 to {LONGEST}, found {}", node.describe());
            diagnostics.error(node.position, message);
        }
        length.map(Length)
    }

    fn schema(_: &mut Schemas) -> Value {
        let mut schema = integer(1..=LONGEST.into());
        schema["pattern"] = "^/?[+]?[0-9]+$".into();
        schema
    }

    fn written(&self) -> Option<Value> {
        Some(self.0.into())
    }
}

crate::settings! {
    /// A network of other lengths.
    struct NetworkLengths {
        /// The length of IPv4 prefixes.
        ipv4: Length<32> = Length(24),
        /// The length of IPv6 prefixes.
        ipv6: Length<128> = Length(48),
    }
}

impl Part {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if !matches!(node.kind, Kind::Map(_)) {
            return choose(node, "key", &PARTS, diagnostics);
        }
        let NetworkLengths { ipv4, ipv6 } = NetworkLengths::decode(node, diagnostics)?;
        Some(Part::Network(ipv4.0, ipv6.0))
    }
}

impl Decode for KeyBy {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let nodes = match &node.kind {
            Kind::List(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut key = KeyBy::default();
        for node in nodes {
            match Part::decode(node, diagnostics)? {
                Part::Network(..) if key.network.is_some() => {
                    diagnostics.error(node.position, "a limit counts by one network: `address`, `prefix` or lengths");
                    return None;
                }
                Part::Network(ipv4, ipv6) => key.network = Some((ipv4, ipv6)),
                Part::Pass => key.pass = true,
                Part::Identity => key.identity = true,
                Part::Asn => key.asn = true,
                Part::Site => key.site = true,
            }
        }
        if key == KeyBy::default() {
            diagnostics.error(node.position, "a limit counts by something: `address`, `prefix`, ...");
            return None;
        }
        Some(key)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        list(either(NetworkLengths::schema(schemas), words(&PARTS)), 1)
    }
}

crate::settings! {
    /// One named limit: a budget per key, in one to three currencies.
    #[derive(PartialEq)]
    pub struct LimitSettings {
        /// What it counts by: `address` (of IPv6 the /64), `prefix` (IPv4 /24, IPv6 /48), `{ipv4: 20, ipv6: 56}`, `pass`,
        /// `identity`, `asn`, `site`, or a list of these. It does not apply to requests that lack one of them.
        key: KeyBy,
        /// The sustained rate of requests, e.g. `20/s`.
        requests: Option<Rate> = None,
        /// How many requests may come at once; the rate's count where absent.
        burst: Option<NonZeroU32> = None,
        /// Bytes of responses, e.g. `20 GB/day` or `50 MB/s`: so many at once, and they come back evenly over the time.
        bytes: Option<Volume> = None,
        /// How many responses may be under way at a time.
        transfers: Option<NonZeroU32> = None,
        /// What happens to a client that is over it: `pace` slows it down and never refuses, `refuse` slows down what
        /// goes on and refuses new requests.
        over: Over = Over::Refuse,
    }
}

impl LimitSettings {
    /// Finds what one key alone does not show.
    pub fn check(&self, position: Position, diagnostics: &mut Diagnostics) {
        if self.requests.is_none() && self.bytes.is_none() && self.transfers.is_none() {
            diagnostics.error(position, "a limit needs `requests`, `bytes` or `transfers`");
        } else if self.burst.is_some() && self.requests.is_none() {
            diagnostics.error(position, "`burst` belongs to `requests`, which is missing");
        }
    }
}
