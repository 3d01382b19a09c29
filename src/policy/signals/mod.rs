//! Signals: what a request says about its client without being asked.
//!
//! A browser sends the same headers in the same way each time, and programs that borrow its name seldom do. Each
//! signal compares what a client claims to be with what it sent. It reads facts and state, allocates nothing, and
//! decides nothing: none of the signals proves anything, so policies should want several, or weigh them.
//!
//! What a browser never does is known from its documentation, its source and from captures of Chromium 156
//! (navigations, images, styles, scripts, fonts, workers, media, fetches and event streams, on http and on https).
//! Whatever is not known for sure is no signal.

mod browser;
mod hints;
mod referer;
#[cfg(test)]
mod tests;
mod wire;

use crate::facts::{Fact, Facts, HttpVersion};
use crate::record::Hints;
use crate::signal::{Signal, Signals};
use crate::state::State;
pub use browser::Browser;
use browser::{Engine, Platform};

/// Reads the signals of one request, which `claim`s to be of a browser. What hangs on an unknown fact is noted as unknown.
pub fn signals(facts: &Facts<'_>, claim: Fact<Browser>, state: &dyn State) -> Signals {
    if let Some(Hints(known)) = facts.headers.recorded().and_then(|recollection| recollection.facts.signals) {
        return known.with(Signal::ForgedForwarding, is_forged(facts));
    }
    // Most signals are about browsers: nobody else can show them, and who that is may be unknown.
    let of_browser = |test: &dyn Fn(Browser) -> Option<bool>| match claim {
        Fact::Present(browser) => test(browser),
        Fact::Absent => Some(false),
        Fact::Unknown => None,
    };
    let mut signals = Signals::default();
    signals.note(Signal::NoUserAgent, no_user_agent(facts));
    signals.note(Signal::NoAcceptLanguage, of_browser(&|_| is_absent(facts, "accept-language")));
    signals.note(Signal::NoAcceptEncoding, of_browser(&|_| is_absent(facts, "accept-encoding")));
    signals.note(Signal::NoFetchMetadata, of_browser(&|browser| no_fetch_metadata(facts, browser)));
    signals.note(Signal::ClientHintMismatch, of_browser(&|browser| hints::contradict(facts.headers, browser)));
    signals.note(Signal::Http10, of_browser(&|_| http_1_0(facts)));
    let wire = wire::Wire::read(facts);
    signals.note(Signal::HeaderOrder, of_browser(&|browser| wire.has_foreign_order(browser)));
    signals.note(Signal::HeaderCase, of_browser(&|_| wire.has_foreign_case()));
    signals.note(Signal::AncientBrowser, of_browser(&|browser| Some(is_ancient(browser))));
    signals.note(Signal::UnfetchedReferer, referer::is_unfetched(facts, state));
    signals.note(Signal::ForgedForwarding, Some(is_forged(facts)));
    signals
}

/// Who a client says it is, by its User-Agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guise {
    /// Something that shows pages: it may ask for what a page elsewhere wants. So may what nobody knows.
    Browser,
    /// A browser that always sends fetch metadata over TLS, which came over TLS and has sent none.
    FalseBrowser,
    /// Anything else.
    Program,
}

/// Who the client says it is.
pub fn guise(facts: &Facts<'_>) -> Guise {
    match facts.user_agent {
        Fact::Present(agent) => match Browser::claimed(agent) {
            Some(browser) if no_fetch_metadata(facts, browser) == Some(true) => Guise::FalseBrowser,
            _ if browser::shows_pages(agent) => Guise::Browser,
            _ => Guise::Program,
        },
        Fact::Absent => Guise::Program,
        Fact::Unknown => Guise::Browser,
    }
}

/// No User-Agent, or an empty one. RFC 9110, section 10.1.5: a user agent SHOULD send it.
///
/// Wrong for: scripts that somebody wrote by hand, some health checks, and proxies that remove it for privacy.
fn no_user_agent(facts: &Facts<'_>) -> Option<bool> {
    match facts.user_agent {
        Fact::Present(agent) => Some(agent.trim().is_empty()),
        Fact::Absent => Some(true),
        Fact::Unknown => None,
    }
}

/// Whether a header is missing that every browser sends: Accept-Language and Accept-Encoding go with each request,
/// even with a media range (`Accept-Encoding: identity`). Sources: the Fetch standard, "HTTP-network-or-cache fetch";
/// captures.
///
/// Wrong for: download managers that are handed a download with the browser's User-Agent (Android's is one), apps
/// that borrow that of their web view, and proxies that remove the headers in order to inspect or to hide.
fn is_absent(facts: &Facts<'_>, name: &str) -> Option<bool> {
    match facts.headers.header(name) {
        Fact::Present(_) => Some(false),
        Fact::Absent => Some(true),
        Fact::Unknown => None,
    }
}

/// A browser that sends fetch metadata sent none over TLS. It always sends `Sec-Fetch-Site`, so that one is enough.
///
/// Sources: W3C "Fetch Metadata Request Headers", section 2 (only to trustworthy URLs); MDN browser-compat-data,
/// 2026-11: complete since Chrome 80, Firefox 90, Safari 16.4. WebKit elsewhere than on Apple's systems is not
/// judged.
///
/// Wrong for: download managers and apps as with the missing headers, and proxies that pass known headers only.
fn no_fetch_metadata(facts: &Facts<'_>, browser: Browser) -> Option<bool> {
    let sends = match (browser.engine, browser.platform) {
        (Engine::Blink, _) => browser.version.is_some_and(|version| version >= (80, 0)),
        (Engine::Gecko, _) => browser.version.is_some_and(|version| version >= (90, 0)),
        (Engine::WebKit, Platform::Mac | Platform::Ios) => browser.version.is_some_and(|version| version >= (16, 4)),
        _ => false,
    };
    match facts.secure {
        _ if !sends => Some(false),
        Fact::Present(true) => is_absent(facts, "sec-fetch-site"),
        Fact::Present(false) | Fact::Absent => Some(false),
        Fact::Unknown => None,
    }
}

/// HTTP/1.0 in the name of a browser: all of them have spoken HTTP/1.1 since the nineties (RFC 9112, appendix C.2).
///
/// Wrong for: people behind an old forward proxy, and every client of a reverse proxy that speaks HTTP/1.0 to the
/// gateway and is not among its trusted proxies (nginx does so by default before 1.29.7).
fn http_1_0(facts: &Facts<'_>) -> Option<bool> {
    match facts.version {
        Fact::Present(version) => Some(version == HttpVersion::Http10),
        Fact::Absent | Fact::Unknown => None,
    }
}

/// A header by which proxies name the client (`identity::client` lists them) from a peer that is no trusted proxy, or one
/// of a trusted proxy that cannot be read. Rules by address do not hold for such a request.
///
/// Source: RFC 7239, section 8.1 (anybody can write them).
///
/// Wrong for: everybody behind a proxy that nobody listed, and people whose forward proxy names them.
fn is_forged(facts: &Facts<'_>) -> bool {
    !facts.client.trusted
}

/// A browser version of which the next one came out more than five years ago. As of 2026-11: Chrome and Edge 96 came
/// out on 2021-11-15, Firefox 95 on 2021-12-07, Safari 15 on 2021-09-20 (chromiumdash.appspot.com,
/// whattrainisitnow.com, developer.apple.com). Internet Explorer, Edge before Chromium and Opera before Chromium are
/// all older.
///
/// Wrong for: phones and televisions that get no updates (Android 5 ends at Chrome 95, iOS 12 at Safari 12), Macs and
/// Windows of that age (Firefox 78 ESR), and old programs with a browser within. Firefox 115 ESR and Chrome 109, the
/// last for Windows 7, are not ancient.
fn is_ancient(browser: Browser) -> bool {
    let before = |version| browser.version.is_some_and(|own| own < (version, 0));
    match browser.engine {
        Engine::Blink => before(96),
        Engine::Gecko => before(95),
        Engine::WebKit => before(15),
        Engine::Gone => true,
        Engine::Other => false,
    }
}
