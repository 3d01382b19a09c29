//! Time order: records that come roughly in order go out in order.
//!
//! S3 delivers logs late, by hours at times, and some records twice. A record waits here until all that may have been
//! before it should have come; what comes later than that goes out at once and is counted.

use super::record::{Operation, Record};
use crate::clock::Timestamp;
use crate::hashing::IsHash;
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long behind the newest record others may come and still be put in order.
    pub span: Duration,
    /// How many records wait at most, but for those of one second. At the cap the oldest ones go out early. As many ids
    /// are remembered, and up to twice as many.
    pub records: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { span: Duration::from_secs(2 * 3600), records: 1_000_000 }
    }
}

/// Puts records in time order. Those of one moment keep the order in which they came.
#[derive(Debug)]
pub struct Window<T> {
    bounds: Bounds,
    /// What came in the order of seconds, as nearly all does.
    ordered: VecDeque<(Timestamp, T)>,
    /// What came when later seconds had begun, by its second.
    belated: BTreeMap<u64, Vec<(Timestamp, T)>>,
    held: usize,
    newest: Timestamp,
    /// The latest time of what went out in order.
    given: Timestamp,
    seen: Seen,
    late: u64,
    duplicates: u64,
}

impl<T> Window<T> {
    /// An empty window.
    pub fn new(bounds: Bounds) -> Self {
        Window {
            bounds,
            ordered: VecDeque::new(),
            belated: BTreeMap::new(),
            held: 0,
            newest: Timestamp(0),
            given: Timestamp(0),
            seen: Seen::default(),
            late: 0,
            duplicates: 0,
        }
    }

    /// Takes a record, and gives to `out` all whose turn has come. `id` is that of [`Ids`].
    pub fn push(&mut self, at: Timestamp, id: Option<u64>, record: T, mut out: impl FnMut(Timestamp, T)) {
        if id.is_some_and(|id| !self.seen.is_new(id, self.bounds.records)) {
            self.duplicates += 1;
            return;
        }
        if at < self.given {
            self.late += 1;
            out(at, record);
            return;
        }
        match self.ordered.back() {
            Some((last, _)) if at.seconds() < last.seconds() => {
                self.belated.entry(at.seconds()).or_default().push((at, record));
            }
            _ => self.ordered.push_back((at, record)),
        }
        self.held += 1;
        self.newest = self.newest.max(at);
        while let Some(first) = self.first() {
            let end = Timestamp(first.saturating_mul(1000).saturating_add(999));
            if end + self.bounds.span >= self.newest && self.held <= self.bounds.records {
                break;
            }
            self.give(first, &mut out);
        }
    }

    /// Gives to `out` all that still waits.
    pub fn finish(&mut self, mut out: impl FnMut(Timestamp, T)) {
        while let Some(first) = self.first() {
            self.give(first, &mut out);
        }
    }

    /// The first second of which something waits.
    fn first(&self) -> Option<u64> {
        let ordered = self.ordered.front().map(|(at, _)| at.seconds());
        let belated = self.belated.first_key_value().map(|(second, _)| *second);
        ordered.into_iter().chain(belated).min()
    }

    /// Gives all of `second`, the first one.
    fn give(&mut self, second: u64, out: &mut impl FnMut(Timestamp, T)) {
        // No more comes in order of a second of which something came belated.
        let belated = match self.belated.first_entry() {
            Some(first) if *first.key() == second => first.remove(),
            _ => Vec::new(),
        };
        let count = self.ordered.iter().take_while(|(at, _)| at.seconds() == second).count();
        self.held -= count + belated.len();
        let in_order = belated.is_empty() && self.ordered.range(..count).is_sorted_by_key(|(at, _)| *at);
        let ordered = self.ordered.drain(..count);
        let mut give = |(at, record)| {
            self.given = at;
            out(at, record);
        };
        if in_order {
            ordered.for_each(give);
        } else {
            let mut records: Vec<_> = ordered.chain(belated).collect();
            records.sort_by_key(|(at, _)| *at);
            records.into_iter().for_each(&mut give);
        }
    }

    /// How many records wait.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many came too late to be put in order.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many were dropped since they had come before.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

/// Ids that are hashes by a secret key already.
type Set = HashSet<u64, IsHash>;

/// The ids that came last: between once and twice as many as the cap.
#[derive(Debug, Default)]
struct Seen {
    now: Set,
    before: Set,
}

impl Seen {
    fn is_new(&mut self, id: u64, cap: usize) -> bool {
        if self.before.contains(&id) || !self.now.insert(id) {
            return false;
        }
        if self.now.len() >= cap.max(1) {
            self.before = std::mem::take(&mut self.now);
        }
        true
    }
}

/// Makes ids of records, by which the same request is known again.
#[derive(Debug, Clone, Copy)]
pub struct Ids(SipHasher13);

impl Ids {
    /// Ids by this key. It should be secret where clients can choose request ids.
    pub fn new(key: [u8; 16]) -> Self {
        Ids(SipHasher13::new_with_key(&key))
    }

    /// The id of a record, where its log names one. Some operations of S3 write a record for each key that they touch,
    /// all under one request id.
    pub fn of(&self, record: &Record<'_>) -> Option<u64> {
        let id = record.request_id.as_deref()?;
        let mut hasher = self.0;
        id.hash(&mut hasher);
        record.operation.hash(&mut hasher);
        record.bucket.hash(&mut hasher);
        if !matches!(record.operation, Operation::Read | Operation::List) {
            record.target.hash(&mut hasher);
        }
        Some(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(seconds: u64, records: usize) -> Bounds {
        Bounds { span: Duration::from_secs(seconds), records }
    }

    /// What goes out for what comes in, with how many were late and how many duplicates.
    fn through(bounds: Bounds, records: &[(u64, Option<u64>)]) -> (Vec<(u64, usize)>, u64, u64) {
        let (mut window, mut out) = (Window::new(bounds), Vec::new());
        for (index, (at, id)) in records.iter().enumerate() {
            window.push(Timestamp(*at), *id, index, |at, index| out.push((at.0, index)));
        }
        window.finish(|at, index| out.push((at.0, index)));
        assert_eq!(window.held(), 0);
        (out, window.late(), window.duplicates())
    }

    #[test]
    fn records_wait_for_those_before_them() {
        let all = |records: &[u64]| records.iter().map(|at| (*at, None)).collect::<Vec<_>>();
        // Within the span.
        let (out, late, _) = through(bounds(10, 100), &all(&[5000, 1500, 1000, 5000, 9000]));
        assert_eq!((out, late), (vec![(1000, 2), (1500, 1), (5000, 0), (5000, 3), (9000, 4)], 0));
        // Behind it.
        let (out, late, _) = through(bounds(10, 100), &all(&[1000, 2000, 60_000, 1500, 70_000]));
        assert_eq!((out, late), (vec![(1000, 0), (2000, 1), (1500, 3), (60_000, 2), (70_000, 4)], 1));
        // At the cap the oldest ones go out early.
        let (out, late, _) = through(bounds(1000, 2), &all(&[3000, 2000, 4000, 1000]));
        assert_eq!((out, late), (vec![(2000, 1), (1000, 3), (3000, 0), (4000, 2)], 1));
    }

    #[test]
    fn what_comes_twice_goes_out_once() {
        let (out, late, duplicates) = through(
            bounds(1, 100),
            &[(1000, Some(7)), (1000, Some(7)), (90_000, Some(8)), (1000, Some(7)), (1000, None)],
        );
        // The last has no id, so nobody can tell.
        assert_eq!((out, late, duplicates), (vec![(1000, 0), (1000, 4), (90_000, 2)], 0, 2));
    }

    #[test]
    fn records_of_one_request_are_told_apart() {
        let ids = Ids::new([7; 16]);
        let record = |id: &'static str, operation, target: &'static str| Record {
            request_id: Some(id.into()),
            operation,
            ..Record::new(Timestamp(0), "GET".into(), target.into())
        };
        let first = ids.of(&record("A", Operation::Read, "/a"));
        assert_eq!(first, ids.of(&record("A", Operation::Read, "/a")));
        assert_ne!(first, ids.of(&record("B", Operation::Read, "/a")));
        assert_ne!(first, ids.of(&record("A", Operation::Other, "/a")));
        assert_ne!(ids.of(&record("A", Operation::Write, "/a")), ids.of(&record("A", Operation::Write, "/b")));
        assert_ne!(first, Ids::new([8; 16]).of(&record("A", Operation::Read, "/a")));
        assert_eq!(ids.of(&Record::new(Timestamp(0), "GET".into(), "/".into())), None);
    }

    proptest! {
        #[test]
        fn all_go_out_in_order_but_late_ones(
            records in proptest::collection::vec((0_u64..100_000, proptest::option::of(0_u64..200)), 0..300),
            span in 0_u64..60, cap in 1_usize..100,
        ) {
            let (mut window, mut out) = (Window::new(bounds(span, cap)), Vec::new());
            let mut newest = 0;
            for (at, id) in &records {
                let (before, from) = (window.late(), out.len());
                window.push(Timestamp(*at), *id, *id, |at, id| out.push((at.0, id, false)));
                if window.late() > before {
                    prop_assert_eq!(out.len(), from + 1);
                    out[from].2 = true;
                    // Only what is behind the window, or behind what the cap drove out.
                    prop_assert!(at + span * 1000 < newest || cap < records.len());
                }
                newest = newest.max(*at);
                // One second may stand alone above the cap.
                prop_assert!(window.held() <= cap);
            }
            window.finish(|at, id| out.push((at.0, id, false)));
            prop_assert!(out.iter().filter(|(.., late)| !late).is_sorted_by_key(|(at, ..)| at));
            prop_assert_eq!(out.len() as u64 + window.duplicates(), records.len() as u64);
            // With room for all, exactly what came, each id once.
            if cap >= records.len() {
                let mut seen = HashSet::new();
                let first = |(_, id): &&(u64, Option<u64>)| id.is_none_or(|id| seen.insert(id));
                let mut expected: Vec<_> = records.iter().filter(first).copied().collect();
                let mut given: Vec<_> = out.iter().map(|(at, id, _)| (*at, *id)).collect();
                expected.sort_unstable();
                given.sort_unstable();
                prop_assert_eq!(given, expected);
            }
        }
    }
}
