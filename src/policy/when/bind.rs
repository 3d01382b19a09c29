//! From facts to variables: only the ones that an expression reads, texts borrowed from the request.

use super::Running;
use super::check::{Names, Reads};
use super::functions::Pattern;
use super::shape::Kind;
use super::table::Table;
use crate::facts::{Fact, Facts, Headers};
use crate::path::form_decoded;
use crate::policy::request::suspicion;
use crate::record::RecordedFacts;
use crate::signal::{Signal, Signals};
use cel::common::types::{CelDouble, CelInt, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use std::borrow::Cow;

/// The variables of the language, with their types.
pub(super) const VARIABLES: [(&str, Kind); 23] = [
    ("site", Kind::Text),
    ("host", Kind::Text),
    ("method", Kind::Text),
    ("path", Kind::Text),
    ("user_agent", Kind::Text),
    ("ja4", Kind::Text),
    ("address", Kind::Text),
    ("prefix", Kind::Text),
    ("identity", Kind::Text),
    ("client", Kind::Text),
    ("class", Kind::Text),
    ("country", Kind::Text),
    ("query", Kind::Table("query")),
    ("headers", Kind::Table("headers")),
    ("signals", Kind::Table("signals")),
    ("weight", Kind::Int),
    ("asn", Kind::Int),
    ("content_length", Kind::Int),
    ("strikes", Kind::Double),
    ("suspicion", Kind::Double),
    ("load_1m", Kind::Double),
    ("load_5m", Kind::Double),
    ("load_15m", Kind::Double),
];

/// The variables of one evaluation.
pub(super) struct Bindings<'a> {
    values: Vec<(&'static str, Box<dyn Val + 'a>)>,
    patterns: &'a [Pattern],
    /// Whether something that the expression reads is unknown. What is unknown as a whole is bound to nothing.
    pub unknown: bool,
    /// Whether a table that the expression reads did not take all that the request has.
    pub overfull: bool,
}

impl<'a> Bindings<'a> {
    /// Binds what is read.
    pub fn new(reads: &Reads, patterns: &'a [Pattern], facts: &Facts<'a>, running: &Running<'_>) -> Self {
        let mut bindings =
            Bindings { values: Vec::with_capacity(reads.variables.len()), patterns, unknown: false, overfull: false };
        for name in &reads.variables {
            bindings.bind(name, reads, facts, running);
        }
        bindings
    }

    fn bind(&mut self, name: &'static str, reads: &Reads, facts: &Facts<'a>, running: &Running<'_>) {
        let client = facts.client;
        let load = |index: usize| running.state.load().map(|load| load[index]);
        match name {
            "site" => self.text(name, Fact::Present(facts.site.into())),
            "host" => self.text(name, facts.host.map(Cow::Borrowed)),
            "method" => self.text(name, Fact::Present(facts.method.into())),
            "path" => self.text(name, Fact::Present(facts.path.into())),
            "user_agent" => self.text(name, facts.user_agent.map(Cow::Borrowed)),
            "ja4" => self.text(name, facts.ja4.map(Cow::Borrowed)),
            "identity" => self.text(name, Fact::Present(facts.identity.word().into())),
            "client" => self.text(name, facts.client_name.map(Cow::Borrowed)),
            "class" => self.text(name, Fact::Present(running.class.word().into())),
            // An address that proves nothing is in no network, country or autonomous system.
            "address" => self.text(name, client.trusted.then(|| client.address.to_string().into()).into()),
            "prefix" => self.text(name, client.trusted.then(|| client.prefix.to_string().into()).into()),
            "country" => {
                let country = if client.trusted { running.state.country(client.address) } else { Fact::Absent };
                self.text(name, country.map(|code| String::from_utf8_lossy(&code).into_owned().into()));
            }
            "asn" => {
                let asn = if client.trusted { running.state.asn(client.address) } else { Fact::Absent };
                self.int(name, asn.map(i64::from));
            }
            "weight" => self.int(name, Fact::Present(running.weight)),
            "content_length" => {
                let length = facts.headers.header("content-length");
                self.int(name, length.map(|text| text.trim().parse().unwrap_or_default()));
            }
            "strikes" => self.double(name, running.state.strikes(client.prefix, facts.now)),
            "suspicion" => self.double(name, suspicion(facts, running.state)),
            "load_1m" => self.double(name, load(0)),
            "load_5m" => self.double(name, load(1)),
            "load_15m" => self.double(name, load(2)),
            "headers" => self.table(name, headers(facts.headers, &reads.headers)),
            "query" => match facts.query {
                Fact::Unknown => match facts.headers.recorded() {
                    Some(recollection) => self.table(name, recorded_query(recollection.facts, &reads.query)),
                    None => self.unknown = true,
                },
                known => self.table(name, query(known.present().unwrap_or_default(), &reads.query)),
            },
            "signals" => self.table(name, signals(running.signals)),
            _ => {}
        }
    }

    /// Binds a text; an absent one is empty.
    fn text(&mut self, name: &'static str, fact: Fact<Cow<'a, str>>) {
        self.scalar(name, fact.map(CelString::from), || CelString::from(""));
    }

    fn int(&mut self, name: &'static str, fact: Fact<i64>) {
        self.scalar(name, fact.map(CelInt::from), || CelInt::from(0));
    }

    fn double(&mut self, name: &'static str, fact: Fact<f64>) {
        self.scalar(name, fact.map(CelDouble::from), || CelDouble::from(0.0));
    }

    fn scalar<T: Val + 'a>(&mut self, name: &'static str, fact: Fact<T>, absent: impl FnOnce() -> T) {
        match fact {
            Fact::Present(value) => self.values.push((name, Box::new(value))),
            Fact::Absent => self.values.push((name, Box::new(absent()))),
            Fact::Unknown => self.unknown = true,
        }
    }

    fn table(&mut self, name: &'static str, table: Table<'a>) {
        self.unknown |= table.has_gaps();
        self.overfull |= table.is_overfull();
        self.values.push((name, Box::new(table)));
    }
}

impl VariableResolver for Bindings<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = variable.strip_prefix('@') {
            let pattern = self.patterns.get(index.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(pattern));
        }
        let (_, value) = self.values.iter().find(|(name, _)| *name == variable)?;
        Some(CowVal::Borrowed(value.as_ref()))
    }
}

/// The headers that are read: several values of one joined by a comma, as RFC 9110, section 5.3, allows.
fn headers<'a>(headers: &'a dyn Headers, wanted: &Names) -> Table<'a> {
    let mut table = Table::headers();
    let header = |name: &String| (CelString::from(name.clone()), headers.header(name).map(CelString::from));
    if wanted.all {
        let whole = headers.each(&mut |name, value| {
            if let Some(slot) = table.entry(CelString::from(name.to_owned())) {
                join(slot, value);
            }
        });
        if !whole {
            table.leave_unknown();
        }
        let others: Vec<_> = wanted.some.iter().filter(|name| !table.knows(name)).map(header).collect();
        others.into_iter().for_each(|(name, value)| table.put(name, value));
    } else {
        wanted.some.iter().map(header).for_each(|(name, value)| table.put(name, value));
        let mut seen = vec![false; wanted.some.len()];
        headers.each(&mut |name, value| {
            let Some(index) = wanted.some.iter().position(|wanted| wanted == name) else { return };
            // The first value is there already, borrowed.
            if std::mem::replace(&mut seen[index], true)
                && let Some(slot) = table.entry(CelString::from(name.to_owned()))
            {
                join(slot, value);
            }
        });
    }
    table
}

fn join(slot: &mut Fact<CelString<'_>>, value: &str) {
    let text = match std::mem::replace(slot, Fact::Absent) {
        Fact::Present(first) => {
            let mut text = first.into_inner();
            text.push_str(", ");
            text.push_str(value);
            text
        }
        Fact::Absent | Fact::Unknown => value.to_owned(),
    };
    *slot = Fact::Present(CelString::from(text));
}

/// The parameters that are read, of a query as forms write it. Of several with one name the first counts.
fn query<'a>(raw: &'a str, wanted: &Names) -> Table<'a> {
    let mut table = Table::query();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = form_decoded(name);
        if !wanted.all && !wanted.some.iter().any(|wanted| *wanted == name) {
            continue;
        }
        let Some(slot) = table.entry(CelString::from(name)) else { break };
        if *slot == Fact::Absent {
            *slot = Fact::Present(CelString::from(form_decoded(value)));
        }
    }
    table
}

/// The same of what is on record.
fn recorded_query<'a>(recorded: &'a RecordedFacts, wanted: &Names) -> Table<'a> {
    let mut table = Table::query();
    let others = recorded.query.iter().map(|(name, _)| name).filter(|_| wanted.all);
    for name in wanted.some.iter().map(String::as_str).chain(others) {
        table.put(CelString::from(name.to_owned()), recorded.parameter(name).map(CelString::from));
    }
    if wanted.all && !recorded.all_query {
        table.leave_unknown();
    }
    table
}

fn signals<'a>(signals: Signals) -> Table<'a> {
    let mut table = Table::signals();
    for (word, signal) in Signal::WORDS {
        match signals.count(1 << signal as u16) {
            (0, 0) => {}
            (0, _) => table.put(CelString::from(word), Fact::Unknown),
            _ => table.put(CelString::from(word), Fact::Present(CelString::from(word))),
        }
    }
    table
}
