//! The challenge page: one file with everything inline, put together once at start for every language. Words are in the
//! HTML, so that people read them before any script has run; what a request brings goes to few places, escaped.

mod gzip;
mod languages;
mod picture;
mod settings;
mod theme;

pub use picture::Picture;
pub use settings::{Logo, PageSettings};

use crate::clock::Timestamp;
use crate::printable::escaped;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gzip::{Fixed, Gzip};
use languages::{LANGUAGES, Language, choose};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

const MARKUP: &str = include_str!("assets/page.html");
const STYLE: &str = include_str!("assets/page.css");
const SCRIPT: &str = include_str!("assets/page.js");
const SOLVER: &str = include_str!("assets/solver.js");
const WASM: &[u8] = include_bytes!("assets/cachewalk.wasm");
const SIMD: &[u8] = include_bytes!("assets/cachewalk-simd.wasm");

/// Where the page posts its solution.
pub const VERIFY_PATH: &str = "/.windscreen/verify";

/// Words that the script says.
const SPOKEN: [&str; 20] = [
    "found",
    "rate",
    "left",
    "work",
    "sending",
    "done",
    "open",
    "retry_in",
    "failed",
    "refused",
    "late",
    "offline",
    "blocked",
    "cookie",
    "cookie_off",
    "cookie_lost",
    "loop",
    "clock",
    "slow",
    "nojs_wait",
];

/// The page in every language.
#[derive(Debug)]
pub struct Page {
    prepared: Vec<Prepared>,
    policy: String,
}

/// One visit that is answered with the page.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The sealed challenge.
    pub challenge: &'a str,
    /// One in so many nonces is a solution.
    pub difficulty: u32,
    /// The site that the pass will be for.
    pub site: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// The name of the cookie that will hold the pass.
    pub cookie: &'a str,
    /// Whether the request brought a cookie of that name, good or not.
    pub brought: bool,
    /// The time.
    pub now: Timestamp,
    /// The way without JavaScript, where there is one.
    pub wait: Option<Wait<'a>>,
}

/// The way without JavaScript.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Wait<'a> {
    /// The link that gives a pass when the time is up. The script hands it to `a.href`.
    pub href: &'a str,
    /// After how many seconds it does.
    pub seconds: u64,
}

/// What the page's script reads.
#[derive(Serialize)]
struct Data<'a> {
    challenge: &'a str,
    difficulty: u32,
    count: usize,
    rounds: u32,
    verify: &'a str,
    site: &'a str,
    request_id: &'a str,
    cookie: &'a str,
    brought: bool,
    now: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<Wait<'a>>,
}

/// The page in one language, in the order in which it is sent.
#[derive(Debug)]
struct Prepared {
    pieces: Vec<Piece>,
    words: Words,
}

/// What is said where a request brings the rest. As HTML.
#[derive(Debug)]
struct Words {
    site: String,
    request: String,
    nojs_needed: String,
    nojs_wait: String,
    nojs_go: String,
    /// Whose gateway it is, and what parts that from the site.
    name: String,
}

#[derive(Debug)]
enum Piece {
    /// What this language has for itself.
    Text(Fixed),
    /// What all languages have.
    Shared(Arc<Fixed>),
    /// What a request brings.
    Place(Place),
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the head: the way without JavaScript, when its time is up.
    Refresh,
    /// In the body: the same as a link, or that there is none.
    Without,
    Footer,
    /// What the script reads.
    Challenge,
}

impl Default for Page {
    fn default() -> Self {
        Page::new(&PageSettings::default(), None)
    }
}

impl Page {
    /// The page as an operator wants it.
    pub fn new(settings: &PageSettings, logo: Option<&Picture>) -> Self {
        let [light, dark] = settings.colours.css();
        let style = Arc::new(Fixed::new(STYLE.replace("{{light}}", &light).replace("{{dark}}", &dark)));
        // A JSON string is a JavaScript string; `<` must not end the script element.
        let solver = without_comments(SOLVER)
            .replace("{{wasm}}", &STANDARD.encode(WASM))
            .replace("{{simd}}", &STANDARD.encode(SIMD));
        let solver = serde_json::Value::from(solver).to_string().replace('<', "\\u003c");
        let script = Arc::new(Fixed::new(without_comments(SCRIPT).replace("\"{{solver}}\"", &solver)));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}' 'wasm-unsafe-eval'; style-src 'sha256-{}'; worker-src blob:; \
             connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
            hash(&script.text),
            hash(&style.text),
        );
        let logo = logo.map(|logo| format!("<img src=\"{}\" alt=\"\">", logo.uri())).unwrap_or_default();
        let prepare = |(place, language)| Prepared::new(place, language, settings, &logo, &style, &script);
        Page { prepared: LANGUAGES.iter().enumerate().map(prepare).collect(), policy }
    }

    /// The page for one visit in the language that an Accept-Language header likes best, and the tag of that language.
    pub fn render(&self, visit: &Visit<'_>, accept_language: &str) -> (String, &'static str) {
        self.in_language(accept_language, |prepared| prepared.render(visit))
    }

    /// The same, compressed by gzip.
    pub fn render_gzip(&self, visit: &Visit<'_>, accept_language: &str) -> (Vec<u8>, &'static str) {
        self.in_language(accept_language, |prepared| prepared.render_gzip(visit))
    }

    fn in_language<T: Default>(&self, accept: &str, render: impl FnOnce(&Prepared) -> T) -> (T, &'static str) {
        let place = choose(accept);
        // There is one for each language.
        let body = self.prepared.get(place).map(render).unwrap_or_default();
        (body, LANGUAGES.get(place).map_or("en", |language| language.tag))
    }

    /// The Content-Security-Policy that lets exactly this page's script and style run.
    pub fn content_security_policy(&self) -> &str {
        &self.policy
    }
}

/// A script without indentation and without comments that have a line to themselves.
fn without_comments(script: &str) -> String {
    let lines: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.starts_with("//")).collect();
    lines.join("\n")
}

fn hash(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

impl Prepared {
    fn new(
        place: usize,
        language: &Language,
        settings: &PageSettings,
        logo: &str,
        style: &Arc<Fixed>,
        script: &Arc<Fixed>,
    ) -> Self {
        let words: HashMap<String, String> = language.words().into_iter().collect();
        let word = |key: &str| words.get(key).map_or("", String::as_str);
        let name = settings.name.as_ref().map(|name| escaped(&name.0));
        let static_text = |key: &str| match key {
            "lang" => language.tag.to_owned(),
            "dir" => language.direction().to_owned(),
            "of_name" => name.as_ref().map(|name| format!(" – {name}")).unwrap_or_default(),
            "brand" if name.is_none() && logo.is_empty() => String::new(),
            "brand" => format!("<p class=\"brand\">{logo}<span>{}</span></p>", name.as_deref().unwrap_or_default()),
            "text" => {
                let Some((text, other)) = settings.text.as_ref().and_then(|text| text.for_language(place)) else {
                    return String::new();
                };
                let other = other.and_then(|place| LANGUAGES.get(place));
                let tag = other.map(|other| format!(" lang=\"{}\" dir=\"{}\"", other.tag, other.direction()));
                format!("<p class=\"text\"{}>{}</p>", tag.unwrap_or_default(), escaped(text))
            }
            "help" => match &settings.contact {
                Some(contact) => {
                    let (href, shown) = (escaped(&contact.href), escaped(&contact.shown));
                    format!("{} <a href=\"{href}\" dir=\"ltr\">{shown}</a>", escaped(word("contact")))
                }
                None => escaped(word("help")),
            },
            "words" => {
                let spoken: serde_json::Map<_, _> =
                    SPOKEN.map(|key| (key.to_owned(), word(key).into())).into_iter().collect();
                json(&spoken)
            }
            key => escaped(word(key)),
        };
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = MARKUP;
        while let Some((before, (key, after))) =
            rest.split_once("{{").and_then(|(before, more)| Some((before, more.split_once("}}")?)))
        {
            text.push_str(before);
            let piece = match key {
                "css" => Some(Piece::Shared(style.clone())),
                "js" => Some(Piece::Shared(script.clone())),
                "refresh" => Some(Piece::Place(Place::Refresh)),
                "without" => Some(Piece::Place(Place::Without)),
                "footer" => Some(Piece::Place(Place::Footer)),
                "challenge" => Some(Piece::Place(Place::Challenge)),
                _ => None,
            };
            match piece {
                Some(piece) => pieces.extend([Piece::Text(Fixed::new(std::mem::take(&mut text))), piece]),
                None => text.push_str(&static_text(key)),
            }
            rest = after;
        }
        text.push_str(rest);
        pieces.push(Piece::Text(Fixed::new(text)));
        let kept = |key: &str| escaped(word(key));
        let words = Words {
            site: kept("site"),
            request: kept("request"),
            nojs_needed: kept("nojs_needed"),
            nojs_wait: kept("nojs_wait"),
            nojs_go: kept("nojs_go"),
            name: name.map(|name| format!("<bdi>{name}</bdi> · ")).unwrap_or_default(),
        };
        Prepared { pieces, words }
    }

    fn render(&self, visit: &Visit<'_>) -> String {
        let mut page = String::with_capacity(32 << 10);
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => page.push_str(&part.text),
                Piece::Shared(part) => page.push_str(&part.text),
                Piece::Place(place) => page.push_str(&self.fill(*place, visit)),
            }
        }
        page
    }

    fn render_gzip(&self, visit: &Visit<'_>) -> Vec<u8> {
        let mut page = Gzip::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => page.fixed(part),
                Piece::Shared(part) => page.fixed(part),
                Piece::Place(place) => page.plain(&self.fill(*place, visit)),
            }
        }
        page.finish()
    }

    fn fill(&self, place: Place, visit: &Visit<'_>) -> String {
        let Words { site, request, nojs_needed, nojs_wait, nojs_go, name } = &self.words;
        match (place, visit.wait) {
            (Place::Refresh, None) => String::new(),
            (Place::Refresh, Some(Wait { href, seconds })) => {
                let href = escaped(href);
                format!("<noscript><meta http-equiv=\"refresh\" content=\"{seconds};url={href}\"></noscript>")
            }
            (Place::Without, None) => format!("<noscript><p class=\"notice\">{nojs_needed}</p></noscript>"),
            (Place::Without, Some(Wait { href, seconds })) => {
                let (href, wait) = (escaped(href), nojs_wait.replace("{seconds}", &seconds.to_string()));
                format!(
                    "<noscript>\n<p class=\"notice\">{wait}</p>\n\
                     <p><a class=\"button\" href=\"{href}\">{nojs_go}</a></p>\n</noscript>"
                )
            }
            (Place::Footer, _) => {
                let (value, id) = (escaped(visit.site), escaped(visit.request_id));
                format!(
                    "<span>{site} <b>{name}<bdi>{value}</bdi></b></span> \
                     <span>{request} <code dir=\"ltr\">{id}</code></span>"
                )
            }
            (Place::Challenge, _) => json(&Data {
                challenge: visit.challenge,
                difficulty: visit.difficulty,
                count: super::puzzle::SOLUTIONS,
                rounds: super::puzzle::ROUNDS,
                verify: VERIFY_PATH,
                site: visit.site,
                request_id: visit.request_id,
                cookie: visit.cookie,
                brought: visit.brought,
                now: visit.now.0,
                wait: visit.wait,
            }),
        }
    }
}

/// JSON that may stand in a script element.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests;
