//! Changes that wait to be exchanged, merged by counter while the store is away.
//!
//! Pure and bounded. What waits loses what time takes from it: who has counted up a minute's worth of waiting an hour
//! ago owes nothing any more.

use crate::clock::Timestamp;
use crate::exchange::{Change, CounterId};
use std::collections::HashMap;
use std::time::Duration;

/// So many counters wait at most; about 20 MB, and twice as much where all are sets.
pub const CAP: usize = 100_000;

/// The most members that a set has: the script keeps no more.
pub const MEMBERS: usize = 16;

/// A counter, and which of the sources it is from.
pub type Key = (usize, CounterId);

/// The change of one counter, and when it stood so, by a clock that never goes back.
#[derive(Debug)]
struct Waiting {
    change: Change,
    since: Duration,
}

/// What waits.
#[derive(Debug, Default)]
pub struct Pending(HashMap<Key, Waiting>);

impl Pending {
    /// Adds a change that stands so at `elapsed`. False where it was dropped, because too many counters wait.
    pub fn add(&mut self, key: Key, change: Change, elapsed: Duration, now: Timestamp) -> bool {
        let change = match self.0.remove(&key).map(|waiting| aged(waiting, elapsed)) {
            Some(earlier) if expired(&earlier, now) => change,
            Some(earlier) => joined(earlier, change),
            None if self.0.len() >= CAP => return false,
            None => change,
        };
        self.0.insert(key, Waiting { change, since: elapsed });
        true
    }

    /// Takes all that is still of interest, as it stands at `elapsed`.
    pub fn take(&mut self, elapsed: Duration, now: Timestamp) -> Vec<(Key, Change)> {
        let waiting = std::mem::take(&mut self.0).into_iter();
        waiting
            .map(|(key, waiting)| (key, aged(waiting, elapsed)))
            .filter(|(_, change)| !expired(change, now))
            .collect()
    }
}

fn expired(change: &Change, now: Timestamp) -> bool {
    matches!(change, Change::Sum { expires, .. } | Change::Members { expires, .. } if *expires <= now)
}

/// The change as it stands at `elapsed`.
fn aged(waiting: Waiting, elapsed: Duration) -> Change {
    let age = elapsed.saturating_sub(waiting.since);
    match waiting.change {
        Change::Due { add, view, most } => {
            let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
            Change::Due { add: add.saturating_sub(age), view: view.saturating_sub(age), most }
        }
        Change::Decaying { add, view, half_life } => {
            let left = (-age.as_secs_f64() / half_life.as_secs_f64().max(f64::MIN_POSITIVE)).exp2();
            Change::Decaying { add: add * left, view: view * left, half_life }
        }
        same => same,
    }
}

/// What two changes of one counter come to, both as of now. How the counter is seen, the later one says.
fn joined(earlier: Change, later: Change) -> Change {
    match (earlier, later) {
        (Change::Due { add: before, .. }, Change::Due { add, view, most }) => {
            Change::Due { add: add.saturating_add(before), view, most }
        }
        (Change::Sum { add: before, .. }, Change::Sum { add, view, expires }) => {
            Change::Sum { add: add.saturating_add(before), view, expires }
        }
        (Change::Decaying { add: before, .. }, Change::Decaying { add, view, half_life }) => {
            Change::Decaying { add: add + before, view, half_life }
        }
        (Change::Members { seen: before, .. }, Change::Members { mut seen, expires }) => {
            seen.extend(before);
            Change::Members { seen: newest(seen), expires }
        }
        (_, later) => later,
    }
}

/// The members that were seen last, each once, the newest first.
pub fn newest(mut seen: Vec<(u64, Timestamp)>) -> Vec<(u64, Timestamp)> {
    seen.sort_unstable_by_key(|(member, at)| std::cmp::Reverse((*at, *member)));
    let mut kept: Vec<(u64, Timestamp)> = Vec::with_capacity(MEMBERS);
    for (member, at) in seen {
        if kept.len() == MEMBERS {
            break;
        }
        if !kept.iter().any(|(known, _)| *known == member) {
            kept.push((member, at));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn key(number: u128) -> Key {
        (0, CounterId { space: "test", scope: 0, key: number })
    }

    #[test]
    fn changes_of_one_counter_are_merged_and_lose_what_time_takes() {
        let hour = SECOND * 3600;
        let due = |add, view| Change::Due { add, view, most: 9_000_000 };
        let sum = |add, view| Change::Sum { add, view, expires: NOW + hour };
        let decaying = |add, view| Change::Decaying { add, view, half_life: SECOND };
        let members = |seen: &[(u64, u64)]| Change::Members {
            seen: seen.iter().map(|(member, at)| (*member, Timestamp(*at))).collect(),
            expires: NOW + hour,
        };
        // One change, another a second later, and what both come to after one more second.
        let cases = [
            (due(5_000_000, 6_000_000), due(1_000_000, 7_000_000), due(4_000_000, 6_000_000)),
            (due(500_000, 500_000), due(10, 10), due(0, 0)),
            (sum(5, 6), sum(1, 9), sum(6, 9)),
            (decaying(8.0, 8.0), decaying(2.0, 10.0), decaying(3.0, 5.0)),
            (members(&[(1, 10), (2, 20)]), members(&[(1, 30)]), members(&[(1, 30), (2, 20)])),
            (sum(5, 6), due(2_000_000, 2_000_000), due(1_000_000, 1_000_000)),
        ];
        for (first, second, both) in cases {
            let mut pending = Pending::default();
            assert!(pending.add(key(1), first.clone(), SECOND, NOW));
            assert!(pending.add(key(1), second.clone(), SECOND * 2, NOW));
            assert_eq!(pending.take(SECOND * 3, NOW), [(key(1), both)], "{first:?} and {second:?}");
            assert_eq!(pending.0.len(), 0);
        }
    }

    #[test]
    fn what_has_expired_is_not_kept() {
        let sum = |add, expires| Change::Sum { add, view: add, expires };
        let mut pending = Pending::default();
        pending.add(key(1), sum(5, NOW), SECOND, Timestamp(0));
        pending.add(key(2), sum(5, NOW), SECOND, Timestamp(0));
        pending.add(key(2), sum(1, NOW + SECOND), SECOND, NOW);
        assert_eq!(pending.take(SECOND, NOW), [(key(2), sum(1, NOW + SECOND))]);
    }

    #[test]
    fn more_counters_than_fit_are_dropped_and_known_ones_go_on() {
        let mut pending = Pending::default();
        let change = Change::Sum { add: 1, view: 1, expires: NOW + SECOND };
        for number in 0..CAP as u128 {
            assert!(pending.add(key(number), change.clone(), SECOND, NOW));
        }
        assert!(!pending.add(key(CAP as u128), change.clone(), SECOND, NOW));
        assert!(pending.add(key(7), change, SECOND, NOW));
        assert_eq!(pending.0.len(), CAP);
    }

    #[test]
    fn the_newest_members_are_kept() {
        let seen = (0..40).map(|at| (at % 20, Timestamp(at))).collect();
        let kept = newest(seen);
        assert_eq!(kept.len(), MEMBERS);
        assert_eq!(kept[0], (19, Timestamp(39)));
        assert_eq!(kept[15], (4, Timestamp(24)));
    }
}
