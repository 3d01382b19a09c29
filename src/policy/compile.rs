//! From the sections of policy files to a [`Policy`].

use super::atoms::Builder;
use super::index::Index;
use super::matches::Compiler;
use super::names::Names;
use super::networks::Networks;
use super::request::Scratch;
use super::rule::{RuleSettings, Section};
use super::schema::matches;
use super::{Policy, Sample, warnings};
use crate::document::{Decode, Diagnostics, Node, Position, Spanned, check_name};
use crate::verdict::{Class, Mode, RUNTIME_BLOCK};
use regex_automata::util::pool::Pool;

/// The rules of one file. Those of imported files come before those of the file that imports them.
#[derive(Debug)]
pub struct Fragment<'s> {
    /// The file's name.
    pub file: &'s str,
    /// The `classes` section.
    pub classes: &'s [Node],
    /// The `rules` section.
    pub rules: &'s [Spanned<RuleSettings>],
    /// The `thresholds` section.
    pub thresholds: &'s [Spanned<RuleSettings>],
}

crate::settings! {
    /// One line of the `classes` section.
    pub struct ClassSettings {
        /// The class that matching clients get.
        class: Class,
        /// What it applies to.
        #[schema(matches)]
        r#match: Node,
    }
}

impl Policy {
    /// Compiles the sections of policy files; `default` stands in the file of the last fragment. Every mistake goes to
    /// `diagnostics`, and so do doubts about rules that can never act.
    pub fn compile(
        mode: Mode,
        fragments: &[Fragment<'_>],
        default: &Spanned<RuleSettings>,
        names: &Names,
        diagnostics: &mut Diagnostics,
    ) -> Option<Policy> {
        let mut atoms = Builder::default();
        let mut good = true;
        let mut classes = Vec::new();
        let (mut rules, mut thresholds) = (Vec::new(), Vec::new());
        let mut seen: Vec<(&str, &str, Position)> = Vec::new();
        let outer = diagnostics.file().to_owned();
        for fragment in fragments {
            diagnostics.enter(fragment.file);
            for node in fragment.classes {
                let class = ClassSettings::decode(node, diagnostics).and_then(|settings| {
                    let mut compiler = Compiler { names, atoms: &mut atoms, diagnostics, deciding_class: true };
                    Some((settings.class, compiler.matcher(&settings.r#match)?))
                });
                good &= class.is_some();
                classes.extend(class);
            }
            let both = [(fragment.rules, Section::Rules), (fragment.thresholds, Section::Thresholds)];
            for (settings, section) in both {
                for Spanned { position, value } in settings {
                    let Some(name) = &value.name else {
                        diagnostics.error(*position, "missing key `name`: a rule's name appears in every report");
                        continue;
                    };
                    check_name(&name.value, name.position, diagnostics);
                    let first = seen.iter().find(|(known, ..)| *known == name.value);
                    if name.value == "default" {
                        diagnostics.error(name.position, "a rule cannot be named `default`: that is what remains");
                    } else if name.value == RUNTIME_BLOCK {
                        let message = format!("a rule cannot be named `{RUNTIME_BLOCK}`: that is what operators do");
                        diagnostics.error(name.position, message);
                    } else if let Some((_, file, place)) = first {
                        let place = format!("the first is at {file}:{}:{}", place.line, place.column);
                        diagnostics.error(name.position, format!("a second rule named `{}`: {place}", name.value));
                    }
                    seen.push((&name.value, fragment.file, name.position));
                    let rule = value.compile(&name.value, section, *position, names, &mut atoms, diagnostics);
                    good &= rule.is_some();
                    if section == Section::Rules { &mut rules } else { &mut thresholds }.extend(rule);
                }
            }
        }
        let given = [(default.value.r#match.0.is_some(), "match"), (default.value.name.is_some(), "name")];
        for (_, key) in given.into_iter().filter(|(given, _)| *given) {
            diagnostics.error(default.position, format!("the default has no `{key}`: it is what remains"));
        }
        let default =
            default.value.compile("default", Section::Default, default.position, names, &mut atoms, diagnostics);
        let (rule_count, threshold_count) = (rules.len(), thresholds.len());
        rules.extend(thresholds);
        rules.push(default?);
        good &= rules.len() == rule_count + threshold_count + 1;
        warnings::warn(&rules, names, &atoms, diagnostics);
        diagnostics.enter(outer);
        if !good {
            return None;
        }

        let class_index = Index::new(classes.iter().map(|(_, matcher)| matcher), &atoms);
        let rule_index = Index::new(rules.iter().map(|rule| &rule.matcher), &atoms);
        let networks = names.network_parts();
        let atoms = match atoms.build(networks.len()) {
            Ok(atoms) => atoms,
            Err(message) => {
                diagnostics.error(Position { line: 1, column: 1 }, message);
                return None;
            }
        };
        let template = Scratch::new(&atoms, classes.len(), rules.len());
        Some(Policy {
            mode,
            sample: Sample::default(),
            atoms,
            networks: Networks::new(networks),
            classes,
            class_index,
            classes_section: "classes".into(),
            rules,
            rule_index,
            scratch: Pool::new(Box::new(move || template.clone())),
        })
    }
}
