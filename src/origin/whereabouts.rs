//! Which of a site's origins has an object, as far as requests have shown.
//!
//! A table of fixed size: a new key takes the place of the one of its set that is worth least. Whatever is forgotten
//! costs one request to an origin, so no flood of made-up keys does more harm than without it. Keys are found by a
//! keyed hash of 128 bits: nobody can choose two that collide.

use super::response::Shape;
use crate::clock::Timestamp;
use http::StatusCode;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Threads seldom wait for one another.
const SHARDS: usize = 64;
/// Sets in a shard.
const SETS: usize = 256;
/// Keys that share one set.
const WAYS: usize = 4;
/// Keys in all, about 4 MB.
#[cfg(test)]
const CAP: usize = SHARDS * SETS * WAYS;

/// How long things are believed. Short for what changes: the log of a test that runs appears in one store and then in
/// the other. Nothing is believed missing for long, since whoever has just uploaded it comes to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief {
    /// That an origin has it.
    pub found: Duration,
    /// That an origin lacks it.
    pub missing: Duration,
}

/// An origin whose answer broke off is asked last for so long, so that a resumed download goes on elsewhere.
const SHUNNED: Duration = Duration::from_secs(60);

impl Belief {
    /// For objects that never change once they are there.
    pub const IMMUTABLE: Belief = Belief { found: Duration::from_secs(600), missing: Duration::from_secs(5) };
    /// For objects that do.
    pub const MUTABLE: Belief = Belief { found: Duration::from_secs(5), missing: Duration::from_secs(1) };
}

/// What is known of one object. Origins are numbered from 0 as in the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// The origin that has it, where those before it lack it.
    pub found: Option<usize>,
    /// The shape that it had, and at which origin.
    pub seen: Option<(usize, Shape)>,
    /// The status by which an origin said that it lacks it.
    pub status: Option<StatusCode>,
    lacking: u8,
    shunned: u8,
}

impl Known {
    /// Whether this origin is known to lack it.
    pub fn lacks(&self, origin: usize) -> bool {
        self.lacking & bit(origin) != 0
    }

    /// In which order `count` origins are asked: the one that has it first, those last whose answer broke off, and
    /// those not at all that lack it.
    pub fn order(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let known = *self;
        let worth = |number: &usize| (known.shunned & bit(*number) != 0, known.found != Some(*number));
        let mut order: Vec<usize> = (0..count).filter(|number| !known.lacks(*number)).collect();
        order.sort_by_key(worth);
        order.into_iter()
    }
}

/// The bit of an origin; a site has at most eight.
fn bit(origin: usize) -> u8 {
    1u8.checked_shl(number(origin).into()).unwrap_or(0)
}

fn number(origin: usize) -> u8 {
    u8::try_from(origin).unwrap_or(u8::MAX)
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    key: u128,
    found_until: Timestamp,
    lacking_until: Timestamp,
    shunned_until: Timestamp,
    seen_until: Timestamp,
    seen: Option<Shape>,
    status: Option<StatusCode>,
    seen_by: u8,
    found: u8,
    lacking: u8,
    shunned: u8,
}

impl Entry {
    fn worth(&self) -> Timestamp {
        self.found_until.max(self.lacking_until).max(self.seen_until)
    }
}

/// The table.
#[derive(Debug)]
pub struct Whereabouts {
    shards: Vec<Mutex<Vec<Entry>>>,
    secret: [u8; 16],
}

impl Whereabouts {
    /// An empty table, whose hash nobody knows who does not know `secret`.
    pub fn new(secret: [u8; 16]) -> Self {
        Whereabouts { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), secret }
    }

    /// Runs `look` on the entry of an object; a new one takes the worst place of its set where `insert` says so.
    fn with<T>(&self, site: &str, path: &str, insert: bool, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        hasher.write(site.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(path.as_bytes());
        let key = hasher.finish128().as_u128();
        let (shard, set) = (key as usize % SHARDS, (key >> 32) as usize % SETS);
        let mut entries = self.shards.get(shard)?.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.is_empty() {
            if !insert {
                return None;
            }
            entries.resize(SETS * WAYS, Entry::default());
        }
        let set = entries.get_mut(set * WAYS..(set + 1) * WAYS)?;
        if let Some(entry) = set.iter_mut().find(|entry| entry.key == key) {
            return Some(look(entry));
        }
        let worst = set.iter_mut().filter(|_| insert).min_by_key(|entry| entry.worth())?;
        *worst = Entry { key, ..Entry::default() };
        Some(look(worst))
    }

    /// What is known of an object now.
    pub fn recall(&self, site: &str, path: &str, now: Timestamp) -> Known {
        let known = self.with(site, path, false, |entry| {
            let lacks = now < entry.lacking_until;
            Known {
                found: (now < entry.found_until).then_some(entry.found.into()),
                seen: entry.seen.filter(|_| now < entry.seen_until).map(|shape| (entry.seen_by.into(), shape)),
                status: entry.status.filter(|_| lacks),
                lacking: if lacks { entry.lacking } else { 0 },
                shunned: if now < entry.shunned_until { entry.shunned } else { 0 },
            }
        });
        known.unwrap_or_default()
    }

    /// Notes that `origin` has an object, and that those before it lack it.
    pub fn found(&self, site: &str, path: &str, origin: usize, belief: Belief, now: Timestamp) {
        self.with(site, path, true, |entry| {
            entry.found = number(origin);
            entry.found_until = now + belief.found;
            entry.lacking &= !bit(origin);
        });
    }

    /// Notes the shape that an object has at `origin`. Where another origin has just had another one under this name,
    /// that stays: somebody may be in the middle of it.
    pub fn seen(&self, site: &str, path: &str, origin: usize, shape: Shape, belief: Belief, now: Timestamp) {
        self.with(site, path, true, |entry| {
            let known = entry.seen.filter(|_| now < entry.seen_until && entry.seen_by != number(origin));
            if known.is_some_and(|known| !known.may_equal(&shape)) {
                return;
            }
            (entry.seen, entry.seen_by) = (Some(shape), number(origin));
            entry.seen_until = now + belief.found;
        });
    }

    /// Notes that `origin` lacks an object, as it said by `status`.
    pub fn missing(&self, site: &str, path: &str, origin: usize, status: StatusCode, belief: Belief, now: Timestamp) {
        self.with(site, path, true, |entry| {
            if now >= entry.lacking_until {
                entry.lacking = 0;
                entry.lacking_until = now + belief.missing;
            }
            entry.lacking |= bit(origin);
            entry.status = Some(status);
            if usize::from(entry.found) == origin {
                entry.found_until = Timestamp::default();
            }
        });
    }

    /// Notes that what `origin` sent of an object broke off.
    pub fn broke_off(&self, site: &str, path: &str, origin: usize, now: Timestamp) {
        self.with(site, path, true, |entry| {
            if now >= entry.shunned_until {
                entry.shunned = 0;
            }
            entry.shunned |= bit(origin);
            entry.shunned_until = now + SHUNNED;
            // However long the transfer took: its rest must be of the same object.
            if entry.seen_by == number(origin) {
                entry.seen_until = now + Belief::IMMUTABLE.found;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn what_was_seen_is_believed_for_a_while() {
        let table = Whereabouts::new([7; 16]);
        let belief = Belief { found: Duration::from_secs(60), missing: Duration::from_secs(5) };
        let order = |known: Known| known.order(3).collect::<Vec<_>>();
        assert_eq!(table.recall("images", "/a", NOW), Known::default());
        assert_eq!(order(Known::default()), [0, 1, 2]);
        table.missing("images", "/a", 0, StatusCode::FORBIDDEN, belief, NOW);
        table.found("images", "/a", 1, belief, NOW);
        let known = table.recall("images", "/a", NOW + Duration::from_secs(4));
        assert_eq!((order(known), known.status), (vec![1, 2], Some(StatusCode::FORBIDDEN)));
        let later = table.recall("images", "/a", NOW + Duration::from_secs(5));
        assert_eq!((order(later), later.status), (vec![1, 0, 2], None));
        assert_eq!(table.recall("images", "/a", NOW + Duration::from_secs(60)), Known::default());
        for (site, path) in [("logs", "/a"), ("images", "/b"), ("image", "s/a")] {
            assert_eq!(table.recall(site, path, NOW), Known::default(), "{site} {path}");
        }
    }

    #[test]
    fn a_later_look_corrects_an_earlier_one() {
        let table = Whereabouts::new([7; 16]);
        let belief = Belief::IMMUTABLE;
        table.found("images", "/a", 1, belief, NOW);
        table.missing("images", "/a", 1, StatusCode::NOT_FOUND, belief, NOW);
        let known = table.recall("images", "/a", NOW);
        assert_eq!((known.found, known.lacks(1)), (None, true));
        table.found("images", "/a", 1, belief, NOW);
        let known = table.recall("images", "/a", NOW);
        assert_eq!((known.found, known.lacks(1)), (Some(1), false));
    }

    #[test]
    fn what_broke_off_is_resumed_elsewhere_but_not_elsewhere_alone() {
        let table = Whereabouts::new([7; 16]);
        let shape = Shape { size: 12, md5: None };
        table.found("images", "/a", 0, Belief::IMMUTABLE, NOW);
        table.seen("images", "/a", 0, shape, Belief::IMMUTABLE, NOW);
        table.broke_off("images", "/a", 0, NOW);
        let known = table.recall("images", "/a", NOW);
        assert_eq!((known.order(2).collect::<Vec<_>>(), known.seen), (vec![1, 0], Some((0, shape))));
        assert_eq!(table.recall("images", "/a", NOW + SHUNNED).order(2).next(), Some(0));
        // Another object of the name does not take the place of the one that somebody is in the middle of.
        let other = Shape { size: 13, md5: None };
        table.seen("images", "/a", 1, other, Belief::IMMUTABLE, NOW);
        assert_eq!(table.recall("images", "/a", NOW).seen, Some((0, shape)));
        let later = NOW + Belief::IMMUTABLE.found;
        table.broke_off("images", "/a", 0, later);
        assert_eq!(table.recall("images", "/a", later).seen, Some((0, shape)), "however long it took");
        table.seen("images", "/a", 0, other, Belief::IMMUTABLE, later);
        assert_eq!(table.recall("images", "/a", later).seen, Some((0, other)), "its own origin may change it");
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_room_and_spares_the_newest() {
        let table = Whereabouts::new([7; 16]);
        for number in 0..2 * CAP {
            let path = format!("/{number}");
            table.missing("images", &path, 0, StatusCode::NOT_FOUND, Belief::IMMUTABLE, Timestamp(number as u64));
        }
        let now = Timestamp(2 * CAP as u64);
        let known = |number: usize| table.recall("images", &format!("/{number}"), Timestamp(0)).lacks(0);
        let left = (0..2 * CAP).filter(|number| known(*number)).count();
        assert!(left <= CAP && left > CAP * 3 / 4, "{left} of {CAP}");
        let newest = (2 * CAP - 1000..2 * CAP).filter(|number| known(*number)).count();
        assert!(newest > 990, "{newest}");
        // What is believed for longer outlives the flood.
        table.found("images", "/image", 1, Belief::IMMUTABLE, now);
        for number in 0..CAP {
            table.missing("images", &format!("/junk{number}"), 0, StatusCode::NOT_FOUND, Belief::IMMUTABLE, now);
        }
        assert_eq!(table.recall("images", "/image", now).found, Some(1));
    }

    #[test]
    fn shapes_differ_by_size_and_by_md5_where_both_have_one() {
        let shape = |size, md5: Option<u8>| Shape { size, md5: md5.map(|byte| [byte; 16]) };
        let cases = [
            (shape(1, None), shape(1, None), true),
            (shape(1, Some(1)), shape(1, None), true),
            (shape(1, Some(1)), shape(1, Some(1)), true),
            (shape(1, Some(1)), shape(1, Some(2)), false),
            (shape(1, Some(1)), shape(2, Some(1)), false),
        ];
        for (one, other, equal) in cases {
            assert_eq!((one.may_equal(&other), other.may_equal(&one)), (equal, equal), "{one:?} {other:?}");
        }
    }
}
