//! The tables of a report, once for all formats.

use super::data::Report;
use super::rows::{Amount, Top};
use super::wording::{amount, bytes, change, grouped};
use crate::verdict::Done;

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Our own words and numbers, and an operator's names.
    Own(String),
    /// Text of strangers.
    Strange(String),
}

/// A table. The first cell of each row is its head.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub caption: &'static str,
    pub head: Vec<String>,
    /// The first so many columns are words, all others numbers.
    pub words: usize,
    pub rows: Vec<Vec<Cell>>,
}

fn own(text: impl Into<String>) -> Cell {
    Cell::Own(text.into())
}

fn table(caption: &'static str, head: &[&str], words: usize, rows: Vec<Vec<Cell>>) -> Table {
    Table { caption, head: head.iter().map(|title| (*title).to_owned()).collect(), words, rows }
}

/// What the period is called.
fn period(report: &Report) -> String {
    match report.period.len() {
        7 => "this week".into(),
        1 => "this day".into(),
        days => format!("these {days} days"),
    }
}

fn amounts(of: &Amount) -> [Cell; 4] {
    [own(grouped(of.reads)), own(bytes(of.bytes)), own(bytes(of.paid_bytes)), own(amount(of.cost))]
}

/// By class.
pub(super) fn classes(report: &Report) -> Table {
    let rows = report.classes.iter().map(|row| {
        let name = [own(row.class.word())];
        name.into_iter().chain(amounts(&row.amount)).chain([own(change(row.change))]).collect()
    });
    let head = [&period(report), "reads", "bytes", "paid", "$/month", "last week"];
    table("What each class took", &head, 1, rows.collect())
}

/// By site and class.
pub(super) fn sites(report: &Report) -> Table {
    let rows = report.sites.iter().map(|row| {
        let names = [own(row.site.as_str()), own(row.class.word())];
        names.into_iter().chain(amounts(&row.amount)).collect()
    });
    table("By site", &["site", "class", "reads", "bytes", "paid", "$/month"], 2, rows.collect())
}

/// Requests by class and what was or would have been done with them.
fn done(report: &Report) -> Table {
    let ways: Vec<&'static str> = Done::WORDS
        .iter()
        .map(|(word, _)| *word)
        .filter(|word| report.classes.iter().any(|row| row.done.contains_key(word)))
        .collect();
    let head: Vec<&str> = ["class"].into_iter().chain(ways.iter().copied()).collect();
    let rows = report.classes.iter().map(|row| {
        let count = |way: &&str| row.done.get(way).copied().unwrap_or(0);
        [own(row.class.word())].into_iter().chain(ways.iter().map(|way| own(grouped(count(way))))).collect()
    });
    table("Requests by what the policy would have done", &head, 1, rows.collect())
}

fn hurt(report: &Report) -> Table {
    let rows = report.effect.hurt.iter().map(|hurt| {
        let words = [own(hurt.prefix.as_str()), own(hurt.class.word()), own(hurt.action), own(hurt.rule.as_str())];
        words.into_iter().chain([own(grouped(hurt.requests)), own(bytes(hurt.bytes))]).collect()
    });
    let head = ["prefix", "class", "would be", "by rule", "reads", "bytes"];
    table("People and CI that the policy would have hurt", &head, 4, rows.collect())
}

fn undecided(report: &Report) -> Table {
    let rows = report.undecided.iter();
    let rows = rows.map(|row| vec![own(row.rule.as_str()), own(grouped(row.reads)), own(bytes(row.paid_bytes))]);
    table("What nobody can tell, by rule", &["rule", "reads", "paid"], 1, rows.collect())
}

fn offers(report: &Report) -> Table {
    let rows = report.offers.iter().map(|offer| {
        let words = [own(offer.name), own(if offer.fits { "yes" } else { "no" })];
        let source = own(format!("{}, {}", offer.source, offer.effective));
        let numbers = [own(amount(offer.fee)), own(amount(offer.total)), own(amount(offer.saving))];
        words.into_iter().chain([source]).chain(numbers).collect()
    });
    let head = ["instead", "the month fits", "source", "fee, $", "total, $", "saves, $"];
    table("Other ways to deliver the same", &head, 3, rows.collect())
}

fn top(caption: &'static str, head: [&str; 2], tops: &[Top]) -> Table {
    let rows = tops.iter().map(|top| {
        let words = [Cell::Strange(top.what.clone()), own(top.of.as_str())];
        words.into_iter().chain([own(grouped(top.requests)), own(bytes(top.bytes))]).collect()
    });
    table(caption, &[head[0], head[1], "reads", "bytes"], 2, rows.collect())
}

/// What has room in a longer report, without tables that are empty.
pub(super) fn details(report: &Report) -> Vec<Table> {
    let unreadable = report.evidence.left_out.examples.iter().map(|text| vec![Cell::Strange(text.clone())]);
    let mut all = vec![
        done(report),
        hurt(report),
        undecided(report),
        offers(report),
        top("Prefixes that took most", ["prefix", "class"], &report.takers),
        top("User-Agents that took most", ["User-Agent", "class"], &report.agents),
        top("Paths of which most was taken", ["path", "site"], &report.paths),
        table("Lines that could not be read", &["line"], 1, unreadable.collect()),
    ];
    all.retain(|table| !table.rows.is_empty());
    all
}

/// How to read the numbers.
pub(super) const NOTES: [&str; 5] = [
    "Tables are of the last seven whole days at most, in UTC; dollars are of a month (730 hours) like these days.",
    "Dollars of a class or site are its share at average prices; they add up to the bill. What stopping somebody saves is \
     the difference between two bills, less or more than the share.",
    "Paid bytes are those towards where they cost something, a free allowance aside. Refused requests have none.",
    "The change to last week weighs bytes, with a request for 4.4 kB, as bills do. Bands hold nine times out of ten, if \
     days go on as they were.",
    "People are prefixes (IPv4 /24, IPv6 /48) whose class is human. Scrapers are taken never to solve a challenge, people \
     always.",
];
