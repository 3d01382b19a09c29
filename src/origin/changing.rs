//! Which of a site's objects change after they were written.

use super::Belief;
use crate::document::{Decode, Diagnostics, Node, Schemas};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;

/// Globs of paths below the site's prefix, written as in policies.
#[derive(Debug, Clone)]
pub struct Changing(GlobSet);

impl Changing {
    /// How long to believe what was seen of the object at `path`. `None` stands for a site that says nothing:
    /// everything may change there.
    pub fn belief(changing: Option<&Changing>, path: &str) -> Belief {
        match changing {
            Some(Changing(globs)) if !globs.is_match(path) => Belief::IMMUTABLE,
            _ => Belief::MUTABLE,
        }
    }
}

impl Decode for Changing {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut set = GlobSetBuilder::new();
        for text in Vec::<crate::document::Spanned<String>>::decode(node, diagnostics)? {
            let glob = GlobBuilder::new(&text.value).literal_separator(true).build();
            match glob {
                Ok(glob) if text.value.starts_with('/') || text.value.starts_with("**") => drop(set.add(glob)),
                Ok(_) => {
                    let message = format!("a path begins with `/`, did you mean `/{}`?", text.value);
                    diagnostics.error(text.position, message);
                }
                Err(error) => {
                    diagnostics.error(text.position, format!("`{}` is not a glob: {}", text.value, error.kind()));
                }
            }
        }
        set.build().ok().map(Changing)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Vec::<String>::schema(schemas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;

    #[test]
    fn what_changes_is_believed_for_a_shorter_time() {
        let mut diagnostics = Diagnostics::default();
        let text = "['/**/log.chunks', /prometheus, '/*.html']";
        let changing: Changing = read(text, &mut diagnostics).unwrap();
        let cases = [
            ("/a/b/log.chunks", true),
            ("/prometheus", true),
            ("/x.html", true),
            ("/a/x.html", false),
            ("/log", false),
        ];
        for (path, changes) in cases {
            let believed = Changing::belief(Some(&changing), path).missing;
            assert_eq!(believed == Belief::MUTABLE.missing, changes, "{path}");
            assert_eq!(Changing::belief(None, path).missing, Belief::MUTABLE.missing);
        }
    }
}
