//! Atoms: the single tests that matches are made of. Equal tests are one atom, however many rules use them.

use super::networks::NetworkId;
use super::patterns::{self, PatternScratch, Patterns};
use super::when::When;
use super::window::Window;
use crate::facts::{Fact, Facts, Identity, Truth};
use crate::network::CidrSet;
use crate::path::form_decoded;
use crate::record::Text;
use crate::verdict::Class;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeBounds;

/// The index of an atom.
pub type AtomId = u32;
/// The index of a text that patterns are looked for in.
pub type SourceId = usize;

/// A text of a request that patterns are looked for in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The canonical path.
    Path,
    /// The User-Agent.
    UserAgent,
    /// The host that is addressed.
    Host,
    /// The JA4 fingerprint of the client's TLS.
    Ja4,
    /// The value of a header.
    Header(String),
    /// The value of a query parameter, decoded as a form.
    Query(String),
}

impl Source {
    /// The text, where the request has it.
    pub fn text<'f>(&self, facts: &Facts<'f>) -> Fact<Cow<'f, str>> {
        let text = match self {
            Source::Path => Fact::Present(facts.path),
            Source::UserAgent => facts.user_agent,
            Source::Host => facts.host,
            Source::Ja4 => facts.ja4,
            Source::Header(name) => facts.headers.header(name),
            Source::Query(name) => return parameter(facts, name),
        };
        text.map(Cow::Borrowed)
    }

    /// Whether the request has it. That may be on record though the text is withheld.
    pub fn is_there(&self, facts: &Facts<'_>) -> Truth {
        let recorded = || facts.headers.recorded().map(|recollection| recollection.facts);
        let is_withheld = || match self {
            Source::Header(name) => recorded().is_some_and(|facts| facts.headers.get(name) == Some(&Text::Withheld)),
            Source::Query(name) => recorded().is_some_and(|facts| facts.query.get(name) == Some(&Text::Withheld)),
            _ => false,
        };
        match self.text(facts) {
            Fact::Present(_) => Truth::True,
            Fact::Absent => Truth::False,
            Fact::Unknown if is_withheld() => Truth::True,
            Fact::Unknown => Truth::Undecided,
        }
    }
}

/// The first value of a query parameter, as `when` sees it, too.
fn parameter<'f>(facts: &Facts<'f>, name: &str) -> Fact<Cow<'f, str>> {
    match facts.query {
        Fact::Present(query) => {
            let pairs = query.split('&').filter(|pair| !pair.is_empty());
            let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.find(|(key, _)| form_decoded(key) == name).map(|(_, value)| form_decoded(value)).into()
        }
        Fact::Absent => Fact::Absent,
        Fact::Unknown => match facts.headers.recorded() {
            Some(recollection) => recollection.facts.parameter(name).map(Cow::Borrowed),
            None => Fact::Unknown,
        },
    }
}

/// Where a number must lie: at least this much, and below that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span<T> {
    /// The least number in it.
    pub at_least: Option<T>,
    /// The least number above it.
    pub below: Option<T>,
}

impl<T: PartialOrd + Copy> Span<T> {
    /// Whether `number` lies in it.
    pub fn contains(&self, number: T) -> bool {
        let low = self.at_least.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        let high = self.below.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        (low, high).contains(&number)
    }
}

/// One test.
#[derive(Debug)]
pub enum Test {
    /// A pattern is found in the text of this source.
    Found(SourceId),
    /// The address is in this network, on a request whose address may prove something.
    Network(NetworkId),
    /// The site has this name.
    Site(String),
    /// The method is this one.
    Method(&'static str),
    /// The client proved itself in this way.
    Identity(Identity),
    /// The client proved to be the one of this name.
    ClientName(String),
    /// The client is of this class.
    Class(Class),
    /// The source is there, whatever its text.
    Present(Source),
    /// The User-Agent names a crawler, and the address is that crawler's.
    Verified,
    /// At least so many signals of a mask are there.
    Signals {
        /// `1 << signal as u16` for each of them.
        wanted: u16,
        /// How many.
        at_least: u32,
    },
    /// The address is in this country.
    Country([u8; 2]),
    /// The address belongs to this autonomous system.
    Asn(u32),
    /// The time is in this window.
    Time(Window),
    /// A load average lies in a span.
    Load {
        /// Index of the average: over 1, 5 or 15 minutes.
        over: usize,
        /// Where it must lie.
        span: Span<f64>,
    },
    /// The strikes of the client's prefix lie in this span.
    Strikes(Span<f64>),
    /// The suspicion of the client lies in this span.
    Suspicion(Span<f64>),
    /// A DNS block list has the address.
    Listed(String),
    /// An expression holds.
    When(Box<When>),
    /// The weight so far lies in this span.
    Weight(Span<i64>),
}

/// One test with its words.
#[derive(Debug)]
pub struct Atom {
    /// What is tested.
    pub test: Test,
    /// The test as it is written in policies, e.g. `path: /a/*`.
    pub text: String,
}

/// A crawler that can be told from those who pose as it.
#[derive(Debug)]
pub struct Crawler {
    /// The atom that finds its name in the User-Agent.
    pub atom: AtomId,
    /// Domains that its addresses resolve to, and back.
    pub domains: Vec<String>,
    /// Addresses that its operator publishes.
    pub networks: CidrSet,
}

/// What is collected while matches are compiled.
#[derive(Debug, Default)]
pub struct Builder {
    atoms: Vec<Atom>,
    by_text: HashMap<String, AtomId>,
    sources: Vec<(Source, patterns::Builder)>,
    crawlers: Vec<Crawler>,
}

impl Builder {
    /// The atom with these words, made by `test` unless it exists.
    pub fn atom(&mut self, text: String, test: impl FnOnce(&mut Self, AtomId) -> Test) -> AtomId {
        if let Some(id) = self.by_text.get(&text) {
            return *id;
        }
        let id = AtomId::try_from(self.atoms.len()).unwrap_or(AtomId::MAX);
        self.by_text.insert(text.clone(), id);
        // Its place is taken first: the test may make atoms of its own.
        self.atoms.push(Atom { test: Test::Verified, text });
        self.atoms[id as usize].test = test(self, id);
        id
    }

    /// The patterns that are looked for in `source`.
    pub fn patterns(&mut self, source: Source) -> (SourceId, &mut patterns::Builder) {
        let id = self.sources.iter().position(|(known, _)| *known == source).unwrap_or_else(|| {
            self.sources.push((source, patterns::Builder::default()));
            self.sources.len() - 1
        });
        (id, &mut self.sources[id].1)
    }

    /// Adds a crawler.
    pub fn crawler(&mut self, crawler: Crawler) {
        if !self.crawlers.iter().any(|known| known.atom == crawler.atom) {
            self.crawlers.push(crawler);
        }
    }

    /// The test of an atom.
    pub fn test(&self, id: AtomId) -> &Test {
        &self.atoms[id as usize].test
    }

    /// The words of an atom.
    pub fn text(&self, id: AtomId) -> &str {
        &self.atoms[id as usize].text
    }

    /// Compiles all patterns. `networks` is how many networks there are.
    ///
    /// # Errors
    /// When the automata would be too large.
    pub fn build(self, networks: usize) -> Result<Atoms, String> {
        let mut sources = Vec::with_capacity(self.sources.len());
        for (source, patterns) in self.sources {
            let ascii = !matches!(source, Source::Path | Source::Query(_));
            sources.push((source, patterns.build(ascii)?));
        }
        let mut atoms = Atoms { sources, crawlers: self.crawlers, ..Atoms::default() };
        atoms.networks.resize(networks, None);
        for (id, atom) in self.atoms.iter().enumerate() {
            let id = AtomId::try_from(id).unwrap_or(AtomId::MAX);
            match &atom.test {
                Test::Network(network) => atoms.networks[*network] = Some(id),
                Test::Site(site) => drop(atoms.sites.insert(site.clone(), id)),
                Test::Method(method) => atoms.methods.push((method, id)),
                Test::Identity(identity) => {
                    atoms.identities[*identity as usize] = Some(id);
                    atoms.ask_for_identity = true;
                }
                Test::When(when) => atoms.ask_for_identity |= when.reads("identity"),
                Test::Class(class) => atoms.classes[*class as usize] = Some(id),
                _ => {}
            }
        }
        atoms.all = self.atoms;
        Ok(atoms)
    }
}

/// All atoms of a policy, and how to find those that hold.
#[derive(Debug, Default)]
pub struct Atoms {
    /// Every atom by its id.
    pub all: Vec<Atom>,
    /// Texts with the patterns that are looked for in them.
    pub sources: Vec<(Source, Patterns)>,
    /// Crawlers that can be verified.
    pub crawlers: Vec<Crawler>,
    /// Whether some of them depend on how the client proved itself.
    pub ask_for_identity: bool,
    networks: Vec<Option<AtomId>>,
    sites: HashMap<String, AtomId>,
    methods: Vec<(&'static str, AtomId)>,
    identities: [Option<AtomId>; Identity::WORDS.len()],
    classes: [Option<AtomId>; Class::WORDS.len()],
}

impl Atoms {
    /// The test of an atom.
    pub fn test(&self, id: AtomId) -> &Test {
        &self.all[id as usize].test
    }

    /// The atom that tests for a network.
    pub fn of_network(&self, network: NetworkId) -> Option<AtomId> {
        self.networks.get(network).copied().flatten()
    }

    /// The atom that tests for a class.
    pub fn of_class(&self, class: Class) -> Option<AtomId> {
        self.classes[class as usize]
    }

    /// The atoms for the site, method and identity of a request.
    pub fn of_request(&self, facts: &Facts<'_>) -> impl Iterator<Item = AtomId> {
        let site = if self.sites.is_empty() { None } else { self.sites.get(facts.site).copied() };
        let method = self.methods.iter().find(|(method, _)| *method == facts.method).map(|(_, id)| *id);
        [site, method, self.identities[facts.identity as usize]].into_iter().flatten()
    }

    /// Memory for searches in each source.
    pub fn scratch(&self) -> Vec<PatternScratch> {
        self.sources.iter().map(|(_, patterns)| patterns.scratch()).collect()
    }
}
