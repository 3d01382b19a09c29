//! Matches on the texts of a request: host, path, User-Agent, headers, query.

use super::atoms::{Source, Test};
use super::matches::{Compiler, Matcher};
use super::patterns::compile_regex;
use super::settings::{ExpressionSettings, PathSettings, RegexText, UserAgentSettings};
use crate::document::{Decode, Diagnostics, Kind, Node, Position, Schemas, Spanned, text};
use crate::ja4::{EXAMPLE, may_begin};
use crate::path::CanonicalPath;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Which part of a path a text is.
#[derive(Clone, Copy)]
enum PathKind {
    /// All of it, perhaps as a glob.
    Whole,
    /// Its beginning.
    Prefix,
}

impl Compiler<'_> {
    pub(super) fn exact(&mut self, key: &str, source: Source, text: &str) -> Matcher {
        // A text may look like another kind of match.
        let shown = if text.starts_with('{') { format!("{text:?}") } else { text.to_owned() };
        Matcher::Atom(self.atoms.atom(format!("{key}: {shown}"), |atoms, id| {
            let (source, patterns) = atoms.patterns(source);
            patterns.exact(text, id);
            Test::Found(source)
        }))
    }

    pub(super) fn regex(&mut self, key: &str, source: Source, expression: &str) -> Matcher {
        Matcher::Atom(self.atoms.atom(format!("{key}: {{regex: {expression}}}"), |atoms, id| {
            let (source, patterns) = atoms.patterns(source);
            patterns.regex(expression, id);
            Test::Found(source)
        }))
    }

    /// A host name, or `*.` and a domain.
    pub(super) fn host(&mut self, node: &Node) -> Option<Vec<Matcher>> {
        let text = String::decode(node, self.diagnostics)?.to_ascii_lowercase();
        let domain = text.strip_prefix("*.");
        let name = domain.unwrap_or(&text);
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b)) {
            let message = format!("`{text}` is not a host name such as `logs.example.org` or `*.example.org`");
            return self.fail(node.position, message);
        }
        let has_port = |(host, port): &(&str, &str)| {
            port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']'))
        };
        let bare = name.rsplit_once(':').filter(has_port).map_or(name, |(host, _)| host).trim_end_matches('.');
        if bare != name {
            let star = if domain.is_some() { "*." } else { "" };
            let message = format!("a host is compared without port and without a dot at its end: write `{star}{bare}`");
            return self.fail(node.position, message);
        }
        let Some(domain) = domain else { return Some(vec![self.exact("host", Source::Host, &text)]) };
        Some(vec![Matcher::Atom(self.atoms.atom(format!("host: {text}"), |atoms, id| {
            let (source, patterns) = atoms.patterns(Source::Host);
            patterns.regex(&format!(r"[^.]\.{}$", regex_syntax::escape(domain)), id);
            Test::Found(source)
        }))])
    }

    /// A fingerprint, or its beginning with a star.
    pub(super) fn ja4(&mut self, node: &Node) -> Option<Vec<Matcher>> {
        let text = String::decode(node, self.diagnostics)?;
        let start = text.strip_suffix('*');
        let known = match start {
            Some(start) => may_begin(start),
            None => text.len() == EXAMPLE.len() && may_begin(&text),
        };
        if !known {
            let message = format!(
                "`{}` is no JA4 fingerprint of a client over TCP: write one such as `{EXAMPLE}`, or its beginning with a \
                 star such as `{}*`",
                text.escape_debug(),
                &EXAMPLE[..11]
            );
            return self.fail(node.position, message);
        }
        let Some(start) = start else { return Some(vec![self.exact("ja4", Source::Ja4, &text)]) };
        Some(vec![Matcher::Atom(self.atoms.atom(format!("ja4: {text}"), |atoms, id| {
            let (source, patterns) = atoms.patterns(Source::Ja4);
            patterns.prefix(start, id);
            Test::Found(source)
        }))])
    }

    /// A glob, or a mapping of which any part is enough.
    pub(super) fn path(&mut self, node: &Node) -> Option<Vec<Matcher>> {
        if !matches!(node.kind, Kind::Map(_)) {
            return self.glob(node).map(|part| vec![part]);
        }
        let settings = PathSettings::decode(node, self.diagnostics)?;
        let mut parts = Vec::new();
        for prefix in &settings.prefix {
            self.begins_with_slash(&prefix.value, false, prefix.position)?;
            self.doubt_path(&prefix.value, PathKind::Prefix, prefix.position);
            parts.push(Matcher::Atom(self.atoms.atom(format!("path: {{prefix: {}}}", prefix.value), |atoms, id| {
                let (source, patterns) = atoms.patterns(Source::Path);
                patterns.prefix(&prefix.value, id);
                Test::Found(source)
            })));
        }
        for RegexText(expression) in &settings.regex {
            self.names.check_path_regex(expression, node.position, self.diagnostics);
            parts.push(self.regex("path", Source::Path, expression));
        }
        for Spanned { position, value: extension } in &settings.extension {
            let bare = extension.trim_start_matches('.');
            if bare.contains(['*', '/']) {
                let message = "this never matches: an extension is what stands behind a dot, such as `gz`";
                self.diagnostics.warn(*position, message);
            }
            parts.push(Matcher::Atom(self.atoms.atom(format!("path: {{extension: {bare}}}"), |atoms, id| {
                let (source, patterns) = atoms.patterns(Source::Path);
                patterns.extension(bare, id);
                Test::Found(source)
            })));
        }
        for glob in &settings.glob {
            parts.push(self.glob(glob)?);
        }
        Some(parts)
    }

    fn begins_with_slash(&mut self, text: &str, is_glob: bool, position: Position) -> Option<()> {
        match text.starts_with('/') || (is_glob && text.starts_with("**")) {
            true => Some(()),
            false => self.fail(position, format!("a path begins with `/`, did you mean `/{text}`?")),
        }
    }

    /// Warns of what is no path as policies see it.
    fn doubt_path(&mut self, text: &str, kind: PathKind, position: Position) {
        let wildcard = text.find(['*', '?', '[', '{']).and_then(|at| text[at..].chars().next());
        let query = text.split_once('?').filter(|(_, query)| query.contains('='));
        let decoded = percent_decode_str(text).decode_utf8_lossy();
        let message = if query.is_some() {
            "a path has no query: match that with `query`".to_owned()
        } else if let (PathKind::Prefix, Some(wildcard)) = (kind, wildcard) {
            format!("`{wildcard}` is no wildcard in a `prefix`: write the beginning alone, or a glob without `prefix`")
        } else if decoded != text {
            format!("paths are compared decoded, did you mean `{decoded}`?")
        } else {
            let whole = match kind {
                // A part of such a glob may be another one's alternative, or quoted.
                PathKind::Whole if text.contains(['{', '[', '\\']) => return,
                PathKind::Whole if text.starts_with('/') => text.to_owned(),
                PathKind::Whole => format!("/{text}"),
                PathKind::Prefix => format!("{text}x"),
            };
            match CanonicalPath::check(&whole) {
                Err(error) => format!("this never matches: {error}"),
                Ok(()) => return,
            }
        };
        self.diagnostics.warn(position, message);
    }

    fn glob(&mut self, node: &Node) -> Option<Matcher> {
        let text = String::decode(node, self.diagnostics)?;
        self.begins_with_slash(&text, true, node.position)?;
        let glob = match globset::GlobBuilder::new(&text).literal_separator(true).build() {
            Ok(glob) => glob,
            Err(error) => return self.fail(node.position, format!("`{text}` is not a glob: {}", error.kind())),
        };
        self.doubt_path(&text, PathKind::Whole, node.position);
        if !text.contains(['*', '?', '[', '{', '\\']) {
            return Some(self.exact("path", Source::Path, &text));
        }
        Some(Matcher::Atom(self.atoms.atom(format!("path: {text}"), |atoms, id| {
            let (source, patterns) = atoms.patterns(Source::Path);
            patterns.regex(glob.regex(), id);
            Test::Found(source)
        })))
    }

    /// An exact text, or a mapping of which any part is enough.
    pub(super) fn user_agent(&mut self, node: &Node) -> Option<Vec<Matcher>> {
        if !matches!(node.kind, Kind::Map(_)) {
            let text = String::decode(node, self.diagnostics)?;
            return Some(vec![self.exact("user_agent", Source::UserAgent, &text)]);
        }
        let settings = UserAgentSettings::decode(node, self.diagnostics)?;
        let lists: Vec<_> =
            settings.list.iter().map(|name| self.names.list(name, self.atoms, self.diagnostics)).collect();
        let mut parts = Vec::new();
        for list in lists {
            parts.push(Matcher::Atom(list?));
        }
        for RegexText(expression) in &settings.regex {
            parts.push(self.regex("user_agent", Source::UserAgent, expression));
        }
        Some(parts)
    }

    /// `{name: true | false | text | {regex: ...}}`: every line must hold.
    pub(super) fn values(
        &mut self,
        node: &Node,
        key: &str,
        what: &str,
        source: fn(String) -> Source,
    ) -> Option<Matcher> {
        let Kind::Map(entries) = &node.kind else {
            return self.fail(node.position, format!("expected a mapping of {what}, found {}", node.describe()));
        };
        let mut parts = Vec::new();
        for (name, position, value) in entries {
            if key == "header" && name.parse::<http::HeaderName>().is_err() {
                self.fail::<()>(*position, format!("expected the name of an HTTP header, found `{name}`"));
            }
            let name = if key == "header" { name.to_ascii_lowercase() } else { name.clone() };
            let source = source(name.clone());
            let key = format!("{key} {name}");
            let part = match value.text() {
                Some(word @ ("true" | "false")) => {
                    let there = self.one(format!("{key}: true"), Test::Present(source));
                    Some(if word == "true" { there } else { Matcher::Not(Box::new(there)) })
                }
                Some(text) => Some(self.exact(&key, source, text)),
                None => self.expression(value).map(|expression| self.regex(&key, source, &expression)),
            };
            parts.push(part);
        }
        let mut parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        Some(if parts.len() == 1 { parts.remove(0) } else { Matcher::All(parts) })
    }

    /// The text of `{regex: ...}`.
    fn expression(&mut self, node: &Node) -> Option<String> {
        ExpressionSettings::decode(node, self.diagnostics).map(|settings| settings.regex.0)
    }
}

impl Decode for RegexText {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = String::decode(node, diagnostics)?;
        if diagnostics.is_over() {
            diagnostics.error(node.position, "it took too long to read the expressions before this one");
            return None;
        }
        match compile_regex(&text) {
            Ok(_) => Some(RegexText(text)),
            Err(why) => {
                diagnostics.error(node.position, format!("`{text}` is not a regular expression: {why}"));
                None
            }
        }
    }

    fn schema(_: &mut Schemas) -> Value {
        text()
    }
}
