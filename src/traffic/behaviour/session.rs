//! What one client did since it came.

use super::names::Kind;
use super::{Cause, Evidence};
use crate::clock::Timestamp;
use std::time::Duration;

/// A page whose parts are not asked for within this time was not shown by a browser.
const GRACE: Duration = Duration::from_secs(30);
/// Pages that a Referer may name: those that were opened last.
const OPEN: usize = 6;
/// Fewer intervals say nothing about regularity.
const ENOUGH_INTERVALS: f32 = 20.0;
/// What a person may fetch by hand: an image, in bytes.
const BULK: f64 = 5e9;
/// Nobody reads a page in so short a time. Some open several at once, though, to read them later.
const HASTE: Duration = Duration::from_secs(8);
/// Pauses beyond this are between two sittings.
const PAUSE: Duration = Duration::from_secs(3600);

/// One request of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub at: Timestamp,
    pub kind: Kind,
    /// What was asked for, as a hash.
    pub page: u64,
    /// The page that the Referer names.
    pub referer: Option<u64>,
    pub folder: u64,
    pub missing: bool,
    pub robots: bool,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Opened {
    page: u64,
    at: Timestamp,
    has_parts: bool,
    answered: bool,
}

/// Counts up to about 250 different things by 64 bits (linear counting: K.-Y. Whang, B. Vander-Zanden, H. Taylor, A
/// Linear-Time Probabilistic Counting Algorithm for Database Applications, TODS 15(2), 1990).
#[derive(Debug, Clone, Copy, Default)]
struct Few(u64);

impl Few {
    fn insert(&mut self, hash: u64) {
        self.0 |= 1 << (hash >> 58);
    }

    fn count(self) -> f64 {
        let empty = f64::from(self.0.count_zeros().max(1));
        64.0 * (64.0 / empty).ln()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    last: Timestamp,
    previous: u64,
    opened: [Opened; OPEN],
    next: u8,
    robots: bool,
    counted_suspicious: Option<bool>,
    counted_haste: (u32, u32),
    requests: u32,
    /// Pages with parts: shown, and not shown.
    shown: u32,
    unshown: u32,
    orphans: u32,
    forged: u32,
    missing: u32,
    hours: u32,
    bytes: u64,
    /// When the last page was opened, and after how many of those before it the next one came in haste, and not.
    page_at: Option<Timestamp>,
    hasty: u32,
    read: u32,
    folders: Few,
    /// Number, mean and sum of squared distances of the logarithms of intervals (B. P. Welford, Note on a Method for
    /// Calculating Corrected Sums of Squares and Products, Technometrics 4(3), 1962).
    intervals: (f32, f32, f32),
}

impl Session {
    pub fn new(at: Timestamp) -> Self {
        Session {
            last: at,
            previous: 0,
            opened: [Opened::default(); OPEN],
            next: 0,
            robots: false,
            counted_suspicious: None,
            counted_haste: (0, 0),
            requests: 0,
            shown: 0,
            unshown: 0,
            orphans: 0,
            forged: 0,
            missing: 0,
            hours: 0,
            bytes: 0,
            page_at: None,
            hasty: 0,
            read: 0,
            folders: Few::default(),
            intervals: (0.0, 0.0, 0.0),
        }
    }

    pub fn last(&self) -> Timestamp {
        self.last
    }

    pub fn note(&mut self, sight: &Sight) {
        // Polling one file says nothing about how somebody finds the next one.
        let interval = sight.at.since(self.last);
        if self.requests > 0 && sight.page != self.previous && interval < PAUSE {
            self.note_interval(interval);
        }
        (self.last, self.previous) = (self.last.max(sight.at), sight.page);
        self.requests = self.requests.saturating_add(1);
        self.robots |= sight.robots;
        self.bytes = self.bytes.saturating_add(sight.bytes);
        self.missing += u32::from(sight.missing);
        self.hours |= 1 << (sight.at.seconds() / 3600 % 24);
        self.folders.insert(sight.folder);

        let opener = sight.referer.and_then(|referer| self.opened.iter_mut().find(|opened| opened.page == referer));
        match (opener, sight.referer) {
            (Some(opened), _) => opened.answered = true,
            (None, Some(referer)) if referer != sight.page => self.forged += 1,
            (None, None) if sight.kind.part && !sight.kind.page => self.orphans += 1,
            _ => {}
        }
        if !sight.missing && (sight.kind.page || !sight.kind.part) {
            self.open(sight);
        }
    }

    fn open(&mut self, sight: &Sight) {
        if sight.kind.page && sight.page != self.opened[usize::from(self.next + OPEN as u8 - 1) % OPEN].page {
            match self.page_at.replace(sight.at).map(|before| sight.at.since(before)) {
                Some(gap) if gap < HASTE => self.hasty += 1,
                Some(gap) if gap < PAUSE => self.read += 1,
                _ => {}
            }
        }
        let place = &mut self.opened[usize::from(self.next) % OPEN];
        let (has_parts, answered) = (place.has_parts, place.answered);
        *place = Opened { page: sight.page, at: sight.at, has_parts: sight.kind.page, answered: false };
        self.next = (self.next + 1) % OPEN as u8;
        if has_parts {
            *(if answered { &mut self.shown } else { &mut self.unshown }) += 1;
        }
    }

    fn note_interval(&mut self, interval: Duration) {
        let (count, mean, squares) = &mut self.intervals;
        let log = interval.as_secs_f32().max(0.05).ln();
        *count += 1.0;
        let distance = log - *mean;
        *mean += distance / *count;
        *squares += distance * (log - *mean);
    }

    /// Weighs what the client did. Says whether it has proven to show pages as browsers do.
    pub fn weigh(&self, now: Timestamp, evidence: &mut Evidence) -> bool {
        let (mut shown, mut unshown) = (f64::from(self.shown), f64::from(self.unshown));
        for opened in self.opened.iter().filter(|opened| opened.has_parts) {
            if opened.answered {
                shown += 1.0;
            } else if now.since(opened.at) >= GRACE {
                unshown += 1.0;
            }
        }
        let proven = shown >= 1.0 && shown >= unshown / 4.0;
        if proven {
            // Who opens everything in haste shows pages to nobody.
            let counted = if self.hasty > 2 * self.read { 1.0 } else { 3.0 };
            evidence.odds -= 1.5 * shown.min(counted);
            evidence.add(Cause::Hasty, 0.9 * f64::from(self.hasty.min(4)) - 0.9 * f64::from(self.read));
        } else {
            evidence.add(Cause::NoParts, 1.8 * unshown.min(4.0));
            evidence.add(Cause::NoPage, 1.0 * f64::from(self.orphans.min(6)));
            evidence.add(Cause::Bulk, (2.6 * (self.bytes as f64 / BULK - 0.5)).clamp(0.0, 5.0));
        }
        evidence.add(Cause::ForgedReferer, 0.6 * f64::from(self.forged.min(5)));
        let folders = self.folders.count();
        evidence.add(Cause::FanOut, ((folders - 12.0) / 12.0).clamp(0.0, 3.0));
        let (count, _, squares) = self.intervals;
        if count >= ENOUGH_INTERVALS && (squares / count).sqrt() < 0.4 {
            evidence.add(Cause::Regular, 2.5);
        }
        if self.hours.count_ones() >= 18 {
            evidence.add(Cause::RoundTheClock, 1.5);
        }
        if self.missing >= 5 && self.missing * 10 > self.requests * 3 {
            evidence.add(Cause::Guessing, 1.0);
        }
        if self.robots {
            evidence.add(Cause::Robots, 2.0);
        }
        proven
    }

    /// After how many of its pages the next one came in haste, and how many were followed by another at all.
    pub fn haste(&self) -> (u32, u32) {
        (self.hasty, self.hasty + self.read)
    }

    /// Whether it is suspicious by itself, once that can be told, and whether it was counted as such before.
    pub fn turn(&mut self) -> Option<(Option<bool>, bool)> {
        let mut evidence = Evidence::default();
        let proven = self.weigh(self.last, &mut evidence);
        let suspicious = evidence.odds >= 1.5;
        if !proven && !suspicious && self.requests < 3 {
            return None;
        }
        let before = self.counted_suspicious.replace(suspicious);
        (before != Some(suspicious)).then_some((before, suspicious))
    }

    /// What there is of [`haste`](Self::haste) since it was counted last, and whether that was the first time.
    pub fn new_haste(&mut self) -> Option<(u32, u32, bool)> {
        let (hasty, all) = self.haste();
        let (counted_hasty, counted) = std::mem::replace(&mut self.counted_haste, (hasty, all));
        (all > counted).then(|| (hasty - counted_hasty, all - counted, counted == 0))
    }
}
