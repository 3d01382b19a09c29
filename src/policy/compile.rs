//! From the sections of a policy file to a [`Policy`].

use super::matcher::Matcher;
use super::user_agent::UserAgentList;
use super::{Policy, Rule};
use crate::document::{Decode, Diagnostics, Node, Spanned, choose, unknown_word};
use crate::network::CidrSet;
use crate::verdict::{Action, Class, LimitId, Mode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The names that rules may refer to.
#[derive(Debug, Default)]
pub struct Names<'a> {
    /// Networks by name.
    pub networks: BTreeMap<String, Arc<CidrSet>>,
    /// User-agent lists by name.
    pub lists: BTreeMap<String, Arc<UserAgentList>>,
    /// Limits, in the order that gives them their [`LimitId`].
    pub limits: Vec<&'a str>,
    /// Challenge tiers with their difficulty.
    pub tiers: BTreeMap<&'a str, u32>,
    /// The sites of the deployment, or `None` when the policy is checked without one.
    pub sites: Option<Vec<&'a str>>,
    /// Whether matchers are compiled for the `classes` section, where no class is known yet.
    pub deciding_class: bool,
}

impl Names<'_> {
    pub(super) fn networks(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<Arc<CidrSet>>> {
        let names = Vec::<Spanned<String>>::decode(node, diagnostics)?;
        let found: Vec<_> =
            names.iter().map(|name| look_up("network", name, &self.networks, diagnostics).cloned()).collect();
        found.into_iter().collect()
    }

    pub(super) fn list(&self, name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Arc<UserAgentList>> {
        look_up("list", name, &self.lists, diagnostics).cloned()
    }

    /// A policy may name sites that this deployment does not have: one file serves several deployments.
    pub(super) fn sites(&self, node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
        let names = Vec::<Spanned<String>>::decode(node, diagnostics)?;
        for name in &names {
            if let Some(sites) = &self.sites
                && !sites.contains(&name.value.as_str())
            {
                let what = unknown_word("site", &name.value, sites.iter().copied());
                diagnostics.warn(name.position, format!("this never matches: {what}"));
            }
        }
        Some(names.into_iter().map(|name| name.value).collect())
    }

    fn limits(&self, names: &[Spanned<String>], diagnostics: &mut Diagnostics) -> Option<Arc<[LimitId]>> {
        let found: Vec<_> = names
            .iter()
            .map(|name| {
                let id = self.limits.iter().position(|limit| *limit == name.value);
                if id.is_none() && !diagnostics.is_broken(&name.value) {
                    let what = unknown_word("limit", &name.value, self.limits.iter().copied());
                    diagnostics.error(name.position, what);
                }
                id
            })
            .collect();
        found.into_iter().collect()
    }
}

fn look_up<'n, T>(
    what: &str,
    name: &Spanned<String>,
    known: &'n BTreeMap<String, T>,
    diagnostics: &mut Diagnostics,
) -> Option<&'n T> {
    let found = known.get(&name.value);
    if found.is_none() && !diagnostics.is_broken(&name.value) {
        diagnostics.error(name.position, unknown_word(what, &name.value, known.keys().map(String::as_str)));
    }
    found
}

crate::settings! {
    /// One rule as written.
    pub struct RuleSettings {
        /// The name that appears in every report.
        name: Option<Spanned<String>> = None,
        /// What it applies to; everything where absent.
        r#match: Option<Node> = None,
        /// `allow`, `deny` or `challenge`.
        action: Node,
        /// What a refused client is told (deny).
        reason: Option<Spanned<String>> = None,
        /// The HTTP status of a refusal, 400 to 499 (deny); 403 where absent.
        status: Option<Spanned<u16>> = None,
        /// The tier of the challenge; `default` where absent.
        tier: Option<Spanned<String>> = None,
        /// The limits that requests ending here are charged to.
        limits: Vec<Spanned<String>> = Vec::new(),
        /// `observe`, `enforce` or `auto`; as the policy where absent.
        mode: Option<Mode> = None,
    }
}

crate::settings! {
    /// One line of the `classes` section.
    struct ClassSettings {
        /// The class that matching clients get.
        class: Class,
        /// What it applies to.
        r#match: Node,
    }
}

#[derive(Clone, Copy)]
enum Word {
    Allow,
    Deny,
    Challenge,
}

impl RuleSettings {
    fn action(&self, names: &Names<'_>, diagnostics: &mut Diagnostics) -> Option<Action> {
        let words = [("allow", Word::Allow), ("deny", Word::Deny), ("challenge", Word::Challenge)];
        let word = choose(&self.action, "action", &words, diagnostics)?;
        let misplaced = |position, key: &str, action: &str, diagnostics: &mut Diagnostics| {
            diagnostics.error(position, format!("`{key}` belongs to `action: {action}`"));
        };
        if !matches!(word, Word::Deny) {
            if let Some(reason) = &self.reason {
                misplaced(reason.position, "reason", "deny", diagnostics);
            }
            if let Some(status) = &self.status {
                misplaced(status.position, "status", "deny", diagnostics);
            }
        }
        if let (Some(tier), false) = (&self.tier, matches!(word, Word::Challenge)) {
            misplaced(tier.position, "tier", "challenge", diagnostics);
        }
        Some(match word {
            Word::Allow => Action::Allow,
            Word::Deny => {
                let status = self.status.as_ref().map_or(403, |status| status.value);
                if let Some(given) = self.status.as_ref().filter(|s| !(400..500).contains(&s.value)) {
                    diagnostics
                        .error(given.position, format!("a refusal has a status from 400 to 499, not `{status}`"));
                }
                let reason = self.reason.as_ref().map_or("access is not allowed", |reason| &reason.value);
                Action::Deny { status, reason: reason.into() }
            }
            Word::Challenge => {
                let (name, position) = match &self.tier {
                    Some(tier) => (tier.value.as_str(), tier.position),
                    None => ("default", self.action.position),
                };
                let Some((tier, difficulty)) = names.tiers.get_key_value(name) else {
                    diagnostics.error(position, unknown_word("tier", name, names.tiers.keys().copied()));
                    return None;
                };
                Action::Challenge { tier: (*tier).into(), difficulty: *difficulty }
            }
        })
    }

    fn compile(&self, name: &str, names: &Names<'_>, diagnostics: &mut Diagnostics) -> Option<Rule> {
        let matcher = match &self.r#match {
            Some(node) => Matcher::compile(node, names, diagnostics),
            None => Some(Matcher::All(Vec::new())),
        };
        let action = self.action(names, diagnostics);
        let limits = names.limits(&self.limits, diagnostics);
        Some(Rule { name: name.into(), matcher: matcher?, action: action?, limits: limits?, mode: self.mode })
    }
}

impl Policy {
    /// Compiles the sections of a policy file. Every mistake goes to `diagnostics`.
    pub fn compile(
        mode: Mode,
        classes: &[Node],
        rules: &[Spanned<RuleSettings>],
        default: &Spanned<RuleSettings>,
        mut names: Names<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Policy> {
        names.deciding_class = true;
        let classes: Vec<_> = classes
            .iter()
            .map(|node| {
                let settings = ClassSettings::decode(node, diagnostics)?;
                let matcher = Matcher::compile(&settings.r#match, &names, diagnostics)?;
                Some((settings.class, matcher))
            })
            .collect();
        names.deciding_class = false;

        let mut compiled = Vec::with_capacity(rules.len());
        let mut seen: Vec<&str> = vec!["default"];
        for Spanned { position, value: rule } in rules {
            let Some(name) = &rule.name else {
                diagnostics.error(*position, "missing key `name`: a rule's name appears in every report");
                continue;
            };
            if seen.contains(&name.value.as_str()) {
                diagnostics.error(name.position, format!("a second rule named `{}`", name.value));
            }
            seen.push(&name.value);
            compiled.push(rule.compile(&name.value, &names, diagnostics));
        }
        for (present, key) in [(default.value.r#match.is_some(), "match"), (default.value.name.is_some(), "name")] {
            if present {
                diagnostics.error(default.position, format!("the default has no `{key}`: it is what remains"));
            }
        }
        let default = default.value.compile("default", &names, diagnostics);
        let rules = compiled.into_iter().collect::<Option<Vec<_>>>();
        Some(Policy { mode, classes: classes.into_iter().collect::<Option<_>>()?, rules: rules?, default: default? })
    }
}
