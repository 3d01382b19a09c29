//! Which rules the cases of a policy reach: a rule that no case meets may say anything, and so may one that no case
//! escapes.

use super::run::Outcome;
use crate::policy::{Fate, Policy};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What cases have met so far.
#[derive(Debug, Default)]
pub struct Coverage {
    acted: BTreeSet<Arc<str>>,
    passed: BTreeSet<Arc<str>>,
}

/// A rule that the cases do not cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The rule.
    pub rule: Arc<str>,
    /// The file and line of the rule.
    pub place: String,
    /// Whether no case meets it; else none passes it by.
    pub unmet: bool,
}

impl Gap {
    /// What is missing, in words.
    pub fn message(&self) -> String {
        let what = if self.unmet { "meets" } else { "passes by" };
        format!("no case {what} the rule `{}`", self.rule)
    }
}

impl Coverage {
    /// Notes what became of the rules in one case.
    pub fn note(&mut self, outcome: &Outcome) {
        for rule in outcome.explanation.iter().flat_map(|explanation| &explanation.rules) {
            let met = match rule.fate {
                Fate::Decided | Fate::Withheld | Fate::Done | Fate::HeldBack => &mut self.acted,
                Fate::Passed | Fate::Undecided | Fate::Met => &mut self.passed,
            };
            met.insert(rule.name.clone());
        }
    }

    /// The rules of `policy` that no case met, or none passed by. What matches everything cannot be passed by.
    pub fn gaps(&self, policy: &Policy) -> Vec<Gap> {
        let gap = |rule: &crate::policy::Rule| {
            let unmet = !self.acted.contains(&rule.name);
            let escaped = self.passed.contains(&rule.name) || rule.matches_everything();
            let place = format!("{}:{}", rule.file, rule.position.line);
            (unmet || !escaped).then(|| Gap { rule: rule.name.clone(), place, unmet })
        };
        policy.rules().iter().filter_map(gap).collect()
    }
}
