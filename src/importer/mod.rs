//! Policies of Anubis, carried over to ours.
//!
//! Read by its source (v1.27, `lib/config` and `lib/policy`): rules are asked in order, the first that is not WEIGH ends
//! the search, thresholds are asked with the weight, and what nothing matches is allowed. What has no counterpart here
//! is never dropped in silence: a note says what was done instead, and where. Where a condition is lost, the outcome is
//! the stricter one. It must not judge whether a policy is wise, and it writes no file.

mod condition;
mod expression;
mod fields;
mod files;
mod re2;
mod rule;
mod setting;
mod threshold;
mod token;
mod yaml;

use crate::document::{Diagnostics, Kind, Node, Position};
use fields::Fields;
use files::{Files, Read};
use std::collections::BTreeSet;
use std::path::Path;

/// A policy that was carried over.
#[derive(Debug)]
pub struct Imported {
    /// Our YAML.
    pub policy: String,
    /// What could not be carried over as it was, and what was done instead. All of them are warnings.
    pub notes: Diagnostics,
}

/// Why nothing was carried over.
#[derive(Debug)]
pub enum Refused {
    /// The file cannot be read.
    Unreadable(String),
    /// Anubis would not accept these files either, or an import cannot be followed.
    Mistakes(Diagnostics),
}

/// Carries over the Anubis policy in `file` and what it imports. `data` is Anubis's data folder, which `(data)` in an
/// import stands for; other imports are relative to the working directory, as there. `read` reads a file.
///
/// # Errors
/// When a file is unreadable or wrong; nothing is carried over then.
pub fn anubis(file: &Path, data: Option<&Path>, read: Read<'_>) -> Result<Imported, Refused> {
    let text = read(file).map_err(Refused::Unreadable)?;
    let mut importer = Importer::new(&file.display().to_string());
    if let Some(documents) = Node::parse_all(&text, &mut importer.notes) {
        importer.policy(&documents, Files::new(file, data, read));
    }
    if importer.notes.error_count() > 0 {
        return Err(Refused::Mistakes(importer.notes));
    }
    Ok(Imported { policy: importer.write(file), notes: importer.notes })
}

/// The top of every policy. Tiers: Anubis asks for N leading zeros, 16^N hashes; its usual 4 keep a browser busy for
/// about half a second, as 1024 does here.
const HEADER: &str = "\
# Read it before you use it:
# - It refuses nobody yet. See what it would do, then say `mode: enforce`.
# - The tier `easy` stands for a difficulty of 0 to 2 and for metarefresh and preact, `default` for 3 and 4, `hard` for
#   5 and more.
# - A client that met a challenge was let in there. Here, the rules below the challenge are asked as well.
# - Where an expression failed, there the request failed. Here, the rule does not match.
# - Several values of a header are joined by `, ` here, by `,` there.
";

#[derive(Default)]
struct Importer {
    notes: Diagnostics,
    names: BTreeSet<String>,
    /// The status of refusals, where it is not ours.
    deny_status: Option<u16>,
    has_challenges: bool,
    has_geoip: bool,
    rules: String,
    thresholds: String,
}

impl Importer {
    fn new(file: &str) -> Self {
        // Reports call the default by this name.
        Importer { notes: Diagnostics::new(file), names: ["default".into()].into(), ..Importer::default() }
    }

    fn policy(&mut self, documents: &[Node], mut files: Files<'_>) {
        let Some(root) = documents.first() else {
            return self.notes.error(Position { line: 1, column: 1 }, "expected a policy, found nothing");
        };
        if let Some(second) = documents.get(1) {
            self.notes.warn(second.position, "a second document: anubis reads the first one only, so it is left out");
        }
        let Some(fields) = Fields::of(root, &mut self.notes) else { return };
        self.settings(&fields);
        match fields.get("bots") {
            Some(list) if !matches!(&list.kind, Kind::List(items) if items.is_empty()) => {
                files.collect(list, &mut self.notes);
            }
            _ => self.notes.error(root.position, "expected at least one rule in `bots`"),
        }
        let main = self.notes.file().to_owned();
        for source in &files.rules {
            self.notes.enter(source.file.clone());
            self.rule(&source.node);
        }
        self.notes.enter(main);
        self.thresholds(fields.get("thresholds"));
    }

    /// A name that reports can show: letters, digits, `-`, `_` and `.`, at most 64 of them, used once.
    fn name(&mut self, text: &str) -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = text.chars().map(legal).take(64).collect();
        let name = Some(name.trim_matches('-')).filter(|name| !name.is_empty()).unwrap_or("rule");
        let numbered = (2..).map(|number| {
            let suffix = format!("-{number}");
            format!("{}{suffix}", &name[..name.len().min(64 - suffix.len())])
        });
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let free = names.find(|name| !self.names.contains(name)).unwrap_or_default();
        self.names.insert(free.clone());
        free
    }

    fn write(&self, file: &Path) -> String {
        let source = yaml::comment(&format!("Carried over from the Anubis policy `{}`.", file.display()));
        let mut policy = format!("{source}\n{HEADER}version: 1\nmode: observe\n");
        for (key, items) in [("rules", &self.rules), ("thresholds", &self.thresholds)] {
            if !items.is_empty() {
                policy.push_str(&format!("{key}:\n{items}"));
            }
        }
        policy.push_str("default: {action: allow}\n");
        if self.has_challenges {
            policy.push_str("challenge:\n  tiers: {easy: 256, default: 1024, hard: 4096}\n");
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            expression in r#"([a-z.()\[\]{},'"\\&|<=+ é0-9-]|headers|matches\(|r'|"\\|"""|exists\(){0,30}"#,
            regex in r#"([a-zé0-9?*+{},\[\]()^$|\\-]|\[:|:\]|\\[QEpPx]|\(\?P?<){0,30}"#,
        ) {
            let _ = expression::translate(&expression, expression::REQUEST);
            let _ = re2::translate(&regex);
        }
    }

    #[test]
    fn names_are_legal_and_used_once() {
        let mut importer = Importer::new("x");
        let long = "x".repeat(70);
        let cases = [
            ("a b/c", "a-b-c"),
            ("a-b-c", "a-b-c-2"),
            ("a b c", "a-b-c-3"),
            ("default", "default-2"),
            ("", "rule"),
            ("é!", "rule-2"),
            (&long, &long[..64]),
            (&long, &format!("{}-2", &long[..62])),
        ];
        for (text, name) in cases {
            assert_eq!(importer.name(text), name, "{text}");
        }
    }
}
