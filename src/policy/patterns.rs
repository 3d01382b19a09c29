//! Many patterns over one text, found in one pass.
//!
//! Exact texts are looked up, prefixes searched, literals found by one Aho-Corasick automaton. A regular expression that
//! can only match where some literal occurs is tried only there (the idea of RE2's FilteredRE2); the others run together
//! as one automaton. So the time hardly depends on the number of patterns.

use super::literals::{required_literals, worth};
use crate::document::regex_fault;
use crate::hashing::QuickMap;
use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Input as AcInput};
use regex_automata::MatchKind;
use regex_automata::meta::{self, Regex};
use regex_automata::util::syntax;
use regex_automata::{Input, PatternSet};
use std::cmp::Reverse;
use std::collections::HashMap;

/// What a pattern stands for; the caller's number for it.
pub type PatternId = u32;

/// Compiled expressions of one policy together may take so much memory.
const NFA_LIMIT: usize = 64 << 20;
const CACHE: usize = 4 << 20;
/// What browsers say in their User-Agents: no such literal tells requests apart.
const COMMON: &str = "mozilla/5.0 (x11; linux x86_64; windows nt 10.0; win64; macintosh; intel mac os x; iphone; android; \
    mobile; compatible; rv: applewebkit/537.36 (khtml, like gecko) version/ chrome/ safari/ firefox/ edg/ +https://";

/// Collects patterns.
#[derive(Debug, Default)]
pub struct Builder {
    exact: Vec<(String, PatternId)>,
    prefixes: Vec<(String, PatternId)>,
    extensions: Vec<(String, PatternId)>,
    contained: Vec<(String, PatternId)>,
    regexes: Vec<(String, PatternId)>,
}

impl Builder {
    /// The whole text.
    pub fn exact(&mut self, text: &str, id: PatternId) {
        self.exact.push((text.to_owned(), id));
    }

    /// The beginning of the text.
    pub fn prefix(&mut self, text: &str, id: PatternId) {
        self.prefixes.push((text.to_owned(), id));
    }

    /// What stands behind a dot of the last segment of a path, to its end.
    pub fn extension(&mut self, text: &str, id: PatternId) {
        self.extensions.push((text.to_owned(), id));
    }

    /// Anywhere in the text, in any ASCII letter case.
    pub fn contained(&mut self, text: &str, id: PatternId) {
        self.contained.push((text.to_owned(), id));
    }

    /// An expression that [`compile_regex`] accepts, found anywhere.
    pub fn regex(&mut self, expression: &str, id: PatternId) {
        self.regexes.push((expression.to_owned(), id));
    }

    /// Compiles the patterns. `ascii` says that texts never hold anything else, as header values do not.
    ///
    /// # Errors
    /// When the automata would be too large, in words for the operator.
    pub fn build(self, ascii: bool) -> Result<Patterns, String> {
        let mut literals = Vec::new();
        let mut found = Vec::new();
        for (text, id) in self.contained {
            literals.push(text.to_ascii_lowercase());
            found.push(Found::Pattern(id));
        }
        let (mut filtered, mut unfiltered, mut unfiltered_ids) = (Vec::new(), Vec::new(), Vec::new());
        let mut size = 0;
        let required: Vec<_> = self.regexes.iter().map(|(text, _)| required_literals(text, ascii)).collect();
        for ((expression, id), required) in self.regexes.into_iter().zip(rarest(&required)) {
            match required {
                Some(required) => {
                    found.extend(required.iter().map(|_| Found::Try(filtered.len())));
                    literals.extend(required);
                    let regex = compile_regex(&expression)?;
                    size += regex.memory_usage();
                    if size > NFA_LIMIT {
                        return Err("the expressions are too large together, use fewer".into());
                    }
                    filtered.push((regex, id));
                }
                None => {
                    unfiltered.push(expression);
                    unfiltered_ids.push(id);
                }
            }
        }
        // A DFA of many patterns takes more memory than it saves time: its table no longer fits into a cache.
        let kind = if literals.len() <= 1000 { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let automaton = match literals.len() {
            0 => None,
            _ => Some(
                AhoCorasick::builder()
                    .ascii_case_insensitive(true)
                    .kind(Some(kind))
                    .build(&literals)
                    .map_err(|error| format!("the patterns are too large together, use fewer: {error}"))?,
            ),
        };
        let unfiltered = match &unfiltered[..] {
            [] => None,
            [alone] => Some((compile_regex(alone)?, unfiltered_ids)),
            _ => Some((compile_many(&unfiltered)?, unfiltered_ids)),
        };
        Ok(Patterns {
            exact: grouped(self.exact),
            prefixes: Prefixes::new(self.prefixes),
            extensions: grouped(self.extensions),
            automaton,
            found,
            filtered,
            unfiltered,
        })
    }
}

/// Of the sets of each expression, one that is not common and that the fewest other expressions need: where its literals
/// occur, few are tried in vain. Among those the one with the longest literals.
fn rarest(required: &[Vec<Vec<String>>]) -> Vec<Option<Vec<String>>> {
    let mut users: HashMap<&str, usize> = HashMap::new();
    for literal in required.iter().flatten().flatten() {
        *users.entry(literal).or_default() += 1;
    }
    let is_common = |set: &[String]| set.iter().any(|literal| COMMON.contains(literal.as_str()));
    let shared = |set: &[String]| set.iter().map(|literal| users[literal.as_str()]).max();
    let key = |set: &Vec<String>| (is_common(set), shared(set), Reverse(worth(set)));
    required.iter().map(|sets| sets.iter().min_by_key(|set| key(set)).cloned()).collect()
}

fn grouped(entries: Vec<(String, PatternId)>) -> QuickMap<Box<str>, Vec<PatternId>> {
    let mut groups: QuickMap<Box<str>, Vec<PatternId>> = QuickMap::default();
    for (text, id) in entries {
        groups.entry(text.into()).or_default().push(id);
    }
    groups
}

/// What an occurrence of a literal means.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// The pattern matches.
    Pattern(PatternId),
    /// The expression of this index may match.
    Try(usize),
}

/// Compiled patterns.
#[derive(Debug, Default)]
pub struct Patterns {
    exact: QuickMap<Box<str>, Vec<PatternId>>,
    prefixes: Prefixes,
    extensions: QuickMap<Box<str>, Vec<PatternId>>,
    automaton: Option<AhoCorasick>,
    found: Vec<Found>,
    filtered: Vec<(Regex, PatternId)>,
    unfiltered: Option<(Regex, Vec<PatternId>)>,
}

impl Patterns {
    /// Memory for [`Patterns::find`], to be used again.
    pub fn scratch(&self) -> PatternScratch {
        PatternScratch {
            tried: Vec::with_capacity(self.filtered.len().min(64)),
            set: PatternSet::new(self.unfiltered.as_ref().map_or(0, |(_, ids)| ids.len())),
        }
    }

    /// Reports every pattern that matches `text`, some more than once.
    pub fn find(&self, text: &str, scratch: &mut PatternScratch, mut report: impl FnMut(PatternId)) {
        if !self.exact.is_empty() {
            self.exact.get(text).into_iter().flatten().for_each(|id| report(*id));
        }
        self.prefixes.find(text, &mut report);
        if !self.extensions.is_empty() {
            let name = text.rsplit('/').next().unwrap_or_default();
            for (dot, _) in name.match_indices('.') {
                self.extensions.get(&name[dot + 1..]).into_iter().flatten().for_each(|id| report(*id));
            }
        }
        if let Some(automaton) = &self.automaton {
            scratch.tried.clear();
            let mut state = OverlappingState::start();
            let input = AcInput::new(text);
            loop {
                // Only an anchored search, or another kind of automaton, fails.
                if automaton.try_find_overlapping(input.clone(), &mut state).is_err() {
                    break;
                }
                let Some(occurrence) = state.get_match() else { break };
                match self.found[occurrence.pattern().as_usize()] {
                    Found::Pattern(id) => report(id),
                    Found::Try(index) if scratch.tried.contains(&index) => {}
                    Found::Try(index) => {
                        scratch.tried.push(index);
                        let (regex, id) = &self.filtered[index];
                        if regex.is_match(text) {
                            report(*id);
                        }
                    }
                }
            }
        }
        let Some((regex, ids)) = &self.unfiltered else { return };
        if let [alone] = ids[..] {
            // To know whether there is a match takes a fraction of the time that it takes to know of which.
            if regex.is_match(text) {
                report(alone);
            }
        } else {
            scratch.set.clear();
            regex.which_overlapping_matches(&Input::new(text), &mut scratch.set);
            scratch.set.iter().for_each(|pattern| report(ids[pattern.as_usize()]));
        }
    }
}

/// Memory that a search uses.
#[derive(Debug, Clone)]
pub struct PatternScratch {
    tried: Vec<usize>,
    set: PatternSet,
}

/// Prefixes in sorted order, each with the longest other one that is a prefix of it.
#[derive(Debug, Default)]
struct Prefixes(Vec<Prefix>);

#[derive(Debug)]
struct Prefix {
    text: Box<str>,
    parent: Option<usize>,
    ids: Vec<PatternId>,
}

impl Prefixes {
    fn new(mut entries: Vec<(String, PatternId)>) -> Self {
        entries.sort();
        let mut prefixes: Vec<Prefix> = Vec::new();
        for (text, id) in entries {
            let mut parent = prefixes.len().checked_sub(1);
            if let Some(last) = prefixes.last_mut().filter(|last| *last.text == *text) {
                last.ids.push(id);
                continue;
            }
            while let Some(index) = parent.filter(|index| !text.starts_with(&*prefixes[*index].text)) {
                parent = prefixes[index].parent;
            }
            prefixes.push(Prefix { text: text.into(), parent, ids: vec![id] });
        }
        Prefixes(prefixes)
    }

    /// The longest prefix of `text` is the last one that does not sort behind it, or an ancestor of that one.
    fn find(&self, text: &str, report: &mut impl FnMut(PatternId)) {
        let mut at = self.0.partition_point(|prefix| *prefix.text <= *text).checked_sub(1);
        while let Some(index) = at {
            let prefix = &self.0[index];
            if text.starts_with(&*prefix.text) {
                prefix.ids.iter().for_each(|id| report(*id));
            }
            at = prefix.parent;
        }
    }
}

fn builder(kind: MatchKind) -> meta::Builder {
    let mut builder = Regex::builder();
    // Globs become expressions over bytes.
    builder.syntax(syntax::Config::new().utf8(false));
    let config = Regex::config().utf8_empty(false).match_kind(kind);
    builder.configure(config.nfa_size_limit(Some(NFA_LIMIT)).hybrid_cache_capacity(CACHE));
    builder
}

fn compile_many(expressions: &[String]) -> Result<Regex, String> {
    let built = builder(MatchKind::All).build_many(expressions);
    built.map_err(|error| format!("the expressions are too large together, use fewer: {error}"))
}

/// Compiles one expression of the `regex` crate's syntax: no look-around, no back-references, linear time.
///
/// # Errors
/// When it is none, with the reason alone.
pub fn compile_regex(expression: &str) -> Result<Regex, String> {
    builder(MatchKind::LeftmostFirst).build(expression).map_err(|error| match error.syntax_error() {
        Some(syntax) => regex_fault(&syntax.to_string()).to_owned(),
        None => format!("{error}: write a smaller one"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One pattern by itself.
    type Alone = Box<dyn Fn(&str) -> bool>;

    fn found(patterns: &Patterns, text: &str) -> Vec<PatternId> {
        let mut ids = Vec::new();
        patterns.find(text, &mut patterns.scratch(), |id| ids.push(id));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    #[test]
    fn an_expression_is_tried_where_its_rarest_literal_occurs() {
        let expressions = ["(?i)mozilla.*probe", "^/a/.*log[.]", "^/bb/.*log[.]", "[0-9]"];
        let chosen = rarest(&expressions.map(|expression| required_literals(expression, true)));
        let expected = [Some("probe"), Some("/a/"), Some("/bb/"), None];
        assert_eq!(chosen, expected.map(|literal| literal.map(|literal| vec![literal.to_owned()])));
    }

    proptest! {
        #[test]
        fn all_at_once_finds_what_each_alone_finds(
            exact in prop::collection::vec("[ab/.]{0,4}", 0..5),
            prefixes in prop::collection::vec("[ab/.]{0,4}", 0..9),
            extensions in prop::collection::vec("[ab.]{1,3}", 0..5),
            contained in prop::collection::vec("[abAB]{1,3}", 0..6),
            regexes in prop::collection::vec("\\^?(a|b|ab|\\(a\\|bb\\)|\\[ab\\]|a\\+|b\\?|\\(\\?i:ab\\)|[.]){1,4}\\$?", 0..6),
            texts in prop::collection::vec("[abAB/.]{0,8}", 1..20),
        ) {
            let mut builder = Builder::default();
            let mut alone: Vec<Alone> = Vec::new();
            for text in exact {
                builder.exact(&text, alone.len() as u32);
                alone.push(Box::new(move |t| t == text));
            }
            for text in prefixes {
                builder.prefix(&text, alone.len() as u32);
                alone.push(Box::new(move |t| t.starts_with(&text)));
            }
            for text in extensions {
                builder.extension(&text, alone.len() as u32);
                alone.push(Box::new(move |t| {
                    t.rsplit('/').next().unwrap().ends_with(&format!(".{text}"))
                }));
            }
            for text in contained {
                builder.contained(&text, alone.len() as u32);
                alone.push(Box::new(move |t| t.to_lowercase().contains(&text.to_lowercase())));
            }
            for expression in regexes {
                builder.regex(&expression, alone.len() as u32);
                let regex = regex::Regex::new(&expression).unwrap();
                alone.push(Box::new(move |t| regex.is_match(t)));
            }
            let patterns = builder.build(false).unwrap();
            for text in &texts {
                let expected: Vec<u32> = (0..alone.len()).filter(|i| alone[*i](text)).map(|i| i as u32).collect();
                prop_assert_eq!(found(&patterns, text), expected, "{:?}", text);
            }
        }
    }
}
