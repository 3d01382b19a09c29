//! The `match:` part of a rule or class: from YAML to a tree of atoms.

use super::atoms::{AtomId, Builder, Source, Span, Test};
use super::names::Names;
use super::settings::{LoadSettings, SignalSettings, StrikesSettings, SuspicionSettings, faultless, span_from_zero};
use super::when::{When, WhenError};
use super::window::Window;
use crate::document::{Decode, Diagnostics, Kind, Node, Position, choose, unknown_word};
use crate::facts::Identity;
use crate::network::Cidr;
use crate::signal::Signal;
use crate::state::MOST_STRIKES;
use crate::verdict::Class;

/// What a rule or class applies to.
#[derive(Debug, Clone, PartialEq)]
pub enum Matcher {
    /// Every part holds.
    All(Vec<Matcher>),
    /// At least one part holds.
    Any(Vec<Matcher>),
    /// The part does not hold.
    Not(Box<Matcher>),
    /// The atom holds.
    Atom(AtomId),
}

/// The keys of a match.
pub const MATCHES: [&str; 27] = [
    "all",
    "any",
    "not",
    "site",
    "host",
    "method",
    "path",
    "query",
    "header",
    "user_agent",
    "ja4",
    "verified",
    "network",
    "prefix",
    "identity",
    "client",
    "class",
    "signals",
    "country",
    "asn",
    "time",
    "load",
    "strikes",
    "suspicion",
    "dnsbl",
    "when",
    "weight",
];

/// What a match is compiled with.
pub struct Compiler<'c> {
    /// The names that it may refer to.
    pub names: &'c Names,
    /// Where its atoms are collected.
    pub atoms: &'c mut Builder,
    /// Where its mistakes are collected.
    pub diagnostics: &'c mut Diagnostics,
    /// Whether it belongs to the `classes` section, where no class is known yet.
    pub deciding_class: bool,
}

impl Compiler<'_> {
    /// Compiles a `match:` mapping. Keys are AND, lists are OR; an empty mapping matches everything.
    pub fn matcher(&mut self, node: &Node) -> Option<Matcher> {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => return self.fail(node.position, "there is no match here: is the next line indented?"),
            _ => return self.fail(node.position, format!("expected a mapping of matches, found {}", node.describe())),
        };
        let parts: Vec<_> = entries.iter().map(|(key, position, value)| self.part(key, *position, value)).collect();
        let mut parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        Some(if parts.len() == 1 { parts.remove(0) } else { Matcher::All(parts) })
    }

    pub(super) fn fail<T>(&mut self, position: Position, message: impl Into<String>) -> Option<T> {
        self.diagnostics.error(position, message);
        None
    }

    /// One key with its value. What holds for nobody, or for everybody, is a slip more often than meant.
    fn part(&mut self, key: &str, position: Position, value: &Node) -> Option<Matcher> {
        if matches!(value.kind, Kind::Null) && MATCHES.contains(&key) && key != "weight" {
            let wanted = if matches!(key, "all" | "any" | "not") { "match" } else { "value" };
            return self.fail(position, format!("`{key}` needs a {wanted}: is the next line indented?"));
        }
        let before = self.diagnostics.error_count();
        let matcher = self.keyed(key, position, value)?;
        let never = match &matcher {
            Matcher::Any(parts) => parts.is_empty(),
            Matcher::Not(part) => key == "not" && **part == Matcher::All(Vec::new()),
            _ => false,
        };
        let always = matches!(key, "query" | "header") && matcher == Matcher::All(Vec::new());
        if (never || always) && self.diagnostics.error_count() == before {
            let what = if matches!(value.kind, Kind::List(_)) { "the list is empty" } else { "nothing is in it" };
            let truth = if never { "never" } else { "always" };
            self.diagnostics.warn(value.position, format!("this {truth} matches: {what}"));
        }
        Some(matcher)
    }

    fn keyed(&mut self, key: &str, position: Position, value: &Node) -> Option<Matcher> {
        match key {
            "all" => self.matchers(value).map(Matcher::All),
            "any" => self.matchers(value).map(Matcher::Any),
            "not" => self.matcher(value).map(|part| Matcher::Not(Box::new(part))),
            "site" => {
                let sites = self.names.sites(value, self.diagnostics)?;
                self.any(sites, |site| (format!("site: {site}"), Test::Site(site)))
            }
            "host" => self.each(value, Self::host),
            "method" => {
                let methods = Vec::<Node>::decode(value, self.diagnostics)?;
                let words = [("GET", "GET"), ("HEAD", "HEAD")];
                let methods: Option<Vec<_>> =
                    methods.iter().map(|node| choose(node, "method", &words, self.diagnostics)).collect();
                self.any(methods?, |method| (format!("method: {method}"), Test::Method(method)))
            }
            "path" => self.each(value, Self::path),
            "query" => self.values(value, "query", "query parameters", Source::Query),
            "header" => self.values(value, "header", "header names", Source::Header),
            "user_agent" => self.each(value, Self::user_agent),
            "ja4" => self.each(value, Self::ja4),
            "verified" => {
                self.names.crawlers(self.atoms);
                let verified = Matcher::Atom(self.atoms.atom("verified: true".into(), |_, _| Test::Verified));
                let wanted = bool::decode(value, self.diagnostics)?;
                Some(if wanted { verified } else { Matcher::Not(Box::new(verified)) })
            }
            "network" => {
                let networks = self.names.networks(value, self.diagnostics)?;
                self.any(networks, |(name, id)| (format!("network: {name}"), Test::Network(id)))
            }
            "prefix" => {
                let blocks = Vec::<Cidr>::decode(value, self.diagnostics)?;
                let blocks: Vec<_> = blocks.into_iter().map(|Cidr(block)| (block, self.names.inline(block))).collect();
                self.any(blocks, |(block, id)| (format!("prefix: {block}"), Test::Network(id)))
            }
            "identity" => {
                let identities = Vec::<Identity>::decode(value, self.diagnostics)?;
                self.any(identities, |identity| (format!("identity: {}", identity.word()), Test::Identity(identity)))
            }
            "client" => {
                let clients = self.names.clients(value, self.diagnostics)?;
                self.any(clients, |client| (format!("client: {client}"), Test::ClientName(client)))
            }
            "class" if self.deciding_class => {
                self.fail(position, "`class` cannot be matched here: the class is what is being decided")
            }
            "class" => {
                let classes = Vec::<Class>::decode(value, self.diagnostics)?;
                self.any(classes, |class| (format!("class: {}", class.word()), Test::Class(class)))
            }
            "signals" => self.signals(value),
            "country" => {
                self.names.needs_geoip("country", position, self.diagnostics);
                let countries = Vec::<Node>::decode(value, self.diagnostics)?;
                let countries: Option<Vec<_>> = countries.iter().map(|node| self.country(node)).collect();
                self.any(countries?, |code| {
                    (format!("country: {}", String::from_utf8_lossy(&code)), Test::Country(code))
                })
            }
            "asn" => {
                self.names.needs_geoip("asn", position, self.diagnostics);
                let numbers = Vec::<u32>::decode(value, self.diagnostics)?;
                self.any(numbers, |number| (format!("asn: {number}"), Test::Asn(number)))
            }
            "time" => {
                let window = Window::decode(value, self.diagnostics)?;
                Some(self.one(format!("time: {}", value.compact()), Test::Time(window)))
            }
            "load" => {
                let settings = faultless::<LoadSettings>(value, self.diagnostics)?;
                let over = settings.over.map_or(0, |over| over.0);
                let span = span_from_zero(settings.at_least, settings.below, value.position, self.diagnostics)?;
                let test = Test::Load { over, span };
                Some(self.one(format!("load: {}", value.compact()), test))
            }
            "strikes" => {
                let settings = faultless::<StrikesSettings>(value, self.diagnostics)?;
                let span = span_from_zero(settings.at_least, settings.below, value.position, self.diagnostics)?;
                if settings.at_least.is_some_and(|least| least > MOST_STRIKES) {
                    let message = format!("this never matches: a record holds at most {MOST_STRIKES} strikes");
                    self.diagnostics.warn(value.position, message);
                }
                Some(self.one(format!("strikes: {}", value.compact()), Test::Strikes(span)))
            }
            "suspicion" => {
                let settings = faultless::<SuspicionSettings>(value, self.diagnostics)?;
                for bound in [settings.at_least, settings.below].into_iter().flatten() {
                    if !(0.0..=1.0).contains(&bound) {
                        return self.fail(value.position, format!("suspicion is from 0 to 1, not `{bound}`"));
                    }
                }
                let span = span_from_zero(settings.at_least, settings.below, value.position, self.diagnostics)?;
                Some(self.one(format!("suspicion: {}", value.compact()), Test::Suspicion(span)))
            }
            "dnsbl" => {
                let zones = Vec::<Node>::decode(value, self.diagnostics)?;
                let zones: Option<Vec<_>> = zones.iter().map(|node| self.zone(node)).collect();
                self.any(zones?, |zone| (format!("dnsbl: {zone}"), Test::Listed(zone)))
            }
            "when" => self.each(value, Self::when),
            "weight" => self.fail(position, "`weight` belongs to the `thresholds` section"),
            _ => self.fail(position, unknown_word("match", key, MATCHES.iter().copied())),
        }
    }

    pub(super) fn one(&mut self, text: String, test: Test) -> Matcher {
        Matcher::Atom(self.atoms.atom(text, |_, _| test))
    }

    /// At least one of several tests.
    fn any<T>(&mut self, items: Vec<T>, test: impl Fn(T) -> (String, Test)) -> Option<Matcher> {
        let mut parts: Vec<Matcher> = items
            .into_iter()
            .map(|item| {
                let (text, test) = test(item);
                self.one(text, test)
            })
            .collect();
        Some(if parts.len() == 1 { parts.remove(0) } else { Matcher::Any(parts) })
    }

    /// At least one of a value's items.
    fn each(&mut self, node: &Node, compile: fn(&mut Self, &Node) -> Option<Vec<Matcher>>) -> Option<Matcher> {
        let items = Vec::<Node>::decode(node, self.diagnostics)?;
        let parts: Vec<_> = items.iter().map(|item| compile(self, item)).collect();
        let mut parts: Vec<Matcher> = parts.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
        Some(if parts.len() == 1 { parts.remove(0) } else { Matcher::Any(parts) })
    }

    fn matchers(&mut self, node: &Node) -> Option<Vec<Matcher>> {
        let items = Vec::<Node>::decode(node, self.diagnostics)?;
        if items.is_empty() {
            self.diagnostics.error(node.position, "expected at least one match");
        }
        let parts: Vec<_> = items.iter().map(|item| self.matcher(item)).collect();
        parts.into_iter().collect()
    }

    /// Words, of which one is enough, or how many are needed.
    fn signals(&mut self, node: &Node) -> Option<Matcher> {
        let (words, at_least) = match node.kind {
            Kind::Map(_) => {
                let settings = faultless::<SignalSettings>(node, self.diagnostics)?;
                (settings.of.map(|of| of.0), settings.at_least.get())
            }
            _ => (Some(Vec::<Signal>::decode(node, self.diagnostics)?), 1),
        };
        if words.as_ref().is_some_and(Vec::is_empty) {
            return Some(Matcher::Any(Vec::new()));
        }
        let wanted = words.map_or(u16::MAX, |words| words.iter().fold(0, |mask, signal| mask | 1 << *signal as u16));
        if at_least > wanted.count_ones().min(u32::try_from(Signal::WORDS.len()).unwrap_or(u32::MAX)) {
            return self.fail(node.position, format!("there are never `{at_least}` of these signals"));
        }
        Some(self.one(format!("signals: {}", node.compact()), Test::Signals { wanted, at_least }))
    }

    fn country(&mut self, node: &Node) -> Option<[u8; 2]> {
        let code = String::decode(node, self.diagnostics)?;
        match <[u8; 2]>::try_from(code.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Some(code),
            _ => self.fail(node.position, format!("expected a country code such as `BR`, found {}", node.describe())),
        }
    }

    fn zone(&mut self, node: &Node) -> Option<String> {
        let zone = String::decode(node, self.diagnostics)?.trim_end_matches('.').to_ascii_lowercase();
        let labels = zone
            .split('.')
            .all(|l| (1..64).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        match labels && zone.contains('.') && zone.len() < 180 {
            true => Some(zone),
            false => self.fail(
                node.position,
                format!("expected a DNS zone such as `bl.example.org`, found {}", node.describe()),
            ),
        }
    }

    fn when(&mut self, node: &Node) -> Option<Vec<Matcher>> {
        let text = String::decode(node, self.diagnostics)?;
        if self.diagnostics.is_over() {
            return self.fail(node.position, "it took too long to read the expressions before this one");
        }
        match When::compile(&text) {
            Ok(when) if self.deciding_class && when.reads("class") => {
                self.fail(node.position, "`class` cannot be read here: the class is what is being decided")
            }
            Ok(when) => {
                for key in ["country", "asn"].into_iter().filter(|key| when.reads(key)) {
                    self.names.needs_geoip(key, node.position, self.diagnostics);
                }
                Some(vec![self.one(format!("when: {}", text.trim()), Test::When(Box::new(when)))])
            }
            // A block (`when: |`) keeps its lines, all of them indented as the first one, where it begins.
            Err(WhenError { message, offset: Some((line, column)) }) if text.contains('\n') => {
                let Position { line: first, column: indented } = node.position;
                let position = Position { line: first + line - 1, column: indented + column - 1 };
                self.fail(position, format!("`when`: {message}"))
            }
            Err(error) => self.fail(node.position, format!("`when`: {}", error.message)),
        }
    }
}

/// A span of weights as a matcher, for thresholds.
pub fn weight(span: Span<i64>, text: String, atoms: &mut Builder) -> Matcher {
    Matcher::Atom(atoms.atom(text, |_, _| Test::Weight(span)))
}
