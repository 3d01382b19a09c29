//! Thresholds of Anubis: what is done with a weight.

use super::Importer;
use super::expression::WEIGHT;
use super::fields::{Fields, items};
use super::rule::Action;
use super::token::tokens;
use super::yaml::{Match, Value, comment, scalar};
use crate::document::{Kind, Node};
use std::fmt::Write;

/// Weights from the first number on, below the second.
type Range = (Option<i64>, Option<i64>);

impl Importer {
    /// Carries over the thresholds, or Anubis's own where the file has none.
    pub(super) fn thresholds(&mut self, node: Option<&Node>) {
        let list = node.map_or(&[][..], |node| items(node, &mut self.notes));
        for item in list {
            self.threshold(item);
        }
        if list.is_empty() {
            // `DefaultThresholds` in lib/config/threshold.go.
            let name = self.name("legacy-anubis-behaviour");
            let action = self.challenge(None, Default::default());
            let origin = comment("built in there, since the file has no thresholds");
            let _ = write!(self.thresholds, "  {origin}\n  - name: {name}\n    weight: {{at_least: 1}}\n{action}");
        }
    }

    fn threshold(&mut self, node: &Node) {
        let Some(fields) = Fields::of(node, &mut self.notes) else { return };
        fields.note_unknown(&["name", "expression", "action", "challenge"], &mut self.notes);
        let Some((name, action)) = self.name_and_action(&fields) else { return };
        let Some(expression) = fields.get("expression") else {
            return self.notes.error(node.position, "missing key `expression`");
        };
        let written = match action {
            Action::Allow => "    action: allow\n".into(),
            Action::Deny => self.deny(),
            Action::Challenge if fields.get("challenge").is_none() => {
                return self.notes.error(node.position, "missing key `challenge`");
            }
            Action::Challenge => self.challenge(fields.get("challenge"), node.position),
            Action::Weigh => return self.notes.error(node.position, "a threshold cannot add weight"),
            Action::Benchmark => {
                return self.notes.warn(node.position, format!("`{name}` only measures: it is left out"));
            }
        };
        let mut conditions = Match::default();
        let range = match range(expression) {
            Some((None, None)) => any_weight(),
            Some((Some(least), None)) => format!("    weight: {{at_least: {least}}}\n"),
            Some((None, Some(below))) => format!("    weight: {{below: {below}}}\n"),
            Some((Some(least), Some(below))) => format!("    weight: {{at_least: {least}, below: {below}}}\n"),
            None => {
                let mut lost = Vec::new();
                if let Some(text) = self.expression(expression, WEIGHT, &mut lost) {
                    conditions.push("when", Value::Inline(scalar(&text)));
                }
                if !self.keep(&lost, action == Action::Allow, conditions.is_empty()) {
                    return;
                }
                self.notes.warn(expression.position, "this is no range of weights: it is carried over as `when`");
                any_weight()
            }
        };
        let named = self.named(&name, node.position);
        let _ = write!(self.thresholds, "{named}{range}");
        conditions.write(4, &mut self.thresholds);
        self.thresholds.push_str(&written);
    }
}

/// The range of all weights: a threshold without one is refused.
fn any_weight() -> String {
    format!("    weight: {{at_least: {}}}  # any\n", i64::MIN)
}

/// The range that an expression means, when it is nothing but comparisons that must all hold.
fn range(node: &Node) -> Option<Range> {
    if let Some(text) = node.text() {
        return comparisons(text);
    }
    let Kind::Map(entries) = &node.kind else { return None };
    let [(key, _, list)] = &entries[..] else { return None };
    let Kind::List(items) = &list.kind else { return None };
    if key != "all" || items.is_empty() {
        return None;
    }
    items.iter().map(range).try_fold((None, None), |range, next| both(range, next?))
}

fn comparisons(text: &str) -> Option<Range> {
    let text: String = tokens(text).ok()?.iter().map(|token| token.text.as_str()).collect();
    if text == "true" {
        return Some((None, None));
    }
    text.split("&&").try_fold((None, None), |range, part| {
        let bare = part.strip_prefix('(').and_then(|part| part.strip_suffix(')')).unwrap_or(part);
        let rest = bare.strip_prefix("weight")?;
        let (operator, number) = rest.split_at(rest.find(|c: char| c.is_ascii_digit() || c == '-')?);
        let number: i64 = number.parse().ok()?;
        let next = number.checked_add(1)?;
        let found = match operator {
            ">=" => (Some(number), None),
            ">" => (Some(next), None),
            "<" => (None, Some(number)),
            "<=" => (None, Some(next)),
            "==" => (Some(number), Some(next)),
            _ => return None,
        };
        both(range, found)
    })
}

/// What is in both ranges; `None` when nothing is.
fn both(one: Range, other: Range) -> Option<Range> {
    let least = one.0.max(other.0);
    let below = [one.1, other.1].into_iter().flatten().min();
    (least.zip(below).is_none_or(|(least, below)| least < below)).then_some((least, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_ranges() {
        let cases = [
            ("weight > 0", Some((Some(1), None))),
            ("weight <= 0", Some((None, Some(1)))),
            ("weight >= 10 && weight < 20", Some((Some(10), Some(20)))),
            ("(weight >= -10) && (weight < 20) && weight < 5", Some((Some(-10), Some(5)))),
            ("weight == 5", Some((Some(5), Some(6)))),
            ("true", Some((None, None))),
            ("weight > 5 && weight < 5", None),
            ("weight != 5", None),
            ("weight > 5 || weight < 3", None),
            ("weight >= 1.5", None),
            ("weight > 9223372036854775807", None),
            ("10 < weight", None),
            ("weight", None),
        ];
        for (text, expected) in cases {
            assert_eq!(comparisons(text), expected, "{text}");
        }
    }
}
