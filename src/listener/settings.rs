//! The `listeners` entries of a gateway file.

use crate::document::HeaderName;
use crate::identity::Peer;
use crate::network::Cidr;
use std::net::SocketAddr;

crate::settings! {
    /// One socket that clients connect to.
    pub struct ListenerSettings {
        /// Where to listen; `[::]:8080` takes IPv4 and IPv6.
        address: SocketAddr,
        /// Proxies in front of this listener. Only they say who the client is.
        trusted_proxies: Vec<Cidr> = Vec::new(),
        /// The one header that they name the client in.
        address_header: HeaderName = HeaderName(http::HeaderName::from_static("x-forwarded-for")),
        /// The header that they name the scheme in.
        scheme_header: HeaderName = HeaderName(http::HeaderName::from_static("x-forwarded-proto")),
    }
}

impl ListenerSettings {
    /// Whom the listener believes.
    pub fn peer(&self) -> Peer {
        let proxies = self.trusted_proxies.iter().map(|cidr| cidr.0).collect();
        Peer::new(proxies, self.address_header.0.as_str(), self.scheme_header.0.as_str())
    }
}
