//! What a report is made from, and the usage that it comes to.

use crate::clock::Timestamp;
use crate::cost::{Day, DayUsage, Destination, Location, PriceBook, Prices, Usage};
use crate::traffic::{Billed, Books, Cell, HOUR, Key};
use crate::verdict::{Class, Done};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Hours of a day.
const DAY: u64 = 24;
/// An end of the evidence that misses no more of a day than this leaves it whole, in milliseconds: few sites are read in
/// each minute of the night.
const SLACK: u64 = HOUR;

/// What was read and is not in the books.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LeftOut {
    /// Lines that could not be read.
    pub unreadable: u64,
    /// Some of them, with their places. Text that clients may have sent.
    pub examples: Vec<String>,
    /// Records that came twice.
    pub duplicates: u64,
    /// Writes and deletions.
    pub writes: u64,
    /// Reads of the gateway itself.
    pub own_reads: u64,
    /// Who that was, and how often, where the gateway is known by its User-Agent alone. Names that requesters gave themselves.
    pub own_requesters: BTreeMap<String, u64>,
    /// Reads of buckets that no site has.
    pub elsewhere: u64,
    /// What no client asked for.
    pub other: u64,
    /// Reads on days of which the evidence holds but a part. [`Report::new`](super::Report::new) counts them.
    pub part_days: u64,
}

/// What is known of the traffic.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'e> {
    /// The books.
    pub books: &'e Books,
    /// What of that did not come through the gateway, where all else did.
    pub around: Option<&'e Books>,
    /// What they were made from: `S3 access logs of 3 buckets`.
    pub described: &'e str,
    /// What it does not record and policies ask for: `headers that S3 does not log`. Empty where there is nothing.
    pub lacks: &'e str,
    /// What was not counted.
    pub left_out: &'e LeftOut,
    /// The days of which all traffic is in the books, ascending, those without any included. See [`whole_days`].
    pub days: &'e [Day],
    /// The name of the policy.
    pub policy: &'e str,
    /// Where the gateway stands or would stand, where that is known.
    pub location: Option<&'e Location>,
}

/// The whole days of evidence whose first and last requests are these: up to an hour may be missing at either end. Who
/// knows that evidence of a day between is missing takes that day out.
pub fn whole_days(first: Timestamp, last: Timestamp) -> Vec<Day> {
    let length = DAY * HOUR;
    let from = first.0.saturating_sub(SLACK).div_ceil(length);
    let until = last.0.saturating_add(SLACK) / length;
    (from..until).filter_map(|day| u32::try_from(day).ok().map(Day)).collect()
}

/// What usage is told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Of {
    pub site: Arc<str>,
    pub class: Class,
    /// The rule that stopped it or would have, and the word for how.
    pub stopped: Option<(Arc<str>, &'static str)>,
    pub undecided: Option<Arc<str>>,
}

/// How a request was or would have been answered other than with the object: by which rule, and the word for it.
pub(super) fn stopped(key: &Key) -> Option<(Arc<str>, &'static str)> {
    match (&key.would, key.done) {
        (Some(would), _) => Some((would.rule.clone(), would.action)),
        (None, Done::Allow | Done::Internal) => None,
        (None, done) => Some((key.rule.clone(), done.word())),
    }
}

/// Where the bytes of a request went.
pub(super) fn destination(prices: &Prices, key: &Key) -> Destination {
    let by_network = prices.destination((!key.network.is_empty()).then_some(&*key.network));
    let by_region = match &prices.location {
        Location::Aws(own) if **own == *key.region => Destination::SameRegion,
        Location::Aws(_) if !key.region.is_empty() => Destination::OtherRegion,
        _ => Destination::Internet,
    };
    by_network.min(by_region)
}

/// Reads, listings, unbilled requests and bytes.
pub(super) type Counts = [u64; 4];

/// By who took them, the source, and where they went.
type Sums = BTreeMap<(Of, Arc<str>, Destination), Counts>;

/// Adds what `cell` counted under `key`.
pub(super) fn count(counts: &mut Counts, key: &Key, cell: &Cell) {
    let (kind, bytes) = match key.billed {
        Billed::Get => (0, cell.bytes),
        Billed::List => (1, cell.bytes),
        Billed::Nothing => (2, 0),
    };
    counts[kind] += cell.requests;
    counts[3] += bytes;
}

fn day(hour: u64) -> Day {
    Day(u32::try_from(hour / DAY).unwrap_or(u32::MAX))
}

/// The books of some days.
#[derive(Debug, Clone)]
pub(super) struct Days<'e> {
    pub books: &'e Books,
    pub days: &'e [Day],
}

impl<'e> Days<'e> {
    fn hours(day: Day) -> RangeInclusive<u64> {
        let first = u64::from(day.0) * DAY;
        first..=first + DAY - 1
    }

    /// Every cell with its hour.
    pub fn cells(&self) -> impl Iterator<Item = (u64, &'e Key, &'e Cell)> {
        let books = self.books;
        let hours = self.days.iter().flat_map(|day| books.hours.range(Self::hours(*day)));
        hours.flat_map(|(hour, counted)| counted.cells.iter().map(move |(key, cell)| (*hour, key, cell)))
    }

    /// Every hour that has traffic.
    pub fn each_hour(&self) -> impl Iterator<Item = &'e crate::traffic::Hour> {
        let books = self.books;
        self.days.iter().flat_map(|day| books.hours.range(Self::hours(*day))).map(|(_, counted)| counted)
    }

    /// What was used on each day, days without traffic included.
    pub fn usage(&self, book: &PriceBook) -> Vec<DayUsage<Of>> {
        let mut days: BTreeMap<Day, Sums> = self.days.iter().map(|day| (*day, BTreeMap::new())).collect();
        for (hour, key, cell) in self.cells() {
            let of = Of {
                site: key.site.clone(),
                class: key.class,
                stopped: stopped(key),
                undecided: key.undecided.clone(),
            };
            let to = destination(book.prices(&key.source), key);
            let sums = days.entry(day(hour)).or_default().entry((of, key.source.clone(), to)).or_default();
            count(sums, key, cell);
        }
        let usages =
            |sums: Sums| sums.into_iter().map(|((key, source, to), counts)| usage(key, &source, to, counts)).collect();
        days.into_iter().map(|(day, sums)| DayUsage { day, usages: usages(sums) }).collect()
    }
}

/// The usage of several days together.
pub(super) fn sum(days: &[DayUsage<Of>]) -> Vec<Usage<Of>> {
    let mut sums: BTreeMap<(&Of, &str, Destination), Counts> = BTreeMap::new();
    for usage in days.iter().flat_map(|day| &day.usages) {
        let sum = sums.entry((&usage.key, &usage.source, usage.destination)).or_default();
        let added = [usage.gets, usage.lists, usage.unbilled, usage.bytes];
        sum.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
    }
    sums.into_iter().map(|((key, source, to), counts)| usage(key.clone(), source, to, counts)).collect()
}

/// Usage of so many reads, listings and unbilled requests, and of so many bytes.
pub(super) fn usage<K>(
    key: K,
    source: &str,
    destination: Destination,
    [gets, lists, unbilled, bytes]: Counts,
) -> Usage<K> {
    Usage { key, source: source.to_owned(), destination, gets, lists, unbilled, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_whole_but_for_an_hour_at_its_ends() {
        let at = |text: &str| text.parse().unwrap();
        let cases = [
            ("2026-11-03T00:00:04Z", "2026-11-09T23:59:57Z", 7),
            ("2026-11-03T00:59:00Z", "2026-11-09T23:00:00Z", 7),
            ("2026-11-03T01:01:00Z", "2026-11-09T22:58:00Z", 5),
            ("2026-11-03T10:00:00Z", "2026-11-03T20:00:00Z", 0),
            ("2026-11-03T00:00:00Z", "2026-11-03T00:00:00Z", 0),
        ];
        for (first, last, days) in cases {
            assert_eq!(whole_days(at(first), at(last)).len(), days, "{first} {last}");
        }
    }
}
