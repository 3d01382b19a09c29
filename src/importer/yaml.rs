//! Writing our YAML.

use std::fmt::Write;

/// A scalar that reads back as `text`, in any context.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let word = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/') && text.chars().all(plain);
    if word && !matches!(text, "null" | "true" | "false") {
        return text.to_owned();
    }
    let printable = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}');
    if text.chars().all(printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            other if printable(other) => quoted.push(other),
            other => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(other));
            }
        }
    }
    quoted + "\""
}

/// A comment line; what would end it is replaced.
pub(super) fn comment(text: &str) -> String {
    format!("# {}", text.replace(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), " "))
}

/// The value of a key.
pub(super) enum Value {
    /// On the line of its key.
    Inline(String),
    /// Items, one a line when there are many.
    List(Vec<String>),
}

impl Value {
    fn inline(&self) -> String {
        match self {
            Value::Inline(text) => text.clone(),
            Value::List(items) => format!("[{}]", items.join(", ")),
        }
    }
}

/// Conditions that must all hold.
#[derive(Default)]
pub(super) struct Match(Vec<(&'static str, Value)>);

impl Match {
    /// Adds a condition. A key may come again.
    pub(super) fn push(&mut self, key: &'static str, value: Value) {
        self.0.push((key, value));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes `match:` with `indent` spaces before it; nothing where there are no conditions.
    pub(super) fn write(&self, indent: usize, out: &mut String) {
        if self.is_empty() {
            return;
        }
        let _ = writeln!(out, "{:indent$}match:", "");
        let is_twice = |key: &str| self.0.iter().filter(|(other, _)| *other == key).count() > 1;
        if self.0.iter().any(|(key, _)| is_twice(key)) {
            let _ = writeln!(out, "{:indent$}  all:", "");
            for (key, value) in &self.0 {
                let _ = writeln!(out, "{:indent$}    - {key}: {}", "", value.inline());
            }
            return;
        }
        for (key, value) in &self.0 {
            match value {
                Value::List(items) if items.len() > 4 => {
                    let _ = writeln!(out, "{:indent$}  {key}:", "");
                    for item in items {
                        let _ = writeln!(out, "{:indent$}    - {item}", "");
                    }
                }
                value => {
                    let _ = writeln!(out, "{:indent$}  {key}: {}", "", value.inline());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Diagnostics, Kind, Node};

    #[test]
    fn any_text_reads_back_as_itself() {
        let texts = [
            "a",
            "",
            " ",
            "null",
            "true",
            "~",
            "'",
            "it's",
            "a: b",
            "a #b",
            "- a",
            "[a]",
            "{a: b}",
            "*a",
            "&a",
            "!a",
            "%a",
            "@",
            "`",
            "a\nb",
            "a\n",
            "\t",
            "\u{0}",
            "\u{85}\u{2028}\u{FEFF}",
            "é\u{1F600}",
            "\"\\",
            "2001:db8::/32",
            "1",
            "---",
            "?",
            "a,b",
            "\\d+",
            ".",
            "..",
            "-",
        ];
        for text in texts {
            for document in [format!("k: {}", scalar(text)), format!("{{k: [{}]}}", scalar(text)), scalar(text)] {
                let mut diagnostics = Diagnostics::default();
                let mut node = Node::parse(&document, &mut diagnostics).unwrap();
                while let Kind::Map(_) | Kind::List(_) = node.kind {
                    node = match node.kind {
                        Kind::Map(mut entries) => entries.remove(0).2,
                        Kind::List(mut items) => items.remove(0),
                        _ => unreachable!(),
                    };
                }
                assert_eq!(node.text(), Some(text), "{document}");
            }
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_written_in_all() {
        let mut conditions = Match::default();
        conditions.push("prefix", Value::List(vec!["a".into(), "b".into()]));
        conditions.push("when", Value::Inline("x".into()));
        let mut out = String::new();
        conditions.write(2, &mut out);
        assert_eq!(out, "  match:\n    prefix: [a, b]\n    when: x\n");
        conditions.push("when", Value::Inline("y".into()));
        out.clear();
        conditions.write(0, &mut out);
        assert_eq!(out, "match:\n  all:\n    - prefix: [a, b]\n    - when: x\n    - when: y\n");
    }
}
