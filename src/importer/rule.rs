//! One rule of Anubis.

use super::Importer;
use super::condition::Lost;
use super::fields::Fields;
use super::yaml::{comment, scalar};
use crate::document::{Node, Position, choose};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Deny,
    Challenge,
    Weigh,
    Benchmark,
}

pub(super) const ACTIONS: [(&str, Action); 5] = [
    ("ALLOW", Action::Allow),
    ("DENY", Action::Deny),
    ("CHALLENGE", Action::Challenge),
    ("WEIGH", Action::Weigh),
    ("DEBUG_BENCHMARK", Action::Benchmark),
];

const CONDITIONS: [&str; 8] = [
    "user_agent_regex",
    "path_regex",
    "headers_regex",
    "remote_addresses",
    "remote_addresses_url",
    "expression",
    "geoip",
    "asns",
];

const OTHERS: [&str; 4] = ["name", "action", "challenge", "weight"];

/// What a WEIGH rule adds that does not say it.
const DEFAULT_WEIGHT: i32 = 5;

impl Importer {
    /// Carries over one rule.
    pub(super) fn rule(&mut self, node: &Node) {
        let Some(fields) = Fields::of(node, &mut self.notes) else { return };
        fields.note_unknown(&[&CONDITIONS[..], &OTHERS[..]].concat(), &mut self.notes);
        if CONDITIONS.iter().all(|key| fields.get(key).is_none()) {
            self.notes.error(node.position, "a rule needs a condition, such as `user_agent_regex` or `expression`");
        }
        if fields.get("user_agent_regex").is_some() && fields.get("path_regex").is_some() {
            let message = "anubis refuses `user_agent_regex` together with `path_regex`: here, both must hold";
            self.notes.warn(node.position, message);
        }
        let (conditions, lost) = self.conditions(&fields);
        let Some((name, action)) = self.name_and_action(&fields) else { return };
        let mut weight = 0;
        let written = match action {
            Action::Allow => "    action: allow\n".into(),
            Action::Deny => self.deny(),
            Action::Challenge => self.challenge(fields.get("challenge"), node.position),
            Action::Weigh => {
                weight = self.weight(&fields);
                format!("    action: weigh\n    weight: {weight}\n")
            }
            Action::Benchmark => {
                return self.notes.warn(node.position, format!("`{name}` only measures: it is left out"));
            }
        };
        if action == Action::Weigh && weight == 0 {
            return self.notes.warn(node.position, format!("`{name}` adds no weight: it is left out"));
        }
        let opens = action == Action::Allow || weight < 0;
        if self.keep(&lost, opens, conditions.is_empty()) {
            let named = self.named(&name, node.position);
            self.rules.push_str(&named);
            conditions.write(4, &mut self.rules);
            self.rules.push_str(&written);
        }
    }

    /// The beginning of a rule: a comment that says where it comes from, and its name.
    pub(super) fn named(&mut self, original: &str, position: Position) -> String {
        let name = self.name(original);
        let was = if name == original { String::new() } else { format!(" {original}") };
        let origin = comment(&format!("{}:{}{was}", self.notes.file(), position.line));
        format!("  {origin}\n  - name: {}\n", scalar(&name))
    }

    pub(super) fn name_and_action<'n>(&mut self, fields: &Fields<'n>) -> Option<(String, Action)> {
        for key in ["name", "action"] {
            if fields.get(key).is_none() {
                self.notes.error(fields.position, format!("missing key `{key}`"));
            }
        }
        let name = fields.read::<String>("name", "a name", &mut self.notes);
        let action = choose(fields.get("action")?, "action", &ACTIONS, &mut self.notes);
        Some((name?, action?))
    }

    /// Notes what was lost, and says whether the rule stands without it: only where that opens nothing, and where other
    /// conditions are left.
    pub(super) fn keep(&mut self, lost: &[Lost], opens: bool, is_empty: bool) -> bool {
        let stands = !opens && !is_empty;
        let outcome = match (stands, opens) {
            (true, _) => "the rule stands without this condition and meets more requests than there",
            (false, true) => "the rule is left out, since it would let in more than there",
            (false, false) => "the rule is left out, since nothing else says whom it means",
        };
        for Lost { position, reason } in lost {
            self.notes.warn(*position, format!("{reason}: {outcome}"));
        }
        lost.is_empty() || stands
    }

    /// Refuses, with the status of the file.
    pub(super) fn deny(&self) -> String {
        let status = self.deny_status.map(|status| format!("    status: {status}\n"));
        format!("    action: deny\n{}", status.unwrap_or_default())
    }

    fn weight(&mut self, fields: &Fields<'_>) -> i32 {
        let Some(node) = fields.get("weight") else { return DEFAULT_WEIGHT };
        let Some(weight) = Fields::of(node, &mut self.notes) else { return DEFAULT_WEIGHT };
        weight.note_unknown(&["adjust"], &mut self.notes);
        weight.read("adjust", "a whole number", &mut self.notes).unwrap_or(0)
    }

    /// Challenges, in the tier that stands for the difficulty. Without settings Anubis takes `fast` with difficulty 4.
    pub(super) fn challenge(&mut self, node: Option<&Node>, position: Position) -> String {
        self.has_challenges = true;
        let tier = node.map_or("default", |node| self.tier(node, position));
        let tier = if tier == "default" { String::new() } else { format!("    tier: {tier}\n") };
        format!("    action: challenge\n{tier}")
    }

    fn tier(&mut self, node: &Node, position: Position) -> &'static str {
        let Some(fields) = Fields::of(node, &mut self.notes) else { return "default" };
        fields.note_unknown(&["algorithm", "difficulty", "report_as"], &mut self.notes);
        let difficulty = fields.read::<u8>("difficulty", "a number from 0 to 64", &mut self.notes).unwrap_or(0);
        let report = fields.read::<u8>("report_as", "a number from 0 to 64", &mut self.notes).unwrap_or(difficulty);
        let at = |key: &str| fields.get(key).map_or(position, |node| node.position);
        if difficulty > 64 {
            self.notes.error(at("difficulty"), format!("expected a number from 0 to 64, found `{difficulty}`"));
        }
        if report != difficulty {
            let message = format!("`report_as: {report}` is not carried over: nothing is said of the difficulty here");
            self.notes.warn(at("report_as"), message);
        }
        let algorithm = fields.get("algorithm").and_then(Node::text).unwrap_or("fast");
        match algorithm {
            "fast" => {}
            "metarefresh" => {
                let message = "`metarefresh` works without JavaScript; here the client needs it, for the tier `easy`";
                self.notes.warn(at("algorithm"), message);
                return "easy";
            }
            "preact" => {
                self.notes
                    .warn(at("algorithm"), "`preact` asks for no work; here the client does that of the tier `easy`");
                return "easy";
            }
            other => self.notes.warn(at("algorithm"), format!("`{other}` is not known here: it is read as `fast`")),
        }
        match difficulty {
            0..=2 => "easy",
            3..=4 => "default",
            _ => {
                let message = format!("the tier `hard` stands for difficulty {difficulty}, which takes phones minutes");
                self.notes.warn(at("difficulty"), message);
                "hard"
            }
        }
    }
}
