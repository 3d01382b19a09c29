//! Whose budget a request is charged to.

use super::settings::{KeyBy, LimitSettings};
use crate::facts::Client;
use crate::network::truncated;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::net::IpAddr;

/// Lengths that keys are shortened to while a table is full, IPv4 and IPv6. The last step has 256 and 65,536 networks, so
/// that the whole is bounded whatever clients send.
const COARSER: [(u8, u8); 3] = [(24, 48), (16, 32), (8, 16)];

/// Who makes a request, as far as limits count by it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The client.
    pub client: Client,
    /// The site.
    pub site: &'a str,
    /// The id of the pass that the request rides on.
    pub pass: Option<[u8; 16]>,
    /// The name of the token or access key that proved the request.
    pub identity: Option<&'a str>,
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
        }
        if by.site {
            write_text(&mut hash, subject.site);
        }
        Some(hash.finish128().as_u128())
    }

    /// Keys that may stand in for that of `subject`, from fine to coarse: networks around the client.
    pub(super) fn coarser(&self, by: &KeyBy, subject: &Subject<'_>) -> impl Iterator<Item = u128> {
        let (own4, own6) = by.network.unwrap_or((32, 128));
        let (client, site) = (subject.client, by.site.then_some(subject.site));
        COARSER.into_iter().filter(move |(ipv4, ipv6)| *ipv4 < own4 && *ipv6 < own6 || *ipv4 == 8).map(
            move |(ipv4, ipv6)| {
                let mut hash = self.begin();
                hash.write(b"coarser");
                write_network(&mut hash, client.address, ipv4, ipv6);
                write_text(&mut hash, site.unwrap_or_default());
                hash.finish128().as_u128()
            },
        )
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
