//! The conditions of a rule of Anubis.

use super::Importer;
use super::expression::{Expression, REQUEST, translate};
use super::fields::{Fields, items, read};
use super::re2;
use super::yaml::{Match, Value, scalar};
use crate::document::{HeaderName, Node, Position};
use crate::network::IpNet;
use crate::policy::check_expression;
use std::collections::BTreeSet;

/// A condition that cannot be carried over.
pub(super) struct Lost {
    /// Where it stands.
    pub position: Position,
    /// Why.
    pub reason: String,
}

impl Importer {
    /// The conditions of a rule, and those that have no counterpart.
    pub(super) fn conditions(&mut self, fields: &Fields<'_>) -> (Match, Vec<Lost>) {
        let mut conditions = Match::default();
        let mut lost = Vec::new();
        if let Some(node) = fields.get("remote_addresses") {
            conditions.push("prefix", Value::List(self.prefixes(node)));
        }
        if let Some(node) = fields.get("remote_addresses_url") {
            let reason = format!("addresses are not fetched from {}: take them up in `networks`", node.describe());
            lost.push(Lost { position: node.position, reason });
        }
        if let Some(regex) = fields.get("user_agent_regex").and_then(|node| self.regex(node)) {
            // There, a User-Agent that is not sent is an empty one.
            let written = format!("{{regex: {}}}", scalar(regex.as_str()));
            match regex.is_match("") {
                true => conditions.push("any", either("user_agent", &written, "user-agent")),
                false => conditions.push("user_agent", Value::Inline(written)),
            }
        }
        if let Some(regex) = fields.get("path_regex").and_then(|node| self.regex(node)) {
            conditions.push("path", Value::Inline(format!("{{regex: {}}}", scalar(regex.as_str()))));
        }
        if let Some(node) = fields.get("headers_regex") {
            self.headers(node, &mut conditions);
        }
        let expression = fields.get("expression").and_then(|node| self.expression(node, REQUEST, &mut lost));
        if let Some(text) = expression {
            conditions.push("when", Value::Inline(scalar(&text)));
        }
        if let Some(countries) = self.list(fields, "geoip", "countries") {
            let country = |node: &Node| {
                let text = node.text().filter(|text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()));
                if text.is_none() {
                    let message = format!("expected a country such as `BR`, found {}", node.describe());
                    self.notes.error(node.position, message);
                }
                // `NO` is a truth value to some readers of YAML.
                text.map(|text| format!("'{}'", text.to_ascii_uppercase()))
            };
            conditions.push("country", Value::List(countries.iter().filter_map(country).collect()));
        }
        if let Some(systems) = self.list(fields, "asns", "match") {
            let system = |node| read::<u32>(node, "the number of an autonomous system", &mut self.notes);
            let systems = systems.iter().filter_map(system).map(|number| number.to_string());
            conditions.push("asn", Value::List(systems.collect()));
        }
        (conditions, lost)
    }

    /// The list under `key` and `inner`.
    fn list<'n>(&mut self, fields: &Fields<'n>, key: &str, inner: &str) -> Option<&'n [Node]> {
        let node = fields.get(key)?;
        let within = Fields::of(node, &mut self.notes)?;
        within.note_unknown(&[inner], &mut self.notes);
        if !std::mem::replace(&mut self.has_geoip, true) {
            self.notes.warn(node.position, "this needs the databases that `geoip` in gateway.yaml names");
        }
        Some(within.get(inner).map_or(&[], |list| items(list, &mut self.notes)))
    }

    fn regex(&mut self, node: &Node) -> Option<regex::Regex> {
        let Some(text) = node.text() else {
            self.notes.error(node.position, format!("expected an expression, found {}", node.describe()));
            return None;
        };
        if text.ends_with('\n') {
            let message = "anubis refuses an expression that ends in a line break: it is left out (write `>-` for `>`)";
            self.notes.warn(node.position, message);
        }
        // There, white space around it does not count.
        let translated = re2::translate(text.trim());
        let compiled = translated.and_then(|regex| regex::Regex::new(&regex).map_err(|error| error.to_string()));
        compiled.map_err(|reason| self.notes.error(node.position, format!("`{text}` is no expression: {reason}"))).ok()
    }

    fn prefixes(&mut self, node: &Node) -> Vec<String> {
        let mut prefixes = Vec::new();
        for item in items(node, &mut self.notes) {
            let wanted = "a CIDR block such as `192.0.2.0/24`";
            let Some(block) = read::<IpNet>(item, wanted, &mut self.notes) else { continue };
            let whole = block.trunc();
            if whole != block {
                let message = format!("`{block}` is in the middle of a block: `{whole}` is meant, as there");
                self.notes.warn(item.position, message);
            }
            prefixes.push(scalar(&whole.to_string()));
        }
        prefixes
    }

    fn headers(&mut self, node: &Node, conditions: &mut Match) {
        let Some(fields) = Fields::of(node, &mut self.notes) else { return };
        let mut seen = BTreeSet::new();
        let mut written = Vec::new();
        let mut others = Vec::new();
        for (name, position, node) in fields.entries() {
            let Ok(name) = name.trim().parse().map(HeaderName) else {
                self.notes.error(position, format!("expected the name of an HTTP header, found `{name}`"));
                continue;
            };
            let name = name.0.to_string();
            let test = match node.text() {
                // There, `.*` means that the header has a value.
                Some(".*") => "true".to_owned(),
                _ => {
                    let Some(regex) = self.regex(node) else { continue };
                    let test = format!("{{regex: {}}}", scalar(regex.as_str()));
                    if regex.is_match("") {
                        // There, a header that is not sent is an empty one.
                        others.push(("any", either("header", &format!("{{{name}: {test}}}"), &name)));
                        continue;
                    }
                    test
                }
            };
            match seen.insert(name.clone()) {
                true => written.push(format!("{name}: {test}")),
                false => others.push(("header", Value::Inline(format!("{{{name}: {test}}}")))),
            }
        }
        if !written.is_empty() {
            conditions.push("header", Value::Inline(format!("{{{}}}", written.join(", "))));
        }
        others.into_iter().for_each(|(key, value)| conditions.push(key, value));
    }

    /// An expression, or a list of which all or any must hold. Of those that must all hold, the ones that have no
    /// counterpart are left out and become `lost`; elsewhere, one that is lost takes the whole with it.
    pub(super) fn expression(
        &mut self,
        node: &Node,
        variables: &[(&str, &str)],
        lost: &mut Vec<Lost>,
    ) -> Option<String> {
        if let Some(text) = node.text() {
            let found = translate(text, variables);
            let Expression { text, never } =
                found.map_err(|reason| lost.push(Lost { position: node.position, reason })).ok()?;
            for name in never {
                let message = format!("anubis never finds a header by the name `{name}`, nor does this policy");
                self.notes.warn(node.position, message);
            }
            return Some(text);
        }
        let fields = Fields::of(node, &mut self.notes)?;
        fields.note_unknown(&["all", "any"], &mut self.notes);
        let (list, operator) = match (fields.get("all"), fields.get("any")) {
            (Some(list), None) => (list, " && "),
            (None, Some(list)) => (list, " || "),
            _ => {
                self.notes.error(node.position, "an expression is a text, or has either `all` or `any`");
                return None;
            }
        };
        let list = items(list, &mut self.notes);
        if list.is_empty() {
            self.notes.error(node.position, "expected at least one expression");
        }
        let parts: Vec<String> = list.iter().filter_map(|item| self.expression(item, variables, lost)).collect();
        match &parts[..] {
            [] => None,
            parts if operator == " || " && parts.len() < list.len() => None,
            [one] => Some(one.clone()),
            parts => {
                let text = parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(operator);
                // Each of them is good, but together they may be too long.
                let found = check_expression(&text);
                found.map_err(|reason| lost.push(Lost { position: node.position, reason })).ok()?;
                Some(text)
            }
        }
    }
}

/// Holds where `key` meets `test`, and where the header is not sent.
fn either(key: &str, test: &str, header: &str) -> Value {
    Value::List(vec![format!("{{{key}: {test}}}"), format!("{{header: {{{header}: false}}}}")])
}
