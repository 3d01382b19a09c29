//! Asking the policy, and writing down for the access log what it could read and was told, so that a replay decides the
//! same.

use super::Front;
use super::context::Context;
use crate::document::{Decode, Diagnostics, Node, Schemas, choose, words};
use crate::facts::Facts;
use crate::policy::Policy;
use crate::record::Noting;
use crate::verdict::Verdict;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;

crate::settings! {
    /// What the access log says.
    pub struct AccessLogSettings {
        /// Which facts about requests are in it, besides its fields: `policy`, those that the policy can read (headers and
        /// parameters that it names, signals and the like, but no secrets), so that `windscreen replay` decides as it was
        /// decided; or `none`.
        facts: LoggedFacts = LoggedFacts::Policy,
    }
}

impl Default for AccessLogSettings {
    fn default() -> Self {
        AccessLogSettings { facts: LoggedFacts::Policy }
    }
}

/// Which facts are in the access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedFacts {
    /// Those that the policy can read.
    Policy,
    /// None but its fields.
    None,
}

impl LoggedFacts {
    /// The words of the gateway file.
    pub const WORDS: [(&'static str, LoggedFacts); 2] = [("policy", LoggedFacts::Policy), ("none", LoggedFacts::None)];
}

impl Decode for LoggedFacts {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "word", &LoggedFacts::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&LoggedFacts::WORDS)
    }

    fn written(&self) -> Option<Value> {
        Some(LoggedFacts::WORDS[*self as usize].0.into())
    }
}

/// What is written down of a decision, as JSON.
#[derive(Debug)]
pub struct Recorded {
    /// What tells the policy from others.
    pub policy: Arc<str>,
    /// The facts that it can read.
    pub facts: String,
    /// The state that it was told.
    pub state: String,
}

impl Front {
    /// Has `policy` decide, and notes what it rests on where that is logged.
    pub(super) fn ruled(&self, policy: &Policy, facts: &Facts<'_>, context: &mut Context) -> Verdict {
        let memory = &*self.gateway.memory;
        let is_logged = self.gateway.logs_facts.load(Ordering::Relaxed);
        if !(is_logged && tracing::enabled!(target: "access", tracing::Level::INFO)) {
            return policy.decide(facts, memory);
        }
        let noting = Noting::new(memory);
        let verdict = policy.decide(facts, &noting);
        let recorded = policy.record(facts, &verdict, &noting);
        let (recorded, answers) = (serde_json::to_string(&recorded), serde_json::to_string(&noting.answers()));
        context.recorded = recorded.ok().zip(answers.ok()).map(|(facts, state)| Recorded {
            policy: policy.hash().clone(),
            facts,
            state,
        });
        verdict
    }
}
