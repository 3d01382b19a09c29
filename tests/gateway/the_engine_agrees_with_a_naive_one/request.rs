//! Random requests and states, of few different values, so that rules match often.

use super::policy::MOMENTS;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::IpAddr;
use windscreen::clock::Timestamp;
use windscreen::facts::{Client, Fact, Facts, Headers, HttpVersion, Identity};
use windscreen::network::IpNet;
use windscreen::state::State;
use windscreen::verdict::Dialect;

/// The one browser; the naive engine knows it by heart.
pub const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";

/// Of two browsers and a tool.
const FINGERPRINTS: [&str; 3] = [
    "t13d1516h2_8daaf6152771_e5627efa2ab1",
    "t13d1715h2_5b57614c22b0_3d5424432f57",
    "t12i040500_aaaaaaaaaaaa_bbbbbbbbbbbb",
];

#[derive(Debug, Clone)]
pub struct Request {
    /// Which of [`MOMENTS`].
    pub moment: usize,
    pub site: &'static str,
    pub host: Fact<&'static str>,
    pub method: &'static str,
    pub path: String,
    pub query: Fact<&'static str>,
    pub client: Client,
    pub identity: Identity,
    pub client_name: Fact<&'static str>,
    pub pass: Option<u32>,
    pub user_agent: Fact<&'static str>,
    pub headers: Sent,
    pub version: Fact<HttpVersion>,
    pub ja4: Fact<&'static str>,
    pub dialect: Fact<Dialect>,
    pub state: Remembered,
}

/// Headers by name. The last name stands for all others, too.
#[derive(Debug, Clone)]
pub struct Sent(pub Vec<(&'static str, Fact<&'static str>)>);

#[derive(Debug, Clone)]
pub struct Remembered {
    pub strikes: Fact<f64>,
    pub load: Fact<[f64; 3]>,
    pub country: Fact<[u8; 2]>,
    pub asn: Fact<u32>,
    pub listed: Fact<bool>,
    pub named: Fact<bool>,
    pub point: Fact<u64>,
}

impl Headers for Sent {
    fn header(&self, name: &str) -> Fact<&str> {
        self.0.iter().find(|(known, _)| *known == name).map_or(Fact::Absent, |(_, value)| *value)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        self.0.iter().for_each(|(name, value)| {
            if let Fact::Present(value) = value {
                visit(name, value);
            }
        });
        self.0.iter().all(|(_, value)| *value != Fact::Unknown)
    }

    fn as_sent(&self, _: &mut dyn FnMut(&str)) -> bool {
        false
    }
}

impl State for Remembered {
    fn strikes(&self, _: IpNet, _: Timestamp) -> Fact<f64> {
        self.strikes
    }

    fn load(&self) -> Fact<[f64; 3]> {
        self.load
    }

    fn country(&self, _: IpAddr) -> Fact<[u8; 2]> {
        self.country
    }

    fn asn(&self, _: IpAddr) -> Fact<u32> {
        self.asn
    }

    fn is_listed(&self, _: &str, _: IpAddr) -> Fact<bool> {
        self.listed
    }

    fn has_name_in(&self, _: &[String], _: IpAddr) -> Fact<bool> {
        self.named
    }

    fn sample_point(&self, _: IpNet, _: Timestamp) -> Fact<u64> {
        self.point
    }
}

impl Request {
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            now: Timestamp(MOMENTS[self.moment] * 1000),
            site: self.site,
            host: self.host,
            method: self.method,
            path: &self.path,
            query: self.query,
            client: self.client,
            identity: self.identity,
            client_name: self.client_name,
            pass: self.pass,
            user_agent: self.user_agent,
            headers: &self.headers,
            version: self.version,
            secure: Fact::Present(false),
            ja4: self.ja4,
            dialect: self.dialect,
        }
    }
}

fn fact<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = Fact<T>> {
    prop_oneof![6 => select(of).prop_map(Fact::Present), 1 => Just(Fact::Absent), 1 => Just(Fact::Unknown)]
}

fn sent() -> impl Strategy<Value = Sent> {
    let headers: (_, _, _, _, _, _) = (
        fact(&["1", "2", "abc", ""]),
        fact(&["en", "de-DE"]),
        fact(&["cross-site", "same-origin"]),
        prop_oneof![1 => fact(&["document", "iframe"]), 1 => Just(Fact::Absent)],
        prop_oneof![1 => fact(&["prefetch", "nothing"]), 3 => Just(Fact::Absent)],
        fact(&["https://logs.example/x", "http://other.example:8080/", "https://LOGS.example:443/?q", "junk"]),
    );
    headers.prop_map(|(a, language, site, dest, purpose, referer)| {
        Sent(vec![
            ("x-a", a),
            ("accept-language", language),
            ("sec-fetch-site", site),
            ("sec-fetch-dest", dest),
            ("purpose", purpose),
            ("referer", referer),
        ])
    })
}

fn remembered() -> impl Strategy<Value = Remembered> {
    (
        fact(&[0.0, 1.5, 2.0, 4.0]),
        fact(&[[0.0, 1.0, 2.0], [5.0, 0.5, 3.0]]),
        fact(&[[b'B', b'R'], [b'D', b'E']]),
        fact(&[64500u32, 64502]),
        fact(&[true, false]),
        fact(&[true, false]),
        fact(&[0, 0, windscreen::state::SAMPLE_POINTS / 19]),
    )
        .prop_map(|(strikes, load, country, asn, listed, named, point)| Remembered {
            strikes,
            load,
            country,
            asn,
            listed,
            named,
            point,
        })
}

pub fn request() -> impl Strategy<Value = Request> {
    const ADDRESSES: [&str; 8] = [
        "192.0.2.5",
        "192.0.2.99",
        "198.51.100.7",
        "10.1.2.3",
        "203.0.113.9",
        "127.0.0.1",
        "2001:db8::1",
        "2001:db8:1::",
    ];
    let client = (select(&ADDRESSES[..]), prop::bool::weighted(0.85))
        .prop_map(|(address, trusted)| Client::new(address.parse().unwrap(), trusted));
    let path = prop::collection::vec(select(&["a", "b", "log", "LOG", "x.gz", "x.tar.gz", "ab", "", ".gz"][..]), 1..4)
        .prop_map(|segments| format!("/{}", segments.join("/")));
    let agents = &["curl/8", "", "GoodBot/1.0", "a netbot", "PlainBot", "Wget/12", "Nobody", BROWSER];
    let who = (
        fact(agents),
        select(Identity::WORDS.map(|(_, identity)| identity).to_vec()),
        fact(&["ci", "ci-next", "nightly"]),
        select(&[None, Some(1024), Some(4096)][..]),
    );
    let where_to = (
        select(&["logs", "images", "other"][..]),
        fact(&["logs.example", "images.example", "x.logs.example", "example", "x..example"]),
        select(&["GET", "HEAD"][..]),
        path,
        fact(&["", "a=1", "a=2&b=1", "b", "a&a=1", "b=2&c", "a=%31", "%61=2&b=ta%73k", "&a=+1", "b=TA\u{17f}K"]),
    );
    let how = (
        fact(&[HttpVersion::Http10, HttpVersion::Http11]),
        fact(&[Dialect::Page, Dialect::Fetch, Dialect::S3, Dialect::Plain]),
        fact(&FINGERPRINTS),
    );
    (0..MOMENTS.len(), where_to, client, who, sent(), how, remembered()).prop_map(
        |(moment, (site, host, method, path, query), client, who, headers, (version, dialect, ja4), state)| {
            let (user_agent, identity, client_name, pass) = who;
            Request {
                moment,
                site,
                host,
                method,
                path,
                query,
                client,
                identity,
                client_name,
                pass,
                user_agent,
                headers,
                version,
                ja4,
                dialect,
                state,
            }
        },
    )
}
