//! One rule: as written, and compiled.

use super::atoms::Builder;
use super::matches::{Compiler, Matcher, weight};
use super::names::Names;
use super::settings::{MatchNode, WeightSettings, faultless, span};
use crate::document::{Decode, Diagnostics, Node, Position, Spanned, choose, either, integer, number, words};
use crate::quantity::ByteRate;
use crate::verdict::{Action, Class, LimitId, Mode, Step};
use std::sync::Arc;

crate::settings! {
    /// One rule as written.
    pub struct RuleSettings {
        /// The name that appears in every report.
        name: Option<Spanned<String>> = None,
        /// What it applies to; everything where absent.
        r#match: MatchNode = MatchNode(None),
        /// `allow`, `deny`, `challenge` or `redirect` end the evaluation; `limit`, `weigh`, `tag`, `strike` and `slow` go on.
        #[schema(|_| words(&WORDS))]
        action: Node,
        /// What a refused client is told (deny).
        reason: Option<Spanned<String>> = None,
        /// The HTTP status of a refusal, 400 to 499 (deny); 403 where absent.
        #[schema(|_| integer(400..=499))]
        status: Option<Spanned<u16>> = None,
        /// The tier of the challenge; `default` where absent.
        tier: Option<Spanned<String>> = None,
        /// What is added to the weight (weigh); which weights a threshold is for, as `{at_least: 10, below: 20}`.
        #[schema(|schemas| either(WeightSettings::schema(schemas), integer(-HEAVIEST..=HEAVIEST)))]
        weight: Option<Node> = None,
        /// What the client is called from here on (tag).
        #[schema(Class::schema)]
        class: Option<Node> = None,
        /// What is added to the record of the client's prefix (strike); 1 where absent.
        #[schema(|_| number(0.0..=1000.0))]
        strikes: Option<Spanned<f64>> = None,
        /// How fast the answer is sent at most, per second (slow).
        #[schema(ByteRate::schema)]
        rate: Option<Node> = None,
        /// The limits that requests are charged to (limit, and what ends the evaluation).
        limits: Vec<Spanned<String>> = Vec::new(),
        /// `observe`, `enforce`, `auto` or `sample`; as the policy where absent.
        mode: Option<Mode> = None,
    }
}

/// Which section a rule stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `rules`.
    Rules,
    /// `thresholds`.
    Thresholds,
    /// `default`.
    Default,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ends the evaluation.
    End(Action),
    /// Does something and goes on.
    Go(Step),
}

impl Effect {
    /// The word of the policy language.
    pub fn word(&self) -> &'static str {
        match self {
            Effect::End(action) => action.word(),
            Effect::Go(step) => step.word(),
        }
    }
}

/// One line of a policy, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The name that appears in every report.
    pub name: Arc<str>,
    /// The file that it stands in.
    pub file: Arc<str>,
    /// Where in the file.
    pub position: Position,
    /// What it applies to.
    pub matcher: Matcher,
    /// What it does.
    pub effect: Effect,
    /// The limits that requests are charged to.
    pub limits: Arc<[LimitId]>,
    /// The rule's own mode, if it has one.
    pub mode: Option<Mode>,
}

impl Rule {
    /// Whether it keeps objects private: it denies, and says `mode: enforce` itself. Protection may fail open, access
    /// must not, and this is how a policy tells them apart.
    pub fn guards_access(&self) -> bool {
        matches!(self.effect, Effect::End(Action::Deny { .. })) && self.mode == Some(Mode::Enforce)
    }

    /// Whether it is for every request: it has no `match`.
    pub fn matches_everything(&self) -> bool {
        self.matcher == Matcher::All(Vec::new())
    }
}

/// Slower than this the bytes of a transfer come in bursts, with gaps longer than clients wait.
const SLOWEST: u64 = 64 * 1024;

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Allow,
    Deny,
    Challenge,
    Redirect,
    Limit,
    Weigh,
    Tag,
    Strike,
    Slow,
}

const WORDS: [(&str, Word); 9] = [
    ("allow", Word::Allow),
    ("deny", Word::Deny),
    ("challenge", Word::Challenge),
    ("redirect", Word::Redirect),
    ("limit", Word::Limit),
    ("weigh", Word::Weigh),
    ("tag", Word::Tag),
    ("strike", Word::Strike),
    ("slow", Word::Slow),
];

/// Weights of a thousand rules still fit into their sum.
const HEAVIEST: i64 = 1_000_000;

fn bounded_weight(node: &Node, diagnostics: &mut Diagnostics) -> Option<i64> {
    let weight = i64::decode(node, diagnostics)?;
    if !(-HEAVIEST..=HEAVIEST).contains(&weight) {
        diagnostics.error(node.position, format!("a weight is from -{HEAVIEST} to {HEAVIEST}, not `{weight}`"));
    }
    Some(weight)
}

/// It is shown in one line, on pages and in headers.
fn check_reason(reason: &Spanned<String>, diagnostics: &mut Diagnostics) {
    if reason.value.trim().is_empty() {
        diagnostics.error(reason.position, "the `reason` is empty: leave it out, or say why");
    } else if reason.value.chars().any(char::is_control) {
        diagnostics.error(reason.position, "the `reason` holds a line break or control character: write one line");
    }
}

impl RuleSettings {
    fn effect(&self, section: Section, names: &Names, diagnostics: &mut Diagnostics) -> Option<Effect> {
        let word = choose(&self.action, "action", &WORDS, diagnostics)?;
        let action = self.action.position;
        let belongs: [(Option<Position>, &str, Word); 6] = [
            (self.reason.as_ref().map(|s| s.position), "reason", Word::Deny),
            (self.status.as_ref().map(|s| s.position), "status", Word::Deny),
            (self.tier.as_ref().map(|s| s.position), "tier", Word::Challenge),
            (self.class.as_ref().map(|s| s.position), "class", Word::Tag),
            (self.strikes.as_ref().map(|s| s.position), "strikes", Word::Strike),
            (self.rate.as_ref().map(|s| s.position), "rate", Word::Slow),
        ];
        for (given, key, owner) in belongs {
            if let Some(position) = given.filter(|_| owner != word) {
                let owner = WORDS[owner as usize].0;
                diagnostics.error(position, format!("`{key}` belongs to `action: {owner}`"));
            }
        }
        let charges_nothing = matches!(word, Word::Weigh | Word::Tag | Word::Strike | Word::Slow);
        if let Some(limit) = self.limits.first().filter(|_| charges_nothing) {
            let word = WORDS[word as usize].0;
            let message = format!("`action: {word}` charges no `limits`: add a rule with `action: limit` for them");
            diagnostics.error(limit.position, message);
        }
        if let Some(node) = self.weight.as_ref().filter(|_| word != Word::Weigh && section != Section::Thresholds) {
            diagnostics.error(node.position, "`weight` belongs to `action: weigh`, and to thresholds");
        }
        if section == Section::Default && !matches!(word, Word::Allow | Word::Deny | Word::Challenge | Word::Redirect) {
            let message = "the default ends the evaluation: expected one of: allow, deny, challenge, redirect";
            diagnostics.error(action, message);
        }
        if section == Section::Thresholds && word == Word::Weigh {
            diagnostics.error(action, "a threshold judges the weight and does not add to it");
        }
        let missing = |key: &str, diagnostics: &mut Diagnostics| {
            diagnostics.error(action, format!("missing key `{key}` of `action: {}`", WORDS[word as usize].0));
            None
        };
        Some(match word {
            Word::Allow => Effect::End(Action::Allow),
            Word::Redirect => Effect::End(Action::Redirect),
            Word::Deny => {
                let status = self.status.as_ref().map_or(403, |status| status.value);
                if let Some(given) = self.status.as_ref().filter(|s| !(400..500).contains(&s.value)) {
                    diagnostics
                        .error(given.position, format!("a refusal has a status from 400 to 499, not `{status}`"));
                }
                let reason = self.reason.as_ref().map_or("access is not allowed", |reason| &reason.value);
                Effect::End(Action::Deny { status, reason: reason.into() })
            }
            Word::Challenge => {
                let (name, position) = match &self.tier {
                    Some(tier) => (tier.value.as_str(), tier.position),
                    None => ("default", action),
                };
                let difficulty = names.tier(name, position, diagnostics)?;
                Effect::End(Action::Challenge { tier: name.into(), difficulty })
            }
            Word::Limit if self.limits.is_empty() => return missing("limits", diagnostics),
            Word::Limit => Effect::Go(Step::Limit),
            Word::Weigh => match &self.weight {
                Some(node) => Effect::Go(Step::Weigh(bounded_weight(node, diagnostics)?)),
                None => return missing("weight", diagnostics),
            },
            Word::Tag => match &self.class {
                Some(class) => Effect::Go(Step::Tag(Class::decode(class, diagnostics)?)),
                None => return missing("class", diagnostics),
            },
            Word::Strike => {
                let strikes = self.strikes.as_ref().map_or(1.0, |strikes| strikes.value);
                if let Some(given) = self.strikes.as_ref().filter(|s| !(0.0..=1000.0).contains(&s.value)) {
                    diagnostics.error(given.position, format!("strikes are from 0 to 1000, not `{strikes}`"));
                }
                Effect::Go(Step::Strike(strikes))
            }
            Word::Slow => match &self.rate {
                Some(node) => {
                    let ByteRate(rate) = ByteRate::decode(node, diagnostics)?;
                    if rate < SLOWEST {
                        let message = "the slowest rate is `64 KiB/s`: clients give up on what comes more slowly";
                        diagnostics.error(node.position, message);
                    }
                    Effect::Go(Step::Slow(rate))
                }
                None => return missing("rate", diagnostics),
            },
        })
    }

    /// Compiles the rule. Every mistake goes to `diagnostics`.
    pub(super) fn compile(
        &self,
        name: &str,
        section: Section,
        position: Position,
        names: &Names,
        atoms: &mut Builder,
        diagnostics: &mut Diagnostics,
    ) -> Option<Rule> {
        let mut matcher = match &self.r#match.0 {
            Some(node) => Compiler { names, atoms, diagnostics, deciding_class: false }.matcher(node),
            None => Some(Matcher::All(Vec::new())),
        };
        if section == Section::Thresholds && self.weight.is_none() {
            let message = "missing key `weight`: the weights that this threshold is for, such as `{at_least: 10}`";
            diagnostics.error(position, message);
        }
        if let Some(reason) = &self.reason {
            check_reason(reason, diagnostics);
        }
        if let (Section::Thresholds, Some(node)) = (section, &self.weight) {
            let settings = faultless::<WeightSettings>(node, diagnostics)?;
            let span = span(settings.at_least, settings.below, node.position, diagnostics)?;
            let weight = weight(span, format!("weight: {}", node.compact()), atoms);
            matcher = matcher.map(|matcher| Matcher::All(vec![weight, matcher]));
        }
        let effect = self.effect(section, names, diagnostics);
        let limits = names.limits(&self.limits, diagnostics);
        let (matcher, effect, limits) = (matcher?, effect?, limits?.into());
        let file = diagnostics.file().into();
        Some(Rule { name: name.into(), file, position, matcher, effect, limits, mode: self.mode })
    }
}
