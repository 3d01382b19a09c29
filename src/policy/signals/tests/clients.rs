//! Requests as clients send them, with the signals that they show. Chromium, curl, wget, urllib, requests and node are
//! captures; the others follow the sources and documents of the programs.

use super::{H1, shown};
use crate::facts::HttpVersion;

const H2: HttpVersion = HttpVersion::Http2;

/// A navigation of Chromium on Linux over TLS; on http it goes without the lines that begin with `sec-`.
pub(super) const CHROMIUM: &str = "Host: logs.example.org
    Connection: keep-alive
    sec-ch-ua: \"Not:A-Brand\";v=\"8\", \"Chromium\";v=\"156\"
    sec-ch-ua-mobile: ?0
    sec-ch-ua-platform: \"Linux\"
    Upgrade-Insecure-Requests: 1
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36
    Accept: text/html,application/xhtml+xml,*/*;q=0.8
    Sec-Fetch-Site: none
    Sec-Fetch-Mode: navigate
    Sec-Fetch-User: ?1
    Sec-Fetch-Dest: document
    Accept-Encoding: gzip, deflate, br, zstd
    Accept-Language: en-US,en;q=0.9";

const FIREFOX: &str = "Host: logs.example.org
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
    Accept-Language: en-US,en;q=0.9
    Accept-Encoding: gzip, deflate, br, zstd
    Connection: keep-alive
    Upgrade-Insecure-Requests: 1
    Sec-Fetch-Dest: document
    Sec-Fetch-Mode: navigate
    Sec-Fetch-Site: none
    Sec-Fetch-User: ?1
    Priority: u=0, i";

const SAFARI: &str = "Host: logs.example.org
    Sec-Fetch-Dest: document
    User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/26.0 Safari/605.1.15
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
    Sec-Fetch-Site: none
    Sec-Fetch-Mode: navigate
    Accept-Language: en-GB,en;q=0.9
    Priority: u=0, i
    Accept-Encoding: gzip, deflate, br
    Connection: keep-alive";

/// Another agent, platform or brands for a header set.
fn with(base: &str, changes: &[(&str, &str)]) -> String {
    let line = |line: &str| {
        let name = line.trim().split(':').next().unwrap();
        let change = changes.iter().find(|(changed, _)| *changed == name);
        change.map_or(line.trim().to_owned(), |(name, value)| format!("{name}: {value}"))
    };
    base.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn without(base: &str, names: &[&str]) -> String {
    let kept = base.lines().filter(|line| !names.iter().any(|name| line.trim().to_ascii_lowercase().starts_with(name)));
    kept.collect::<Vec<_>>().join("\n")
}

pub(super) fn lower_names(base: &str) -> String {
    let lower = |(name, value): (&str, &str)| format!("{}:{value}", name.to_ascii_lowercase());
    base.lines().map(|line| lower(line.trim().split_once(':').unwrap())).collect::<Vec<_>>().join("\n")
}

fn chromium(agent: &str, brands: &str, platform: &str, mobile: &str) -> String {
    let changes =
        [("User-Agent", agent), ("sec-ch-ua", brands), ("sec-ch-ua-platform", platform), ("sec-ch-ua-mobile", mobile)];
    with(CHROMIUM, &changes)
}

#[test]
fn browsers_show_no_signal() {
    const BLINK: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
    const WEBKIT: &str = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
    let browsers = [
        CHROMIUM.to_owned(),
        chromium(
            &format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0"),
            "\"Microsoft Edge\";v=\"156\", \"Chromium\";v=\"156\", \"Not)A;Brand\";v=\"24\"",
            "\"Windows\"",
            "?0",
        ),
        chromium(
            &format!(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {BLINK} Chrome/154.0.0.0 Safari/537.36 OPR/125.0.0.0"
            ),
            "\"Opera\";v=\"125\", \"Chromium\";v=\"154\", \"Not)A;Brand\";v=\"24\"",
            "\"macOS\"",
            "?0",
        ),
        chromium(
            &format!(
                "Mozilla/5.0 (Linux; Android 10; K) {BLINK} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36"
            ),
            "\"Samsung Internet\";v=\"29.0\", \"Chromium\";v=\"136\", \"Not.A/Brand\";v=\"99\"",
            "\"Android\"",
            "?1",
        ),
        // A phone that asks for the desktop page.
        chromium(
            &format!("Mozilla/5.0 (X11; Linux x86_64) {BLINK} Chrome/156.0.0.0 Safari/537.36"),
            "\"Google Chrome\";v=\"156\", \"Chromium\";v=\"156\"",
            "\"Android\"",
            "?1",
        ),
        // An app with a web view and a User-Agent of its own.
        chromium(
            &format!(
                "Mozilla/5.0 (Linux; Android 15; Pixel 9; wv) {BLINK} Version/4.0 Chrome/150.0.0.0 Mobile Safari/537.36"
            ),
            "\"Android WebView\";v=\"156\", \"Chromium\";v=\"156\"",
            "\"Android\"",
            "?0",
        ),
        chromium(
            &format!("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/156.0.0.0 Safari/537.36"),
            "\"Chromium\";v=\"156\"",
            "\"Chrome OS\"",
            "?0",
        ),
        chromium(
            &format!("Mozilla/5.0 (X11; Linux x86_64) {BLINK} HeadlessChrome/156.0.0.0 Safari/537.36"),
            "\"HeadlessChrome\";v=\"156\", \"Chromium\";v=\"156\"",
            "\"Linux\"",
            "?0",
        ),
        FIREFOX.to_owned(),
        // Tor Browser, as all Firefox ESR with resistance to fingerprints.
        with(FIREFOX, &[("User-Agent", "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0")]),
        SAFARI.to_owned(),
        with(
            SAFARI,
            &[(
                "User-Agent",
                &format!(
                    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {WEBKIT} Version/26.0 \
                     Mobile/15E148 Safari/604.1"
                ),
            )],
        ),
        with(
            SAFARI,
            &[(
                "User-Agent",
                &format!(
                    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) {WEBKIT} CriOS/156.0.0.0 \
                     Mobile/15E148 Safari/604.1"
                ),
            )],
        ),
        // Safari's fetch names the encodings first.
        format!(
            "Host: logs.example.org\nAccept-Encoding: gzip, deflate, br\nAccept: */*\nSec-Fetch-Site: same-origin\n\
             User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.6 Safari/605.1.15\n\
             Accept-Language: en-GB,en;q=0.9"
        ),
    ];
    for browser in browsers {
        assert_eq!(shown(&browser, H1, true), [""; 0], "{browser}");
        // HTTP/2 has no Host and no Connection, and names in lower case.
        let second = lower_names(&without(&browser, &["host", "connection"]));
        assert_eq!(shown(&second, H2, true), [""; 0], "{second}");
        let plain = without(&browser, &["sec-"]);
        assert_eq!(shown(&plain, H1, false), [""; 0], "{plain}");
    }
}

/// What a page loads, as Chromium sends it: workers ask with Accept first, scripts may move Accept-Language, media and
/// ranges come with `identity`.
#[test]
fn parts_of_a_page_show_no_signal() {
    let agent = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/156.0.0.0 Safari/537.36";
    let requests = [
        format!("Accept: */*\nReferer: http://logs.example.org/\n{agent}\nAccept-Encoding: gzip\nAccept-Language: en"),
        format!("accept-language: xx\n{agent}\nx-y: 1\nAccept: */*\nAccept-Encoding: gzip, deflate"),
        format!("{agent}\naccept: application/json\nAccept-Encoding: gzip, deflate\nAccept-Language: en"),
        format!("{agent}\nAccept: */*\nAccept-Encoding: identity\nAccept-Language: en\nRange: bytes=0-"),
        format!("Accept-Encoding: identity;q=1, *;q=0\n{agent}\nAccept: */*\nAccept-Language: en\nRange: bytes=0-"),
    ];
    for request in requests {
        let request = format!("Host: logs.example.org\nConnection: keep-alive\n{request}");
        assert_eq!(shown(&request, H1, false), [""; 0], "{request}");
    }
}

#[test]
fn clients_that_claim_nothing_show_nothing() {
    let clients = [
        "Host: h\nUser-Agent: curl/8.14.1\nAccept: */*",
        "Host: h\nUser-Agent: Wget/1.25.0\nAccept: */*\nAccept-Encoding: identity\nConnection: Keep-Alive",
        "Accept-Encoding: identity\nHost: h\nUser-Agent: Python-urllib/3.13\nConnection: close",
        "Host: h\nUser-Agent: python-requests/2.32.5\nAccept-Encoding: gzip, deflate\nAccept: */*\n\
         Connection: keep-alive",
        "Host: h\nUser-Agent: Go-http-client/1.1\nAccept-Encoding: gzip",
        "host: h\nconnection: keep-alive\naccept: */*\naccept-language: *\nsec-fetch-mode: cors\nuser-agent: node",
        "Host: h\nUser-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)\nAccept: */*",
        "Host: h\nUser-Agent: Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; \
         +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36\nAccept: */*",
        "User-Agent: w3m/0.5.3+git20230121\nAccept: text/html\nHost: h",
        "Host: h\nAccept: text/html\nUser-Agent: Lynx/2.9.2 libwww-FM/2.14",
        "Host: h\nUser-Agent: Links (2.29; Linux 6.1 x86_64; GNU C 12.2; text)",
        "Host: h\nUser-Agent: Dillo/3.2.0",
    ];
    for client in clients {
        for (version, secure) in [(H1, true), (H1, false), (HttpVersion::Http10, false)] {
            assert_eq!(shown(client, version, secure), [""; 0], "{client}");
        }
    }
    assert_eq!(shown("Host: h\nAccept: */*", H1, true), ["no-user-agent"]);
    assert_eq!(shown("Host: h\nUser-Agent:  \nAccept: */*", H1, true), ["no-user-agent"]);
}

#[test]
fn programs_that_borrow_a_browsers_name_show_signals() {
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                  Chrome/156.0.0.0 Safari/537.36";
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0";
    let bare = ["no-accept-language", "no-accept-encoding", "no-fetch-metadata"];
    let cases: [(String, &[&str]); 9] = [
        // curl -A
        (format!("Host: h\nUser-Agent: {chrome}\nAccept: */*"), &bare),
        // urllib
        (
            format!("Accept-Encoding: identity\nHost: h\nUser-Agent: {chrome}\nConnection: close"),
            &["no-accept-language", "no-fetch-metadata", "header-order"],
        ),
        // requests, with Accept-Language added
        (
            format!("Host: h\nUser-Agent: {firefox}\nAccept-Encoding: gzip, deflate\nAccept: */*\nAccept-Language: en"),
            &["no-fetch-metadata", "header-order"],
        ),
        // Go sorts what it is given.
        (
            format!("Host: h\nUser-Agent: {firefox}\nAccept: */*\nAccept-Encoding: gzip\nAccept-Language: en"),
            &["no-fetch-metadata", "header-order"],
        ),
        // fetch of node
        (
            format!(
                "host: h\nconnection: keep-alive\nUser-Agent: {chrome}\naccept: */*\naccept-language: *\n\
                 sec-fetch-mode: cors\naccept-encoding: gzip"
            ),
            &["no-fetch-metadata", "header-case"],
        ),
        // http of node
        (
            format!("User-Agent: {chrome}\nAccept: */*\nHost: h\nConnection: keep-alive"),
            &["no-accept-language", "no-accept-encoding", "no-fetch-metadata", "header-order"],
        ),
        (
            format!(
                "Host: h\nUser-Agent: {}\nAccept: */*",
                "Mozilla/5.0 (Windows NT 6.1) Chrome/74.0.3729.169 Safari/537.36"
            ),
            &["no-accept-language", "no-accept-encoding", "ancient-browser"],
        ),
        (with(CHROMIUM, &[("User-Agent", chrome)]), &["client-hint-mismatch"]),
        (
            with(CHROMIUM, &[("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0")]),
            &["client-hint-mismatch", "header-order"],
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(shown(&request, H1, true), expected, "{request}");
    }
    assert_eq!(shown(FIREFOX, HttpVersion::Http10, true), ["http-1.0"]);
}

#[test]
fn hints_must_agree_with_the_user_agent() {
    let agent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/156.0.0.0 Mobile Safari/537.36";
    let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0";
    let good = "\"Chromium\";v=\"156\", \"Not)A;Brand\";v=\"8\"";
    let cases = [
        (agent, good, "\"Android\"", "?1", false),
        (agent, "\"Chromium\";v=\"155\"", "\"Android\"", "?1", true),
        (agent, good, "\"Windows\"", "?1", true),
        (agent, good, "\"Android\"", "?0", true),
        (mac, good, "\"Linux\"", "?0", true),
        (mac, good, "\"macOS\"", "?1", true),
        (mac, good, "\"Unknown\"", "?0", false),
        (mac, "\"Chromium\";v=\"", "", "", false),
        (mac, "garbage", "\"", "?2", false),
    ];
    for (agent, brands, platform, mobile, expected) in cases {
        let found = shown(&chromium(agent, brands, platform, mobile), H1, true);
        assert_eq!(found.contains(&"client-hint-mismatch"), expected, "{agent} {brands} {platform} {mobile}");
    }
}
