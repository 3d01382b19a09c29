//! Header names as they came over the wire: their order and letter case.

use super::browser::{Browser, Engine, Platform};
use crate::facts::{Fact, Facts, HttpVersion};

/// Where the headers stood that browsers send in a fixed order, and how they were spelled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wire {
    /// Whether the client's own names are known. A forward proxy (`Via`) may have written them anew.
    known: bool,
    version: Option<HttpVersion>,
    count: usize,
    host: Option<usize>,
    user_agent: Option<usize>,
    accept: Option<usize>,
    accept_language: Option<usize>,
    /// Of a media request or a range (`identity`) it is not noted: Chromium once put it first.
    accept_encoding: Option<usize>,
    odd_case: bool,
}

impl Wire {
    /// Reads the names of a request's headers.
    pub fn read(facts: &Facts<'_>) -> Wire {
        let mut wire = Wire { version: facts.version.present(), ..Wire::default() };
        let mut relayed = false;
        let known = facts.headers.as_sent(&mut |name| {
            let at = wire.count;
            wire.count += 1;
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("host") {
                wire.host.get_or_insert(at);
                wire.odd_case |= name != "Host";
            } else if is("user-agent") {
                wire.user_agent.get_or_insert(at);
                wire.odd_case |= name != "User-Agent";
            } else if is("accept") {
                wire.accept.get_or_insert(at);
            } else if is("accept-language") {
                wire.accept_language.get_or_insert(at);
            } else if is("accept-encoding") {
                wire.accept_encoding.get_or_insert(at);
            } else if is("via") {
                relayed = true;
            }
        });
        if let Fact::Present(encoding) = facts.headers.header("accept-encoding")
            && encoding.starts_with("identity")
        {
            wire.accept_encoding = None;
        }
        Wire { known: known && !relayed, ..wire }
    }

    /// Whether the headers came in an order that the claimed browser never uses.
    ///
    /// - All: Host comes first in HTTP/1.1 (RFC 9110, section 7.2, and captures).
    /// - Blink: Accept-Encoding comes after User-Agent and Accept. It is added last, by the network stack
    ///   (`net/url_request/url_request_http_job.cc`); scripts can move the other headers, but cannot set this one.
    /// - Gecko: User-Agent, Accept, Accept-Language, Accept-Encoding, as `nsHttpHandler::AddStandardRequestHeaders`
    ///   adds them (`netwerk/protocol/http/nsHttpHandler.cpp`); what is set again keeps its place.
    /// - WebKit has no order of its own: it differs by version and kind of request.
    ///
    /// Wrong for: people behind a proxy, virus scanner or extension that writes headers anew and does not say so
    /// (`Via`), and small browsers that borrow the User-Agent of Chrome.
    pub fn has_foreign_order(&self, browser: Browser) -> Option<bool> {
        if !self.known {
            return None;
        }
        let late_host = self.version == Some(HttpVersion::Http11) && self.host.is_some_and(|at| at > 0);
        let before = |a: Option<usize>, b: Option<usize>| a.zip(b).is_some_and(|(a, b)| a < b);
        Some(match (browser.engine, browser.platform) {
            (Engine::Blink, _) => {
                late_host || before(self.accept_encoding, self.user_agent) || before(self.accept_encoding, self.accept)
            }
            (Engine::Gecko, _) => {
                // Without those that are missing the rest still has its order.
                let order = [self.user_agent, self.accept, self.accept_language, self.accept_encoding];
                late_host || !order.into_iter().flatten().is_sorted()
            }
            (Engine::WebKit, Platform::Mac | Platform::Ios) => late_host,
            _ => false,
        })
    }

    /// Whether Host and User-Agent are spelled as no browser spells them in HTTP/1: all write these two as the
    /// standards do, and scripts cannot change them. In HTTP/2 names have no case (RFC 9113, section 8.2.1).
    ///
    /// Wrong for: people behind a proxy that writes names in lower case (HAProxy, Envoy) and does not say so (`Via`).
    pub fn has_foreign_case(&self) -> Option<bool> {
        match self.version {
            Some(HttpVersion::Http2) => Some(false),
            Some(_) if self.known => Some(self.odd_case),
            _ => None,
        }
    }
}
