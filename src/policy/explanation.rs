//! What a decision shows to whoever looks at it, and what is made of that for people.

use super::matches::Matcher;
use super::request::{Reason, Request};
use super::rule::Rule;
use crate::signal::Signals;
use crate::verdict::{Class, Verdict};
use std::sync::Arc;

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its match does not hold.
    Passed,
    /// Its match hangs on something unknown: it was passed over.
    Undecided,
    /// As that, but it guards access: it refused, since nobody can tell whether it should.
    Withheld,
    /// It was held back by its mode, or the policy's.
    HeldBack,
    /// The client's pass meets its challenge.
    Met,
    /// It did what it does, and the evaluation went on.
    Done,
    /// It ended the evaluation.
    Decided,
}

impl Fate {
    /// The words for it.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Passed => "no match",
            Fate::Undecided => "undecided",
            Fate::Withheld => "withheld",
            Fate::HeldBack => "held back",
            Fate::Met => "met by the pass",
            Fate::Done => "done",
            Fate::Decided => "decided",
        }
    }
}

/// Sees every step of a decision.
pub(super) trait Watch {
    /// Whether rules are shown that cannot match, too.
    const EVERYTHING: bool;

    fn rule(&mut self, _rule: &Rule, _fate: Fate, _request: &Request<'_>) {}

    fn class(&mut self, _line: usize, _class: Class, _matcher: &Matcher, _request: &Request<'_>) {}
}

/// Sees nothing, at no cost.
pub(super) struct Blind;

impl Watch for Blind {
    const EVERYTHING: bool = false;
}

/// One step of a decision, for people to read.
#[derive(Debug, Clone)]
pub struct ExplainedRule {
    /// The rule's name.
    pub name: Arc<str>,
    /// The file and line of the rule.
    pub place: String,
    /// The word for its action.
    pub action: &'static str,
    /// What became of it.
    pub fate: Fate,
    /// Why its match holds or not.
    pub reason: Reason,
}

/// A line of the `classes` section, for people to read.
#[derive(Debug, Clone)]
pub struct ExplainedClass {
    /// The class.
    pub class: Class,
    /// Which line it is, counted from 1.
    pub line: usize,
    /// Why its match holds, or may hold.
    pub reason: Reason,
}

/// A decision with everything that led to it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The lines of the `classes` section that hang on something unknown; last the first one that holds, if any.
    pub classes: Vec<ExplainedClass>,
    /// The signals of the request.
    pub signals: Signals,
    /// Every rule in order, up to the one that decided.
    pub rules: Vec<ExplainedRule>,
    /// The verdict.
    pub verdict: Verdict,
}

#[derive(Default)]
pub(super) struct Explainer {
    pub classes: Vec<ExplainedClass>,
    pub signals: Signals,
    pub rules: Vec<ExplainedRule>,
}

impl Watch for Explainer {
    const EVERYTHING: bool = true;

    fn rule(&mut self, rule: &Rule, fate: Fate, request: &Request<'_>) {
        self.signals = request.signals();
        self.rules.push(ExplainedRule {
            name: rule.name.clone(),
            place: format!("{}:{}", rule.file, rule.position.line),
            action: rule.effect.word(),
            fate,
            reason: request.explain(&rule.matcher),
        });
    }

    fn class(&mut self, line: usize, class: Class, matcher: &Matcher, request: &Request<'_>) {
        self.classes.push(ExplainedClass { class, line: line + 1, reason: request.explain(matcher) });
    }
}
