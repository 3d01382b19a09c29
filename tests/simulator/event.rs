//! One request, with what is true of it.

use super::chance::Chance;
use super::client::{self, Client, Purpose};
use super::{networks, tree};
use std::net::IpAddr;
use std::sync::Arc;

/// Who really asks. No log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Somebody who reads.
    Person,
    /// Somebody whose page follows a test that runs.
    LiveViewer,
    /// Machines of CI: images, uploads, lists, and the scrape of metrics.
    Ci,
    /// A crawler that says that it is one; some say that they are another.
    DeclaredCrawler,
    /// A program that somebody runs: curl, wget.
    Tool,
    /// A scraper that says it is a browser: rotating proxies, headless browsers, and single machines that take images.
    DisguisedScraper,
    /// One address, about one request a minute, for days, in the name of a browser.
    SlowCrawler,
}

impl Label {
    /// All of them, in the order of [`Label::index`].
    pub const ALL: [Label; 7] = [
        Label::Person,
        Label::LiveViewer,
        Label::Ci,
        Label::DeclaredCrawler,
        Label::Tool,
        Label::DisguisedScraper,
        Label::SlowCrawler,
    ];

    /// Where it stands in [`Label::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Which bucket is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// Logs of tests.
    Logs,
    /// Images of virtual machines.
    Images,
}

/// The names under which the buckets are asked. A live load puts the gateway's here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Of the logs.
    pub logs: String,
    /// Of the images.
    pub images: String,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place in the traffic, from 0.
    pub number: u64,
    /// When it came: milliseconds since 1970.
    pub at_ms: i64,
    /// From where.
    pub address: IpAddr,
    /// The person, machine or campaign behind it. One actor may have many addresses.
    pub actor: u32,
    /// What the actor is.
    pub label: Label,
    /// Which bucket.
    pub site: Site,
    /// `GET`, `HEAD`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// The path as it was sent: all characters are unreserved or `/`, so it is the key after a slash as well.
    pub path: String,
    /// The query as it was sent, without `?`.
    pub query: Option<String>,
    /// The Referer.
    pub referer: Option<String>,
    /// First and last byte that were asked for.
    pub range: Option<(u64, u64)>,
    /// Whether the client had the object and asked whether it changed.
    pub conditional: bool,
    /// The status.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// Bytes of the whole body: more than `bytes` where the client went away.
    pub whole: u64,
    /// Size of the object, where there is one.
    pub object_size: Option<u64>,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// Who signed it: the ARN of an account's user. A live load signs by itself: [`Event::headers`] holds no signature.
    pub requester: Option<Arc<str>>,
    /// The region of AWS that it came from: an answer within the bucket's own is free.
    pub region: Option<&'static str>,
    /// What the request is for, as a browser sees it.
    pub purpose: Purpose,
    /// The program.
    pub client: Arc<Client>,
    /// The names of the buckets.
    pub hosts: Arc<Hosts>,
}

impl Event {
    /// The Host.
    pub fn host(&self) -> &str {
        match self.site {
            Site::Logs => &self.hosts.logs,
            Site::Images => &self.hosts.images,
        }
    }

    /// The User-Agent.
    pub fn user_agent(&self) -> Option<&str> {
        self.client.user_agent.as_deref()
    }

    /// Path and query.
    pub fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }

    /// All headers that this client sends with this request, in its order and spelling, Host among them.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        client::headers(self)
    }

    /// Whether the client went away before the end.
    pub fn is_cut_off(&self) -> bool {
        self.bytes < self.whole
    }

    /// Whether it reads: all but PUT and DELETE.
    pub fn is_read(&self) -> bool {
        matches!(self.method, "GET" | "HEAD")
    }

    /// Asked with this method. What is not GET gets no body.
    pub fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        if method != "GET" {
            (self.bytes, self.whole, self.took_ms) = (0, 0, 12);
        }
        if method == "DELETE" {
            self.status = 204;
        }
        self
    }

    /// Asked for by a page.
    pub fn from(mut self, referer: Option<&str>, purpose: Purpose) -> Self {
        self.referer = referer.map(str::to_owned);
        self.purpose = purpose;
        self
    }

    /// With a query.
    pub fn with_query(mut self, query: String) -> Self {
        self.query = Some(query);
        self
    }

    /// Of this size, whatever its name says.
    pub fn sized(mut self, size: u64, speed: u64) -> Self {
        self.object_size = Some(size);
        self.send(size, speed);
        self
    }

    /// There is no such object: 403, since the caller may not list, or 404 for one who may.
    pub fn missing(mut self) -> Self {
        self.status = if self.requester.is_some() { 404 } else { 403 };
        self.object_size = None;
        self.refuse()
    }

    /// It is private.
    pub fn denied(mut self) -> Self {
        self.status = 403;
        self.object_size = None;
        self.refuse()
    }

    fn refuse(mut self) -> Self {
        let whole = if self.method == "GET" { 243 } else { 0 };
        self.send(whole, 1 << 20);
        self
    }

    /// The client has it already.
    pub fn unchanged(mut self) -> Self {
        self.conditional = true;
        self.status = 304;
        self.send(0, 1);
        self
    }

    /// Bytes `first` to `last` of it.
    pub fn ranged(mut self, first: u64, last: u64, speed: u64) -> Self {
        self.range = Some((first, last));
        self.status = 206;
        self.send(last + 1 - first, speed);
        self
    }

    /// The client went away after this many bytes.
    pub fn cut(mut self, bytes: u64, speed: u64) -> Self {
        let whole = self.whole;
        self.send(bytes.min(whole), speed);
        self.whole = whole;
        self
    }

    fn send(&mut self, bytes: u64, speed: u64) {
        (self.bytes, self.whole) = (bytes, bytes);
        self.took_ms = 18 + (bytes * 1000 / speed.max(1)).min(7_200_000) as u32;
    }
}

/// Somebody who asks: what all of their requests have in common.
#[derive(Debug, Clone)]
pub struct Who {
    /// See [`Event::actor`].
    pub actor: u32,
    /// See [`Event::label`].
    pub label: Label,
    /// See [`Event::address`].
    pub address: IpAddr,
    /// See [`Event::client`].
    pub client: Arc<Client>,
    /// See [`Event::requester`].
    pub requester: Option<Arc<str>>,
    /// See [`Event::is_tls`].
    pub is_tls: bool,
    /// Bytes a second that the line takes.
    pub speed: u64,
    /// See [`Event::hosts`].
    pub hosts: Arc<Hosts>,
}

impl Who {
    /// A GET of an object that exists, answered whole.
    pub fn get(&self, at_ms: i64, site: Site, path: String) -> Event {
        let event = Event {
            number: 0,
            at_ms,
            address: self.address,
            actor: self.actor,
            label: self.label,
            site,
            method: "GET",
            query: None,
            referer: None,
            range: None,
            conditional: false,
            status: 200,
            bytes: 0,
            whole: 0,
            object_size: None,
            took_ms: 0,
            is_tls: self.is_tls,
            requester: self.requester.clone(),
            region: networks::region(self.address),
            purpose: Purpose::Other,
            client: Arc::clone(&self.client),
            hosts: Arc::clone(&self.hosts),
            path,
        };
        let size = tree::size_of(&event.path);
        event.sized(size, self.speed)
    }

    /// The address of a page on the site of the logs.
    pub fn page(&self, path: &str) -> String {
        format!("http{}://{}{path}", if self.is_tls { "s" } else { "" }, self.hosts.logs)
    }

    /// Downloads an image: all of it, in parts, or with an interruption. Returns how many bytes came.
    ///
    /// `ranged` clients name the range even of a whole image, as image-download does.
    pub fn download(&self, at_ms: i64, path: &str, ranged: bool, chance: &mut Chance, out: &mut Vec<Event>) -> u64 {
        const PIECE: u64 = 64 << 20;
        let size = tree::size_of(path);
        let whole = || self.get(at_ms, Site::Images, path.to_owned());
        if ranged && chance.hits(0.12) {
            let lasts = (PIECE * 1000 / self.speed) as i64;
            for (number, first) in (0_i64..).zip((0..size).step_by(PIECE as usize)) {
                let last = (first + PIECE).min(size) - 1;
                // Four at a time.
                let at = at_ms + number / 4 * lasts + number % 4 * 7;
                out.push(self.get(at, Site::Images, path.to_owned()).ranged(first, last, self.speed));
            }
            return size;
        }
        if chance.hits(0.08) {
            let have = chance.below(size).max(1);
            let start = if ranged { whole().ranged(0, size - 1, self.speed) } else { whole() };
            let start = start.cut(have, self.speed);
            let again = start.at_ms + i64::from(start.took_ms) + chance.between(1000, 64_000) as i64;
            out.push(start);
            if chance.hits(0.2) {
                return have;
            }
            out.push(self.get(again, Site::Images, path.to_owned()).ranged(have, size - 1, self.speed));
        } else {
            out.push(if ranged { whole().ranged(0, size - 1, self.speed) } else { whole() });
        }
        size
    }
}
