//! What a file is: one in the place of another is refused in one line, instead of by a mistake for each of its keys.

use crate::document::{Decode, Diagnostics, Kind, Node, Position};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// The gateway file.
    Gateway,
    /// A policy.
    Policy,
    /// The cases of a policy.
    Cases,
}

/// Keys that only files of one kind have.
const TELLING: [(FileKind, &[&str]); 3] = [
    (FileKind::Gateway, &["listeners", "sites"]),
    (FileKind::Policy, &["default", "rules", "classes", "thresholds", "limits"]),
    (FileKind::Cases, &["cases"]),
];

/// Reads a file that should be of this kind; as [`read`](crate::document::read) does.
pub(super) fn read_as<T: Decode>(wanted: FileKind, text: &str, diagnostics: &mut Diagnostics) -> Option<T> {
    let node = Node::parse(text, diagnostics)?;
    let file = diagnostics.file();
    let message = match kind(&node).filter(|kind| *kind != wanted) {
        None => return T::decode(&node, diagnostics),
        Some(FileKind::Gateway) => format!("this is a gateway file: check it with `windscreen check -c {file}`"),
        Some(FileKind::Policy) => format!("this is a policy: check it with `windscreen check {file}`"),
        Some(FileKind::Cases) => {
            format!("these are cases: run them with `windscreen test {}`", file.replace(".cases.yaml", ".yaml"))
        }
    };
    diagnostics.error(Position { line: 1, column: 1 }, message);
    None
}

/// The kind whose keys a file has, where they are of one kind alone.
fn kind(node: &Node) -> Option<FileKind> {
    let Kind::Map(entries) = &node.kind else { return None };
    let mut kinds = TELLING.iter().filter(|(_, keys)| entries.iter().any(|(key, ..)| keys.contains(&key.as_str())));
    let (kind, _) = kinds.next()?;
    kinds.next().is_none().then_some(*kind)
}
