//! The `limits` section of a policy file.

use crate::document::{Decode, Diagnostics, Node, Schemas, choose, words};
use crate::facts::Client;
use crate::network::{IpNet, truncated};
use crate::quantity::Rate;
use serde_json::Value;
use std::num::NonZeroU32;

/// What a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBy {
    /// The client's address; of IPv6 its /64, which is one host's.
    Address,
    /// The client's prefix: IPv4 /24, IPv6 /48.
    Prefix,
}

impl KeyBy {
    /// What `client` is counted under.
    pub fn of(self, client: &Client) -> IpNet {
        match self {
            // A host has a /64 of IPv6 to itself, and may use all of it.
            KeyBy::Address => truncated(client.address, 32, 64),
            KeyBy::Prefix => client.prefix,
        }
    }
}
const KEYS: [(&str, KeyBy); 2] = [("address", KeyBy::Address), ("prefix", KeyBy::Prefix)];

impl Decode for KeyBy {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "key", &KEYS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&KEYS)
    }
}

crate::settings! {
    /// One named limit.
    #[derive(PartialEq)]
    pub struct LimitSettings {
        /// What it counts by: `address` (of IPv6 the /64) or `prefix` (IPv4 /24, IPv6 /48).
        key: KeyBy,
        /// The sustained rate, e.g. `20/s`.
        requests: Rate,
        /// How many requests may come at once; the rate's count where absent.
        burst: Option<NonZeroU32> = None,
    }
}
