//! Requests and what they show: here what hangs on versions, on unknown facts and on state.

mod clients;

use super::*;
use crate::clock::Timestamp;
use crate::facts::{Client, Headers, Identity};
use crate::network::IpNet;
use crate::state::Blank;

/// Header lines as they came over the wire. `logged` is a request of which only a log line is known.
struct Sent<'a> {
    lines: Vec<(&'a str, &'a str)>,
    logged: bool,
}

impl Sent<'_> {
    fn new(text: &str) -> Sent<'_> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let named = lines.map(|line| line.split_once(':').unwrap());
        Sent { lines: named.map(|(name, value)| (name, value.trim())).collect(), logged: false }
    }
}

impl Headers for Sent<'_> {
    fn header(&self, name: &str) -> Fact<&str> {
        match self.lines.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, value)) => Fact::Present(value),
            None if self.logged => Fact::Unknown,
            None => Fact::Absent,
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &str)) -> bool {
        self.lines.iter().for_each(|(name, value)| visit(&name.to_ascii_lowercase(), value));
        !self.logged
    }

    fn as_sent(&self, visit: &mut dyn FnMut(&str)) -> bool {
        self.lines.iter().for_each(|(name, _)| visit(name));
        !self.logged
    }
}

/// Remembers what the client's prefix fetched.
struct Fetched<'a>(&'a [&'a str]);

impl State for Fetched<'_> {
    fn has_fetched(&self, _: IpNet, site: &str, path: &str) -> Fact<bool> {
        assert_eq!(site, "logs");
        Fact::Present(self.0.contains(&path))
    }
}

fn facts<'a>(sent: &'a Sent<'_>, version: HttpVersion, secure: bool) -> Facts<'a> {
    Facts {
        now: Timestamp(0),
        site: "logs",
        host: Fact::Present("logs.example.org"),
        method: "GET",
        path: "/run-1/log.html",
        query: Fact::Absent,
        client: Client::new([192, 0, 2, 1].into(), true),
        identity: Identity::None,
        client_name: Fact::Absent,
        pass: None,
        user_agent: sent.header("user-agent"),
        headers: sent,
        version: if sent.logged { Fact::Unknown } else { Fact::Present(version) },
        secure: if sent.logged { Fact::Unknown } else { Fact::Present(secure) },
        ja4: Fact::Unknown,
        dialect: Fact::Unknown,
    }
}

fn signals(facts: &Facts<'_>, state: &dyn State) -> Signals {
    let claim = match facts.user_agent {
        Fact::Present(agent) => Browser::claimed(agent).into(),
        Fact::Absent => Fact::Absent,
        Fact::Unknown => Fact::Unknown,
    };
    super::signals(facts, claim, state)
}

fn shown(text: &str, version: HttpVersion, secure: bool) -> Vec<&'static str> {
    let sent = Sent::new(text);
    signals(&facts(&sent, version, secure), &Fetched(&[])).present().map(Signal::word).collect()
}

const H1: HttpVersion = HttpVersion::Http11;

#[test]
fn versions_of_more_than_five_years_are_ancient() {
    let cases = [
        ("Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/95.0.4638.69 Safari/537.36", true),
        ("Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36", false),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:91.0) Gecko/20100101 Firefox/91.0", true),
        ("Mozilla/5.0 (Windows NT 6.1; Win64; x64; rv:109.0) Gecko/20100101 Firefox/115.0", false),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Version/12.1.2 Safari/604.1",
            true,
        ),
        ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", true),
        ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", true),
        ("Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18", true),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) QtWebEngine/5.15.17 \
             Chrome/87.0.4280.144 Safari/537.36",
            false,
        ),
        ("Mozilla/5.0", false),
    ];
    for (agent, expected) in cases {
        let found = shown(&format!("Host: h\nUser-Agent: {agent}"), H1, false);
        assert_eq!(found.contains(&"ancient-browser"), expected, "{agent}");
    }
}

#[test]
fn what_is_not_known_is_not_shown() {
    let unknown = |sent: &Sent<'_>| {
        let found = signals(&facts(sent, H1, true), &Blank);
        let words = Signal::WORDS.into_iter().filter(|(_, signal)| found.count(1 << *signal as u16) == (0, 1));
        assert_eq!(found.present().count(), 0);
        words.map(|(word, _)| word).collect::<Vec<_>>()
    };
    let agent = clients::CHROMIUM.lines().find(|line| line.contains("User-Agent")).unwrap();
    let mut logged = Sent { logged: true, ..Sent::new(agent) };
    let all_but = |known: &[&str]| {
        let words = Signal::WORDS.into_iter().map(|(word, _)| word).filter(|word| !known.contains(word));
        words.collect::<Vec<_>>()
    };
    assert_eq!(unknown(&logged), all_but(&["no-user-agent", "ancient-browser", "forged-forwarding"]));
    logged.lines.clear();
    assert_eq!(unknown(&logged), all_but(&["forged-forwarding"]));
    logged = Sent { logged: true, ..Sent::new("User-Agent: curl/8.0") };
    assert_eq!(unknown(&logged), ["unfetched-referer"]);
    // Whatever stands in between may have written the headers anew.
    let relayed = format!("accept-encoding: gzip\n{}\nVia: 1.1 office", clients::lower_names(clients::CHROMIUM));
    assert_eq!(unknown(&Sent::new(&relayed)), ["header-order", "header-case"]);
}

#[test]
fn a_client_that_names_itself_for_a_proxy_is_shown() {
    for trusted in [true, false] {
        let sent = Sent::new("Host: h\nUser-Agent: curl/8.0");
        let facts = facts(&sent, H1, true);
        let facts = Facts { client: Client { trusted, ..facts.client }, ..facts };
        assert_eq!(signals(&facts, &Blank).has(Signal::ForgedForwarding), !trusted);
    }
}

#[test]
fn a_referer_was_fetched_before_its_parts() {
    const PAGE: &str = "https://logs.example.org/run-1/log.html";
    let cases: [(&str, &str, &[&str], Option<bool>); 17] = [
        ("/run-1/a.png", PAGE, &["/run-1/log.html"], Some(false)),
        ("/run-1/a.png", PAGE, &[], Some(true)),
        ("/run-1/sub/a.png", PAGE, &[], Some(true)),
        ("/run-1/a.png", "http://LOGS.example.org.:8080/run-1/log.html?x=/y", &["/run-1/log.html"], Some(false)),
        // The site's prefix may be anything above the folder.
        ("/run-1/a.png", "https://logs.example.org/p/run-1/log.html", &["/run-1/log.html"], Some(false)),
        ("/run-1/a.png", "https://logs.example.org/p/run-1/log.html", &[], Some(true)),
        ("/b/x", "https://logs.example.org/a/b/page", &["/a/b/page"], Some(false)),
        // It may be the page of another site under this host.
        ("/a.png", PAGE, &[], None),
        ("/run-2/a.png", PAGE, &[], None),
        ("/run-1/a.png", "https://logs.example.org/run-1/a%20b.html", &[], None),
        ("/run-1/a.png", "https://logs.example.org/run-1/", &[], None),
        ("/run-1/a.png", "https://logs.example.org/run-1/a.png", &[], Some(false)),
        ("/run-1/a.png", "https://logs.example.org/", &[], Some(false)),
        ("/run-1/a.png", "https://logs.example.org", &[], Some(false)),
        ("/run-1/a.png", "https://example.org/run-1/log.html", &[], Some(false)),
        ("/run-1/a.png", "https://logs.example.org/.windscreen/run-1/x", &[], Some(false)),
        ("/run-1/a.png", "garbage", &[], Some(false)),
    ];
    for (path, referer, fetched, expected) in cases {
        let text = format!("Host: h\nReferer: {referer}");
        let sent = Sent::new(&text);
        let facts = Facts { path, ..facts(&sent, H1, true) };
        let state = Fetched(fetched);
        assert_eq!(referer::is_unfetched(&facts, &state), expected, "{path} from {referer}");
    }
    let deep = format!("Referer: https://logs.example.org/run-1{}", "/x".repeat(40));
    let sent = Sent::new(&deep);
    let facts = Facts { path: "/run-1/a.png", ..facts(&sent, H1, true) };
    assert_eq!(referer::is_unfetched(&facts, &Fetched(&[])), None);
    let sent = Sent::new("Referer: https://logs.example.org/run-1/log.html");
    let facts = Facts { headers: &sent, ..facts };
    assert_eq!(referer::is_unfetched(&facts, &Blank), None);
    let facts = Facts { host: Fact::Unknown, ..facts };
    assert_eq!(referer::is_unfetched(&facts, &Fetched(&[])), None);
}
