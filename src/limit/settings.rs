//! The `limits` section of a policy file.

use crate::document::{Decode, Diagnostics, Node, choose};
use crate::quantity::Rate;

/// What a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBy {
    /// The client's address.
    Address,
    /// The client's prefix: IPv4 /24, IPv6 /48.
    Prefix,
}

impl Decode for KeyBy {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "key", &[("address", KeyBy::Address), ("prefix", KeyBy::Prefix)], diagnostics)
    }
}

crate::settings! {
    /// One named limit.
    pub struct LimitSettings {
        /// What it counts by: `address` or `prefix`.
        key: KeyBy,
        /// The sustained rate, e.g. `20/s`.
        requests: Option<Rate> = None,
        /// How many requests may come at once; the rate's count where absent.
        burst: Option<u32> = None,
    }
}
