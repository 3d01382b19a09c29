//! Whether protection is needed, and what the month costs: what `windscreen report -c` says of the ledger.

use crate::clock::Timestamp;
use crate::cost::{Location, PriceBook};
use crate::ledger::Ledger;
use crate::report::{DecisionSettings, Evidence, LeftOut, Report, headline, whole_days};
use crate::traffic::{Books, HOUR, Key};
use crate::verdict::Class;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Hours of a day.
const DAY: u64 = 24;
/// Days that are looked back on: a month, with the running day.
const DAYS: u64 = 32;

/// What the ledger at `path` says at `now`. It reads a month, a day at a time: that may take seconds.
///
/// # Errors
/// When the ledger cannot be read, in words.
pub(super) fn outlook(
    path: &Path,
    now: Timestamp,
    prices: &PriceBook,
    location: Option<&Location>,
    decision: &DecisionSettings,
    policy: &str,
) -> Result<Value, String> {
    let today = now.0 / HOUR / DAY;
    let mut books = Books::default();
    for day in today.saturating_sub(DAYS)..=today {
        let hours = |day: u64| Timestamp(day * DAY * HOUR);
        let read = Ledger::read(path, hours(day), hours(day + 1)).map_err(|error| error.to_string())?;
        add(&mut books, read);
    }
    let spent = by_class(&books, today * DAY);
    let (Some((first, _)), Some((last, _))) = (books.hours.first_key_value(), books.hours.last_key_value()) else {
        return Ok(json!({"need": "not-enough-data", "headline": "The ledger is empty yet.", "today": spent}));
    };
    let days = whole_days(Timestamp(first * HOUR), Timestamp((last + 1) * HOUR - 1));
    let evidence = Evidence {
        around: None,
        books: &books,
        described: "the ledger",
        lacks: "",
        left_out: &LeftOut::default(),
        days: &days,
        policy,
        location,
    };
    let report = Report::new(&evidence, prices, decision);
    let per_class = report.classes.iter().map(|row| (row.class.word(), row.amount.cost));
    Ok(json!({
        "need": report.answer.need,
        "headline": headline(&report),
        "scrapers": report.answer.scrapers,
        "total": report.answer.total,
        "days": report.evidence.days,
        "month": report.month,
        "monthly": per_class.collect::<BTreeMap<_, _>>(),
        "today": spent,
    }))
}

/// Adds what was read, without where in the world clients were: no price hangs on that, and a month of it is large.
fn add(books: &mut Books, read: Books) {
    for (number, hour) in read.hours {
        let sums = books.hours.entry(number).or_default();
        for (key, cell) in hour.cells {
            sums.cells.entry(Key { country: None, asn: None, ..key }).or_default().merge(&cell);
        }
    }
}

/// Requests and bytes of each class from the hour `first` on.
fn by_class(books: &Books, first: u64) -> BTreeMap<&'static str, Value> {
    let mut sums: BTreeMap<Class, (u64, u64)> = BTreeMap::new();
    for (key, cell) in books.hours.range(first..).flat_map(|(_, hour)| &hour.cells) {
        let sum = sums.entry(key.class).or_default();
        *sum = (sum.0 + cell.requests, sum.1 + cell.bytes);
    }
    let told =
        |(class, (requests, bytes)): (Class, (u64, u64))| (class.word(), json!({"requests": requests, "bytes": bytes}));
    sums.into_iter().map(told).collect()
}
