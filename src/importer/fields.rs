//! The keys of a mapping in an Anubis file. There, keys that mean nothing are ignored; here they are noted.

use crate::document::{Diagnostics, Kind, Node, Position};
use std::str::FromStr;

/// A mapping.
pub(super) struct Fields<'n> {
    /// Where it stands.
    pub position: Position,
    entries: &'n [(String, Position, Node)],
}

impl<'n> Fields<'n> {
    /// Reads a mapping; anything else is a mistake.
    pub(super) fn of(node: &'n Node, notes: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            Kind::Map(entries) => Some(Fields { position: node.position, entries }),
            _ => {
                notes.error(node.position, format!("expected a mapping, found {}", node.describe()));
                None
            }
        }
    }

    /// The value of a key, if it has one.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        let entry = self.entries.iter().find(|(name, ..)| name == key);
        entry.map(|(.., node)| node).filter(|node| !matches!(node.kind, Kind::Null))
    }

    /// The value of a key as a `T`; another value is a mistake.
    pub(super) fn read<T: FromStr>(&self, key: &str, wanted: &str, notes: &mut Diagnostics) -> Option<T> {
        self.get(key).and_then(|node| read(node, wanted, notes))
    }

    /// Every key with its place and value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'n str, Position, &'n Node)> {
        self.entries.iter().map(|(key, position, node)| (key.as_str(), *position, node))
    }

    /// Notes the keys that Anubis does not know.
    pub(super) fn note_unknown(&self, known: &[&str], notes: &mut Diagnostics) {
        for (key, position, _) in self.entries() {
            if !known.contains(&key) {
                notes.warn(position, format!("unknown key `{key}`: anubis ignores it, so it is left out"));
            }
        }
    }
}

/// A scalar as a `T`; anything else is a mistake.
pub(super) fn read<T: FromStr>(node: &Node, wanted: &str, notes: &mut Diagnostics) -> Option<T> {
    let value = node.text().and_then(|text| text.parse().ok());
    if value.is_none() {
        notes.error(node.position, format!("expected {wanted}, found {}", node.describe()));
    }
    value
}

/// The items of a list; anything else is a mistake.
pub(super) fn items<'n>(node: &'n Node, notes: &mut Diagnostics) -> &'n [Node] {
    match &node.kind {
        Kind::List(items) => items,
        _ => {
            notes.error(node.position, format!("expected a list, found {}", node.describe()));
            &[]
        }
    }
}
