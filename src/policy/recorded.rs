//! What a policy can read, so that what is recorded of a request is that and no more, and how it decides by what was.

use super::Policy;
use super::atoms::{AtomId, Atoms, Source, Test};
use super::networks::{NetworkId, NetworkParts, Table};
use super::own_doing::is_own_doing;
use super::rule::{Effect, Rule};
use super::signals::{Browser, signals};
use crate::facts::{Facts, Truth};
use crate::record::{Extent, Hints, RecordedFacts};
use crate::state::State;
use crate::verdict::{Step, Verdict};
use smallvec::SmallVec;
use std::sync::Arc;

/// Networks whose atoms hold as it is on record.
pub(super) type Recalled = SmallVec<[(AtomId, Truth); 4]>;

/// What a policy can read besides what every line of the access log says.
#[derive(Debug, Default)]
pub(super) struct Recording {
    extent: Extent,
    /// Networks that come from feeds, by name.
    fed: Vec<(Box<str>, NetworkId, AtomId)>,
    /// Tells the policy from others.
    hash: Arc<str>,
}

impl Recording {
    /// What `atoms` and `rules` can read.
    pub fn new(atoms: &Atoms, rules: &[Rule], networks: &[NetworkParts]) -> Self {
        let (mut extent, mut fed) = (Extent::default(), Vec::new());
        let sources = atoms.sources.iter().map(|(source, _)| source);
        let tests = atoms.all.iter().filter_map(|atom| match &atom.test {
            Test::Present(source) => Some(source),
            _ => None,
        });
        for source in sources.chain(tests) {
            match source {
                Source::Host => extent.host = true,
                Source::Header(name) => extent.headers.add(name),
                Source::Query(name) => extent.query.add(name),
                Source::Path | Source::UserAgent | Source::Ja4 => {}
            }
        }
        for (id, atom) in atoms.all.iter().enumerate() {
            match &atom.test {
                Test::When(when) => when.extend(&mut extent),
                Test::Signals { .. } => extent.signals = true,
                Test::Network(network) if networks.get(*network).is_some_and(|parts| !parts.feeds.is_empty()) => {
                    let name = atom.text.strip_prefix("network: ").unwrap_or(&atom.text);
                    fed.push((name.into(), *network, AtomId::try_from(id).unwrap_or(AtomId::MAX)));
                }
                _ => {}
            }
        }
        extent.own_doing = rules.iter().any(|rule| matches!(rule.effect, Effect::Go(Step::Strike(_))));
        Recording { extent, fed, hash: "".into() }
    }
}

impl Policy {
    /// What tells the policy from others: a hash of what it was made from. Empty where nobody said.
    pub fn hash(&self) -> &Arc<str> {
        &self.recording.hash
    }

    /// Says what tells the policy from others.
    pub fn set_hash(&mut self, hash: &str) {
        self.recording.hash = hash.into();
    }

    /// What is to be recorded of a request, so that this policy decides it again as it did: it came to `verdict`.
    pub fn record(&self, facts: &Facts<'_>, verdict: &Verdict, state: &dyn State) -> RecordedFacts {
        let Recording { extent, fed, .. } = &self.recording;
        let mut recorded = RecordedFacts::of(extent, facts);
        let read = || verdict.signals.unwrap_or_else(|| signals(facts, Browser::of(facts.user_agent), state));
        recorded.signals = extent.signals.then(|| Hints(read()));
        recorded.own_doing = extent.own_doing.then(|| is_own_doing(facts));
        if facts.client.trusted && !fed.is_empty() {
            let table = self.networks.table();
            let holds = table.networks(facts.client.address);
            for (name, network, _) in fed {
                let known = holds.contains(network) || table.is_loaded(*network);
                recorded.networks.add(name, known.then(|| holds.contains(network)));
            }
        }
        recorded
    }

    /// The networks from feeds whose atoms hold as it is on record: for the policy that decided then all of them, for
    /// another one those that have not been read here.
    pub(super) fn recalled(&self, facts: &Facts<'_>, table: &Table) -> Recalled {
        let Some(recollection) = facts.headers.recorded().filter(|_| facts.client.trusted) else {
            return Recalled::new();
        };
        let wanted = |network| recollection.same_policy || !table.is_loaded(network);
        let fed = self.recording.fed.iter().filter(|(_, network, _)| wanted(*network));
        fed.filter_map(|(name, _, atom)| {
            let holds = recollection.facts.networks.get(name)?;
            Some((*atom, holds.map_or(Truth::Undecided, Truth::from)))
        })
        .collect()
    }
}
