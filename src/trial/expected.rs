//! What a case expects, and whether it came so.

use super::run::Outcome;
use crate::document::{Diagnostics, Position, Spanned, unknown_word};
use crate::policy::Policy;
use crate::signal::Signal;
use crate::verdict::{Class, Dialect};

crate::settings! {
    /// What a case expects. What is absent may be anything.
    pub struct ExpectedSettings {
        /// What is done: `allow`, `deny`, `challenge`, `redirect`; `refuse` for what no policy can allow.
        action: Option<Spanned<String>> = None,
        /// The rule that decides, or `default`.
        rule: Option<Spanned<String>> = None,
        /// What the client is called in the end.
        class: Option<Class> = None,
        /// How it is answered: `page`, `fetch`, `s3` or `plain`.
        dialect: Option<Dialect> = None,
        /// The HTTP status of a refusal or redirect.
        status: Option<u16> = None,
        /// The first rule that is held back by a mode.
        held_back: Option<Spanned<String>> = None,
        /// The sum of what rules weighed.
        weight: Option<i64> = None,
        /// What is added to the record of the prefix.
        strikes: Option<f64> = None,
        /// The limits that the request is charged to, in their order.
        limits: Option<Vec<Spanned<String>>> = None,
        /// The signals that are there, in the order of the documentation.
        signals: Option<Vec<Signal>> = None,
        /// Whether some rule hangs on something unknown.
        undecided: Option<bool> = None,
    }
}

/// One thing that came otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The key of `expect`.
    pub key: &'static str,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub actual: String,
}

/// What names in expectations refer to.
pub(super) struct Scope<'s> {
    pub policy: &'s Policy,
    pub limits: &'s [&'s str],
}

/// What can be done, in the words of metrics and the access log.
const ACTIONS: [&str; 6] = ["allow", "deny", "challenge", "redirect", "refuse", "internal"];
/// Where there is nothing of the kind.
const NONE: &str = "none";

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

impl ExpectedSettings {
    /// Finds names that the policy does not know, and expectations of nothing.
    pub(super) fn check(&self, position: Position, scope: &Scope<'_>, diagnostics: &mut Diagnostics) {
        let rules = || scope.policy.rules().iter().map(|rule| &*rule.name);
        if let Some(action) = self.action.as_ref().filter(|action| !ACTIONS.contains(&action.value.as_str())) {
            diagnostics.error(action.position, unknown_word("action", &action.value, ACTIONS.into_iter()));
        }
        for rule in self.rule.iter().chain(&self.held_back) {
            if !rules().any(|known| known == rule.value) {
                diagnostics.error(rule.position, unknown_word("rule", &rule.value, rules()));
            }
        }
        for limit in self.limits.iter().flatten() {
            if !scope.limits.contains(&limit.value.as_str()) {
                diagnostics.error(limit.position, unknown_word("limit", &limit.value, scope.limits.iter().copied()));
            }
        }
        if self.keys().next().is_none() {
            diagnostics.error(position, "nothing is expected: name an action, a rule or a class at least");
        }
    }

    /// What is expected, as texts.
    fn keys(&self) -> impl Iterator<Item = (&'static str, String)> {
        let texts = |list_of: &[Spanned<String>]| list(list_of.iter().map(|one| one.value.as_str()));
        [
            ("action", self.action.as_ref().map(|action| action.value.clone())),
            ("rule", self.rule.as_ref().map(|rule| rule.value.clone())),
            ("class", self.class.map(|class| class.word().to_owned())),
            ("dialect", self.dialect.map(|dialect| dialect.word().to_owned())),
            ("status", self.status.map(|status| status.to_string())),
            ("held_back", self.held_back.as_ref().map(|rule| rule.value.clone())),
            ("weight", self.weight.map(|weight| weight.to_string())),
            ("strikes", self.strikes.map(|strikes| strikes.to_string())),
            ("limits", self.limits.as_deref().map(texts)),
            ("signals", self.signals.as_ref().map(|signals| list(signals.iter().map(|signal| signal.word())))),
            ("undecided", self.undecided.map(|undecided| undecided.to_string())),
        ]
        .into_iter()
        .filter_map(|(key, expected)| Some((key, expected?)))
    }

    /// What came otherwise.
    pub fn compare(&self, outcome: &Outcome) -> Vec<Mismatch> {
        let mismatch = |(key, expected): (&'static str, String)| {
            let actual = actual(key, outcome).unwrap_or_else(|| NONE.to_owned());
            (actual != expected).then_some(Mismatch { key, expected, actual })
        };
        self.keys().filter_map(mismatch).collect()
    }
}

/// What came, in the words of the expectation `key`.
fn actual(key: &str, outcome: &Outcome) -> Option<String> {
    let verdict = outcome.verdict();
    Some(match key {
        "action" => outcome.action.to_owned(),
        "dialect" => outcome.dialect.word().to_owned(),
        "status" => outcome.answer.status()?.to_string(),
        "limits" => list(outcome.charges.iter().map(|charged| charged.limit.as_str())),
        "rule" => verdict?.rule.to_string(),
        "class" => verdict?.class.word().to_owned(),
        "held_back" => verdict?.held_back.as_ref()?.rule.to_string(),
        "weight" => verdict?.weight.to_string(),
        "strikes" => verdict?.strikes.to_string(),
        "signals" => list(outcome.explanation.as_ref()?.signals.present().map(Signal::word)),
        _ => verdict?.undecided.is_some().to_string(),
    })
}
