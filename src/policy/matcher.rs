//! Matchers: the `match:` part of a rule, compiled.

use super::compile::Names;
use super::path::PathMatcher;
use super::user_agent::UserAgentMatcher;
use crate::document::{Decode, Diagnostics, Kind, Node, Spanned, choose, unknown_word};
use crate::facts::{Fact, Facts, Identity, Truth};
use crate::network::CidrSet;
use crate::verdict::Class;
use regex::Regex;
use std::sync::Arc;

/// What a rule or class applies to.
#[derive(Debug)]
pub enum Matcher {
    /// Every part holds.
    All(Vec<Matcher>),
    /// At least one part holds.
    Any(Vec<Matcher>),
    /// The part does not hold.
    Not(Box<Matcher>),
    /// One of these sites.
    Site(Vec<String>),
    /// One of these methods.
    Method(Vec<String>),
    /// One of these paths.
    Path(PathMatcher),
    /// One of these user agents.
    UserAgent(UserAgentMatcher),
    /// An address in one of these networks, on a request whose address may prove something.
    Network(Vec<Arc<CidrSet>>),
    /// One of these identities.
    Identity(Vec<Identity>),
    /// One of these classes.
    Class(Vec<Class>),
    /// A header that passes a test.
    Header(String, HeaderTest),
}

/// What a header's value must be.
#[derive(Debug)]
pub enum HeaderTest {
    /// There at all (`true`), or missing (`false`).
    Present(bool),
    /// Exactly this.
    Exact(String),
    /// Something that the expression finds a match in.
    Regex(Regex),
}

impl Matcher {
    /// Whether it holds for `facts` of a client of `class`.
    pub fn matches(&self, facts: &Facts<'_>, class: Class) -> Truth {
        match self {
            Matcher::All(parts) => parts.iter().fold(Truth::True, |truth, part| match truth {
                Truth::False => Truth::False,
                _ => truth.and(part.matches(facts, class)),
            }),
            Matcher::Any(parts) => !parts.iter().fold(Truth::True, |none, part| match none {
                Truth::False => Truth::False,
                _ => none.and(!part.matches(facts, class)),
            }),
            Matcher::Not(part) => !part.matches(facts, class),
            Matcher::Site(sites) => sites.iter().any(|site| site == facts.site).into(),
            Matcher::Method(methods) => methods.iter().any(|method| method == facts.method).into(),
            Matcher::Path(paths) => paths.matches(facts.path).into(),
            Matcher::UserAgent(agents) => match facts.user_agent {
                Fact::Present(agent) => agents.matches(agent).into(),
                Fact::Absent => Truth::False,
                Fact::Unknown => Truth::Undecided,
            },
            Matcher::Network(networks) => {
                (facts.client.trusted && networks.iter().any(|set| set.contains(facts.client.address))).into()
            }
            Matcher::Identity(identities) => identities.contains(&facts.identity).into(),
            Matcher::Class(classes) => classes.contains(&class).into(),
            Matcher::Header(name, test) => match (facts.headers.header(name), test) {
                (Fact::Unknown, _) => Truth::Undecided,
                (Fact::Present(_), HeaderTest::Present(wanted)) => (*wanted).into(),
                (Fact::Absent, HeaderTest::Present(wanted)) => (!*wanted).into(),
                (Fact::Absent, _) => Truth::False,
                (Fact::Present(value), HeaderTest::Exact(wanted)) => (value == wanted).into(),
                (Fact::Present(value), HeaderTest::Regex(regex)) => regex.is_match(value).into(),
            },
        }
    }

    /// Compiles a `match:` mapping. Keys are AND, lists are OR; an empty mapping matches everything.
    pub(super) fn compile(node: &Node, names: &Names<'_>, diagnostics: &mut Diagnostics) -> Option<Matcher> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => return Some(Matcher::All(Vec::new())),
            _ => {
                diagnostics.error(node.position, format!("expected a mapping of matches, found {}", node.describe()));
                return None;
            }
        };
        let mut parts = Vec::with_capacity(entries.len());
        for (key, position, value) in entries {
            let part = match key.as_str() {
                "all" => Matcher::list(value, names, diagnostics).map(Matcher::All),
                "any" => Matcher::list(value, names, diagnostics).map(Matcher::Any),
                "not" => Matcher::compile(value, names, diagnostics).map(|part| Matcher::Not(Box::new(part))),
                "site" => names.sites(value, diagnostics).map(Matcher::Site),
                "method" => Vec::<Method>::decode(value, diagnostics)
                    .map(|methods| Matcher::Method(methods.into_iter().map(|method| method.0).collect())),
                "path" => PathMatcher::compile(value, diagnostics).map(Matcher::Path),
                "user_agent" => UserAgentMatcher::compile(value, names, diagnostics).map(Matcher::UserAgent),
                "network" => names.networks(value, diagnostics).map(Matcher::Network),
                "identity" => Vec::decode(value, diagnostics).map(Matcher::Identity),
                "class" if names.deciding_class => {
                    diagnostics.error(*position, "`class` cannot be matched here: the class is what is being decided");
                    None
                }
                "class" => Vec::decode(value, diagnostics).map(Matcher::Class),
                "header" => Matcher::headers(value, diagnostics),
                _ => {
                    diagnostics.error(*position, unknown_word("match", key, MATCHES.iter().copied()));
                    None
                }
            };
            parts.push(part);
        }
        let mut parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        Some(if parts.len() == 1 { parts.remove(0) } else { Matcher::All(parts) })
    }

    fn list(node: &Node, names: &Names<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Matcher>> {
        let parts: Vec<_> = Vec::<Node>::decode(node, diagnostics)?
            .iter()
            .map(|item| Matcher::compile(item, names, diagnostics))
            .collect();
        if parts.is_empty() {
            diagnostics.error(node.position, "expected at least one match");
        }
        parts.into_iter().collect()
    }

    /// Compiles `header: {name: true | false | text | {regex: ...}}`.
    fn headers(node: &Node, diagnostics: &mut Diagnostics) -> Option<Matcher> {
        let Kind::Map(entries) = &node.kind else {
            diagnostics.error(node.position, format!("expected a mapping of header names, found {}", node.describe()));
            return None;
        };
        let mut parts = Vec::new();
        for (name, position, value) in entries {
            if name.parse::<http::HeaderName>().is_err() {
                diagnostics.error(*position, format!("expected the name of an HTTP header, found `{name}`"));
            }
            let test = match &value.kind {
                Kind::Map(_) => RegexSettings::decode(value, diagnostics).map(|s| HeaderTest::Regex(s.regex.value.0)),
                _ => String::decode(value, diagnostics).map(|text| match text.as_str() {
                    "true" => HeaderTest::Present(true),
                    "false" => HeaderTest::Present(false),
                    _ => HeaderTest::Exact(text),
                }),
            };
            parts.push(test.map(|test| Matcher::Header(name.to_ascii_lowercase(), test)));
        }
        parts.into_iter().collect::<Option<_>>().map(Matcher::All)
    }
}

/// A method that reaches policy: all others are refused before.
#[derive(Clone)]
struct Method(String);

impl Decode for Method {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "method", &[("GET", "GET"), ("HEAD", "HEAD")], diagnostics).map(|word| Method(word.into()))
    }
}

/// The keys of a match.
const MATCHES: [&str; 11] =
    ["all", "any", "not", "site", "method", "path", "user_agent", "network", "identity", "class", "header"];

crate::settings! {
    /// `{regex: ...}`.
    struct RegexSettings {
        /// The expression, found anywhere in the text unless anchored.
        regex: Spanned<RegexText>,
    }
}

/// A regular expression of the `regex` crate's syntax: no look-around, no back-references, linear time.
#[derive(Debug, Clone)]
pub(super) struct RegexText(pub Regex);

impl Decode for RegexText {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = String::decode(node, diagnostics)?;
        match Regex::new(&text) {
            Ok(regex) => Some(RegexText(regex)),
            Err(error) => {
                // The last line of the error says what is wrong; the ones before it draw the place.
                let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                let why = why.strip_prefix("error: ").unwrap_or(&why).to_owned();
                diagnostics.error(node.position, format!("`{text}` is not a regular expression: {why}"));
                None
            }
        }
    }
}
