//! Requests, fixed ones and such as a text describes.

use windscreen::clock::Timestamp;
use windscreen::facts::{Client, Fact, Facts, Headers, HttpVersion, Identity};
use windscreen::path::CanonicalPath;
use windscreen::policy::Policy;
use windscreen::state::Blank;
use windscreen::verdict::{Dialect, Verdict};

/// Path, query, host, User-Agent, and the value of every header. What is `None` nobody knows.
#[derive(Clone, Copy)]
pub struct Request<'t> {
    path: &'t str,
    query: Option<&'t str>,
    host: Option<&'t str>,
    agent: Option<&'t str>,
    header: Option<&'t str>,
}

pub const REQUESTS: &[Request<'static>] = &[
    Request { path: "/", query: None, host: None, agent: None, header: None },
    Request {
        path: "/a/b.tar.gz",
        query: Some("a=1&b=%41"),
        host: Some("logs.example.org"),
        agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
        header: Some("one, two"),
    },
    Request { path: "/caf\u{e9}", query: Some(""), host: Some("h"), agent: Some("curl/8.0"), header: Some("") },
];

/// A request with one line for each part; those that are not there are unknown.
pub fn request(text: &str) -> Request<'_> {
    let mut lines = text.split('\n');
    let mut next = || lines.next();
    Request { path: next().unwrap_or("/"), query: next(), host: next(), agent: next(), header: next() }
}

impl Headers for Request<'_> {
    fn header(&self, _: &str) -> Fact<&str> {
        self.header.map_or(Fact::Unknown, Fact::Present)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        self.header.into_iter().for_each(|value| visit("accept", value));
        self.header.is_some()
    }

    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool {
        visit("Accept");
        self.header.is_some()
    }
}

/// Decides requests: explained, a verdict is the same. A path has one reading only.
pub fn decide_all(policy: &Policy, requests: &[Request<'_>]) {
    for request in requests {
        let Ok(path) = CanonicalPath::parse(request.path) else { continue };
        assert_eq!(CanonicalPath::parse(&path.encoded()).as_ref(), Ok(&path));
        let known = |text: Option<_>| text.map_or(Fact::Unknown, Fact::Present);
        let facts = Facts {
            now: Timestamp(1_795_221_000_000),
            site: "logs",
            host: known(request.host),
            method: "GET",
            path: path.as_str(),
            query: known(request.query),
            client: Client::new([192, 0, 2, 1].into(), request.host.is_some()),
            identity: Identity::None,
            client_name: Fact::Absent,
            pass: None,
            user_agent: known(request.agent),
            headers: request,
            version: Fact::Present(HttpVersion::Http11),
            secure: Fact::Present(true),
            ja4: Fact::Unknown,
            dialect: Fact::Present(Dialect::Page),
        };
        // What was read on the way, and failed there, depends on the way.
        let bare = |verdict| Verdict { signals: None, errors: 0, ..verdict };
        assert_eq!(bare(policy.decide(&facts, &Blank)), bare(policy.explain(&facts, &Blank).verdict));
    }
}
