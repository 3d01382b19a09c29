//! Path matches: globs, prefixes, regular expressions, extensions.

use super::matcher::RegexText;
use crate::document::{Decode, Diagnostics, Kind, Node};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::Regex;

/// Matches canonical paths. Any part that holds is enough.
#[derive(Debug, Default)]
pub struct PathMatcher {
    globs: GlobSet,
    prefixes: Vec<String>,
    regexes: Vec<Regex>,
    extensions: Vec<String>,
}

crate::settings! {
    /// A path match that is not a glob.
    struct PathSettings {
        /// The path begins with one of these.
        prefix: Vec<String> = Vec::new(),
        /// An expression finds a match in the path.
        regex: Vec<RegexText> = Vec::new(),
        /// The last segment ends with a dot and one of these: `qcow2`, `tar.gz`.
        extension: Vec<String> = Vec::new(),
        /// A glob, the same as a bare text.
        glob: Vec<Node> = Vec::new(),
    }
}

impl PathMatcher {
    /// Whether `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        self.prefixes.iter().any(|prefix| path.starts_with(prefix.as_str()))
            || (!self.globs.is_empty() && self.globs.is_match(path))
            || self.regexes.iter().any(|regex| regex.is_match(path))
            || self.extensions.iter().any(|wanted| {
                let name = path.rsplit('/').next().unwrap_or_default();
                name.strip_suffix(wanted.as_str()).is_some_and(|stem| stem.ends_with('.'))
            })
    }

    /// Compiles a glob, a mapping of [`PathSettings`], or a list of these. `*` stays within a segment, `**` crosses.
    pub fn compile(node: &Node, diagnostics: &mut Diagnostics) -> Option<PathMatcher> {
        let mut matcher = PathMatcher::default();
        let mut globs = GlobSetBuilder::new();
        let mut good = true;
        for item in Vec::<Node>::decode(node, diagnostics)? {
            if let Kind::Map(_) = item.kind {
                let Some(settings) = PathSettings::decode(&item, diagnostics) else {
                    good = false;
                    continue;
                };
                for prefix in &settings.prefix {
                    good &= begins_with_slash(prefix, &item, diagnostics);
                }
                for glob in &settings.glob {
                    good &= add(glob, &mut globs, diagnostics);
                }
                matcher.prefixes.extend(settings.prefix);
                matcher.regexes.extend(settings.regex.into_iter().map(|regex| regex.0));
                let bare = |extension: String| extension.trim_start_matches('.').to_owned();
                matcher.extensions.extend(settings.extension.into_iter().map(bare));
            } else {
                good &= add(&item, &mut globs, diagnostics);
            }
        }
        match globs.build() {
            Ok(globs) => matcher.globs = globs,
            Err(error) => {
                diagnostics.error(node.position, format!("these globs cannot be compiled together: {error}"));
                good = false;
            }
        }
        good.then_some(matcher)
    }
}

fn add(node: &Node, globs: &mut GlobSetBuilder, diagnostics: &mut Diagnostics) -> bool {
    let Some(text) = String::decode(node, diagnostics) else { return false };
    if !begins_with_slash(&text, node, diagnostics) {
        return false;
    }
    match GlobBuilder::new(&text).literal_separator(true).build() {
        Ok(glob) => {
            globs.add(glob);
            true
        }
        Err(error) => {
            diagnostics.error(node.position, format!("`{text}` is not a glob: {}", error.kind()));
            false
        }
    }
}

fn begins_with_slash(text: &str, node: &Node, diagnostics: &mut Diagnostics) -> bool {
    if !text.starts_with('/') && !text.starts_with("**") {
        diagnostics.error(node.position, format!("a path begins with `/`, did you mean `/{text}`?"));
        return false;
    }
    true
}

impl Decode for PathMatcher {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        PathMatcher::compile(node, diagnostics)
    }
}
