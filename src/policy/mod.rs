//! Policy: a pure function from what is known about a request to a verdict.
//!
//! A policy is compiled once, from the `classes`, `rules` and `default` sections of a policy file and the names that
//! the rest of the file defines. [`Policy::decide`] then serves every caller alike: live traffic, `explain`, replay.

mod compile;
mod matcher;
mod path;
mod user_agent;

pub use compile::{Names, RuleSettings};
pub use matcher::Matcher;
pub use user_agent::{UserAgentList, UserAgentListSettings};

use crate::facts::{Facts, Truth};
use crate::verdict::{Action, Class, HeldBack, LimitId, Mode, Verdict};
use std::sync::Arc;

/// One line of a policy.
#[derive(Debug)]
pub struct Rule {
    /// The name that appears in every report.
    pub name: Arc<str>,
    /// What it applies to.
    pub matcher: Matcher,
    /// What it does.
    pub action: Action,
    /// The limits that requests ending here are charged to.
    pub limits: Arc<[LimitId]>,
    /// The rule's own mode, if it has one.
    pub mode: Option<Mode>,
}

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    classes: Vec<(Class, Matcher)>,
    rules: Vec<Rule>,
    default: Rule,
}

impl Policy {
    /// Decides one request. The outcome depends on `facts` alone.
    ///
    /// Rules are tried in order; the first that matches and is in force ends the evaluation, with three exceptions: a
    /// challenge that the client's pass meets goes on, a rule that the mode holds back is recorded and passed over, and
    /// a match that hangs on an unknown fact is passed over and flagged. An allow rule under a policy in `observe` ends
    /// as it would under `enforce`: it holds nothing back, and the rules after it were not meant for these requests.
    pub fn decide(&self, facts: &Facts<'_>) -> Verdict {
        let mut undecided = false;
        let mut holds = |matcher: &Matcher, class| match matcher.matches(facts, class) {
            Truth::True => true,
            Truth::False => false,
            Truth::Undecided => {
                undecided = true;
                false
            }
        };
        let found = self.classes.iter().find(|(_, matcher)| holds(matcher, Class::Unknown));
        let class = found.map_or(Class::Unknown, |(class, _)| *class);

        let mut held_back = None;
        let mut draws_on_pass = false;
        let mut deciding = None;
        for rule in self.rules.iter().chain([&self.default]) {
            if !holds(&rule.matcher, class) {
                continue;
            }
            let enforced = self.enforces(rule);
            if let Action::Challenge { difficulty, .. } = rule.action
                && facts.pass.is_some_and(|paid| paid >= difficulty)
            {
                draws_on_pass |= enforced;
                continue;
            }
            let plain_allow = rule.action == Action::Allow && rule.mode.is_none();
            if enforced || plain_allow {
                deciding = Some(rule);
                break;
            }
            held_back.get_or_insert_with(|| HeldBack { rule: rule.name.clone(), action: rule.action.clone() });
        }
        // Where even the default was held back or met, nothing stands in the way.
        let action = deciding.map_or(Action::Allow, |rule| rule.action.clone());
        let rule = deciding.unwrap_or(&self.default);
        Verdict {
            class,
            action,
            rule: rule.name.clone(),
            enforced: self.enforces(rule),
            limits: rule.limits.clone(),
            draws_on_pass,
            held_back,
            undecided,
        }
    }

    /// Whether `rule` is in force. A rule that says `mode: enforce` itself is, whatever the policy says.
    fn enforces(&self, rule: &Rule) -> bool {
        match (self.mode, rule.mode) {
            (_, Some(Mode::Enforce)) => true,
            (Mode::Observe, _) | (_, Some(Mode::Observe)) => false,
            (Mode::Enforce | Mode::Auto, _) => true,
        }
    }

    /// The mode of the policy as a whole.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The names of all rules, in order, the default last.
    pub fn rule_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().chain([&self.default]).map(|rule| &rule.name)
    }
}
