//! Address arithmetic: prefixes that clients are counted by, sets of CIDR blocks, and where such blocks come from.

mod feed;
mod parse;

use crate::document::{Decode, Diagnostics, Node, Schemas, pattern};
pub use feed::{Blocks, Feed, Format};
pub use ipnet::IpNet;
pub use parse::{parse, parse_list};
use serde_json::Value;
use std::net::{IpAddr, Ipv6Addr};

/// The address without the IPv4-mapped wrapping (`::ffff:192.0.2.1`) that dual-stack sockets add.
pub fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The prefix that stands for one household, office or tenant: /24 of IPv4, /48 of IPv6.
pub fn prefix(address: IpAddr) -> IpNet {
    truncated(address, 24, 48)
}

/// The network around `address` with the given prefix lengths.
pub fn truncated(address: IpAddr, ipv4_length: u8, ipv6_length: u8) -> IpNet {
    let length = if address.is_ipv4() { ipv4_length } else { ipv6_length };
    IpNet::new_assert(address, length.min(if address.is_ipv4() { 32 } else { 128 })).trunc()
}

/// A set of addresses given as CIDR blocks. Membership is a binary search over disjoint ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CidrSet {
    // IPv4 lives in its IPv4-mapped range, so that one table serves both families.
    ranges: Vec<(u128, u128)>,
}

/// The address as a number; IPv4 in its IPv4-mapped range.
pub fn number(address: IpAddr) -> u128 {
    let v6: Ipv6Addr = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    v6.to_bits()
}

impl CidrSet {
    /// Whether `address` is in one of the blocks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let number = number(address);
        let after = self.ranges.partition_point(|(first, _)| *first <= number);
        after > 0 && number <= self.ranges[after - 1].1
    }

    /// The set as ranges of [`number`]s, first and last, in order and apart from each other.
    pub fn ranges(&self) -> &[(u128, u128)] {
        &self.ranges
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// The IPv4-mapped range, first and last number.
const MAPPED: (u128, u128) = (0xffff << 32, (0xffff << 32) | 0xffff_ffff);

/// The numbers of a block. IPv4 is not in an IPv6 block around its mapped range: `::/0` is all of IPv6, nothing else.
/// A block within that range is written so because IPv4 is meant.
fn numbers(block: IpNet) -> impl Iterator<Item = (u128, u128)> {
    let (first, last) = (number(block.network()), number(block.broadcast()));
    let around = first <= MAPPED.0 && MAPPED.1 <= last && (first, last) != MAPPED;
    let parts =
        if around { [Some((first, MAPPED.0 - 1)), Some((MAPPED.1 + 1, last))] } else { [Some((first, last)), None] };
    parts.into_iter().flatten().filter(|(first, last)| first <= last)
}

/// How many addresses the blocks cover: of IPv4, and of IPv6.
pub fn extent(blocks: &[IpNet]) -> [u128; 2] {
    [true, false].map(|ipv4| {
        let family: CidrSet = blocks.iter().copied().filter(|block| block.addr().is_ipv4() == ipv4).collect();
        family.ranges.iter().fold(0, |sum: u128, (first, last)| sum.saturating_add(last - first).saturating_add(1))
    })
}

impl FromIterator<IpNet> for CidrSet {
    /// `0.0.0.0/0` holds all of IPv4 and `::/0` all of IPv6; neither holds the other.
    fn from_iter<I: IntoIterator<Item = IpNet>>(blocks: I) -> Self {
        let mut ranges: Vec<(u128, u128)> = blocks.into_iter().flat_map(numbers).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        CidrSet { ranges: merged }
    }
}

/// A CIDR block; a lone address is a block of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr(pub IpNet);

/// Reads a block or a lone address. A block with host bits set is refused: it is not clear what was meant.
///
/// # Errors
/// Says what is wrong with it.
pub fn block(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(unmapped(address).into());
    }
    match text.parse::<IpNet>() {
        Ok(block) if block.trunc() == block => Ok(block),
        Ok(block) => Err(format!("`{text}` has host bits set, did you mean `{}`?", block.trunc())),
        Err(_) => Err(expected(&format!("`{text}`"))),
    }
}

fn expected(found: &str) -> String {
    format!("expected a CIDR block such as `192.0.2.0/24`, found {found}")
}

impl Decode for Cidr {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let block = node.text().map_or_else(|| Err(expected(&node.describe())), block);
        block.map(Cidr).map_err(|message| diagnostics.error(node.position, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Value {
        pattern("^[0-9A-Fa-f:.]+(/[0-9]+)?$", &["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u32>(), 0u8..=32)
            .prop_map(|(bits, length)| IpNet::new_assert(IpAddr::from(bits.to_be_bytes()), length).trunc());
        let v6 = (any::<u128>(), 0u8..=128)
            .prop_map(|(bits, length)| IpNet::new_assert(IpAddr::from(bits.to_be_bytes()), length).trunc());
        prop_oneof![v4, v6]
    }

    fn is_mapped(address: IpAddr) -> bool {
        matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
    }

    proptest! {
        #[test]
        fn a_set_contains_what_one_of_its_blocks_contains(
            blocks in prop::collection::vec(block(), 0..12),
            others in prop::collection::vec(any::<IpAddr>(), 8),
        ) {
            let set: CidrSet = blocks.iter().copied().collect();
            let edges = blocks.iter().flat_map(|b| [b.network(), b.broadcast()]);
            for address in edges.chain(others).filter(|a| !is_mapped(*a)) {
                let expected = blocks.iter().any(|b| b.contains(&address));
                prop_assert_eq!(set.contains(address), expected, "{}", address);
            }
        }
    }

    #[test]
    fn all_of_one_family_is_nothing_of_the_other() {
        let cases = [
            ("::/0", "192.0.2.1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "::1", true),
            ("::/64", "192.0.2.1", false),
            ("::/64", "::2", true),
            ("::fffe:0:0/95", "192.0.2.1", false),
            ("::fffe:0:0/95", "::fffe:c000:201", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::ffff:192.0.2.0/120", "192.0.2.1", true),
            ("::ffff:0:0/96", "192.0.2.1", true),
        ];
        for (block, address, expected) in cases {
            let set: CidrSet = std::iter::once(block.parse::<IpNet>().unwrap()).collect();
            assert_eq!(set.contains(address.parse().unwrap()), expected, "{address} in {block}");
        }
    }

    #[test]
    fn what_is_covered_twice_counts_once() {
        let of = |blocks: &[&str]| extent(&blocks.iter().map(|block| block.parse().unwrap()).collect::<Vec<_>>());
        assert_eq!(of(&[]), [0, 0]);
        assert_eq!(of(&["192.0.2.0/24", "192.0.2.0/25", "2001:db8::/64"]), [256, 1 << 64]);
        assert_eq!(of(&["0.0.0.0/0", "::/0"]), [1 << 32, u128::MAX - (u32::MAX as u128)]);
    }

    #[test]
    fn prefixes_stand_for_neighbourhoods() {
        let of = |text: &str| prefix(unmapped(text.parse().unwrap())).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2::3"), "2001:db8:1::/48");
    }
}
