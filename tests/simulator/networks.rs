//! Where clients come from: a handful of prefixes of each kind of network.
//!
//! Our own networks are ranges for documentation. Those of clouds and crawlers are examples of what is theirs,
//! not the lists of a day: whoever compares with a feed makes one from these constants. Those of people and proxies stand
//! for access networks anywhere. Nobody behind them did what is simulated here.

use super::chance::Chance;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 prefix: its first address and its length.
pub type Prefix = ([u8; 4], u8);

/// The private cloud of CI: what a policy lists as network `ci`.
pub const CI: &[Prefix] = &[([192, 0, 2, 0], 24)];
/// The office: what a policy lists as network `internal`.
pub const INTERNAL: &[Prefix] = &[([198, 51, 100, 0], 24)];
/// EC2 in us-east-1.
pub const AWS_US_EAST_1: &[Prefix] =
    &[([3, 80, 0, 0], 12), ([3, 208, 0, 0], 12), ([3, 224, 0, 0], 12), ([18, 204, 0, 0], 14), ([54, 80, 0, 0], 13)];
/// EC2 in eu-central-1.
pub const AWS_EU_CENTRAL_1: &[Prefix] =
    &[([3, 64, 0, 0], 12), ([3, 120, 0, 0], 14), ([18, 184, 0, 0], 15), ([18, 192, 0, 0], 15)];
/// GitHub's runners: some of `actions` of api.github.com/meta.
pub const GITHUB_ACTIONS: &[Prefix] = &[
    ([4, 148, 0, 0], 16),
    ([4, 149, 0, 0], 18),
    ([4, 151, 0, 0], 16),
    ([4, 152, 0, 0], 15),
    ([4, 175, 0, 0], 16),
    ([4, 208, 0, 0], 15),
];
/// Googlebot.
pub const GOOGLEBOT: &[Prefix] = &[([66, 249, 64, 0], 20)];
/// Microsoft's.
pub const BINGBOT: &[Prefix] = &[([40, 77, 167, 0], 24), ([157, 55, 39, 0], 24)];
/// OpenAI's.
pub const GPTBOT: &[Prefix] = &[([20, 171, 206, 0], 24), ([52, 230, 152, 0], 24)];
/// Anthropic's.
pub const CLAUDEBOT: &[Prefix] = &[([216, 73, 216, 0], 22)];
/// ByteDance's.
pub const BYTESPIDER: &[Prefix] = &[([47, 128, 16, 0], 20), ([110, 249, 201, 0], 24)];
/// Amazon's, within EC2 of us-east-1.
pub const AMAZONBOT: &[Prefix] = &[([3, 224, 220, 0], 24)];
/// Rented machines.
pub const HOSTING: &[Prefix] = &[
    ([5, 9, 0, 0], 16),
    ([51, 15, 0, 0], 16),
    ([88, 198, 0, 0], 16),
    ([95, 216, 0, 0], 15),
    ([138, 68, 0, 0], 16),
    ([167, 99, 0, 0], 16),
    ([172, 104, 0, 0], 15),
];
/// Access networks of homes and offices.
pub const ACCESS: &[Prefix] = &[
    ([24, 16, 0, 0], 12),
    ([73, 32, 0, 0], 11),
    ([78, 48, 0, 0], 13),
    ([81, 128, 0, 0], 12),
    ([84, 128, 0, 0], 11),
    ([86, 0, 0, 0], 11),
    ([89, 176, 0, 0], 14),
    ([98, 192, 0, 0], 10),
    ([109, 80, 0, 0], 14),
    ([217, 224, 0, 0], 11),
];
/// Mobile networks and others that put many behind one address.
pub const SHARED: &[Prefix] = &[([37, 48, 0, 0], 17), ([80, 187, 96, 0], 19), ([172, 56, 0, 0], 14)];
/// Exits of residential proxies: homes all over the world.
pub const PROXIES: &[Prefix] = &[
    ([14, 160, 0, 0], 11),
    ([27, 64, 0, 0], 12),
    ([36, 64, 0, 0], 11),
    ([41, 32, 0, 0], 12),
    ([45, 160, 0, 0], 13),
    ([73, 32, 0, 0], 11),
    ([102, 156, 0, 0], 14),
    ([113, 160, 0, 0], 11),
    ([122, 160, 0, 0], 12),
    ([151, 224, 0, 0], 12),
    ([177, 32, 0, 0], 11),
    ([179, 96, 0, 0], 11),
    ([186, 208, 0, 0], 13),
    ([189, 0, 0, 0], 11),
    ([201, 0, 0, 0], 11),
];
/// Exits of another seller, for the held-out family.
pub const OTHER_PROXIES: &[Prefix] = &[
    ([31, 208, 0, 0], 13),
    ([49, 32, 0, 0], 11),
    ([58, 8, 0, 0], 13),
    ([82, 16, 0, 0], 12),
    ([93, 32, 0, 0], 12),
    ([103, 48, 0, 0], 13),
    ([117, 192, 0, 0], 10),
    ([152, 240, 0, 0], 12),
    ([181, 32, 0, 0], 11),
    ([190, 16, 0, 0], 12),
];

/// An address out of these prefixes, each prefix as likely as the other.
pub fn any(prefixes: &[Prefix], chance: &mut Chance) -> IpAddr {
    let (start, length) = *chance.pick(prefixes);
    let hosts = 1_u64 << (32 - length);
    let mut address = u32::from(Ipv4Addr::from(start)) + chance.below(hosts) as u32;
    if matches!(address & 0xff, 0 | 0xff) {
        address ^= 0x55;
    }
    IpAddr::V4(address.into())
}

/// The IPv6 prefix of a home: a /64 out of the /32 of an access network.
pub fn home(chance: &mut Chance) -> u64 {
    const NETWORKS: [u64; 4] = [0x2a02_8109, 0x2003_00c7, 0x2601_0646, 0x2a00_23c6];
    (chance.pick(&NETWORKS) << 32) | (chance.below(1 << 24) << 8)
}

/// An address in a home, as privacy extensions choose it: another one each day.
pub fn at_home(home: u64, chance: &mut Chance) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from((u128::from(home) << 64) | u128::from(chance.number() & !(1 << 57))))
}

/// Whether an address is in one of these prefixes.
pub fn holds(prefixes: &[Prefix], address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else { return false };
    prefixes.iter().any(|(start, length)| {
        let shift = 32 - u32::from(*length);
        u32::from(address) >> shift == u32::from(Ipv4Addr::from(*start)) >> shift
    })
}

/// The region of AWS that an address belongs to, as S3 would log it.
pub fn region(address: IpAddr) -> Option<&'static str> {
    if holds(AWS_US_EAST_1, address) {
        Some("us-east-1")
    } else if holds(AWS_EU_CENTRAL_1, address) {
        Some("eu-central-1")
    } else {
        None
    }
}
