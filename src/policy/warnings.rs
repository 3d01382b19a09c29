//! Doubts about a policy that is well-formed: rules that can never act, and rules that do more than their author meant.

use super::Effect;
use super::atoms::{AtomId, Builder, Test};
use super::matches::Matcher;
use super::names::Names;
use super::rule::Rule;
use crate::document::Diagnostics;
use crate::verdict::{Action, Class, Mode};

/// More IPv4 addresses than this are nobody's own: a /12.
const CLOUD: u64 = 1 << 20;

/// Warns of what probably does not say what its author meant.
pub fn warn(
    rules: &[Rule],
    classes: &[(Class, Matcher)],
    mode: Mode,
    names: &Names,
    atoms: &Builder,
    diagnostics: &mut Diagnostics,
) {
    for (number, rule) in rules.iter().enumerate() {
        diagnostics.enter(&*rule.file);
        let above = &rules[..number];
        let shadow = above.iter().find(|other| ends(other, mode) && implies(&rule.matcher, &other.matcher));
        if let Some(other) = shadow {
            let what = if number + 1 == rules.len() { "the default" } else { "this rule" };
            let message =
                format!("{what} is never reached: `{}` above it takes every request that it matches", other.name);
            diagnostics.warn(rule.position, message);
        }
        if rule.effect == Effect::End(Action::Allow)
            && let Some(network) = whole_cloud(&rule.matcher, names, atoms)
        {
            let message = format!(
                "this allows a whole cloud: anybody can rent a machine in `{network}`; ask for a path, an identity or a \
                 signature, too"
            );
            diagnostics.warn(rule.position, message);
        }
        if rule.effect == Effect::End(Action::Redirect) {
            let private = rules[number..]
                .iter()
                .find(|other| other.guards_access() && !are_apart(&rule.matcher, &other.matcher, atoms));
            if let Some(private) = private {
                let message = format!(
                    "this redirect stands above `{}`, which keeps objects private: it may hand them out; put it below",
                    private.name
                );
                diagnostics.warn(rule.position, message);
            }
        }
    }
    let _ = classes;
}

/// Whether a rule ends the evaluation whenever it matches, for clients with a pass, too.
fn ends(rule: &Rule, mode: Mode) -> bool {
    let held_back = match (mode, rule.mode) {
        (_, Some(Mode::Enforce)) => false,
        // Switching the policy on must not change which rules are reached: only a rule's own mode counts.
        (_, Some(Mode::Observe | Mode::Auto)) => true,
        (_, None) => false,
    };
    let ending = matches!(rule.effect, Effect::End(Action::Allow | Action::Deny { .. } | Action::Redirect));
    ending && !held_back
}

/// Whether `general` surely holds wherever `special` does.
fn implies(special: &Matcher, general: &Matcher) -> bool {
    if special == general {
        return true;
    }
    match (special, general) {
        (_, Matcher::All(parts)) => parts.iter().all(|part| implies(special, part)),
        (Matcher::Any(parts), _) => parts.iter().all(|part| implies(part, general)),
        (_, Matcher::Any(parts)) if parts.iter().any(|part| implies(special, part)) => true,
        (Matcher::All(parts), _) => parts.iter().any(|part| implies(part, general)),
        (Matcher::Not(special), Matcher::Not(general)) => implies(general, special),
        _ => false,
    }
}

/// The network by which a rule lets in everybody who rents a machine in a cloud, if it asks for nothing else.
fn whole_cloud(matcher: &Matcher, names: &Names, atoms: &Builder) -> Option<String> {
    let network = |id: &AtomId| match atoms.test(*id) {
        Test::Network(network) => {
            let (addresses, has_feeds) = names.extent(*network);
            let text = atoms.text(*id);
            let name = text.split_once(": ").map_or(text, |(_, name)| name);
            (!matches!(name, "private" | "loopback") && (has_feeds || addresses >= CLOUD)).then(|| name.to_owned())
        }
        _ => None,
    };
    match matcher {
        Matcher::Atom(id) => network(id),
        Matcher::Any(parts) => parts.iter().find_map(|part| whole_cloud(part, names, atoms)),
        Matcher::All(parts) => {
            let only = |part: &Matcher| {
                match part {
                Matcher::Atom(id) => matches!(atoms.test(*id), Test::Network(_) | Test::Site(_) | Test::Method(_)),
                Matcher::Any(parts) => parts.iter().all(|part| {
                    matches!(part, Matcher::Atom(id) if matches!(atoms.test(*id), Test::Network(_) | Test::Site(_) | Test::Method(_)))
                }),
                _ => false,
            }
            };
            parts.iter().all(only).then(|| parts.iter().find_map(|part| whole_cloud(part, names, atoms))).flatten()
        }
        Matcher::Not(_) => None,
    }
}

/// Whether two matches surely never hold together: they are for different sites.
fn are_apart(one: &Matcher, other: &Matcher, atoms: &Builder) -> bool {
    let (one, other) = (sites(one, atoms), sites(other, atoms));
    one.zip(other).is_some_and(|(one, other)| !one.iter().any(|site| other.contains(site)))
}

/// The sites that a match is for, where it says so.
fn sites(matcher: &Matcher, atoms: &Builder) -> Option<Vec<AtomId>> {
    match matcher {
        Matcher::Atom(id) => matches!(atoms.test(*id), Test::Site(_)).then(|| vec![*id]),
        Matcher::Any(parts) => {
            let all: Option<Vec<_>> = parts.iter().map(|part| sites(part, atoms)).collect();
            all.map(|sites| sites.into_iter().flatten().collect())
        }
        Matcher::All(parts) => parts.iter().find_map(|part| sites(part, atoms)),
        Matcher::Not(_) => None,
    }
}
