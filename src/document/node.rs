//! A YAML tree that remembers where everything stood.

use super::Diagnostics;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// A place in a file; both numbers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl From<Span> for Position {
    fn from(span: Span) -> Self {
        Position { line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// One value of a document with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where the value begins.
    pub position: Position,
    /// What it is.
    pub kind: Kind,
}

/// The value itself. Scalars stay text: the type that is wanted decides how to read them.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar as written.
    Scalar(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file: key, its place, value.
    Map(Vec<(String, Position, Node)>),
}

/// Deeper nesting than this is refused: no sane file has it, and the decoder recurses.
const MAX_DEPTH: usize = 64;

impl Node {
    /// Parses one YAML document (JSON is YAML). Mistakes go to `diagnostics`.
    ///
    /// Anchors, aliases and tags are refused: they let a small file grow without bound, and no setting needs them.
    pub fn parse(text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
        let start = Position { line: 1, column: 1 };
        let mut builder = Builder { parser: Parser::new_from_str(text), diagnostics };
        let root = builder.documents(1)?.pop();
        Some(root.unwrap_or(Node { position: start, kind: Kind::Null }))
    }

    /// Parses every document of `text`, by the same rules. There may be none.
    pub fn parse_all(text: &str, diagnostics: &mut Diagnostics) -> Option<Vec<Node>> {
        Builder { parser: Parser::new_from_str(text), diagnostics }.documents(usize::MAX)
    }

    /// How messages name this kind of value.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".into(),
            Kind::Scalar(text) => format!("`{text}`"),
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a mapping".into(),
        }
    }

    /// The value on one line, in YAML's flow style, as people write it.
    pub fn compact(&self) -> String {
        match &self.kind {
            Kind::Null => String::new(),
            Kind::Scalar(text) => text.clone(),
            Kind::List(items) => format!("[{}]", items.iter().map(Node::compact).collect::<Vec<_>>().join(", ")),
            Kind::Map(entries) => {
                let lines: Vec<_> =
                    entries.iter().map(|(key, _, value)| format!("{key}: {}", value.compact())).collect();
                format!("{{{}}}", lines.join(", "))
            }
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

struct Builder<'a, 'd> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    diagnostics: &'d mut Diagnostics,
}

impl<'a> Builder<'a, '_> {
    fn next(&mut self) -> Option<(Event<'a>, Position)> {
        match self.parser.next_event()? {
            Ok((event, span)) => Some((event, span.into())),
            Err(error) => {
                let marker = error.marker();
                let position = Position { line: marker.line(), column: marker.col() + 1 };
                self.diagnostics.error(position, format!("not valid YAML: {}", error.info()));
                None
            }
        }
    }

    fn documents(&mut self, most: usize) -> Option<Vec<Node>> {
        let mut roots = Vec::new();
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Some(roots),
                (Event::DocumentStart(_), position) if roots.len() == most => {
                    self.diagnostics.error(position, "a second document: one file holds one document");
                    return None;
                }
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
                (event, position) => roots.push(self.value(event, position, 0)?),
            }
        }
    }

    fn value(&mut self, event: Event<'a>, position: Position, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            self.diagnostics.error(position, format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        let kind = match event {
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                self.diagnostics.error(position, "anchors and aliases are not supported: write the value out");
                return None;
            }
            Event::Alias(_) => {
                self.diagnostics.error(position, "anchors and aliases are not supported: write the value out");
                return None;
            }
            Event::Scalar(_, _, _, Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag)) => {
                self.diagnostics.error(position, format!("the tag `{}` is not supported", tag.suffix));
                return None;
            }
            Event::Scalar(text, style, _, _) => {
                let plain = style == ScalarStyle::Plain;
                if plain && matches!(&*text, "" | "~" | "null") { Kind::Null } else { Kind::Scalar(text.into_owned()) }
            }
            Event::SequenceStart(..) => Kind::List(self.list(depth)?),
            Event::MappingStart(..) => Kind::Map(self.map(depth)?),
            other => {
                self.diagnostics.error(position, format!("not expected here: {other:?}"));
                return None;
            }
        };
        Some(Node { position, kind })
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Some(items),
                (event, position) => items.push(self.value(event, position, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Vec<(String, Position, Node)>> {
        let mut entries: Vec<(String, Position, Node)> = Vec::new();
        loop {
            let (event, position) = self.next()?;
            if event == Event::MappingEnd {
                return Some(entries);
            }
            let key = self.value(event, position, depth + 1)?;
            let Some(name) = key.text().map(str::to_owned) else {
                self.diagnostics.error(position, format!("a key must be a word, not {}", key.describe()));
                return None;
            };
            if entries.iter().any(|(known, ..)| *known == name) {
                self.diagnostics.error(position, format!("the key `{name}` is given twice"));
            }
            let (event, at) = self.next()?;
            entries.push((name, position, self.value(event, at, depth + 1)?));
        }
    }
}
