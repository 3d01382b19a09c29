//! Whose budget a request is charged to.

use super::settings::{KeyBy, LimitSettings};
use crate::facts::Client;
use crate::network::truncated;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::net::IpAddr;

/// Lengths that keys are shortened to while a table is full, IPv4 and IPv6. The last step has 256 and 65,536 networks, so
/// that the whole is bounded whatever clients send.
const COARSER: [(u8, u8); STEPS] = [(24, 48), (16, 32), (8, 16)];
/// How many keys the last step has.
pub(super) const COARSEST: usize = 256 + 65_536;
/// How often keys can be shortened.
pub(super) const STEPS: usize = 3;
/// What stands for one client.
const PREFIX: (u8, u8) = COARSER[0];
/// Networks of this length have a share of a table each.
const NEIGHBOURHOOD: (u8, u8) = COARSER[1];

/// Who makes a request, as far as limits count by it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The client.
    pub client: Client,
    /// The site.
    pub site: &'a str,
    /// The id of the pass that the request rides on.
    pub pass: Option<[u8; 16]>,
    /// The name of the client's entry in the gateway file, which it proved to be.
    pub identity: Option<&'a str>,
    /// Whether anybody can prove to be it, so that each prefix is counted by itself.
    pub shared: bool,
    /// The autonomous system of the address.
    pub asn: Option<u32>,
}

/// What makes keys out of subjects: a keyed hash of 128 bits (SipHash), so that nobody can choose keys that collide, and
/// so that a key tells nothing about the client.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    secret: [u8; 16],
}

impl Hash {
    pub(super) fn new(secret: [u8; 16]) -> Self {
        Hash { secret }
    }

    fn begin(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.secret)
    }

    /// A name for a limit that is the same in every replica, and another when it counts by another key or gives back
    /// at another rate: what is owed is a time, and means nothing to another rate.
    pub(super) fn scope(&self, name: &str, settings: &LimitSettings) -> u64 {
        let LimitSettings { key, requests, burst, bytes, .. } = settings;
        let mut hash = self.begin();
        hash.write(format!("{name} {key:?} {requests:?} {burst:?} {bytes:?}").as_bytes());
        hash.finish()
    }

    /// The key of `subject`. `None` where it lacks what is counted by.
    pub(super) fn key(&self, by: &KeyBy, subject: &Subject<'_>) -> Option<u128> {
        let mut hash = self.begin();
        if let Some((ipv4, ipv6)) = by.network {
            write_network(&mut hash, subject.client.address, ipv4, ipv6);
        }
        if by.pass {
            hash.write(&subject.pass?);
        }
        if by.asn {
            hash.write_u32(subject.asn?);
        }
        if by.identity {
            write_text(&mut hash, subject.identity?);
            if subject.shared {
                write_network(&mut hash, subject.client.address, PREFIX.0, PREFIX.1);
            }
        }
        if by.site {
            write_text(&mut hash, subject.site);
        }
        Some(hash.finish128().as_u128())
    }

    /// What stands around the key of `subject`.
    pub(super) fn around<'a>(&'a self, by: &KeyBy, subject: &Subject<'a>) -> Around<'a> {
        let site = if by.site { subject.site } else { "" };
        Around { hash: self, own: by.network.unwrap_or((32, 128)), address: subject.client.address, site }
    }
}

/// The networks around a client, whose keys may stand in for its own. Nothing is calculated before it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    hash: &'a Hash,
    /// The lengths of the network in the key itself.
    own: (u8, u8),
    address: IpAddr,
    site: &'a str,
}

impl<'a> Around<'a> {
    /// Which share of a table the client's neighbourhood has: a hash, so that few of them meet and nobody can choose to.
    pub(super) fn share(&self) -> u16 {
        let mut hash = self.hash.begin();
        write_network(&mut hash, self.address, NEIGHBOURHOOD.0, NEIGHBOURHOOD.1);
        hash.finish() as u16
    }

    /// Keys of networks from fine to coarse, each with its number from 1 on; from the neighbourhood on if that is
    /// `beyond_share`.
    pub(super) fn coarser(self, beyond_share: bool) -> impl Iterator<Item = (usize, u128)> + use<'a> {
        let (own4, own6) = self.own;
        let is_wide = |ipv4: u8| ipv4 <= NEIGHBOURHOOD.0;
        let wider = (1..)
            .zip(COARSER)
            .filter(move |(_, (ipv4, ipv6))| is_wide(*ipv4) || (!beyond_share && *ipv4 < own4 && *ipv6 < own6));
        wider.map(move |(number, (ipv4, ipv6))| {
            let mut hash = self.hash.begin();
            hash.write(b"coarser");
            write_network(&mut hash, self.address, ipv4, ipv6);
            write_text(&mut hash, self.site);
            (number, hash.finish128().as_u128())
        })
    }
}

fn write_network(hash: &mut SipHasher13, address: IpAddr, ipv4: u8, ipv6: u8) {
    let network = truncated(address, ipv4, ipv6);
    hash.write_u8(network.prefix_len());
    match network.addr() {
        IpAddr::V4(v4) => hash.write(&v4.octets()),
        IpAddr::V6(v6) => hash.write(&v6.octets()),
    }
}

/// The length comes first, so that no two lists of texts are the same bytes.
fn write_text(hash: &mut SipHasher13, text: &str) {
    hash.write_usize(text.len());
    hash.write(text.as_bytes());
}
