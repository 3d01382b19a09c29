//! Programs, and the headers that each sends over HTTP/1.1, in its order and spelling.
//!
//! The plain requests of Chromium, curl, wget and urllib stand as they were captured; where Range, Referer and other
//! additions go, and all of the others, is what their sources say, not checked on the wire. Fetch metadata and client
//! hints go only over TLS.

use super::event::Event;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody opens a page.
    Navigation,
    /// A script of a page asks.
    Fetch,
    /// A page shows a picture.
    Image,
    /// Nothing of a page: programs.
    Other,
}

/// Which program, as far as its headers look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Chrome, Edge and other Chromium, with its brands, platform and form.
    Chromium {
        /// `sec-ch-ua`.
        brands: String,
        /// `sec-ch-ua-platform`.
        platform: &'static str,
        /// `sec-ch-ua-mobile`.
        mobile: bool,
    },
    /// Firefox.
    Firefox,
    /// Safari.
    Safari,
    /// w3m and the like.
    Text,
    /// Python's urllib, as image-download uses it.
    Urllib,
    /// curl.
    Curl,
    /// wget.
    Wget,
    /// Programs in Go.
    Go,
    /// Prometheus.
    Prometheus,
    /// A crawler that says so.
    Crawler,
    /// Python's requests with a browser's name, and nothing else of it.
    Bare,
    /// A program that copies a browser's headers from a page about scraping: no fetch metadata, its own order.
    Copied,
}

/// A program that somebody uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its family.
    pub kind: Kind,
    /// What it says it is.
    pub user_agent: Option<String>,
    /// `Accept-Language`, of browsers.
    pub language: &'static str,
}

const BLINK: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
const WEBKIT: &str = "AppleWebKit/605.1.15 (KHTML, like Gecko)";

impl Client {
    /// A program that is no browser.
    pub fn program(kind: Kind, user_agent: &str) -> Self {
        Self { kind, user_agent: Some(user_agent.to_owned()), language: "en-US,en;q=0.9" }
    }

    /// Chrome on a system, as its User-Agent and its client hints name it.
    pub fn chrome(version: u32, system: &str, platform: &'static str, suffix: &str, brand: &str) -> Self {
        let mobile = platform == "Android";
        let form = if mobile { " Mobile" } else { "" };
        Self {
            kind: Kind::Chromium {
                brands: format!("\"{brand}\";v=\"{version}\", \"Chromium\";v=\"{version}\", \"Not:A-Brand\";v=\"8\""),
                platform,
                mobile,
            },
            user_agent: Some(format!(
                "Mozilla/5.0 ({system}) {BLINK} Chrome/{version}.0.0.0{form} Safari/537.36{suffix}"
            )),
            language: "en-US,en;q=0.9",
        }
    }

    /// Firefox on a system.
    pub fn firefox(version: u32, system: &str) -> Self {
        let agent = format!("Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0");
        Self { kind: Kind::Firefox, user_agent: Some(agent), language: "en-US,en;q=0.9" }
    }

    /// Safari on a Mac or a phone.
    pub fn safari(version: &str, phone: bool) -> Self {
        let agent = if phone {
            format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) {WEBKIT} Version/{version} Mobile/15E148 \
                 Safari/604.1"
            )
        } else {
            format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/{version} Safari/605.1.15")
        };
        Self { kind: Kind::Safari, user_agent: Some(agent), language: "en-US,en;q=0.9" }
    }

    /// The same in another language.
    pub fn speaking(self, language: &'static str) -> Self {
        Self { language, ..self }
    }
}

const PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const CHROMIUM_PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;\
                             q=0.8,application/signed-exchange;v=b3;q=0.7";
const CHROMIUM_IMAGE: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
const FIREFOX_IMAGE: &str = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5";

type Headers = Vec<(&'static str, String)>;

/// See [`Event::headers`].
pub fn headers(event: &Event) -> Headers {
    let mut sent = match &event.client.kind {
        Kind::Chromium { brands, platform, mobile } => chromium(event, brands, platform, *mobile),
        Kind::Firefox => firefox(event),
        Kind::Safari => safari(event),
        kind => program(event, kind),
    };
    if event.conditional {
        sent.push(("If-None-Match", format!("\"{:032x}\"", super::chance::hash(&event.path))));
    }
    sent
}

fn put(sent: &mut Headers, name: &'static str, value: impl Into<String>) {
    sent.push((name, value.into()));
}

fn put_all(sent: &mut Headers, pairs: &[(&'static str, &str)]) {
    sent.extend(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())));
}

fn put_range(sent: &mut Headers, event: &Event) {
    if let Some((first, last)) = event.range {
        // A page that follows a log asks for the rest of a piece, whatever its end.
        let end = if event.purpose == Purpose::Fetch { String::new() } else { last.to_string() };
        put(sent, "Range", format!("bytes={first}-{end}"));
    }
}

fn put_name(sent: &mut Headers, event: &Event) {
    if let Some(agent) = &event.client.user_agent {
        put(sent, "User-Agent", agent.as_str());
    }
}

fn put_referer(sent: &mut Headers, event: &Event) {
    if let Some(referer) = &event.referer {
        put(sent, "Referer", referer.as_str());
    }
}

/// Where the asking page stands, of a request over TLS.
fn fetch_site(event: &Event) -> &'static str {
    match &event.referer {
        None => "none",
        Some(referer) if referer.contains(event.host()) => "same-origin",
        Some(_) => "cross-site",
    }
}

/// `Sec-Fetch-Mode` and `Sec-Fetch-Dest`.
fn fetch_mode(purpose: Purpose) -> (&'static str, &'static str) {
    match purpose {
        Purpose::Navigation | Purpose::Other => ("navigate", "document"),
        Purpose::Fetch => ("cors", "empty"),
        Purpose::Image => ("no-cors", "image"),
    }
}

fn is_page(event: &Event) -> bool {
    matches!(event.purpose, Purpose::Navigation | Purpose::Other)
}

fn chromium(event: &Event, brands: &str, platform: &str, mobile: bool) -> Headers {
    let mut sent = vec![("Host", event.host().to_owned()), ("Connection", "keep-alive".into())];
    let hints = [
        ("sec-ch-ua", brands.to_owned()),
        ("sec-ch-ua-mobile", if mobile { "?1" } else { "?0" }.to_owned()),
        ("sec-ch-ua-platform", format!("\"{platform}\"")),
    ];
    let hints = if event.is_tls { hints.to_vec() } else { Vec::new() };
    if is_page(event) {
        sent.extend(hints);
        put(&mut sent, "Upgrade-Insecure-Requests", "1");
        put_name(&mut sent, event);
    } else {
        sent.extend(hints.last().cloned());
        put_name(&mut sent, event);
        sent.extend(hints.into_iter().take(2));
        put_range(&mut sent, event);
    }
    let accept = match event.purpose {
        Purpose::Fetch => "*/*",
        Purpose::Image => CHROMIUM_IMAGE,
        Purpose::Navigation | Purpose::Other => CHROMIUM_PAGE,
    };
    put(&mut sent, "Accept", accept);
    if event.is_tls {
        let (mode, destination) = fetch_mode(event.purpose);
        put(&mut sent, "Sec-Fetch-Site", fetch_site(event));
        put(&mut sent, "Sec-Fetch-Mode", mode);
        if is_page(event) {
            put(&mut sent, "Sec-Fetch-User", "?1");
        }
        put(&mut sent, "Sec-Fetch-Dest", destination);
    }
    put_referer(&mut sent, event);
    let encodings = match event.range {
        Some(_) => "identity",
        None if event.is_tls => "gzip, deflate, br, zstd",
        None => "gzip, deflate",
    };
    put(&mut sent, "Accept-Encoding", encodings);
    put(&mut sent, "Accept-Language", event.client.language);
    sent
}

fn firefox(event: &Event) -> Headers {
    let mut sent = vec![("Host", event.host().to_owned())];
    put_name(&mut sent, event);
    let accept = match event.purpose {
        Purpose::Fetch => "*/*",
        Purpose::Image => FIREFOX_IMAGE,
        Purpose::Navigation | Purpose::Other => PAGE,
    };
    put(&mut sent, "Accept", accept);
    put(&mut sent, "Accept-Language", event.client.language);
    let encodings = match event.range {
        Some(_) => "identity",
        None if event.is_tls => "gzip, deflate, br, zstd",
        None => "gzip, deflate",
    };
    put(&mut sent, "Accept-Encoding", encodings);
    put_range(&mut sent, event);
    put_referer(&mut sent, event);
    put(&mut sent, "Connection", "keep-alive");
    if is_page(event) {
        put(&mut sent, "Upgrade-Insecure-Requests", "1");
    }
    if event.is_tls {
        let (mode, destination) = fetch_mode(event.purpose);
        put(&mut sent, "Sec-Fetch-Dest", destination);
        put(&mut sent, "Sec-Fetch-Mode", mode);
        put(&mut sent, "Sec-Fetch-Site", fetch_site(event));
        if is_page(event) {
            put(&mut sent, "Sec-Fetch-User", "?1");
        }
    }
    let priority = if is_page(event) { "u=0, i" } else { "u=4" };
    put(&mut sent, "Priority", priority);
    sent
}

fn safari(event: &Event) -> Headers {
    let mut sent = vec![("Host", event.host().to_owned())];
    let (mode, destination) = fetch_mode(event.purpose);
    if event.is_tls {
        put(&mut sent, "Sec-Fetch-Dest", destination);
    }
    put_name(&mut sent, event);
    put(&mut sent, "Accept", if is_page(event) { PAGE } else { "*/*" });
    put_range(&mut sent, event);
    put_referer(&mut sent, event);
    if event.is_tls {
        put(&mut sent, "Sec-Fetch-Site", fetch_site(event));
        put(&mut sent, "Sec-Fetch-Mode", mode);
    }
    put(&mut sent, "Accept-Language", event.client.language);
    put(&mut sent, "Priority", if is_page(event) { "u=0, i" } else { "u=3, i" });
    let encodings = match event.range {
        Some(_) => "identity",
        None if event.is_tls => "gzip, deflate, br",
        None => "gzip, deflate",
    };
    put(&mut sent, "Accept-Encoding", encodings);
    put(&mut sent, "Connection", "keep-alive");
    sent
}

fn program(event: &Event, kind: &Kind) -> Headers {
    let mut sent = Headers::new();
    let host = || event.host().to_owned();
    match kind {
        Kind::Urllib => {
            put(&mut sent, "Accept-Encoding", "identity");
            let length = if event.method == "PUT" { event.object_size.unwrap_or(0) } else { 0 };
            put(&mut sent, "Content-Type", "application/x-www-form-urlencoded");
            put(&mut sent, "Content-Length", length.to_string());
            put(&mut sent, "Host", host());
            put_name(&mut sent, event);
            put_range(&mut sent, event);
            put(&mut sent, "Connection", "close");
        }
        Kind::Curl => {
            put(&mut sent, "Host", host());
            put_range(&mut sent, event);
            put_name(&mut sent, event);
            put(&mut sent, "Accept", "*/*");
            put_referer(&mut sent, event);
        }
        Kind::Wget => {
            put(&mut sent, "Host", host());
            put_referer(&mut sent, event);
            put_range(&mut sent, event);
            put_name(&mut sent, event);
            put_all(&mut sent, &[("Accept", "*/*"), ("Accept-Encoding", "identity"), ("Connection", "Keep-Alive")]);
        }
        Kind::Go => {
            put(&mut sent, "Host", host());
            put_name(&mut sent, event);
            put_range(&mut sent, event);
            put(&mut sent, "Accept-Encoding", "gzip");
        }
        Kind::Prometheus => {
            put(&mut sent, "Host", host());
            put_name(&mut sent, event);
            put_all(
                &mut sent,
                &[
                    (
                        "Accept",
                        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
                    ),
                    ("Accept-Encoding", "gzip"),
                    ("X-Prometheus-Scrape-Timeout-Seconds", "10"),
                ],
            );
        }
        Kind::Text => {
            put_name(&mut sent, event);
            put_all(
                &mut sent,
                &[
                    ("Accept", "text/html, text/*;q=0.5, image/*, application/*"),
                    ("Accept-Encoding", "gzip, compress, bzip, bzip2, deflate"),
                    ("Accept-Language", "en;q=1.0"),
                ],
            );
            put(&mut sent, "Host", host());
            put_referer(&mut sent, event);
        }
        Kind::Bare => {
            put(&mut sent, "Host", host());
            put_name(&mut sent, event);
            put(&mut sent, "Accept-Encoding", "gzip, deflate");
            put(&mut sent, "Accept", "*/*");
            put(&mut sent, "Connection", "keep-alive");
            put_referer(&mut sent, event);
            put_range(&mut sent, event);
        }
        Kind::Copied => {
            put(&mut sent, "Host", host());
            put_name(&mut sent, event);
            put(&mut sent, "Accept", PAGE);
            put(&mut sent, "Accept-Language", "en-US,en;q=0.5");
            put(&mut sent, "Accept-Encoding", "gzip, deflate, br");
            put_referer(&mut sent, event);
            put_all(&mut sent, &[("Connection", "keep-alive"), ("Upgrade-Insecure-Requests", "1")]);
            put_range(&mut sent, event);
        }
        _ => {
            put(&mut sent, "Host", host());
            put(&mut sent, "Connection", "keep-alive");
            put(&mut sent, "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
            put_name(&mut sent, event);
            put(&mut sent, "Accept-Encoding", "gzip, deflate, br");
        }
    }
    sent
}
