//! From the books to a report.

use super::data::{Basis, CLASSES, Report};
use super::decide::{Measured, answer};
use super::evidence::{Days, Evidence, LeftOut, Of, sum};
use super::people::{effect, tops};
use super::rows::{Amount, CiOutside, ClassRow, DayRow, Hours, InFront, MonthRow, SiteRow, SourceRow, UndecidedRow};
use super::sample::sampled;
use super::settings::DecisionSettings;
use crate::cost::{
    Bill, Day, DayUsage, Destination, Location, Month, PriceBook, Usage, alternatives, in_front, project, saving_of,
};
use crate::traffic::weight;
use crate::verdict::{Class, Done};
use std::collections::BTreeMap;
use std::time::Duration;

/// The days of a period.
const WEEK: usize = 7;
/// How the sample is resampled: the same report says the same twice.
const SEED: u64 = 1;
/// Days that a projection of the month looks back.
const LOOK_BACK: usize = 28;
/// Days of which bytes are told.
const MOST_DAYS: usize = 92;

/// The usage of a period, and what a month like it costs.
struct Period<'p> {
    book: &'p PriceBook,
    raw: &'p [Usage<Of>],
    month: &'p [Usage<Of>],
    bill: Bill<'p, Of>,
}

impl Period<'_> {
    fn by<T: Ord>(&self, group: impl Fn(&Usage<Of>) -> T) -> BTreeMap<T, Amount> {
        let mut amounts: BTreeMap<T, Amount> = BTreeMap::new();
        // The lines of the bill are in the order of usages.
        for (usage, line) in self.raw.iter().zip(self.bill.lines()) {
            let paid_bytes = if line.prices.is_paid(usage.destination) { usage.bytes } else { 0 };
            let own = Amount { reads: usage.requests(), bytes: usage.bytes, paid_bytes, cost: line.cost() };
            let amount = amounts.entry(group(usage)).or_default();
            *amount = amount.and(own);
        }
        amounts
    }

    fn sources(&self) -> Vec<SourceRow> {
        let sources = self.by(|usage| (usage.key.site.to_string(), usage.source.clone()));
        let row = |((site, source), amount)| SourceRow { site, source, amount };
        let mut rows: Vec<SourceRow> =
            sources.into_iter().filter(|(_, amount)| amount.paid_bytes > 0).map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.amount.paid_bytes));
        rows
    }

    fn sites(&self) -> Vec<SiteRow> {
        let sites = self.by(|usage| (usage.key.site.to_string(), usage.key.class));
        let names: std::collections::BTreeSet<String> = sites.keys().map(|(site, _)| site.clone()).collect();
        if names.len() < 2 {
            return Vec::new();
        }
        let rows = names.iter().flat_map(|site| {
            CLASSES.iter().filter_map(|class| {
                let amount = *sites.get(&(site.clone(), *class))?;
                Some(SiteRow { site: site.clone(), class: *class, amount })
            })
        });
        rows.collect()
    }

    fn undecided(&self) -> Vec<UndecidedRow> {
        let rules = self.by(|usage| usage.key.undecided.clone());
        let row = |(rule, amount): (Option<std::sync::Arc<str>>, Amount)| {
            Some(UndecidedRow { rule: rule?.to_string(), reads: amount.reads, paid_bytes: amount.paid_bytes })
        };
        let mut rows: Vec<UndecidedRow> = rules.into_iter().filter_map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.paid_bytes, row.reads)));
        rows
    }

    /// What it saves when CI reads within the region, where nobody costs more than CI does.
    fn ci_outside(&self) -> Option<CiOutside> {
        let classes = self.by(|usage| usage.key.class);
        let dearest = classes.iter().max_by_key(|(_, amount)| amount.cost)?;
        let outside = |usage: &Usage<Of>| {
            usage.key.class == Class::Ci
                && usage.destination != Destination::SameRegion
                && matches!(self.book.prices(&usage.source).location, Location::Aws(_))
        };
        let saving = saving_of(self.book, self.month, |usage| {
            let destination = if outside(usage) { Destination::SameRegion } else { usage.destination };
            Some(Usage { destination, ..usage.clone() })
        });
        let bytes = self.raw.iter().filter(|usage| outside(usage)).map(|usage| usage.bytes).sum();
        (*dearest.0 == Class::Ci && saving.cents() > 0).then_some(CiOutside { bytes, saving })
    }

    fn gateway(&self, location: &Location) -> InFront {
        let redirect = Done::Redirect.word();
        let effect = in_front(self.book, self.month, location, |usage| {
            usage.key.stopped.as_ref().is_none_or(|(_, word)| *word != redirect)
        });
        InFront { location: location.to_string(), without: effect.without, with: effect.with }
    }
}

/// Requests and bytes in one number by class.
fn weights(days: &[DayUsage<Of>]) -> BTreeMap<Class, u64> {
    let mut weights = BTreeMap::new();
    for usage in days.iter().flat_map(|day| &day.usages) {
        *weights.entry(usage.key.class).or_default() += weight(usage.requests(), usage.bytes);
    }
    weights
}

/// The last week and the one before it, where both are there without a gap.
fn weeks(history: &[DayUsage<Of>]) -> Option<(BTreeMap<Class, u64>, BTreeMap<Class, u64>)> {
    let start = history.len().checked_sub(2 * WEEK)?;
    let (before, last) = history[start..].split_at(WEEK);
    let whole = last.last()?.day.0.checked_sub(before.first()?.day.0)? as usize + 1 == 2 * WEEK;
    whole.then(|| (weights(before), weights(last)))
}

/// By which part more there was after than before.
fn change(before: u64, after: u64) -> Option<f64> {
    (before > 0).then(|| after as f64 / before as f64 - 1.0)
}

impl Report {
    /// What `evidence` says under the prices of `book` and the thresholds of `settings`.
    pub fn new(evidence: &Evidence<'_>, book: &PriceBook, settings: &DecisionSettings) -> Report {
        let all = Days { books: evidence.books, days: evidence.days };
        let history = all.usage(book);
        let start = history.len().saturating_sub(WEEK);
        let week = &history[start..];
        let days: Vec<Day> = week.iter().map(|entry| entry.day).collect();
        let period = Days { books: evidence.books, days: &days };
        let raw = sum(week);
        let length = Duration::from_secs(86_400 * week.len() as u64);
        let month: Vec<Usage<Of>> = raw.iter().cloned().map(|usage| usage.per_month(length)).collect();
        let of = Period { book, raw: &raw, month: &month, bill: Bill::new(book, &month) };

        let weeks = weeks(&history);
        let amounts = of.by(|usage| usage.key.class);
        let done =
            of.by(|usage| (usage.key.class, usage.key.stopped.as_ref().map_or(Done::Allow.word(), |(_, word)| *word)));
        let row = |class: &Class| {
            let amount = *amounts.get(class)?;
            let weight = |week: &BTreeMap<Class, u64>| week.get(class).copied().unwrap_or(0);
            let done = done.iter().filter(|((of, _), _)| of == class).map(|((_, word), sum)| (*word, sum.reads));
            Some(ClassRow {
                class: *class,
                scraper: settings.is_scraper(*class),
                amount,
                change: weeks.as_ref().and_then(|(before, last)| change(weight(before), weight(last))),
                done: done.collect(),
            })
        };
        let classes: Vec<ClassRow> = CLASSES.iter().filter_map(row).collect();
        let scrapers = |week: &BTreeMap<Class, u64>| -> u64 {
            week.iter().filter(|(class, _)| settings.is_scraper(**class)).map(|(_, weight)| weight).sum()
        };
        let growth = weeks.as_ref().and_then(|(before, last)| change(scrapers(before), scrapers(last)));
        let measured = Measured::new(&classes, growth.map(|more| more + 1.0), &period);
        let answer = answer(&measured, week, history.len(), book, settings);

        let recent = &history[history.len().saturating_sub(LOOK_BACK)..];
        let last = history.last().map(|entry| entry.day);
        let month_row = last.and_then(|day| {
            let month = Month::of(day);
            let told = project(book, recent, month, |_| true)?;
            let (to_date, projected) = (told.to_date, told.month);
            Some(MonthRow { first: month.first, to_date, projected, low: told.low, high: told.high })
        });
        let [takers, agents, paths] = tops(&period);
        let newest = evidence.books.hours.last_key_value().map_or(0, |(hour, _)| hour + 1);
        let week_ago = newest.saturating_sub(24 * WEEK as u64);
        Report {
            version: 1,
            evidence: basis(evidence, &history),
            sites: of.sites(),
            sources: of.sources(),
            effect: effect(&period, book, &month, &raw, settings),
            sample: sampled(evidence.books, week_ago, SEED),
            undecided: of.undecided(),
            ci_outside: of.ci_outside(),
            offers: alternatives(&of.bill),
            gateway: evidence.location.map(|location| of.gateway(location)),
            month: month_row,
            look_again: last.map(|day| Day(day.0.saturating_add(answer.days_until_next(history.len())))),
            days: day_rows(&all),
            busiest: busiest(&all),
            takers,
            agents,
            paths,
            classes,
            answer,
            period: days,
        }
    }
}

fn basis(evidence: &Evidence<'_>, history: &[DayUsage<Of>]) -> Basis {
    let (from, to) = (history.first().map(|entry| entry.day), history.last().map(|entry| entry.day));
    let usages = history.iter().flat_map(|entry| &entry.usages);
    let reads = usages.map(Usage::requests).sum();
    let all: u64 = evidence.books.cells().map(|(_, _, cell)| cell.requests).sum();
    let between = from.zip(to).map_or(0, |(from, to)| to.0 - from.0 + 1);
    Basis {
        described: evidence.described.to_owned(),
        lacks: evidence.lacks.to_owned(),
        from,
        to,
        days: history.len(),
        of_days: between as usize,
        reads,
        left_out: LeftOut { part_days: all.saturating_sub(reads), ..evidence.left_out.clone() },
        policy: evidence.policy.to_owned(),
    }
}

fn day_rows(all: &Days<'_>) -> Vec<DayRow> {
    let days = &all.days[all.days.len().saturating_sub(MOST_DAYS)..];
    let row = |day: &Day| {
        let mut bytes = [0; 6];
        for (_, key, cell) in (Days { books: all.books, days: &[*day] }).cells() {
            let place = CLASSES.iter().position(|class| *class == key.class).unwrap_or_default();
            bytes[place] += cell.bytes;
        }
        DayRow { day: *day, bytes }
    };
    days.iter().map(row).collect()
}

fn busiest(all: &Days<'_>) -> Option<Hours> {
    let (first, last) = (all.days.first()?.0, all.days.last()?.0);
    let length = (last - first + 1).min(WEEK as u32);
    let mut hours: BTreeMap<u64, u64> = BTreeMap::new();
    for (hour, _, cell) in all.cells() {
        *hours.entry(hour).or_default() += cell.requests;
    }
    let within = |from: u32| u64::from(from) * 24..u64::from(from + length) * 24;
    let requests = |from: &u32| hours.range(within(*from)).map(|(_, count)| count).sum::<u64>();
    // The earliest of those that have most.
    let from = (first..=last + 1 - length).rev().max_by_key(requests)?;
    let counts = within(from).map(|hour| hours.get(&hour).copied().unwrap_or(0));
    Some(Hours { from: Day(from), requests: counts.collect() })
}
