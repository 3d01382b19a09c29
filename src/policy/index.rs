//! Which rules may hold, given the atoms that do: so that a decision looks at few of many rules.

use super::atoms::{AtomId, Builder, SourceId, Test};
use super::matches::Matcher;

/// For each of a list of matchers, the atoms of which one must hold so that it can hold itself.
#[derive(Debug, Default)]
pub struct Index {
    /// Matchers that may hold whatever holds.
    always: Vec<usize>,
    by_atom: Vec<Vec<usize>>,
    /// Matchers that hang on a source: they may be undecided when its text is unknown.
    by_source: Vec<Vec<usize>>,
}

impl Index {
    /// Chooses for each matcher the atoms by which it is found: those that find few others.
    pub fn new<'m>(matchers: impl Iterator<Item = &'m Matcher>, atoms: &Builder) -> Self {
        let mut index = Index::default();
        for (number, matcher) in matchers.enumerate() {
            match index.access(matcher, atoms) {
                None => index.always.push(number),
                Some(access) => {
                    for atom in access {
                        place(&mut index.by_atom, atom as usize, number);
                        if let Test::Found(source) = atoms.test(atom) {
                            place(&mut index.by_source, *source, number);
                        }
                    }
                }
            }
        }
        index
    }

    /// Atoms of which one holds, or is undecided, whenever `matcher` does. `None` when there are no such atoms.
    fn access(&self, matcher: &Matcher, atoms: &Builder) -> Option<Vec<AtomId>> {
        match matcher {
            Matcher::Atom(id) => is_found(atoms.test(*id)).then(|| vec![*id]),
            Matcher::All(parts) => {
                let candidates = parts.iter().filter_map(|part| self.access(part, atoms));
                candidates.min_by_key(|access| access.iter().map(|atom| self.cost(*atom, atoms)).sum::<usize>())
            }
            Matcher::Any(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(self.access(part, atoms)?);
                }
                Some(all)
            }
            Matcher::Not(_) => None,
        }
    }

    /// How many matchers an atom finds in vain: those that it finds already, and more where it often holds.
    fn cost(&self, atom: AtomId, atoms: &Builder) -> usize {
        let common = match atoms.test(atom) {
            Test::Found(_) => 1,
            Test::Network(_) => 2,
            Test::Identity(_) | Test::Site(_) => 8,
            _ => 16,
        };
        common + self.by_atom.get(atom as usize).map_or(0, Vec::len)
    }

    /// Marks the matchers that may hold whatever holds.
    pub fn mark_always(&self, marks: &mut Marks) {
        self.always.iter().for_each(|number| marks.set(*number));
    }

    /// Marks the matchers that an atom finds.
    pub fn mark_atom(&self, atom: AtomId, marks: &mut Marks) {
        self.by_atom.get(atom as usize).into_iter().flatten().for_each(|number| marks.set(*number));
    }

    /// Marks the matchers that hang on a source.
    pub fn mark_source(&self, source: SourceId, marks: &mut Marks) {
        self.by_source.get(source).into_iter().flatten().for_each(|number| marks.set(*number));
    }
}

/// Whether the atoms of this kind that hold are known at once, without testing each.
fn is_found(test: &Test) -> bool {
    matches!(
        test,
        Test::Found(_) | Test::Network(_) | Test::Site(_) | Test::Method(_) | Test::Identity(_) | Test::Class(_)
    )
}

fn place(lists: &mut Vec<Vec<usize>>, at: usize, number: usize) {
    if lists.len() <= at {
        lists.resize(at + 1, Vec::new());
    }
    if lists[at].last() != Some(&number) {
        lists[at].push(number);
    }
}

/// A set of numbers that is walked in order and cleared in the time that its members take: bits, with a bit above each
/// word that has some.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl Marks {
    /// A set of numbers below `count`.
    pub fn new(count: usize) -> Self {
        let words = count.div_ceil(64);
        Marks { words: vec![0; words], summary: vec![0; words.div_ceil(64)] }
    }

    /// Adds a number.
    pub fn set(&mut self, number: usize) {
        self.words[number / 64] |= 1 << (number % 64);
        self.summary[number / 4096] |= 1 << (number / 64 % 64);
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: usize) -> bool {
        self.words[number / 64] & (1 << (number % 64)) != 0
    }

    /// The first member that is not below `from`.
    pub fn next(&self, from: usize) -> Option<usize> {
        let word = from / 64;
        let rest = self.words.get(word)? & (u64::MAX << (from % 64));
        if rest != 0 {
            return Some(word * 64 + rest.trailing_zeros() as usize);
        }
        let after = word + 1;
        let mut mask = u64::MAX << (after % 64);
        for (number, summary) in self.summary.iter().enumerate().skip(after / 64) {
            let words = summary & mask;
            mask = u64::MAX;
            if words != 0 {
                let word = number * 64 + words.trailing_zeros() as usize;
                return Some(word * 64 + self.words[word].trailing_zeros() as usize);
            }
        }
        None
    }

    /// Removes all members.
    pub fn clear(&mut self) {
        for (number, summary) in self.summary.iter_mut().enumerate() {
            while *summary != 0 {
                self.words[number * 64 + summary.trailing_zeros() as usize] = 0;
                *summary &= *summary - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn marks_are_a_sorted_set(numbers in prop::collection::btree_set(0usize..9000, 0..40), more in 0usize..9000) {
            let mut marks = Marks::new(9000);
            numbers.iter().for_each(|number| marks.set(*number));
            let walk = |marks: &Marks| {
                let mut found = BTreeSet::new();
                let mut from = 0;
                while let Some(number) = marks.next(from) {
                    found.insert(number);
                    from = number + 1;
                }
                found
            };
            prop_assert_eq!(walk(&marks), numbers.clone());
            prop_assert_eq!(marks.contains(more), numbers.contains(&more));
            marks.clear();
            prop_assert_eq!(walk(&marks), BTreeSet::new());
        }
    }
}
