//! Whose doing a request is: only what a client does itself may be held against it.
//!
//! A page elsewhere can make a browser ask for anything as an image, a frame or in advance, or lead it here by a link:
//! such requests are not the doing of whoever reads that page. A client that is no browser does nothing but what it was
//! made for. What nobody can tell is not held against anybody.

use super::signals::{Guise, guise};
use crate::facts::{Fact, Facts};
use crate::referer::path_at;
use crate::verdict::Dialect;

/// Whether the request is the client's own doing.
///
/// Sources: W3C "Fetch Metadata Request Headers", section 2; WICG "Prefetch" (`Sec-Purpose`, for which Chromium and
/// WebKit once said `Purpose`).
pub fn is_own_doing(facts: &Facts<'_>) -> bool {
    if let Some(known) = facts.headers.recorded().and_then(|recollection| recollection.facts.own_doing) {
        return known && facts.client.trusted;
    }
    let header = |name| facts.headers.header(name);
    let is_early = ["sec-purpose", "purpose"].iter().any(|name| match header(name) {
        Fact::Present(purpose) => purpose.to_ascii_lowercase().contains("prefetch"),
        Fact::Absent => false,
        Fact::Unknown => true,
    });
    // Whoever writes a forged forwarding header must not strike others.
    if is_early || !facts.client.trusted {
        return false;
    }
    // None where there is no such header.
    let is_one_of = |name, words: &[&str]| match header(name) {
        Fact::Present(word) => Some(words.contains(&word)),
        Fact::Absent => None,
        Fact::Unknown => Some(false),
    };
    if let Some(is_ours) = is_one_of("sec-fetch-site", &["none", "same-origin"]) {
        let opens = is_one_of("sec-fetch-mode", &["navigate"]).unwrap_or(true);
        return is_ours && opens && is_one_of("sec-fetch-dest", &["document"]).unwrap_or(true);
    }
    let Fact::Present(dialect) = facts.dialect else { return false };
    // On plain http browsers say where they come from in the Referer only, and a page can have that left out.
    let is_ours = match (header("referer"), facts.host) {
        (Fact::Present(referer), Fact::Present(host)) => Some(path_at(referer, host).is_some()),
        (Fact::Absent, _) => None,
        _ => Some(false),
    };
    match (guise(facts), dialect) {
        (Guise::FalseBrowser, _) | (Guise::Program, Dialect::Plain | Dialect::S3) => true,
        (Guise::Program, Dialect::Page) => is_ours.unwrap_or(true),
        (Guise::Browser, Dialect::Page) => is_ours.unwrap_or(false),
        (Guise::Program | Guise::Browser, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::facts::{Client, Headers, HttpVersion, Identity};

    const CHROME: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36");
    const CURL: (&str, &str) = ("user-agent", "curl/8.15.0");
    const OWN: (&str, &str) = ("referer", "http://logs.example.org./a");
    const FOREIGN: (&str, &str) = ("referer", "http://forum.example/");

    struct Sent<'a> {
        headers: Vec<(&'a str, &'a str)>,
        logged: bool,
    }

    impl Headers for Sent<'_> {
        fn header(&self, name: &str) -> Fact<&str> {
            match self.headers.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => Fact::Present(value),
                None if self.logged => Fact::Unknown,
                None => Fact::Absent,
            }
        }

        fn each(&self, _: &mut dyn FnMut(&str, &str)) -> bool {
            false
        }

        fn as_sent(&self, _: &mut dyn FnMut(&str)) -> bool {
            false
        }
    }

    fn facts<'a>(sent: &'a Sent<'_>, dialect: Dialect, secure: bool) -> Facts<'a> {
        Facts {
            now: Timestamp(0),
            site: "logs",
            host: Fact::Present("logs.example.org"),
            method: "GET",
            path: "/trap",
            query: Fact::Absent,
            client: Client::new([192, 0, 2, 1].into(), true),
            identity: Identity::None,
            client_name: Fact::Absent,
            pass: None,
            user_agent: sent.header("user-agent"),
            headers: sent,
            version: Fact::Present(HttpVersion::Http11),
            secure: Fact::Present(secure),
            ja4: Fact::Unknown,
            dialect: Fact::Present(dialect),
        }
    }

    fn doing(headers: &[(&str, &str)], dialect: Dialect, secure: bool) -> bool {
        let sent = Sent { headers: headers.to_vec(), logged: false };
        is_own_doing(&facts(&sent, dialect, secure))
    }

    #[test]
    fn only_a_page_that_a_person_opens_is_a_browsers_own_doing() {
        use Dialect::{Fetch, Page, Plain, S3};
        // site, mode, dest, expected
        let metadata = [
            ("none", "navigate", "document", true),
            ("same-origin", "navigate", "document", true),
            ("same-site", "navigate", "document", false),
            ("cross-site", "navigate", "document", false),
            ("same-origin", "navigate", "iframe", false),
            ("same-origin", "navigate", "frame", false),
            ("same-origin", "no-cors", "image", false),
            ("same-origin", "cors", "empty", false),
            ("cross-site", "no-cors", "image", false),
        ];
        for (site, mode, dest, expected) in metadata {
            let sent = [CHROME, ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            // A link can make any dialect of it, with `?x-amz-date` for one.
            for dialect in [Page, Fetch, S3, Plain] {
                assert_eq!(doing(&sent, dialect, true), expected, "{site} {mode} {dest} {dialect:?}");
            }
            for early in [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch")] {
                assert!(!doing(&[&sent[..], &[early]].concat(), Page, true), "{early:?}");
            }
        }
    }

    #[test]
    fn without_fetch_metadata_the_referer_tells_and_programs_answer_for_themselves() {
        use Dialect::{Fetch, Page, Plain, S3};
        let old = ("user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 12_5) AppleWebKit/605 Version/12.1 Safari/604.1");
        let mini = ("user-agent", "Opera/9.80 (Android; Opera Mini/36.2) Presto/2.12");
        let crawler = ("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)");
        let lynx = ("user-agent", "Lynx/2.9.2");
        type Case<'a> = (&'a [(&'a str, &'a str)], Dialect, bool, bool);
        let cases: [Case; 18] = [
            // On plain http a page elsewhere may frame this one, and keep its name to itself.
            (&[CHROME], Page, false, false),
            (&[CHROME, FOREIGN], Page, false, false),
            (&[CHROME, OWN], Page, false, true),
            (&[CHROME, OWN, ("purpose", "prefetch")], Page, false, false),
            (&[CHROME, OWN], Fetch, false, false),
            (&[CHROME, OWN], S3, false, false),
            (&[old], Page, true, false),
            (&[mini], Plain, false, false),
            (&[lynx], Page, true, false),
            (&[lynx, OWN], Page, true, true),
            (&[crawler], Fetch, true, false),
            // Over TLS this browser would have sent some.
            (&[CHROME], Fetch, true, true),
            (&[CHROME], Page, true, true),
            (&[CURL], Plain, true, true),
            (&[CURL, FOREIGN], Plain, false, true),
            (&[("user-agent", "Boto3/1.40")], S3, true, true),
            (&[("user-agent", "scraper/1.0")], Page, true, true),
            (&[], Plain, false, true),
        ];
        for (sent, dialect, secure, expected) in cases {
            assert_eq!(doing(sent, dialect, secure), expected, "{sent:?} {dialect:?} {secure}");
        }
    }

    #[test]
    fn what_nobody_can_tell_is_held_against_nobody() {
        let sent = Sent { headers: vec![CURL], logged: false };
        let curl = facts(&sent, Dialect::Plain, true);
        assert!(is_own_doing(&curl));
        let untrusted = Client { trusted: false, ..curl.client };
        assert!(!is_own_doing(&Facts { client: untrusted, ..curl }), "anybody may have named that address");
        assert!(!is_own_doing(&Facts { dialect: Fact::Unknown, ..curl }));
        assert!(!is_own_doing(&Facts { user_agent: Fact::Unknown, ..curl }));
        let logged = Sent { headers: vec![CURL], logged: true };
        assert!(!is_own_doing(&Facts { headers: &logged, ..curl }));
    }
}
