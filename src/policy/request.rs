//! One request while it is being decided: which atoms hold for it.

use super::atoms::{AtomId, Atoms, Test};
use super::index::{Index, Marks};
use super::matches::Matcher;
use super::networks::Table;
use super::own_doing::is_own_doing;
use super::patterns::PatternScratch;
use super::signals::signals;
use super::when::Running;
use crate::facts::{Fact, Facts, Truth};
use crate::signal::Signals;
use crate::state::State;
use crate::verdict::{Class, Dialect, Mode};
use std::cell::Cell;

/// Memory for a decision, used again for the next one.
#[derive(Debug, Clone)]
pub struct Scratch {
    /// Atoms that were found to hold.
    pub found: Marks,
    /// Sources whose text is unknown.
    pub unknown: Marks,
    /// Lines of the classes section that may hold.
    pub classes: Marks,
    /// Rules that may hold.
    pub rules: Marks,
    patterns: Vec<PatternScratch>,
}

impl Scratch {
    /// Memory for decisions by `atoms` over so many classes and rules.
    pub fn new(atoms: &Atoms, classes: usize, rules: usize) -> Self {
        Scratch {
            found: Marks::new(atoms.all.len()),
            unknown: Marks::new(atoms.sources.len()),
            classes: Marks::new(classes),
            rules: Marks::new(rules),
            patterns: atoms.scratch(),
        }
    }

    /// Finds the atoms that hold for `facts`, and with them the classes and rules that may.
    pub fn search(&mut self, atoms: &Atoms, facts: &Facts<'_>, table: &Table, classes: &Index, rules: &Index) {
        let Scratch { found, unknown, classes: class_marks, rules: rule_marks, patterns } = self;
        for marks in [&mut *found, unknown, class_marks, rule_marks] {
            marks.clear();
        }
        let mut mark = |atom: AtomId| {
            if !found.contains(atom as usize) {
                found.set(atom as usize);
                classes.mark_atom(atom, class_marks);
                rules.mark_atom(atom, rule_marks);
            }
        };
        for atom in atoms.of_request(facts) {
            mark(atom);
        }
        if facts.client.trusted {
            let holds = table.networks(facts.client.address).iter().copied();
            holds.filter_map(|network| atoms.of_network(network)).for_each(&mut mark);
        }
        for (number, (source, texts)) in atoms.sources.iter().enumerate() {
            match source.text(facts) {
                Fact::Present(text) => texts.find(&text, &mut patterns[number], &mut mark),
                Fact::Absent => {}
                Fact::Unknown => unknown.set(number),
            }
        }
        if facts.client.trusted {
            // Undecided, not true: the networks' own test says so.
            for atom in table.unloaded().filter_map(|network| atoms.of_network(network)) {
                classes.mark_atom(atom, class_marks);
                rules.mark_atom(atom, rule_marks);
            }
        }
        let mut source = unknown.next(0);
        while let Some(number) = source {
            classes.mark_source(number, class_marks);
            rules.mark_source(number, rule_marks);
            source = unknown.next(number + 1);
        }
        classes.mark_always(class_marks);
        rules.mark_always(rule_marks);
    }
}

/// One request, and what its evaluation has come to so far.
pub struct Request<'r> {
    facts: &'r Facts<'r>,
    state: &'r dyn State,
    atoms: &'r Atoms,
    table: &'r Table,
    found: &'r Marks,
    unknown: &'r Marks,
    /// The client's class, as far as it is known.
    pub class: Class,
    /// The weight so far.
    pub weight: i64,
    /// The mode of the policy as a whole for this client: an operator may have protection held back.
    pub mode: Mode,
    signals: Cell<Option<Signals>>,
    errors: Cell<u32>,
}

impl<'r> Request<'r> {
    /// Evaluates against what a search found for `facts`.
    pub fn new(
        facts: &'r Facts<'r>,
        state: &'r dyn State,
        atoms: &'r Atoms,
        table: &'r Table,
        found: &'r Marks,
        unknown: &'r Marks,
    ) -> Self {
        Request {
            facts,
            state,
            atoms,
            table,
            found,
            unknown,
            class: Class::Unknown,
            weight: 0,
            mode: Mode::Enforce,
            signals: Cell::new(None),
            errors: Cell::new(0),
        }
    }

    /// The state that it is evaluated against.
    pub fn state(&self) -> &'r dyn State {
        self.state
    }

    /// Where the client's prefix stands in the draw of the hour.
    pub fn sample_point(&self) -> Fact<u64> {
        self.state.sample_point(self.facts.client.prefix, self.facts.now)
    }

    /// Whether it opens a page: not a part of one, and not in advance, which nobody may ever look at.
    pub fn is_navigation(&self) -> bool {
        let header = |name: &str| self.facts.headers.header(name).present();
        let is_early = |name| header(name).is_some_and(|why| why.to_ascii_lowercase().contains("prefetch"));
        self.facts.dialect == Fact::Present(Dialect::Page)
            && !matches!(header("sec-fetch-dest"), Some("iframe" | "frame"))
            && !["sec-purpose", "purpose"].into_iter().any(is_early)
    }

    /// Whether `matcher` holds.
    pub fn holds(&self, matcher: &Matcher) -> Truth {
        match matcher {
            Matcher::All(parts) => parts.iter().fold(Truth::True, |truth, part| match truth {
                Truth::False => Truth::False,
                _ => truth.and(self.holds(part)),
            }),
            Matcher::Any(parts) => !parts.iter().fold(Truth::True, |none, part| match none {
                Truth::False => Truth::False,
                _ => none.and(!self.holds(part)),
            }),
            Matcher::Not(part) => !self.holds(part),
            Matcher::Atom(id) => self.atom(*id),
        }
    }

    fn atom(&self, id: AtomId) -> Truth {
        let facts = self.facts;
        match self.atoms.test(id) {
            Test::Found(source) if self.unknown.contains(*source) => Truth::Undecided,
            Test::Found(_) => self.found.contains(id as usize).into(),
            Test::Network(_) | Test::Country(_) | Test::Asn(_) if !facts.client.trusted => Truth::False,
            Test::Network(network) if !self.found.contains(id as usize) && !self.table.is_loaded(*network) => {
                Truth::Undecided
            }
            Test::Network(_) => self.found.contains(id as usize).into(),
            Test::Site(site) => (site == facts.site).into(),
            Test::Method(method) => (*method == facts.method).into(),
            Test::Identity(identity) => (*identity == facts.identity).into(),
            Test::ClientName(wanted) => truth(facts.client_name, |name| name == wanted),
            Test::Class(class) => (*class == self.class).into(),
            Test::Present(source) => match source.text(facts) {
                Fact::Present(_) => Truth::True,
                Fact::Absent => Truth::False,
                Fact::Unknown => Truth::Undecided,
            },
            Test::Verified => self.verified(),
            Test::Signals { wanted, at_least } => {
                let (present, unknown) = self.signals().count(*wanted);
                match (present >= *at_least, present + unknown >= *at_least) {
                    (true, _) => Truth::True,
                    (false, true) => Truth::Undecided,
                    (false, false) => Truth::False,
                }
            }
            Test::Country(code) => truth(self.state.country(facts.client.address), |country| country == *code),
            Test::Asn(number) => truth(self.state.asn(facts.client.address), |system| system == *number),
            Test::Time(window) => window.contains(facts.now).into(),
            Test::Load { over, span } => truth(self.state.load(), |load| span.contains(load[*over])),
            Test::Strikes(span) => {
                truth(self.state.strikes(facts.client.prefix, facts.now), |strikes| span.contains(strikes))
            }
            Test::Suspicion(span) => truth(suspicion(facts, self.state), |suspicion| span.contains(suspicion)),
            Test::Listed(zone) => truth(self.state.is_listed(zone, facts.client.address), |listed| listed),
            Test::When(when) => {
                let running =
                    Running { class: self.class, weight: self.weight, signals: self.signals(), state: self.state };
                when.evaluate(facts, &running).unwrap_or_else(|_| {
                    self.errors.set(self.errors.get() + 1);
                    Truth::False
                })
            }
            Test::Weight(span) => span.contains(self.weight).into(),
        }
    }

    /// Whether the User-Agent names a crawler whose address this is.
    fn verified(&self) -> Truth {
        let address = self.facts.client.address;
        let named = self.atoms.crawlers.iter().map(|crawler| {
            let name = self.atom(crawler.atom);
            if name == Truth::False || !self.facts.client.trusted {
                return Truth::False;
            }
            if crawler.networks.contains(address) {
                return name;
            }
            if crawler.domains.is_empty() {
                return Truth::False;
            }
            name.and(truth(self.state.has_name_in(&crawler.domains, address), |confirmed| confirmed))
        });
        !named.fold(Truth::True, |none, crawler| none.and(!crawler))
    }

    /// The signals of the request, read when they are first asked for.
    pub fn signals(&self) -> Signals {
        self.signals.get().unwrap_or_else(|| {
            let read = signals(self.facts, self.state);
            self.signals.set(Some(read));
            read
        })
    }

    /// The signals, if something has asked for them.
    pub fn signals_read(&self) -> Option<Signals> {
        self.signals.get()
    }

    /// Whether the client's pass was bought with a challenge of this difficulty, or a harder one.
    pub fn is_paid(&self, difficulty: u32) -> bool {
        self.facts.pass.is_some_and(|paid| paid >= difficulty)
    }

    /// Whether the request is the client's own doing, so that it may be held against it.
    pub fn is_own_doing(&self) -> bool {
        is_own_doing(self.facts)
    }

    /// How many expressions could not be evaluated so far.
    pub fn errors(&self) -> u32 {
        self.errors.get()
    }

    /// The parts of a matcher, each with whether it holds, for people to read.
    pub fn explain(&self, matcher: &Matcher) -> Reason {
        let (text, parts): (String, &[Matcher]) = match matcher {
            Matcher::All(parts) => ("all".into(), parts),
            Matcher::Any(parts) => ("any".into(), parts),
            Matcher::Not(part) => ("not".into(), std::slice::from_ref(part)),
            Matcher::Atom(id) => (self.atoms.all[*id as usize].text.clone(), &[]),
        };
        Reason { text, truth: self.holds(matcher), parts: parts.iter().map(|part| self.explain(part)).collect() }
    }
}

fn truth<T>(fact: Fact<T>, holds: impl FnOnce(T) -> bool) -> Truth {
    match fact {
        Fact::Present(value) => holds(value).into(),
        Fact::Absent => Truth::False,
        Fact::Unknown => Truth::Undecided,
    }
}

/// Why a matcher holds or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The test as it is written in policies, or `all`, `any`, `not`.
    pub text: String,
    /// Whether it holds.
    pub truth: Truth,
    /// What it is made of.
    pub parts: Vec<Reason>,
}
/// How suspicious the client is. One whose User-Agent is not known cannot be told from its neighbours.
pub(super) fn suspicion(facts: &Facts<'_>, state: &dyn State) -> Fact<f64> {
    match facts.user_agent {
        Fact::Unknown => Fact::Unknown,
        known => state.suspicion(facts.client.prefix, known.present().unwrap_or_default(), facts.now),
    }
}
