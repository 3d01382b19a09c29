//! The `listeners` entries of a gateway file.

use crate::document::{Diagnostics, HeaderName, Position, Spanned};
use crate::identity::Peer;
use crate::network::Cidr;
use std::net::SocketAddr;

crate::settings! {
    /// One socket that clients connect to.
    pub struct ListenerSettings {
        /// Where to listen; `[::]:8080` takes IPv4 and IPv6.
        address: SocketAddr,
        /// Proxies in front of this listener. Only they say who the client is.
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

impl ListenerSettings {
    /// Warns where everybody is believed. Nobody to ask is a mistake.
    pub fn check(&self, diagnostics: &mut Diagnostics) {
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
