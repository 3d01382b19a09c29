//! The `listeners` entries of a gateway file.

use super::address::Address;
use super::tls::TlsSettings;
use crate::document::{Diagnostics, HeaderName, Position, Spanned};
use crate::identity::Peer;
use crate::network::Cidr;
use crate::quantity::Bytes;
use std::num::NonZeroU32;
use std::time::Duration;

crate::settings! {
    /// One socket that clients connect to.
    pub struct ListenerSettings {
        /// Where to listen: `[::]:8080` takes IPv4 and IPv6, `unix:/PATH` a unix socket, `systemd:NAME` one that the service
        /// manager has opened.
        address: Address,
        /// Whether other processes may listen there, too, and the system shares out connections.
        reuse_port: bool = false,
        /// Speaks TLS; plain text where absent.
        tls: Option<TlsSettings> = None,
        /// Whether the proxies of `trusted_proxies` say who the client is by the PROXY protocol, and not by a header. They
        /// must then say it on each connection.
        proxy_protocol: Spanned<bool> = Spanned { position: Position::default(), value: false },
        /// Proxies in front of this listener. Only they say who the client is. Whoever comes by a unix socket is 127.0.0.1.
        trusted_proxies: Vec<Spanned<Cidr>> = Vec::new(),
        /// The one header that they name the client in.
        address_header: HeaderName = HeaderName(http::HeaderName::from_static("x-forwarded-for")),
        /// The header that they name the scheme in.
        scheme_header: HeaderName = HeaderName(http::HeaderName::from_static("x-forwarded-proto")),
        /// Whether these proxies may ask at `/.windscreen/check` if a request may be answered that they answer themselves
        /// (forward authentication).
        check: Spanned<bool> = Spanned { position: Position::default(), value: false },
    }
}

crate::settings! {
    /// What connections of clients may take, over all listeners.
    pub struct ConnectionSettings {
        /// Open connections. More are closed at once.
        most: NonZeroU32 = MOST,
        /// Open connections of one address (IPv6: /64). Those of trusted proxies are not counted.
        most_per_address: NonZeroU32 = MOST_PER_ADDRESS,
        /// How long handshakes may take: of TLS, and of the PROXY protocol.
        handshake_timeout: Duration = HANDSHAKE,
        /// How long all headers of a request may take, from their first byte.
        header_timeout: Duration = HEADERS,
        /// How long a connection may wait for a request.
        idle_timeout: Duration = IDLE,
        /// Bytes per second below which a client that does not read what it asked for is cut off, when it has kept us waiting
        /// for 30 s.
        slowest: Bytes = SLOWEST,
        /// How long a client may take for a piece of an object, of 64 KiB at most, while its connection carries other requests
        /// (HTTP/2). Then the stream is reset.
        stream_timeout: Duration = STREAM,
        /// Requests that a connection may carry one after another (HTTP/1).
        requests: NonZeroU32 = REQUESTS,
        /// Requests that a connection may carry at a time (HTTP/2).
        streams: NonZeroU32 = STREAMS,
    }
}

const MOST: NonZeroU32 = NonZeroU32::new(20_000).unwrap();
/// An address may stand for a whole CI.
const MOST_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(75);
/// With 100 streams at a time it is enough on a line of 20 KiB/s.
const STREAM: Duration = Duration::from_secs(300);
const SLOWEST: Bytes = Bytes(4096);
const REQUESTS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
const STREAMS: NonZeroU32 = NonZeroU32::new(100).unwrap();

impl Default for ConnectionSettings {
    fn default() -> Self {
        ConnectionSettings {
            most: MOST,
            most_per_address: MOST_PER_ADDRESS,
            handshake_timeout: HANDSHAKE,
            header_timeout: HEADERS,
            idle_timeout: IDLE,
            slowest: SLOWEST,
            stream_timeout: STREAM,
            requests: REQUESTS,
            streams: STREAMS,
        }
    }
}

impl ListenerSettings {
    /// Warns where everybody is believed. Nobody to ask is a mistake, and so is nobody to say who the client is.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
        if self.proxy_protocol.value && self.trusted_proxies.is_empty() {
            let message = "nobody may speak it: list the proxies that do in `trusted_proxies`";
            diagnostics.error(self.proxy_protocol.position, message);
        }
        if self.check.value && self.trusted_proxies.is_empty() {
            let message = "nobody may ask: list the proxies that do in `trusted_proxies`";
            diagnostics.error(self.check.position, message);
        }
        for proxy in self.trusted_proxies.iter().filter(|proxy| proxy.value.0.prefix_len() == 0) {
            let message =
                format!("`{}` trusts everybody: anybody can say to be any client; list your proxies", proxy.value.0);
            diagnostics.warn(proxy.position, message);
        }
    }

    /// Whom the listener believes.
    pub fn peer(&self) -> Peer {
        let proxies = self.trusted_proxies.iter().map(|cidr| cidr.value.0).collect();
        Peer::new(proxies, self.address_header.0.as_str(), self.scheme_header.0.as_str())
    }
}
