//! The client's address and scheme: from the socket, or from exactly one header of a listed proxy.

use crate::facts::Client;
use crate::network::{CidrSet, unmapped};
use http::HeaderMap;
use std::net::IpAddr;

/// Headers by which proxies name the client. A request that bears one from a peer that is not listed has either been
/// forged or came through a proxy that the operator forgot to list.
const FORWARDING: [&str; 5] = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"];

/// Whom a listener believes about client addresses.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    proxies: CidrSet,
    address_header: String,
    scheme_header: String,
}

impl Peer {
    /// Believes the listed `proxies`, who name the client in exactly one header and the scheme in another.
    pub fn new(proxies: CidrSet, address_header: &str, scheme_header: &str) -> Self {
        Peer {
            proxies,
            address_header: address_header.to_ascii_lowercase(),
            scheme_header: scheme_header.to_ascii_lowercase(),
        }
    }

    /// Whether `socket` is a listed proxy, so that what arrives is what the proxy made of the client's request.
    pub fn relays(&self, socket: IpAddr) -> bool {
        self.proxies.contains(unmapped(socket))
    }
}

/// Finds the client behind `socket`, and whether its side of the connection is TLS.
///
/// From a listed proxy the rightmost address of the configured header that is not itself a listed proxy counts.
/// Whatever stands left of it was written by the client. A header that cannot be read to that point leaves the client
/// at the last hop that could, untrusted.
pub fn client(peer: &Peer, socket: IpAddr, tls: bool, headers: &HeaderMap) -> (Client, bool) {
    let socket = unmapped(socket);
    if !peer.proxies.contains(socket) {
        let named = FORWARDING.iter().any(|name| headers.contains_key(*name));
        return (Client::new(socket, !named && !headers.contains_key(&peer.address_header)), tls);
    }
    let secure = headers
        .get(&peer.scheme_header)
        .and_then(|value| value.to_str().ok())
        .map_or(tls, |scheme| scheme.trim().eq_ignore_ascii_case("https"));
    let mut hop = socket;
    for value in headers.get_all(&peer.address_header).iter().rev() {
        let Ok(value) = value.to_str() else { return (Client::new(hop, false), secure) };
        for text in value.rsplit(',') {
            let Some(address) = address(text) else { return (Client::new(hop, false), secure) };
            hop = address;
            if !peer.proxies.contains(hop) {
                return (Client::new(hop, true), secure);
            }
        }
    }
    (Client::new(hop, true), secure)
}

/// Reads one element: an address, perhaps with a port (`192.0.2.1:4711`, `[2001:db8::1]:4711`).
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inside, _)| inside);
    let parsed = bare.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|s| s.ip()));
    parsed.map(unmapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Peer {
        let proxies = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|c| c.parse().unwrap());
        Peer::new(proxies.into_iter().collect(), "X-Forwarded-For", "X-Forwarded-Proto")
    }

    #[test]
    fn the_rightmost_unlisted_hop_is_the_client() {
        // socket, headers, client, trusted, secure
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, bool, bool);
        let cases: [Case; 14] = [
            ("192.0.2.1", &[], "192.0.2.1", true, false),
            ("::ffff:192.0.2.1", &[], "192.0.2.1", true, false),
            ("192.0.2.1", &[("x-forwarded-for", "10.1.1.1")], "192.0.2.1", false, false),
            ("192.0.2.1", &[("x-real-ip", "10.1.1.1")], "192.0.2.1", false, false),
            ("192.0.2.1", &[("forwarded", "for=10.1.1.1")], "192.0.2.1", false, false),
            ("192.0.2.1", &[("x-forwarded-proto", "https")], "192.0.2.1", true, false),
            ("10.0.0.9", &[], "10.0.0.9", true, false),
            ("10.0.0.9", &[("x-forwarded-for", "192.0.2.7")], "192.0.2.7", true, false),
            ("10.0.0.9", &[("x-forwarded-for", "10.5.5.5, 192.0.2.7, 10.0.0.8")], "192.0.2.7", true, false),
            (
                "10.0.0.9",
                &[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "198.51.100.2")],
                "198.51.100.2",
                true,
                false,
            ),
            ("10.0.0.9", &[("x-forwarded-for", "192.0.2.7, nonsense, 10.0.0.8")], "10.0.0.8", false, false),
            ("10.0.0.9", &[("x-forwarded-for", "[2001:db8::1]:55")], "2001:db8::1", true, false),
            (
                "10.0.0.9",
                &[("x-forwarded-for", "192.0.2.7:99"), ("x-forwarded-proto", "https")],
                "192.0.2.7",
                true,
                true,
            ),
            ("2001:db8:ffff::1", &[("x-forwarded-for", "::ffff:192.0.2.7")], "192.0.2.7", true, false),
        ];
        for (socket, sent, expected, trusted, secure) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.append(*name, value.parse().unwrap());
            }
            let (client, is_secure) = client(&peer(), socket.parse().unwrap(), false, &headers);
            let got = (client.address.to_string(), client.trusted, is_secure);
            assert_eq!(got, (expected.to_owned(), trusted, secure), "{socket} {sent:?}");
        }
    }
}
