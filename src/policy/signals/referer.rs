//! The Referer: a page that a client comes from is one that somebody nearby has fetched.

use crate::facts::{Fact, Facts};
use crate::referer::path_at;
use crate::state::State;

/// How many readings of one Referer are looked up: every place where the site's prefix may end.
const MAX_READINGS: usize = 16;

/// Whether the Referer names an object of this site that nobody in the client's prefix fetched. Fleets that spread
/// their requests over many networks hand on the page where one of them found a link.
///
/// A Referer is relative to the host; objects are remembered relative to the site, whose prefix is not known here. So
/// each reading counts as fetched: the whole path, and the path behind each `/`. And the Referer must be of this
/// site, not of another one under the same host: it must go through the same first folder as the request. Where it
/// does not, nobody can tell; nor with an encoded path, nor for a folder, which is no object.
///
/// Source: RFC 9110, section 10.1.3; W3C "Referrer Policy" (browsers send the whole URL to the same origin by
/// default).
///
/// Wrong for: people whose address changes between a page and its parts (IPv4 and IPv6 at once, phones on the move,
/// large proxies), and pages that were open for longer than the memory reaches, or came from the browser's cache.
pub(super) fn is_unfetched(facts: &Facts<'_>, state: &dyn State) -> Option<bool> {
    let referer = match facts.headers.header("referer") {
        Fact::Present(referer) => referer,
        Fact::Absent => return Some(false),
        Fact::Unknown => return None,
    };
    let host = match facts.host {
        Fact::Present(host) => host,
        Fact::Absent => return Some(false),
        Fact::Unknown => return None,
    };
    let Some(path) = path_at(referer, host) else { return Some(false) };
    if path == "/" || path.starts_with("/.windscreen/") {
        return Some(false);
    }
    if path.contains('%') || path.ends_with('/') || !shares_folder(path, facts.path) {
        return None;
    }
    let mut readings = path.match_indices('/').map(|(at, _)| &path[at..]);
    let mut unknown = false;
    for reading in readings.by_ref().take(MAX_READINGS) {
        // A page that refers to itself was reloaded: the first time it may have been refused.
        if reading == facts.path {
            return Some(false);
        }
        match state.has_fetched(facts.client.prefix, facts.site, reading) {
            Fact::Present(true) => return Some(false),
            Fact::Present(false) | Fact::Absent => {}
            Fact::Unknown => unknown = true,
        }
    }
    if unknown || readings.next().is_some() { None } else { Some(true) }
}

/// Whether `referer` goes through the first folder of `path`, wherever a site's prefix may end.
fn shares_folder(referer: &str, path: &str) -> bool {
    let Some(end) = path.get(1..).and_then(|rest| rest.find('/')) else { return false };
    referer.contains(&path[..end + 2])
}
