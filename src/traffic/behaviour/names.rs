//! Which file names are pages, and which are parts of pages: learned from what Referers say.
//!
//! A name is a page once enough different prefixes have fetched something with a Referer that names it. How often it is
//! fetched without does not matter: scrapers may outnumber people by far, and cannot hide that a page has parts.

use crate::hashing::{IsHash, quick_hash};
use crate::state::Fetch;
use crate::traffic::distinct::prefix_hash;
use smallvec::SmallVec;
use std::collections::HashMap;

/// So many prefixes must have shown it.
const ENOUGH: usize = 8;
/// Names that are remembered.
const CAP: usize = 4096;

/// What a name is known to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kind {
    /// It has parts.
    pub page: bool,
    /// It is a part.
    pub part: bool,
}

/// Prefixes that have shown something, until there are enough of them.
#[derive(Debug, Default)]
struct Shown(SmallVec<[u64; ENOUGH]>);

impl Shown {
    fn by(&mut self, prefix: u64) {
        if !self.is_certain() && !self.0.contains(&prefix) {
            self.0.push(prefix);
        }
    }

    fn is_certain(&self) -> bool {
        self.0.len() >= ENOUGH
    }
}

#[derive(Debug, Default)]
struct Name {
    as_page: Shown,
    as_part: Shown,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<u64, Name, IsHash>,
}

impl Names {
    /// Learns from a request, and says what its name is known to be.
    pub fn note(&mut self, seen: &Fetch<'_>) -> Kind {
        let own = quick_hash(&(seen.site, shape(seen.path)));
        if let Some(referer) = seen.referer.filter(|referer| seen.is_found() && *referer != seen.path) {
            let prefix = prefix_hash(seen.prefix);
            if let Some(page) = self.name(quick_hash(&(seen.site, shape(referer)))) {
                page.as_page.by(prefix);
            }
            if let Some(part) = self.name(own) {
                part.as_part.by(prefix);
            }
        }
        self.known
            .get(&own)
            .map_or(Kind::default(), |name| Kind { page: name.as_page.is_certain(), part: name.as_part.is_certain() })
    }

    fn name(&mut self, hash: u64) -> Option<&mut Name> {
        if self.known.len() >= CAP && !self.known.contains_key(&hash) {
            return None;
        }
        Some(self.known.entry(hash).or_default())
    }
}

/// The shape of a file name: the name itself where it is a short one, with `#` for its digits, else its extensions.
fn shape(path: &str) -> SmallVec<[u8; 32]> {
    let name = &path[path.rfind('/').map_or(0, |at| at + 1)..];
    let is_separator = |byte: &u8| matches!(byte, b'-' | b'_' | b'.' | b' ');
    let plain = name.len() <= 24 && name.bytes().filter(is_separator).count() <= 2;
    let kept = if plain { name } else { name.find('.').map_or("", |at| extension(&name[at..])) };
    let mut shape = SmallVec::new();
    for byte in kept.bytes() {
        let byte = if byte.is_ascii_digit() { b'#' } else { byte };
        if byte != b'#' || shape.last() != Some(&b'#') {
            shape.push(byte);
        }
    }
    shape
}

/// The last two extensions at most, if they are short: `.log.gz`.
fn extension(dotted: &str) -> &str {
    let last = dotted.rfind('.').unwrap_or(0);
    let before = dotted[..last].rfind('.').unwrap_or(last);
    let double = &dotted[before..];
    if double.len() <= 12 { double } else { &dotted[last..] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_kind_have_one_shape() {
        let cases = [
            ("/run-1/log.html", "log.html"),
            ("/run-1/log.0-4096", "log.#-#"),
            ("/a/log", "log"),
            ("/a/", ""),
            ("/pull-17/TestLogin-testBasic-fedora-43-127.0.0.2-2201-FAIL.png", ".png"),
            ("/a/TestLogin-testBasic-fedora-FAIL.log.gz", ".log.gz"),
            ("/a/shot-12.png", "shot-#.png"),
        ];
        for (path, expected) in cases {
            assert_eq!(*shape(path), *expected.as_bytes(), "{path}");
        }
    }
}
