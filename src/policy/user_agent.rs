//! User-Agent matches and the named lists that they may refer to.

use super::compile::Names;
use super::matcher::RegexText;
use crate::document::{Decode, Diagnostics, Kind, Node, Required, Spanned};
use aho_corasick::AhoCorasick;
use regex::Regex;
use std::sync::Arc;

crate::settings! {
    /// A named list of user agents, in a file of its own.
    pub struct UserAgentListSettings {
        /// Where the names come from.
        source: Required,
        /// When they were taken from there (YYYY-MM-DD).
        date: Required,
        /// Texts that a listed User-Agent contains, in any letter case.
        contains: Vec<Required>,
    }
}

/// Recognises the User-Agents of one list.
#[derive(Debug, Clone)]
pub struct UserAgentList(AhoCorasick);

impl UserAgentList {
    /// Compiles a list; `None` when its automaton would be too large, which takes megabytes of names.
    pub fn compile(settings: &UserAgentListSettings) -> Option<Self> {
        let names = settings.contains.iter().map(|name| name.0.as_str());
        AhoCorasick::builder().ascii_case_insensitive(true).build(names).ok().map(UserAgentList)
    }

    fn matches(&self, agent: &str) -> bool {
        self.0.is_match(agent)
    }
}

crate::settings! {
    /// A User-Agent match that is not an exact text.
    struct UserAgentSettings {
        /// In one of these lists.
        list: Vec<Spanned<String>> = Vec::new(),
        /// An expression finds a match in it.
        regex: Vec<RegexText> = Vec::new(),
    }
}

/// Matches User-Agents. Any part that holds is enough.
#[derive(Debug, Default)]
pub struct UserAgentMatcher {
    exact: Vec<String>,
    lists: Vec<Arc<UserAgentList>>,
    regexes: Vec<Regex>,
}

impl UserAgentMatcher {
    /// Whether `agent` matches.
    pub fn matches(&self, agent: &str) -> bool {
        self.exact.iter().any(|exact| exact == agent)
            || self.lists.iter().any(|list| list.matches(agent))
            || self.regexes.iter().any(|regex| regex.is_match(agent))
    }

    /// Compiles an exact text, a mapping of [`UserAgentSettings`], or a list of these.
    pub fn compile(node: &Node, names: &Names<'_>, diagnostics: &mut Diagnostics) -> Option<UserAgentMatcher> {
        let mut matcher = UserAgentMatcher::default();
        let mut good = true;
        for item in Vec::<Node>::decode(node, diagnostics)? {
            if !matches!(item.kind, Kind::Map(_)) {
                matcher.exact.push(String::decode(&item, diagnostics)?);
                continue;
            }
            let Some(settings) = UserAgentSettings::decode(&item, diagnostics) else {
                good = false;
                continue;
            };
            for name in &settings.list {
                match names.list(name, diagnostics) {
                    Some(list) => matcher.lists.push(list),
                    None => good = false,
                }
            }
            matcher.regexes.extend(settings.regex.into_iter().map(|regex| regex.0));
        }
        good.then_some(matcher)
    }
}
