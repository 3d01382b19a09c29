//! Doubts about a policy that is well-formed: rules that can never act, and rules that do more than their author meant.

use super::Effect;
use super::atoms::{AtomId, Builder, Test};
use super::matches::Matcher;
use super::names::Names;
use super::rule::Rule;
use crate::document::Diagnostics;
use crate::verdict::{Action, Mode};

/// More IPv4 addresses than this are nobody's own: a /12.
const CLOUD: u64 = 1 << 20;
/// How many pairs of parts one check compares, about a tenth of a second: nested `any` and `all` could want any number.
/// Rules behind that are not compared.
const STEPS: u32 = 10_000_000;
/// The same of one pair of rules.
const STEPS_OF_A_PAIR: u32 = 100_000;

/// Warns of what probably does not say what its author meant.
pub fn warn(rules: &[Rule], names: &Names, atoms: &Builder, diagnostics: &mut Diagnostics) {
    let mut steps = STEPS;
    for (number, rule) in rules.iter().enumerate() {
        diagnostics.enter(&*rule.file);
        let above = &rules[..number];
        let shadow =
            above.iter().find(|other| ends(other) && surely_implies(&rule.matcher, &other.matcher, &mut steps));
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
}

/// Whether a rule ends the evaluation whenever it matches, for clients with a pass, too.
fn ends(rule: &Rule) -> bool {
    // Switching the policy on must not change which rules are reached: only a rule's own mode counts.
    let held_back = matches!(rule.mode, Some(Mode::Observe | Mode::Auto | Mode::Sample));
    let ending = matches!(rule.effect, Effect::End(Action::Allow | Action::Deny { .. } | Action::Redirect));
    ending && !held_back
}

/// As [`implies`], within what is left of the steps of the whole check.
fn surely_implies(special: &Matcher, general: &Matcher, left: &mut u32) -> bool {
    let allowed = STEPS_OF_A_PAIR.min(*left);
    let mut steps = allowed;
    let implied = implies(special, general, &mut steps);
    *left -= allowed - steps;
    implied
}

/// Whether `general` surely holds wherever `special` does. What never holds implies nothing: that is another doubt, and
/// told where it stands. Says no when it has no `steps` left.
fn implies(special: &Matcher, general: &Matcher, steps: &mut u32) -> bool {
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    match (special, general) {
        (Matcher::Any(parts), _) if parts.is_empty() => false,
        (Matcher::Atom(special), Matcher::Atom(general)) => special == general,
        (_, Matcher::All(parts)) => parts.iter().all(|part| implies(special, part, steps)),
        (Matcher::Any(parts), _) => parts.iter().all(|part| implies(part, general, steps)),
        (_, Matcher::Any(parts)) if parts.iter().any(|part| implies(special, part, steps)) => true,
        (Matcher::All(parts), _) => parts.iter().any(|part| implies(part, general, steps)),
        (Matcher::Not(special), Matcher::Not(general)) => implies(general, special, steps),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_matches_are_compared_within_bounds() {
        let nested = |leaf| {
            (0..24).fold(Matcher::Atom(leaf), |inner, depth| match depth % 2 {
                0 => Matcher::Any(vec![inner.clone(), inner]),
                _ => Matcher::All(vec![inner.clone(), inner]),
            })
        };
        let mut left = STEPS;
        assert!(!surely_implies(&nested(1), &nested(2), &mut left));
        assert_eq!(left, STEPS - STEPS_OF_A_PAIR);
        assert!(surely_implies(&Matcher::Atom(1), &Matcher::Any(vec![Matcher::Atom(1), Matcher::Atom(2)]), &mut left));
        assert!(!surely_implies(&Matcher::Atom(1), &Matcher::Atom(1), &mut 0));
    }

    #[test]
    fn every_match_implies_itself() {
        let (a, b) = (Matcher::Atom(1), Matcher::Atom(2));
        let any = Matcher::Any(vec![a.clone(), Matcher::Not(Box::new(b.clone()))]);
        let all = Matcher::All(vec![any.clone(), b]);
        for matcher in [a, any.clone(), all.clone(), Matcher::Not(Box::new(all)), Matcher::All(Vec::new())] {
            assert!(surely_implies(&matcher, &matcher, &mut STEPS.clone()), "{matcher:?}");
        }
        assert!(!surely_implies(&Matcher::Any(Vec::new()), &any, &mut STEPS.clone()));
    }
}
