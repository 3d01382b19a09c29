//! The files of an Anubis policy: what `import` refers to, in place of it.

#![allow(clippy::disallowed_methods, reason = "rank 5: lists the files that a pattern may mean")]

use crate::document::{Diagnostics, Kind, Node, Position};
use globset::GlobBuilder;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// More rules than any policy has; imports of imports can multiply.
const MAX_RULES: usize = 10_000;

/// More imports than any policy has.
const MAX_IMPORTS: usize = 1000;

/// How deep `**` looks.
const MAX_DEPTH: usize = 16;

/// Reads a file.
pub(super) type Read<'a> = &'a dyn Fn(&Path) -> Result<String, String>;

/// A rule where it stands.
pub(super) struct Source {
    /// The file.
    pub file: String,
    /// The rule.
    pub node: Node,
}

/// Follows imports.
pub(super) struct Files<'a> {
    /// The folder that `(data)` stands for.
    data: Option<&'a Path>,
    read: Read<'a>,
    /// The files that are being read, each imported by the one before it.
    open: Vec<PathBuf>,
    imports: usize,
    /// The rules in their order.
    pub rules: Vec<Source>,
}

impl<'a> Files<'a> {
    /// Begins in `file`.
    pub(super) fn new(file: &Path, data: Option<&'a Path>, read: Read<'a>) -> Self {
        Files { data, read, open: vec![file.to_owned()], imports: 0, rules: Vec::new() }
    }

    /// Collects the rules of a list, and of what it imports.
    pub(super) fn collect(&mut self, list: &Node, diagnostics: &mut Diagnostics) {
        let Kind::List(items) = &list.kind else {
            diagnostics.error(list.position, format!("expected a list of rules, found {}", list.describe()));
            return;
        };
        for item in items {
            let Kind::Map(entries) = &item.kind else {
                diagnostics.error(item.position, format!("expected a rule, found {}", item.describe()));
                continue;
            };
            let import = entries.iter().find(|(key, ..)| key == "import");
            match import {
                Some((_, position, _)) if entries.len() > 1 => {
                    diagnostics.error(*position, "a rule cannot have an `import` as well: write two items");
                }
                Some((_, _, node)) => match node.text() {
                    Some(target) => self.import(target, node.position, diagnostics),
                    None => diagnostics.error(node.position, format!("expected a file, found {}", node.describe())),
                },
                None if self.rules.len() >= MAX_RULES => {
                    diagnostics.error(item.position, format!("more than {MAX_RULES} rules"));
                    return;
                }
                None => self.rules.push(Source { file: diagnostics.file().to_owned(), node: item.clone() }),
            }
        }
    }

    fn import(&mut self, target: &str, position: Position, diagnostics: &mut Diagnostics) {
        let found = match (target.strip_prefix("(data)/"), self.data) {
            (Some(rest), Some(data)) => find(data, rest),
            (Some(_), None) => {
                let message = format!("`{target}` is built into anubis: say where its data folder is with `--data`");
                return diagnostics.error(position, message);
            }
            (None, _) => find(Path::new(""), target),
        };
        let paths = match found {
            Ok(paths) if paths.is_empty() => {
                return diagnostics.error(position, format!("no file matches `{target}`"));
            }
            Ok(paths) => paths,
            Err(reason) => return diagnostics.error(position, format!("`{target}` is no pattern: {reason}")),
        };
        for path in paths {
            self.imports += 1;
            if self.imports > MAX_IMPORTS {
                return diagnostics.error(position, format!("more than {MAX_IMPORTS} imports"));
            }
            if self.open.contains(&path) {
                diagnostics.error(position, format!("`{}` imports itself", path.display()));
                continue;
            }
            match (self.read)(&path) {
                Ok(text) => self.file(path, &text, diagnostics),
                Err(reason) => diagnostics.error(position, reason),
            }
        }
    }

    fn file(&mut self, path: PathBuf, text: &str, diagnostics: &mut Diagnostics) {
        let importing = diagnostics.enter(path.display().to_string());
        self.open.push(path);
        for document in Node::parse_all(text, diagnostics).unwrap_or_default() {
            self.collect(&document, diagnostics);
        }
        self.open.pop();
        diagnostics.enter(importing);
    }
}

/// The files below `root` that `pattern` means, in natural order. A name without wildcards is not looked for.
fn find(root: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];
    let Some(wild) = pattern.find(WILDCARDS) else {
        return Ok(vec![root.join(pattern)]);
    };
    let (fixed, wild) = pattern.split_at(pattern[..wild].rfind('/').map_or(0, |slash| slash + 1));
    let glob = GlobBuilder::new(wild).literal_separator(true).build().map_err(|error| error.kind().to_string())?;
    let matcher = glob.compile_matcher();
    let depth = if wild.contains("**") { MAX_DEPTH } else { wild.matches('/').count() + 1 };
    let root = root.join(fixed);
    let mut names = Vec::new();
    list(&root, Path::new(""), depth, &mut names);
    names.retain(|name| matcher.is_match(name));
    names.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(names.into_iter().map(|name| root.join(name)).collect())
}

/// Files below `root`, relative to it.
fn list(root: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let folder = root.join(below);
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = below.join(entry.file_name());
        let path = root.join(&name);
        if path.is_file() {
            found.push(name);
        } else if depth > 1 && path.is_dir() {
            list(root, &name, depth - 1, found);
        }
    }
}

/// Compares texts with the numbers in them by their value: `2` comes before `10`.
fn natural(a: &str, b: &str) -> Ordering {
    let is_digit = |c: char| c.is_ascii_digit();
    let (mut a, mut b) = (a, b);
    while let (Some(left), Some(right)) = (a.chars().next(), b.chars().next()) {
        let order = if is_digit(left) && is_digit(right) {
            let digits = |text: &str| text.find(|c| !is_digit(c)).unwrap_or(text.len());
            let (left, right) = (a.split_at(digits(a)), b.split_at(digits(b)));
            (a, b) = (left.1, right.1);
            let (left, right) = (left.0.trim_start_matches('0'), right.0.trim_start_matches('0'));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        } else {
            (a, b) = (&a[left.len_utf8()..], &b[right.len_utf8()..]);
            left.cmp(&right)
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_by_value() {
        let mut names = ["b", "a10", "a2", "a", "a02b", "é", "a2c"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a2", "a02b", "a2c", "a10", "b", "é"]);
    }

    #[test]
    fn patterns_stay_below_their_root() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.yaml", "a[1]/y10.yaml", "a[1]/y9.yaml", "a[1]/z.json", "a[1]/deep/w.yaml"] {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let cases: [(&str, &[&str]); 6] = [
            ("*.yaml", &["x.yaml"]),
            ("a\\[1\\]/*.yaml", &["a[1]/y9.yaml", "a[1]/y10.yaml"]),
            ("*/y?.yaml", &["a[1]/y9.yaml"]),
            ("**/*.yaml", &["a[1]/deep/w.yaml", "a[1]/y9.yaml", "a[1]/y10.yaml", "x.yaml"]),
            ("*.{json,txt}", &[]),
            ("plain.yaml", &["plain.yaml"]),
        ];
        for (pattern, expected) in cases {
            let found = find(folder.path(), pattern).unwrap();
            let expected: Vec<PathBuf> = expected.iter().map(|name| folder.path().join(name)).collect();
            assert_eq!(found, expected, "{pattern}");
        }
        assert!(find(folder.path(), "[").is_err());
    }
}
