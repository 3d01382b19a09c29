//! Client hints: what Chromium adds to the User-Agent, and must not contradict.

use super::browser::{Browser, Engine, Platform};
use crate::facts::{Fact, Headers};

/// Whether the client hints contradict the User-Agent: hints from a browser that has none, another major version of
/// Chromium, another system, or a phone that is none.
///
/// Sources: WICG "User-Agent Client Hints" (the three low-entropy hints go with each request over TLS); MDN
/// browser-compat-data, 2026-11 (neither Firefox nor Safari has them); captures. The made-up brand that Chromium adds
/// ("GREASE") and those of Edge, Opera or Brave do not matter, since all name Chromium, too. Linux, Android and
/// ChromeOS count as one system because phones that ask for desktop pages say Linux. Apps with a web view may set any
/// User-Agent, and are not judged.
///
/// Wrong for: people who switch their User-Agent by an extension, and phone browsers that ask for desktop pages in
/// the name of Safari.
pub(super) fn contradict(headers: &dyn Headers, browser: Browser) -> Option<bool> {
    let brands = headers.header("sec-ch-ua");
    match browser.engine {
        // A browser on iOS that does not say which Safari it is may one day be a Chromium.
        Engine::Gecko | Engine::WebKit if browser.version.is_some() => known(brands, |_| true),
        Engine::Blink => {
            if brands.present().is_some_and(|brands| brands.contains("WebView")) {
                return Some(false);
            }
            let parts = [
                known(brands, |brands| other_version(brands, browser)),
                known(headers.header("sec-ch-ua-platform"), |platform| other_platform(platform, browser)),
                known(headers.header("sec-ch-ua-mobile"), |mobile| other_form(mobile, browser)),
            ];
            if parts.contains(&Some(true)) { Some(true) } else { parts.into_iter().min()?.map(|_| false) }
        }
        _ => Some(false),
    }
}

/// What `test` says of a hint. One that is absent contradicts nothing.
fn known(hint: Fact<&str>, test: impl FnOnce(&str) -> bool) -> Option<bool> {
    match hint {
        Fact::Present(value) => Some(test(value)),
        Fact::Absent => Some(false),
        Fact::Unknown => None,
    }
}

fn other_version(brands: &str, browser: Browser) -> bool {
    let version = brands.split_once("\"Chromium\";v=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(v, _)| v);
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.zip(browser.version).is_some_and(|(hinted, (claimed, _))| hinted != claimed)
}

fn other_platform(platform: &str, browser: Browser) -> bool {
    let hinted = match platform.trim_matches('"') {
        "Windows" => Platform::Windows,
        "macOS" => Platform::Mac,
        "Linux" | "Android" | "Chrome OS" | "ChromeOS" | "Chromium OS" => Platform::Unix,
        _ => return false,
    };
    browser.platform != Platform::Other && hinted != browser.platform
}

fn other_form(mobile: &str, browser: Browser) -> bool {
    match mobile {
        "?0" => browser.mobile,
        // Phones that ask for desktop pages say Linux.
        "?1" => !browser.mobile && matches!(browser.platform, Platform::Windows | Platform::Mac),
        _ => false,
    }
}
