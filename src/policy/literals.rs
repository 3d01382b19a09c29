//! Which literals must occur in a text so that an expression can match it.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{Extractor, Literal};
use regex_syntax::hir::{Class, Hir, HirKind};

/// More alternatives than this filter little.
const MAX_ALTERNATIVES: usize = 32;

/// Sets of texts, of each of which at least one occurs, in some ASCII letter case, wherever `expression` matches; in lower
/// case. A text that is so short that it occurs everywhere is in none of them. `ascii` says that texts hold nothing else.
pub fn required_literals(expression: &str, ascii: bool) -> Vec<Vec<String>> {
    let Ok(hir) = ParserBuilder::new().utf8(false).build().parse(expression) else { return Vec::new() };
    let mut sets = candidates(&hir, ascii);
    sets.retain(|literals| worth(literals) > 1);
    for literals in &mut sets {
        literals.sort();
        literals.dedup();
    }
    sets
}

/// Whether an anchored expression wants something else than a slash at the beginning.
pub fn never_begins_with_slash(expression: &str) -> bool {
    let Ok(hir) = ParserBuilder::new().utf8(false).build().parse(expression) else { return false };
    let anchored = hir.properties().look_set_prefix().contains(regex_syntax::hir::Look::Start);
    let first = Extractor::new().extract(&hir);
    let wants = |literal: &Literal| literal.as_bytes().first().is_some_and(|byte| *byte != b'/');
    anchored && first.literals().is_some_and(|literals| literals.iter().all(wants))
}

/// How well a set filters by itself: by its shortest literal.
pub fn worth(literals: &[String]) -> usize {
    literals.iter().map(String::len).min().unwrap_or(0)
}

fn best(hir: &Hir, ascii: bool) -> Option<Vec<String>> {
    candidates(hir, ascii).into_iter().max_by_key(|literals| worth(literals)).filter(|literals| worth(literals) > 0)
}

fn candidates(hir: &Hir, ascii: bool) -> Vec<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => piece(hir, ascii).map(|text| vec![text]).into_iter().collect(),
        HirKind::Capture(capture) => candidates(&capture.sub, ascii),
        HirKind::Repetition(repetition) if repetition.min > 0 => candidates(&repetition.sub, ascii),
        HirKind::Alternation(parts) => {
            let sets: Option<Vec<_>> = parts.iter().map(|part| best(part, ascii)).collect();
            let all = sets.map(|sets| sets.concat()).filter(|all| all.len() <= MAX_ALTERNATIVES);
            all.into_iter().collect()
        }
        HirKind::Concat(parts) => {
            // Neighbouring characters make one literal.
            let mut sets = Vec::new();
            let mut run = String::new();
            for part in parts {
                match piece(part, ascii) {
                    Some(text) => run.push_str(&text),
                    None => {
                        sets.push(vec![std::mem::take(&mut run)]);
                        sets.extend(candidates(part, ascii));
                    }
                }
            }
            sets.push(vec![run]);
            sets
        }
        _ => Vec::new(),
    }
}

/// The text of a literal, or of a class that is one letter in both cases.
fn piece(hir: &Hir, ascii: bool) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_ascii_lowercase),
        HirKind::Class(class) => {
            let mut letter = None;
            let mut take = |c: char| {
                let same = letter.is_none_or(|known: char| known.eq_ignore_ascii_case(&c));
                letter = Some(c.to_ascii_lowercase());
                same
            };
            let is_letter = match class {
                Class::Unicode(class) => class.iter().all(|range| match (range.start(), range.end()) {
                    // The Kelvin sign is a k in another case, for example.
                    (start, _) if ascii && !start.is_ascii() => true,
                    (start, end) => start == end && take(start),
                }),
                Class::Bytes(class) => class.iter().all(|range| {
                    range.start() == range.end() && range.start().is_ascii() && take(char::from(range.start()))
                }),
            };
            letter.filter(|_| is_letter).map(String::from)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_needs_its_literals() {
        let cases: [(&str, &[&[&str]]); 16] = [
            ("GPTBot", &[&["gptbot"]]),
            (r"^/pr-\d+/", &[&["/pr-"]]),
            ("(?i)skipbot/[0-9]", &[&["skipbot/"]]),
            ("(?:curl|wget)/", &[&["curl", "wget"]]),
            ("(one|two)+x?", &[&["one", "two"]]),
            ("(one|two)?x", &[]),
            (r"^.*\.png$", &[&[".png"]]),
            (".", &[]),
            ("a|", &[]),
            ("[a-z]{5}", &[]),
            ("x", &[]),
            ("[xX][yY]", &[&["xy"]]),
            ("(?i-u)ok", &[&["ok"]]),
            (r"(?-u)^/a/[^/]*\.log$", &[&["/a/"], &[".log"]]),
            ("(?i)mozilla.*(spider|probe)[0-9]+ x", &[&["mozilla"], &["probe", "spider"], &[" x"]]),
            ("(ab.cde|f)g", &[]),
        ];
        for (expression, expected) in cases {
            assert_eq!(required_literals(expression, true), expected, "{expression}");
        }
        assert!(required_literals("(?i)ks", false).is_empty(), "the Kelvin sign is a k in paths");
        assert_eq!(required_literals("(?i)ks", true), [["ks"]]);
    }

    #[test]
    fn a_path_begins_with_a_slash() {
        for (expression, never) in
            [("^rhel", true), ("^/rhel", false), ("rhel", false), ("^(a|b)/", true), ("^.", false), ("^(a|/b)", false)]
        {
            assert_eq!(never_begins_with_slash(expression), never, "{expression}");
        }
    }
}
