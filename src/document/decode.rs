//! From nodes to values, collecting mistakes on the way.

use super::schema::{self, Schemas};
use super::{Diagnostics, Kind, Node, Position};
use serde_json::Value;
use std::collections::BTreeMap;

/// A type that can be read from a document.
pub trait Decode: Sized {
    /// Whether an optional key with nothing behind it counts as one that is not there.
    const NOTHING_IS_ABSENT: bool = true;

    /// Reads `node`. `None` means that a mistake was recorded in `diagnostics`.
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self>;

    /// What is accepted, as a JSON Schema. It may accept more than [`decode`](Decode::decode) does, and never less:
    /// scalars count by their text, so that `5` and `'5'` are the same.
    fn schema(schemas: &mut Schemas) -> Value;

    /// The value as it stands in files, where that is easily said: for defaults in schemas.
    fn written(&self) -> Option<Value> {
        None
    }
}

/// Records that `node` is not what was `wanted`.
pub(super) fn expected<T>(wanted: &str, node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    diagnostics.error(node.position, format!("expected {wanted}, found {}", node.describe()));
    None
}

/// The closest of `words` to `text`, close enough to be what was meant.
pub fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words
        .map(|word| (strsim::damerau_levenshtein(text, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `unknown WHAT `text``, with the nearest known word, or all of them when they are few.
pub fn unknown_word<'a>(what: &str, text: &str, words: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(word) = nearest(text, words.clone()) {
        return format!("unknown {what} `{text}`, did you mean `{word}`?");
    }
    let words: Vec<&str> = words.collect();
    match words.len() {
        0 => format!("unknown {what} `{text}`: none is defined"),
        1..=12 => format!("unknown {what} `{text}`, expected one of: {}", words.join(", ")),
        _ => format!("unknown {what} `{text}`"),
    }
}

/// Reads one of a closed set of words.
pub fn choose<T: Copy>(node: &Node, what: &str, words: &[(&str, T)], diagnostics: &mut Diagnostics) -> Option<T> {
    let text = match node.text() {
        Some(text) => text,
        None => return expected(what, node, diagnostics),
    };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let known = words.iter().map(|(word, _)| *word);
        diagnostics.error(node.position, unknown_word(what, text, known));
    }
    found
}

/// Reads the keys of a mapping by name, then says which ones nobody asked for.
pub struct MapReader<'a> {
    entries: &'a [(String, Position, Node)],
    position: Position,
    asked: Vec<&'static str>,
}

impl<'a> MapReader<'a> {
    /// Begins to read `node`, which must be a mapping. Nothing counts as an empty one.
    pub fn new(node: &'a Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let entries: &[_] = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            _ => return expected("a mapping", node, diagnostics),
        };
        Some(MapReader { entries, position: node.position, asked: Vec::new() })
    }

    /// The node under `key`, if it is there and not null.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        // A field named by a Rust keyword arrives as `r#match`.
        self.entry(key).filter(|node| !matches!(node.kind, Kind::Null))
    }

    fn entry(&mut self, key: &'static str) -> Option<&'a Node> {
        let key = key.strip_prefix("r#").unwrap_or(key);
        self.asked.push(key);
        self.entries.iter().find(|(name, ..)| name == key).map(|(_, _, node)| node)
    }

    /// The value under `key`; its absence is a mistake.
    pub fn required<T: Decode>(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<T> {
        let node = self.node(key);
        if node.is_none() {
            let key = key.strip_prefix("r#").unwrap_or(key);
            diagnostics.error(self.position, format!("missing key `{key}`"));
        }
        T::decode(node?, diagnostics)
    }

    /// The value under `key`, or the default where it is absent or wrong. The caller refuses the file for the mistake,
    /// and with a stand-in for the value the checks that follow find the other ones.
    pub fn optional<T: Decode>(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics,
        default: impl FnOnce() -> T,
    ) -> T {
        let node = self.entry(key).filter(|node| !T::NOTHING_IS_ABSENT || !matches!(node.kind, Kind::Null));
        node.and_then(|node| T::decode(node, diagnostics)).unwrap_or_else(default)
    }

    /// Records the keys that nobody asked for.
    pub fn finish(self, diagnostics: &mut Diagnostics) {
        for (name, position, _) in self.entries {
            if !self.asked.contains(&name.as_str()) {
                diagnostics.error(*position, unknown_word("key", name, self.asked.iter().copied()));
            }
        }
    }
}

/// A value with the place where it stood, for checks that come after decoding.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// Where it stood.
    pub position: Position,
    /// The value.
    pub value: T,
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        T::decode(node, diagnostics).map(|value| Spanned { position: node.position, value })
    }

    fn schema(schemas: &mut Schemas) -> Value {
        T::schema(schemas)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.kind {
            Kind::Null => Some(None),
            _ => T::decode(node, diagnostics).map(Some),
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        let schema = T::schema(schemas);
        schemas.or_nothing(schema)
    }

    fn written(&self) -> Option<Value> {
        self.as_ref().and_then(T::written)
    }
}

/// A list; a single value stands for a list of one. Wrong items are reported and left out.
impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            Kind::Null => Some(Vec::new()),
            Kind::List(items) => Some(items.iter().filter_map(|item| T::decode(item, diagnostics)).collect()),
            _ => T::decode(node, diagnostics).map(|value| vec![value]),
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        schema::list(T::schema(schemas), 0)
    }
}

/// A list with at least one item.
#[derive(Debug, Clone)]
pub struct NonEmpty<T>(pub Vec<T>);

impl<T: Decode> Decode for NonEmpty<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
            diagnostics.error(node.position, "expected at least one item");
        }
        Vec::decode(node, diagnostics).map(NonEmpty)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        schema::list(T::schema(schemas), 1)
    }
}

/// A mapping from names to values.
impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        decode_names(node, diagnostics, |_, node, diagnostics| T::decode(node, diagnostics))
            .map(|entries| entries.into_iter().collect())
    }

    fn schema(schemas: &mut Schemas) -> Value {
        schema::names(T::schema(schemas))
    }
}

/// Checks that a name is usable as the value of a metric's label: letters, digits, `-`, `_` and `.`, at most 64 of them.
pub fn check_name(name: &str, position: Position, diagnostics: &mut Diagnostics) {
    let usable = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if name.is_empty() || name.len() > 64 || !usable {
        let message =
            format!("`{}` cannot be a name: use letters, digits, `-`, `_` and `.`, at most 64", name.escape_debug());
        diagnostics.error(position, message);
    }
}

/// Reads a mapping from names to values in the order of the file; [`check_name`] says which names. Wrong values are
/// reported and left out, their names noted as broken.
pub fn decode_names<T>(
    node: &Node,
    diagnostics: &mut Diagnostics,
    mut value: impl FnMut(&str, &Node, &mut Diagnostics) -> Option<T>,
) -> Option<Vec<(String, T)>> {
    let entries = match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Null => return Some(Vec::new()),
        _ => return expected("a mapping of names", node, diagnostics),
    };
    let mut values = Vec::with_capacity(entries.len());
    for (name, position, node) in entries {
        check_name(name, *position, diagnostics);
        match value(name, node, diagnostics) {
            Some(value) => values.push((name.clone(), value)),
            None => diagnostics.set_broken(name),
        }
    }
    Some(values)
}
