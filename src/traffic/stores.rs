//! What requests showed about the stores of a site that has several: may the second one go?

use super::distinct::Distinct;
use super::hash;
use super::heavy::Heavy;
use crate::clock::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// Sums of one hour. Sites, origins and what is shown are closed sets, and this is more than they make.
const SUMS: usize = 1024;
/// Objects of one hour that are known by name, those first that were taken most.
const OBJECTS: usize = 256;
/// Longer paths are cut.
const MAX_PATH: usize = 1024;

/// What was shown about an origin that is not its site's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shown {
    /// It has an object that those before it lack.
    OnlyHere,
    /// It stood in for one before it that failed.
    StoodIn,
    /// Compared with the origin that served an object, it has the same one.
    Same,
    /// Compared, it has another object of the same name.
    Differs,
    /// Compared, it lacks the object.
    Lacks,
    /// It could not be compared.
    Failed,
    /// Whether it is needed was looked at: without this, nothing is known.
    Watched,
}

impl Shown {
    /// Every kind with its word.
    pub const WORDS: [(&'static str, Shown); 7] = [
        ("only-here", Shown::OnlyHere),
        ("stood-in", Shown::StoodIn),
        ("same", Shown::Same),
        ("differs", Shown::Differs),
        ("lacks", Shown::Lacks),
        ("failed", Shown::Failed),
        ("watched", Shown::Watched),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }

    /// Whether the objects that show it are kept by name.
    fn is_named(self) -> bool {
        matches!(self, Shown::OnlyHere | Shown::Differs)
    }
}

/// What was shown, of which origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Finding {
    /// The site.
    pub site: Arc<str>,
    /// The origin's name.
    pub origin: Arc<str>,
    /// What.
    pub shown: Shown,
}

/// How often, and by how many objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// Requests.
    pub requests: u64,
    /// Bytes of bodies that were sent.
    pub bytes: u64,
    /// The objects, by hashes of their paths.
    pub objects: Distinct,
    /// When last.
    pub last: Timestamp,
}

/// An object that shows something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shower {
    /// What.
    pub finding: Finding,
    /// The object's path below the site's prefix, cut.
    pub path: Box<str>,
}

/// The findings of one hour.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The sums.
    pub sums: HashMap<Finding, Sum>,
    /// Objects that are only here, or differ.
    pub objects: Heavy<Shower>,
}

impl Default for Stores {
    fn default() -> Self {
        Stores { sums: HashMap::new(), objects: Heavy::new(OBJECTS) }
    }
}

impl Stores {
    /// Enters what one request showed by the object at `path`.
    pub(super) fn enter(&mut self, finding: Finding, path: &str, bytes: u64, at: Timestamp) {
        let path = &path[..path.floor_char_boundary(MAX_PATH)];
        if finding.shown.is_named() {
            let make = || Shower { finding: finding.clone(), path: path.into() };
            self.objects.add(&(&finding, path), bytes, make);
        }
        if let Some(sum) = self.sum(finding) {
            sum.requests += 1;
            sum.bytes += bytes;
            sum.objects.insert(hash(path));
            sum.last = sum.last.max(at);
        }
    }

    fn sum(&mut self, finding: Finding) -> Option<&mut Sum> {
        let full = self.sums.len() >= SUMS && !self.sums.contains_key(&finding);
        (!full).then(|| self.sums.entry(finding).or_default())
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Stores) {
        for (finding, theirs) in &other.sums {
            let Some(sum) = self.sum(finding.clone()) else { continue };
            sum.requests = sum.requests.saturating_add(theirs.requests);
            sum.bytes = sum.bytes.saturating_add(theirs.bytes);
            sum.objects.merge(&theirs.objects);
            sum.last = sum.last.max(theirs.last);
        }
        self.objects.merge(&other.objects);
    }
}
