//! What became of the sample: of each prefix that was drawn for an hour, who was challenged, and who solved.
//!
//! Prefixes stand in the order of the draw, and those first in it are kept. That is again a fair draw, so that a full table
//! makes an estimate less sure and not wrong, and the tables of several gateways merge. No prefix is kept, only its place.

use super::books::HOUR;
use super::distinct::prefix_hash;
use crate::clock::Timestamp;
use crate::network::IpNet;
use crate::state::SAMPLE_POINTS;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::hash::Hasher;

/// Prefixes of one hour.
const PREFIXES: usize = 1024;
/// Sessions of a prefix: nobody is many by changing its User-Agent.
const SESSIONS: usize = 16;
/// Bytes of a session in a file.
const BYTES: usize = 5;

/// Where `prefix` stands in the draw of the hour of `at`, below [`SAMPLE_POINTS`].
pub fn sample_point(secret: &[u8; 16], prefix: IpNet, at: Timestamp) -> u64 {
    let mut hasher = SipHasher13::new_with_key(secret);
    hasher.write_u64(at.0 / HOUR);
    hasher.write_u64(prefix_hash(prefix));
    hasher.finish() % SAMPLE_POINTS
}

/// The session of this User-Agent at a site, of the prefix that stands at `point`.
pub fn session(point: u64, site: &str, user_agent: &str) -> u32 {
    let mut hasher = SipHasher13::new_with_keys(point, 0);
    hasher.write(site.as_bytes());
    hasher.write_u8(0);
    hasher.write(user_agent.as_bytes());
    hasher.finish() as u32
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was shown a challenge.
    Shown = 1,
    /// It solved it.
    Solved = 2,
    /// It got a pass for waiting.
    Waited = 4,
    /// With the pass it acted like no browser.
    Suspicious = 8,
}

/// One thing that became of a session.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// When it was challenged.
    pub at: Timestamp,
    /// Where its prefix stands in the draw of that hour.
    pub point: u64,
    /// From where on none is drawn; at least 1.
    pub below: u64,
    /// Its number within the prefix.
    pub session: u32,
    /// What.
    pub outcome: Outcome,
}

impl Sighting {
    /// Puts another place in the draw in place of its own, which nobody can trace to the prefix without `secret`.
    pub(super) fn redraw(&mut self, secret: &[u8; 16]) {
        let mut hasher = SipHasher13::new_with_key(secret);
        hasher.write_u64(self.point);
        self.point = hasher.finish() % self.below.max(1);
    }
}

/// What became of the sessions of one prefix in one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drawn {
    /// Sessions that were shown a challenge.
    pub shown: u32,
    /// Of these, who solved it.
    pub solved: u32,
    /// Of these, who waited and did not solve.
    pub waited: u32,
    /// Of those who solved, who then acted like no browser.
    pub suspicious: u32,
}

/// Sessions by their number, in order, with what became of them.
type Sessions = Vec<(u32, u8)>;

/// The sample of one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    below: u64,
    prefixes: BTreeMap<u64, Sessions>,
}

impl Default for Sampled {
    fn default() -> Self {
        Sampled { below: SAMPLE_POINTS, prefixes: BTreeMap::new() }
    }
}

fn add(sessions: &mut Sessions, session: u32, outcomes: u8) {
    match sessions.binary_search_by_key(&session, |(known, _)| *known) {
        Ok(place) => sessions[place].1 |= outcomes,
        Err(place) if place < SESSIONS => {
            sessions.insert(place, (session, outcomes));
            sessions.truncate(SESSIONS);
        }
        Err(_) => {}
    }
}

impl Sampled {
    pub(super) fn enter(&mut self, sighting: Sighting) {
        self.narrow(sighting.below);
        if sighting.point < self.below {
            let sessions = self.prefixes.entry(sighting.point).or_default();
            add(sessions, sighting.session, sighting.outcome as u8);
            self.shrink();
        }
    }

    /// Leaves out what stands at `below` or behind it.
    fn narrow(&mut self, below: u64) {
        if below < self.below {
            self.below = below;
            self.prefixes.split_off(&below);
        }
    }

    fn shrink(&mut self) {
        while self.prefixes.len() > PREFIXES {
            let Some((last, _)) = self.prefixes.pop_last() else { return };
            self.below = last;
        }
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Sampled) {
        self.narrow(other.below);
        for (point, theirs) in other.prefixes.range(..self.below) {
            let sessions = self.prefixes.entry(*point).or_default();
            theirs.iter().for_each(|(session, outcomes)| add(sessions, *session, *outcomes));
        }
        self.shrink();
    }

    /// The part of all prefixes that is in it, above 0.
    pub fn share(&self) -> f64 {
        self.below.max(1) as f64 / SAMPLE_POINTS as f64
    }

    /// What became of each prefix of which a session was challenged, in the order of the draw.
    pub fn drawn(&self) -> impl Iterator<Item = Drawn> {
        let count = |sessions: &Sessions| {
            let mut drawn = Drawn::default();
            for (_, outcomes) in sessions {
                let is = |outcome: Outcome| u32::from(outcomes & outcome as u8 != 0);
                let shown = is(Outcome::Shown);
                let solved = shown * is(Outcome::Solved);
                drawn.shown += shown;
                drawn.solved += solved;
                drawn.waited += (shown - solved) * is(Outcome::Waited);
                drawn.suspicious += solved * is(Outcome::Suspicious);
            }
            drawn
        };
        self.prefixes.values().map(count).filter(|drawn| drawn.shown > 0)
    }

    /// The point from which on nothing is in it, and the sessions of each prefix as bytes.
    pub fn kept(&self) -> (u64, impl Iterator<Item = (u64, Vec<u8>)>) {
        let bytes = |sessions: &Sessions| {
            let each = sessions.iter().map(|(session, outcomes)| {
                let [a, b, c, d] = session.to_be_bytes();
                [a, b, c, d, *outcomes]
            });
            each.flatten().collect()
        };
        (self.below, self.prefixes.iter().map(move |(point, sessions)| (*point, bytes(sessions))))
    }

    /// Adds a prefix as it was [kept](Self::kept). `None` where the bytes are none of ours.
    pub fn restore(&mut self, below: u64, point: u64, bytes: &[u8]) -> Option<()> {
        if point >= below || !bytes.len().is_multiple_of(BYTES) {
            return None;
        }
        self.narrow(below);
        if point < self.below {
            let sessions = self.prefixes.entry(point).or_default();
            for each in bytes.chunks_exact(BYTES) {
                let (session, outcomes) = each.split_first_chunk::<4>()?;
                add(sessions, u32::from_be_bytes(*session), outcomes[0]);
            }
            self.shrink();
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(point: u64, session: u32, outcome: Outcome) -> Sighting {
        Sighting { at: Timestamp(0), point, below: SAMPLE_POINTS / 2, session, outcome }
    }

    #[test]
    fn a_draw_is_even_and_another_one_each_hour() {
        let secret = [7; 16];
        let prefixes =
            || (0..4000u32).map(|number| IpNet::new_assert(std::net::Ipv4Addr::from(number << 8).into(), 24));
        let drawn = |hour: u64| -> Vec<bool> {
            prefixes().map(|prefix| sample_point(&secret, prefix, Timestamp(hour * HOUR)) < SAMPLE_POINTS / 4).collect()
        };
        let (first, second) = (drawn(1), drawn(2));
        let count = |drawn: &[bool]| drawn.iter().filter(|is| **is).count();
        assert!((900..1100).contains(&count(&first)), "{}", count(&first));
        let both: Vec<bool> = first.iter().zip(&second).map(|(one, other)| *one && *other).collect();
        assert!((180..320).contains(&count(&both)), "{}", count(&both));
        let prefix = "192.0.2.0/24".parse().unwrap();
        let point = |at| sample_point(&secret, prefix, Timestamp(at));
        assert_eq!(point(5 * HOUR), point(6 * HOUR - 1));
        assert_ne!(point(5 * HOUR), sample_point(&[8; 16], prefix, Timestamp(5 * HOUR)));
    }

    #[test]
    fn sessions_are_counted_once_wherever_they_were_seen() {
        let (mut one, mut other) = (Sampled::default(), Sampled::default());
        for _ in 0..3 {
            one.enter(sighting(5, 1, Outcome::Shown));
        }
        one.enter(sighting(5, 2, Outcome::Shown));
        other.enter(sighting(5, 1, Outcome::Shown));
        other.enter(sighting(5, 1, Outcome::Solved));
        other.enter(sighting(5, 1, Outcome::Suspicious));
        other.enter(sighting(5, 2, Outcome::Waited));
        // A challenge that is in force for everybody says nothing of the sample.
        other.enter(sighting(5, 3, Outcome::Solved));
        other.enter(sighting(6, 3, Outcome::Solved));
        one.merge(&other);
        let drawn: Vec<Drawn> = one.drawn().collect();
        assert_eq!(drawn, [Drawn { shown: 2, solved: 1, waited: 1, suspicious: 1 }]);
        assert_eq!(one.share(), 0.5);
    }

    #[test]
    fn a_full_table_keeps_those_first_in_the_draw_in_whatever_order_they_come() {
        let point = |number: u64| (number * 7919 % 5003) << 40;
        let enter = |table: &mut Sampled, numbers: &mut dyn Iterator<Item = u64>| {
            for number in numbers {
                for session in 0..40 {
                    table.enter(sighting(point(number), session * 7 % 41, Outcome::Shown));
                }
            }
        };
        let (mut whole, mut left, mut right) = (Sampled::default(), Sampled::default(), Sampled::default());
        enter(&mut whole, &mut (0..5003));
        enter(&mut left, &mut (0..5003).filter(|number| number % 3 == 0));
        enter(&mut right, &mut (0..5003).rev().filter(|number| number % 3 != 0));
        left.merge(&right);
        assert_eq!(left, whole);
        assert_eq!(whole.prefixes.len(), PREFIXES);
        assert!(whole.drawn().all(|drawn| drawn.shown == SESSIONS as u32));
        assert_eq!(whole.below, (PREFIXES as u64) << 40, "the points are 0 to 5002");

        let mut restored = Sampled::default();
        let (below, kept) = whole.kept();
        kept.for_each(|(point, bytes)| restored.restore(below, point, &bytes).unwrap());
        assert_eq!(restored, whole);
        assert_eq!(restored.restore(9, 9, &[]), None);
        assert_eq!(restored.restore(9, 1, &[1, 2]), None);
    }

    #[test]
    fn a_smaller_share_within_the_hour_leaves_out_what_it_would_not_have_drawn() {
        let mut table = Sampled::default();
        table.enter(sighting(5, 1, Outcome::Shown));
        table.enter(sighting(50, 1, Outcome::Shown));
        table.enter(Sighting { below: 10, ..sighting(7, 1, Outcome::Shown) });
        assert_eq!(table.drawn().count(), 2);
        table.enter(sighting(11, 1, Outcome::Shown));
        assert_eq!(table.drawn().count(), 2, "and goes on so, which is fair");
    }
}
